"""Gives message classes their attributes, at import, from what a generated module declares."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from . import elements, entries, structured, texts
from .field_formats import NUMPY, CompositeTable, FieldFormats, Spec, present
from .layout import BlockLayout, TableLayout, ToFloats
from .names import free
from .times import datetime_name, datetime_property
from .var_data import data_attributes

_BLOCK_DOC = (
    "The root block: a structured array of shape (1,). A view over the frame that keeps it alive; "
    "a copy with nulls where the sender's version lacks fields, or its block lacks padding."
)


def reader(likenesses: str) -> Callable[[str], Any]:
    """What reads the JSON texts of a module; ``likenesses`` has what fields have in common.

    A field with ``like`` is what the list has at that number, and what it says itself.
    """
    common: list[dict[str, Any]] = json.loads(likenesses)
    inner = [{k: v for k, v in each.items() if isinstance(v, dict)} for each in common]

    def whole(each: dict[str, Any]) -> dict[str, Any]:
        number = each.get("like")
        if type(number) is not int:  # metadata may have an attribute of that name: a str
            return each
        del each["like"]
        own = {key: dict(value) for key, value in inner[number].items()}  # for each field
        return common[number] | own | each

    return partial(json.loads, object_hook=whole)


def composites(
    module: str, types: dict[str, Any], order: str, declared: Sequence[dict[str, Any]]
) -> None:
    """Adds the composites that are ``declared`` to ``types``, by their keys."""
    for spec in declared:
        table = CompositeTable(spec)
        types[spec["key"]] = table
        fields = Fields(order, types)
        made = [fields.descriptor(field) for field in spec["fields"]]
        table.kind = _part(entries.Composite, spec["name"], module, f"Values of {spec['name']}.")
        attributes = {each.name: each for each in made}
        taken = frozenset(attributes)
        for field in spec["fields"]:
            attributes |= fields.decimal(field, taken)
        attributes["_ELEMENTS"] = tuple(made)
        elements.set_attributes(table.kind, attributes)
        elements.seal(table.kind)


def header_class(
    module: str,
    members: Sequence[str],
    spec: Mapping[str, Any],
    types: Mapping[str, Any],
    implied: Sequence[str] = (),
) -> tuple[Any, tuple[Any, ...]]:
    """The named tuple that `decode_header` of ``module`` gives, and descriptors of its members."""
    factory: Any = namedtuple  # whose members mypy wants to see written out
    header = factory("Header", members, module=module, rename=True)
    header.__doc__ = "The message header, member by member as the schema orders them."
    if implied:
        header.__doc__ += f" It has no {', '.join(implied)} on the wire: those are of the schema."
    fields = Fields(spec["order"], types)
    made = tuple(fields.descriptor(field) for field in spec["fields"])
    header._ELEMENTS = made
    header._SPEC = {key: value for key, value in spec.items() if key != "fields"}
    return header, made


def _part(base: Any, name: str, module: str, doc: str) -> Any:
    return type(name, (base,), {"__slots__": (), "__module__": module, "__doc__": doc})


class Fields:
    """Makes the descriptors of fields."""

    def __init__(self, order: str, types: Mapping[str, Any]) -> None:
        self.order = order
        self.types = types
        self.formats = FieldFormats(order, types)

    def descriptor(self, spec: Spec) -> Any:
        name, schema_name, since = spec["name"], spec["schema_name"], spec["since"]
        doc = f"{schema_name}: {_kind(spec)} at byte {spec.get('offset')} of its block."
        if since:
            doc += f" None before version {since}."
        if spec.get("doc"):
            doc += f" {spec['doc']}"
        head = (name, schema_name, doc, since)
        made = self._constant(spec) if "constant" in spec else self._made(spec, head)
        facts = dict(spec)
        if spec["kind"] in ("enum", "set"):
            facts |= self.types[spec["named"]].facts
        elif spec["kind"] == "composite":
            facts["elements"] = self.types[spec["named"]].kind._ELEMENTS
            facts["size"] = self.types[spec["named"]].size
            if self.types[spec["named"]].decimal is not None:
                facts["decimal"] = self.types[spec["named"]].decimal
        return made.with_facts(facts)

    def decimal(self, spec: Spec, taken: Container[str]) -> dict[str, Any]:
        """The float and the Decimal of a field that is a composite of mantissa and exponent."""
        parts = self.formats.decimal(spec)
        if parts is None:
            return {}
        mantissa, exponent = (self.descriptor(each) for each in parts)
        return scaled(spec, taken, mantissa, exponent, 0, False)

    def _constant(self, spec: Spec) -> Any:
        value = label = spec["constant"]
        if "named" in spec:
            enum = self.types[spec["named"]]
            value, label = enum.members.get(value, value), enum.plain.get(value, value)
        doc = f"{spec['schema_name']}: always {label!r}; takes no bytes."
        head = (spec["name"], spec["schema_name"], doc, spec["since"])
        return elements.ConstantField(*head, value, label)

    def _made(self, spec: Spec, head: tuple[Any, ...]) -> Any:
        optional = bool(spec.get("optional"))
        kind, offset, null = spec["kind"], spec["offset"], spec.get("null")
        if kind == "composite":
            table = self.types[spec["named"]]
            first = self._first(table, optional)
            return entries.CompositeField(*head, offset, table.size, table.kind, first)
        if kind == "text":
            encoding = spec.get("encoding")
            return texts.TextField(*head, offset, spec["length"], optional, encoding)
        if kind == "char":
            return texts.CharField(*head, offset, null if optional else None)
        if kind == "mantissa":
            order = "big" if self.order == ">" else "little"
            return texts.MantissaField(*head, offset, spec["length"], order, null)
        if kind == "array":
            dtype = np.dtype(self.order + NUMPY[spec["type"]])
            return texts.ArrayField(*head, offset, spec["length"], dtype)
        code = elements.CODES[spec["type"]] + (elements.BIG if self.order == ">" else 0)
        place = (*head, offset, code)
        if kind == "enum":
            enum = self.types[spec["named"]]
            if optional:
                return elements.EnumField(*place, enum.optional_members, enum.optional_plain)
            return elements.EnumField(*place, enum.members, enum.plain)
        if kind == "set":
            table = self.types[spec["named"]]
            return elements.SetField(*place, table.flags, table.labels, table.null, optional)
        if spec["type"] in ("float", "double"):
            return elements.FloatField(*place, optional, null)
        return elements.IntField(*place, null if optional else None)

    def _first(self, table: CompositeTable, optional: bool) -> Any:
        """The member by which a composite is null, or None where it can't be."""
        members = present(table.fields, self.types)
        if not members:
            return None
        first = members[0]
        if first["kind"] == "composite":
            inner = self.types[first["named"]]
            may = optional or self._first(inner, False) is not None
        else:
            may = optional or bool(first.get("optional"))
        return self.descriptor({**first, "optional": True}) if may else None


def scaled(
    spec: Spec,
    taken: Container[str],
    mantissa: Any,
    exponent: Any,
    levels: int,
    negated: bool,
) -> dict[str, Any]:
    """The float and the Decimal of a field, by their names; ``levels`` as in `ir.Exponent`."""
    result: dict[str, Any] = {}
    power = f"{mantissa.schema_name} {'/' if negated else 'x'} 10^{exponent.schema_name}"
    for ending, kind, what in (
        ("float", elements.FloatOf, "as the nearest float64"),
        ("decimal", elements.DecimalOf, "as an exact Decimal"),
    ):
        full = free(f"{spec['name']}_{ending}", taken)
        doc = f"{power}, {what}."
        head = (full, spec["schema_name"], doc)
        result[full] = kind(*head, mantissa, exponent, levels, negated)
    return result


def _kind(spec: Spec) -> str:
    if spec["kind"] == "composite":
        return str(spec["named"]).partition("#")[0]
    length = f"[{spec['length']}]" if "length" in spec else ""
    return f"{spec['type']}{length}"


class _Places:
    """What only the C compiler knows, in the order in which declarations ask for it."""

    def __init__(
        self,
        slots: Sequence[int],
        takes: Sequence[tuple[int, int]],
        framings: Sequence[int],
    ) -> None:
        self.slots: Iterator[int] = iter(slots)
        self.takes = iter(takes)
        self.framings = iter(framings)


def declare(
    message: type,
    schema: Any,
    spec: Spec,
    types: Mapping[str, Any],
    slots: Sequence[int],
    row_sizes: Sequence[int],
    takes: Sequence[tuple[int, int]],
    framings: Sequence[int],
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Gives the message class ``message`` the attributes that ``spec`` describes.

    ``slots`` are the offsets of groups and data in their C structs, ``row_sizes`` the sizes of the
    C structs of table rows (checked against what is computed here), ``takes`` the addresses of the
    functions that read entries with the sizes of their structs, ``framings`` the addresses of what
    groups whose dimensions have counts need.
    Returns the descriptors of the root fields and var data, in the order of ``astuple``, as they
    are and with those that make floats of mantissas.
    """
    places = _Places(slots, takes, framings)
    level = _Level(spec, spec["order"], types, schema, (), message.__module__)
    level.slots = [next(places.slots) for _ in (*spec["groups"], *spec["data"])]
    attributes, layout = level.attributes(places)
    attributes |= {
        "TEMPLATE_ID": spec["template_id"],
        "BLOCK_LENGTH": spec["block_length"],
        "DTYPE": copy(layout.block.dtype),
        "__match_args__": tuple(field["name"] for field in spec["fields"]),
        "_LAYOUT": layout,
        "_SCHEMA": schema,
        "_SINCE": spec["since"],
        "_UNKNOWN": spec.get("unknown"),
        "FACTS": {key: spec[key] for key in ("metadata", "deprecated", "doc") if key in spec},
    }
    sizes = layout.row_sizes()
    if sizes != list(row_sizes) or layout.block.dtype.itemsize != spec["block_length"]:
        raise SystemError(f"{spec['name']}: the C rows are {row_sizes}, numpy's are {sizes}")
    elements.set_attributes(message, attributes)
    schema.add(message)
    values: tuple[Any, ...] = attributes["_VALUES"]
    return values, tuple(level.floats.get(each.name, each) for each in values)


class _Level:
    """The attributes of a message, or of the entries of a group that has groups or data in it."""

    def __init__(
        self,
        spec: Spec,
        order: str,
        types: Mapping[str, Any],
        schema: Any,
        outer: tuple[Mapping[str, Any], ...],
        module: str,
    ) -> None:
        self.spec = spec
        self.order = order
        self.types = types
        self.schema = schema
        self.outer = outer  # the fields of the blocks around, innermost first
        self.module = module
        self.fields = Fields(order, types)
        self.slots: list[int] = []
        self.floats: dict[str, Any] = {}  # by the name of the mantissa
        named = (*spec["fields"], *spec["groups"], *spec["data"])
        self.taken = frozenset(each["name"] for each in named)  # derived names keep off these

    def attributes(self, places: _Places) -> tuple[dict[str, Any], TableLayout]:
        spec = self.spec
        block = BlockLayout(spec, self.fields.formats)
        fields = {field["name"]: self.fields.descriptor(field) for field in spec["fields"]}
        scopes = (fields, *self.outer)
        result: dict[str, Any] = {"block": structured.BlockView("block", _BLOCK_DOC, block)}
        result |= fields
        result |= self.scaled(scopes)
        result |= self.datetimes()
        slots = iter(self.slots)
        tables: dict[str, TableLayout] = {}
        groups = []
        inner = [(each, next(slots)) for each in spec["groups"]]
        for each, slot in inner:
            made, tables[each["name"]] = self.group(each, slot, scopes, places)
            result |= made
            groups.append(made[each["name"]])
        data = []
        for each in spec["data"]:
            made = data_attributes(each, next(slots), self.taken, self.schema)
            result |= made
            data.append(made[each["name"]])
        result["_ELEMENTS"] = (*fields.values(), *groups, *data)
        result["_VALUES"] = (*fields.values(), *data)
        result["_FLOATS"] = self.floats
        return result, TableLayout(spec, block, tables)

    def scaled(self, scopes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for field in self.spec["fields"]:
            name = field["name"]
            made = self.fields.decimal(field, self.taken)
            if "exponent" in field:
                tie = field["exponent"]
                exponent = scopes[tie["levels"]][tie["field"]]
                negated = bool(tie.get("negated"))
                mantissa = scopes[0][name]
                made = scaled(field, self.taken, mantissa, exponent, tie["levels"], negated)
            if made:
                self.floats[name] = made[free(f"{name}_float", self.taken)]
            result |= made
        return result

    def datetimes(self) -> dict[str, Any]:
        result = {}
        for field in self.spec["fields"]:
            time = field.get("time", {"kind": None})
            if time["kind"] == "timestamp" and "member" not in time:
                unit = time["unit"]
                full = free(datetime_name(field["name"]), self.taken)
                result[full] = datetime_property(field["name"], field["schema_name"], unit)
        return result

    def group(
        self,
        spec: Spec,
        slot: int,
        scopes: Sequence[Mapping[str, Any]],
        places: _Places,
    ) -> tuple[dict[str, Any], TableLayout]:
        framing = next(places.framings) if spec.get("counted") else 0
        if "entry" in spec:
            return self.entries(spec, slot, scopes, places)
        return self.flat(spec, slot, scopes, framing)

    def flat(
        self, spec: Spec, slot: int, scopes: Sequence[Mapping[str, Any]], framing: int
    ) -> tuple[dict[str, Any], TableLayout]:
        name, schema_name = spec["name"], spec["schema_name"]
        layout = BlockLayout(spec, self.fields.formats)
        inner = tuple(self.fields.descriptor(field) for field in spec["fields"])
        columns = ", ".join(field["name"] for field in layout.fields)
        doc = (
            f"{schema_name}: structured array of shape (n,), columns {columns}. "
            "A view over the frame that keeps it alive; a copy with nulls where the sender's "
            "version lacks fields, or its entries lack padding."
        )
        since = spec["since"]
        view = structured.GroupView(name, schema_name, doc, since, slot, layout, inner, framing)
        result: dict[str, Any] = {name: view.with_facts(dict(spec) | {"elements": inner})}
        result[f"{name.upper()}_DTYPE"] = copy(layout.dtype)
        if layout.scaled:
            wanted = {(e["levels"], e["field"]) for e in layout.mantissas.values() if e["levels"]}
            outer = [(n, scopes[n - 1][field]) for n, field in sorted(wanted)]
            full = free(f"{name}_float", self.taken)
            shown = (f"decimals in {n}" if n in layout.partly_scaled else n for n in layout.scaled)
            doc = f"A copy of {name} with {', '.join(shown)} as the nearest float64."
            to_floats = ToFloats(layout, outer)
            result[full] = structured.GroupFloats(full, schema_name, doc, view, to_floats)
        return result, TableLayout(spec, layout, {})

    def entries(
        self, spec: Spec, slot: int, scopes: Sequence[Mapping[str, Any]], places: _Places
    ) -> tuple[dict[str, Any], TableLayout]:
        name, schema_name = spec["name"], spec["schema_name"]
        take, size = next(places.takes)
        doc = f"An entry of {schema_name}."
        kind = _part(entries.Entry, spec["entry"], self.module, doc)
        level = _Level(spec, self.order, self.types, self.schema, tuple(scopes), self.module)
        level.slots = [next(places.slots) for _ in (*spec["groups"], *spec["data"])]
        attributes, layout = level.attributes(places)
        attributes |= {"_SCHEMA": self.schema, "DTYPE": copy(layout.block.dtype)}
        elements.set_attributes(kind, attributes)
        elements.seal(kind)
        doc = f"{schema_name}: a sequence of {spec['entry']} objects, which keep the frame alive."
        head = (name, schema_name, doc, spec["since"])
        made = entries.EntriesField(*head, slot, kind, take, size)
        facts = dict(spec) | {"elements": attributes["_ELEMENTS"]}
        return {name: made.with_facts(facts)}, layout
