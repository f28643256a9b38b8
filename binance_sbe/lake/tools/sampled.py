"""Samples of the kept book of one symbol, of all the pieces of a job one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from ..book_rows import Sampler
from ..store import Store
from .market import Book, Job, insertions, pieces

_VALUES = 1 << 22  # that samples may have at once


def samples(stage: Store, job: Job, levels: int, every: int) -> Iterator[dict[str, Any]]:
    """What `Sampler.run` gives, piece by piece; the book begins with the first snapshot."""
    sampler = Sampler(job.symbol, levels, every)
    waiting: list[Book] = []
    most = max(64, _VALUES // (4 * levels))
    for piece in pieces(stage, job, "depth"):
        inserted, waiting = insertions(piece, waiting)
        bids, asks = (piece.side("depth", name) for name in ("bids", "asks"))
        columns = (
            piece.ints("depth", "first_book_update_id"),
            piece.ints("depth", "last_book_update_id"),
            piece.ints("depth", "event_time"),
            piece.arrivals("depth"),
            piece.exponents("depth", "price"),
            piece.exponents("depth", "qty"),
            bids.offsets, bids.price, bids.qty, asks.offsets, asks.price, asks.qty,
        )  # fmt: skip
        at, end = 0, len(columns[0])
        for stop, book in [*((each.at, each.book) for each in inserted), (end, None)]:
            while at < stop:
                at, found = sampler.run(*columns, at, stop, most)
                if len(found["time"]):
                    yield found
            if book is not None:
                sampler.start(_given(book), book.update_id)
    rest = sampler.rest()
    if rest is not None:
        yield rest


def _given(book: Book) -> Any:
    bid_price, bid_qty, ask_price, ask_qty = book.mantissas
    return SimpleNamespace(
        bids={"price": bid_price, "qty": bid_qty},
        asks={"price": ask_price, "qty": ask_qty},
        price_exponent=book.exponents[0],
        qty_exponent=book.exponents[1],
    )
