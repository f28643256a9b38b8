"""Composites that got members in later versions, as senders of older versions wrote them."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small import schema

from binance_sbe import EncodeError

TYPES = """<composite name="grown"><type name="a" primitiveType="int32" presence="optional"/>
  <type name="b" primitiveType="uint8" presence="optional" sinceVersion="2"/>
  <type name="c" primitiveType="int32" offset="8" sinceVersion="3"/></composite>
<composite name="around"><type name="d" primitiveType="uint8"/>
  <ref name="e" type="grown" offset="4"/></composite>"""
MESSAGE = """<message name="Grown" id="1">
  <field name="x" id="1" type="uint8"/><field name="y" id="2" type="around" offset="4"/>
  <group name="parts" id="3"><field name="z" id="4" type="grown"/></group>
</message>"""
LENGTHS = {0: (12, 4), 1: (12, 4), 2: (13, 5), 3: (20, 12)}  # of the message's block, of an entry


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    made: ModuleType = compiled("grown", schema(MESSAGE, TYPES, 'id="7" version="3"'))
    return made


def grown(version: int, a: int | None) -> dict[str, Any] | None:
    """The composite as a sender of a version has it: members that came later are not given."""
    if a is None:
        return None
    since = {"a": 0, "b": 2, "c": 3}
    values = {"a": a, "b": 7, "c": -9}
    return {name: value for name, value in values.items() if since[name] <= version}


def wire(version: int, a: int | None) -> bytes:
    if a is None:
        return (struct.pack("<iBxxxi", -(2**31), 255, -(2**31)))[: LENGTHS[version][1]]
    return struct.pack("<iBxxxi", a, 7, -9)[: LENGTHS[version][1]]


def frame(version: int, *numbers: int | None) -> bytes:
    root = (struct.pack("<BxxxBxxx", 5, 6) + wire(version, numbers[0]))[: LENGTHS[version][0]]
    head = struct.pack("<HHHH", len(root), 1, 7, version)
    group = struct.pack("<HB", LENGTHS[version][1], len(numbers) - 1)
    return head + root + group + b"".join(wire(version, each) for each in numbers[1:])


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("numbers", [(1, 2, 3), (1,), (None, None, 4), (4, 5, None)])
def test_a_sender_of_an_older_version_writes_the_members_it_has(
    module: ModuleType, version: int, numbers: tuple[int | None, ...]
) -> None:
    expected = frame(version, *numbers)
    values = {
        "x": 5, "y": {"d": 6, "e": grown(version, numbers[0])},
        "parts": [{"z": grown(version, each)} for each in numbers[1:]],
    }  # fmt: skip
    assert module.Grown.encode(version=version, **values) == expected
    message = module.decode(expected)
    assert message.encode(version=version, **message.to_dict()) == expected
    assert message.replace() == expected
    arrays = values | {"parts": message.parts}
    assert module.Grown.encode(version=version, **arrays) == expected
    table = module.decode_many([expected] * 3)[module.Grown]
    assert module.encode_many(module.Grown, table, version=version)[0].tobytes() == expected * 3


@pytest.mark.parametrize(
    ("version", "member", "since"), [(0, "b", 2), (1, "b", 2), (1, "c", 3), (2, "c", 3)]
)
def test_a_member_that_came_later_is_refused(
    module: ModuleType, version: int, member: str, since: int
) -> None:
    newer = {"a": 1} | ({"b": 7} if version == 2 else {}) | {member: 3}
    older = grown(version, 1)
    for values, field in (
        ({"y": {"d": 6, "e": newer}, "parts": []}, f"y.e.{member}"),
        ({"y": {"d": 6, "e": older}, "parts": [{}, {"z": newer}]}, f"parts[1].z.{member}"),
    ):  # fmt: skip
        with pytest.raises(
            EncodeError, match=f"has no such field; it came with version {since}"
        ) as raised:
            module.Grown.encode(version=version, x=5, **values)
        assert raised.value.field == field
    array = module.decode(frame(3, 1, 2, 3)).parts
    assert isinstance(array, np.ndarray)
    with pytest.raises(EncodeError, match=f"version {version} of the schema has no such") as raised:
        module.Grown.encode(version=version, x=5, y={"d": 6, "e": older}, parts=array)
    first = "b" if version < 2 else "c"
    assert raised.value.field == f"parts[0].z.{first}"
    table = module.decode_many([frame(3, 1, 2)])[module.Grown]
    with pytest.raises(EncodeError, match=f"version {version} of the schema has no such") as raised:
        module.encode_many(module.Grown, table, version=version)
    assert raised.value.field == f"Grown[0].y.e.{first}"


def test_a_composite_that_is_not_given_is_null_as_far_as_it_goes(module: ModuleType) -> None:
    for version in range(4):
        made = module.Grown.encode(version=version, x=5, y={"d": 6}, parts=[{}, {"z": None}])
        assert made == frame(version, None, None, None)
    with pytest.raises(EncodeError, match="give None") as raised:
        module.Grown.encode(version=0, x=5, y={"d": 6, "e": {}}, parts=[])
    assert raised.value.field == "y.e"


@pytest.mark.parametrize("version", range(4))
def test_rows_of_a_table_leave_what_an_older_version_has_not(compiled: Any, version: int) -> None:
    """The block goes on behind the composite: what it has not yet is zeros, not its nulls."""
    fields = """<field name="x" id="1" type="grown"/>
      <field name="w" id="2" type="uint8" offset="12"/>"""
    message = f'<message name="Kept" id="1">{fields}</message>'
    module = compiled("grown_kept", schema(message, TYPES, 'id="7" version="3"'))
    block = wire(version, 4).ljust(12, b"\0") + b"\3"
    expected = struct.pack("<HHHH", 13, 1, 7, version) + block
    assert module.Kept.encode(version=version, x=grown(version, 4), w=3) == expected
    table = module.decode_many([expected] * 3)[module.Kept]
    assert module.encode_many(module.Kept, table, version=version)[0].tobytes() == expected * 3
