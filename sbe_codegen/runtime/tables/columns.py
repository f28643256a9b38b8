"""Tables by column: contiguous arrays, and what Arrow, polars and pandas make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..decode.gather import move
from ..decode.layout import null_for, present, wide
from ..decode.times import unit_of
from ..errors import UnknownName
from .interchange import Fact, arrow_table, pandas_frame, polars_frame

Array = np.ndarray[Any, Any]


class Columns(dict[str, Array]):
    """The columns of a table, or of a group's entries: name -> contiguous, aligned 1-D array.

    They are copies, written in one pass over the rows. With ``decimals="float64"`` mantissas that
    have an exponent are the nearest float64 to mantissa x 10^exponent, NaN for a null; with
    ``"raw"`` they are the mantissas. All else is raw: enums and sets as their numbers, nulls as the
    schema's null values (in a field that was added later, its null value stands for null even where
    the sender has the field), times as numbers, text as uint32 codes. Members of composites have
    a column each, ``price.mantissa``; fixed arrays are 2-D.

    ``groups`` maps names of groups to their Columns, whose ``offsets`` (int64, n + 1) say where the
    entries of each row begin, as in an Arrow list; ``data`` is that of the table.
    """

    groups: Mapping[str, Columns]
    offsets: Array | None  # None for those of a table

    def __init__(self, table: Any, arrays: Mapping[str, Array], facts: Mapping[str, Fact]) -> None:
        super().__init__(arrays)
        self._facts = facts
        self._table = table
        self.data = table.data
        self.groups = {}
        self.offsets = None

    @classmethod
    def of(cls, table: Any, decimals: str, joined: bool = False) -> Columns:
        """Those of a Table or GroupTable; ``joined``: with those of the tables around it.

        ValueError for decimals that are neither "float64" nor "raw".
        """
        if decimals not in ("float64", "raw"):
            raise ValueError(f"decimals is 'float64' or 'raw', not {decimals!r}")
        outer = _outer(table)
        made = _columns(table, decimals == "float64", outer)
        return _joined(made, outer, decimals == "float64") if joined else made

    def __missing__(self, name: object) -> Array:
        raise UnknownName(
            f"{self._table._name} has no column {name!r} (it has: {', '.join(self) or 'none'})"
        )

    def dictionary(self, name: str) -> list[str]:
        """The distinct texts that the codes in column ``name`` index."""
        found: list[str] = self._table.dictionary(name)
        return found

    @property
    def symbols(self) -> list[str]:
        """``dictionary("symbol")``."""
        return self.dictionary("symbol")

    def to_arrow(self) -> Any:
        """A pyarrow.Table, whose columns are these arrays: nothing is copied but nulls and bits.

        Times are timestamps (of messages in us, ``received_ns`` in ns), text is dictionary-encoded,
        groups are large lists of structs, var data large_binary, and null values are nulls. Text
        that is no text keeps its bytes as ``\\xNN``. Needs pyarrow.
        """
        return arrow_table(self)

    def to_polars(self) -> Any:
        """A polars.DataFrame, by way of `to_arrow`; text is Categorical. Needs polars, pyarrow."""
        return polars_frame(self)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame over these arrays: text is Categorical, times are datetime64.

        Optional integers are nullable ones. A group is a column of structured arrays, one per row,
        which are views; ``columns.groups[name].to_pandas()`` has its entries as rows, with the
        number of the row that each belongs to as the index. Needs pandas.
        """
        return pandas_frame(self)

    def __repr__(self) -> str:
        return f"<Columns {', '.join([*self, *self.groups])}>"


def _columns(
    table: Any, floats: bool, outer: Sequence[tuple[Any, Array]], with_groups: bool = True
) -> Columns:
    """``outer`` are the tables around, innermost first, each with what maps its rows to entries."""
    layout, records = table._layout, table.records
    arrays: dict[str, Array] = {}
    facts: dict[str, Fact] = {}
    copies: list[tuple[Array, Array]] = []
    scales: list[Any] = []
    names = records.dtype.names or ()
    leading = len(names) - len(layout.block.fields) - len(layout.dictionaries)
    for i, name in enumerate(names[: max(leading, 0)]):  # as in `numbered.PREFIX`
        facts[name] = Fact("ns" if i in (1, 4) else None, -1 if i in (3, 4) else None)
        copies.append((records[name], _new(arrays, name, records[name])))
    for path, spec, column in _leaves(layout.block.fields, records, layout.block.formats.types):
        null = spec["null"] if spec["kind"] == "enum" else null_for(spec)
        facts[path] = Fact(time_unit(spec), null)
        exponent = spec.get("exponent") if floats else None
        if exponent is None:
            copies.append((column, _new(arrays, path, column)))
            continue
        target = arrays[path] = np.empty(len(records))
        power, power_null = _power(exponent, ((table, None), *outer))
        may = spec["kind"] == "mantissa" or (null, power_null) != (None, None)
        facts[path] = Fact(null=np.nan if may else None)
        if spec["kind"] == "mantissa":
            order = layout.block.formats.order
            target[:] = list(wide(spec, column, power, power_null, order))
        else:
            scales.append((column, power, target, null, power_null))
    for name in layout.dictionaries:
        facts[name] = Fact(texts=table.dictionary(name))
        copies.append((records[name], _new(arrays, name, records[name])))
    move(copies, scales)
    result = Columns(table, arrays, facts)
    result.offsets = getattr(table, "offsets", None)
    groups: Any = table.groups if with_groups else {}
    for name, group in groups.items():
        groups[name] = _columns(group, floats, _around(table, outer, np.diff(group.offsets)))
    result.groups = groups
    return result


def _outer(table: Any) -> list[tuple[Any, Array]]:
    """The tables around a group, innermost first, each with the row that every entry belongs to."""
    around = getattr(table, "_around", None)
    return [] if around is None else _around(around, _outer(around), np.diff(table.offsets))


def _joined(made: Columns, outer: Sequence[tuple[Any, Array]], floats: bool) -> Columns:
    """The same columns after those of the tables around, whose rows are repeated."""
    taken = {*made, *made.groups, *made.data}
    arrays: dict[str, Array] = dict(made)
    facts: dict[str, Fact] = dict(made._facts)
    for table, rows in outer:
        theirs = _columns(table, floats, _outer(table), with_groups=False)
        names = {each: f"{table._name}.{each}" if each in taken else each for each in theirs}
        taken.update(names.values())
        arrays = {names[each]: column[rows] for each, column in theirs.items()} | arrays
        facts |= {names[each]: theirs._facts[each] for each in theirs}
    result = Columns(made._table, arrays, facts)
    result.offsets, result.groups = made.offsets, made.groups
    return result


def _around(
    table: Any, outer: Sequence[tuple[Any, Array]], counts: Array
) -> list[tuple[Any, Array]]:
    """The same for a group in ``table`` that has ``counts`` entries in each of its rows."""
    here = np.repeat(np.arange(len(table.records)), counts)
    return [(table, here), *((each, rows[here]) for each, rows in outer)]


def _new(arrays: dict[str, Array], name: str, like: Array) -> Array:
    made = arrays[name] = np.empty(like.shape, like.dtype)
    return made


def _leaves(
    fields: Sequence[Mapping[str, Any]], records: Array, types: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Mapping[str, Any], Array]]:
    for field in fields:
        column = records[field["name"]]
        name = f"{path}{field['name']}"
        if field["kind"] == "composite":
            members = present(types[field["named"]].fields, types)
            yield from _leaves(members, column, types, f"{name}.")
        else:
            yield name, field, column


def _power(
    exponent: Mapping[str, Any], scopes: Sequence[tuple[Any, Array | None]]
) -> tuple[Array | int, Any]:
    """The exponent of each row, and which number of them is null."""
    table, rows = scopes[exponent["levels"]]
    name = exponent["field"]
    block = table._layout.block
    if name in block.constants:
        return block.constants[name], None
    spec = next(each for each in block.fields if each["name"] == name)
    column = table.records[name]
    return (column if rows is None else column[rows]), null_for(spec)


def time_unit(spec: Mapping[str, Any]) -> str | None:
    """The unit of a time since 1970, by the name of its type; None for anything else."""
    if spec["kind"] != "number" or spec["type"] != "int64":
        return None
    return unit_of(spec["type_name"])
