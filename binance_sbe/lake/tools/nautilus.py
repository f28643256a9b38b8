"""A catalog of NautilusTrader, as its version 1 reads it: quotes, trades, deltas and depth10.

Numbers are integers of 128 bits, in units of 10^-16 (its builds of high precision). A file is of a
type, an instrument such as BTCUSDT.BINANCE and a day; its name says from when to when.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sbe_codegen.extras import imported

from ...errors import LakeError
from ...venue.streams import DEPTH20
from ..expand import fixed
from ..numbers import plain
from ..options import Options
from ..parts import pyarrow
from ..store import Store
from ..tables import NAMES
from .market import Book, Job, Made, Piece, Side, insertions, interleaved, pieces

KINDS = (*NAMES.values(), "snapshot")
_PLACES = 16
_LEVELS = 10
_ADD, _UPDATE, _DELETE, _CLEAR = 1, 2, 3, 4
_BUY, _SELL = 1, 2
_LAST, _SNAPSHOT = 128, 32


def write(stage: Store, out: Store, job: Job, options: Options) -> Made:
    """Writes the files of a symbol and a day; their names."""
    catalog = _Catalog(stage, job, options.tool.get("precisions") or {})
    made = []
    for folder, tables in (
        ("quote_tick", catalog.quotes()),
        ("trade_tick", catalog.trades()),
        ("order_book_delta", catalog.deltas()),
        ("order_book_depth10", catalog.depths()),
    ):
        name = catalog.write(out, folder, tables)
        if name is not None:
            made.append(name)
    return Made(made)


class _Catalog:
    def __init__(self, stage: Store, job: Job, precisions: Any) -> None:
        self.stage, self.job = stage, job
        self.pa = pyarrow()
        self.instrument = f"{job.safe_symbol}.BINANCE"
        self.precision = tuple(precisions.get(job.symbol) or self._finest())
        if len(self.precision) != 2 or not all(0 <= each <= _PLACES for each in self.precision):
            raise LakeError(
                f"precisions of {job.symbol} are two numbers from 0 to {_PLACES}, "
                f"not {self.precision}"
            )

    def _finest(self) -> tuple[int, int]:
        """As many digits as the exponents of the day have."""
        found = [0, 0]
        for piece in pieces(self.stage, self.job):
            for kind in piece.tables:
                for i, name in enumerate(("price", "qty")):
                    least = int(piece.exponents(kind, name).min(initial=0))
                    found[i] = max(found[i], -least)
        return found[0], found[1]

    def number(self, mantissas: Any, exponents: Any, which: int) -> Any:
        """A column of prices (``which`` is 0) or sizes (1)."""
        mantissas = np.ascontiguousarray(mantissas, np.int64)
        exponents = np.ascontiguousarray(np.broadcast_to(exponents, mantissas.shape), np.int8)
        places = self.precision[which]
        try:
            fixed(mantissas, exponents, places)  # no digit may be lost
            values = fixed(mantissas, exponents, _PLACES)
        except ValueError as error:
            what = ("price", "size")[which]
            raise LakeError(f"{self.job.symbol}: {what} precision {places}: {error}") from None
        return plain(self.pa, self.pa.binary(16), values)

    def _u64(self, values: Any) -> Any:
        return self.pa.array(np.ascontiguousarray(values).astype(np.uint64))

    def _u8(self, values: Any, count: int) -> Any:
        return self.pa.array(np.broadcast_to(np.asarray(values, np.uint8), count).copy())

    def _times(self, ts_event: Any, ts_init: Any) -> dict[str, Any]:
        return {"ts_event": self._u64(ts_event), "ts_init": self._u64(ts_init)}

    def quotes(self) -> Iterator[dict[str, Any]]:
        kind = "best_bid_ask"
        for piece in pieces(self.stage, self.job, kind):
            exponents = [piece.exponents(kind, name) for name in ("price", "qty")]
            yield {
                **{
                    f"{side}_{('price', 'size')[which]}": self.number(
                        piece.ints(kind, f"{side}_{('price', 'qty')[which]}"),
                        exponents[which],
                        which,
                    )
                    for which in (0, 1)
                    for side in ("bid", "ask")
                },
                **self._times(piece.ints(kind, "event_time") * 1000, piece.arrivals(kind)),
            }

    def trades(self) -> Iterator[dict[str, Any]]:
        for piece in pieces(self.stage, self.job):
            if "trade" not in piece:
                continue
            maker = piece.tables["trade"].column("is_buyer_maker")
            aggressor = self.pa.compute.if_else(maker, _SELL, _BUY).fill_null(0)
            ids = self.pa.array(piece.ints("trade", "id"))
            yield {
                "price": self.number(
                    piece.ints("trade", "price"), piece.exponents("trade", "price"), 0
                ),
                "size": self.number(piece.ints("trade", "qty"), piece.exponents("trade", "qty"), 1),
                "aggressor_side": aggressor.cast(self.pa.uint8()),
                "trade_id": ids.cast(self.pa.string()),
                **self._times(piece.ints("trade", "transact_time") * 1000, piece.arrivals("trade")),
            }

    def deltas(self) -> Iterator[dict[str, Any]]:
        waiting: list[Book] = []
        for piece in pieces(self.stage, self.job, "depth"):
            inserted, waiting = insertions(piece, waiting)
            sides = [piece.side("depth", name) for name in ("bids", "asks")]
            begin, end = 0, len(sides[0].offsets) - 1
            for at, each in [*((each.at, each) for each in inserted), (end, None)]:
                if at > begin:
                    yield from self._updates(piece, sides, begin, at)
                    begin = at
                if each is not None:
                    yield self._snapshot(piece, at, each.book)

    def _updates(self, piece: Piece, sides: list[Side], begin: int, end: int) -> Iterator[Any]:
        order, is_bid = interleaved(sides, begin, end)
        if not len(order):
            return
        counts = sum(np.diff(side.offsets[begin : end + 1]).astype(np.int64) for side in sides)
        price, qty = (
            np.concatenate([getattr(s, n) for s in sides])[order] for n in ("price", "qty")
        )
        exponents = [
            np.repeat(piece.exponents("depth", name)[begin:end], counts)
            for name in ("price", "qty")
        ]
        flags = np.zeros(len(order), np.uint8)
        flags[np.cumsum(counts)[counts > 0] - 1] = _LAST

        def spread(values: Any) -> Any:
            return np.repeat(values[begin:end], counts)

        yield self._deltas(
            np.where(qty == 0, _DELETE, _UPDATE), np.where(is_bid, _BUY, _SELL),
            price, qty, exponents, flags, spread(piece.ints("depth", "last_book_update_id")),
            spread(piece.ints("depth", "event_time")) * 1000, spread(piece.arrivals("depth")),
        )  # fmt: skip

    def _snapshot(self, piece: Piece, at: int, book: Any) -> dict[str, Any]:
        """The book is cleared; with a snapshot its levels follow."""
        empty = np.empty(0, np.int64)
        bid_price, bid_qty, ask_price, ask_qty = (empty,) * 4 if book is None else book.mantissas
        exponents = (0, 0) if book is None else book.exponents
        first = int(piece.ints("depth", "first_book_update_id")[at])
        count = 1 + len(bid_price) + len(ask_price)
        action = np.full(count, _ADD)
        side = np.concatenate([[0], np.full(len(bid_price), _BUY), np.full(len(ask_price), _SELL)])
        action[0] = _CLEAR
        flags = np.full(count, _SNAPSHOT, np.uint8)
        flags[-1] |= _LAST
        return self._deltas(
            action, side, np.concatenate([[0], bid_price, ask_price]),
            np.concatenate([[0], bid_qty, ask_qty]),
            [np.full(count, each, np.int8) for each in exponents],
            flags, np.full(count, first - 1 if book is None else book.update_id),
            np.full(count, piece.ints("depth", "event_time")[at] * 1000),
            np.full(count, piece.arrivals("depth")[at]),
        )  # fmt: skip

    def _deltas(
        self, action: Any, side: Any, price: Any, qty: Any, exponents: Any, flags: Any,
        sequence: Any, ts_event: Any, ts_init: Any,
    ) -> dict[str, Any]:  # fmt: skip
        count = len(action)
        return {
            "action": self._u8(action, count),
            "side": self._u8(side, count),
            "price": self.number(price, exponents[0], 0),
            "size": self.number(qty, exponents[1], 1),
            "order_id": self._u64(np.zeros(count)),
            "flags": self._u8(flags, count),
            "sequence": self._u64(np.maximum(sequence, 0)),
            **self._times(ts_event, ts_init),
        }

    def depths(self) -> Iterator[dict[str, Any]]:
        kind = NAMES[DEPTH20]
        for piece in pieces(self.stage, self.job, kind):
            sides = {name[:-1]: piece.side(kind, name) for name in ("bids", "asks")}
            exponents = [piece.exponents(kind, name) for name in ("price", "qty")]
            found: dict[str, Any] = {}
            counts: dict[str, Any] = {}
            for which, what in enumerate(("price", "size")):
                for name, side in sides.items():
                    lengths = np.diff(side.offsets)
                    values = side.price if which == 0 else side.qty
                    for i in range(_LEVELS):
                        has = lengths > i
                        at = np.where(has, side.offsets[:-1] + i, 0)
                        here = np.where(has, values[at], 0) if len(values) else np.zeros(len(has))
                        found[f"{name}_{what}_{i}"] = self.number(here, exponents[which], which)
                        counts[f"{name}_count_{i}"] = self.pa.array(has.astype(np.uint32))
            order = [f"{s}_count_{i}" for s in ("bid", "ask") for i in range(_LEVELS)]
            count = piece.tables[kind].num_rows
            yield {
                **found,
                **{name: counts[name] for name in order},
                "flags": self._u8(0, count),
                "sequence": self._u64(np.maximum(piece.ints(kind, "book_update_id"), 0)),
                **self._times(piece.ints(kind, "event_time") * 1000, piece.arrivals(kind)),
            }

    def write(self, out: Store, folder: str, tables: Iterator[dict[str, Any]]) -> str | None:
        """A file, whose name says the first and the last ts_init of what is in it."""
        pq = imported("pyarrow.parquet", "an archive", "lake")
        pa = self.pa
        first = next(tables, None)
        if first is None:
            return None
        metadata = {
            "instrument_id": self.instrument,
            "price_precision": str(self.precision[0]),
            "size_precision": str(self.precision[1]),
        }
        schema = pa.schema(
            [pa.field(name, values.type, nullable=False) for name, values in first.items()],
            metadata,
        )
        place = f"data/{folder}/{self.instrument}"
        half = f"{place}/{self.job.date}.unnamed"
        begin, end = first["ts_init"][0].as_py(), 0
        with ExitStack() as stack:
            file = stack.enter_context(out.writing(half))
            made = stack.enter_context(pq.ParquetWriter(file, schema, compression="zstd"))
            while first is not None:
                arrays = [_joined(pa, values) for values in first.values()]
                made.write_table(pa.Table.from_arrays(arrays, schema=schema))
                end = first["ts_init"][-1].as_py()
                first = next(tables, None)
        name = f"{place}/{_moment(begin)}_{_moment(end)}.parquet"
        out.rename(half, name)
        return name


def _joined(pa: Any, values: Any) -> Any:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _moment(ns: int) -> str:
    """2024-01-01T00-00-00-000000000Z."""
    when = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{when:%Y-%m-%dT%H-%M-%S}-{ns % 10**9:09d}Z"
