"""Columns as tables of pyarrow, polars and pandas, which are needed only here."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...extras import imported

Array = np.ndarray[Any, Any]
NO_TEXT = 2**32 - 1


class Fact(NamedTuple):
    """What a column is beyond its dtype."""

    unit: str | None = None  # of a time since 1970: s, ms, us or ns
    null: Any = None  # the number that stands for None, where there is one
    texts: Sequence[str] | None = None  # what the codes in it index


class Columns(Protocol):
    """What is needed here of `columns.Columns`."""

    offsets: Array | None
    data: Any
    _facts: Mapping[str, Fact]
    _table: Any

    @property
    def groups(self) -> Mapping[str, Columns]: ...
    def items(self) -> ItemsView[str, Array]: ...


def is_null(column: Array, fact: Fact) -> Array | None:
    """Where there are nulls; None if there are none."""
    if fact.texts is not None:
        found = column == NO_TEXT
    elif fact.null is None:
        return None
    else:
        found = np.isnan(column) if fact.null != fact.null else column == fact.null
    return found if found.any() else None


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
    result = {name: _arrow(pa, column, columns._facts[name]) for name, column in columns.items()}
    for name, group in columns.groups.items():
        result[name] = _arrow_list(pa, group)
    for name, data in columns.data.items():
        buffers = [None, pa.py_buffer(data.offsets), pa.py_buffer(data.content)]
        result[name] = pa.Array.from_buffers(pa.large_binary(), len(data), buffers)
    return result


def _arrow_list(pa: Any, group: Columns) -> Any:
    inner = _arrow_arrays(pa, group)
    count = len(group._table.records)
    if inner:
        values = pa.StructArray.from_arrays(list(inner.values()), list(inner))
    else:
        values = pa.nulls(count, pa.struct([]))
    return pa.LargeListArray.from_arrays(pa.array(group.offsets), values)


def _arrow(pa: Any, column: Array, fact: Fact) -> Any:
    missing = is_null(column, fact)
    if column.ndim > 1:
        flat = pa.array(np.ascontiguousarray(column).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(column.shape[1:])))
    if column.dtype.kind == "S":
        return pa.array(column, pa.binary(), mask=missing)
    if fact.texts is not None:
        codes = pa.array(column, mask=missing)
        return pa.DictionaryArray.from_arrays(codes, pa.array(clean(fact.texts), pa.string()))
    kind = pa.timestamp(fact.unit) if fact.unit else pa.from_numpy_dtype(column.dtype)
    bits, count = None, 0
    if missing is not None:
        bits = pa.py_buffer(np.packbits(~missing, bitorder="little"))
        count = int(missing.sum())
    return pa.Array.from_buffers(kind, len(column), [bits, pa.py_buffer(column)], count)


# polars


def polars_frame(columns: Columns) -> Any:
    pl = imported("polars", "to_polars", "polars")
    return pl.from_arrow(arrow_table(columns, "to_polars", "polars"))


# pandas


def pandas_frame(columns: Columns) -> Any:
    pd = imported("pandas", "to_pandas", "pandas")
    made = {name: _series(pd, column, columns._facts[name]) for name, column in columns.items()}
    for name, group in columns.groups.items():
        made[name] = _objects(_entries(group))
    for name, data in columns.data.items():
        made[name] = _objects(data[i] for i in range(len(data)))
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


def _series(pd: Any, column: Array, fact: Fact) -> Any:
    missing = is_null(column, fact)
    if column.ndim > 1:
        return _objects(iter(column))
    if fact.texts is not None:
        codes = column.astype(np.int64)
        codes[column == NO_TEXT] = -1
        return pd.Categorical.from_codes(codes, clean(fact.texts))
    if fact.unit:
        if missing is not None:
            column = np.where(missing, np.iinfo(np.int64).min, column)
        return column.view(f"M8[{fact.unit}]")
    if fact.null is None or column.dtype.kind not in "iu":
        return column
    return pd.arrays.IntegerArray(
        column, np.zeros(len(column), bool) if missing is None else missing
    )
