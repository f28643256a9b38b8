"""What stands for null, and what does not: `encode` takes back whatever was decoded."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import plain, schema

TYPES = """<type name="T" primitiveType="int64" nullValue="-1"/>
<composite name="C"><type name="mantissa" primitiveType="int64" nullValue="-1"/>
  <type name="other" primitiveType="int32" nullValue="7"/></composite>
<composite name="D"><ref name="inner" type="C"/></composite>"""
MESSAGE = f"""<message name="M" id="1">{plain("plain", 1, "T")}
  <field name="maybe" id="2" type="T" presence="optional"/>
  <field name="price" id="3" type="C" presence="optional"/>{plain("fixed", 4, "C")}
  {plain("deep", 5, "D")}
  <group name="g" id="6">{plain("plain", 1, "T")}<field name="price" id="2" type="C"/></group>
</message>"""
NUMBERS = st.sampled_from([-1, 7, 0, 5]) | st.integers(-(2**31) + 1, 2**31 - 1)


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    made: ModuleType = compiled("nulls", schema(MESSAGE, TYPES))
    return made


def test_a_null_value_of_a_type_that_is_not_optional_is_a_value_of_required_fields(
    module: ModuleType,
) -> None:
    pair = {"mantissa": -1, "other": 7}
    values = {"plain": -1, "maybe": None, "price": None, "fixed": pair, "deep": {"inner": pair}}
    values["g"] = [{"plain": -1, "price": pair}]
    message = module.decode(module.M.encode(**values))
    assert message.to_dict() == values
    assert message.validate() == []
    assert module.decode(message.replace(maybe=3)).maybe == 3
    with pytest.raises(ValueError, match="stands for null"):
        module.M.encode(**values | {"maybe": -1})
    with pytest.raises(ValueError, match="stands for null"):
        module.M.encode(**values | {"price": pair})


@given(numbers=st.lists(NUMBERS, min_size=12, max_size=12))
def test_whatever_was_decoded_is_encoded_again(module: ModuleType, numbers: list[int]) -> None:
    block = struct.pack("<qqqiqiqi", *numbers[:8])
    if numbers[2] == -1:  # then its other member says nothing
        block = block[:24] + struct.pack("<i", -(2**31)) + block[28:]
    entry = struct.pack("<qqi", *numbers[8:11])
    head = struct.pack("<4H", len(block), 1, 1, 1)
    frame = head + block + struct.pack("<HB", len(entry), 2) + entry * 2
    message = module.decode(frame)
    assert (message.plain, message.maybe) == (
        numbers[0],
        None if numbers[1] == -1 else numbers[1],
    )
    assert message.validate() == []
    again = module.M.encode(**message.to_dict())
    assert module.decode(again).to_dict() == message.to_dict()
    assert again == frame or message.price is None
    assert message.replace() == again
    table = module.decode_many([frame] * 3)[module.M]
    buffer, _ = module.encode_many(module.M, table)
    assert bytes(buffer) == frame * 3
