"""The numpy formats of fields, on the wire and in tables, and what composites are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Spec = Mapping[str, Any]

NUMPY = {
    "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "char": "u1",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "float": "f4", "double": "f8",
}  # fmt: skip


class CompositeTable:
    """A composite as fields have it: ``kind`` is the class of its values."""

    def __init__(self, spec: Spec) -> None:
        self.size: int = spec["size"]
        self.fields: list[Spec] = spec["fields"]
        self.decimal: list[str] | None = spec.get("decimal")  # names of mantissa and exponent
        self.kind: Any = None


def within(
    field: Spec, members: Sequence[Spec], types: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The members of a composite field as if they were fields of its block themselves.

    Where the field may be null its first member that takes bytes may, since that says it is.
    """
    first = next(iter(present(members, types)), None)
    for member in members:
        made = dict(member)
        made["since"] = max(field["since"], member["since"])
        if "offset" in member:
            made["offset"] = field["offset"] + member["offset"]
        if member is first and field.get("optional"):
            made["optional"] = True
        yield made


class FieldFormats:
    """The numpy formats of fields; ``types`` has the composites among them."""

    def __init__(self, order: str, types: Mapping[str, Any]) -> None:
        self.order = order
        self.types = types

    def on_the_wire(self, fields: Sequence[Spec], itemsize: int) -> np.dtype[Any]:
        return np.dtype(
            {
                "names": [field["name"] for field in fields],
                "formats": [self.wire(field) for field in fields],
                "offsets": [field["offset"] for field in fields],
                "itemsize": itemsize,
            }
        )

    def wire(self, field: Spec) -> Any:
        if field["kind"] == "composite":
            table = self.types[field["named"]]
            return self.on_the_wire(present(table.fields, self.types), table.size)
        return self._simple(field, self.order)

    def older(self, fields: Sequence[Spec], version: int, size: int | None) -> np.dtype[Any]:
        """What a sender of ``version`` has of ``fields``, members of composites too.

        In so many bytes, or in as many as that takes.
        """
        formats: dict[str, tuple[Any, int]] = {}
        for field in fields:
            if field["since"] <= version:
                made = self.wire(field)
                if field["kind"] == "composite":
                    members = present(self.types[field["named"]].fields, self.types)
                    made = self.older(members, version, None)
                formats[field["name"]] = made, field["offset"]
        if size is None:
            ends = (offset + np.dtype(made).itemsize for made, offset in formats.values())
            size = max(ends, default=0)
        return np.dtype(
            {
                "names": list(formats),
                "formats": [made for made, _ in formats.values()],
                "offsets": [offset for _, offset in formats.values()],
                "itemsize": size,
            }
        )

    def decimal(self, field: Spec) -> tuple[Spec, Spec] | None:
        """Mantissa and exponent of a composite field that is a decimal, as if fields themselves."""
        if field["kind"] != "composite":
            return None
        table = self.types[field["named"]]
        if table.decimal is None:
            return None
        members = {each["name"]: each for each in within(field, table.fields, self.types)}
        mantissa, exponent = (members[name] for name in table.decimal)
        return mantissa, exponent

    def has_decimals(self, field: Spec) -> bool:
        """Whether a field is a decimal, or a composite with one in it."""
        if field["kind"] != "composite":
            return False
        table = self.types[field["named"]]
        return table.decimal is not None or any(map(self.has_decimals, table.fields))

    def with_floats(self, field: Spec) -> Any:
        """As `row`, with float64 in place of decimals."""
        if self.decimal(field):
            return "f8"
        if not self.has_decimals(field):
            return self.row(field)
        members = present(self.types[field["named"]].fields, self.types)
        return np.dtype([(each["name"], self.with_floats(each)) for each in members], align=True)

    def row(self, field: Spec) -> Any:
        """In this machine's order, and naturally aligned."""
        if field["kind"] == "composite":
            members = present(self.types[field["named"]].fields, self.types)
            return np.dtype([(each["name"], self.row(each)) for each in members], align=True)
        return self._simple(field, "=")

    def _simple(self, field: Spec, order: str) -> Any:
        kind = field["kind"]
        if kind == "char":
            return "S1"
        if kind == "text":
            return f"S{field['length']}"
        if kind in ("array", "mantissa"):
            return np.dtype(order + NUMPY[field["type"]]), (field["length"],)
        return order + NUMPY[field["type"]]


def present(fields: Sequence[Spec], types: Mapping[str, Any]) -> list[Spec]:
    """The fields that take bytes."""

    def takes_bytes(field: Spec) -> bool:
        if field["kind"] == "composite":
            return bool(types[field["named"]].size)
        return "constant" not in field and bool(field.get("length", 1))

    return [field for field in fields if takes_bytes(field)]


def newest(field: Spec, types: Mapping[str, Any]) -> int:
    """The first version that has all of a field, its members if it is a composite."""
    since: int = field["since"]
    if field["kind"] == "composite":
        members = present(types[field["named"]].fields, types)
        since = max([since, *(newest(member, types) for member in members)])
    return since
