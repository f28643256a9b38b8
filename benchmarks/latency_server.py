"""Sends bestBidAsk frames to one client after the other, at a pace or all at once, with TLS or not.

    python benchmarks/latency_server.py CERTIFICATE

A process of its own, moved by lines of JSON. It prints its port; each line that it reads, such as
{"count": 1000, "rate": 1000, "tls": false}, is for the next client, and it prints what that client
was sent: how many frames, the sum of their update ids, and of their bid prices.

With a rate each frame is sent alone (one TLS record, too), and its ``book_update_id`` is the time
at which it is sent, in ns of CLOCK_MONOTONIC, which all processes of a machine share. Without one
(0) frames are sent as fast as they are taken, many in each TLS record.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from burst_server import framed, handshake, read_text
from data import best_bid_ask_frames

_DIFFERENT = 5_000
_FIELDS = {"names": ["time", "id", "bid"], "formats": ["<i8"] * 3, "offsets": [10, 18, 28]}
_PATIENCE = 60.0  # s


class Sums:
    """Of what was sent."""

    def __init__(self) -> None:
        self.count = self.ids = self.prices = 0


def paced(client: socket.socket, frames: list[bytes], count: int, rate: float) -> Sums:
    sums = Sums()
    prepared = [bytearray(frame) for frame in frames]
    prices = [struct.unpack_from("<q", frame, 28)[0] for frame in frames]
    clock, period, stamp = time.monotonic_ns, int(1e9 / rate), struct.Struct("<qq").pack_into
    start = clock() + period
    for i in range(count):
        frame = prepared[i % len(prepared)]
        wait = start + i * period - clock()
        if wait > 0:
            time.sleep(wait / 1e9)
        now = clock()
        stamp(frame, 10, time.time_ns() // 1000, now)
        client.sendall(frame)
        sums.count += 1
        sums.ids += now
        sums.prices += prices[i % len(prices)]
    return sums


def burst(client: socket.socket, frames: list[bytes], count: int) -> Sums:
    """All frames again and again, with ids and times that go on. They are of one length."""
    sums = Sums()
    size = len(frames[0])
    joined = bytearray(b"".join(frames))
    fields = np.frombuffer(joined, np.dtype(_FIELDS | {"itemsize": size}))
    steps = {name: int(np.ptp(fields[name])) + 1 for name in ("time", "id")}
    while sums.count < count:
        part = min(len(frames), count - sums.count)
        client.sendall(memoryview(joined)[: part * size])
        sums.count += part
        sums.ids += int(fields["id"][:part].sum())
        sums.prices += int(fields["bid"][:part].sum())
        for name, step in steps.items():
            fields[name] += step
    return sums


def serve(client: socket.socket, frames: list[bytes], wanted: dict[str, float]) -> Sums:
    handshake(client)
    request = json.loads(read_text(client))
    client.sendall(framed(1, json.dumps({"result": None, "id": request["id"]}).encode()))
    if wanted["rate"]:
        sums = paced(client, frames, int(wanted["count"]), wanted["rate"])
    else:
        sums = burst(client, frames, int(wanted["count"]))
    if client.recv(65536):  # its close frame, where it does not just hang up
        client.sendall(framed(8, (1000).to_bytes(2, "big")))
    return sums


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    frames = [framed(2, frame) for frame in best_bid_ask_frames(_DIFFERENT)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        for line in sys.stdin:
            wanted = json.loads(line)
            client, _ = server.accept()
            client.settimeout(_PATIENCE)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client:
                said: dict[str, object] = {}
                try:
                    if wanted["tls"]:
                        client = context.wrap_socket(client, server_side=True)
                    with client:
                        said = vars(serve(client, frames, wanted))
                except OSError as error:
                    said = {"error": repr(error)}
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
