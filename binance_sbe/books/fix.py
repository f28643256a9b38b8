"""Order books over FIX: snapshots and increments of a session become those of a `Keeper`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sbe_codegen.runtime.errors import EncodeError

from .. import fix_sbe, spot_sbe, spot_stream
from ..errors import FixError, SubscriptionRefused
from ..feed.fix.account import DEPTH, TICKER
from ..feed.fix.blocking import BlockingConnection
from ..feed.fix.connection import Connection
from ..feed.fix.sessions import MOST_DEPTH
from ..feed.ledger import Ledger
from ..logs import LOG
from ..venue.streams import symbol_name
from .keeper import Keeper, Link, LiveBook

__all__ = ["FixBooks", "follow", "follow_blocking"]

_NULL = -(2**63)  # of a quantity: the level is gone
_TICK_SECONDS = 0.1
_LEAST_DEPTH = 100  # of fewer levels the best are soon beyond what is known
_NOT_ASKED, _NO_SESSION = -2, -3  # stamps of links: what heals them heals no session after them
_UNHEARD_NS = 10 * 10**9  # after a new session began, a snapshot that has not come is asked for
_OVERDUE_SECONDS = 30.0  # after it was asked for, it is asked for again


def as_snapshot(message: fix_sbe.MarketDataSnapshot) -> spot_sbe.DepthResponse:
    """The snapshot as REST would have answered it. ValueError for one without an update id."""
    if message.last_book_update_id is None:
        raise ValueError(f"the snapshot of {message.symbol} has no update id")
    kind = spot_sbe.DepthResponse
    frame = kind.encode(
        last_update_id=message.last_book_update_id,
        price_exponent=message.price_exponent,
        qty_exponent=message.qty_exponent,
        bids=_levels(message.md_entries_bids, kind.BIDS_DTYPE),
        asks=_levels(message.md_entries_asks, kind.ASKS_DTYPE),
    )
    return kind.decode(frame)


def as_diff(
    message: fix_sbe.MarketDataIncrementalDepth, event_time: int = 0
) -> spot_stream.DepthDiffStreamEvent:
    """The increment as the WebSocket stream of diffs would have sent it.

    A level whose quantity is null has quantity 0 there: it is gone. ``event_time`` is in us since
    1970; the increment itself has none.
    """
    kind = spot_stream.DepthDiffStreamEvent
    frame = kind.encode(
        event_time=event_time,
        first_book_update_id=message.first_book_update_id,
        last_book_update_id=message.last_book_update_id,
        price_exponent=message.price_exponent,
        qty_exponent=message.qty_exponent,
        bids=_levels(message.md_entries_bids, kind.BIDS_DTYPE),
        asks=_levels(message.md_entries_asks, kind.ASKS_DTYPE),
        symbol=message.symbol,
    )
    return kind.decode(frame)


def _levels(entries: NDArray[Any], dtype: Any) -> NDArray[Any]:
    found = np.empty(len(entries), dtype)
    found["price"] = entries["md_entry_px"]
    found["qty"] = np.where(entries["md_entry_size"] == _NULL, 0, entries["md_entry_size"])
    return found


class SessionState(Protocol):
    """What books have to know of a session."""

    @property
    def is_live(self) -> bool: ...
    @property
    def ledger(self) -> Ledger: ...
    def is_subscribed(self, symbol: str, kind: str) -> bool: ...


class FixBooks(Mapping[str, LiveBook]):
    """The order books of a FIX session, by symbol: ``books["btcusdt"]`` is a `LiveBook`. No I/O.

    `take` is given every message, and `next_symbol` says whose depth is to be subscribed to anew. A
    book that missed an increment is stale until the next snapshot of its symbol; all are while
    there is no session, and then until something of theirs has come in the next one. Where a
    snapshot is of the update at which its book is, the two are compared: see `LiveBook.audit`.
    Snapshots are taken to be of depth, so that no book ticker of the same symbols is to be in the
    session. ``depth`` is how many levels snapshots have, ``options`` are those of `OrderBook`.
    """

    def __init__(
        self, session: SessionState, *symbols: str, depth: int = MOST_DEPTH, **options: Any
    ) -> None:
        if not symbols:
            raise ValueError("at least one symbol is needed, such as 'btcusdt'")
        names = list(dict.fromkeys(symbol_name(each).upper() for each in symbols))
        self._session = session
        # When something of a symbol came, and after so many breaks, where the clock can't say that.
        self._heard: dict[str, tuple[int, int]] = {}
        self._first_ns = self._taken_ns = 0  # when the first and the latest message had come
        self._look_at = 0.0  # not at every message, as that is at all books
        self._asked: dict[str, float] = {}  # when snapshots were asked for that have not come
        # To subscribe anew interrupts what comes: few proven levels are no reason for it.
        self._keeper = Keeper(
            names, self._link, limit=depth, audit_seconds=None, min_proven=0, **options
        )

    def __getitem__(self, symbol: str) -> LiveBook:
        return self._keeper.books[symbol.upper() if isinstance(symbol, str) else symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keeper.books)

    def __len__(self) -> int:
        return len(self._keeper.books)

    def _link(self, symbol: str) -> Link:
        session, gaps = self._session, self._session.ledger.gaps
        breaks = len(gaps)
        if not session.is_live:
            return Link(False, "there is no session", _NO_SESSION - breaks)
        if not session.is_subscribed(symbol, DEPTH):  # any more: it is asked for again
            return Link(True, "its depth is not subscribed to", _NOT_ASKED)
        heard_ns, after = self._heard.get(symbol, (-1, -1))
        if (
            (heard_ns >= 0 and not gaps)
            or after == breaks
            or (gaps and heard_ns >= gaps[-1].ended_ns)
        ):
            return Link(True, None, breaks)
        begun = gaps[-1].ended_ns if gaps else self._first_ns
        is_late = self._taken_ns - begun > _UNHEARD_NS
        return Link(is_late, "nothing of it has come in this session", breaks)

    def take(self, message: Any, received_ns: int) -> LiveBook | None:
        """The book that a message has changed; None where it is of none.

        ``received_ns`` is when it came, in ns since 1970: increments have no time of their own but
        that at which they were sent, which becomes the book's ``event_time``.
        """
        if not isinstance(message, fix_sbe.MarketDataSnapshot | fix_sbe.MarketDataIncrementalDepth):
            return None
        is_back = received_ns < self._taken_ns  # the clock was set back since
        self._taken_ns = received_ns
        self._first_ns = received_ns if is_back else self._first_ns or received_ns
        book = self._keeper.books.get(message.symbol)
        if book is None or message.last_book_update_id is None:
            return None
        if not self._session.is_subscribed(book.symbol, DEPTH):
            return None  # it was on its way
        breaks = len(self._session.ledger.gaps)
        self._heard[book.symbol] = received_ns, breaks if is_back else -1
        changed = False
        try:
            if isinstance(message, fix_sbe.MarketDataSnapshot):
                changed = self._take_snapshot(book, message)
            else:
                sent = fix_sbe.decode_header(bytes(message)).sending_time
                diff, now = as_diff(message, sent), time.monotonic()
                changed = self._keeper.take(diff, now, received_ns) is not None
        except EncodeError as error:  # a null where there may be none, say
            book.mark(f"what the exchange has sent is no part of a book: {error}")
        self._say()
        return book if changed else None

    def _take_snapshot(self, book: LiveBook, message: fix_sbe.MarketDataSnapshot) -> bool:
        response, before = as_snapshot(message), book.update_id
        now, now_ns = time.monotonic(), time.time_ns()
        if book.follows and before is not None:
            if response.last_update_id < before and not self._keeper.is_fetching(book.symbol):
                return False  # of a session that was opened before its predecessor ended
            if response.last_update_id > before:
                book.mark(f"nothing has come between {before} and {response.last_update_id}")
        self._asked.pop(book.symbol, None)
        self._keeper.ask(book.symbol, "it has come", now)
        self._keeper.begin(book.symbol)
        self._keeper.snapshot(book.symbol, response, now, now_ns)
        return book.update_id != before

    def next_symbol(self) -> str | None:
        """Whose depth is to be unsubscribed from and subscribed to now, so that a snapshot comes.

        None where nobody's is, and within a tenth of a second after the last answer. Where that
        fails, `failed` is to be called, and it is tried again after a while.
        """
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + _TICK_SECONDS
        for each in [each for each, at in self._asked.items() if now >= at + _OVERDUE_SECONDS]:
            self.failed(each)
        self._keeper.tick(now, time.time_ns())
        self._say()
        symbol = self._keeper.next_symbol(now)
        if symbol is not None:
            self._keeper.begin(symbol)
            self._asked[symbol] = now
        return symbol

    def failed(self, symbol: str) -> None:
        """No snapshot comes."""
        self._asked.pop(symbol, None)
        self._keeper.failed(symbol, time.monotonic())

    def _say(self) -> None:
        self._keeper.log_changes("FIX")


def _checked(session: Connection | BlockingConnection, symbols: tuple[str, ...], depth: int) -> int:
    if not (isinstance(depth, int) and 2 <= depth <= MOST_DEPTH):
        raise ValueError(f"depth is 2 to {MOST_DEPTH} levels, not {depth!r}")
    names = [symbol_name(each).upper() for each in symbols]
    both = sorted(name for name in names if session.is_subscribed(name, TICKER))
    if both:
        raise ValueError(
            f"the book ticker of {both[0].lower()} is subscribed to: use another session"
        )
    return depth


async def follow(
    session: Connection, *symbols: str, depth: int = MOST_DEPTH, **options: Any
) -> AsyncIterator[LiveBook]:
    """Order books over an open FIX session: the book that has changed, after each change.

    Nobody else iterates over the session. Depth of ``symbols`` is subscribed to, ``depth`` levels
    of each side, and 100 at least; a book that missed an increment is subscribed to anew, and so
    gets a snapshot. Only books that are live are given; one that was given before says by its
    ``state`` and ``reason`` whether it still is.

    Raises ValueError where the session has a book ticker of one of them, whose snapshots can't be
    told from those of depth.
    """
    depth = max(_checked(session, symbols, depth), _LEAST_DEPTH)
    books = FixBooks(session, *symbols, depth=depth, **options)
    await session.unsubscribe(*symbols, kinds=DEPTH)  # so that a snapshot comes
    await session.subscribe(*symbols, kinds=DEPTH, depth=depth)
    while True:
        found = await session.several(1, time.monotonic() + _TICK_SECONDS)
        if not found and session.is_closed:
            return
        for book in _live_after(books, found):
            yield book
        symbol = books.next_symbol()
        if symbol is not None:
            with _failing(session, books, symbol):
                await session.unsubscribe(symbol, kinds=DEPTH)
                await session.subscribe(symbol, kinds=DEPTH, depth=depth)


def _live_after(books: FixBooks, messages: Iterable[tuple[Any, int]]) -> Iterator[LiveBook]:
    """The book that each message, with when it came, has changed, where it is live then."""
    for message, received_ns in messages:
        book = books.take(message, received_ns)
        if book is not None and book.state == "live":
            yield book


@contextlib.contextmanager
def _failing(
    session: Connection | BlockingConnection, books: FixBooks, symbol: str
) -> Iterator[None]:
    """Where a symbol can't be subscribed to now it is tried again; a session may end meanwhile."""
    try:
        yield
    except (FixError, SubscriptionRefused) as error:
        LOG.warning("FIX: no snapshot of %s: %s", symbol, error)
        books.failed(symbol)
    except RuntimeError:
        if not session.is_closed:
            raise


def follow_blocking(
    session: BlockingConnection, *symbols: str, depth: int = MOST_DEPTH, **options: Any
) -> Iterator[LiveBook]:
    """`follow` for a session of `sync.fix_connect`: ``for book in follow_blocking(session, ...)``.

    TimeoutError where no message comes within the ``timeout`` of the session.
    """
    depth = max(_checked(session, symbols, depth), _LEAST_DEPTH)
    books = FixBooks(session, *symbols, depth=depth, **options)
    session.unsubscribe(*symbols, kinds=DEPTH)
    session.subscribe(*symbols, kinds=DEPTH, depth=depth)
    until = session.deadline()
    while True:
        found = session.several(1, time.monotonic() + _TICK_SECONDS)
        if found:
            until = session.deadline()
        elif session.is_closed:
            return
        elif until is not None and time.monotonic() >= until:
            raise TimeoutError(f"nothing came within {session.timeout:g} s")
        yield from _live_after(books, found)
        symbol = books.next_symbol()
        if symbol is not None:
            with _failing(session, books, symbol):
                session.unsubscribe(symbol, kinds=DEPTH)
                session.subscribe(symbol, kinds=DEPTH, depth=depth)
