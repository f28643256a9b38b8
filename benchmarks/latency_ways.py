"""The ways from the socket to a handler that latency.py compares: rivals, and ours.

Each way is a function of a `Target` and a `Seen`, and returns when the handler has had enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import picows
import uvloop
from latency_seen import BURST, PACED, EnoughError, Seen
from websockets.asyncio.client import connect as open_websocket

import binance_sbe
from binance_sbe import sync

SUBSCRIBE = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@bestBidAsk"], "id": 1})
STREAM = "btcusdt@bestBidAsk"
MANY, SOME, FEW = 1_000_000, 200_000, 50_000  # messages of a burst
_READ = 256 * 1024


@dataclass(frozen=True)
class Target:
    port: int
    context: ssl.SSLContext | None  # with TLS

    @property
    def url(self) -> str:
        return f"{'wss' if self.context else 'ws'}://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        """Of our `connect`."""
        return {
            "url": self.url,
            "api_key": "k",
            "reconnect": False,
            "proxy": None,
            "ssl": self.context,
        }


Run = Callable[[Target, Seen], None]


@dataclass(frozen=True)
class Way:
    name: str
    run: Run
    many: int  # messages of a burst
    kinds: str = "paced burst"
    tls: bool = True
    ours: bool = True


# A socket and no library


def opened(target: Target) -> socket.socket:
    """A WebSocket whose handshake is over, subscribed."""
    connection = socket.create_connection(("127.0.0.1", target.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if target.context is not None:
        connection = target.context.wrap_socket(connection, server_hostname="127.0.0.1")
    connection.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    body = SUBSCRIBE.encode()
    connection.sendall(bytes([0x81, 0x80 | len(body)]) + bytes(4) + body)
    size = connection.recv(1) + connection.recv(1)
    for _ in range(size[1]):
        connection.recv(1)
    return connection


def python_loop(spin: bool) -> Run:
    """What one would write first: no pings, no texts, no long frames, no end."""

    def run(target: Target, seen: Seen) -> None:
        handle, decode = seen.handler(), binance_sbe.decode
        with opened(target) as connection:
            connection.setblocking(not spin)
            recv, rest = connection.recv, b""
            nothing_yet = BlockingIOError, ssl.SSLWantReadError
            seen.begin()
            while True:
                try:
                    data = rest + recv(_READ)
                except nothing_yet:
                    continue
                at, end = 0, len(data)
                while end - at >= 2 and at + 2 + data[at + 1] <= end:
                    after = at + 2 + data[at + 1]
                    handle(decode(data[at + 2 : after]))
                    at = after
                rest = data[at:]

    return run


def raw(target: Target, seen: Seen) -> None:
    """The floor: a blocking socket, and rows made in Cython; see raw_reader.pyx."""
    import raw_reader

    handle = seen.batch_handler()
    with opened(target) as connection:
        reader, collector = raw_reader.Reader(connection.fileno()), None
        seen.begin()
        while True:
            collector = binance_sbe.Collector(10_000)
            reader.read(collector, min(10_000, seen.count - seen.seen))
            handle(collector.take())


# Other clients


async def by_picows(target: Target, seen: Seen) -> None:
    done = asyncio.Event()
    handle, decode = seen.handler(done.set), binance_sbe.decode

    class Listener(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            transport.send(picows.WSMsgType.TEXT, SUBSCRIBE.encode())

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.BINARY:
                handle(decode(frame.get_payload_as_bytes()))
            elif frame.msg_type == picows.WSMsgType.TEXT:
                seen.begin()

    count = seen.count
    counted = 0

    class Counting(Listener):
        """In a burst the callback is the handler, and no call is between."""

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            nonlocal counted
            if frame.msg_type == picows.WSMsgType.BINARY:
                decode(frame.get_payload_as_bytes())
                counted += 1
                if counted == count:
                    seen.end()
                    seen.seen = counted
                    done.set()
            elif frame.msg_type == picows.WSMsgType.TEXT:
                seen.begin()

    listener = Counting if seen.kind == BURST else Listener
    transport, _ = await picows.ws_connect(listener, target.url, ssl_context=target.context)
    await done.wait()
    transport.disconnect()


async def by_aiohttp(target: Target, seen: Seen) -> None:
    handle, decode = seen.handler(), binance_sbe.decode
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(target.url, ssl=target.context or True) as connection,
    ):
        await connection.send_str(SUBSCRIBE)
        await connection.receive()
        seen.begin()
        async for message in connection:
            handle(decode(message.data))


async def by_websockets(target: Target, seen: Seen) -> None:
    handle, decode = seen.handler(), binance_sbe.decode
    tls: dict[str, Any] = {"ssl": target.context} if target.context else {}
    async with open_websocket(target.url, compression=None, proxy=None, **tls) as connection:
        await connection.send(SUBSCRIBE)
        await connection.recv()
        seen.begin()
        async for frame in connection:
            handle(decode(frame))


# Ours, without asyncio


def by_sync(consume: Callable[[Any, Seen], None], spin: bool = False) -> Run:
    def run(target: Target, seen: Seen) -> None:
        with sync.connect(STREAM, spin=spin, **target.options) as feed:
            seen.begin()
            consume(feed, seen)

    return run


def sync_run(feed: Any, seen: Seen) -> None:
    feed.run(seen.handler())


def sync_reuse(feed: Any, seen: Seen) -> None:
    feed.run(seen.handler(), reuse=True)


def sync_in_c(feed: Any, seen: Seen) -> None:
    noting = in_c(seen)
    feed.run(noting)
    seen.take_over(noting)


def sync_for(feed: Any, seen: Seen) -> None:
    handle = seen.handler()
    for message in feed:
        handle(message)


def sync_batches(max_delay: float) -> Callable[[Any, Seen], None]:
    def consume(feed: Any, seen: Seen) -> None:
        handle = seen.batch_handler()
        for batch in feed.batches(max_delay=max_delay):
            handle(batch)

    return consume


def in_c(seen: Seen) -> Any:
    import noting_handler

    return noting_handler.Noting(seen.count, seen.kind == PACED)


# Ours, with asyncio

Consume = Callable[[Any, Seen], Awaitable[None]]


def by_feed(consume: Consume) -> Callable[[Target, Seen], Any]:
    async def run(target: Target, seen: Seen) -> None:
        async with binance_sbe.connect(STREAM, **target.options) as feed:
            seen.begin()
            await consume(feed, seen)

    return run


async def feed_run(feed: Any, seen: Seen) -> None:
    await feed.run(seen.handler())


async def feed_reuse(feed: Any, seen: Seen) -> None:
    await feed.run(seen.handler(), reuse=True)


async def feed_in_c(feed: Any, seen: Seen) -> None:
    noting = in_c(seen)
    await feed.run(noting)
    seen.take_over(noting)


async def feed_for(feed: Any, seen: Seen) -> None:
    handle = seen.handler()
    async for message in feed:
        handle(message)


def feed_batches(max_delay: float) -> Consume:
    async def consume(feed: Any, seen: Seen) -> None:
        handle = seen.batch_handler()
        async for batch in feed.batches(max_delay=max_delay):
            handle(batch)

    return consume


# Event loops


def on(loop: Callable[[Any], object], way: Callable[[Target, Seen], Any]) -> Run:
    def run(target: Target, seen: Seen) -> None:
        loop(way(target, seen))

    return run


def stopping(run: Run) -> Run:
    def stopped(target: Target, seen: Seen) -> None:
        with contextlib.suppress(EnoughError):
            run(target, seen)

    return stopped


def ways() -> list[Way]:
    plain, fast = asyncio.run, uvloop.run
    rival: dict[str, Any] = {"ours": False}
    found = [
        Way("picows, decode of each", on(plain, by_picows), SOME, **rival),
        Way("picows, decode of each, uvloop", on(fast, by_picows), SOME, **rival),
        Way("socket, a Python loop", python_loop(False), SOME, **rival),
        Way("socket, a Python loop, spin", python_loop(True), SOME, **rival),
        Way("aiohttp, decode of each", on(plain, by_aiohttp), FEW, **rival),
        Way("websockets, decode of each", on(plain, by_websockets), FEW, **rival),
        Way("websockets, decode of each, uvloop", on(fast, by_websockets), FEW, **rival),
        Way("raw socket, Cython", raw, MANY, kinds="burst", tls=False, **rival),
        Way("sync run", by_sync(sync_run), SOME),
        Way("sync run, spin", by_sync(sync_run, spin=True), SOME),
        Way("sync run, reuse", by_sync(sync_reuse), SOME),
        Way("sync run, in C", by_sync(sync_in_c), MANY),
        Way("sync for", by_sync(sync_for), SOME),
        Way("sync batches(max_delay=0)", by_sync(sync_batches(0)), MANY),
        Way("sync batches()", by_sync(sync_batches(0.1)), MANY, kinds="burst"),
    ]
    ours = {
        "run": (feed_run, SOME),
        "run, reuse": (feed_reuse, SOME),
        "run, in C": (feed_in_c, MANY),
        "async for": (feed_for, SOME),
        "batches(max_delay=0)": (feed_batches(0), MANY),
    }
    for name, (consume, many) in ours.items():
        found.append(Way(name, on(plain, by_feed(consume)), many))
    found.append(Way("batches()", on(plain, by_feed(feed_batches(0.1))), MANY, kinds="burst"))
    for name in ("run", "async for", "batches(max_delay=0)"):
        consume, many = ours[name]
        found.append(Way(f"{name}, uvloop", on(fast, by_feed(consume)), many))
    return [
        Way(each.name, stopping(each.run), each.many, each.kinds, each.tls, each.ours)
        for each in found
    ]
