"""A WebSocket server that sends frames as fast as they are taken, or at a pace.

    python benchmarks/burst_server.py COUNT [RATE]

A process of its own: it prints its port, serves one client after the other, answers SUBSCRIBE and
then sends COUNT bestBidAsk frames, RATE a second (0: all at once), prepared before anyone connects.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from data import best_bid_ask_frames

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DIFFERENT = 5_000
_MANY = 10_000  # a second, from which on frames are sent together


def framed(kind: int, payload: bytes) -> bytes:
    """One unmasked WebSocket frame of up to 65,535 bytes (RFC 6455, 5.2)."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([0x80 | kind]) + length + payload


def handshake(client: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        part = client.recv(65536)
        if not part:
            raise OSError("the client went away")
        request += part
    key = next(
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def exactly(client: socket.socket, size: int) -> bytes:
    """So many bytes; of a socket with TLS too, which knows no MSG_WAITALL."""
    found = b""
    while len(found) < size:
        part = client.recv(size - len(found))
        if not part:
            raise OSError("the client went away")
        found += part
    return found


def read_text(client: socket.socket) -> bytes:
    """A masked text frame of the client's, short as requests are."""
    head = exactly(client, 2)
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(exactly(client, 2), "big")
    mask = exactly(client, 4)
    payload = exactly(client, size)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def steady(client: socket.socket, frames: list[bytes], count: int, rate: float) -> None:
    """What is due every two milliseconds, together."""
    size = len(frames[0])
    chunks = rounds(frames)
    left = memoryview(b"")
    sent = 0
    started = time.perf_counter()
    while sent < count:
        due = min(count, int((time.perf_counter() - started) * rate)) - sent
        while due > 0:
            left = left or memoryview(next(chunks))
            part = left[: due * size]
            client.sendall(part)
            left = left[len(part) :]
            sent += len(part) // size
            due -= len(part) // size
        time.sleep(0.002)


def rounds(frames: list[bytes]) -> Iterator[bytearray]:
    """All frames, again and again, each time with later ids and times. They are of one length."""
    size = len(frames[0])
    joined = bytearray(b"".join(frames))
    at = {"names": ["time", "id"], "formats": ["<i8", "<i8"], "offsets": [10, 18], "itemsize": size}
    fields = np.frombuffer(joined, np.dtype(at))
    steps = {name: int(fields[name].max() - fields[name].min()) + 1 for name in ("time", "id")}
    while True:
        yield joined
        for name, step in steps.items():
            fields[name] += step


def serve(client: socket.socket, frames: list[bytes], count: int, rate: float) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    handshake(client)
    request = json.loads(read_text(client))
    client.sendall(framed(1, json.dumps({"result": None, "id": request["id"]}).encode()))
    if rate >= _MANY:
        steady(client, frames, count, rate)
    elif rate:
        started = time.perf_counter()
        for i in range(count):
            client.sendall(frames[i % len(frames)])
            time.sleep(max(0.0, started + (i + 1) / rate - time.perf_counter()))
    else:
        chunks = rounds(frames)
        for _ in range(count // len(frames)):
            client.sendall(next(chunks))
    client.sendall(framed(8, (1000).to_bytes(2, "big")))
    client.recv(65536)  # the client's close frame, or its end


def main() -> None:
    count = int(sys.argv[1])
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    frames = [framed(2, frame) for frame in best_bid_ask_frames(min(count, _DIFFERENT))]
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError, IndexError):  # the client went away
                serve(client, frames, count, rate)


if __name__ == "__main__":
    main()
