"""Ids and versions of up to 32 bits, which have more bits than an int of C has."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from small import TYPES, schema

WIDE = TYPES.replace(
    'name="templateId" primitiveType="uint16"', 'name="templateId" primitiveType="uint32"'
)
WIDE = WIDE.replace(
    'name="schemaId" primitiveType="uint16"', 'name="schemaId" primitiveType="uint32"'
)
WIDE = WIDE.replace(
    'name="version" primitiveType="uint16"', 'name="version" primitiveType="uint32"'
)


@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 2**32 - 1])
def test_ids_and_versions_of_32_bits_compile(compiled: Any, number: int) -> None:
    message = f"""<message name="M" id="{number}"><field name="a" id="1" type="uint8"/>
<field name="late" id="2" type="uint8" sinceVersion="{number}"/>
<group name="g" id="3" sinceVersion="{number}"><field name="x" id="1" type="uint8"/></group>
<data name="t" id="4" type="text" sinceVersion="{number}"/></message>
<message name="N" id="1"><field name="a" id="1" type="uint8"/></message>"""
    text = schema(message, root=f'id="{number}" version="{number}"').replace(TYPES, WIDE)
    module = compiled(f"wide_{number}", text)
    values = {"a": 1, "late": 2, "g": [{"x": 3}], "t": "x"}
    frame = module.M.encode(**values)
    assert frame[2:14] == struct.pack("<III", number, number, number)
    assert module.decode(frame).to_dict() == values
    old = struct.pack("<HIIIB", 1, number, number, number - 1, 1)
    assert module.decode(old).to_dict() == {"a": 1, "late": None, "g": [], "t": None}
    batch = module.decode_many([frame, old, module.N.encode(a=4)])
    assert (len(batch[module.M]), len(batch[module.N])) == (2, 1)
    assert module.decode_body(frame[14:], number).to_dict() == values
    newer = struct.pack("<HIIIBBBB", 4, number, number, number, 1, 2, 9, 9) + frame[16:]
    assert module.decode(newer).to_dict() == values
    with pytest.raises(ValueError, match="schema id 7 where"):
        module.decode(struct.pack("<HIIIB", 1, number, 7, number, 1))
