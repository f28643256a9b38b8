"""Names of a schema -> names of Python and C.

The rules are part of the interface of every generated module:

- what is no letter of ASCII, digit or ``_`` becomes ``_``, several together one, and none at the
  ends; a name that then begins with a digit, or is empty, gets ``n`` in front (``N`` in enums, sets
  and names of classes): ``Pre-Open`` is ``Pre_Open``, ``24h`` is ``n24h``, ``N/A`` is ``N_A``;
- fields, groups and data: snake_case (``bookUpdateId`` -> ``book_update_id``);
- enums and sets: the schema's name with a capital first letter; members UPPER_SNAKE, without
  underscores in front;
- messages: unchanged;
- a name that Python, C, Cython (`reserved`) or the generated module itself has already taken gets
  ``_`` appended: the field ``class`` is ``class_``, the message ``None`` is ``None_``, the member
  ``NULL`` of an enum is ``NULL_``.
"""

from __future__ import annotations

import keyword
import re

from . import reserved

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
_NUMBERED = re.compile(r"(v|f|rows_|entry_)[0-9]+")  # local variables, one for each element


def is_identifier(name: str) -> bool:
    """Whether SBE allows the name: letters, digits and ``_``, 1 to 64 of them."""
    return _IDENTIFIER.fullmatch(name) is not None


def plain(name: str, front: str = "n") -> str:
    """Letters, digits and ``_`` of any name; one that is made of them already is left alone."""
    if _PLAIN.fullmatch(name):
        return name
    bare = _OTHER.sub("_", name).strip("_")
    return bare if _PLAIN.fullmatch(bare) else f"{front}{bare}"


def module(package: str) -> str:
    """A name for the module of a package, which may be any text.

    Names with dots between them keep their letters, ``my.Feed`` is ``my_Feed``; anything else is
    written small: ``SBE tests`` is ``sbe_tests``, ``my-exchange.v2`` is ``my_exchange_v2``.
    """
    if all(map(is_identifier, package.split("."))):
        return package.replace(".", "_")
    return plain(package).lower()


def snake(name: str) -> str:
    return _BOUNDARY.sub("_", name).lower()


def attribute(name: str) -> str:
    """The Python attribute of a field, group or data element."""
    python = snake(plain(name))
    taken = keyword.iskeyword(python) or python in reserved.MESSAGE or python.startswith("__")
    return f"{python}_" if taken else python


def member(name: str) -> str:
    """The attribute of a composite's or the header's member; they have few names of their own."""
    python = snake(plain(name))
    taken = keyword.iskeyword(python) or python == "to_dict" or python.startswith("__")
    return f"{python}_" if taken else python


def c_member(python: str) -> str:
    """The C struct member for a Python attribute; different ones for different attributes.

    A word that C has taken gets ``_``, and what is that word with ``_`` already gets one more.
    """
    word = python.rstrip("_")
    taken = word in reserved.NOT_IN_C or word in reserved.STRUCT
    return f"{python}_" if taken and not keyword.iskeyword(word) else python


def type_name(name: str) -> str:
    """The schema's name of an enum or a set with a capital first letter."""
    made = plain(name, "N")
    return made[:1].upper() + made[1:]


def class_name(name: str) -> str:
    """The name of an enum or a set in the generated module."""
    made = plain(name, "N")
    return f"{made}_" if is_of_module(made) else made


def message(name: str) -> str:
    """The name of a message's class, which the functions of the module use beside their own."""
    made = plain(name, "N")
    taken = is_of_module(made) or made in reserved.LOCALS or _NUMBERED.fullmatch(made)
    return f"{made}_" if taken else made


def is_of_module(name: str) -> bool:
    """Whether a generated module has the name without any schema; none such ends with ``_``."""
    taken = name in reserved.ALL or name in reserved.MODULE
    return taken or reserved.PREFIX.match(name) is not None


def constant(name: str) -> str:
    """A member of an enum or a set."""
    bare = snake(plain(name, "")).upper()
    bare = bare.strip("_") if bare.startswith("_") else bare
    bare = f"N{bare}" if not bare or bare[0].isdigit() else bare
    return f"{bare}_" if bare in reserved.ALL else bare


def entry_name(group: str) -> str:
    """The class of a group's entries: the singular, ``Symbol`` for ``symbols``."""
    name = type_name(group)
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if name.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    if name.endswith("s") and not name.endswith("ss"):
        return name[:-1]
    return name
