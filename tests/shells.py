"""One way to write a test for both shells: with asyncio, and without."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import binance_sbe
from binance_sbe import sync

BOTH = pytest.mark.parametrize("opened", ["asyncio", "threads"], indirect=True)


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
        return [each._socket.get_extra_info("socket") for each in transports]


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
        return [each._socket for each in self.feed._loop.wires.values()]


Opened = Callable[..., contextlib.AbstractContextManager[Any]]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Opened:
    """`connect` and its block, of one shell or the other."""

    @contextlib.contextmanager
    def over_asyncio(*streams: str, **options: Any) -> Iterator[Any]:
        feed = binance_sbe.connect(*streams, **options)
        with asyncio.Runner() as runner:
            runner.run(feed.__aenter__())
            try:
                yield OverAsyncio(feed, runner)
            finally:
                runner.run(feed.__aexit__(None, None, None))

    @contextlib.contextmanager
    def over_threads(*streams: str, **options: Any) -> Iterator[Any]:
        with sync.connect(*streams, timeout=15, **options) as feed:
            yield OverThreads(feed)

    return over_asyncio if request.param == "asyncio" else over_threads
