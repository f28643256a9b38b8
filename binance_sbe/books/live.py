"""Local order books of many symbols, kept in step with a feed: snapshots by REST, then diffs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.errors import DecodeError

from ..api.rest import Client
from ..asynchronous import Asynchronous
from ..errors import FeedError
from ..logs import LOG
from .base import AT_ONCE, TICK_SECONDS, BaseBooks
from .keeper import Audit, LiveBook

if TYPE_CHECKING:
    from ..feed.feed import Feed

__all__ = ["Audit", "Books", "LiveBook"]


class Books(Asynchronous, BaseBooks):
    """Order books by symbol: ``books["btcusdt"]`` is a `LiveBook`. Made by `books`, `Feed.books`.

    ``async for symbol, book, event in books`` gives each diff after it was applied to its book, and
    whatever else the feed brings as it comes (the book is that of its symbol, or None). While
    nobody iterates, a task keeps the books in step, so that they can just be looked at.

    A state of a book is waited for by `wait`. A book that misses a diff, fails a check, or differs
    from what the exchange says of it, is made anew by itself; log lines say so.
    """

    _usage = "async with books(...) as kept:"

    feed: Feed

    def __init__(
        self,
        feed: Feed,
        symbols: Iterable[str],
        *,
        client: Client | None = None,
        **options: Any,
    ) -> None:
        super().__init__(feed, symbols, **options)
        self._client = client
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._turn = 0  # of the consumer

    # opening and closing

    async def __aenter__(self) -> Books:
        if self._is_open:
            raise RuntimeError("these books were opened before")
        self._is_open = True
        try:
            await self._open_client()
            if self._owns_feed:
                await self._stack.enter_async_context(self.feed)
            await self.feed.subscribe(*self._missing_streams())
        except BaseException:
            await self._stack.aclose()
            raise
        self._tick()
        self._start_tasks()
        self._start_pump()
        return self

    async def _open_client(self) -> None:
        if self._client is None:
            self._client = Client(url=self.feed.rest_url, **self.feed.route.for_rest())
            await self._stack.enter_async_context(self._client)

    def _start_tasks(self) -> None:
        self._spawn(self._tend())
        for _ in range(AT_ONCE):
            self._spawn(self._fetch())

    def _source(self) -> AsyncIterator[Any]:
        """The events."""
        return self.feed.__aiter__()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends it all; a feed that was given stays open."""
        self._is_closed = True
        tasks = {*self._tasks, *({self._pump} if self._pump else ())} - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(tasks))
            self._closing.add_done_callback(self._ended)
        # Whoever waits may be cancelled, and again: what was begun is done all the same.
        await asyncio.shield(self._closing)

    async def _close(self, tasks: set[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks)
        self._fail(RuntimeError("these books are closed"))
        await self._stack.aclose()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            LOG.error("the books failed", exc_info=task.exception())
            self._fail(task.exception())

    def _changes(self) -> None:
        self._changed.set()

    # events

    async def __aiter__(self) -> AsyncIterator[tuple[str, LiveBook | None, Any]]:
        """Each event, with its symbol and its book. Errors as for iteration over a `Feed`.

        For one consumer: who begins takes over from another, for whom it is RuntimeError then.
        """
        if not self._is_open or self._is_closed:
            raise self._closed() if self._is_closed else self._not_open()
        self._turn += 1
        turn = self._turn
        try:
            if self._pump is not None:
                self._pump.cancel()
                await asyncio.gather(self._pump, return_exceptions=True)
            async for event in self._source():
                taken = self._taken(event)
                if taken is not None:
                    yield taken
                    if turn != self._turn:
                        raise RuntimeError("these books have another consumer now")
        finally:
            if turn == self._turn:
                self._start_pump()

    def _start_pump(self) -> None:
        if not self._is_closed:
            self._pump = asyncio.create_task(self._run())
            self._pump.add_done_callback(self._ended)

    async def _run(self) -> None:
        """Keeps the books in step while nobody iterates."""
        while True:
            try:
                async for event in self._source():
                    self._taken(event)
                self._fail(RuntimeError("the feed is closed"))
                return
            except DecodeError as error:
                LOG.warning("%s: a frame that is no message: %s", self.feed.url, error)
            except FeedError as error:
                self._fail(error)
                return
            except RuntimeError:
                if self.feed.streams or self._is_closed:
                    raise
                await asyncio.sleep(TICK_SECONDS)  # all were unsubscribed: more may come

    async def wait(self, *symbols: str, state: str = "live", timeout: float | None = None) -> None:
        """Waits until these books, or all, are in a state.

        For while nobody iterates, or for another task. Raises TimeoutError after ``timeout``
        seconds, with what the books that are not there lack; and what ended the feed.
        """
        if not self._is_open:
            raise RuntimeError("these books are not open: use them as 'async with books(...)'")
        try:
            async with asyncio.timeout(timeout):
                while self._missing(symbols, state):
                    self.check()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise self._late(symbols, state) from None

    # snapshots

    async def _tend(self) -> None:
        while True:
            self._tick()
            await asyncio.sleep(TICK_SECONDS)

    async def _fetch(self) -> None:
        """One request after the other, as far as the budget allows."""
        client = self._client
        assert client is not None
        while True:
            symbol, pause = self._next_request(client)
            if symbol is None:
                await asyncio.sleep(pause)
                continue
            answer: Any
            try:
                answer = await client.depth(symbol, self._keeper.limit)
            except Exception as error:
                answer = error
            self._note_answer(symbol, answer, client)
