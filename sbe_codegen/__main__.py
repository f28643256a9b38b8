"""The ``sbe-codegen`` command, and ``python -m sbe_codegen``."""

from __future__ import annotations

import sys


def main() -> int:
    """As `cli.main`; says what to install where the compiler's own needs are not there."""
    try:
        from . import cli
    except ModuleNotFoundError as error:
        from .extras import missing

        print(missing(error.name or "a package", "sbe-codegen", "codegen"), file=sys.stderr)
        return 2
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
