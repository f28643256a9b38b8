"""An exchange or a scripted server on an event loop of its own thread, beside the test's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Generic, TypeVar

import vectors

from binance_sbe import sync
from binance_sbe.simulator import Exchange

T = TypeVar("T")


class Beside(Generic[T]):
    """``made`` is what the context manager gave; `call` and `do` run things where it is."""

    def __init__(self, made: T, loop: asyncio.AbstractEventLoop) -> None:
        self.made = made
        self.loop = loop

    def do(self, work: Awaitable[Any]) -> Any:
        async def waits() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(waits(), self.loop).result(30)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        async def calls() -> Any:
            return function(*arguments)

        return self.do(calls())


@contextlib.contextmanager
def beside(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[Beside[T]]:
    started: list[Any] = []
    ready, over = threading.Event(), asyncio.Event()

    async def work() -> None:
        async with make() as made:
            started.append(Beside(made, asyncio.get_running_loop()))
            ready.set()
            await over.wait()

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            started.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    ready.wait(20)
    if isinstance(started[0], BaseException):
        raise started[0]
    try:
        yield started[0]
    finally:
        started[0].loop.call_soon_threadsafe(over.set)
        thread.join(20)
        assert not thread.is_alive()


def until(is_so: Callable[[], object], seconds: float = 15.0) -> None:
    """Waits for it, and fails where it does not come."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def sockets() -> set[str]:
    """The sockets of this process that are open (Linux), and what waits for sockets."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(entry.readlink())
            if target.startswith(("socket:", "anon_inode:", "pipe:")):
                found.add(f"{entry.name} {target}")
    return found


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """No socket and no thread is there in the end that was not there before."""
    before, threads = sockets(), set(threading.enumerate())
    yield
    with contextlib.suppress(AssertionError):
        until(lambda: sockets() <= before and set(threading.enumerate()) <= threads, 5)
    assert (sockets() - before, set(threading.enumerate()) - threads) == (set(), set())


class Enough(Exception):
    pass


def connect(exchange: Beside[Exchange], *streams: str, **options: Any) -> sync.Feed:
    given: dict[str, Any] = {"url": exchange.made.url, "api_key": "k", "timeout": 10} | options
    return sync.connect(*(streams or ("btcusdt@trade",)), **given)


def publish(exchange: Beside[Exchange], count: int) -> list[bytes]:
    frames = [vectors.next_trade() for _ in range(count)]

    def send() -> None:
        for frame in frames:
            exchange.made.send("btcusdt@trade", frame)

    exchange.call(send)
    return frames


def in_thread(function: Any, *arguments: Any) -> tuple[threading.Thread, list[Any]]:
    """It runs beside us; what it returns or raises is in the list."""
    got: list[Any] = []

    def work() -> None:
        try:
            got.append(function(*arguments))
        except BaseException as error:
            got.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, got
