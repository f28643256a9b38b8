"""From the bytes of a link to the payload of a UDP datagram."""

from __future__ import annotations

import socket

_VLAN = (0x8100, 0x88A8, 0x9100)
_IPV4, _IPV6 = 0x0800, 0x86DD
_UDP = 17
_FRAGMENT = 44
_EXTENSIONS = (0, 43, 60, 135)  # of IPv6: options and routes, which may come before UDP

_NULL, _ETHERNET, _RAW, _LOOP, _COOKED, _IP4, _IP6, _COOKED2 = 0, 1, 101, 108, 113, 228, 229, 276
_NAMES = "Ethernet, raw IP, Linux cooked and loopback"

Udp = tuple[str, int, str, int, memoryview]  # source and its port, destination and its port, data


class NotUdp(Exception):
    """Another protocol: nothing that anybody wants here."""


class Unusable(Exception):
    """What is, or may be, UDP, and is not whole. Where it went to is None where nobody knows."""

    def __init__(self, why: str, address: str | None = None, port: int | None = None) -> None:
        super().__init__(why)
        self.address = address
        self.port = port


def udp(link: int, data: memoryview, size: int) -> Udp:
    """The datagram in a packet that had ``size`` bytes on its link. Raises NotUdp and Unusable."""
    try:
        return _ip(*_without_link(link, data), missing=size - len(data))
    except (IndexError, ValueError) as error:
        raise Unusable(_cut(size - len(data))) from error


def _cut(missing: int) -> str:
    if missing > 0:
        return f"the capture has cut off {missing} bytes (its snapshot length is too small)"
    return "it ends amid its headers"


def _number(data: memoryview, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], "big")


def _without_link(link: int, data: memoryview) -> tuple[int, memoryview]:
    """The type of what is inside (an EtherType), and its bytes."""
    if link == _ETHERNET:
        at, kind = 14, _number(data, 12, 2)
    elif link == _COOKED:
        at, kind = 16, _number(data, 14, 2)
    elif link == _COOKED2:
        at, kind = 20, _number(data, 0, 2)
    elif link in (_NULL, _LOOP):
        at, kind = 4, 0
    elif link in (_RAW, _IP4, _IP6):
        at, kind = 0, 0
    else:
        raise Unusable(f"its link is of type {link}, which is none of {_NAMES}")
    while kind in _VLAN:
        at, kind = at + 4, _number(data, at + 2, 2)
    if kind == 0:  # loopback and raw IP: the version says it
        kind = {4: _IPV4, 6: _IPV6}.get(_number(data, at, 1) >> 4, 0)
    return kind, data[at:]


def _ip(kind: int, data: memoryview, missing: int) -> Udp:
    if kind == _IPV4:
        size = (_number(data, 0, 1) & 15) * 4
        total, pieces = _number(data, 2, 2), _number(data, 6, 2)
        protocol = _number(data, 9, 1)
        source, address = (_text(socket.AF_INET, data[at : at + 4]) for at in (12, 16))
        if protocol != _UDP:
            raise NotUdp
        if pieces & 0x3FFF:  # more are to come, or it is not the first
            port = _port(data[size:]) if not pieces & 0x1FFF else None
            raise Unusable("a fragment of an IPv4 datagram", address, port)
        end = total or len(data)  # 0: the network card cuts it up later
    elif kind == _IPV6:
        size, protocol = 40, _number(data, 6, 1)
        source, address = (_text(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
        while protocol in _EXTENSIONS:
            protocol, size = _number(data, size, 1), size + (_number(data, size + 1, 1) + 1) * 8
        if protocol == _FRAGMENT and _number(data, size, 1) == _UDP:
            if _number(data, size + 2, 2) & 0xFFF9:
                first = not _number(data, size + 2, 2) & 0xFFF8
                port = _port(data[size + 8 :]) if first else None
                raise Unusable("a fragment of an IPv6 datagram", address, port)
            protocol, size = _UDP, size + 8  # of one piece
        if protocol != _UDP:
            raise NotUdp
        end = 40 + _number(data, 4, 2) if _number(data, 4, 2) else len(data)
    else:
        raise NotUdp
    return _udp(source, address, data[size : max(end, size)], missing)


def _text(family: int, address: memoryview) -> str:
    return socket.inet_ntop(family, bytes(address))  # ValueError where it is cut


def _port(data: memoryview) -> int | None:
    return _number(data, 2, 2) if len(data) >= 4 else None


def _udp(source: str, address: str, data: memoryview, missing: int) -> Udp:
    if len(data) < 8:
        raise Unusable(_cut(missing), address, _port(data))
    source_port, port, length = (_number(data, at, 2) for at in (0, 2, 4))
    length = length or len(data)
    if length < 8:
        raise Unusable(f"a UDP length of {length} bytes, which none has", address, port)
    if length > len(data):
        raise Unusable(_cut(missing), address, port)
    return source, source_port, address, port, data[8:length]
