"""Snapshots of books as rows, a level a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .numbers import Form, table_of
from .source import Snapshot


def schema(pa: Any, form: Form) -> Any:
    text = pa.dictionary(pa.int32(), pa.string())
    fields = [
        pa.field("symbol", text, nullable=False),
        pa.field("received_time", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("last_update_id", pa.int64(), nullable=False),
        pa.field("side", text, nullable=False),
        pa.field("position", pa.uint16(), nullable=False),
        *form.fields("price"),
        *form.fields("qty"),
    ]
    if form.has_exponents:
        fields += [pa.field(f"{name}_exponent", pa.int8()) for name in ("price", "qty")]
    return pa.schema(fields)


def table(pa: Any, form: Form, snapshots: Sequence[Snapshot]) -> Any:
    """By symbol, time, and update id; the best levels of each side first."""
    found = sorted(snapshots, key=lambda each: (each.symbol, each.received_ns))
    sizes = [(len(each.bids), len(each.asks)) for each in found]
    counts = np.array([bids + asks for bids, asks in sizes], np.int64)
    total = int(counts.sum())
    names = sorted({each.symbol for each in found})
    levels = [side for each in found for side in (each.bids, each.asks)]
    sides = np.repeat(
        np.tile(np.array([0, 1], np.int32), len(found)),
        np.array(sizes, np.int64).reshape(-1) if sizes else [],
    )
    starts = np.concatenate([np.arange(len(side)) for side in levels] or [np.empty(0, np.int64)])

    def spread(values: Any, dtype: Any) -> Any:
        return np.repeat(np.array(values, dtype), counts)

    codes = spread([names.index(each.symbol) for each in found], np.int32)
    exponents = {
        name: np.array([getattr(each, f"{name}_exponent") for each in found], np.int8)
        for name in ("price", "qty")
    }
    columns: dict[str, Any] = {
        "symbol": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string())),
        "received_time": spread([each.received_ns for each in found], np.int64),
        "last_update_id": spread([each.last_update_id for each in found], np.int64),
        "side": pa.DictionaryArray.from_arrays(pa.array(sides), pa.array(["bid", "ask"])),
        "position": starts.astype(np.uint16),
    }
    for name in ("price", "qty"):
        mantissas = np.concatenate(
            [np.ascontiguousarray(side[name], np.int64) for side in levels]
            or [np.empty(0, np.int64)]
        )
        arrays = form.arrays(mantissas, exponents[name], counts)
        for field, array in zip(form.fields(name), arrays, strict=True):
            columns[field.name] = array
        if form.has_exponents:
            columns[f"{name}_exponent"] = np.repeat(exponents[name], counts)
    assert len(starts) == total
    return table_of(pa, schema(pa, form), columns)
