"""Reads of Arrow's flatbuffers what pyarrow does not tell: metadata of batches, and the footer.

The layouts are those of Arrow's Message.fbs and File.fbs. Every offset in them may be damaged: what
does not fit raises ValueError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_U16, _I32, _U32, _I64 = (struct.Struct(f"<{c}") for c in "HiIq")
_MOST_ENTRIES = 1_000_000  # of a vector
SCHEMA, RECORD_BATCH = 1, 3  # kinds of a message (MessageHeader)


class Block(NamedTuple):
    """Where a footer says that a batch is."""

    offset: int
    metadata_length: int  # with the eight bytes before it, and padding
    body_length: int


class Message(NamedTuple):
    kind: int
    body_length: int
    metadata: dict[bytes, bytes]


class _Table:
    """One table of a flatbuffer."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data = data
        self.at = at
        back: int
        (back,) = _I32.unpack_from(data, _inside(data, at, 4))
        self.fields_at = _inside(data, at - back, 4)
        (self.fields_size,) = _U16.unpack_from(data, self.fields_at)
        _inside(data, self.fields_at, self.fields_size)

    def field(self, number: int) -> int:
        """Where a field is; 0 where it is not there."""
        place = 4 + 2 * number
        if place + 2 > self.fields_size:
            return 0
        offset: int
        (offset,) = _U16.unpack_from(self.data, self.fields_at + place)
        return self.at + offset if offset else 0

    def number(self, number: int, form: struct.Struct) -> int:
        at = self.field(number)
        if not at:
            return 0
        found: int
        (found,) = form.unpack_from(self.data, _inside(self.data, at, form.size))
        return found

    def target(self, number: int) -> int:
        """Where what a field refers to is; 0 where it is not there."""
        at = self.field(number)
        return _followed(self.data, at) if at else 0

    def vector(self, number: int, size: int) -> Iterator[int]:
        """Where the elements of a vector are, each of so many bytes."""
        at = self.target(number)
        if not at:
            return
        (count,) = _U32.unpack_from(self.data, _inside(self.data, at, 4))
        if count > _MOST_ENTRIES:
            raise ValueError(f"a vector of {count} elements")
        _inside(self.data, at + 4, count * size)
        yield from range(at + 4, at + 4 + count * size, size)

    def bytes(self, number: int) -> bytes:
        at = self.target(number)
        if not at:
            return b""
        (count,) = _U32.unpack_from(self.data, _inside(self.data, at, 4))
        at = _inside(self.data, at + 4, count)
        return bytes(self.data[at : at + count])


def _inside(data: memoryview, at: int, size: int) -> int:
    if not 0 <= at <= at + size <= len(data):
        raise ValueError(f"{size} bytes at {at} are not within {len(data)}")
    return at


def _followed(data: memoryview, at: int) -> int:
    (offset,) = _U32.unpack_from(data, _inside(data, at, 4))
    return _inside(data, at + offset, 4)


def _pairs(table: _Table, number: int) -> dict[bytes, bytes]:
    """A vector of KeyValue."""
    data = table.data
    found = {}
    for at in table.vector(number, 4):
        pair = _Table(data, _followed(data, at))
        found[pair.bytes(0)] = pair.bytes(1)
    return found


def read_message(data: memoryview) -> Message:
    """Of the flatbuffer of a message, without the eight bytes before it."""
    table = _Table(data, _followed(data, 0))
    kind = table.number(1, struct.Struct("<B"))
    return Message(kind, table.number(3, _I64), _pairs(table, 4))


def schema_metadata(data: memoryview) -> dict[bytes, bytes]:
    """The metadata of the schema that a message of a schema has."""
    table = _Table(data, _followed(data, 0))
    if table.number(1, struct.Struct("<B")) != SCHEMA or not table.target(2):
        raise ValueError("no schema")
    return _pairs(_Table(data, table.target(2)), 2)


def read_footer(data: memoryview) -> list[Block]:
    """Of the flatbuffer of a footer."""
    table = _Table(data, _followed(data, 0))
    found = []
    for at in table.vector(3, 24):
        found.append(
            Block(
                _I64.unpack_from(data, at)[0],
                _I32.unpack_from(data, at + 8)[0],
                _I64.unpack_from(data, at + 16)[0],
            )
        )
    return found
