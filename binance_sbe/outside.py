"""What comes from outside, and how it is shown: escaped, cut, and without an API key.

Symbols, close reasons, bodies and headers are written by others. `shown` makes them fit for an
error, a label or a line of the log, `say` and `say_json` print, `stripped` takes the keys out, and
`number` reads what should be one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from typing import NoReturn, TextIO

from sbe_codegen import printing
from sbe_codegen.printing import escaped, fitting

KEY_HEADER = "X-MBX-APIKEY"
KEY_MARK = "<the API key>"
MOST_SECONDS = 3 * 86400  # that anybody may ask us to wait: the longest ban there is
_MOST_KEYS = 1000  # that are remembered
_SHORTEST_KEY = 6  # those of local exchanges may be words, which are no secrets
_LONGEST_UNIT = 40  # characters that stand for one of a key, at most
_KEY_LENGTH = 512  # of a key whose escapes are looked for beyond a limit

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
# One character as URLs, JSON, Python and HTML may write it, also where that was done repeatedly.
_UNIT = re.compile(
    r"%(?:25)*(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?<!\\)\\++(?:(?:u00|x)(?P<escape>[0-9A-Fa-f]{2})|(?P<quoted>[\"'/]))"
    r"|&(?:amp;)*#(?:[xX]0*(?P<hex>[0-9A-Fa-f]{2})|0*(?P<decimal>\d{2,3}));"
)
# The header with any key, also one that is not ours.
_HEADER = re.compile(
    rf"{KEY_HEADER}[\"']?+\s*+(?:[:=,]|%3a)\s*+(?:b?[\"'])?+(?!{KEY_MARK})"
    r"(?P<key>[^\s\"'\\,;)}\]]++)",
    re.IGNORECASE,
)

_keys: tuple[str, ...] = ()
_keys_lock = threading.Lock()


class Key(str):
    """An API key: a str that neither its repr nor a pickle shows, so that what holds it may."""

    __slots__ = ()

    def __repr__(self) -> str:
        return KEY_MARK

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an API key is not pickled: give it anew where it is used")

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, memo: object) -> Key:
        return self


def remember_key(key: str) -> Key:
    """The same key, hidden; from now on it is taken out of all that is quoted from outside.

    Those of the last thousand that were used, of six characters and more.
    """
    global _keys
    plain = key.translate(_ASCII_LOWER)
    if len(plain) >= _SHORTEST_KEY:
        with _keys_lock:
            others = [each for each in _keys if each != plain]
            _keys = (plain, *others[: _MOST_KEYS - 1])
    return Key(key)


def stripped(text: str) -> str:
    """The text with a mark in place of every API key, however it is escaped or spelt."""
    given = os.environ.get("BINANCE_API_KEY", "").strip().translate(_ASCII_LOWER)
    keys = _keys if len(given) < _SHORTEST_KEY or given in _keys else (given, *_keys)
    plain = text.translate(_ASCII_LOWER)
    spans = [match.span("key") for match in _HEADER.finditer(text)] if "-" in text else []
    for key in keys:
        spans += _places(plain, key)
    if keys and any(sign in text for sign in "%\\&"):
        read, starts = _unescaped(plain)
        for key in keys:
            spans += [(starts[at], starts[end]) for at, end in _places(read, key)]
    if not spans:
        return text
    parts = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += [text[done:start], KEY_MARK]
        done = max(done, end)
    return "".join([*parts, text[done:]])


def _places(text: str, key: str) -> list[tuple[int, int]]:
    found = []
    at = text.find(key)
    while at >= 0:
        found.append((at, at + len(key)))
        at = text.find(key, at + len(key))
    return found


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text with escapes read, and where in the text each character of it begins."""
    parts: list[str] = []
    starts: list[int] = []
    done = 0
    for match in _UNIT.finditer(text):
        parts.append(text[done : match.start()])
        starts += range(done, match.start() + 1)
        done = match.end()
        digits = match["percent"] or match["escape"] or match["hex"]
        code = int(digits, 16) if digits else int(match["decimal"] or ord(match["quoted"]))
        parts.append(chr(code).translate(_ASCII_LOWER))
    starts += range(done, len(text) + 1)
    return "".join([*parts, text[done:]]), starts


def stripped_bytes(content: bytes) -> bytes:
    """The same for bytes in an encoding that has ASCII in it."""
    return stripped(content.decode("latin-1")).encode("latin-1")


def shown(text: object, limit: int = 500) -> str:
    """Text from outside as it may be shown anywhere; cut at ``limit`` characters, and says so.

    What is not printable is escaped, and there is no key in it. Shown twice is shown once.
    """
    given = str(text)
    # a key that the limit cuts is to be found whole
    part = given[: limit + _LONGEST_UNIT * _KEY_LENGTH]
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


# numbers


def number(text: str | None, most: int) -> int | None:
    """The number that a header is, ``most`` where it is more; None where it is none.

    Digits of ASCII, 18 at the most, and nothing else.
    """
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return min(int(text), most)


def retry_after(text: str | None) -> int | None:
    """The seconds that a Retry-After asks for, three days at most; None where it has no number.

    A date, which the exchange does not send, is none: it would be of another clock.
    """
    return number(text, MOST_SECONDS)
