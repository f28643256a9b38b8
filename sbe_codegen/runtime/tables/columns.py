"""Tables by column: contiguous arrays, and what Arrow, polars and pandas make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..decode.field_formats import FieldFormats, present, within
from ..decode.gather import move
from ..decode.layout import decimal_scale, negated, null_for, nulls_of, wide
from ..decode.times import unit_of
from ..errors import UnknownName
from .forms import LEADING, NAN, PLAIN, Fact, as_datetimes, as_strings, of_group
from .interchange import arrow_table, pandas_frame, polars_frame

Array = np.ndarray[Any, Any]


class Columns(dict[str, Array]):
    """The columns of a table, or of a group's entries: name -> contiguous, aligned 1-D array.

    They are copies, written in one pass over the rows. With ``decimals="float64"`` mantissas that
    have an exponent, and composites of mantissa and exponent, are the nearest float64 to
    mantissa x 10^exponent, NaN for a null; with ``"raw"`` they are the mantissas. With
    ``times="datetime64"`` times since 1970 are datetime64 in their unit (UTC), times of day
    timedelta64 and days datetime64[D], NaT for a null; with ``times="numbers"`` they are numbers as
    in "raw", and stay numbers in Arrow and pandas. With ``texts="string"`` fixed texts are str,
    empty for a null. All else is raw: enums and sets as their numbers, nulls as the schema's null
    values (in a field that was added later, its null value stands for null even where the sender
    has the field), text of var data as uint32 codes. Members of composites have a column each,
    ``price.mantissa``; fixed arrays are 2-D.

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
        # What is one value and has its parts here, by its name: `price` -> `price.mantissa`.
        self._main = {fact.whole: name for name, fact in facts.items() if fact.whole}

    @classmethod
    def of(
        cls,
        table: Any,
        decimals: str,
        joined: bool = False,
        times: str = "raw",
        texts: str = "bytes",
    ) -> Columns:
        """Those of a Table or GroupTable; ``joined``: with those of the tables around it.

        ValueError for a form that there is not.
        """
        for what, given, known in (
            ("decimals", decimals, ("float64", "raw")),
            ("times", times, ("raw", "datetime64", "numbers")),
            ("texts", texts, ("bytes", "string")),
        ):
            if given not in known:
                some = " or ".join(map(repr, known))
                raise ValueError(f"{what} is {some}, not {given!r}")
        forms = _Forms(decimals == "float64", times, texts == "string")
        outer = _outer(table)
        made = _columns(table, forms, outer)
        return _joined(made, outer, forms) if joined else made

    def __missing__(self, name: object) -> Array:
        main = self._main.get(str(name))
        if main is not None:  # a decimal or a time, as numbers: its mantissa, its number
            return self[main]
        if name in self.groups:
            raise UnknownName(f"{self._table._name}.{name} is a group: .groups[{name!r}]")
        raise UnknownName(
            f"{self._table._name} has no column {name!r} (it has: {', '.join(self) or 'none'})"
        )

    def dictionary(self, name: str) -> list[str]:
        """The distinct texts that the codes in column ``name`` index."""
        texts = self._facts[name].texts if name in self._facts else None
        return list(self._table.dictionary(name) if texts is None else texts)

    @property
    def symbols(self) -> list[str]:
        """``dictionary("symbol")``."""
        return self.dictionary("symbol")

    def to_arrow(self) -> Any:
        """A pyarrow.Table, whose columns are these arrays: nothing is copied but nulls and bits.

        Times since 1970 are timestamps in their unit and UTC, days date32, times of day time64; one
        that is too large for that, or for a day, is MalformedMessage. Text is dictionary-encoded,
        fixed texts are binary or, as str here, strings. Groups are large lists of structs (of
        nulls, where entries have no fields), var data large_binary, and null values are nulls. Text
        that is no text keeps its bytes as ``\\xNN``. Needs pyarrow.
        """
        return arrow_table(self)

    def to_polars(self) -> Any:
        """A polars.DataFrame, by way of `to_arrow`; text is Categorical. Needs polars, pyarrow."""
        return polars_frame(self)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame over these arrays: text is Categorical, times are datetime64 (in UTC).

        Optional integers are nullable ones. A group is a column of structured arrays, one per row,
        which are views; ``columns.groups[name].to_pandas()`` has its entries as rows, with the
        number of the row that each belongs to as the index. Needs pandas.
        """
        return pandas_frame(self)

    def __repr__(self) -> str:
        return f"<Columns {', '.join([*self, *self.groups])}>"


class _Forms(NamedTuple):
    floats: bool
    times: str
    strings: bool


def _columns(
    table: Any, forms: _Forms, outer: Sequence[tuple[Any, Array]], with_groups: bool = True
) -> Columns:
    """``outer`` are the tables around, innermost first, each with what maps its rows to entries."""
    layout, records = table._layout, table.records
    formats = layout.block.formats
    arrays: dict[str, Array] = {}
    facts: dict[str, Fact] = {}
    copies: list[tuple[Array, Array]] = []
    scales: list[Any] = []
    names = records.dtype.names or ()
    leading = len(names) - len(layout.block.fields) - len(layout.dictionaries)
    for name, fact in zip(names[: max(leading, 0)], LEADING, strict=False):
        facts[name] = fact
        copies.append((records[name], _new(arrays, name, records[name])))
    for leaf in _plan(layout, forms.floats):
        column = records
        for part in leaf.parts:
            column = column[part]
        facts[leaf.path] = leaf.fact
        spec, exponent = leaf.spec, leaf.exponent
        if leaf.decimal is not None:
            target = arrays[leaf.path] = np.empty(len(records))
            scales.append(decimal_scale(leaf.decimal, column, target))
            continue
        if exponent is None:
            copies.append((column, _new(arrays, leaf.path, column)))
            continue
        target = arrays[leaf.path] = np.empty(len(records))
        power, power_null = _power(exponent, ((table, None), *outer))
        null = leaf.fact.nulls[0] if leaf.fact.nulls else None
        may = spec["kind"] == "mantissa" or (null, power_null) != (None, None)
        facts[leaf.path] = NAN if may else PLAIN
        if spec["kind"] == "mantissa":
            target[:] = list(wide(spec, column, power, power_null, formats.order))
        else:
            scales.append((column, power, target, null, power_null))
    for name in layout.dictionaries:
        facts[name] = Fact(texts=table.dictionary(name))
        copies.append((records[name], _new(arrays, name, records[name])))
    move(copies, scales)
    if forms.times == "datetime64":
        as_datetimes(arrays, facts)
    elif forms.times == "numbers":
        facts = {name: fact._replace(time=None) for name, fact in facts.items()}
    if forms.strings:
        as_strings(arrays, facts)
    result = Columns(table, arrays, facts)
    result.offsets = getattr(table, "offsets", None)
    groups: Any = table.groups if with_groups else {}
    for name, group in groups.items():
        around = _around(table, outer, np.diff(group.offsets))
        with of_group(name):
            groups[name] = _columns(group, forms, around)
    result.groups = groups
    return result


def _outer(table: Any) -> list[tuple[Any, Array]]:
    """The tables around a group, innermost first, each with the row that every entry belongs to."""
    around = getattr(table, "_around", None)
    return [] if around is None else _around(around, _outer(around), np.diff(table.offsets))


def _joined(made: Columns, outer: Sequence[tuple[Any, Array]], forms: _Forms) -> Columns:
    """The same columns after those of the tables around, whose rows are repeated."""
    taken = {*made, *made.groups, *made.data, *_wholes(made._facts.values())}
    arrays: dict[str, Array] = dict(made)
    facts: dict[str, Fact] = dict(made._facts)
    for table, rows in outer:
        theirs = _columns(table, forms, _outer(table), with_groups=False)
        prefixed = _prefixed(theirs._facts, taken)
        for each, column in reversed(theirs.items()):
            name, fact = each, theirs._facts[each]
            if each in prefixed:
                name = f"{table._name}.{each}"
                fact = fact._replace(whole=fact.whole and f"{table._name}.{fact.whole}")
            arrays = {name: column[rows]} | arrays
            facts[name] = fact
            taken |= {name, *_wholes([fact])}
    result = Columns(made._table, arrays, facts)
    result.offsets, result.groups = made.offsets, made.groups
    return result


def _wholes(facts: Iterable[Fact]) -> set[str]:
    """What the columns are called that several become where they are a time."""
    return {fact.whole for fact in facts if fact.whole}


def _prefixed(facts: Mapping[str, Fact], taken: set[str]) -> set[str]:
    """The columns whose names are taken, each with all that it becomes one with."""
    found = {each for each, fact in facts.items() if each in taken or fact.whole in taken}
    inner = tuple(f"{whole}." for whole in _wholes(facts[each] for each in found))
    return found | {each for each in facts if each.startswith(inner)}


def _around(
    table: Any, outer: Sequence[tuple[Any, Array]], counts: Array
) -> list[tuple[Any, Array]]:
    """The same for a group in ``table`` that has ``counts`` entries in each of its rows."""
    here = np.repeat(np.arange(len(table.records)), counts)
    return [(table, here), *((each, rows[here]) for each, rows in outer)]


def _new(arrays: dict[str, Array], name: str, like: Array) -> Array:
    made = arrays[name] = np.empty(like.shape, like.dtype)
    return made


class _Leaf(NamedTuple):
    """A column to be: of a field, of a member, or of a decimal as one."""

    path: str
    parts: tuple[str, ...]  # the same, in a structured array
    spec: Mapping[str, Any]
    fact: Fact
    decimal: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    exponent: Mapping[str, Any] | None = None  # where there are to be floats


def _plan(layout: Any, floats: bool) -> list[_Leaf]:
    """The columns of the fields of a table; each is made once."""
    if floats not in layout.plans:
        block = layout.block
        layout.plans[floats] = list(_leaves(block.fields, block.formats, floats))
    found: list[_Leaf] = layout.plans[floats]
    return found


def _leaves(
    fields: Iterable[Mapping[str, Any]],
    formats: FieldFormats,
    floats: bool,
    outer: tuple[str, ...] = (),
) -> Iterator[_Leaf]:
    for field in fields:
        path = (*outer, field["name"])
        name = ".".join(path)
        if field["kind"] != "composite":
            nulls = nulls_of(field, formats.types)
            if "time" in field and not nulls and field.get("null") is not None:
                nulls = (field["null"],)  # which is no time, whatever the presence
            fact = Fact(
                time=field.get("time"),
                nulls=nulls,
                charset=_charset(field),
                is_late=field["kind"] == "array" and bool(field["since"]),
            )
            exponent = field.get("exponent") if floats else None
            yield _Leaf(name, path, field, fact, exponent=exponent)
            continue
        parts = formats.decimal(field)
        if parts is not None and floats:
            may = any(nulls_of(each, formats.types) for each in parts)
            yield _Leaf(name, path, field, NAN if may else PLAIN, parts)
            continue
        time = field.get("time", {})
        main = parts[0]["name"] if parts else time.get("member")
        members = within(field, formats.types[field["named"]].fields, formats.types)
        for leaf in _leaves(present([*members], formats.types), formats, floats, path):
            if leaf.path == f"{name}.{main}":
                fact = leaf.fact._replace(whole=name, time=time or leaf.fact.time)
                leaf = leaf._replace(fact=fact)
            yield leaf


def _charset(field: Mapping[str, Any]) -> str:
    """In which bytes are text as messages read them: no byte fails in ASCII, nor as one char."""
    given = field.get("encoding") or "latin-1"
    return "latin-1" if given == "ascii" or field["kind"] == "char" else given


def _power(
    exponent: Mapping[str, Any], scopes: Sequence[tuple[Any, Array | None]]
) -> tuple[Array | int, Any]:
    """The exponent of each row, and which number of them is null."""
    table, rows = scopes[exponent["levels"]]
    name = exponent["field"]
    block = table._layout.block
    power, null = block.constants.get(name), None
    if power is None:
        spec = next(each for each in block.fields if each["name"] == name)
        column = table.records[name]
        power, null = (column if rows is None else column[rows]), null_for(spec)
    return negated(power, null) if exponent.get("negated") else (power, null)


def time_unit(spec: Mapping[str, Any]) -> str | None:
    """The unit of a time since 1970, as the schema or its name says; None for anything else."""
    if "time" in spec:
        return spec["time"]["unit"] if spec["time"]["kind"] == "timestamp" else None
    if spec["kind"] != "number" or spec["type"] != "int64":
        return None
    return unit_of(spec["type_name"])
