"""Which events of a unit become rows, in which order, and before which of them ids are missing.

A unit is what one call converts: the frames of a range of batches, with those that came shortly
before (its *run-up*). The run-up makes no rows. It tells what has come already, by another line or
before a connection was renewed, and which id was the last. Everything here is numpy over events: no
loop over them, and levels are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sbe_codegen.runtime.tables.results import Table

from ..venue.streams import DEPTH, KIND_OF, TRADE

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Events of one kind, as rows of ``table`` in the order in which they are to be written.

    They are by symbol (as text), event time, id. ``rows`` (int64) are rows of the table, and
    ``records`` a copy of these, end to end; all other arrays go with them: ``symbol`` (uint32)
    numbers ``symbols``, which are sorted; ``first`` and ``last`` are the first and the last id of
    the event; ``is_after_gap`` says that the event before it of the same symbol is known, and that
    ids are missing between the two; ``before`` is the last id before, -1 where that is not known.
    ``duplicates`` events had come before.
    """

    kind: str
    table: Table
    symbols: list[str]
    rows: Ints
    records: Any
    symbol: NDArray[np.uint32]
    first: Ints
    last: Ints
    before: Ints
    is_after_gap: NDArray[np.bool_]
    duplicates: int

    def __len__(self) -> int:
        return len(self.rows)

    def segments(self) -> list[tuple[int, int]]:
        """From where to where the events of each symbol are."""
        begins = np.flatnonzero(np.diff(self.symbol.astype(np.int64), prepend=-1)).tolist()
        return list(zip(begins, [*begins[1:], len(self)], strict=True)) if begins else []

    def part(self, chosen: Any) -> Events:
        """Some of them, by a mask or a slice; the order stays."""
        names = ("rows", "records", "symbol", "first", "last", "before", "is_after_gap")
        parts = {name: getattr(self, name)[chosen] for name in names}
        return replace(self, **parts, duplicates=0)


def taken(records: Any, rows: Ints) -> Any:
    """``records[rows]`` of a structured array, copied as words, which numpy does much faster."""
    width = records.dtype.itemsize // 8
    if records.dtype.itemsize % 8 or not records.flags.c_contiguous:
        return records[rows]
    words = records.view(np.int64).reshape(len(records), width)
    return np.take(words, rows, axis=0).reshape(-1).view(records.dtype)


def _trade_ids(table: Table) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """First and last id of each event of trades; and which has trades at all."""
    trades = table.groups["trades"]
    begin, end = trades.offsets[:-1], trades.offsets[1:]
    has_some = end > begin
    ids = trades.records["id"] if len(trades.records) else np.zeros(1, np.int64)
    return ids[np.minimum(begin, len(ids) - 1)], ids[np.maximum(end - 1, 0)], has_some


def ordered(table: Table, fresh: int) -> Events:
    """The events of a table but for those of the first ``fresh`` frames, which are the run-up.

    Events of trades without a trade are none.
    """
    kind = KIND_OF[table.message].name
    texts = table.symbols
    symbols = sorted(texts)
    place = {text: i for i, text in enumerate(symbols)}
    ranks = np.array([place[text] for text in texts] or [0], np.uint32)
    rank = ranks[table.records["symbol"]]
    if kind == TRADE:
        firsts, lasts, has_some = _trade_ids(table)
        rows = np.flatnonzero(has_some)
        rows = rows[_sorting(rank[rows], len(symbols))]
    else:
        rows = _sorting(rank, len(symbols))

    def ids(of: Any, at: Ints) -> tuple[Ints, Ints]:
        if kind == TRADE:
            return firsts[at], lasts[at]
        if kind == DEPTH:
            return of["first_book_update_id"], of["last_book_update_id"]
        return of["book_update_id"], of["book_update_id"]

    rank = rank[rows]
    records = taken(table.records, rows)
    first, last = ids(records, rows)
    late = _out_of_order(rank, records["event_time"], last)
    if late.any():
        # Lines and renewals bring some events late: only their symbols are sorted anew.
        chosen = np.flatnonzero(np.isin(rank, rank[1:][late]))
        keys = first[chosen], last[chosen], records["event_time"][chosen], rank[chosen]
        rows[chosen] = rows[chosen][np.lexsort(keys)]
        records = taken(table.records, rows)
        first, last = ids(records, rows)
    came = np.zeros(len(rows), np.bool_)  # before, by another connection
    times = records["event_time"]
    came[1:] = (last[1:] == last[:-1]) & (first[1:] == first[:-1]) & (times[1:] == times[:-1])
    came[1:] &= rank[1:] == rank[:-1]
    duplicates = int((records["frame"][came] >= fresh).sum())
    if came.any():
        kept = ~came
        rows, rank, records = rows[kept], rank[kept], records[kept]
        first, last = first[kept], last[kept]
    follows = np.zeros(len(rows), np.bool_)
    follows[1:] = rank[1:] == rank[:-1]
    before = np.full(len(rows), -1, np.int64)
    before[1:] = np.where(follows[1:], last[:-1], -1)
    is_after_gap = np.zeros(len(rows), np.bool_)
    if not KIND_OF[table.message].ids_jump:
        is_after_gap = follows & (first > before + 1)
    made = Events(
        kind, table, symbols, rows, records, rank, first, last, before, is_after_gap, duplicates
    )
    is_fresh = records["frame"] >= fresh
    return made if is_fresh.all() else replace(made.part(is_fresh), duplicates=duplicates)


def _sorting(rank: Any, count: int) -> Ints:
    """What sorts by the symbol, and leaves those of one symbol in the order of their arrival."""
    small = rank.astype(np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.uint32)
    return np.argsort(small, kind="stable")


def _out_of_order(rank: Any, times: Ints, ids: Ints) -> NDArray[np.bool_]:
    """Which events, from the second on, should come before the one before them."""
    later = (times[1:] < times[:-1]) | ((times[1:] == times[:-1]) & (ids[1:] < ids[:-1]))
    found: NDArray[np.bool_] = later & (rank[1:] == rank[:-1])
    return found
