"""Blocks and table rows as numpy sees them, from what a generated module declares.

The offsets in the declarations are the only ones that Python code sees. This is plain Python
because it runs once per class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from .field_formats import FieldFormats, Spec, newest, present, within
from .gather import move
from .names import free
from .scaling import to_float

Array = np.ndarray[Any, Any]


class BlockLayout:
    """Where the fields of one block are, as numpy sees them: on the wire and in tables."""

    def __init__(self, spec: Spec, formats: FieldFormats) -> None:
        self.length: int = spec["block_length"]
        self.formats = formats
        self.fields = present(spec["fields"], formats.types)
        self.since = max((newest(field, formats.types) for field in self.fields), default=0)
        self.dtype = formats.on_the_wire(self.fields, self.length)
        self.mantissas = {f["name"]: f["exponent"] for f in self.fields if "exponent" in f}
        self.decimals = {f["name"]: parts for f in self.fields if (parts := formats.decimal(f))}
        self.partly_scaled = {
            f["name"] for f in self.fields
            if f["name"] not in self.decimals and formats.has_decimals(f)
        }  # fmt: skip
        known = {*self.mantissas, *self.decimals, *self.partly_scaled}
        self.scaled = [name for name in self.dtype.names or () if name in known]
        self.constants = {f["name"]: f["constant"] for f in spec["fields"] if "constant" in f}

    def older_dtype(self, version: int, stride: int) -> np.dtype[Any]:
        """The fields that a sender of ``version`` has, in blocks of ``stride`` bytes."""
        return self.formats.older(self.fields, version, stride)

    def blank(self, count: int) -> Array:
        return np.empty(count, copy(self.dtype))

    def filled(self, older: Array) -> Array:
        """A copy in which the fields that the sender does not have are null."""
        result = np.zeros(older.shape, copy(self.dtype))
        self._copy(result, older, self.fields)
        return result

    def _copy(self, result: Array, older: Array, fields: Sequence[Spec]) -> None:
        for field in fields:
            name = field["name"]
            if older.dtype.names is None or name not in older.dtype.names:
                self._fill(result[name], field)
            elif field["kind"] == "composite":
                types = self.formats.types
                members = present(types[field["named"]].fields, types)
                self._copy(result[name], older[name], members)
            else:
                result[name] = older[name]

    def _fill(self, column: Array, field: Spec) -> None:
        if field["kind"] == "composite":
            types = self.formats.types
            for member in present(types[field["named"]].fields, types):
                self._fill(column[member["name"]], member)
        elif field["kind"] == "mantissa":
            big = self.formats.order == ">"
            null = field["null"].to_bytes(field["length"], "big" if big else "little", signed=True)
            column[...] = np.frombuffer(null, np.uint8)
        elif field["kind"] == "set":
            column[...] = field.get("null", 0)
        elif field["kind"] == "char":
            column[...] = bytes([field.get("null", 0)])
        elif field["kind"] != "text":
            column[...] = null_of(field)

    def row_dtype(self, prefix: Sequence[str], codes: Sequence[str]) -> np.dtype[Any]:
        """A naturally aligned row: ``prefix`` as int64, the fields, ``codes`` as uint32.

        A name of the prefix that a field has gets ``_`` appended.
        """
        taken = {field["name"] for field in self.fields} | set(codes)
        columns: list[tuple[str, Any]] = [(free(name, taken), "i8") for name in prefix]
        columns += [(field["name"], self.formats.row(field)) for field in self.fields]
        columns += [(name, "u4") for name in codes]
        if not columns:  # an entry without columns is still one: numpy has no items of no bytes
            return np.dtype({"names": [], "formats": [], "offsets": [], "itemsize": 1})
        return np.dtype(columns, align=True)


def null_of(field: Spec) -> Any:
    return field.get("null", np.nan)


class ToFloats:
    """Copies a group with float64 in place of its mantissas.

    ``outer_exponents`` are (levels out, descriptor) of the exponents that are not in the group.
    """

    def __init__(self, layout: BlockLayout, outer: Sequence[tuple[int, Any]]) -> None:
        self.outer_exponents = tuple(outer)
        self.formats = layout.formats
        self.order = layout.formats.order
        self.specs = {field["name"]: field for field in layout.fields}
        self.constants = layout.constants
        self.scaled = [(self.specs[name], place) for name, place in layout.mantissas.items()]
        self.decimals = layout.decimals
        self.others = [field for name, field in self.specs.items() if name not in layout.mantissas]
        columns = [
            (f["name"], "f8" if f["name"] in layout.mantissas else self.formats.with_floats(f))
            for f in layout.fields
        ]
        self.dtype = np.dtype(columns, align=True)

    def __call__(self, group: Array, outer: Mapping[tuple[int, str], Any], version: int) -> Array:
        """``outer`` has the exponents of the blocks around; ``version`` is the sender's."""
        result = np.empty(group.shape, copy(self.dtype))
        scales: list[tuple[Any, ...]] = []
        copies: list[tuple[Array, Array]] = []
        for field, place in self.scaled:
            name = field["name"]
            power, null = self._power(place, group, outer, version)
            if power is None:
                result[name] = np.nan
            elif field["kind"] == "mantissa":
                result[name] = list(wide(field, group[name], power, null, self.order))
            else:
                null_mantissa = null_for(field, version)
                scales.append((group[name], power, result[name], null_mantissa, null))
        for field in self.others:
            self._plan(field, group[field["name"]], result[field["name"]], version, copies, scales)
        move(copies, scales)
        return result

    def _plan(
        self,
        field: Spec,
        source: Array,
        target: Array,
        version: int,
        copies: list[tuple[Array, Array]],
        scales: list[tuple[Any, ...]],
    ) -> None:
        """How a column that no exponent of a block scales gets there."""
        parts = self.formats.decimal(field)
        if parts is not None:
            scales.append(decimal_scale(parts, source, target, version))
        elif self.formats.has_decimals(field):
            types = self.formats.types
            members = within(field, types[field["named"]].fields, types)
            for each in present(list(members), types):
                name = each["name"]
                self._plan(each, source[name], target[name], version, copies, scales)
        else:
            copies.append(_native(source, target))

    def _power(
        self,
        exponent: Spec,
        group: Array,
        outer: Mapping[tuple[int, str], Any],
        version: int,
    ) -> tuple[Array | int | None, int | None]:
        """One exponent, or one for each entry, or None; and which number is null."""
        name, levels = exponent["field"], exponent["levels"]
        if levels:
            power, null = outer[levels, name], None
        elif name in self.constants:
            power, null = self.constants[name], None
        else:
            power, null = group[name], null_for(self.specs[name], version)
        return negated(power, null) if exponent.get("negated") else (power, null)


def negated(power: Any, null: Any) -> tuple[Any, Any]:
    """Exponents that count decimals, and which of them is null, as powers of ten."""
    if isinstance(power, np.ndarray):
        power = power.astype(np.int64)
    return None if power is None else -power, None if null is None else -null


def decimal_scale(
    parts: tuple[Spec, Spec], column: Array, target: Array, version: int = 0
) -> tuple[Any, ...]:
    """What `gather.move` needs to scale a column of composites of mantissa and exponent."""
    mantissa, exponent = parts
    power, null = exponent.get("constant"), None
    if power is None:
        power, null = column[exponent["name"]], null_for(exponent, version)
    return column[mantissa["name"]], power, target, null_for(mantissa, version), null


def _native(source: Array, target: Array) -> tuple[Array, Array]:
    """A column to copy byte by byte, in this machine's order."""
    return source.astype(target.dtype) if source.dtype != target.dtype else source, target


def null_for(field: Spec, version: int = 0) -> Any:
    """What stands for None in a number of a sender's ``version``; None where nothing does."""
    may = field["kind"] == "number" and (field.get("optional") or field["since"] > version)
    return null_of(field) if may else None


def nulls_of(field: Spec, types: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values that stand for None in a column; of texts and characters, as their first byte.

    Of a field that was added later, its null value stands for None in every row, since a sender
    that does not have the field is shown with it.
    """
    kind, may = field["kind"], bool(field.get("optional") or field["since"])
    if kind == "enum":
        table = types[field["named"]]
        return tuple(table.nulls if may else table.unnamed_nulls)
    if kind == "set":
        null = types[field["named"]].null
        return (null[0],) if may and null else ()
    if kind == "char":
        return tuple({0, field["null"]}) if may else ()
    if kind == "text":
        return (0,) if may else ()
    if kind == "array":
        return (null_of(field),) if field["since"] else ()
    found = null_for(field)
    return () if found is None else (found,)


def wide(
    field: Spec, column: Array, power: Array | int, power_null: int | None, order: str
) -> Iterator[float]:
    """The floats of mantissas that are arrays of bytes; NaN for nulls."""
    signed: Any = "big" if order == ">" else "little"
    powers = np.broadcast_to(power, len(column)).tolist()
    for digits, exponent in zip(column, powers, strict=True):
        value = int.from_bytes(digits.tobytes(), signed, signed=True)
        is_null = value == field["null"] or exponent == power_null
        yield np.nan if is_null else to_float(value, exponent)


class TableLayout:
    """What tables need to know of a message class, or of a group in one."""

    def __init__(self, spec: Spec, block: BlockLayout, groups: Mapping[str, TableLayout]) -> None:
        self.block = block
        self.groups = dict(groups)
        texts = [each for each in spec["data"] if each["encoding"]]
        self.dictionaries = [each["name"] for each in texts]
        self.encodings = [each["encoding"] for each in texts]
        blobs = [each for each in spec["data"] if not each["encoding"]]
        self.blobs = [each["name"] for each in blobs]
        ways = ("since", "may_end", "empty_is_null")  # to be None in a message
        self.nullable_blobs = {each["name"] for each in blobs if any(map(each.get, ways))}
        self.plans: dict[bool, Any] = {}  # of columns, by those who make them
        self._row_dtypes: dict[tuple[str, ...], np.dtype[Any]] = {}

    def row_dtype(self, prefix: tuple[str, ...] = ()) -> np.dtype[Any]:
        """The dtype of a table's rows; each is made once."""
        if prefix not in self._row_dtypes:
            self._row_dtypes[prefix] = self.block.row_dtype(prefix, self.dictionaries)
        return self._row_dtypes[prefix]

    def row_sizes(self) -> list[int]:
        """The bytes of a row here and in all groups, outer before inner."""
        inner = [size for group in self.groups.values() for size in group.row_sizes()]
        return [self.row_dtype().itemsize, *inner]
