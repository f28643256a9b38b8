"""Order books over FIX: snapshots and increments of a session become those of a `Book`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import fix_sbe, spot_sbe, spot_stream
from ..errors import FixError
from ..feed.fix.account import DEPTH, TICKER
from ..feed.fix.connection import Connection
from ..feed.fix.sessions import MOST_DEPTH
from ..venue.streams import symbol_name
from .book import Book

_NULL = -(2**63)  # of a quantity: the level is gone


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


class FixBooks(Mapping[str, Book]):
    """Order books of a FIX session, by symbol in lower case. No I/O.

    `take` is given every message; snapshots are taken to be of depth, so that no book ticker of the
    same symbols is to be in the session. A book that missed an increment is stale, and in
    ``broken``, until the next snapshot of its symbol. ``options`` are those of `Book`.
    """

    def __init__(self, *symbols: str, depth: int = MOST_DEPTH, **options: Any) -> None:
        if not symbols:
            raise ValueError("at least one symbol is needed, such as 'btcusdt'")
        names = [symbol_name(each) for each in symbols]
        self.depth = depth
        self.broken: set[str] = set()
        self._awaited: set[str] = set()  # those for which a snapshot was asked
        self._books = {name: Book(name, on_error="mark", **options) for name in names}

    def __getitem__(self, symbol: str) -> Book:
        return self._books[symbol.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._books)

    def __len__(self) -> int:
        return len(self._books)

    def take(self, message: Any, event_time: int = 0) -> Book | None:
        """The book that a message has changed; None where it is of none."""
        match message:
            case fix_sbe.MarketDataSnapshot():
                book = self._books.get(message.symbol.lower())
                if book is None or message.last_book_update_id is None:
                    return None
                changed = book.apply_snapshot(as_snapshot(message), self.depth)
            case fix_sbe.MarketDataIncrementalDepth():
                book = self._books.get(message.symbol.lower())
                if book is None:
                    return None
                changed = book.apply(as_diff(message, event_time))
            case _:
                return None
        name = book.symbol.lower()
        if isinstance(message, fix_sbe.MarketDataSnapshot):
            self._awaited.discard(name)
        if book.state == "live":
            self.broken.discard(name)
        elif name not in self._awaited:
            self.broken.add(name)
        return book if changed else None

    def asked(self, symbol: str) -> None:
        """A snapshot was asked for: until it comes the book is not in ``broken``."""
        self._awaited.add(symbol)
        self.broken.discard(symbol)


async def follow(
    session: Connection, *symbols: str, depth: int = MOST_DEPTH, **options: Any
) -> AsyncIterator[Book]:
    """Order books over an open FIX session: the book that has changed, after each change.

    Nobody else iterates over the session. Depth of ``symbols`` is subscribed to, ``depth`` levels
    of each side; a book that missed an increment is subscribed to anew, and so gets a snapshot.
    Raises ValueError where the session has a book ticker of one of them, whose snapshots can't be
    told from those of depth.
    """
    tickers = {symbol.lower() for symbol, kind in session.streams if kind == TICKER}
    both = sorted(tickers & {symbol_name(each) for each in symbols})
    if both:
        raise ValueError(f"the book ticker of {both[0]} is subscribed to: use another session")
    books = FixBooks(*symbols, depth=depth, **options)
    await session.unsubscribe(*symbols, kinds=DEPTH)  # so that a snapshot comes
    for symbol in books:
        books.asked(symbol)
    await session.subscribe(*symbols, kinds=DEPTH, depth=depth)
    async for message in session:
        book = books.take(message)
        if book is not None and book.state == "live":
            yield book
        elif books.broken:
            for symbol in sorted(books.broken):
                books.asked(symbol)
                with contextlib.suppress(FixError):  # the next session brings a snapshot
                    await session.unsubscribe(symbol, kinds=DEPTH)
                    await session.subscribe(symbol, kinds=DEPTH, depth=depth)
