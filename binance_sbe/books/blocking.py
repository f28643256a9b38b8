"""Order books without asyncio: kept in step by the thread that looks at them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

from ..api.rest import Client
from ..feed.blocking import Feed
from .base import AT_ONCE, TICK_SECONDS, BaseBooks
from .keeper import LiveBook

_USAGE = "with sync.books(...) as kept:"
_CLOSE_SECONDS = 5.0


class _Requests:
    """A thread with an event loop, for requests by REST.

    aiohttp needs an event loop. What comes of the requests is taken by the thread of the books.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.pending = 0
        self._answers: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="binance-sbe REST", daemon=True)

    def start(self) -> None:
        """Raises what opening the client raises."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_CLOSE_SECONDS)

    def ask(self, symbol: str, limit: int) -> None:
        assert self._loop is not None
        self.pending += 1
        asyncio.run_coroutine_threadsafe(self._ask(symbol, limit), self._loop)

    def answers(self) -> Iterator[tuple[str, Any]]:
        """Those that are there: a message, or an exception."""
        while True:
            try:
                answer = self._answers.get_nowait()
            except Empty:
                return
            self.pending -= 1
            yield answer

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self.client:
            self._ready.set()
            await self._stop.wait()

    async def _ask(self, symbol: str, limit: int) -> None:
        answer: Any
        try:
            answer = await self.client.depth(symbol, limit)
        except Exception as error:
            answer = error
        self._answers.put((symbol, answer))


class Books(BaseBooks):
    """Order books by symbol, for a thread without asyncio. Made by `sync.books`.

    ``for symbol, book, event in books.events()`` gives each diff after it was applied to its book,
    and whatever else the feed brings. The books are kept in step while somebody iterates, or is in
    `wait` or `keep`; else nothing moves, as for a `sync.Feed`. A book that misses a diff, fails a
    check, or differs from what the exchange says of it, is made anew by itself; log lines say so.
    """

    feed: Feed

    def __init__(self, feed: Feed, symbols: Iterable[str], **options: Any) -> None:
        super().__init__(feed, symbols, **options)
        self._requests = self._new_requests()
        self._tick_at = self._ask_at = 0.0

    def _new_requests(self) -> _Requests:
        return _Requests(Client(url=self.feed.rest_url, **self.feed.route.for_rest()))

    # opening and closing

    def __enter__(self) -> Books:
        if self._is_open:
            raise RuntimeError("these books were opened before")
        self._is_open = True
        try:
            self._requests.start()
            if self._owns_feed:
                self.feed.__enter__()
            self.feed.subscribe(*self._missing_streams())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aenter__(self) -> None:
        raise TypeError(f"these books are without asyncio: write '{_USAGE}'")

    def __aexit__(self, *_: object) -> None:
        """There is none to leave."""

    def close(self) -> None:
        """Ends it all; a feed that was given stays open."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._owns_feed:
            self.feed.close()
        self._requests.close()
        self._fail(RuntimeError("these books are closed"))

    # events

    def events(self, timeout: float | None = None) -> Iterator[tuple[str, LiveBook | None, Any]]:
        """Each event, with its symbol and its book. Errors as for iteration over a `sync.Feed`.

        TimeoutError where none comes within ``timeout`` seconds (None: no limit).
        """
        if not self._is_open or self._is_closed:
            state = "closed" if self._is_closed else "not open"
            raise RuntimeError(f"these books are {state}: use them in their block, '{_USAGE}'")
        while True:
            until = None if timeout is None else time.monotonic() + timeout
            taken = None
            while taken is None:
                is_over, taken = self._step(until)
                if is_over:
                    self.feed._end()
                    return
                if taken is None and until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"nothing came for {timeout:g} s")
            yield taken

    def keep(self, seconds: float) -> None:
        """Keeps the books in step for so long, for a program that only looks at them."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            is_over, _ = self._step(until)
            if is_over:
                self.feed._end()
                return

    def wait(self, *symbols: str, state: str = "live", timeout: float | None = None) -> None:
        """Keeps the books in step until these, or all, are in a state.

        Raises TimeoutError after ``timeout`` seconds, with what the books that are not there lack;
        and what ended the feed.
        """
        until = None if timeout is None else time.monotonic() + timeout
        if not self._is_open:
            raise RuntimeError(f"these books are not open: use them as '{_USAGE}'")
        while self._missing(symbols, state):
            self.check()
            if until is not None and time.monotonic() >= until:
                raise self._late(symbols, state)
            is_over, _ = self._step(until)
            if is_over:
                self.feed._end()
                self._fail(RuntimeError("the feed is closed"))

    def _step(self, until: float | None) -> tuple[bool, tuple[str, LiveBook | None, Any] | None]:
        """Does what is due, and takes an event: whether the feed is over, and the event."""
        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at = now + TICK_SECONDS
            self._tick()
        self._fetch(now)
        patience = max(self._tick_at - now, 0.0)
        if until is not None:
            patience = min(patience, max(until - now, 0.0))
        try:
            event = self.feed.receive(patience)
        except TimeoutError:
            return False, None
        return (True, None) if event is None else (False, self._taken(event))

    def _fetch(self, now: float) -> None:
        """Takes what has been answered, and asks for what may be asked for."""
        requests = self._requests
        if requests.pending:
            for symbol, answer in requests.answers():
                self._note_answer(symbol, answer, requests.client)
        while requests.pending < AT_ONCE and now >= self._ask_at:
            wanted, pause = self._next_request(requests.client)
            if wanted is None:
                self._ask_at = now + pause
            else:
                requests.ask(wanted, self._keeper.limit)
