"""What goes out: text that others wrote is escaped, cut and without an API key, and printed so.

Symbols, close reasons, bodies and headers are written by others. `shown` makes them fit for an
error, a label or a line of the log; `say` and `say_json` print.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from typing import TextIO

from sbe_codegen import printing
from sbe_codegen.printing import escaped, fitting

from .keys import LONGEST_SPELLING, stripped


def shown(text: object, limit: int = 500) -> str:
    """Text from outside as it may be shown anywhere; cut at ``limit`` characters, and says so.

    What is not printable is escaped, and there is no key in it. Shown twice is shown once.
    """
    given = str(text)
    # a key that the limit cuts is to be found whole
    part = given[: limit + LONGEST_SPELLING]
    clean = escaped(stripped(part))
    if len(clean) <= limit and len(part) == len(given):
        return clean
    return f"{clean[:limit]}... ({len(given):,} characters)"


# printing


def say(*lines: str, stream: TextIO | None = None) -> None:
    """Prints lines, each of which stays one, whatever is in it. The one way to print.

    ``stream`` is standard output where none is given. Where there is none, nothing is printed.
    """
    printing.say(*map(stripped, lines), stream=stream)


def note(*lines: str) -> None:
    """Prints lines on standard error, if that is possible."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            say(*lines, stream=sys.stderr)


def redraw(text: str) -> None:
    """A line of progress on standard error, a terminal, in the place of the one before."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"\r{stripped(text)}\x1b[K")
            sys.stderr.flush()


def complain(text: str) -> None:
    """A line on standard error, as the command's."""
    note(f"binance-sbe: {text}")


def json_text(value: object) -> str:
    """One line of JSON, in which all that is not printable is escaped as JSON has it."""
    text = json.dumps(value, ensure_ascii=False)
    if fitting(text) != text:
        return json.dumps(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def say_json(values: Iterable[object]) -> None:
    """One value a line."""
    say(*map(json_text, values))
