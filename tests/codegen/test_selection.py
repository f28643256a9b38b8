"""Some messages of a schema: what they need is there, and nothing else is compiled."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from inspected import check_whole
from small import module_of, schema

import sbe_codegen
from sbe_codegen.runtime.errors import UnknownName, UnknownTemplate
from sbe_codegen.selection import only

TYPES = """<enum name="Way" encodingType="uint8"><validValue name="Up">1</validValue></enum>
<set name="Flags" encodingType="uint8"><choice name="x">0</choice></set>
<composite name="both"><ref name="way" type="Way"/>
<type name="n" primitiveType="uint8"/></composite>
"""
MESSAGES = """<message name="A" id="1"><field name="a" id="1" type="both"/></message>
<message name="B" id="2"><field name="f" id="1" type="Flags"/>
<group name="g" id="2" dimensionType="groupSizeEncoding">
<field name="s" id="3" type="side"/></group>
</message>
<message name="C" id="3"><data name="d" id="1" type="text"/></message>"""


def names(parts: Any) -> list[str]:
    return [each.name for each in parts]


def test_what_is_referred_to_is_kept() -> None:
    whole = module_of(schema(MESSAGES, TYPES))
    a = only(whole, ["A"])
    assert (names(a.messages), names(a.enums), names(a.sets)) == (["A"], ["Way"], [])
    assert (a.dimensions, a.var_data) == ((), ())
    b = only(whole, [2])
    assert (names(b.messages), names(b.enums), names(b.sets)) == (["B"], ["Side"], ["Flags"])
    assert names(b.dimensions) == ["groupSizeEncoding"]
    assert names(only(whole, ["C", "1"]).messages) == ["A", "C"]
    assert only(whole, ["A", "B", "C"]) == whole


def test_what_is_no_message_is_told() -> None:
    whole = module_of(schema(MESSAGES, TYPES))
    with pytest.raises(UnknownName, match="has no message 'X' "):
        only(whole, ["X"])
    with pytest.raises(ValueError, match="messages is empty"):
        only(whole, [])
    with pytest.raises(TypeError, match="a list of names"):
        only(whole, "A")


def test_a_number_is_an_id_and_a_name_of_the_schema_goes_before_others() -> None:
    message = '<message name="{}" id="{}"/>'
    whole = module_of(schema("".join(map(message.format, ("N1", "1", "A-B", "A_B"), (3, 4, 1, 2)))))
    for key, found in ((1, "A-B"), ("1", "1"), ("A_B", "A_B"), ("N1", "N1"), ("3", "N1"), (4, "1")):
        (chosen,) = only(whole, [key]).messages
        assert chosen.schema_name == found, key


COUNTED = """<composite name="counted"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/><type name="numGroups" primitiveType="uint16"/>
<type name="numVarDataFields" primitiveType="uint16"/></composite>
<composite name="big"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint16"/></composite>
<composite name="bytes"><type name="length" primitiveType="uint16"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>"""
ROOT = 'id="1" version="0" headerType="counted"'
QUOTE = '<message name="Quote" id="1"><field name="a" id="1" type="uint8"/>{}</message>'
OTHERS = """<message name="Big" id="3"><group name="g" id="1" dimensionType="big">
<field name="x" id="2" type="uint8"/></group><data name="d" id="3" type="text"/></message>
<message name="Trade" id="2"><group name="g" id="1"><field name="x" id="2" type="uint8"/></group>
<data name="d" id="3" type="bytes"/></message>"""


@pytest.mark.parametrize("data", ["", '<data name="d" id="2" type="bytes"/>'])
@pytest.mark.parametrize("others", [OTHERS, OTHERS.partition('<message name="Trade"')[0]])
def test_what_only_newer_senders_have_is_read_the_same_however_few_messages_there_are(
    tmp_path: Path, data: str, others: str
) -> None:
    path = tmp_path / "s.xml"
    path.write_text(schema(QUOTE.format(data) + others, COUNTED, ROOT))
    frame = struct.pack("<HHHHHHB", 1, 1, 1, 1, 1, 2, 5) + b"\2\0\1zq"
    frame += b"\2\0ab\1\0c" if data else b"\2ab\1c"
    found = []
    for chosen in (None, ["Quote"], ["Quote", "Big"]):
        module: Any = sbe_codegen.load(path, messages=chosen)
        message = module.decode(frame)
        found.append((message.encoded_length, message.to_dict()))
        check_whole(module, frame)
    assert found == [(len(frame), {"a": 5} | ({"d": b"ab"} if data else {}))] * 3


def test_a_frame_of_a_message_that_was_left_out_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.xml"
    path.write_text(schema(MESSAGES, TYPES))
    module: Any = sbe_codegen.load(path, messages=["A"])
    assert list(module.MESSAGES) == [1]
    assert module.decode(struct.pack("<HHHHBB", 2, 1, 1, 1, 1, 5)).a.way == module.Way.UP
    with pytest.raises(UnknownTemplate, match="B was left out when this module was compiled"):
        module.decode(struct.pack("<HHHHB", 1, 2, 1, 1, 1))
    assert module is sbe_codegen.load(path, messages=[1])
    assert module is not sbe_codegen.load(path, messages=["A", "C"])
