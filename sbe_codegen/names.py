"""Names of a schema -> names of Python and C.

The rules are part of the interface of every generated module:

- fields, groups and data: snake_case (``bookUpdateId`` -> ``book_update_id``);
- enums and sets: the schema's name with a capital first letter; members UPPER_SNAKE;
- messages: unchanged;
- a name that Python, or this package's own message objects, has already taken gets ``_`` appended.
"""

from __future__ import annotations

import keyword
import re

from .runtime.names import MESSAGE_NAMES

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# Names that C or Cython takes: only struct members and C functions need to keep off them.
_C_NAMES = frozenset(
    """
    auto bint bool break by case cdef char complex const continue cpdef ctypedef cimport default
    do double enum extern float fused gil goto include inline int long namespace new nogil object
    packed public readonly register restrict short signed sizeof static struct switch template
    this typedef union unsigned void volatile root errno stdin stdout stderr linux unix assert
    """.split()  # noqa: SIM905
)


def is_identifier(name: str) -> bool:
    """Whether SBE allows the name: letters, digits and ``_``, 1 to 64 of them."""
    return _IDENTIFIER.fullmatch(name) is not None


def snake(name: str) -> str:
    return _BOUNDARY.sub("_", name).lower()


def attribute(name: str) -> str:
    """The Python attribute of a field, group or data element."""
    python = snake(name)
    taken = keyword.iskeyword(python) or python in MESSAGE_NAMES or python.startswith("__")
    return f"{python}_" if taken else python


def c_member(python: str) -> str:
    """The C struct member for a Python attribute."""
    return f"{python}_" if python in _C_NAMES else python


def type_name(name: str) -> str:
    """The Python class of an enum or a set."""
    return name[:1].upper() + name[1:]


def constant(name: str) -> str:
    """A member of an enum or a set."""
    return snake(name).upper()
