"""Columns as tables of pyarrow, polars and pandas, which are needed only here."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ...extras import imported
from .forms import (
    NO_TEXT,
    Fact,
    byte_strings,
    day_times,
    days,
    is_null,
    of_group,
    parts,
    shown,
    times,
    width_of,
)

Array = np.ndarray[Any, Any]


class Columns(Protocol):
    """What is needed here of `columns.Columns`."""

    offsets: Array | None
    data: Any
    _facts: Mapping[str, Fact]
    _table: Any

    @property
    def groups(self) -> Mapping[str, Columns]: ...
    def items(self) -> ItemsView[str, Array]: ...


def clean(texts: Any) -> list[str]:
    """Text that was kept by surrogateescape, with its bytes spelt out; and so other surrogates."""
    result = []
    for each in texts:
        try:
            content = each.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # UTF-7 can say a surrogate without its other half
            content = each.encode("utf-8", "backslashreplace")
        result.append(content.decode("utf-8", "backslashreplace"))
    return result


# pyarrow


def arrow_table(columns: Columns, wanted: str = "to_arrow", extra: str = "pyarrow") -> Any:
    pa = imported("pyarrow", wanted, extra)
    arrays = _arrow_arrays(pa, columns)
    return pa.table(arrays)


def _arrow_arrays(pa: Any, columns: Columns) -> dict[str, Any]:
    facts = columns._facts
    arrays = dict(columns.items())
    inside = {part for name in arrays for part in parts(arrays, facts, name)[1:]}
    result = {}
    for name, column in arrays.items():
        if facts[name].time is not None:
            result[shown(facts, name)] = _arrow_times(pa, arrays, facts, name)
        elif name not in inside:
            result[name] = _arrow(pa, column, facts[name])
    for name, group in columns.groups.items():
        with of_group(name):
            result[name] = _arrow_list(pa, group)
    for name, data in columns.data.items():
        missing = _empty(columns, name, data)
        bits, count = _bits(pa, missing)
        buffers = [bits, pa.py_buffer(data.offsets), pa.py_buffer(data.content)]
        result[name] = pa.Array.from_buffers(pa.large_binary(), len(data), buffers, count)
    return result


def _empty(columns: Columns, name: str, data: Any) -> Array | None:
    """Where var data of bytes is null: where it is empty, if a message may be without it."""
    if name not in columns._table._layout.nullable_blobs:
        return None
    found: Array = data.offsets[1:] == data.offsets[:-1]
    return found


def _arrow_list(pa: Any, group: Columns) -> Any:
    inner = _arrow_arrays(pa, group)
    count = len(group._table.records)
    if inner:
        values = pa.StructArray.from_arrays(list(inner.values()), list(inner))
    else:
        values = pa.nulls(count)  # Parquet has no structs without fields
    return pa.LargeListArray.from_arrays(pa.array(group.offsets), values)


def _arrow(pa: Any, column: Array, fact: Fact) -> Any:
    missing = is_null(column, fact)
    if column.ndim > 1:
        flat = pa.array(np.ascontiguousarray(column).reshape(-1))
        size = int(np.prod(column.shape[1:]))
        mask = None if missing is None else pa.array(missing)
        return pa.FixedSizeListArray.from_arrays(flat, size, mask=mask)
    if column.dtype.kind == "S" and width_of(fact.charset) > 1:
        return pa.array(_objects(byte_strings(column, fact)), pa.binary(), mask=missing)
    if column.dtype.kind == "S":
        return pa.array(column, pa.binary(), mask=missing)
    if column.dtype.kind == "U":
        return pa.array(column, pa.string(), mask=missing)
    if fact.texts is not None:
        codes = pa.array(column, mask=missing)
        return pa.DictionaryArray.from_arrays(codes, pa.array(clean(fact.texts), pa.string()))
    return _with_nulls(pa, pa.from_numpy_dtype(column.dtype), column, missing)


def _with_nulls(pa: Any, kind: Any, column: Array, missing: Array | None) -> Any:
    """An array over the column: nothing is copied but the bits that say what is null."""
    bits, count = _bits(pa, missing)
    return pa.Array.from_buffers(kind, len(column), [bits, pa.py_buffer(column)], count)


def _bits(pa: Any, missing: Array | None) -> tuple[Any, int]:
    """Arrow's buffer of what is there, and how much is not."""
    if missing is None:
        return None, 0
    return pa.py_buffer(np.packbits(~missing, bitorder="little")), int(missing.sum())


def _arrow_times(
    pa: Any, columns: Mapping[str, Array], facts: Mapping[str, Fact], name: str
) -> Any:
    column, missing, unit = _times(columns, facts, name)
    kind = facts[name].time["kind"]  # type: ignore[index]
    if kind == "date":
        return _with_nulls(pa, pa.date32(), days(column, missing, name), missing)
    if kind == "time":
        column, unit = day_times(column, missing, unit, name)
        return _with_nulls(pa, pa.time64(unit), column, missing)
    return _with_nulls(pa, pa.timestamp(unit, "UTC"), column, missing)


def _times(
    columns: Mapping[str, Array], facts: Mapping[str, Fact], name: str
) -> tuple[Array, Array | None, str]:
    """`forms.times`, of a column that is datetime64 or timedelta64 already too."""
    column, fact = columns[name], facts[name]
    if column.dtype.kind not in "mM":
        return times(columns, facts, name)
    assert fact.time is not None
    return column.view(np.int64), is_null(column, fact), fact.time["unit"]


# polars


def polars_frame(columns: Columns) -> Any:
    pl = imported("polars", "to_polars", "polars")
    return pl.from_arrow(arrow_table(columns, "to_polars", "polars"))


# pandas


def pandas_frame(columns: Columns) -> Any:
    pd = imported("pandas", "to_pandas", "pandas")
    facts, arrays = columns._facts, dict(columns.items())
    inside = {part for name in arrays for part in parts(arrays, facts, name)[1:]}
    made: dict[str, Any] = {}
    for name, column in arrays.items():
        if facts[name].time is not None:
            made[shown(facts, name)] = _pandas_times(arrays, facts, name)
        elif name not in inside:
            made[name] = _series(pd, column, facts[name])
    for name, group in columns.groups.items():
        made[name] = _objects(_entries(group))
    for name, data in columns.data.items():
        made[name] = _objects(data[i] for i in range(len(data)))
        missing = _empty(columns, name, data)
        if missing is not None:
            made[name][missing] = None
    index = None
    if columns.offsets is not None:
        counts = np.diff(columns.offsets)
        index = pd.Index(np.repeat(np.arange(len(counts)), counts), name="row")
    return pd.DataFrame(made, index=index, copy=False)


def _entries(group: Columns) -> Iterator[Any]:
    """The entries of each row, with the values that the columns have; nested ones as they are."""
    if group.groups or group.data:
        yield from (group._table[i] for i in range(len(group._table)))
        return
    kind = [(name, column.dtype, column.shape[1:]) for name, column in group.items()]
    together = np.empty(len(group._table.records), kind)
    for name, column in group.items():
        together[name] = column
    assert group.offsets is not None
    for begin, end in pairwise(group.offsets.tolist()):
        yield together[begin:end]


def _objects(values: Any) -> Array:
    each = list(values)
    result = np.empty(len(each), object)
    for i, value in enumerate(each):
        result[i] = value
    return result


def _pandas_times(columns: Mapping[str, Array], facts: Mapping[str, Fact], name: str) -> Array:
    """datetime64 in UTC, timedelta64 since midnight; days as datetime64[s], pandas' coarsest."""
    column, missing, unit = _times(columns, facts, name)
    if unit == "D":
        column, unit = column * 86_400, "s"
    if missing is not None:
        column = np.where(missing, np.iinfo(np.int64).min, column)
    kind = "m" if facts[name].time["kind"] == "time" else "M"  # type: ignore[index]
    return np.ascontiguousarray(column).view(f"{kind}8[{unit}]")


def _series(pd: Any, column: Array, fact: Fact) -> Any:
    missing = is_null(column, fact)
    if column.ndim > 1:
        arrays = _objects(iter(column))
        if missing is not None:
            arrays[missing] = None
        return arrays
    if column.dtype.kind in "SU":
        is_text = column.dtype.kind == "U"
        texts = _objects(column.tolist() if is_text else byte_strings(column, fact))
        if missing is not None:
            texts[missing] = None
        return texts
    if fact.texts is not None:
        codes = column.astype(np.int64)
        codes[column == NO_TEXT] = -1
        return pd.Categorical.from_codes(codes, clean(fact.texts))
    if not fact.nulls or column.dtype.kind not in "iu":
        return column
    return pd.arrays.IntegerArray(
        column, np.zeros(len(column), bool) if missing is None else missing
    )
