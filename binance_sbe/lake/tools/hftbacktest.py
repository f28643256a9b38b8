"""Files for hftbacktest: ``BTCUSDT_20261127.npz``, a symbol and a day each.

Rows are by arrival, trades before depth at the same time. Where rows are not in the order of the
exchange's clock too, they are split: one for the exchange, in the order of its clock, and one for
the local side.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hft_rows import (
    BUY,
    DEPTH_CLEAR,
    DEPTH_SNAPSHOT,
    DTYPE,
    EXCH,
    LOCAL,
    SELL,
    Diffs,
    Trades,
    merged,
)
from ..options import Options
from ..store import Store
from . import npz
from .market import Insertion, Job, Made, Piece, books, insertions, pieces

KINDS = ("trade", "depth", "snapshot")
HELD_NS = 60_000_000_000  # rows wait so long for others that are earlier by the exchange's clock
Rows = NDArray[Any]


def write(stage: Store, out: Store, job: Job, options: Options) -> Made:
    """Writes the file of a symbol and a day; its name, if there is any row, and remarks on it."""
    name = f"{job.symbol}_{job.date.replace('-', '')}.npz"
    shift = _shift(stage, job)
    remarks = []
    if shift:
        remarks.append(
            f"{name}: the clock here was behind the exchange's: local times are "
            f"{shift / 1e6:.3f} ms later in it than they were"
        )
    settling = Settling()
    count = 0
    with tempfile.TemporaryFile() as spool:
        for rows in rows_of(stage, job):
            rows["local_ts"] += shift
            done = settling.add(rows)
            spool.write(done.view(np.uint8).data)
            count += len(done)
        done = settling.rest()
        spool.write(done.view(np.uint8).data)
        count += len(done)
        if settling.moved:
            remarks.append(
                f"{name}: {settling.moved} rows came more than a minute after later ones "
                "by the exchange's clock, and have the time of the one before them"
            )
        if count:
            spool.seek(0)
            with out.writing(name) as file:
                npz.write(file, spool, DTYPE, count)
    return Made([name] if count else [], remarks)


def _shift(stage: Store, job: Job) -> int:
    """What is added to local times, ns, so that none is before the exchange's."""
    least = 0
    for piece in pieces(stage, job):
        if "trade" in piece:
            gaps = piece.arrivals("trade") - piece.ints("trade", "transact_time") * 1000
            least = min(least, int(gaps.min()))
        if "depth" in piece:
            gaps = piece.arrivals("depth") - piece.ints("depth", "event_time") * 1000
            least = min(least, int(gaps.min()))
    return -least


def rows_of(stage: Store, job: Job) -> Any:
    """The rows by arrival, in pieces; all are for both sides."""
    waiting = books(stage, job)
    worst = [np.inf, 0.0]  # prices of the lowest bid and of the highest ask there were
    for piece in pieces(stage, job):
        trades, diffs = _trades(piece), Diffs(*_no_diffs())
        inserted: list[Insertion] = []
        if "depth" in piece:
            bids, asks = (piece.side("depth", name) for name in ("bids", "asks"))
            bid_px, bid_qty = piece.side_floats("depth", bids)
            ask_px, ask_qty = piece.side_floats("depth", asks)
            exch, local = piece.ints("depth", "event_time") * 1000, piece.arrivals("depth")
            diffs = Diffs(exch, local, bids.offsets, bid_px, bid_qty, asks.offsets, ask_px, ask_qty)
            inserted, waiting = insertions(piece, waiting)
        i = j = 0
        for each in inserted:
            if each.at > j or each.at == 0:
                rows, i = merged(trades, diffs, i, j, each.at)
                yield rows
                _note(worst, bids, bid_px, asks, ask_px, j, each.at)
                j = each.at
            yield _inserted(each, int(exch[each.at]), int(local[each.at]), worst)
            if each.book is not None:
                worst[0] = min([worst[0], *each.book.bid_price[-1:].tolist()])
                worst[1] = max([worst[1], *each.book.ask_price[-1:].tolist()])
        rows, i = merged(trades, diffs, i, j, diffs.count)
        yield rows
        if "depth" in piece:
            _note(worst, bids, bid_px, asks, ask_px, j, diffs.count)


def _note(
    worst: list[float], bids: Any, bid_px: Any, asks: Any, ask_px: Any, begin: int, end: int
) -> None:
    prices = bid_px[bids.offsets[begin] : bids.offsets[end]]
    worst[0] = min(worst[0], float(prices.min(initial=np.inf)))
    prices = ask_px[asks.offsets[begin] : asks.offsets[end]]
    worst[1] = max(worst[1], float(prices.max(initial=0.0)))


def _trades(piece: Piece) -> Trades:
    if "trade" not in piece:
        empty = np.empty(0, np.int64)
        return Trades(
            empty, empty, empty.astype(float), empty.astype(float), empty.astype(np.uint8)
        )
    maker = piece.tables["trade"].column("is_buyer_maker").fill_null(False)
    return Trades(
        piece.ints("trade", "transact_time") * 1000,
        piece.arrivals("trade"),
        piece.floats("trade", "price"),
        piece.floats("trade", "qty"),
        np.asarray(maker).astype(np.uint8),
    )


def _no_diffs() -> tuple[Any, ...]:
    times, numbers = np.empty(0, np.int64), np.empty(0)
    offsets = np.zeros(1, np.int32)
    return times, times, offsets, numbers, numbers, offsets, numbers, numbers


def _inserted(each: Insertion, exch: int, local: int, worst: list[float]) -> Rows:
    """The rows of a hole, or of a snapshot: each side is cleared as far as it is known."""
    book, none = each.book, np.empty(0)
    parts = [none.view(DTYPE)]
    for side, prices, quantities, known in (
        (BUY, none if book is None else book.bid_price, none if book is None else book.bid_qty, 0),
        (SELL, none if book is None else book.ask_price, none if book is None else book.ask_qty, 1),
    ):
        price = prices[-1] if len(prices) else worst[known]
        if np.isfinite(price) and price > 0:
            parts.append(_rows(DEPTH_CLEAR | side, exch, local, np.array([price]), np.zeros(1)))
        parts.append(_rows(DEPTH_SNAPSHOT | side, exch, local, prices, quantities))
    return np.concatenate(parts)


def _rows(ev: int, exch: int, local: int, px: Any, qty: Any) -> Rows:
    made = np.zeros(len(px), DTYPE)
    made["ev"], made["exch_ts"], made["local_ts"] = ev | EXCH | LOCAL, exch, local
    made["px"], made["qty"] = px, qty
    return made


class Settling:
    """Rows by arrival become rows that are in order by both clocks.

    A row that some row before it is later than by the exchange's clock, or some row behind it
    earlier, is split. The latest minute is held back, since rows behind it are not known yet.
    """

    def __init__(self) -> None:
        self._held: Rows = np.empty(0, DTYPE)
        self._latest = -(2**63)  # by the exchange's clock, of those that were given
        self.moved = 0

    def add(self, rows: Rows) -> Rows:
        """Those that are settled now."""
        rows = np.concatenate([self._held, rows]) if len(self._held) else rows
        if not len(rows):
            return rows
        at = int(np.searchsorted(rows["local_ts"], rows["local_ts"][-1] - HELD_NS))
        if at:
            # cut where all before are earlier than all behind by the exchange's clock, too
            least = np.minimum.accumulate(rows["exch_ts"][::-1])[::-1]
            most = np.maximum.accumulate(rows["exch_ts"])
            good = np.flatnonzero(most[:at] <= least[1 : at + 1])
            at = int(good[-1]) + 1 if len(good) else at
        self._held = rows[at:].copy()
        return self._given(rows[:at])

    def rest(self) -> Rows:
        found, self._held = self._held, np.empty(0, DTYPE)
        return self._given(found)

    def _given(self, rows: Rows) -> Rows:
        late = rows["exch_ts"] < self._latest
        if late.any():
            self.moved += int(late.sum())
            rows["exch_ts"][late] = self._latest
        done = settled(rows)
        if len(rows):
            self._latest = max(self._latest, int(rows["exch_ts"].max()))
        return done


def settled(rows: Rows) -> Rows:
    """Splits the rows whose clocks disagree in order. What is given is by ``local_ts``."""
    exch = rows["exch_ts"]
    if len(rows) < 2 or bool((exch[1:] >= exch[:-1]).all()):
        return rows
    before, behind = np.maximum.accumulate(exch), np.minimum.accumulate(exch[::-1])[::-1]
    is_split = np.zeros(len(rows), np.bool_)
    is_split[1:] = exch[1:] < before[:-1]
    is_split[:-1] |= exch[:-1] > behind[1:]
    split = np.flatnonzero(is_split)
    # Neighbours that are split are one knot: first what the exchange sees, by its clock, then what
    # is seen here. Everything else is before or behind it by both clocks.
    knot = np.cumsum(np.diff(split, prepend=split[0] - 1) > 1)
    starts = split[np.searchsorted(knot, knot)]
    by_exchange = split[np.lexsort((split, exch[split], knot))]
    place = np.arange(len(rows)) * 2
    places = np.concatenate([place[~is_split], starts * 2, starts * 2 + 1])
    number = np.concatenate(
        [np.zeros(len(rows) - len(split), np.int64), *[np.arange(len(split))] * 2]
    )
    first, second = rows[by_exchange], rows[split]
    first["ev"] &= np.uint64(~LOCAL & 0xFFFFFFFFFFFFFFFF)
    second["ev"] &= np.uint64(~EXCH & 0xFFFFFFFFFFFFFFFF)
    together = np.concatenate([rows[~is_split], first, second])
    return together[np.lexsort((number, places))]
