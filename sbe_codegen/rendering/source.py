"""What may stand in a generated file: everything that is written into one goes through here.

A schema's author chooses names, descriptions, metadata, and the file's own name. None of it may
become code, or end a comment, a docstring or a line, whatever reads the file: Python, Cython, a C
compiler (Cython quotes its sources in C comments) or a person. So templates print only

- whole numbers, and names (or parts, and with dots) of ASCII letters, digits and ``_``;
- `Source`, which is made of literal text of ours and of the former (`code`), or by one of the
  functions that turn any text into something harmless: `comment`, `doc`, `literal`, `json_text`.

Anything else is an error where it is printed: a template or a renderer that forgets can't be
released. What comes out is printable ASCII, in which no encoding can be declared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

_PLAIN = re.compile(r"-?[0-9]+|[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*|")
_PRINTABLE = re.compile(r"[\n -~]*")
_COOKIE = re.compile(r"coding[:=]")  # PEP 263, and Cython has the same


class Source(Markup):
    """Text that may be printed as it is. What is put into it, or added to it, is checked."""

    @classmethod
    def escape(cls, value: Any, /) -> Source:
        return checked(value)


def checked(value: Any) -> Source:
    """What a template prints for ``value``; TypeError where that is not known to be harmless."""
    if isinstance(value, Markup):
        return Source(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number or (isinstance(value, str) and _PLAIN.fullmatch(value)):
        return Source(value)
    raise TypeError(f"{value!r} is no Source: see rendering/source.py")


def code(form: str, *parts: Any) -> Source:
    """``form``, which is a literal of ours, with ``parts`` in the places of its ``{}``."""
    return Source(form).format(*parts)


def joined(separator: str, parts: Iterable[Any]) -> Source:
    """``parts`` with ``separator``, which is a literal of ours, between them."""
    return Source(separator).join(parts)


def hexadecimal(bits: int) -> Source:
    """An unsigned number in C."""
    return Source(f"0x{bits:X}ULL")


def unsigned(number: int) -> Source:
    """An id or a version in C, where Cython takes a number of more than 31 bits for an object."""
    return Source(number) if number < 2**31 else hexadecimal(number)


def real(value: float) -> Source:
    """A double in C, which NaN is not."""
    return Source(repr(float(value)).replace("inf", "1e999"))


def comment(text: str) -> Source:
    """Any text, for a comment in one line: letters, digits and `` ,.()_-+`` are left alone."""
    return Source(re.sub(r"[^A-Za-z0-9 ,.()_+-]", _escaped, text))


def doc(text: str) -> Source:
    """Any text, for the inside of a docstring, which then says just that text."""
    made = re.sub(r"[^ -~]|[\"\\]", _escaped, text)
    return Source(re.sub(r"codin(g)(?=[:=])", r"codin\\x67", made))  # no cookie in a first line


def literal(value: Any) -> Source:
    """The literal of a str, an int, a bool, None, or a tuple or dict of these."""
    if isinstance(value, dict):
        for pair in value.items():
            literal(pair)
    elif isinstance(value, tuple):
        for each in value:
            literal(each)
    elif type(value) not in (str, int, bool, type(None)):
        raise TypeError(f"{value!r} has no literal here")
    return Source(ascii(value))


def json_text(text: str) -> Source:
    """JSON, for the inside of a raw string in triple quotes. Quotes in it have a backslash."""
    json.loads(text)
    made = text.replace("\x7f", "\\u007f")
    if not _PRINTABLE.fullmatch(made) or '"""' in made:
        raise ValueError(f"JSON that does not fit into a raw string: {made}")
    return Source(made)


def finished(text: str) -> str:
    """A whole file, checked once more."""
    if not _PRINTABLE.fullmatch(text) or any(map(_COOKIE.search, text.split("\n")[:2])):
        raise ValueError("a generated file is not printable ASCII, or declares its encoding")
    return text


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
