"""Datagrams with a header and many messages in each: what is where, and cutting them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from struct import Struct
from typing import Any, Literal, NamedTuple

import numpy as np

_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_MOST = 2**63 - 1
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
NO_NUMBER = -1  # the sequence and the time of packets that have none

Place = tuple[int, int]  # offset and size in bytes
EndOf = Callable[[Any, int], int]  # where a message ends that begins there; DecodeError


@dataclass(frozen=True)
class PacketLayout:
    """Where the numbers of a packet are; those that packets do not have are None.

    ``header``          bytes in front of the first message
    ``sequence``        (offset, size) of the packet's number
    ``time``            the same of the time it was sent, in ``time_unit`` since 1970
    ``count``           the same of how many messages it has
    ``message_header``  bytes of framing in front of each message
    ``length``          (offset, size) in there of the message's length. Without one, messages lie
                        end to end, and each ends where its last element does
    ``length_includes_header``  whether that counts the ``message_header`` too
    ``byte_order``      "little" or "big", of all of these
    """

    header: int = 0
    sequence: Place | None = None
    time: Place | None = None
    time_unit: str = "ns"
    count: Place | None = None
    message_header: int = 0
    length: Place | None = None
    length_includes_header: bool = True
    byte_order: Literal["big", "little"] = "little"

    @cached_property
    def reader(self) -> tuple[Any, int, int]:
        """What reads a message's length, where, and what is to be added; None where it has none."""
        if self.length is None:
            return None, 0, 0
        offset, size = self.length
        order = "<" if self.byte_order == "little" else ">"
        more = 0 if self.length_includes_header else self.message_header
        return Struct(order + _CODES[size]).unpack_from, offset, more

    def __post_init__(self) -> None:
        """Raises ValueError for what no packet can be."""
        for name in ("header", "message_header"):
            size = getattr(self, name)
            if type(size) is not int or not 0 <= size <= 0xFFFF:
                raise ValueError(f"{name} is a number of bytes from 0 to 65535, not {size!r}")
        within = {"length": self.message_header}
        for name in ("sequence", "time", "count", "length"):
            place = getattr(self, name)
            if place is not None:
                object.__setattr__(self, name, _place(name, place, within.get(name, self.header)))
        if not isinstance(self.time_unit, str) or self.time_unit not in _UNITS:
            raise ValueError(f"time_unit is {', '.join(_UNITS)}, not {self.time_unit!r}")
        if not isinstance(self.byte_order, str) or self.byte_order not in ("big", "little"):
            raise ValueError(f"byte_order is 'big' or 'little', not {self.byte_order!r}")
        if type(self.length_includes_header) is not bool:
            raise ValueError("length_includes_header is true or false")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> PacketLayout:
        """The one that a table of conventions describes. Raises ValueError."""
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                raise ValueError(f"packets have no '{key}'; they have {', '.join(known)}")
        return cls(**given)

    def number(self, data: Any, place: Place | None, base: int = 0) -> int | None:
        """The number at a place of ``data``, counted from the byte ``base``; None of no place."""
        if place is None:
            return None
        begin = base + place[0]
        return int.from_bytes(data[begin : begin + place[1]], self.byte_order)


def _place(name: str, given: Any, room: int) -> Place:
    good = isinstance(given, list | tuple) and [type(each) for each in given] == [int, int]
    if not good or given[1] not in (1, 2, 4, 8) or given[0] < 0:
        raise ValueError(f"{name} is [offset, size], with a size of 1, 2, 4 or 8, not {given!r}")
    if given[0] + given[1] > room:
        raise ValueError(f"{name} at {given[0]} with {given[1]} bytes is outside of {room} bytes")
    return given[0], given[1]


# CME Globex MDP 3.0: MsgSeqNum and SendingTime, then each message with its MsgSize.
CME_MDP3 = PacketLayout(header=12, sequence=(0, 4), time=(4, 8), message_header=2, length=(0, 2))
# B3 binary UMDF: channel, a reserved byte, the version of the sequence, its number and the time;
# then each message with its length and encoding type.
B3 = PacketLayout(header=16, sequence=(4, 4), time=(8, 8), message_header=4, length=(0, 2))
KNOWN = {"cme-mdp3": CME_MDP3, "b3-umdf": B3}


class Loss(NamedTuple):
    """What of the input is in no frame: ``size`` bytes from ``offset`` of ``packet`` on, and why.

    ``packet`` is the index of the packet in the input; None where it is the file that is damaged.
    """

    packet: int | None
    offset: int
    size: int
    why: str

    def __str__(self) -> str:
        place = "the file" if self.packet is None else f"packet {self.packet}"
        return f"{place}: {self.size} bytes from byte {self.offset} on are lost: {self.why}"


class Split(NamedTuple):
    """The messages of packets: ``frames`` and int64 arrays with an item for each of them."""

    frames: list[bytes]
    columns: dict[str, np.ndarray[Any, np.dtype[np.int64]]]
    losses: list[Loss]


class Packets:
    """Packets as an input of `decode_many`: rows of its tables know the packet they came in.

    ``packets`` is a list of buffers; ``layout`` says what is in them, and None leaves it to the
    conventions of the schema (without any, messages lie end to end, without a header).
    ``received_ns`` are the times at which they came, where they are known. ``losses`` is what is
    missing already. ``first`` is the index of the first packet, if they are a part of more.
    """

    def __init__(
        self,
        packets: Iterable[Any],
        layout: PacketLayout | None = None,
        *,
        received_ns: Sequence[int] | None = None,
        losses: Iterable[Loss] = (),
        numbers: Sequence[int] | None = None,
    ) -> None:
        self.packets = list(packets)
        self.layout = layout
        self.received_ns = list(received_ns or ())
        self.losses = tuple(losses)
        self.numbers = list(range(len(self.packets)) if numbers is None else numbers)
        if received_ns is not None and len(self.received_ns) != len(self.packets):
            raise ValueError(
                f"{len(self.received_ns)} times in received_ns for {len(self.packets)} packets"
            )
        if len(self.numbers) != len(self.packets):
            raise ValueError(f"{len(self.numbers)} numbers for {len(self.packets)} packets")

    def __len__(self) -> int:
        return len(self.packets)

    def split(self, layout: PacketLayout | None = None, end_of: EndOf | None = None) -> Split:
        """The messages in them. ``layout`` is for packets that have none of their own.

        ``end_of`` says where a message without a length ends: that of a schema's decoder.
        """
        layout = self.layout or layout or PacketLayout()
        frames: list[bytes] = []
        losses = list(self.losses)
        rows: list[tuple[int, int, int, int]] = []  # of each packet
        counts: list[int] = []
        for i, packet in enumerate(self.packets):
            number = self.numbers[i]
            found = _Packet(layout, number, memoryview(packet).cast("B"), losses)
            messages = found.messages(end_of)
            received = self.received_ns[i] if self.received_ns else 0
            rows.append((received, number, found.sequence, found.time))
            counts.append(len(messages))
            frames += messages
        table = np.array(rows, np.int64).reshape(len(rows), 4)
        columns = {"frame": np.arange(len(frames), dtype=np.int64)}
        names = ("received_ns", "packet", "packet_sequence", "packet_time")
        for i, name in enumerate(names):
            columns[name] = np.repeat(table[:, i], counts)
        return Split(frames, columns, losses)


class _Packet:
    """One packet, and what is wrong with it."""

    def __init__(
        self, layout: PacketLayout, number: int, data: memoryview, losses: list[Loss]
    ) -> None:
        self.layout = layout
        self.number = number
        self.data = data
        self.losses = losses
        self.sequence = self.time = NO_NUMBER
        if len(data) < layout.header:
            self.lose(0, f"a packet header has {layout.header} bytes")
            self.data = data[:0]
            return
        self.sequence = self.within(layout.sequence, "sequence", 1)
        self.time = self.within(layout.time, "time", _UNITS[layout.time_unit])

    def lose(self, offset: int, why: str) -> None:
        self.losses.append(Loss(self.number, offset, len(self.data) - offset, why))

    def within(self, place: Place | None, what: str, unit: int) -> int:
        """A number of the header as a column can hold it."""
        value = self.layout.number(self.data, place)
        if value is None:
            return NO_NUMBER
        if value * unit > _MOST:
            why = f"{what} {value} is more than 63 bits hold"
            self.losses.append(Loss(self.number, 0, 0, why))
            return NO_NUMBER
        return value * unit

    def messages(self, end_of: EndOf | None) -> list[bytes]:
        layout, data = self.layout, self.data
        if not data:
            return []
        result: list[bytes] = []
        before = len(self.losses)
        at, head, size = layout.header, layout.message_header, len(data)
        # What is right is read here, and anything else where there is time to say what it is.
        read, offset, more = layout.reader
        while at < size:
            begin = at + head
            end = at + read(data, at + offset)[0] + more if read and begin <= size else 0
            if not begin < end <= size:
                end = self.end(at, begin, end_of)
                if end <= at:
                    break
            result.append(bytes(data[begin:end]))  # which are read faster than views
            at = end
        count = layout.number(data, layout.count)
        if count is not None and count != len(result) and len(self.losses) == before:
            why = f"its header says {count} messages, and it has {len(result)}"
            self.losses.append(Loss(self.number, 0, 0, why))
        return result

    def end(self, at: int, begin: int, end_of: EndOf | None) -> int:
        """Where the message ends whose framing begins at ``at``; 0 where a loss was noted."""
        layout, data = self.layout, self.data
        left = len(data) - at
        if begin > len(data):
            self.lose(at, f"a message has {layout.message_header} bytes of framing")
            return 0
        length = layout.number(data, layout.length, at)
        if length is None:
            if end_of is None:
                return len(data)
            # What is no message is a frame up to the end of the packet: it will be refused.
            end = end_of(data, begin)
            return end if at < end <= len(data) else len(data)
        whole = length if layout.length_includes_header else length + layout.message_header
        if whole <= layout.message_header:
            self.lose(at, f"a message of {length} bytes has no room for itself")
            return 0
        if whole > left:
            self.lose(at, f"a message needs {whole} bytes, {left} are left")
            return 0
        return at + whole
