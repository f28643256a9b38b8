"""``python -m sbe_codegen`` is the ``sbe-codegen`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
