"""A resolved schema: a tree in which every offset, null, version and name is a plain value.

The renderer reads this and looks nothing up. Offsets are bytes from the start of the block (or
composite) that the thing lies in. ``name`` is the Python name, ``c_name`` the one in C structs,
``schema_name`` the one in the XML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .errors import Place
from .primitives import Primitive
from .runtime.framing.packets import PacketLayout

Kind = Literal["number", "char", "text", "array", "mantissa", "enum", "set", "composite"]
Constant = int | float | str
TimeKind = Literal["timestamp", "time", "date"]
LARGEST_POWER = 255  # of ten, as an exponent


@dataclass(frozen=True)
class Value:
    """A member of an enum, or a choice of a set, whose ``value`` then is the bit's number."""

    name: str
    schema_name: str
    value: int
    since: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Enum:
    """``nulls`` are the numbers that mean "nothing", whether or not a field may be null.

    The first is the one that is declared, or the primitive's; NUL is one of chars, always. Where
    one of ``values`` has such a number, it is null in optional fields and that value in others.
    ``optional``: it is built on a type that is.
    """

    name: str
    schema_name: str
    primitive: Primitive
    nulls: tuple[int, ...]
    optional: bool
    values: tuple[Value, ...]
    place: Place = field(compare=False)

    @property
    def null(self) -> int:
        return self.nulls[0]

    @property
    def is_bool(self) -> bool:
        names = {value.schema_name for value in self.values}
        return names == {"False", "True"} and len({value.value for value in self.values}) == 2


@dataclass(frozen=True)
class Set:
    """``null`` is the name of what is no bit and means nothing (255, of 8 bits), if it has one."""

    name: str
    schema_name: str
    primitive: Primitive
    choices: tuple[Value, ...]
    null: Value | None
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Composite:
    """``size`` ends with the last member that takes bytes; ``count`` values are in it in all."""

    name: str
    schema_name: str
    size: int
    count: int
    members: tuple[Field, ...]
    place: Place = field(compare=False)

    @property
    def decimal(self) -> tuple[Field, Field] | None:
        """Mantissa and exponent, if it is of just these: a whole number, and one that is small."""
        mantissa, exponent = self.member("mantissa"), self.member("exponent")
        if mantissa is None or exponent is None or len(self.members) != 2:
            return None
        one, other = mantissa.encoding, exponent.encoding
        if any(each.kind != "number" or each.primitive.is_float for each in (one, other)):
            return None
        power = other.constant
        small = other.primitive.size == 1 if power is None else abs(int(power)) <= LARGEST_POWER
        return (mantissa, exponent) if small and one.constant is None else None

    @property
    def wire_fields(self) -> tuple[Field, ...]:
        return tuple(member for member in self.members if member.size)

    def member(self, schema_name: str) -> Field | None:
        return next((each for each in self.members if each.schema_name == schema_name), None)


@dataclass(frozen=True)
class Encoding:
    """What the bytes of a field or member mean: a resolved type.

    ``number``, ``enum``, ``set`` and ``char`` are one ``primitive``; ``text`` (of char), ``array``
    and ``mantissa`` (a wide whole number) are ``length`` of them. ``constant`` is the value of an
    encoding that takes no bytes. ``null`` is that of a number, NaN for floats being None.
    ``minimum`` and ``maximum`` are there where the schema gives them.
    """

    kind: Kind
    primitive: Primitive
    length: int
    size: int
    presence: str | None
    null: float | None
    minimum: float | None = None
    maximum: float | None = None
    charset: str | None = None
    enum: Enum | None = None
    set: Set | None = None
    composite: Composite | None = None
    constant: Constant | None = None
    since: int = 0
    semantic_type: str | None = None
    time_unit: str | None = None
    epoch: str | None = None
    description: str = field(default="", compare=False)

    @property
    def is_array(self) -> bool:
        """Whether it is several primitives, which C has as bytes."""
        return self.kind in ("text", "array", "mantissa")


@dataclass(frozen=True)
class Exponent:
    """Where a mantissa's exponent is: the field's name, in the same block or ``levels`` above.

    ``is_null``: there are senders without one. ``negated``: the value is mantissa / 10^exponent.
    """

    field: str
    levels: int
    is_null: bool = False
    negated: bool = False


@dataclass(frozen=True)
class Time:
    """A time since 1970 in UTC, a time of day, or a day since 1970-01-01.

    ``unit`` is s, ms, us, ns or D; None where each value has its own. Of a composite ``member`` is
    the name of the member that has the number, and ``unit_member`` of the one that has the unit, as
    the power of ten that a second is divided by.
    """

    kind: TimeKind
    unit: str | None
    member: str | None = None
    unit_member: str | None = None


@dataclass(frozen=True)
class Field:
    """A fixed field of a block, or a member of a composite. ``since`` counts its type's in."""

    name: str
    c_name: str
    schema_name: str
    id: int
    type_name: str
    encoding: Encoding
    offset: int
    since: int
    optional: bool
    exponent: Exponent | None
    time: Time | None
    metadata: Mapping[str, str]
    deprecated: int | None
    description: str = field(compare=False)
    place: Place = field(compare=False)

    @property
    def size(self) -> int:
        return self.encoding.size

    @property
    def end(self) -> int:
        return self.offset + self.encoding.size

    @property
    def is_constant(self) -> bool:
        return self.encoding.constant is not None

    def sent(self, base: int = 0, since: int = 0) -> Iterator[tuple[int, int]]:
        """(since, end) of each of its values that take bytes: its members', if it is a composite.

        The end is counted from where its block begins, the version the first that has the value.
        """
        since = max(since, self.since)
        if self.encoding.composite is None:
            if self.size:
                yield since, base + self.end
            return
        for member in self.encoding.composite.wire_fields:
            yield from member.sent(base + self.offset, since)


@dataclass(frozen=True)
class Header:
    """The message header, and where the members are that SBE requires by name.

    ``implied`` are those of them that the composite does not have: ``schema_id`` and ``version``
    are constants of the schema then, and ``block_length`` None, which is that of each message.
    """

    composite: Composite
    block_length: Field | None
    template_id: Field
    schema_id: Field
    version: Field
    group_count: Field | None  # numGroups, numVarDataFields: for stepping over what is unknown
    data_count: Field | None
    implied: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.composite.size


@dataclass(frozen=True)
class Dimension:
    """How a group says its entry block length and its count."""

    name: str
    size: int
    block_length: Field
    count: Field
    group_count: Field | None
    data_count: Field | None

    @property
    def has_counts(self) -> bool:
        return self.group_count is not None or self.data_count is not None


@dataclass(frozen=True)
class VarData:
    """How var data says its length; the bytes begin at ``data_offset``.

    ``charset`` is Python's name for the text encoding; None where the data are bytes.
    """

    name: str
    length: Field
    data_offset: int
    charset: str | None
    empty_is_null: bool
    is_embedded: bool


@dataclass(frozen=True)
class Minimum:
    """From acting version ``since`` on, a block is at least ``length`` bytes long."""

    since: int
    length: int


@dataclass(frozen=True)
class Block:
    """The fixed fields of a message or of a group entry."""

    length: int
    fields: tuple[Field, ...]
    minimums: tuple[Minimum, ...]

    @property
    def wire_fields(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.size)

    @property
    def since(self) -> int:
        """The first version that has every field, with all members of composites."""
        sent = (since for field in self.wire_fields for since, _ in field.sent())
        return max((*(field.since for field in self.fields), *sent), default=0)


@dataclass(frozen=True)
class Group:
    """``may_end``: a frame may end before it; then there are no entries."""

    name: str
    c_name: str
    schema_name: str
    id: int
    since: int
    dimension: Dimension
    block: Block
    groups: tuple[Group, ...]
    data: tuple[Data, ...]
    metadata: Mapping[str, str]
    deprecated: int | None
    description: str = field(compare=False)
    place: Place = field(compare=False)
    may_end: bool = False

    @property
    def is_flat(self) -> bool:
        """Whether entries are all of one size: then they are an array."""
        return not self.groups and not self.data


@dataclass(frozen=True)
class Data:
    """``may_end``: a frame may end before it; then it is absent."""

    name: str
    c_name: str
    schema_name: str
    id: int
    since: int
    var_data: VarData
    metadata: Mapping[str, str]
    deprecated: int | None
    description: str = field(compare=False)
    place: Place = field(compare=False)
    may_end: bool = False


@dataclass(frozen=True)
class Message:
    """``layout_since`` is the first version whose frames have this layout."""

    name: str
    schema_name: str
    template_id: int
    since: int
    block: Block
    groups: tuple[Group, ...]
    data: tuple[Data, ...]
    layout_since: int
    metadata: Mapping[str, str]
    deprecated: int | None
    semantic_type: str | None
    description: str = field(compare=False)
    place: Place = field(compare=False)


class Note(str):
    """A warning that is none: nothing is odd, but something had to be assumed."""

    __slots__ = ()


@dataclass(frozen=True)
class Module:
    """``warnings`` are what is allowed and probably not meant, as sentences with their place.

    Among them are notes: what was taken to be meant where the schema leaves it open. The usual
    dimension and data are those of the whole schema, whatever messages were chosen of it: unknown
    ones are taken to be like them, where something counts these.
    """

    package: str
    schema_id: int
    version: int
    semantic_version: str
    big_endian: bool
    header: Header
    enums: tuple[Enum, ...]
    sets: tuple[Set, ...]
    dimensions: tuple[Dimension, ...]
    var_data: tuple[VarData, ...]
    messages: tuple[Message, ...]
    removed: Mapping[int, str]
    warnings: tuple[str, ...] = field(compare=False)
    packet: PacketLayout | None = field(default=None, compare=False)
    usual_dimension: Dimension | None = None
    usual_data: VarData | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(each for each in self.warnings if isinstance(each, Note))

    def enum_and_set_names(self) -> list[str]:
        return [each.name for each in self.enums] + [each.name for each in self.sets]


def levels(level: Message | Group) -> Iterator[Message | Group]:
    """A message, or a group, and all groups in it, parents before children, as on the wire."""
    yield level
    for group in level.groups:
        yield from levels(group)
