"""``kind=book``: the best levels of the kept book, sampled, as rows of the archive itself.

It is made a symbol at a time, over all days: a book goes on at midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import numpy as np

from ..numbers import Form, table_of
from ..options import Options
from ..parts import SUFFIXES, described, pyarrow, writer
from ..store import Store
from ..tables import DAY_US
from .market import Job, Made
from .sampled import samples

KINDS = ("depth", "snapshot")


def schema(pa: Any, form: Form, is_flat: bool) -> Any:
    text = pa.dictionary(pa.int32(), pa.string())
    fields = [
        pa.field("symbol", text, nullable=False),
        pa.field("event_time", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("received_time", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("book_update_id", pa.int64(), nullable=False),
    ]
    numbers = [*form.fields("price"), *form.fields("qty")]
    if is_flat:
        fields += [
            pa.field("side", text, nullable=False),
            pa.field("position", pa.uint16(), nullable=False),
            *numbers,
        ]
    else:
        each = pa.list_(pa.field("element", pa.struct(numbers)))
        fields += [pa.field("bids", each), pa.field("asks", each)]
    if form.has_exponents:
        fields += [pa.field(f"{name}_exponent", pa.int8()) for name in ("price", "qty")]
    return pa.schema([*fields, pa.field("flags", pa.uint8(), nullable=False)])


def write(stage: Store, out: Store, job: Job, options: Options) -> Made:
    """Writes the files of a symbol, one a day."""
    pa = pyarrow()
    form = Form(pa, options.numbers, options.scale)
    is_flat = options.levels == "flat"
    columns = described(schema(pa, form, is_flat))
    name = quote(job.symbol, safe="")
    made: list[str] = []
    rows = 0
    day: int | None = None
    with ExitStack() as stack:
        sink: Any = None
        held: list[Any] = []  # of the day, until they are a row group

        def flush() -> None:
            if held:
                sink.write_table(pa.concat_tables(held).unify_dictionaries())
                held.clear()

        for found in _by_day(samples(stage, job, options.book_levels, options.book_every)):
            number = int(found["time"][0]) // DAY_US
            if number != day:
                day = number
                flush()
                stack.close()  # the day before is whole
                when = date(1970, 1, 1) + timedelta(days=number)
                folder = f"kind=book/date={when.isoformat()}"
                if options.partition_by is not None:
                    folder += f"/symbol={name}"
                made.append(f"{folder}/part-book-{name}{SUFFIXES[options.format]}")
                file = stack.enter_context(out.writing(made[-1]))
                sink = stack.enter_context(writer(options, file, columns))
            table = _table(pa, form, columns, job.symbol, found, is_flat)
            held.append(table)
            rows += table.num_rows
            if sum(each.num_rows for each in held) >= options.rows:
                flush()
        flush()
    return Made(made, rows=rows)


def _by_day(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in found:
        days = each["time"] // DAY_US
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        for begin, end in pairwise(cuts):
            yield {name: values[begin:end] for name, values in each.items()}


def _table(
    pa: Any, form: Form, columns: Any, symbol: str, found: dict[str, Any], is_flat: bool
) -> Any:
    levels = found["levels"]  # (n, 4, levels): prices and quantities of bids, and of asks
    has = levels[:, 0::2] != -1  # (n, 2, levels)
    counts = has.sum(axis=(1, 2)).astype(np.int64)
    price, qty = (np.ascontiguousarray(levels[:, i::2][has]) for i in (0, 1))
    exponents = {"price": found["price_exponent"], "qty": found["qty_exponent"]}
    repeats = counts if is_flat else None

    def spread(values: Any) -> Any:
        return values if repeats is None else np.repeat(values, repeats)

    rows = int(counts.sum()) if is_flat else len(levels)
    made: dict[str, Any] = {
        "symbol": pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(rows, np.int32)), pa.array([symbol])
        ),
        "event_time": spread(found["time"]),
        "received_time": spread(found["arrival"]),
        "book_update_id": spread(found["update_id"]),
        "flags": spread(found["flags"]),
        **{f"{name}_exponent": spread(values) for name, values in exponents.items()},
    }
    if is_flat:
        _, side, position = np.nonzero(has)
        made["side"] = pa.DictionaryArray.from_arrays(
            pa.array(side.astype(np.int32)), pa.array(["bid", "ask"])
        )
        made["position"] = position.astype(np.uint16)
        for name, values in (("price", price), ("qty", qty)):
            arrays = form.arrays(values, exponents[name], counts)
            fields = form.fields(name)
            made.update({f.name: a for f, a in zip(fields, arrays, strict=True)})
    else:
        for i, name in enumerate(("bids", "asks")):
            made[name] = _lists(pa, form, columns.field(name).type, levels, has[:, i], i, exponents)
    return table_of(pa, columns, made)


def _lists(pa: Any, form: Form, kind: Any, levels: Any, has: Any, side: int, exponents: Any) -> Any:
    counts = has.sum(axis=1).astype(np.int64)
    inner = []
    for i, name in enumerate(("price", "qty")):
        values = np.ascontiguousarray(levels[:, 2 * side + i][has])
        inner += form.arrays(values, exponents[name], counts)
    entries = pa.StructArray.from_arrays(inner, fields=list(kind.value_type))
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), entries, type=kind)
