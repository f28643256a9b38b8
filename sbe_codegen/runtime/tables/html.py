"""Tables and batches as HTML, for notebooks: the first rows, in numbers that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import markup
from .forms import Fact, is_null
from .interchange import clean

ROWS = 10
COLUMNS = 20
TEXTS = 5


def rows_html(table: Any) -> str:
    """The first rows of a Table or GroupTable: floats, times in UTC, text, counts of entries.

    Only these rows are converted, however long the table is.
    """
    columns = _head(table, ROWS).columns()
    cells = {name: _shown(column[:ROWS], columns._facts[name]) for name, column in columns.items()}
    for name, group in columns.groups.items():
        assert group.offsets is not None
        cells[name] = [_counted(n, "entr", "y", "ies") for n in _sizes(group.offsets)]
    for name, data in columns.data.items():
        cells[name] = [_counted(n, "byte") for n in _sizes(data.offsets)]
    names = list(cells)[:COLUMNS]
    count = len(table.records)
    is_group = hasattr(table, "offsets")
    size = _counted(count, "entr", "y", "ies") if is_group else _counted(count, "row")
    notes = [f"The first {ROWS} of {size}."] if count > ROWS else []
    if len(cells) > COLUMNS:
        notes.append(f"{COLUMNS} of {len(cells)} columns: 'columns()' has all of them.")
    rows = zip(*(cells[name] for name in names), strict=True)
    return markup.table(f"{table._name}: {size}", names, rows, " ".join(notes))


def batch_html(batch: Any) -> str:
    """What kinds of messages a batch has, how many of each, and what was refused."""
    rows: list[tuple[object, ...]] = []
    for message, table in batch.tables.items():
        if len(table):
            texts = "; ".join(
                f"{name}: {_few(table.dictionary(name))}" for name in table._layout.dictionaries
            )
            rows.append((message.__name__, f"{len(table):,}", texts))
    rejected = batch._source.refused
    if rejected:
        first = batch._source.rejections().error(0)
        rows.append(("rejected", f"{rejected:,}", f"the first: {first}"))
    if batch.left_over_bytes:
        rows.append(("bytes left over", f"{batch.left_over_bytes:,}", None))
    caption = f"Batch of {_counted(batch.frame_count, 'frame')}"
    return markup.table(caption, ("message", "rows", "texts"), rows)


def _counted(count: int, what: str, one: str = "", many: str = "s") -> str:
    return f"{count:,} {what}{one if count == 1 else many}"


def _sizes(offsets: Any) -> list[int]:
    """How many entries or bytes each of the first rows has."""
    sizes: list[int] = np.diff(offsets[: ROWS + 1]).tolist()
    return sizes


def _few(texts: Sequence[str]) -> str:
    shown = ", ".join(clean(texts[:TEXTS]))
    return shown if len(texts) <= TEXTS else f"{shown} and {len(texts) - TEXTS:,} more"


def _head(table: Any, count: int) -> Any:
    """A table of the first rows, or a group's of the first entries and perhaps some more."""
    around = getattr(table, "_around", None)
    if around is None:
        contents = table._contents.part(0, min(count, len(table.records)))
        return type(table)(table.message, table._layout, contents)
    # as many of the rows around as have these entries
    rows = min(int(np.searchsorted(table.offsets, count)), len(table))
    return _head(around, rows).groups[table._name.rpartition(".")[2]]


def _shown(column: Any, fact: Fact) -> list[object]:
    missing = is_null(column, fact)
    made: list[object] = []
    for at, value in enumerate(column):
        if missing is not None and np.any(missing[at]):
            made.append(None)
        elif fact.texts is not None:
            made.append(clean([fact.texts[value]])[0])
        elif fact.time and fact.time["kind"] == "timestamp" and fact.time["unit"]:
            made.append(markup.utc(int(value), fact.time["unit"]))
        elif isinstance(value, bytes):
            made.append(value.decode("utf-8", "backslashreplace"))
        else:
            made.append(value.tolist())
    return made
