"""Order books as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, zip_longest
from typing import Any

from sbe_codegen.runtime import markup

from ..output import shown

LEVELS = 10  # a side
BOOKS = 50


def book_html(book: Any) -> str:
    """The best levels of both sides, and why the book is not live, if it is not."""
    bids, asks = book.bids_float(LEVELS), book.asks_float(LEVELS)
    rows = [
        (bid and bid[1], bid and bid[0], ask and ask[0], ask and ask[1])
        for bid, ask in zip_longest(bids.tolist(), asks.tolist())
    ]
    notes = [] if book.reason is None else [f"{book.state}: {shown(book.reason)}."]
    for levels, side in ((bids, "bids"), (asks, "asks")):
        if levels.proven is not None and levels.proven < len(levels):
            notes.append(
                f"Of these {side} the first {levels.proven} are proven: beyond them levels "
                "may be missing."
            )
    header = ("bid quantity", "bid", "ask", "ask quantity")
    return markup.table(shown(repr(book).strip("<>")), header, rows, " ".join(notes))


def books_html(books: Mapping[str, Any]) -> str:
    """A row for each book: its state, its best prices, and why it is not live."""
    rows = []
    for symbol, book in islice(books.items(), BOOKS):
        bid, ask = book.best_bid_float, book.best_ask_float
        sides = (*_side(bid, -1), *_side(ask, 1))
        reason = None if book.reason is None else shown(book.reason)
        rows.append((shown(symbol), book.state, *sides, _time(book.event_time), reason))
    header = (
        "symbol", "state", "bid quantity", "bid", "ask", "ask quantity", "latest event", "reason",
    )  # fmt: skip
    note = f"The first {BOOKS} of {len(books):,} books." if len(books) > BOOKS else ""
    return markup.table(shown(repr(books).strip("<>")), header, rows, note)


def _side(level: Any, order: int) -> tuple[float | None, ...]:
    return (None, None) if level is None else tuple(level[::order])


def _time(event_time: int | None) -> str | None:
    return None if event_time is None else markup.utc(event_time, "us")
