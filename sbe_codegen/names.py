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
from .runtime.decode.names import MESSAGE_NAMES

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")

# What the generated module, its C interface and its stub use themselves.
_MODULE_NAMES = frozenset(
    """
    Any ArithmeticError BYTE_ORDER Base BaseCollector BaseException BaseMessage BaseSchema
    Batch Buffer ClassVar Collector Composite Decimal Entries Entry Exception Final
    HEADER_ELEMENTS HEADER_SIZE Header IntEnum IntFlag Literal MESSAGES Mapping NAN NDArray
    NO_TEXT NULL NamedTuple PACKAGE Py_ssize_t SCHEMA SCHEMA_ID SCHEMA_VERSION Self Sequence
    Table _IntEnum _IntFlag _MappingProxyType _PacketLayout _SetTable _TYPES _attach
    _composites _declare _enum_table _header_class aim append_blob append_frames as_body
    body_length bool byte_int bytearray bytes close_run commit_offset commit_row commit_rows
    cython decode decode_body decode_frames decode_header decode_many dict encode encode_many
    end_row entries_of entry_of final float frozenset grow_rows int intern is_open
    keep_freed_by keep_tuple list load_member map max memcmp memcpy min new_message next_entry
    np object open_body open_frame open_message open_run own print property raise_fault range
    read_element read_text refused reopen reserve_row reserve_rows roll_back scaled seen set
    size_t sizeof skip_data skip_group skip_unknown staticmethod step_back str take
    take_counted_entries take_entries take_entry take_header take_own_header take_root
    take_same_header tuple type typing_extensions walk_entries
    """.split()  # noqa: SIM905
)
_ROOT_NAMES = frozenset({"root"})  # members of every C struct
_MODULE_PREFIX = re.compile(
    r"__|sbe_|load_|FAULT_|PROBE_|ELEMENTS_|FLOATS_|FREED_|KEPT_|FRAMING_|PyInit_|u?int(8|16|32|64)_t$"
)


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
    taken = keyword.iskeyword(python) or python in MESSAGE_NAMES or python.startswith("__")
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
    taken = word in reserved.NOT_IN_C or word in _ROOT_NAMES
    return f"{python}_" if taken and not keyword.iskeyword(word) else python


def type_name(name: str) -> str:
    """The schema's name of an enum or a set with a capital first letter."""
    made = plain(name, "N")
    return made[:1].upper() + made[1:]


def class_name(name: str) -> str:
    """The name of a class in the generated module."""
    made = plain(name, "N")
    taken = made in reserved.ALL or made in _MODULE_NAMES
    return f"{made}_" if taken or _MODULE_PREFIX.match(made) else made


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
