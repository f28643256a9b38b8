"""Lines, for whoever does not look at a screen: as wide as what they are written to."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable

from ..output import say


def columns() -> int:
    """The columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def say_wrapped(lines: Iterable[str]) -> None:
    say(*wrapped(lines))


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines that a terminal would break in the middle of a number, broken between words.

    For one that is written to like a pipe; where standard output is none, they stay as they are.
    """
    if not sys.stdout.isatty():
        return list(lines)
    limit = max(columns() - 1, 20)
    made: list[str] = []
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        made += textwrap.wrap(
            line, limit, subsequent_indent=f"{indent}    ", break_on_hyphens=False
        ) or [line]
    return made
