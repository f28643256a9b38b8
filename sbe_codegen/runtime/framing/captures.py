"""The UDP datagrams of pcap and pcapng files: all that came whole, and what of the rest is lost."""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from operator import index
from pathlib import Path
from typing import Any, NamedTuple

from . import links
from .links import NotUdp, Unusable
from .packets import Loss, PacketLayout, Packets
from .pcap import Record, records
from .streams import PacketError


class Datagram(NamedTuple):
    """One UDP datagram: ``number`` is the index of its packet in the file, from 0 on.

    ``received_ns`` is the capture's time (ns since 1970; 0 where it has none). ``payload`` is a
    view over the file, which lives as long as any of these.
    """

    number: int
    received_ns: int
    source: str
    source_port: int
    address: str
    port: int
    payload: memoryview


class Capture:
    """A pcap or pcapng file (of micro- or nanoseconds, in either byte order).

    ``path`` is a file, which is mapped and not read into memory, or a buffer with its content.
    With ``port`` or ``address`` only datagrams to those are given. It is iterated over any number
    of times; after each, ``losses`` has what could not be read (fragments, packets that the capture
    has cut short, a file that ends amid a packet), ``others`` is how many packets were no UDP, and
    ``skipped`` how many datagrams went elsewhere. Link layers are Ethernet (with VLAN tags), raw
    IP, Linux cooked and loopback. Raises PacketError for what is no capture, OSError for a file
    that can't be read.
    """

    def __init__(self, path: Any, *, port: int | None = None, address: str | None = None) -> None:
        self.port = None if port is None else _port(port)
        self.address = None if address is None else plain_address(address)
        self._data = _mapped(path)
        self.losses: list[Loss] = []
        self.others = 0
        self.skipped = 0
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else "this"
        next(records(self._data, name), None)  # what is no capture is said at once

    def __iter__(self) -> Iterator[Datagram]:
        self.losses = []
        self.others = 0
        self.skipped = 0
        for number, each in enumerate(records(self._data)):
            if isinstance(each, Loss):
                self.losses.append(each)
                continue
            try:
                found = self._datagram(number, each)
            except NotUdp:
                self.others += 1
            except Unusable as error:
                if self._is_wanted(error.address, error.port):
                    self.losses.append(Loss(number, 0, len(each.data), str(error)))
                else:
                    self.skipped += 1
            else:
                if self._is_wanted(found.address, found.port):
                    yield found
                else:
                    self.skipped += 1

    def _datagram(self, number: int, record: Record) -> Datagram:
        udp = links.udp(record.link, record.data, record.size)
        return Datagram(number, record.time_ns, *udp)

    def _is_wanted(self, address: str | None, port: int | None) -> bool:
        """Where it is not known where something went, it may have been for us."""
        other_port = None not in (self.port, port) and self.port != port
        other_address = None not in (self.address, address) and self.address != address
        return not other_port and not other_address

    def packets(self, layout: PacketLayout | None = None) -> Packets:
        """All of it as one input of `decode_many`; of a long capture take `parts`."""
        return _packets(list(self), layout, self.losses)

    def parts(self, most: int = 100_000, layout: PacketLayout | None = None) -> Iterator[Packets]:
        """The same in parts of at most ``most`` datagrams, each with the losses before its end."""
        if most < 1:
            raise ValueError(f"most is at least 1 datagram, not {most}")
        given = 0
        datagrams = iter(self)
        while True:
            part = list(islice(datagrams, most))
            losses = self.losses[given:]
            given += len(losses)
            if not part and not losses:
                return
            yield _packets(part, layout, losses)


def _packets(datagrams: list[Datagram], layout: PacketLayout | None, losses: list[Loss]) -> Packets:
    return Packets(
        [each.payload for each in datagrams],
        layout,
        received_ns=[each.received_ns for each in datagrams],
        losses=losses,
        numbers=[each.number for each in datagrams],
    )


def _port(number: int) -> int:
    """TypeError for what is no whole number, ValueError for one that is no port."""
    if not 0 < index(number) <= 65535:
        raise ValueError(f"port is from 1 to 65535, not {number}")
    return index(number)


def plain_address(text: str) -> str:
    """An address in the spelling that datagrams have. ValueError for what is none."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            return socket.inet_ntop(family, socket.inet_pton(family, text))
    raise ValueError(f"address is an IPv4 or IPv6 address, not {text!r}")


def _mapped(given: Any) -> memoryview:
    if not isinstance(given, str | os.PathLike):
        return memoryview(given).cast("B")
    with Path(given).open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise PacketError(f"{os.fspath(given)} is empty, and no capture", 0)
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
