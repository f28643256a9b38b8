"""Builds the attributes and dtypes of message classes, at import, from what a module declares.

A generated module describes each message once, as JSON: the offsets there are the only ones that
Python code sees. This is plain Python because it runs once per class.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from . import blocks, elements
from .scaling import to_float

Spec = Mapping[str, Any]

_NUMPY = {
    "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "char": "u1",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "float": "f4", "double": "f8",
}  # fmt: skip
_BIG = 16
_BLOCK_DOC = (
    "The root block: a structured array of shape (1,). A view over the frame that keeps it alive; "
    "a copy with nulls where the sender's version lacks fields, or its block lacks padding."
)


class BlockLayout:
    """Where the fields of one block are, as numpy sees them: on the wire and in tables."""

    def __init__(self, length: int, fields: Sequence[Spec], order: str) -> None:
        self.length = length
        self.order = order
        self.fields = [field for field in fields if "offset" in field]
        self.since = max((field["since"] for field in self.fields), default=0)
        self.dtype = self._wire(self.fields, length)
        self.mantissas = {f["name"]: f["exponent"] for f in self.fields if "exponent" in f}

    def _wire(self, fields: Sequence[Spec], itemsize: int) -> np.dtype[Any]:
        return np.dtype(
            {
                "names": [field["name"] for field in fields],
                "formats": [self.order + _NUMPY[field["type"]] for field in fields],
                "offsets": [field["offset"] for field in fields],
                "itemsize": itemsize,
            }
        )

    def older_dtype(self, version: int, stride: int) -> np.dtype[Any]:
        """The fields that a sender of ``version`` has, in blocks of ``stride`` bytes."""
        return self._wire([f for f in self.fields if f["since"] <= version], stride)

    def empty(self) -> np.ndarray[Any, Any]:
        return np.empty(0, self.dtype)

    def filled(self, older: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A copy in which the fields that the sender does not have are null."""
        result = np.empty(older.shape, self.dtype)
        for field in self.fields:
            name = field["name"]
            known = older.dtype.names is not None and name in older.dtype.names
            result[name] = older[name] if known else _null(field)
        return result

    def row_dtype(self, prefix: Sequence[str], codes: Sequence[str]) -> np.dtype[Any]:
        """A naturally aligned row: ``prefix`` as int64, the fields, ``codes`` as uint32."""
        columns = [(name, "i8") for name in prefix]
        columns += [(field["name"], _NUMPY[field["type"]]) for field in self.fields]
        columns += [(name, "u4") for name in codes]
        return np.dtype(columns, align=True)


def _null(field: Spec) -> Any:
    return np.nan if field["type"] in ("float", "double") else field["null"]


class ToFloats:
    """Copies a group with float64 in place of its mantissas."""

    def __init__(self, layout: BlockLayout, outer: Sequence[Any]) -> None:
        self.layout = layout
        self.outer_exponents = tuple(outer)
        floats = layout.mantissas
        columns = [
            (f["name"], "f8" if f["name"] in floats else _NUMPY[f["type"]]) for f in layout.fields
        ]
        self.dtype = np.dtype(columns, align=True)

    def __call__(self, group: np.ndarray[Any, Any], outer: Mapping[str, Any], version: int) -> Any:
        """``outer`` has the exponents of the root; ``version`` is the sender's."""
        result = np.empty(group.shape, self.dtype)
        nulls = {
            field["name"]: field["null"]
            for field in self.layout.fields
            if field.get("optional") or field["since"] > version
        }
        for field in self.layout.fields:
            name = field["name"]
            exponent = self.layout.mantissas.get(name)
            if exponent is None:
                result[name] = group[name]
                continue
            inner = exponent["levels"] == 0
            power = group[exponent["field"]] if inner else outer[exponent["field"]]
            result[name] = np.nan if power is None else to_float(group[name], power)
            for tied in (name, exponent["field"] if inner else name):
                if tied in nulls:
                    result[name][group[tied] == nulls[tied]] = np.nan
        return result


class MessageLayout:
    """What tables need to know of a message class."""

    def __init__(self, spec: Spec, block: BlockLayout, groups: Mapping[str, BlockLayout]) -> None:
        self.block = block
        self.groups = dict(groups)
        self.data = [each["name"] for each in spec["data"]]
        texts = [each for each in spec["data"] if each["encoding"]]
        self.dictionaries = [each["name"] for each in texts]
        self.encodings = [each["encoding"] for each in texts]
        self.group_dtypes = [group.row_dtype((), ()) for group in self.groups.values()]
        self._row_dtypes: dict[tuple[str, ...], np.dtype[Any]] = {}

    def row_dtype(self, prefix: tuple[str, ...]) -> np.dtype[Any]:
        """The dtype of a table's rows; each is made once."""
        if prefix not in self._row_dtypes:
            self._row_dtypes[prefix] = self.block.row_dtype(prefix, self.dictionaries)
        return self._row_dtypes[prefix]


def declare(
    message: type,
    schema: Any,
    text: str,
    enums: Mapping[str, Any],
    slots: Sequence[int],
    row_sizes: Sequence[int],
) -> tuple[Any, ...]:
    """Gives the message class ``message`` the attributes that the JSON ``text`` describes.

    ``slots`` are the offsets of its groups and data in its C struct, ``row_sizes`` the sizes of
    the C structs for its table rows and group rows: checked against what is computed here.
    Returns the descriptors of the root fields and var data, in the order of ``astuple``.
    """
    spec = json.loads(text)
    big = spec["order"] == ">"
    where = iter(slots)
    block = BlockLayout(spec["block_length"], spec["fields"], spec["order"])
    attributes: dict[str, Any] = {
        "TEMPLATE_ID": spec["template_id"],
        "BLOCK_LENGTH": spec["block_length"],
        "DTYPE": copy(block.dtype),
        "block": blocks.BlockView("block", _BLOCK_DOC, block),
        "__match_args__": tuple(field["name"] for field in spec["fields"]),
    }
    fields = [_field(field, enums, big) for field in spec["fields"]]
    attributes |= {field.name: field for field in fields}
    attributes |= _scaled(spec["fields"], attributes)
    ordered = list(fields)
    groups: dict[str, BlockLayout] = {}
    for group in spec["groups"]:
        layout = BlockLayout(group["block_length"], group["fields"], spec["order"])
        groups[group["name"]] = layout
        attributes |= (made := _group(group, layout, next(where), fields, enums, big))
        attributes[f"{group['name'].upper()}_DTYPE"] = copy(layout.dtype)
        ordered.append(made[group["name"]])
    data = []
    for each in spec["data"]:
        made = _data(each, next(where))
        attributes |= made
        data.append(made[each["name"]])
    attributes["_ELEMENTS"] = (*ordered, *data)
    attributes["_LAYOUT"] = layouts = MessageLayout(spec, block, groups)
    sizes = [layouts.row_dtype(()).itemsize, *(d.itemsize for d in layouts.group_dtypes)]
    if sizes != list(row_sizes) or block.dtype.itemsize != spec["block_length"]:
        raise SystemError(f"{spec['name']}: the C rows are {row_sizes}, numpy's are {sizes}")
    elements.set_attributes(message, attributes)
    schema.add(message)
    return (*fields, *data)


def _field(spec: Spec, enums: Mapping[str, Any], big: bool) -> Any:
    name, schema_name, since = spec["name"], spec["schema_name"], spec["since"]
    enum = enums.get(spec.get("enum", ""))
    if "constant" in spec:
        value, label = spec["constant"], spec["constant"]
        if enum:
            value, label = enum.members.get(value, value), enum.labels.get(value, value)
        doc = f"{schema_name}: always {label}; takes no bytes."
        return elements.ConstantField(name, schema_name, doc, since, value, label)
    doc = f"{schema_name}: {spec['type']} at byte {spec['offset']} of its block."
    if since:
        doc += f" None before version {since}."
    if spec.get("doc"):
        doc += f" {spec['doc']}"
    code = elements.CODES[spec["type"]] + (_BIG if big else 0)
    place = (name, schema_name, doc, since, spec["offset"], code)
    optional = bool(spec.get("optional"))
    if enum:
        return elements.EnumField(*place, spec["null"], enum.members, enum.labels)
    if spec["type"] in ("float", "double"):
        return elements.FloatField(*place, optional)
    return elements.IntField(*place, spec["null"] if optional else None)


def _scaled(fields: Sequence[Spec], attributes: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for field in fields:
        if "exponent" in field:
            name, schema_name = field["name"], field["schema_name"]
            pair = attributes[name], attributes[field["exponent"]["field"]]
            power = f"{schema_name} x 10^{pair[1].schema_name}"
            for ending, kind, what in (
                ("float", elements.FloatOf, "as the nearest float64"),
                ("decimal", elements.DecimalOf, "as an exact Decimal"),
            ):
                full = f"{name}_{ending}"
                result[full] = kind(full, schema_name, f"{power}, {what}.", *pair)
    return result


def _group(
    spec: Spec,
    layout: BlockLayout,
    slot: int,
    outer: Sequence[Any],
    enums: Mapping[str, Any],
    big: bool,
) -> dict[str, Any]:
    name, schema_name = spec["name"], spec["schema_name"]
    inner = tuple(_field(field, enums, big) for field in spec["fields"])
    columns = ", ".join(field["name"] for field in layout.fields)
    doc = (
        f"{schema_name}: structured array of shape (n,), columns {columns}. "
        "A view over the frame that keeps it alive; a copy with nulls where the sender's version "
        "lacks fields, or its entries lack padding."
    )
    view = blocks.GroupView(name, schema_name, doc, spec["since"], slot, layout, inner)
    result: dict[str, Any] = {name: view}
    if layout.mantissas:
        wanted = {e["field"] for e in layout.mantissas.values() if e["levels"]}
        to_floats = ToFloats(layout, [field for field in outer if field.name in wanted])
        full = f"{name}_float"
        doc = f"A copy of {name} with {', '.join(layout.mantissas)} as the nearest float64."
        result[full] = blocks.GroupFloats(full, schema_name, doc, view, to_floats)
    return result


def _data(spec: Spec, slot: int) -> dict[str, Any]:
    name, schema_name, since = spec["name"], spec["schema_name"], spec["since"]
    encoding = spec["encoding"]
    kind = f"{encoding} text; MalformedMessage where it is not" if encoding else "bytes"
    doc = (
        f"{schema_name}: {kind}. None before version {since}."
        if since
        else f"{schema_name}: {kind}."
    )
    full = f"{name}_bytes"
    return {
        name: elements.DataField(name, schema_name, doc, since, slot, encoding),
        full: elements.DataBytes(full, schema_name, f"{schema_name} as raw bytes.", since, slot),
    }


class EnumTable:
    """An enum as fields read it: what a number becomes, and the schema's name for it."""

    def __init__(self, members: Mapping[int, Any], labels: Mapping[int, str]) -> None:
        self.members = dict(members)
        self.labels = dict(labels)


def enum_table(enum: Any, labels: Mapping[int, str], is_bool: bool) -> EnumTable:
    if is_bool:
        return EnumTable({value: label == "True" for value, label in labels.items()}, labels)
    return EnumTable({member.value: member for member in enum}, labels)


def header_class(module: str, members: Sequence[str]) -> Any:
    """The named tuple that `decode_header` of ``module`` gives."""
    factory: Any = namedtuple  # whose members mypy wants to see written out
    header = factory("Header", members, module=module)
    header.__doc__ = "The message header, member by member as the schema orders them."
    return header
