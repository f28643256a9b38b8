"""Enums and sets as fields read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum, IntFlag
from typing import Any

_CACHED_SETS = 4096


def enum_types(
    module: str, enums: Sequence[Mapping[str, Any]], sets: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What fields need of the enums and sets of ``module``, by their names; and their classes.

    A class has a second name where the schema spells it otherwise. Members are name, number, name
    in the schema, and metadata where there are any.
    """
    types: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    create: Any = IntEnum  # whose members mypy wants to see written out
    for spec in enums:
        members = [(name, value) for name, value, *_ in spec["members"]]
        made = create(spec["name"], members, module=module)
        made.__doc__ = f"{spec['schema_name']}, {spec['type']} on the wire; "
        made.__doc__ += f"{spec['nulls'][0]} is null."
        labels, metadata = _labels(spec["members"])
        nulls = tuple(spec["nulls"])
        types[spec["name"]] = enum_table(made, labels, spec["is_bool"], metadata, nulls)
        classes |= dict.fromkeys((spec["name"], spec.get("alias", spec["name"])), made)
    create = IntFlag
    for spec in sets:
        members = [(name, 1 << bit) for name, bit, *_ in spec["members"]]
        null = spec.get("null")
        if null is not None:
            members.append((null[0], null[1]))
        made = create(spec["name"], members, module=module)
        made.__doc__ = f"{spec['schema_name']}, {spec['type']} on the wire."
        labels, metadata = _labels(spec["members"])
        named = None if null is None else (null[1], null[2])
        types[spec["name"]] = SetTable(made, labels, metadata, named)
        classes |= dict.fromkeys((spec["name"], spec.get("alias", spec["name"])), made)
    return types, classes


def _labels(members: Sequence[Sequence[Any]]) -> tuple[dict[int, str], dict[int, Any]]:
    """The schema's names of numbers (of two for one number, the first), and their metadata."""
    labels: dict[int, str] = {}
    metadata: dict[int, Any] = {}
    for _, value, label, *more in members:
        labels.setdefault(value, label)
        if more:
            metadata[value] = more[0]
    return labels, metadata


class EnumTable:
    """An enum as fields read it: what a number becomes, and what it is in plain objects.

    ``nulls`` are the numbers that mean null: None in optional fields, and in required ones too
    unless the schema has a name for the number.
    """

    def __init__(
        self,
        members: Mapping[int, Any],
        plain: Mapping[int, str | bool],
        labels: Mapping[int, str],
        metadata: Mapping[int, Any],
        nulls: tuple[int, ...] = (),
    ) -> None:
        none = dict.fromkeys(nulls)
        self.members = {**none, **members}
        self.plain = {**none, **plain}
        self.optional_members = {**members, **none}
        self.optional_plain = {**plain, **none}
        self.facts = _facts(labels, metadata)
        self.facts["members"] = self.members
        self.nulls = nulls
        self.unnamed_nulls = tuple(each for each in nulls if each not in labels)


class SetTable:
    """A set as fields read it: what bits become, and the schema's names of bits."""

    def __init__(
        self,
        kind: Any,
        labels: Mapping[int, str],
        metadata: Mapping[int, Any],
        null: tuple[int, str] | None = None,
    ) -> None:
        self.kind = kind
        self.facts = _facts(labels, metadata)
        self.facts["flags"] = kind
        self.facts["named_null"] = null
        self.labels = dict(labels)
        self.null = null  # what no bits are, and its name, where the schema has one
        self.known: dict[int, Any] = {}

    def flags(self, bits: int) -> Any:
        """The IntFlag of ``bits``. Enum classes keep every combination that they see for ever,
        and the sender chooses what they see: so only so many are kept."""
        found = self.known.get(bits)
        if found is None and not self.kind.__members__:
            return bits  # without choices it has no values
        if found is None:
            named = bits in self.kind._value2member_map_
            found = self.kind(bits)
            if not named and bits:
                self.kind._value2member_map_.pop(bits, None)
            if len(self.known) >= _CACHED_SETS:
                self.known.clear()
            self.known[bits] = found
        return found


def enum_table(
    enum: Any,
    labels: Mapping[int, str],
    is_bool: bool,
    metadata: Mapping[int, Any],
    nulls: tuple[int, ...] = (),
) -> EnumTable:
    """An enum of exactly False and True is bool wherever its values are Python objects."""
    if is_bool:
        truths = {value: label == "True" for value, label in labels.items()}
        return EnumTable(truths, truths, labels, metadata, nulls)
    members = {member.value: member for member in enum}
    return EnumTable(members, labels, labels, metadata, nulls)


def _facts(labels: Mapping[int, str], metadata: Mapping[int, Any]) -> dict[str, Any]:
    """What descriptors of this type say of its values: one copy for all of them."""
    values = {label: metadata.get(value, {}) for value, label in labels.items()}
    return {"labels": dict(labels), "values": values}
