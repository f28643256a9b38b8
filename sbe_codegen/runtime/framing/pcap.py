"""The records of pcap and pcapng files: bytes that a link has carried, with times."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .packets import Loss
from .streams import PacketError

_MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # ns in a unit of the fraction of a second
_SECTION, _INTERFACE, _OLD, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
_UNIT, _OFFSET = 9, 14  # options of an interface: if_tsresol and if_tsoffset
_MOST = 2**63 - 1


class Record(NamedTuple):
    """One packet: what was kept of its ``size`` bytes, and the type of link (LINKTYPE_*)."""

    link: int
    time_ns: int
    data: memoryview
    size: int


def is_capture(start: bytes) -> bool:
    """Whether a file that begins with these bytes is a pcap or a pcapng file."""
    if len(start) < 4:
        return False
    return start[:4] == b"\n\r\r\n" or any(
        struct.unpack(f"{order}I", start[:4])[0] in _MAGIC for order in _ORDERS
    )


def records(data: memoryview, name: str = "this") -> Iterator[Record | Loss]:
    """Those of a file, in its order; last a Loss, if the file goes on with what is no record.

    Raises PacketError, which calls it ``name``, where it is no capture at all.
    """
    if bytes(data[:4]) == b"\n\r\r\n":
        return _Blocks(data).records()
    if not is_capture(bytes(data[:4])):
        raise PacketError(f"{name} is no pcap or pcapng file, by the number that it begins with", 0)
    return _plain(data)


def _plain(data: memoryview) -> Iterator[Record | Loss]:
    order = next(o for o in _ORDERS if struct.unpack(f"{o}I", data[:4])[0] in _MAGIC)
    unit = _MAGIC[struct.unpack(f"{order}I", data[:4])[0]]
    if len(data) < 24:
        yield Loss(None, 0, len(data), "a file header has 24 bytes")
        return
    link = struct.unpack(f"{order}I", data[20:24])[0] & 0xFFFF  # above it: the length of a checksum
    head = struct.Struct(f"{order}IIII")
    at = 24
    while at < len(data):
        if len(data) - at < head.size:
            yield Loss(None, at, len(data) - at, "the file ends amid the header of a packet")
            return
        seconds, fraction, kept, size = head.unpack_from(data, at)
        begin = at + head.size
        if kept > len(data) - begin:
            why = f"the file ends amid a packet of {kept} bytes"
            yield Loss(None, at, len(data) - at, why)
            return
        yield Record(link, seconds * 10**9 + fraction * unit, data[begin : begin + kept], size)
        at = begin + kept


@dataclass
class _Interface:
    link: int
    per_second: int = 10**6
    offset: int = 0  # seconds
    most: int = 2**32  # bytes that are kept of a packet

    def time(self, high: int, low: int) -> int:
        time = ((high << 32) | low) * 10**9 // self.per_second + self.offset * 10**9
        return time if 0 <= time <= _MOST else 0


@dataclass
class _Blocks:
    """The blocks of a pcapng file. Its sections have byte orders and interfaces of their own."""

    data: memoryview
    order: str = "<"
    interfaces: list[_Interface] = field(default_factory=list)

    def records(self) -> Iterator[Record | Loss]:
        at = 0
        while at < len(self.data):
            left = len(self.data) - at
            if left < 12:
                yield Loss(None, at, left, "the file ends amid the header of a block")
                return
            if bytes(self.data[at : at + 4]) == b"\n\r\r\n":
                mark = bytes(self.data[at + 8 : at + 12])
                if mark not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                    yield Loss(None, at, left, "a section without a byte order")
                    return
                self.order = ">" if mark[0] == 0x1A else "<"
                self.interfaces = []
            kind, size = struct.unpack_from(f"{self.order}II", self.data, at)
            if size > left:
                yield Loss(None, at, left, f"the file ends amid a block of {size} bytes")
                return
            if size < 12 or size % 4:
                yield Loss(None, at, left, f"a block of {size} bytes, which none has")
                return
            try:
                found = self.block(kind, self.data[at + 8 : at + size - 4])
            except struct.error:
                found = Loss(None, at, size, "a block that is too short for what it should have")
            if isinstance(found, Loss):
                found = found._replace(offset=at, size=size)
            if found is not None:
                yield found
            at += size

    def block(self, kind: int, body: memoryview) -> Record | Loss | None:
        if kind == _INTERFACE:
            self.interfaces.append(self.interface(body))
        elif kind == _ENHANCED:
            number, high, low, kept, size = struct.unpack_from(f"{self.order}IIIII", body)
            return self.record(number, high, low, kept, size, body[20:])
        elif kind == _OLD:
            number, _, high, low, kept, size = struct.unpack_from(f"{self.order}HHIIII", body)
            return self.record(number, high, low, kept, size, body[20:])
        elif kind == _SIMPLE:
            (size,) = struct.unpack_from(f"{self.order}I", body)
            most = self.interfaces[0].most if self.interfaces else size
            return self.record(0, 0, 0, min(size, most, len(body) - 4), size, body[4:])
        return None

    def record(
        self, number: int, high: int, low: int, kept: int, size: int, data: memoryview
    ) -> Record | Loss:
        if number >= len(self.interfaces):
            return Loss(None, 0, kept, f"a packet of interface {number}, which the file lacks")
        if kept > len(data):
            return Loss(None, 0, len(data), f"a packet of {kept} bytes in a block of {len(data)}")
        interface = self.interfaces[number]
        time = interface.time(high, low) if high or low else 0
        return Record(interface.link, time, data[:kept], size)

    def interface(self, body: memoryview) -> _Interface:
        link, _, most = struct.unpack_from(f"{self.order}HHI", body)
        made = _Interface(link)
        made.most = most or made.most  # 0: all of it
        at = 8
        while at + 4 <= len(body):
            code, size = struct.unpack_from(f"{self.order}HH", body, at)
            value = bytes(body[at + 4 : at + 4 + size])
            if code == 0:
                break
            if code == _UNIT and size >= 1:
                base, power = (2, value[0] & 0x7F) if value[0] & 0x80 else (10, value[0])
                made.per_second = base ** min(power, 64)
            elif code == _OFFSET and size == 8:
                (made.offset,) = struct.unpack(f"{self.order}q", value)
            at += 4 + size + -size % 4
        return made
