"""A resolved schema: a tree in which every offset, null, version and name is a plain value.

The renderer reads this and looks nothing up. Offsets are bytes from the start of the block (or
composite) that the thing lies in. ``name`` is the Python name, ``c_name`` the one in C structs,
``schema_name`` the one in the XML.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .primitives import Primitive


@dataclass(frozen=True)
class Scalar:
    """One number on the wire, such as a header member."""

    name: str
    schema_name: str
    primitive: Primitive
    offset: int


@dataclass(frozen=True)
class Header:
    """The message header: its size and its members, those that SBE requires by name among them."""

    size: int
    members: tuple[Scalar, ...]

    def member(self, schema_name: str) -> Scalar:
        return next(member for member in self.members if member.schema_name == schema_name)


@dataclass(frozen=True)
class Dimension:
    """How a group says its entry block length and its count."""

    name: str
    size: int
    block_length: Scalar
    count: Scalar


@dataclass(frozen=True)
class VarData:
    """How var data says its length; the bytes begin at ``data_offset``.

    ``encoding`` is Python's name for the text encoding; None where the data are bytes.
    """

    name: str
    length: Scalar
    data_offset: int
    encoding: str | None


@dataclass(frozen=True)
class EnumValue:
    name: str
    schema_name: str
    value: int


@dataclass(frozen=True)
class Enum:
    """``null`` is the value that means "nothing", whether or not a field may be null."""

    name: str
    schema_name: str
    primitive: Primitive
    null: int
    values: tuple[EnumValue, ...]
    line: int

    @property
    def is_bool(self) -> bool:
        return {value.schema_name for value in self.values} == {"False", "True"}


@dataclass(frozen=True)
class Exponent:
    """Where a mantissa's exponent is: the field's name, in the same block or ``levels`` above."""

    field: str
    levels: int


@dataclass(frozen=True)
class Field:
    """A fixed field of a block. ``null`` is None where the field can't be null.

    ``constant`` is the value of a field that takes no bytes; such a field has no offset.
    """

    name: str
    c_name: str
    schema_name: str
    id: int
    primitive: Primitive
    offset: int
    since: int
    optional: bool
    null: int | None
    enum: Enum | None
    exponent: Exponent | None
    constant: int | None
    description: str
    line: int

    @property
    def end(self) -> int:
        return self.offset + self.primitive.size


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
        return tuple(field for field in self.fields if field.constant is None)

    @property
    def since(self) -> int:
        """The first version that has every field."""
        return max((field.since for field in self.fields), default=0)


@dataclass(frozen=True)
class Group:
    name: str
    c_name: str
    schema_name: str
    id: int
    since: int
    dimension: Dimension
    block: Block
    line: int

    def row_name(self, message_name: str) -> str:
        """The C struct of the group's rows in tables."""
        return f"{message_name}{self.schema_name[:1].upper()}{self.schema_name[1:]}Row"


@dataclass(frozen=True)
class Data:
    name: str
    c_name: str
    schema_name: str
    id: int
    since: int
    var_data: VarData
    line: int


@dataclass(frozen=True)
class Message:
    name: str
    template_id: int
    since: int
    description: str
    block: Block
    groups: tuple[Group, ...]
    data: tuple[Data, ...]
    line: int


@dataclass(frozen=True)
class Module:
    package: str
    schema_id: int
    version: int
    semantic_version: str
    big_endian: bool
    header: Header
    enums: tuple[Enum, ...]
    dimensions: tuple[Dimension, ...]
    var_data: tuple[VarData, ...]
    messages: tuple[Message, ...]

    def blocks(self) -> Iterator[Block]:
        for message in self.messages:
            yield message.block
            for group in message.groups:
                yield group.block
