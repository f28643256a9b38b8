"""What order books over a feed are, with asyncio or without: all but the waiting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sbe_codegen.runtime.errors import DecodeError, SbeError, UnknownName

from ..api.rest import Client, depth_weight
from ..errors import BinanceError, FeedError, RateLimited
from ..feed.base import BaseFeed
from ..logs import LOG
from ..spot_stream import DepthDiffStreamEvent, DepthSnapshotStreamEvent
from ..venue.streams import DEPTH, DEPTH20, symbol_name
from .book import STATES
from .html import books_html
from .keeper import Keeper, Link, LiveBook

TICK_SECONDS = 0.1
AT_ONCE = 4  # requests
_SHARE = 0.8  # of the weight that the exchange allows in a minute
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


class BaseBooks(Mapping[str, LiveBook]):
    """Order books by symbol, their keeper, and which snapshot is to be asked for next."""

    feed: BaseFeed

    def __init__(
        self,
        feed: BaseFeed,
        symbols: Iterable[str],
        *,
        limit: int = 1000,
        audit_seconds: float | None = 3600.0,
        weight_limit: int = 6000,
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
        self._owns_feed = owns_feed
        self._error: BaseException | None = None
        self._is_open = self._is_closed = False
        self._unreadable: set[bytes] = set()
        self._taken_count = 0  # events, for who records

    def __repr__(self) -> str:
        states = [book.state for book in self.values()]
        return f"<Books: {len(self)}, {states.count('live')} live>"

    def _repr_html_(self) -> str:
        return books_html(self)

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

    # the feed

    def _missing_streams(self) -> list[str]:
        """What the feed is to bring, and does not."""
        names = [f"{name}@{kind}" for name in self._names for kind in _KINDS]
        return [name for name in names if name not in self.feed.streams]

    def _now(self) -> tuple[float, int]:
        """Seconds of the monotonic clock, and ns since 1970."""
        return time.monotonic(), time.time_ns()

    def _link(self, symbol: str) -> Link:
        ledger = self.feed.ledger
        if self._is_closed:
            return Link(False, "these books were closed", 0)
        stream = ledger.streams.get(f"{symbol.lower()}@{DEPTH}")
        if stream is None:
            return Link(False, "no connection was made yet", 0)
        return Link(stream.is_covered, stream.cause, ledger.ended_count)

    def _fail(self, error: BaseException | None) -> None:
        """What ends the books."""
        self._error = self._error or error
        self._changes()

    def _changes(self) -> None:
        """A state has changed: for who waits for one."""

    def _taken(self, event: Any) -> tuple[str, LiveBook | None, Any] | None:
        """An event of the feed, applied to its book; None where it is not for the consumer."""
        symbol = self._symbol_of(event)
        if symbol is None:
            return None
        book = self._keeper.books.get(symbol)
        applied = self._take(event)
        is_ours = book is not None and isinstance(event, _OURS)
        return (symbol, book, event) if applied is not None or not is_ours else None

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
        self._taken_count += 1
        applied = self._keeper.take(event, *self._now())
        self._say()
        return applied

    def check(self) -> None:
        """Raises what ended the feed, if something has."""
        if self._error is not None:
            raise self._error

    def _missing(self, symbols: Iterable[str], state: str) -> list[LiveBook]:
        """The books that are not in a state yet."""
        if state not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}, not {state!r}")
        books = [self[symbol] for symbol in symbols] or list(self.values())
        return [book for book in books if book.state != state]

    def _late(self, symbols: Iterable[str], state: str) -> TimeoutError:
        missing = self._missing(symbols, state)
        count = len(list(symbols)) or len(self)
        few = "; ".join(f"{book.symbol}: {book.reason or book.state}" for book in missing[:5])
        more = "" if len(missing) <= 5 else "; ..."
        return TimeoutError(f"not {state}: {len(missing)} of {count} books: {few}{more}")

    def _say(self) -> None:
        if self._keeper.log_changes(self.feed.url):
            self._changes()

    # snapshots

    def _tick(self) -> None:
        self._keeper.tick(*self._now())
        self._say()

    def _next_request(self, client: Client) -> tuple[str | None, float]:
        """The symbol to ask a snapshot of now, or None and the seconds until there may be one."""
        now = time.monotonic()
        symbol = self._keeper.next_symbol(now)
        if symbol is None:
            return None, TICK_SECONDS
        pause = max(client.blocked_until - now, 0.0)
        can_wait = self._keeper.books[symbol].follows
        pause = pause or self._budget.take(self._weight, time.time(), can_wait)
        if pause:
            return None, min(pause, 1.0)
        self._keeper.begin(symbol)
        self._record(symbol)
        return symbol, 0.0

    def _record(self, symbol: str, answer: bytes | None = None, why: str = "") -> None:
        limit, after = self._keeper.limit, self._taken_count
        self.feed.recorder.snapshot(symbol, after, limit, answer, why)

    def _note_answer(self, symbol: str, answer: Any, client: Client) -> None:
        """What came of a request: a message, or an exception."""
        keeper, (now, now_ns) = self._keeper, self._now()
        if not isinstance(answer, Exception):
            self._record(symbol, bytes(answer))
            keeper.snapshot(symbol, answer, now, now_ns)
        elif isinstance(answer, FeedError | BinanceError | SbeError):
            self._record(symbol, why=str(answer) or type(answer).__name__)
            LOG.warning("%s: no snapshot of %s: %s", self.feed.url, symbol, answer)
            wait = answer.retry_after if isinstance(answer, RateLimited) else 0.0
            keeper.failed(symbol, now, wait)
        else:
            LOG.error("%s: no snapshot of %s", self.feed.url, symbol, exc_info=answer)
            keeper.failed(symbol, now)
        self._budget.note(client.used_weight, client.used_at, time.time())
        self._say()
