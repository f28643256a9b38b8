"""Runs the tests, those that sleep beside those that compute.

    python tests/run.py [--all] [ARGUMENTS OF PYTEST]

Without ``--all`` those marked ``long`` are left out, and said in the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter

WORKERS = 2 * (os.cpu_count() or 1)


def pytest(*arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, check=False, text=True, capture_output=capture)


def left_out() -> list[str]:
    """What the tests marked ``long`` are, with how many there are of each kind."""
    done = pytest("--collect-only", "-q", "-m", "long", "-p", "no:xdist", capture=True)
    files = Counter(re.findall(r"^tests/(?:\w+/)*(\w+)\.py::", done.stdout, re.MULTILINE))
    return [f"{name} {count}" for name, count in sorted(files.items())]


def main() -> int:
    given = sys.argv[1:]
    is_all = "--all" in given
    arguments = [each for each in given if each != "--all"]
    chosen = [] if is_all else ["-m", "not long"]
    # in the order of conftest.py: a file that takes minutes is not begun last
    shared_out = ["-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
    spread = [] if arguments else shared_out
    code = pytest(*spread, *chosen, *arguments).returncode
    if not is_all:
        print(f"make test-all has more: {', '.join(left_out())}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
