"""From the socket to the record array: CPU per bestBidAsk message of the receiving thread.

A server process (`burst_server.py`) sends prepared frames, all at once or at a pace. What is timed
is the CPU of this thread, the kernel's work for it included, connecting too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import connect as open_websocket

import binance_sbe
from binance_sbe import sync

HERE = Path(__file__).parent
MANY, FEW = 1_000_000, 100_000
PACED, RATE = 1_000, 2_000


def served(count: int, rate: float) -> Iterator[tuple[str, int]]:
    command = [sys.executable, str(HERE / "burst_server.py"), str(count), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"ws://127.0.0.1:{int(server.stdout.readline())}", count
        finally:
            server.kill()


@pytest.fixture(scope="module")
def many() -> Iterator[tuple[str, int]]:
    yield from served(MANY, 0)


@pytest.fixture(scope="module")
def few() -> Iterator[tuple[str, int]]:
    yield from served(FEW, 0)


@pytest.fixture(scope="module")
def paced() -> Iterator[tuple[str, int]]:
    yield from served(PACED, RATE)


async def plain(url: str, count: int) -> int:
    """The websockets package, and `decode` of each message."""
    seen = 0
    async with open_websocket(url, compression=None) as connection:
        await connection.send('{"method": "SUBSCRIBE", "params": ["btcusdt@bestBidAsk"], "id": 1}')
        await connection.recv()
        async for frame in connection:
            binance_sbe.decode(frame)  # type: ignore[arg-type]
            seen += 1
    assert seen == count
    return seen


async def picows_callback(url: str, count: int) -> int:
    """The picows package, and `decode` of each message in its callback."""
    import picows

    seen = 0
    done = asyncio.Event()

    class Listener(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            text = b'{"method": "SUBSCRIBE", "params": ["btcusdt@bestBidAsk"], "id": 1}'
            transport.send(picows.WSMsgType.TEXT, text)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            nonlocal seen
            if frame.msg_type == picows.WSMsgType.BINARY:
                binance_sbe.decode(frame.get_payload_as_bytes())
                seen += 1
                if seen == count:
                    done.set()

    transport, _ = await picows.ws_connect(Listener, url)
    await done.wait()
    transport.disconnect()
    return seen


def feed(batches: bool) -> Callable[[str, int], Any]:
    async def consume(url: str, count: int) -> int:
        seen = 0
        where: Any = {"url": url, "api_key": "k", "reconnect": False}
        async with binance_sbe.connect("btcusdt@bestBidAsk", **where) as opened:
            if batches:
                async for batch in opened.batches():
                    seen += len(batch)
                    if seen == count:
                        break
            else:
                async for _ in opened:
                    seen += 1
                    if seen == count:
                        break
        assert seen == count
        return seen

    return consume


class EnoughError(Exception):
    """All have come."""


def counting(count: int) -> Callable[[Any], None]:
    """A handler that raises EnoughError at the last of so many messages."""
    seen = 0

    def handle(message: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            raise EnoughError

    return handle


def run(reuse: bool) -> Callable[[str, int], Any]:
    async def consume(url: str, count: int) -> int:
        where: Any = {"url": url, "api_key": "k", "reconnect": False}
        async with binance_sbe.connect("btcusdt@bestBidAsk", **where) as opened:
            with contextlib.suppress(EnoughError):
                await opened.run(counting(count), reuse=reuse)
            assert opened.stats.frames >= count
        return count

    return consume


def without_asyncio(way: str) -> Callable[[str, int], None]:
    def consume(url: str, count: int) -> None:
        where: Any = {"url": url, "api_key": "k", "reconnect": False}
        with sync.connect("btcusdt@bestBidAsk", **where) as opened:
            seen = 0
            if way == "batches":
                for batch in opened.batches():
                    seen += len(batch)
                    if seen == count:
                        break
            elif way == "run":
                with contextlib.suppress(EnoughError):
                    opened.run(counting(count))
            else:
                for _ in opened:
                    seen += 1
                    if seen == count:
                        break
            assert opened.stats.frames >= count

    return consume


def by_asyncio(consume: Callable[[str, int], Any]) -> Callable[[str, int], None]:
    return lambda url, count: asyncio.run(consume(url, count))


def by_uvloop(consume: Callable[[str, int], Any]) -> Callable[[str, int], None]:
    return lambda url, count: uvloop.run(consume(url, count))


def raw(url: str, count: int) -> None:
    """A blocking socket and Cython; see raw_reader.pyx."""
    import raw_reader

    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        body = json.dumps({"id": 1}).encode()
        connection.sendall(bytes([0x81, 0x80 | len(body)]) + bytes(4) + body)
        connection.recv(connection.recv(2, socket.MSG_WAITALL)[1], socket.MSG_WAITALL)
        reader = raw_reader.Reader(connection.fileno())
        seen = 0
        while seen < count:
            collector = binance_sbe.Collector(10_000)
            reader.read(collector, 10_000)
            seen += len(collector.take())


def timed(benchmark: Any, way: Callable[[str, int], None], server: tuple[str, int]) -> None:
    benchmark.extra_info["per"] = server[1]
    benchmark.pedantic(way, args=server, rounds=5, warmup_rounds=1)


BURST = pytest.mark.benchmark(
    group="bestBidAsk from a socket, burst: CPU a message", timer=time.thread_time
)


@BURST
def test_raw_burst(benchmark: Any, many: tuple[str, int]) -> None:
    timed(benchmark, raw, many)


@BURST
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(by_asyncio(feed(True)), id="feed, batches"),
        pytest.param(by_uvloop(feed(True)), id="feed, batches, uvloop"),
        pytest.param(without_asyncio("batches"), id="feed, batches, sync"),
    ],
)
def test_burst(benchmark: Any, many: tuple[str, int], way: Any) -> None:
    timed(benchmark, way, many)


@BURST
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(by_asyncio(run(False)), id="feed, run"),
        pytest.param(by_uvloop(run(False)), id="feed, run, uvloop"),
        pytest.param(by_asyncio(run(True)), id="feed, run, reuse"),
        pytest.param(without_asyncio("run"), id="feed, run, sync"),
        pytest.param(by_asyncio(feed(False)), id="feed, messages"),
        pytest.param(by_uvloop(feed(False)), id="feed, messages, uvloop"),
        pytest.param(without_asyncio("for"), id="feed, messages, sync"),
        pytest.param(by_asyncio(picows_callback), id="picows, decode of each"),
        pytest.param(by_asyncio(plain), id="websockets, decode of each"),
    ],
)
def test_slower_burst(benchmark: Any, few: tuple[str, int], way: Any) -> None:
    timed(benchmark, way, few)


@pytest.mark.benchmark(
    group="bestBidAsk from a socket, 2,000 a second: CPU a message", timer=time.thread_time
)
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(by_asyncio(feed(True)), id="feed, batches"),
        pytest.param(by_uvloop(feed(True)), id="feed, batches, uvloop"),
        pytest.param(without_asyncio("batches"), id="feed, batches, sync"),
        pytest.param(by_asyncio(run(False)), id="feed, run"),
        pytest.param(by_uvloop(run(False)), id="feed, run, uvloop"),
        pytest.param(without_asyncio("run"), id="feed, run, sync"),
        pytest.param(by_asyncio(feed(False)), id="feed, messages"),
        pytest.param(by_uvloop(feed(False)), id="feed, messages, uvloop"),
        pytest.param(without_asyncio("for"), id="feed, messages, sync"),
        pytest.param(by_asyncio(picows_callback), id="picows, decode of each"),
        pytest.param(by_asyncio(plain), id="websockets, decode of each"),
    ],
)
def test_paced(benchmark: Any, paced: tuple[str, int], way: Any) -> None:
    timed(benchmark, way, paced)
