"""Local order books of many symbols, kept in step with a feed: snapshots by REST, then diffs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.errors import DecodeError, SbeError, UnknownName

from ..api.rest import Client, depth_weight
from ..asynchronous import Asynchronous
from ..errors import BinanceError, FeedError, RateLimited
from ..logs import LOG
from ..spot_stream import DepthDiffStreamEvent, DepthSnapshotStreamEvent
from ..venue.streams import DEPTH, DEPTH20, symbol_name
from .book import STATES
from .keeper import Audit, Keeper, Link, LiveBook

if TYPE_CHECKING:
    from ..feed.feed import Feed

__all__ = ["Audit", "Books", "LiveBook"]

_TICK_SECONDS = 0.1
_SHARE = 0.8  # of the weight that the exchange allows in a minute
_AT_ONCE = 4  # requests
_KINDS = (DEPTH, DEPTH20)
_OURS = (DepthDiffStreamEvent, DepthSnapshotStreamEvent)
_MOST_UNREADABLE = 20  # symbols that are no text and are named in the log


class Budget:
    """The weight of REST requests, of which the exchange allows so much in a minute of its clock.

    What others at the same address use is known from the exchange's answers.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = -1
        self._used = 0

    def note(self, used: int | None, at: float, now: float) -> None:
        """What the exchange has said, at ``at`` (seconds since 1970), was used of that minute."""
        self._turn(now)
        if int(at // 60) == self._minute:
            self._used = max(self._used, used or 0)

    def _turn(self, now: float) -> None:
        if int(now // 60) != self._minute:
            self._minute, self._used = int(now // 60), 0

    def take(self, weight: int, now: float, can_wait: bool = False) -> float:
        """Takes so much, and returns 0; or the seconds to wait first, and takes nothing.

        What ``can_wait`` leaves half of it to what can't.
        """
        self._turn(now)
        share = _SHARE / 2 if can_wait else _SHARE
        if self._used and self._used + weight > self.limit * share:
            return 60.0 - now % 60.0 + 0.5
        self._used += weight
        return 0.0


class Books(Asynchronous, Mapping[str, LiveBook]):
    """Order books by symbol: ``books["btcusdt"]`` is a `LiveBook`. Made by `books`, `Feed.books`.

    ``async for symbol, book, event in books`` gives each diff after it was applied to its book, and
    whatever else the feed brings as it comes (the book is that of its symbol, or None). While
    nobody iterates, a task keeps the books in step, so that they can just be looked at.

    A state of a book is waited for by `wait`. A book that misses a diff, fails a check, or differs
    from what the exchange says of it, is made anew by itself; log lines say so.
    """

    _usage = "async with books(...) as kept:"

    def __init__(
        self,
        feed: Feed,
        symbols: Iterable[str],
        *,
        limit: int = 1000,
        audit_seconds: float | None = 3600.0,
        weight_limit: int = 6000,
        client: Client | None = None,
        owns_feed: bool = False,
        **options: Any,
    ) -> None:
        if isinstance(symbols, str):
            raise TypeError(f"symbols are given one by one, not as the str '{symbols}'")
        names = [symbol_name(symbol) for symbol in symbols]
        if not names:
            raise ValueError("books are of at least one symbol")
        if limit not in range(1, 5001):
            raise ValueError(f"limit is 1 to 5000 levels, not {limit}")
        if audit_seconds is not None and not audit_seconds > 0:
            raise ValueError(f"audit_seconds is more than 0, or None, not {audit_seconds}")
        if weight_limit < depth_weight(limit) / _SHARE:
            raise ValueError(
                f"weight_limit {weight_limit} does not allow a snapshot of {limit} levels, which "
                f"weighs {depth_weight(limit)}: 80 % of it are used"
            )
        self.feed = feed
        self._names = list(dict.fromkeys(names))
        self._keeper = Keeper(
            self._names, self._link, limit=limit, audit_seconds=audit_seconds, **options
        )
        self._budget = Budget(weight_limit)
        self._weight = depth_weight(limit)
        self._client = client
        self._owns_feed = owns_feed
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._is_open = self._is_closed = False
        self._turn = 0  # of the consumer
        self._unreadable: set[bytes] = set()

    def __repr__(self) -> str:
        states = [book.state for book in self.values()]
        return f"<Books: {len(self)}, {states.count('live')} live>"

    # the mapping

    def __getitem__(self, symbol: str) -> LiveBook:
        book = self._keeper.books.get(symbol.upper() if isinstance(symbol, str) else symbol)
        if book is None:
            raise UnknownName(f"there is no book of {symbol!r}: there are {', '.join(self)}")
        return book

    def __iter__(self) -> Iterator[str]:
        return iter(self._keeper.books)

    def __len__(self) -> int:
        return len(self._names)

    # opening and closing

    async def __aenter__(self) -> Books:
        if self._is_open:
            raise RuntimeError("these books were opened before")
        self._is_open = True
        try:
            if self._client is None:
                self._client = Client(url=self.feed.rest_url)
                await self._stack.enter_async_context(self._client)
            streams = [f"{name}@{kind}" for name in self._names for kind in _KINDS]
            if self._owns_feed:
                await self._stack.enter_async_context(self.feed)
            missing = [name for name in streams if name not in self.feed.streams]
            await self.feed.subscribe(*missing)
        except BaseException:
            await self._stack.aclose()
            raise
        self._keeper.tick(time.monotonic(), time.time_ns())
        self._spawn(self._tend())
        for _ in range(_AT_ONCE):
            self._spawn(self._fetch())
        self._start_pump()
        return self

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

    def _fail(self, error: BaseException | None) -> None:
        self._error = self._error or error
        self._changed.set()

    def _link(self, symbol: str) -> Link:
        ledger = self.feed.ledger
        if self._is_closed:
            return Link(False, "these books were closed", 0)
        stream = ledger.streams.get(f"{symbol.lower()}@{DEPTH}")
        if stream is None:
            return Link(False, "no connection was made yet", 0)
        return Link(stream.is_covered, stream.cause, ledger.ended_count)

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
            async for event in self.feed:
                symbol = self._symbol_of(event)
                if symbol is None:
                    continue
                book = self._keeper.books.get(symbol)
                applied = self._take(event)
                is_ours = book is not None and isinstance(event, _OURS)
                if applied is not None or not is_ours:
                    yield symbol, book, event
                    if turn != self._turn:
                        raise RuntimeError("these books have another consumer now")
        finally:
            if turn == self._turn:
                self._start_pump()

    def _symbol_of(self, event: Any) -> str | None:
        """None where the symbol is no text: such an event is of no book, and is counted only."""
        try:
            symbol: str = event.symbol
        except DecodeError as error:
            feed, raw = self.feed, event.symbol_bytes
            feed.errors.append(error)
            feed.stats.rejected += 1
            if raw not in self._unreadable and len(self._unreadable) < _MOST_UNREADABLE:
                self._unreadable.add(raw)
                LOG.warning("%s: an event of a symbol that is no text: %r", feed.url, raw)
            return None
        return symbol

    def _take(self, event: Any) -> Any:
        applied = self._keeper.take(event, time.monotonic(), time.time_ns())
        self._say()
        return applied

    def _start_pump(self) -> None:
        if not self._is_closed:
            self._pump = asyncio.create_task(self._run())
            self._pump.add_done_callback(self._ended)

    async def _run(self) -> None:
        """Keeps the books in step while nobody iterates."""
        while True:
            try:
                async for event in self.feed:
                    if self._symbol_of(event) is not None:
                        self._take(event)
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
                await asyncio.sleep(_TICK_SECONDS)  # all were unsubscribed: more may come

    def check(self) -> None:
        """Raises what ended the feed, if something has."""
        if self._error is not None:
            raise self._error

    async def wait(self, *symbols: str, state: str = "live", timeout: float | None = None) -> None:
        """Waits until these books, or all, are in a state.

        For while nobody iterates, or for another task. Raises TimeoutError after ``timeout``
        seconds, with what the books that are not there lack; and what ended the feed.
        """
        if not self._is_open:
            raise RuntimeError("these books are not open: use them as 'async with books(...)'")
        if state not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}, not {state!r}")
        books = [self[symbol] for symbol in symbols] or list(self.values())
        try:
            async with asyncio.timeout(timeout):
                while missing := [book for book in books if book.state != state]:
                    self.check()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            few = "; ".join(f"{book.symbol}: {book.reason or book.state}" for book in missing[:5])
            more = "" if len(missing) <= 5 else "; ..."
            raise TimeoutError(
                f"not {state}: {len(missing)} of {len(books)} books: {few}{more}"
            ) from None

    def _say(self) -> None:
        changes = self._keeper.changes
        if changes:
            self._keeper.changes = []
            self._changed.set()
            for symbol, state, reason in changes:
                level = LOG.warning if state == "stale" else LOG.info
                fields = {"event": "book", "symbol": symbol, "state": state}
                text = f": {reason}" if reason else ""
                said = f"the book of {symbol} is {state}{text}"
                level("%s: %s", self.feed.url, said, extra=fields)

    # snapshots

    async def _tend(self) -> None:
        while True:
            self._keeper.tick(time.monotonic(), time.time_ns())
            self._say()
            await asyncio.sleep(_TICK_SECONDS)

    async def _fetch(self) -> None:
        """One request after the other, as far as the budget allows."""
        client, keeper = self._client, self._keeper
        assert client is not None
        while True:
            symbol = keeper.next_symbol(time.monotonic())
            pause = _TICK_SECONDS
            if symbol is not None:
                pause = max(client.blocked_until - time.monotonic(), 0.0)
                can_wait = keeper.books[symbol].follows
                pause = pause or self._budget.take(self._weight, time.time(), can_wait)
            if symbol is None or pause:
                await asyncio.sleep(min(pause, 1.0))
                continue
            keeper.begin(symbol)
            try:
                response = await client.depth(symbol, keeper.limit)
            except (FeedError, BinanceError, SbeError) as error:
                LOG.warning("%s: no snapshot of %s: %s", self.feed.url, symbol, error)
                wait = error.retry_after if isinstance(error, RateLimited) else 0.0
                keeper.failed(symbol, time.monotonic(), wait)
            except Exception:
                LOG.exception("%s: no snapshot of %s", self.feed.url, symbol)
                keeper.failed(symbol, time.monotonic())
            else:
                keeper.snapshot(symbol, response, time.monotonic(), time.time_ns())
            self._budget.note(client.used_weight, client.used_at, time.time())
            self._say()
