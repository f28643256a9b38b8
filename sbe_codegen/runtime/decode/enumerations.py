"""Enums and sets as fields read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CACHED_SETS = 4096


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
