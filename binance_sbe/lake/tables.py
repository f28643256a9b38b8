"""Events as Arrow tables: the schema of each kind, and its rows in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..venue.streams import BEST_BID_ASK, DEPTH, DEPTH20, TRADE
from . import expand
from .events import Events
from .numbers import Form, plain, table_of

LEVELS = ("flat", "nested")
# The name of a kind in paths: that of the stream, in the spelling of columns.
NAMES = {TRADE: TRADE, BEST_BID_ASK: "best_bid_ask", DEPTH20: DEPTH20, DEPTH: DEPTH}
DAY_US = 86_400_000_000
_SIDES = ("bid", "ask")
_NUMBERS = {
    TRADE: ("price", "qty"),
    BEST_BID_ASK: ("bid_price", "bid_qty", "ask_price", "ask_qty"),
    DEPTH20: ("price", "qty"),
    DEPTH: ("price", "qty"),
}
_IDS = {
    BEST_BID_ASK: ("book_update_id",),
    DEPTH20: ("book_update_id",),
    DEPTH: ("first_book_update_id", "last_book_update_id"),
}


@dataclass(frozen=True)
class Arrivals:
    """When and by which connection each frame of a unit came, by the number of the frame."""

    received_ns: NDArray[np.int64]
    connection: NDArray[np.uint16]


class Layout:
    """The columns of one kind of rows."""

    def __init__(self, pa: Any, kind: str, form: Form, levels: str = "flat") -> None:
        self.pa = pa
        self.kind = kind
        self.form = form
        self.is_flat = levels == "flat" and kind in (DEPTH20, DEPTH)
        self.is_nested = levels == "nested" and kind in (DEPTH20, DEPTH)
        self.schema = pa.schema(self._fields())

    def _fields(self) -> list[Any]:
        pa, kind = self.pa, self.kind
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [
            pa.field("symbol", text, nullable=False),
            pa.field("event_time", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("received_time", pa.timestamp("ns", "UTC"), nullable=False),
        ]
        if kind == TRADE:
            fields.append(pa.field("transact_time", pa.timestamp("us", "UTC"), nullable=False))
            fields.append(pa.field("id", pa.int64(), nullable=False))
        fields += [pa.field(name, pa.int64(), nullable=False) for name in _IDS.get(kind, ())]
        if self.is_flat:
            fields.append(pa.field("side", text))
            if kind == DEPTH20:
                fields.append(pa.field("position", pa.uint16()))
        numbers = [each for name in _NUMBERS[kind] for each in self.form.fields(name)]
        if self.is_nested:
            each = pa.list_(pa.field("element", pa.struct(numbers)))
            numbers = [pa.field("bids", each), pa.field("asks", each)]
        fields += numbers
        if kind == TRADE:
            fields.append(pa.field("is_buyer_maker", pa.bool_()))
        if self.is_flat:
            fields.append(pa.field("is_last_in_event", pa.bool_(), nullable=False))
        if self.form.has_exponents:
            fields += [pa.field(f"{name}_exponent", pa.int8()) for name in ("price", "qty")]
        fields.append(pa.field("connection", pa.uint16(), nullable=False))
        fields.append(pa.field("flags", pa.uint8(), nullable=False))
        return fields

    def rows(self, events: Events) -> NDArray[np.int64]:
        """How many rows each event becomes."""
        if self.kind == TRADE:
            offsets = events.table.groups["trades"].offsets
            found: NDArray[np.int64] = offsets[events.rows + 1] - offsets[events.rows]
            return found
        if self.is_flat:
            bids, asks = (events.table.groups[name].offsets for name in ("bids", "asks"))
            counted: NDArray[np.int64] = expand.counts(events.rows, bids, asks)
            return counted
        return np.ones(len(events), np.int64)

    def pieces(
        self, events: Events, flags: NDArray[np.uint8], arrivals: Arrivals, most: int
    ) -> Iterator[Any]:
        """Tables of at least ``most`` rows and less than three times that, but for a smaller rest.

        One after the other they are all of the events.
        """
        counts = self.rows(events)
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        number = max(1, total // most)
        targets = np.arange(1, number + 1, dtype=np.int64) * total // number
        cuts = np.searchsorted(ends, targets) + 1
        begin = 0
        for cut in np.minimum(cuts, len(events)).tolist():
            if cut > begin:
                part = slice(begin, cut)
                yield self.table(events.part(part), counts[part], flags[part], arrivals)
                begin = cut

    def table(
        self, events: Events, counts: Any, flags: NDArray[np.uint8], arrivals: Arrivals
    ) -> Any:
        """A table of some events, in their order; ``counts`` are the rows of each."""
        pa, kind = self.pa, self.kind
        repeats = counts if kind == TRADE or self.is_flat else None
        records = events.records
        price_exponent, qty_exponent = (
            np.ascontiguousarray(records[f"{name}_exponent"]) for name in ("price", "qty")
        )

        def spread(values: Any) -> Any:
            return values if repeats is None else np.repeat(values, repeats)

        frames = records["frame"]
        columns: dict[str, Any] = {
            "symbol": _texts(pa, spread(events.symbol), events.symbols),
            "event_time": spread(records["event_time"]),
            "received_time": spread(arrivals.received_ns[frames]),
            "connection": spread(arrivals.connection[frames]),
            "flags": _first_only(spread(flags), repeats),
        }
        for name in _IDS.get(kind, ()):
            columns[name] = spread(records[name])
        if self.form.has_exponents:
            columns["price_exponent"] = spread(price_exponent)
            columns["qty_exponent"] = spread(qty_exponent)
        exponents = {"price": price_exponent, "qty": qty_exponent}
        if kind == BEST_BID_ASK:
            for name in _NUMBERS[kind]:
                mantissas = np.ascontiguousarray(records[name])
                self._add(columns, name, mantissas, exponents[name.rpartition("_")[2]], None)
        elif kind == TRADE:
            self._trades(columns, events, exponents, counts)
        elif self.is_flat:
            self._flat(columns, events, exponents, counts)
        else:
            for side in ("bids", "asks"):
                columns[side] = self._nested(events, side, exponents)
        return table_of(pa, self.schema, columns)

    def _add(
        self, columns: Any, name: str, mantissas: Any, exponents: Any, repeats: Any,
        missing: Any = None,
    ) -> None:  # fmt: skip
        fields = self.form.fields(name)
        arrays = self.form.arrays(mantissas, exponents, repeats, missing)
        columns.update({field.name: array for field, array in zip(fields, arrays, strict=True)})

    def _trades(self, columns: Any, events: Events, exponents: Any, counts: Any) -> None:
        group = events.table.groups["trades"]
        starts = group.offsets[events.rows]
        total = int(counts.sum())
        # where each row is in the group: the events' own places, end to end
        shift = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        found = group.records[np.arange(total) + shift]
        columns["transact_time"] = np.repeat(events.records["transact_time"], counts)
        columns["id"] = np.ascontiguousarray(found["id"])
        for name in ("price", "qty"):
            self._add(columns, name, np.ascontiguousarray(found[name]), exponents[name], counts)
        columns["is_buyer_maker"] = _bools(self.pa, found["is_buyer_maker"])

    def _flat(self, columns: Any, events: Events, exponents: Any, counts: Any) -> None:
        pa = self.pa
        bids, asks = (events.table.groups[name] for name in ("bids", "asks"))
        price, qty, side, position, is_last = expand.levels(
            events.rows, bids.records, bids.offsets, asks.records, asks.offsets, int(counts.sum())
        )
        missing = side == expand.NO_SIDE
        if not missing.any():
            missing = None
        codes = _masked(pa, pa.int32(), side.astype(np.int32), missing)
        columns["side"] = pa.DictionaryArray.from_arrays(codes, pa.array(_SIDES))
        if self.kind == DEPTH20:
            columns["position"] = _masked(pa, pa.uint16(), position, missing)
        self._add(columns, "price", price, exponents["price"], counts, missing)
        self._add(columns, "qty", qty, exponents["qty"], counts, missing)
        columns["is_last_in_event"] = _bools(pa, is_last)

    def _nested(self, events: Events, side: str, exponents: Any) -> Any:
        pa, group = self.pa, events.table.groups[side]
        ends, price, qty = expand.gathered(events.rows, group.records, group.offsets)
        counts = np.diff(ends).astype(np.int64)
        found: dict[str, Any] = {}
        self._add(found, "price", price, exponents["price"], counts)
        self._add(found, "qty", qty, exponents["qty"], counts)
        field = self.schema.field(side)
        entries = pa.StructArray.from_arrays(
            list(found.values()), fields=list(field.type.value_type)
        )
        return pa.ListArray.from_arrays(pa.array(ends), entries, type=field.type)


def _texts(pa: Any, codes: NDArray[np.uint32], texts: list[str]) -> Any:
    """Sorted codes as a dictionary array of no more texts than they need."""
    if not len(codes):
        return pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.string()))
    low, high = int(codes[0]), int(codes[-1])
    names = pa.array([clean(text) for text in texts[low : high + 1]], pa.string())
    return pa.DictionaryArray.from_arrays(
        plain(pa, pa.int32(), (codes - np.uint32(low)).astype(np.int32)), names
    )


def clean(text: str) -> str:
    """Text whose bytes were no UTF-8 with these spelt out: ``\\xff``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _bools(pa: Any, values: Any) -> Any:
    """0 and 1 as bool; anything else, such as the schema's null, is null."""
    missing = values > 1
    bits = pa.py_buffer(np.packbits(values == 1, bitorder="little"))
    if not missing.any():
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
    known = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [known, bits], int(missing.sum()))


def _masked(pa: Any, kind: Any, values: Any, missing: Any) -> Any:
    return plain(pa, kind, values) if missing is None else pa.array(values, kind, mask=missing)


def _first_only(flags: Any, repeats: Any) -> Any:
    """Ids are missing before the first row of an event only; the book is unknown at all of them."""
    if repeats is None or not len(flags):
        return flags
    starts = np.cumsum(repeats) - repeats
    starts = starts[repeats > 0]
    kept = flags[starts]
    flags &= np.uint8(0xFF ^ 1)
    flags[starts] = kept
    return flags
