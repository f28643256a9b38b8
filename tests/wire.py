"""Captures and packets written by hand, as the tests of framing read them."""

from __future__ import annotations

import struct


def udp(payload: bytes, port: int = 7, source_port: int = 9) -> bytes:
    return struct.pack(">HHHH", source_port, port, len(payload) + 8, 0) + payload


def ipv4(body: bytes, pieces: int = 0, protocol: int = 17) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, pieces, 9, protocol, 0)
    return head + bytes([10, 0, 0, 1, 224, 0, 31, 1]) + body


def ipv6(body: bytes, next_header: int = 17) -> bytes:
    addresses = bytes(15) + b"\1" + b"\xff\x02" + bytes(13) + b"\5"
    return struct.pack(">IHBB", 6 << 28, len(body), next_header, 9) + addresses + body


def ethernet(body: bytes, kind: int = 0x0800, vlans: tuple[int, ...] = ()) -> bytes:
    tags = b"".join(struct.pack(">HH", each, 5) for each in vlans)
    padded = body + bytes(max(0, 46 - len(body)))  # as short frames have on the wire
    return bytes(12) + tags + struct.pack(">H", kind) + padded


def pcap(
    packets: list[bytes], order: str = "<", nano: bool = False, link: int = 1, kept: int = 65535
) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, kept, link)
    for i, packet in enumerate(packets):
        data = packet[:kept]
        out += struct.pack(f"{order}IIII", 1_700_000_000, 5 + i, len(data), len(packet)) + data
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link: int = 1, resolution: int | None = None) -> bytes:
    options = b""
    if resolution is not None:
        options = struct.pack(f"{order}HHB3xHH", 9, 1, resolution, 0, 0)
    return block(order, 1, struct.pack(f"{order}HHI", link, 0, 0) + options)


def enhanced(
    order: str, packet: bytes, time: int, number: int = 0, size: int | None = None
) -> bytes:
    head = struct.pack(
        f"{order}IIIII", number, time >> 32, time & 0xFFFFFFFF, len(packet), size or len(packet)
    )
    return block(order, 6, head + packet)
