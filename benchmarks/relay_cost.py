"""What a relay costs: clients that have the same streams, and what they all get of them.

    .venv/bin/python benchmarks/relay_cost.py [--clients 20] [--streams 20] [--rate 20000]

Three processes: an exchange that sends bestBidAsk and trades of so many streams, the relay, and
clients that read. What the clients get is proved to be what the exchange sent, to the last byte
and in order, before anything is said of the time that the relay's process took for it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from binance_sbe import connect
from binance_sbe.serving.clients import framed
from binance_sbe.serving.relay import Relay
from binance_sbe.serving.server import Server
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

TICK = 0.002


def frames_of(count: int, number: int) -> list[tuple[str, bytes]]:
    """One message for each of so many streams."""
    made = []
    for i in range(count):
        symbol = f"SYM{i // 2}USDT"
        head = symbol, -2, -8, time.time_ns() // 1000
        if i % 2:
            event = BestBidAsk(*head, number, (9412345, 5), (9412346, 6))
            made.append((f"{symbol.lower()}@bestBidAsk", encode(event)))
        else:
            trades = Trades(*head, head[3], (Trade(number, 9412345, 5, True),))
            made.append((f"{symbol.lower()}@trade", encode(trades)))
    return made


class Source(Server):
    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0, soft_buffer=1 << 30, max_buffer=1 << 30)

    def exists(self, stream: str) -> bool:
        return True


def exchange(streams: int, rate: float, seconds: float, link: Connection) -> None:
    async def work() -> None:
        source = Source()
        await source._open()
        link.send(source.url)
        await asyncio.to_thread(link.recv)  # all are there
        began = time.monotonic()
        sent = number = 0
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * rate:
                number += 1
                for stream, frame in frames_of(streams, number):
                    source.send(stream, frame)
                sent += streams
            await asyncio.sleep(TICK)
        await asyncio.sleep(1.0)
        link.send(sent)
        link.recv()
        await source._close()

    asyncio.run(work())


def relay(url: str, link: Connection) -> None:
    async def work() -> None:
        feed = connect(url=url, api_key="any", proxy=None, on_error="collect")
        async with Relay(feed) as serving:
            link.send(serving.url)
            loop = asyncio.get_running_loop()
            while True:
                what = await loop.run_in_executor(None, link.recv)
                there = sum(map(len, serving._by_stream.values()))
                link.send((time.process_time(), serving.passed, serving.events_sent,
                           serving.conflated, serving.clients_cut, there))  # fmt: skip
                if what == "end":
                    return

    asyncio.run(work())


async def read(port: int, path: str, seconds: float) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    parts = []
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(1 << 20):
                parts.append(part)
    except TimeoutError:
        pass
    writer.close()
    return b"".join(parts)


def clients(url: str, count: int, streams: int, seconds: float, link: Connection) -> None:
    async def work() -> None:
        port = int(url.rpartition(":")[2])
        path = "/ws/" + "/".join(name for name, _ in frames_of(streams, 1))
        reading = [asyncio.create_task(read(port, path, seconds)) for _ in range(count)]
        await asyncio.sleep(1.5)
        link.send("ready")
        found = await asyncio.gather(*reading)
        link.send([(hash(each), len(each)) for each in found])

    asyncio.run(work())


def seen(relaying: Connection, is_so: Callable[[tuple[float, ...]], bool]) -> tuple[float, ...]:
    """What the relay says of itself, once that is so."""
    for _ in range(300):
        relaying.send("now")
        told = relaying.recv()
        if is_so(told):
            return told
        time.sleep(0.02)
    raise SystemExit(f"the relay is not there yet: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    os.environ["PYTHONHASHSEED"] = "0"
    context = multiprocessing.get_context("fork")
    links = {}
    processes = []

    def start(name: str, function: Callable[..., None], *arguments: object) -> Connection:
        ours, theirs = context.Pipe()
        process = context.Process(target=function, args=(*arguments, theirs))
        process.start()
        processes.append(process)
        links[name] = ours
        return ours

    source = start("exchange", exchange, given.streams, given.rate, given.seconds)
    upstream = source.recv()
    relaying = start("relay", relay, upstream)
    url = relaying.recv()
    reading = start("clients", clients, url, given.clients, given.streams, given.seconds + 4.0)
    assert reading.recv() == "ready"
    before = seen(relaying, lambda told: told[5] == given.clients * given.streams)
    source.send("go")
    sent = source.recv()
    after = seen(relaying, lambda told: told[1] >= sent)
    found = reading.recv()
    relaying.send("end")
    relaying.recv()
    source.send("end")
    for process in processes:
        process.join(20)
        process.terminate()

    size = sum(len(framed(frame)) for _, frame in frames_of(given.streams, 1))
    expected = size * sent // given.streams
    assert len(set(found)) == 1, "clients that have the same streams got other bytes"
    assert after[1] == sent, f"{after[1]} messages came to the relay, not {sent}"
    assert found[0][1] == expected, f"{found[0][1]} bytes came, not {expected}"
    assert after[3:5] == (0, 0), "some client was too slow"
    took = after[0] - before[0]
    delivered = after[2] - before[2]
    print(f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"{given.clients} clients of the same {given.streams} streams, {given.seconds:g} s")
    print(
        f"came: {sent / given.seconds:,.0f} messages/s; went out: {delivered / given.seconds:,.0f}"
    )
    print(f"the relay took {100 * took / given.seconds:.0f} % of one core, ", end="")
    print(f"{1e9 * took / sent:,.0f} ns a message, {1e9 * took / delivered:,.0f} ns a delivery")


if __name__ == "__main__":
    main()
