"""Names of a schema -> names of Python and C.

The rules are part of the interface of every generated module:

- fields, groups and data: snake_case (``bookUpdateId`` -> ``book_update_id``);
- enums and sets: the schema's name with a capital first letter; members UPPER_SNAKE, without
  underscores in front;
- messages: unchanged;
- a name that Python, C, Cython or the generated module itself has already taken gets ``_``
  appended: the field ``class`` is ``class_``, the message ``None`` is ``None_``.
"""

from __future__ import annotations

import keyword
import re

from .runtime.decode.names import MESSAGE_NAMES

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# Names that C or Cython takes.
_C_NAMES = frozenset(
    """
    auto bint bool break by case cdef char complex const continue cpdef ctypedef cimport default
    do double enum extern float fused gil goto include inline int long namespace new nogil object
    packed public readonly register restrict short signed sizeof static struct switch template
    this typedef union unsigned void volatile root errno stdin stdout stderr linux unix assert
    typeof asm near far
    """.split()  # noqa: SIM905
)

# What the generated module, its C interface and its stub use themselves.
_MODULE_NAMES = frozenset(
    """
    Any Base BaseCollector BaseMessage BaseSchema Batch Buffer BYTE_ORDER ClassVar Collector Decimal
    Composite Entries Entry Final HEADER_ELEMENTS HEADER_SIZE Header IntEnum IntFlag Literal
    MESSAGES Mapping
    NAN NDArray NO_TEXT NULL NamedTuple PACKAGE Py_ssize_t SCHEMA SCHEMA_ID SCHEMA_VERSION Self
    Sequence
    append_blob aim append_frames byte_int close_run commit_offset commit_rows cython decode
    decode_frames decode_header decode_many entries_of entry_of final intern is_open keep_tuple
    end_row grow_rows load_member memcmp memcpy new_message open_run
    next_entry np open_frame open_message own keep_freed_by raise_fault read_element read_text
    refused reopen reserve_row reserve_rows roll_back scaled seen size_t skip_data skip_group
    skip_unknown take take_counted_entries take_entries take_entry take_header take_own_header
    take_root take_same_header walk_entries
    ArithmeticError BaseException Exception bool bytes bytearray dict float frozenset int list map
    max min object print property range set sizeof staticmethod str tuple type typing_extensions
    _IntEnum _IntFlag _MappingProxyType _TYPES _composites _declare _enum_table _header_class
    _SetTable
    """.split()  # noqa: SIM905
)
_MODULE_PREFIX = re.compile(
    r"__|sbe_|load_|FAULT_|PROBE_|ELEMENTS_|FLOATS_|FREED_|KEPT_|FRAMING_|PyInit_|u?int(8|16|32|64)_t$"
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


def member(name: str) -> str:
    """The attribute of a composite's or the header's member; they have few names of their own."""
    python = snake(name)
    taken = keyword.iskeyword(python) or python == "to_dict" or python.startswith("__")
    return f"{python}_" if taken else python


def c_member(python: str) -> str:
    """The C struct member for a Python attribute."""
    return f"{python}_" if python in _C_NAMES else python


def type_name(name: str) -> str:
    """The schema's name of an enum or a set with a capital first letter."""
    return name[:1].upper() + name[1:]


def class_name(name: str) -> str:
    """The name of a class in the generated module."""
    taken = keyword.iskeyword(name) or name in _C_NAMES or name in _MODULE_NAMES
    return f"{name}_" if taken or _MODULE_PREFIX.match(name) else name


def constant(name: str) -> str:
    """A member of an enum or a set."""
    bare = snake(name).upper()
    bare = bare.strip("_") if bare.startswith("_") else bare
    return f"N{bare}" if not bare or bare[0].isdigit() else bare


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
