"""One way to write a test for all shells: with asyncio, whichever its loop, and without."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

import binance_sbe
from binance_sbe import sync
from binance_sbe.feed.moving import _Request

EACH_SHELL = pytest.mark.parametrize("opened", ["asyncio", "uvloop", "threads"], indirect=True)
# Where the test says what names mean: uvloop does not ask Python's module `socket`.
EACH_WITH_NAMES = pytest.mark.parametrize("opened", ["asyncio", "threads"], indirect=True)

uvloop.new_event_loop().close()  # the first one opens what a process has once, for signals


class OverAsyncio:
    """A feed of asyncio's, as one of `sync` is used."""

    def __init__(self, feed: binance_sbe.Feed, runner: asyncio.Runner) -> None:
        self.feed = feed
        self._runner = runner

    def __next__(self) -> Any:
        async def one() -> Any:
            async with asyncio.timeout(15):
                return await anext(self.feed)

        return self._runner.run(one())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.feed, name)

    def wait(self, seconds: float) -> None:
        self._runner.run(asyncio.sleep(seconds))

    def sockets(self) -> list[Any]:
        transports = self.feed._connections._transports.values()
        return [each._socket.socket for each in transports]


class OverThreads:
    def __init__(self, feed: sync.Feed) -> None:
        self.feed = feed

    def __next__(self) -> Any:
        return next(self.feed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.feed, name)

    def wait(self, seconds: float) -> None:
        """The connections are served meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with self.feed._lock:
                self.feed._turn(left)

    def sockets(self) -> list[Any]:
        return [each.socket for each in self.feed._loop.wires]


Opened = Callable[..., contextlib.AbstractContextManager[Any]]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Opened:
    """`connect` and its block, of one of the shells."""

    @contextlib.contextmanager
    def over_asyncio(*streams: str, **options: Any) -> Iterator[Any]:
        feed = binance_sbe.connect(*streams, **options)
        loop = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(feed.__aenter__())
            try:
                yield OverAsyncio(feed, runner)
            finally:
                runner.run(feed.__aexit__(None, None, None))

    @contextlib.contextmanager
    def over_threads(*streams: str, **options: Any) -> Iterator[Any]:
        with sync.connect(*streams, timeout=15, **options) as feed:
            yield OverThreads(feed)

    return over_threads if request.param == "threads" else over_asyncio


# the other way round: tests that are written for asyncio


class Threaded:
    """A feed of `sync`, to be used as one of asyncio's: threads consume it, and serve it meanwhile.

    Who consumes one of asyncio's has it served while it does something else; here that is done by
    hand.
    """

    def __init__(self, *streams: str, **options: Any) -> None:
        self.feed = sync.connect(*streams, **options)
        self._is_consumed = False
        self._server: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.feed, name)

    def __repr__(self) -> str:
        return repr(self.feed)

    @property
    def _connections(self) -> Any:
        return self.feed._loop  # it has the engine

    async def __aenter__(self) -> Threaded:
        await asyncio.to_thread(self.feed.__enter__)
        self._server = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.feed.__exit__, None, None, None)
        if self._server is not None:
            await self._server

    async def close(self) -> None:
        await asyncio.to_thread(self.feed.close)

    async def subscribe(self, *streams: str) -> None:
        await asyncio.to_thread(self.feed.subscribe, *streams)

    async def _serve(self) -> None:
        while not self.feed._engine.is_over:
            if self._is_consumed:
                await asyncio.sleep(0.005)
            else:
                await asyncio.to_thread(self._turn)

    def _turn(self) -> None:
        feed = self.feed
        with feed._lock:
            feed._mover, feed._is_consumed = threading.get_ident(), False
            if not (feed._closes or self._is_consumed):
                feed._turn(0.02)

    async def _next(self, iterator: Any) -> Any:
        self._is_consumed = True
        self.feed._loop.wake()
        try:
            return await asyncio.to_thread(next, iterator, None)
        finally:
            self._is_consumed = False

    def __aiter__(self) -> Threaded:
        iter(self.feed)
        return self

    async def __anext__(self) -> Any:
        message = await self._next(self.feed)
        if message is None:
            raise StopAsyncIteration
        return message

    async def batches(self, *sizes: Any, **named: Any) -> Any:
        batches = self.feed.batches(*sizes, **named)
        try:
            while (batch := await self._next(batches)) is not None:
                yield batch
        finally:
            batches.close()


def moved(feed: Any, function: Callable[[], None]) -> None:
    """Has something done to the engine, by whoever moves the feed."""

    def act() -> None:
        function()
        feed._connections.engine.act()

    if isinstance(feed, Threaded):
        feed.feed._requests.append(_Request(act))
        feed.feed._loop.wake()
    else:
        act()


SHELLS = pytest.mark.parametrize(
    "connect", [binance_sbe.connect, Threaded], ids=["asyncio", "threads"]
)
