"""Enums and sets as fields read them; and what a sender can make the classes of sets keep."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

import pytest

from sbe_codegen.runtime.decode.enumerations import SetTable, enum_table, enum_types


class Side(IntEnum):
    BUY = 66
    SELL_SHORT = 83


class YesNo(IntEnum):
    FALSE = 0
    TRUE = 1


@pytest.fixture
def flags() -> Any:
    return IntFlag("flags", {"A": 1, "TOP": 2**63})  # type: ignore[misc]


def test_an_enum_is_its_members_and_the_schemas_names() -> None:
    table = enum_table(Side, {66: "Buy", 83: "SellShort"}, False, {66: {"note": "bid"}})
    assert table.members == {66: Side.BUY, 83: Side.SELL_SHORT}
    assert table.members[66] is Side.BUY
    assert table.plain == {66: "Buy", 83: "SellShort"}
    assert table.facts == {
        "labels": {66: "Buy", 83: "SellShort"},
        "values": {"Buy": {"note": "bid"}, "SellShort": {}},
        "members": table.members,
    }


def test_a_null_is_none_unless_it_has_a_name_and_the_field_is_required() -> None:
    table = enum_table(Side, {66: "Buy", 83: "SellShort"}, False, {}, (83, 0))
    assert table.members == {0: None, 66: Side.BUY, 83: Side.SELL_SHORT}
    assert table.plain == {0: None, 66: "Buy", 83: "SellShort"}
    assert table.optional_members == {0: None, 66: Side.BUY, 83: None}
    assert table.optional_plain == {0: None, 66: "Buy", 83: None}
    assert (table.nulls, table.unnamed_nulls) == ((83, 0), (0,))


def test_false_and_true_are_bool_in_either_order() -> None:
    for labels in ({0: "False", 1: "True"}, {1: "False", 0: "True"}):
        table = enum_table(YesNo, labels, True, {})
        truths = {value: label == "True" for value, label in labels.items()}
        assert table.members == table.plain == truths
        assert all(type(each) is bool for each in table.members.values())
        assert table.facts["labels"] == labels


def test_flags_are_those_of_the_class_with_bits_that_have_no_name(flags: Any) -> None:
    table = SetTable(flags, {0: "a", 63: "top"}, {})
    assert table.labels == {0: "a", 63: "top"}
    for bits in (0, 1, 2**63, 2**63 + 1, 6, 2**63 + 5, 1):
        found = table.flags(bits)
        assert (found, type(found)) == (bits, flags)
        assert table.flags(bits) is found


def test_a_sender_does_not_choose_how_much_is_kept(flags: Any) -> None:
    """Neither here nor by the class, which would keep every combination for ever."""
    table = SetTable(flags, {0: "a", 63: "top"}, {})
    named = dict(flags._value2member_map_)
    sizes = []
    for bits in range(2, 2 * 4096 + 102):
        assert table.flags(bits) == bits
        sizes.append(len(table.known))
    assert max(sizes) == 4096
    assert sizes[4095:4098] == [4096, 1, 2]
    assert len(flags._value2member_map_) <= len(named) + 1
    assert named.items() <= flags._value2member_map_.items()
    assert flags(1) is flags.A


def test_a_set_without_choices_is_its_bits() -> None:
    table = enum_types("m", [], [{"name": "S", "schema_name": "s", "type": "uint8", "members": []}])
    assert table[0]["S"].flags(5) == 5
    assert table[1]["S"].__name__ == "S"
