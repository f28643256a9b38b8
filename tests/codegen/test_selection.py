"""Some messages of a schema: what they need is there, and nothing else is compiled."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
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
