"""Files for hftbacktest: ``BTCUSDT_20261127.npz``, a symbol and a day each.

Rows are by arrival, trades before depth at the same time. Where rows are not in the order of the
exchange's clock too, they are split: one for the exchange, in the order of its clock, and one for
the local side.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, takewhile
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
    TRADE,
    Diffs,
    Trades,
    merged,
)
from ..options import Options
from ..store import Store
from . import npz
from .market import Book, Insertion, Job, Made, Piece, insertions, pieces, recording_of

KINDS = ("trade", "depth", "snapshot")
_STEP = 32_768  # rows that are made in one go: they stay in the processor's cache
HELD_NS = 60_000_000_000  # rows wait so long for others that are earlier by the exchange's clock
Rows = NDArray[Any]


def write(stage: Store, out: Store, job: Job, options: Options) -> Made:
    """Writes the file of a symbol and a day, if it has any row, with remarks on it."""
    name = f"{job.safe_symbol}_{job.date.replace('-', '')}.npz"
    shift = _shift(stage, job)
    remarks = []
    if shift:
        remarks.append(
            f"{name}: the clock here was behind the exchange's: local times are "
            f"{shift / 1e6:.3f} ms later in it than they were"
        )
    settling = Settling()
    with npz.Spool(DTYPE) as spool:
        for rows in all_rows(stage, job):
            if shift:
                rows["local_ts"] += shift
            for done in settling.add(rows):
                spool.add(done)
        for done in settling.rest():
            spool.add(done)
        if settling.moved:
            remarks.append(
                f"{name}: {settling.moved} rows could not be put in the order of the exchange's "
                "clock within a minute, and have the time of the one before them"
            )
        if spool.count:
            with out.writing(name) as file:
                npz.write(file, spool)
    return Made([name] if spool.count else [], remarks)


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


def all_rows(stage: Store, job: Job) -> Iterator[Rows]:
    """The rows by arrival, in pieces; all are for both sides."""
    if len({recording_of(name) for name in job.names}) == 1:
        return tied(rows_of(stage, job, "trade", "depth"))
    # Two recorders may have been at work side by side, one for trades and one for books.
    return by_arrival(rows_of(stage, job, "trade"), rows_of(stage, job, "depth"))


def by_arrival(trades: Iterator[Rows], depth: Iterator[Rows]) -> Iterator[Rows]:
    """Two runs of rows that are each by arrival as one; trades first at the same time."""
    one, other = _next(trades), _next(depth)
    while len(one) and len(other):
        end = min(one["local_ts"][-1], other["local_ts"][-1])
        # of trades more may come at that very time, which go before what comes of depth then
        is_open = one["local_ts"][-1] == end
        i = int(np.searchsorted(one["local_ts"], end, "right"))
        j = int(np.searchsorted(other["local_ts"], end, "left" if is_open else "right"))
        together = np.concatenate([one[:i], other[:j]])
        yield together[np.argsort(together["local_ts"], kind="stable")]
        one = one[i:] if i < len(one) else _next(trades)
        other = other[j:] if j < len(other) else _next(depth)
    yield from (rows for rows in (one, other) if len(rows))
    yield from trades
    yield from depth


def tied(found: Iterator[Rows]) -> Iterator[Rows]:
    """The same pieces by arrival, trades first at the same time also where one piece ends in it."""
    before = np.empty(0, DTYPE)
    for rows in found:
        if not len(rows):
            continue
        if len(before) and before["local_ts"][-1] == rows["local_ts"][0]:
            at = rows["local_ts"][0]
            i = int(np.searchsorted(before["local_ts"], at))
            j = int(np.searchsorted(rows["local_ts"], at, "right"))
            both = np.concatenate([before[i:], rows[:j]])
            yield before[:i]
            rows = np.concatenate([both[np.argsort(~are_trades(both), kind="stable")], rows[j:]])
        elif len(before):
            yield before
        before = rows
    yield before


def _next(found: Iterator[Rows]) -> Rows:
    """The next rows of which there are any."""
    return next((rows for rows in found if len(rows)), np.empty(0, DTYPE))


def rows_of(stage: Store, job: Job, *kinds: str) -> Iterator[Rows]:
    """The rows of these kinds by arrival, in pieces."""
    waiting: list[Book] = []
    worst = [np.inf, 0.0]  # prices of the lowest bid and of the highest ask there were
    for piece in pieces(stage, job, *kinds):
        trades, diffs = _trades(piece), Diffs(*_no_diffs())
        inserted: list[Insertion] = []
        levels = np.zeros(1, np.int64)
        if "depth" in piece:
            bids, asks = (piece.side("depth", name) for name in ("bids", "asks"))
            bid_px, bid_qty = piece.side_floats("depth", bids)
            ask_px, ask_qty = piece.side_floats("depth", asks)
            exch, local = piece.ints("depth", "event_time") * 1000, piece.arrivals("depth")
            diffs = Diffs(exch, local, bids.offsets, bid_px, bid_qty, asks.offsets, ask_px, ask_qty)
            levels = bids.offsets.astype(np.int64) + asks.offsets
            inserted, waiting = insertions(piece, waiting)
        i = begin = 0
        for each in inserted:
            if each.at > begin or each.at == 0:
                for at, stop in pairwise(_stops(levels, begin, each.at)):
                    rows, i = merged(trades, diffs, i, at, stop)
                    yield rows
                _note(worst, bids, bid_px, asks, ask_px, begin, each.at)
                begin = each.at
            yield _inserted(each, int(exch[each.at]), int(local[each.at]), worst)
            if each.book is not None:
                worst[0] = min([worst[0], *each.book.bid_price[-1:].tolist()])
                worst[1] = max([worst[1], *each.book.ask_price[-1:].tolist()])
        for at, stop in pairwise(_stops(levels, begin, diffs.count)):
            rows, i = merged(trades, diffs, i, at, stop)
            yield rows
        if "depth" in piece:
            _note(worst, bids, bid_px, asks, ask_px, begin, diffs.count)


def _stops(levels: NDArray[np.int64], begin: int, end: int) -> Iterator[int]:
    """Diffs between which rows are made in one go, from the first to the last of them.

    ``levels`` is how many there are before each diff.
    """
    yield begin
    while begin < end - 1:
        begin = min(max(int(np.searchsorted(levels, levels[begin] + _STEP)), begin + 1), end - 1)
        yield begin
    yield end


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
        self._held: list[Rows] = []
        self._least: list[int] = []  # of `order_of` in each of them
        self._most: list[int] = []
        self._latest = -(2**63)  # by the exchange's clock, of those that were given
        self.moved = 0

    def add(self, rows: Rows) -> list[Rows]:
        """Those that are settled now, in pieces."""
        if not len(rows):
            return []
        self._hold(rows)
        until = int(rows["local_ts"][-1]) - HELD_NS
        old = sum(1 for _ in takewhile(lambda piece: piece["local_ts"][-1] <= until, self._held))
        if not old:
            return []
        cuts = self._cuts(old)
        return self._between(cuts) if len(cuts) > 1 else self._within(until)

    def rest(self) -> list[Rows]:
        return self._between([*self._cuts(len(self._held) - 1), len(self._held)])

    def _hold(self, rows: Rows) -> None:
        order = order_of(rows)
        self._held.append(rows)
        self._least.append(int(order.min()))
        self._most.append(int(order.max()))

    def _cuts(self, most: int) -> list[int]:
        """Where all pieces before are earlier than all behind by the exchange's clock, too.

        From 0 on, and not behind ``most`` pieces.
        """
        before = np.maximum.accumulate(np.array([-(2**63), *self._most]))
        behind = np.minimum.accumulate(np.array([*self._least, 2**63 - 1])[::-1])[::-1]
        return np.flatnonzero((before <= behind)[: max(most, 0) + 1]).tolist()

    def _between(self, cuts: list[int]) -> list[Rows]:
        """The pieces before the last cut, as they are wherever that is in order."""
        found = [self._given(_joined(self._held[a:b])) for a, b in pairwise(cuts) if a < b]
        for parts in (self._held, self._least, self._most):
            del parts[: cuts[-1]]
        return found

    def _within(self, until: int) -> list[Rows]:
        """Cuts pieces where no place between them will do."""
        rows = _joined(self._held)
        at = int(np.searchsorted(rows["local_ts"], until))
        order = order_of(rows)
        least = np.minimum.accumulate(order[::-1])[::-1]
        most = np.maximum.accumulate(order)
        good = np.flatnonzero(most[:at] <= least[1 : at + 1])
        at = int(good[-1]) + 1 if len(good) else at
        self._held, self._least, self._most = [], [], []
        if at < len(rows):
            self._hold(rows[at:].copy())
        return [self._given(rows[:at])] if at else []

    def _given(self, rows: Rows) -> Rows:
        late = rows["exch_ts"] < self._latest
        if late.any():
            self.moved += int(late.sum())
            rows["exch_ts"][late] = self._latest
        self._latest = max(self._latest, int(rows["exch_ts"].max()))
        return settled(rows)


def _joined(parts: list[Rows]) -> Rows:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def are_trades(rows: Rows) -> NDArray[np.bool_]:
    return np.asarray((rows["ev"] & np.uint64(0xFF)) == TRADE)


def order_of(rows: Rows) -> NDArray[np.int64]:
    """What rows are ordered by for the exchange: its clock, and trades first at the same time."""
    return np.asarray(rows["exch_ts"] * 2 + ~are_trades(rows), np.int64)


def settled(rows: Rows) -> Rows:
    """Splits the rows whose clocks disagree in order. What is given is by ``local_ts``."""
    exch = order_of(rows)
    if len(rows) < 2 or bool((exch[1:] >= exch[:-1]).all()):
        return rows
    before, behind = np.maximum.accumulate(exch), np.minimum.accumulate(exch[::-1])[::-1]
    is_split = np.zeros(len(rows), np.bool_)
    is_split[1:] = exch[1:] < before[:-1]
    is_split[:-1] |= exch[:-1] > behind[1:]
    split = np.flatnonzero(is_split)
    # Rows between two places where all before are earlier by both clocks than all behind are one
    # knot: first what the exchange sees, by its clock, then what is seen here.
    knot = np.cumsum(np.concatenate([[False], before[:-1] <= behind[1:]]))[split]
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
