"""The parser: every attribute arrives where it belongs, whatever the blanks around it."""

from __future__ import annotations

from typing import Any

import pytest
from small import TYPES, body, faults, field, module_of, plain, schema

from sbe_codegen import parser
from sbe_codegen import schema as parsed
from sbe_codegen.errors import Place

TEXT = """<m:messageSchema xmlns:m="urn:m" xmlns:x="urn:x" package=" p.q " id=" 7 " version=" 3 "
 semanticVersion="3.1" byteOrder=" bigEndian " headerType=" head ">
<types>
<type name=" t " primitiveType=" int8 " length=" 4 " presence=" optional " nullValue="9"
 minValue="1" maxValue="8" characterEncoding="ASCII" offset=" 2 " sinceVersion=" 1 "
 deprecated=" 2 " description="  some
 text " semanticType=" Qty " x:unit="ms" x:name="theirs" venue="v">text</type>
<type name="old" primitiveType="char" length="5" variableLength=" true "/>
<type name="fixed" primitiveType="char" variableLength="false" presence="constant" valueRef="E.A"/>
<composite name="c" offset="3"><ref name="r" type=" t " offset=" 5 "/>
<enum name="E" encodingType=" uint8 " nullValue="0" offset="6"
><validValue name="A"> 1 </validValue></enum>
<set name="S" encodingType="uint16" offset="7"><choice name="B">2</choice></set></composite>
</types>
<m:message name="M" id="1" blockLength=" 99 " semanticType="m">
<field name="f" id=" 1 " type=" t " offset="4" presence="constant" valueRef="E.A" x:exponent=" e "/>
<group name="g" id="2" dimensionType=" dims " blockLength="8" sinceVersion="2">
<field name="h" id="3" type="t"/><data name="i" id="4" type=" text " presence="required"/></group>
<group name="k" id="5"/>
<data name="d" id="6" type="text"/>
</m:message></m:messageSchema>"""


def common(name: str, line: int, **given: Any) -> dict[str, Any]:
    return {
        "name": name, "place": Place("s.xml", line), "since_version": 0, "deprecated": None,
        "description": "", "semantic_type": None, "metadata": {},
    } | given  # fmt: skip


def test_every_attribute_is_read() -> None:
    made = parser.parse_bytes(TEXT.encode(), "s.xml")
    first, old, fixed, composite = made.types
    assert first == parsed.Type(
        **common(
            "t", 7, since_version=1, deprecated=2, description="some text", semantic_type="Qty",
            metadata={"unit": "ms", "name": "theirs", "venue": "v"},
        ),
        primitive="int8", length=4, presence="optional", null_value="9", min_value="1",
        max_value="8", character_encoding="ASCII", value_ref=None, offset=2, text="text",
    )  # fmt: skip
    nothing = dict.fromkeys(
        ("null_value", "min_value", "max_value", "character_encoding", "value_ref", "offset")
    )
    assert old == parsed.Type(
        **common("old", 8), **nothing, primitive="char", length=0, presence=None, text=""
    )
    assert fixed == parsed.Type(
        **common("fixed", 9), **nothing | {"value_ref": "E.A"}, primitive="char", length=None,
        presence="constant", text="",
    )  # fmt: skip
    assert composite == parsed.Composite(
        **common("c", 10),
        offset=3,
        members=(
            parsed.Ref(**common("r", 10), type="t", offset=5),
            parsed.Enum(
                **common("E", 12), encoding_type="uint8", null_value="0", offset=6,
                values=(parsed.Value(**common("A", 12), text=" 1 "),),
            ),
            parsed.Set(
                **common("S", 13), encoding_type="uint16", offset=7,
                choices=(parsed.Value(**common("B", 13), text="2"),),
            ),
        ),
    )  # fmt: skip
    (message,) = made.messages
    assert message == parsed.Message(
        **common("M", 15, semantic_type="m"),
        id=1,
        block_length=99,
        fields=(
            parsed.Field(
                **common("f", 16, metadata={"exponent": " e "}), id=1, type="t", offset=4,
                presence="constant", value_ref="E.A", exponent="e",
            ),
        ),
        groups=(
            parsed.Group(
                **common("g", 17, since_version=2), id=2, block_length=8, dimension_type="dims",
                fields=(
                    parsed.Field(
                        **common("h", 18), id=3, type="t", offset=None, presence=None,
                        value_ref=None, exponent=None,
                    ),
                ),
                groups=(),
                data=(parsed.Data(**common("i", 18), id=4, type="text", presence="required"),),
            ),
            parsed.Group(
                **common("k", 19), id=5, block_length=None, dimension_type="groupSizeEncoding",
                fields=(), groups=(), data=(),
            ),
        ),
        data=(parsed.Data(**common("d", 20), id=6, type="text", presence=None),),
    )  # fmt: skip
    assert (made.file, made.place, made.package, made.id, made.version) == (
        "s.xml", Place("s.xml", 2), "p.q", 7, 3
    )  # fmt: skip
    assert (made.semantic_version, made.byte_order, made.header_type) == (
        "3.1", "bigEndian", "head"
    )  # fmt: skip
    assert made.faults == ()
    assert made.warnings == ()


def test_what_is_not_written_has_the_defaults_of_sbe() -> None:
    text = '<messageSchema package="p" id="1"><message name="M" id="1"/></messageSchema>'
    made = parser.parse_bytes(text.encode())
    assert (made.file, made.version, made.semantic_version) == ("<bytes>", 0, "")
    assert (made.byte_order, made.header_type) == ("littleEndian", "messageHeader")
    assert made.types == ()
    assert made.faults == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # one fault hides no other, and is told once
        ('<messageSchema id="1"/>', ["messageSchema: attribute 'package' is missing"]),
        ('<messageSchema package=" " id="x" version="-1" byteOrder="up"><message name="M" id="1"/>'
         "</messageSchema>",
         ["messageSchema: attribute 'package' is missing",
          "messageSchema: id 'x' is not a number from 0 to 4294967295",
          "messageSchema: version '-1' is not a number from 0 to 4294967295",
          "messageSchema: byteOrder 'up' is not one of littleEndian, bigEndian"]),
        ('<messageSchema package="p" id="1"><types><message/><enum name="E" encodingType="int8">'
         '<validValue name="A"/><choice name="B">1</choice><type/></enum></types>'
         '<message name="M" id="1"/></messageSchema>',
         ["message: has no place inside 'types'", "validValue 'A': has no value",
          "type: has no place inside 'enum'"]),
    ],
)  # fmt: skip
def test_faults_of_elements_are_exactly_these(text: str, said: list[str]) -> None:
    made = parser.parse_bytes(text.encode(), "s.xml")
    assert [str(each).partition(": ")[2] for each in made.faults] == said


def test_what_has_no_id_clashes_with_nothing() -> None:
    """Neither with what has no id too, nor with what has one."""
    text = body(*(f"<field name='f{i}' type='uint8'/>" for i in range(3)), plain("g", 1))
    assert faults(text) == [f"s.xml:13: field 'f{i}': attribute 'id' is missing" for i in range(3)]


NOTE = "<x:note xmlns:x='urn:x'><x:field/></x:note>"


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ("<feild/>", ["feild: is no element of SBE, and ignored: did you mean 'field'?"]),
        ("<note/>", ["note: is no element of SBE, and ignored"]),
        ("<zzzz name='z'/>", ["zzzz 'z': is no element of SBE, and ignored"]),
        (NOTE, []),
        ("<!-- field -->", []),
        ("<?field?>", []),
    ],
)
def test_elements_that_are_not_of_sbe_are_ignored_and_said(element: str, said: list[str]) -> None:
    """In a schema, in types, in a composite, and in a message."""
    for before in ("<message ", '<composite name="text">', '<type name="version"', "<field "):
        text = schema().replace(before, element + before, 1)
        assert [each.partition(": ")[2] for each in module_of(text).warnings] == said


@pytest.mark.parametrize(
    ("root", "said"),
    [("", 1), ("xmlns='urn:sbe'", 1), ("xmlns:y='urn:y'", 1)],
)
def test_elements_of_the_schemas_own_namespace_are_said(root: str, said: int) -> None:
    text = schema().replace("<messageSchema", f"<messageSchema {root}").replace(
        "<message ", f"<feild/>{NOTE}<message ", 1
    )  # fmt: skip
    assert len(module_of(text).warnings) == said


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("presense='optional'", ["attribute 'presense' is ignored: did you mean 'presence'?"]),
        ("venue='x'", []),
        ("x:presense='y' xmlns:x='urn:x'", []),
        ("exponent='e'", ["attribute 'exponent': without a namespace it says nothing: write "
                          "x:exponent, and xmlns:x"]),
    ],
)  # fmt: skip
def test_attributes_that_look_misspelt_are_said(attributes: str, said: list[str]) -> None:
    made = module_of(field(f"name='a' id='1' type='uint8' {attributes}"))
    assert [each.partition("field 'a': ")[2] for each in made.warnings] == said


ORDER = {
    "field": plain("f", 1),
    "group": "<group name='g' id='2'/>",
    "data": "<data name='d' id='3' type='text'/>",
}


@pytest.mark.parametrize("first", ORDER)
@pytest.mark.parametrize("second", ORDER)
def test_fields_come_before_groups_and_those_before_data(first: str, second: str) -> None:
    later = ORDER[second].replace("name='", "name='z").replace("id='", "id='4")
    text = body(ORDER[first], NOTE, later)
    names = list(ORDER)
    if names.index(second) >= names.index(first):
        assert module_of(text).messages
    else:
        name = f"z{'fgd'[names.index(second)]}"
        assert faults(text) == [
            f"s.xml:13: {second} '{name}': a {second} can't follow a {first}: move it up"
        ]


def test_what_comes_after_a_group_that_follows_data_is_told_too() -> None:
    """The furthest that was reached counts, not the last element."""
    text = body(ORDER["data"], ORDER["group"], plain("f", 1))
    assert [each.rpartition(": a ")[2] for each in faults(text)] == [
        "group can't follow a data: move it up", "field can't follow a data: move it up"
    ]  # fmt: skip


def test_types_of_several_parts_are_one_list() -> None:
    text = f"<types>{TYPES}</types>"
    made = parser.parse_bytes(schema().encode())
    assert [each.name for each in made.types] == [
        "messageHeader", "groupSizeEncoding", "text", "side"
    ]  # fmt: skip
    assert len(parser.parse_bytes(schema().replace("<types>", text + "<types>").encode()).types) > 8
