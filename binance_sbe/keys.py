"""API keys: hidden where they are held, and taken out of all that is quoted from outside."""

from __future__ import annotations

import os
import re
import threading
from typing import NoReturn

KEY_HEADER = "X-MBX-APIKEY"
KEY_MARK = "<the API key>"
LONGEST_SPELLING = 40 * 512  # characters that a long key takes, however it is escaped
_MOST_KEYS = 1000  # that are remembered
_SHORTEST_KEY = 6  # those of local exchanges may be words, which are no secrets

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
