"""One symbol on one day, as the tools want it: piece by piece, in the order of arrival.

A piece is what one unit of work has brought. Prices and quantities are mantissas with exponents; a
piece is small, whatever the day has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ..expand import scaled
from ..manifest import Part, unit_of
from ..parts import pyarrow
from ..store import Store

Ints = NDArray[np.int64]
# What a file system, a shell or a URL takes for more than a letter of a name.
_UNSAFE = re.compile(r"[\x00-\x20\x7f/\\%:*?\"<>|]|^\.")


@dataclass(frozen=True)
class Job:
    """A symbol, a day, and the files in which it is: one list for each unit, in order of time.

    ``sources`` are these units with their marks; ``remark`` is what is to be said of what comes of
    it.
    """

    symbol: str
    date: str
    units: tuple[tuple[Part, ...], ...]
    sources: list[str]
    remark: str | None = None

    @property
    def names(self) -> list[str]:
        return [part.path for unit in self.units for part in unit]

    @property
    def safe_symbol(self) -> str:
        """The symbol as a part of a file's name, whatever the exchange may send."""
        return _UNSAFE.sub(lambda found: quote(found[0], safe=""), self.symbol)


@dataclass(frozen=True)
class Made:
    """What came of a job: names of files, and remarks on them. ``rows`` are rows of the archive."""

    files: list[str]
    remarks: list[str] = field(default_factory=list)
    rows: int = 0


@dataclass(frozen=True)
class Side:
    """Levels of many events: ``offsets`` (int32) as Arrow lists have them; mantissas."""

    offsets: NDArray[np.int32]
    price: Ints
    qty: Ints


@dataclass(frozen=True)
class Book:
    """A snapshot of a book: floats, the best levels first. ``update_id`` is its last."""

    update_id: int
    bid_price: NDArray[np.float64]
    bid_qty: NDArray[np.float64]
    ask_price: NDArray[np.float64]
    ask_qty: NDArray[np.float64]
    mantissas: tuple[Ints, Ints, Ints, Ints]
    exponents: tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """What one unit has of it; a table of each kind, by its name, without what has not come.

    ``books`` are snapshots that belong before some of its diffs, or before later ones.
    """

    tables: dict[str, Any]
    books: Sequence[Book] = ()

    def __contains__(self, kind: str) -> bool:
        return kind in self.tables

    def ints(self, kind: str, name: str) -> Ints:
        """A column of integers or times, as int64."""
        pa = pyarrow()
        column = self.tables[kind].column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else column
        kind_of = column.type
        if pa.types.is_timestamp(kind_of):
            column = column.view(pa.int64())
        return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)

    def exponents(self, kind: str, name: str) -> NDArray[np.int8]:
        return self.ints(kind, f"{name}_exponent").astype(np.int8)

    def floats(self, kind: str, name: str) -> NDArray[np.float64]:
        """Numbers of a row each, correctly rounded."""
        return scaled(
            np.ascontiguousarray(self.ints(kind, name)),
            self.exponents(kind, name.rpartition("_")[2]),
        )

    def arrivals(self, kind: str) -> Ints:
        """When each event could be taken, ns: not before the one before it, on whatever line."""
        return np.maximum.accumulate(self.ints(kind, "received_time"))

    def side(self, kind: str, name: str) -> Side:
        """The levels of one side of depth or depth20."""
        column = self.tables[kind].column(name)
        offsets, prices, quantities = [np.zeros(1, np.int64)], [], []
        for chunk in column.chunks:
            ends = np.asarray(chunk.offsets).astype(np.int64)
            values = chunk.values.slice(int(ends[0]), int(ends[-1] - ends[0]))
            offsets.append(ends[1:] - ends[0] + offsets[-1][-1])
            prices.append(np.asarray(values.field(0)))
            quantities.append(np.asarray(values.field(1)))
        empty = np.empty(0, np.int64)
        return Side(
            np.concatenate(offsets).astype(np.int32),
            np.concatenate(prices) if prices else empty,
            np.concatenate(quantities) if quantities else empty,
        )

    def side_floats(self, kind: str, side: Side) -> tuple[Any, Any]:
        """Prices and quantities of the levels of one side, correctly rounded."""
        counts = np.diff(side.offsets).astype(np.int64)
        price, qty = (
            scaled(values, self.exponents(kind, name), counts)
            for name, values in (("price", side.price), ("qty", side.qty))
        )
        return price, qty


def recording_of(name: str) -> str:
    """The recording that a file of the stage is of, by its name."""
    return (unit_of(name) or "").partition("-")[0]


def pieces(store: Store, job: Job, *kinds: str) -> Iterator[Piece]:
    """Of each unit what it has, of all kinds or of these.

    A piece of ``depth`` comes with the snapshots of its time and of the next unit, since a snapshot
    may be older than diffs that came before it; each comes once.
    """
    waiting: list[Book] = []
    ahead = iter(job.units)
    wants_books = not kinds or "depth" in kinds
    if wants_books:
        waiting += books(store, next(ahead, ()), job.symbol)
    for unit in job.units:
        if wants_books:
            waiting += books(store, next(ahead, ()), job.symbol)
        tables = {}
        for part in unit:
            if kinds and part.kind not in kinds:
                continue
            table = rows_of(store, part, job.symbol)
            if table is not None and table.num_rows:
                tables[part.kind] = table
        if "depth" in tables:
            yield Piece(tables, waiting)
            waiting = []
        elif tables:
            yield Piece(tables)


def rows_of(store: Store, part: Part, symbol: str) -> Any:
    """The rows of a symbol in a file, which are next to each other; None where it has none."""
    if symbol not in part.symbols:
        return None
    pa = pyarrow()
    begin = 0
    for name, (rows, *_) in part.symbols.items():
        if name == symbol:
            break
        begin += rows
    place = store.place(part.path)
    source = (
        pa.memory_map(place) if store.is_local else pa.PythonFile(store.opened(part.path), mode="r")
    )
    with pa.ipc.open_file(source) as reader:
        return reader.read_all().slice(begin, part.symbols[symbol][0])


def books(store: Store, unit: Sequence[Part], symbol: str) -> list[Book]:
    """The snapshots of a symbol that came in one unit, by their ids, each id once."""
    pa = pyarrow()
    found: dict[int, Book] = {}
    for part in unit:
        table = rows_of(store, part, symbol) if part.kind == "snapshot" else None
        if table is None:
            continue
        piece = Piece({"snapshot": table})
        ids, times = (piece.ints("snapshot", n) for n in ("last_update_id", "received_time"))
        is_bid = np.asarray(pa.compute.equal(table.column("side"), "bid"))
        price, qty = (piece.ints("snapshot", name) for name in ("price", "qty"))
        exponents = [piece.exponents("snapshot", name) for name in ("price", "qty")]
        for update_id in np.unique(ids).tolist():
            is_one = ids == update_id
            is_one &= times == times[is_one][0]  # the same may have been got again
            bids, asks = (np.flatnonzero(is_one & side) for side in (is_bid, ~is_bid))
            here = np.flatnonzero(is_one)[:1]
            mantissas = (price[bids], qty[bids], price[asks], qty[asks])
            pair = (int(exponents[0][here[0]]), int(exponents[1][here[0]]))
            values = [
                scaled(np.ascontiguousarray(m), np.full(len(m), pair[i % 2], np.int8))
                for i, m in enumerate(mantissas)
            ]
            bid_price, bid_qty, ask_price, ask_qty = values
            found[update_id] = Book(
                update_id, bid_price, bid_qty, ask_price, ask_qty, mantissas, pair
            )
    return [found[update_id] for update_id in sorted(found)]


def interleaved(sides: Sequence[Side], begin: int, end: int) -> tuple[Any, Any]:
    """Where in both sides end to end the levels of some events are, bids before asks in each."""
    bids, asks = (side.offsets[begin : end + 1].astype(np.int64) for side in sides)
    lengths = np.stack([np.diff(bids), np.diff(asks)], axis=1).reshape(-1)
    starts = np.stack([bids[:-1], asks[:-1] + len(sides[0].price)], axis=1).reshape(-1)
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    order = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    is_bid = np.repeat(np.tile([True, False], end - begin), lengths)
    return order, is_bid


@dataclass(frozen=True)
class Insertion:
    """Before diff ``at`` of a piece: ids are missing (``is_hole``), or a snapshot is the book."""

    at: int
    is_hole: bool
    book: Book | None


def insertions(piece: Piece, before: Sequence[Book]) -> tuple[list[Insertion], list[Book]]:
    """What comes before which diff of a piece, in order, and the snapshots that are left.

    A snapshot belongs before the first diff that goes beyond it; ``before`` are those that earlier
    pieces have left.
    """
    waiting = {book.update_id: book for book in (*before, *piece.books)}
    last, first = (piece.ints("depth", f"{which}_book_update_id") for which in ("last", "first"))
    holes = np.flatnonzero(piece.ints("depth", "flags") & 1).tolist()
    found = [Insertion(at, True, None) for at in holes]
    left = []
    for _, book in sorted(waiting.items()):
        at = int(np.searchsorted(last, book.update_id, side="right"))
        if at == len(last):
            left.append(book)
        elif first[at] <= book.update_id + 1:
            found.append(Insertion(at, False, book))
        # else ids are missing between it and the next diff: it is no book of what follows
    return sorted(found, key=lambda each: (each.at, not each.is_hole)), left
