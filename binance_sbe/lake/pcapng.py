"""Frames as packets: a capture of the WebSocket connections as it might have been, without TLS.

Wireshark and tshark take it for what it looks like: TCP with a handshake, the upgrade of HTTP, and
WebSocket messages. Times are those of the tape, in nanoseconds.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_RAW_IP = 101  # link type: packets begin with IP
_CLIENT, _SERVER, _PORT = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 80
_FIRST_PORT = 20_000
_MOST = 60_000  # bytes of one packet
_SYN, _ACK, _PUSH = 0x02, 0x10, 0x08
_IP = struct.Struct(">BBHHHBBH4s4s")
_TCP = struct.Struct(">HHIIBBHHH")
_REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: exchange\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Packets:
    """Writes a pcapng file; `put` each frame, by time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sent: dict[int, int] = {}  # bytes that the exchange has sent, by connection
        header = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self._block(0x0A0D0D0A, header)
        nanoseconds = struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HH", 0, 0)
        self._block(1, struct.pack("<HHI", _RAW_IP, 0, 0) + nanoseconds)

    def put(self, received_ns: int, connection: int, frame: bytes) -> None:
        """One binary message of a connection."""
        if connection not in self._sent:
            self._open(received_ns, connection)
        size = len(frame)
        if size < 126:
            head = struct.pack(">BB", 0x82, size)
        elif size < 65_536:
            head = struct.pack(">BBH", 0x82, 126, size)
        else:
            head = struct.pack(">BBQ", 0x82, 127, size)
        message = head + frame
        for begin in range(0, len(message), _MOST):
            self._from_server(received_ns, connection, message[begin : begin + _MOST])

    def _open(self, when: int, connection: int) -> None:
        self._sent[connection] = 0
        self._packet(when, connection, False, 0, 0, _SYN)
        self._packet(when, connection, True, 0, 1, _SYN | _ACK)
        self._packet(when, connection, False, 1, 1, _ACK)
        self._packet(when, connection, False, 1, 1, _PUSH | _ACK, _REQUEST)
        self._from_server(when, connection, _ANSWER)

    def _from_server(self, when: int, connection: int, data: bytes) -> None:
        sent = self._sent[connection]
        place = (1 + sent) & 0xFFFFFFFF
        self._packet(when, connection, True, place, 1 + len(_REQUEST), _PUSH | _ACK, data)
        self._sent[connection] = sent + len(data)

    def _packet(
        self, when: int, connection: int, is_answer: bool, place: int, seen: int, flags: int,
        data: bytes = b"",
    ) -> None:  # fmt: skip
        ports = _FIRST_PORT + connection % 40_000, _PORT
        ends = _CLIENT, _SERVER
        if is_answer:
            ports, ends = ports[::-1], ends[::-1]
        tcp = _TCP.pack(*ports, place, seen, 5 << 4, flags, 65_535, 0, 0)
        length = _IP.size + len(tcp) + len(data)
        ip = _IP.pack(0x45, 0, length, 0, 0x4000, 64, 6, 0, *ends)
        ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
        packet = ip + tcp + data
        high, low = divmod(when, 1 << 32)
        body = struct.pack("<IIIII", 0, high, low, len(packet), len(packet)) + packet
        self._block(6, body)

    def _block(self, kind: int, body: bytes) -> None:
        body += b"\0" * (-len(body) % 4)
        length = len(body) + 12
        self._file.write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))


def _checksum(header: bytes) -> int:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)
