"""Many books in step with their streams: what each needs next. No I/O but log lines, no clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..feed.protocol.pacing import Backoff
from ..logs import LOG
from ..spot_sbe import DepthResponse
from ..spot_stream import DepthDiffStreamEvent, DepthSnapshotStreamEvent
from .book import Comparison
from .order_book import OrderBook

_AGAIN = (0.3, 60.0)  # the first and the longest pause after a snapshot that was of no use
_UNHEARD = 2.0  # seconds after a break without a diff: then a snapshot has to tell
_MEET = 5.0  # seconds until a book and its shadow are at the same update, or it is tried again
_FAR = 10_000_000  # updates that a snapshot is behind its book at most
_LOOK_EVERY = 64  # diffs between two looks at how many levels are proven


class Link(NamedTuple):
    """How a symbol's diffs come. ``cause`` is that of a break, until the next diff has come.

    ``stamp`` is another number for another break.
    """

    is_up: bool
    cause: str | None
    stamp: int


UP = Link(True, None, 0)


@dataclass
class Audit:
    """How a book compared with what the exchange says of it at the same update id.

    ``levels`` were compared, and ``agreed`` of them were the same, in so many ``checks``, of which
    ``snapshots`` were with a fresh snapshot, the others with depth20. After each of the
    ``failures``, checks where a level disagreed, the book was made anew. ``last_ns`` is when
    the last check was (ns since 1970), None before the first.
    """

    levels: int = 0
    agreed: int = 0
    checks: int = 0
    snapshots: int = 0
    failures: int = 0
    last_ns: int | None = None


class LiveBook(OrderBook):
    """An `OrderBook` that is kept in step with the exchange by `Books`.

    ``state`` is "stale" as well while there is no connection, and after a break until a diff or a
    snapshot has shown that nothing is missing. ``since_ns`` (ns since 1970) says since when it is
    what it is, ``audit`` how it compared. While it waits for a snapshot it shows depth20.
    """

    def __init__(self, symbol: str, link: Callable[[str], Link], **options: Any) -> None:
        super().__init__(symbol, on_error="mark", **options)
        self.since_ns = 0
        self.audit = Audit()
        self._link = link
        self._healed = -1  # the stamp of a break that a snapshot has shown to be harmless

    @property
    def follows(self) -> bool:
        """Whether the levels are those of ``update_id``, whatever the connection is."""
        return super().state == "live"

    @property
    def break_cause(self) -> str | None:
        """Why it is not known whether something is missing after ``update_id``, or None."""
        link = self._link(self.symbol)
        if not link.is_up:
            return link.cause or "nothing is subscribed"
        return None if link.stamp == self._healed else link.cause

    @property
    def state(self) -> str:
        """ "syncing", "live" or "stale"."""
        return "stale" if self.follows and self.break_cause is not None else super().state

    @property
    def reason(self) -> str | None:
        """Why the book is not live, or None."""
        cause = self.break_cause if self.follows else None
        return super().reason if cause is None else f"{cause}; no diff has come since"

    def heal(self, stamp: int) -> None:
        """The break of that stamp has left nothing out."""
        self._healed = stamp

    def copy(self) -> OrderBook:  # type: ignore[override]
        """An `OrderBook` with the same content, which nobody keeps in step."""
        other = OrderBook(**self.options())
        other.restore(self.content())
        if self.follows and self.state == "stale":
            other.mark(str(self.reason))
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        return self.copy().__reduce__()


@dataclass
class Need:
    """A snapshot is needed, from ``at`` (seconds) on. ``why`` is for people.

    A book that follows is not touched by it: a ``shadow`` is made of it, and both are compared once
    they are at the same update.
    """

    why: str
    at: float
    backoff: Backoff
    is_urgent: bool = False  # the book does not follow
    is_fetching: bool = False
    link: Link | None = None  # as it was when the snapshot was asked for
    shadow: OrderBook | None = None


@dataclass
class _Kept:
    book: LiveBook
    said: tuple[str, str | None] = ("", None)  # state and reason
    need: Need | None = None
    depth20: DepthSnapshotStreamEvent | None = None  # which the book has not reached yet
    broken_at: float | None = None
    audited_at: float = 0.0


class Keeper:
    """``link`` says how a symbol's diffs come.

    ``limit`` is the number of levels that snapshots have; each book is compared with one every
    ``audit_seconds`` (None: never), and gets one where fewer than ``min_proven`` levels of a
    side are proven.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        link: Callable[[str], Link],
        *,
        limit: int = 1000,
        audit_seconds: float | None = 3600.0,
        min_proven: int = 20,
        chance: random.Random | None = None,
        **options: Any,
    ) -> None:
        self.limit = limit
        self.audit_seconds = audit_seconds
        self.min_proven = min_proven
        self.changes: list[tuple[str, str, str | None]] = []  # symbol, state and reason
        self._chance = chance or random.Random()
        self._link = link
        books = [LiveBook(symbol, link, **options) for symbol in symbols]
        self.books: Mapping[str, LiveBook] = {book.symbol: book for book in books}
        self._kept = {book.symbol: _Kept(book) for book in books}

    # events

    def take(self, event: Any, now: float, now_ns: int) -> LiveBook | None:
        """One event of the feed; the book, where it is a diff that was applied."""
        kept = self._kept.get(event.symbol)
        if kept is None:
            return None
        book, need = kept.book, kept.need
        applied = False
        if isinstance(event, DepthDiffStreamEvent):
            applied = book.apply(event)
            if need is not None and need.shadow is not None:
                need.shadow.apply(event)
                self._meet(kept, need, now, now_ns)
            if applied and book.applied % _LOOK_EVERY == 0 and self._is_thin(book):
                self._want(kept, "few levels are known to have none missing between", now)
            if applied and self._is_spent(book):
                book.mark("of one side it is not known any more which level is the best")
        elif isinstance(event, DepthSnapshotStreamEvent):
            if book.follows:
                kept.depth20 = event
            else:
                book.show(event)
        if kept.depth20 is not None:
            self._compare(kept, kept.depth20, now_ns)
        if not (applied and kept.said[0] == "live" and book.follows):  # else nothing is new
            self._look(kept, now, now_ns)
        return book if applied else None

    def _is_spent(self, book: LiveBook) -> bool:
        """Whether the best price of a side is beyond what is known."""
        low, high = book.bids_known_to, book.asks_known_to
        bid, ask = book.best_bid, book.best_ask
        return (low is not None and (bid is None or bid.price < low)) or (
            high is not None and (ask is None or ask.price > high)
        )

    def _is_thin(self, book: LiveBook) -> bool:
        sides = (book.bids_known_to, book.bids), (book.asks_known_to, book.asks)
        return any(
            known_to is not None and (levels(self.min_proven).proven or 0) < self.min_proven
            for known_to, levels in sides
        )

    def _compare(self, kept: _Kept, event: DepthSnapshotStreamEvent, now_ns: int) -> None:
        """The audit by depth20, as soon as the book is where the event was."""
        book = kept.book
        found = book.compare(event) if book.follows else None
        if found is not None:
            self._count(book, found, f"depth20 {event.book_update_id}", now_ns)
        if found is not None or not book.follows or event.book_update_id < book.update_id:
            kept.depth20 = None

    def _count(self, book: LiveBook, found: Comparison, what: str, now_ns: int) -> None:
        audit = book.audit
        audit.checks += 1
        audit.levels += found.levels
        audit.agreed += found.agreed
        audit.last_ns = now_ns
        if found.agreed < found.levels:
            audit.failures += 1
            book.mark(f"{found.levels - found.agreed} of {found.levels} levels differ from {what}")

    def _look(self, kept: _Kept, now: float, now_ns: int) -> None:
        """What the state of a book asks for, and whether it has changed."""
        book = kept.book
        cause = book.break_cause
        if not book.follows:
            self._want(kept, str(book.reason), now)
            need = kept.need
            assert need is not None
            need.shadow = None
            if not need.is_urgent:  # it was for a book that follows: that could wait
                need.is_urgent, need.why, need.at = True, str(book.reason), now
                need.backoff.failures = 0
        elif cause is None:
            kept.broken_at = None
        elif kept.broken_at is None:
            kept.broken_at = now
        elif now - kept.broken_at >= _UNHEARD and self._link(book.symbol).is_up:
            self._want(kept, "no diff has come since a break", now)
        is_due = self.audit_seconds is not None and now - kept.audited_at >= self.audit_seconds
        if is_due and book.follows:
            self._want(kept, "audit", now)
        said = book.state, book.reason
        if said != kept.said:
            kept.said = said
            book.since_ns = now_ns
            self.changes.append((book.symbol, *said))

    def _want(self, kept: _Kept, why: str, now: float) -> None:
        if kept.need is None:
            kept.need = Need(why, now, Backoff(*_AGAIN, self._chance))

    def log_changes(self, place: str) -> bool:
        """Whether there are ``changes``. They are logged, with where the books are from, and go."""
        changes, self.changes = self.changes, []
        for symbol, state, reason in changes:
            log = LOG.warning if state == "stale" else LOG.info
            said = f"the book of {symbol} is {state}{f': {reason}' if reason else ''}"
            fields = {"event": "book", "symbol": symbol, "state": state}
            log("%s: %s", place, said, extra=fields)
        return bool(changes)

    def tick(self, now: float, now_ns: int) -> None:
        """What time brings about: the first call is to be made at the start."""
        for kept in self._kept.values():
            self._look(kept, now, now_ns)

    # snapshots

    def next_symbol(self, now: float) -> str | None:
        """Whose snapshot is to be fetched: books that wait, the most active first, then others."""
        found = [
            (kept.book.follows, -kept.book.buffered, symbol)
            for symbol, kept in self._kept.items()
            if kept.need is not None and not kept.need.is_fetching and kept.need.at <= now
            if self._link(symbol).is_up
        ]
        return min(found)[2] if found else None

    def ask(self, symbol: str, why: str, now: float) -> None:
        """A snapshot is to be fetched, whatever the book is like."""
        self._want(self._kept[symbol], why, now)

    def is_fetching(self, symbol: str) -> bool:
        """Whether its snapshot was asked for, and has not come."""
        need = self._kept[symbol].need
        return need is not None and need.is_fetching

    def begin(self, symbol: str) -> None:
        """Its snapshot is about to be asked for; `snapshot` or `failed` is to follow."""
        kept = self._kept[symbol]
        assert kept.need is not None
        kept.need.is_fetching = True
        kept.need.link = self._link(symbol)
        if kept.book.follows:
            kept.need.shadow = OrderBook(symbol, on_error="mark")

    def snapshot(self, symbol: str, response: DepthResponse, now: float, now_ns: int) -> None:
        """The snapshot has come."""
        kept = self._kept[symbol]
        book, need = kept.book, kept.need
        if need is None:
            return
        need.is_fetching = False
        target = book if need.shadow is None else need.shadow
        if self._link(symbol) != need.link:  # from before a break, of which it says nothing
            self._again(need, now)
        elif target is not book and response.last_update_id < book.update_id - _FAR:
            book.mark(f"the snapshot {response.last_update_id} is far behind {book.update_id}")
            self._again(need, now)
        elif not target.apply_snapshot(response, self.limit):
            self._again(need, now)
        elif target is book:
            kept.need = None
            kept.audited_at = now
        else:
            need.at = now + _MEET
            self._meet(kept, need, now, now_ns)
        self._look(kept, now, now_ns)

    def failed(self, symbol: str, now: float, wait: float = 0.0) -> None:
        """No snapshot has come; none is to be asked for within ``wait`` seconds."""
        need = self._kept[symbol].need
        if need is not None:
            need.is_fetching = False
            self._again(need, now, wait)

    def _again(self, need: Need, now: float, wait: float = 0.0) -> None:
        need.shadow = None
        need.backoff.failures += 1
        need.at = now + max(wait, need.backoff.pause())

    def _meet(self, kept: _Kept, need: Need, now: float, now_ns: int) -> None:
        """Compares a book and its shadow, once both are at the same update."""
        book, shadow = kept.book, need.shadow
        if shadow is None or shadow.state == "syncing" or not book.follows:
            return
        if shadow.state == "stale":
            self._again(need, now)
            return
        if shadow.update_id != book.update_id:
            return
        found = book.compare_levels(shadow)
        book.audit.snapshots += 1
        self._count(book, found, f"the snapshot at id {shadow.update_id}", now_ns)
        if not book.follows:
            self._look(kept, now, now_ns)  # that it was stale is said
        if not book.follows or self._is_thin(book):
            book.adopt(shadow)
        assert need.link is not None
        book.heal(need.link.stamp)
        kept.need = None
        kept.audited_at = now
