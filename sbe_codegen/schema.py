"""A schema as its XML states it: defaults made explicit, references still names, nothing computed.

Every element keeps its place, and the attributes that SBE does not know, those of foreign
namespaces (``mbx:exponent``, ...) among them, as ``metadata``, by local name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from .errors import Place, SchemaError

DIMENSION = "groupSizeEncoding"  # the dimensionType of groups that do not say theirs


@dataclass(frozen=True)
class Element:
    """What all elements have."""

    name: str
    place: Place
    since_version: int = 0
    deprecated: int | None = None
    description: str = ""
    semantic_type: str | None = None
    time_unit: str | None = None
    epoch: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Type(Element):
    """A simple encoding. ``presence`` is None where the XML does not say."""

    primitive: str = ""
    length: int | None = None
    presence: str | None = None
    null_value: str | None = None
    min_value: str | None = None
    max_value: str | None = None
    character_encoding: str | None = None
    value_ref: str | None = None
    offset: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Ref(Element):
    """A member of a composite that is defined elsewhere."""

    type: str = ""
    offset: int | None = None


@dataclass(frozen=True)
class Value(Element):
    """A ``validValue`` of an enum or a ``choice`` of a set; ``text`` is its value as written."""

    text: str = ""


@dataclass(frozen=True)
class Enum(Element):
    encoding_type: str = ""
    null_value: str | None = None
    offset: int | None = None
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Set(Element):
    encoding_type: str = ""
    offset: int | None = None
    choices: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Composite(Element):
    offset: int | None = None
    members: tuple[Type | Ref | Enum | Set | Composite, ...] = ()


AnyType = Type | Enum | Set | Composite


def alike(one: object, other: object) -> bool:
    """Whether two elements say the same, wherever they stand and however they are described."""
    return _said(one) == _said(other)


def _said(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_said, value))
    if not isinstance(value, Element):
        return value
    told = (each.name for each in fields(value) if each.name not in ("place", "description"))
    return (type(value).__name__, *((name, _said(getattr(value, name))) for name in told))


@dataclass(frozen=True)
class Field(Element):
    id: int = 0
    type: str = ""
    offset: int | None = None
    presence: str | None = None
    value_ref: str | None = None
    exponent: str | None = None  # of a foreign namespace: the field that scales this one


@dataclass(frozen=True)
class Data(Element):
    id: int = 0
    type: str = ""
    presence: str | None = None


@dataclass(frozen=True)
class Group(Element):
    id: int = 0
    dimension_type: str = DIMENSION
    block_length: int | None = None
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = ()
    data: tuple[Data, ...] = ()


@dataclass(frozen=True)
class Message(Element):
    id: int = 0
    block_length: int | None = None
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = ()
    data: tuple[Data, ...] = ()


@dataclass(frozen=True)
class Schema:
    """A whole schema. ``types`` and ``messages`` are in document order, duplicates included."""

    file: str
    place: Place
    package: str
    id: int
    version: int
    semantic_version: str
    byte_order: str
    header_type: str
    types: tuple[AnyType, ...]
    messages: tuple[Message, ...]
    faults: tuple[SchemaError, ...] = ()  # of elements by themselves
    warnings: tuple[SchemaError, ...] = ()
