"""Printing text that others wrote: escaped, in any encoding, and where there is no output.

With what a command does first and last.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO


def escaped(text: str) -> str:
    r"""The text with escapes (``\x1b``, ``\u202e``) for all that is not printable.

    Those are control characters, what changes the direction of writing, what has no width, ends of
    lines and paragraphs, blanks other than the space, and halves of surrogate pairs. Letters of any
    script stay, and so do escapes: what was escaped once does not change again.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def fitting(text: str, stream: Any = None) -> str:
    """The text with escapes for what the encoding of a stream (standard output) has no sign for."""
    encoding = getattr(sys.stdout if stream is None else stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def counted(count: int, one: str, more: str = "") -> str:
    """ "1 row", "1,200 rows"."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def say(*lines: object, stream: TextIO | None = None) -> None:
    """Prints lines, each of which stays one, whatever is in it.

    ``stream`` is standard output where none is given.
    """
    stream = sys.stdout if stream is None else stream
    if stream is not None:
        stream.write("".join(f"{fitting(escaped(str(line)), stream)}\n" for line in lines))
        stream.flush()


def open_streams() -> None:
    """For a command, before it opens anything: what is closed of the streams leads nowhere.

    Otherwise the next file or socket would take its number. What others print, such as help or a
    live table, has question marks for what the encoding of standard output lacks.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def close_output() -> None:
    """At the end: what could not be written is not tried again, and complained of, at the exit.

    An interrupt that was caught is forgotten. Where a KeyboardInterrupt comes out of text that is
    executed, as dataclasses do when their module is imported, Python notes that, and after
    ``python -m`` the process is killed by SIGINT in the end, whatever its exit code was to be. The
    next text that is executed makes it forget.
    """
    exec("")
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
