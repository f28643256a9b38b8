"""Every schema that can't be compiled is explained: where, what is wrong, and the obvious mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import body, enum, faults, field, module_of, plain, schema

from sbe_codegen import SchemaError, parser


def test_the_test_schema_itself_is_fine() -> None:
    assert module_of(schema()).messages[0].block.length == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "s.xml: is empty"),
        (" \n", "s.xml: is empty"),
        ("<a", "is not well-formed XML"),
        ("stream_1_0.xml", "s.xml:1: is not XML but the name of another file: give 'stream_1_0.xml'"),
        ("just words", "s.xml:1: is not well-formed XML"),
        ("<other/>", "s.xml:1: other: the root of an SBE schema is 'messageSchema'"),
        (schema(root='version="1"'), "s.xml:1: messageSchema: attribute 'id' is missing"),
        (schema(root='id="70000"'), "id 70000 does not fit schemaId, which is uint16"),
        (schema(root='id="1" version="65536"'), "version 65536 does not fit version, which is"),
        (schema(root='id="9999999999"'), "id '9999999999' is not a number from 0 to 4294967295"),
        (schema(root='id="-1"'), "id '-1' is not a number"),
        (schema(root='id="1" byteOrder="big"'), "byteOrder 'big' is not one of"),
        (schema(root='id="1" headerType="h"'), "s.xml:1: messageSchema: header type 'h' is not defined"),
        (schema(root='id="1" headerType="side"'), "'side' is not a composite"),
        (field('name="a" id="1" type="zz"'), "s.xml:14: M.a: no type 'zz' in this schema"),
        (field('name="a" type="uint8"'), "field 'a': attribute 'id' is missing"),
        (field('id="1" type="uint8"'), "attribute 'name' is missing"),
        (field('name="a" id="1" type="uint8" presence="maybe"'), "presence 'maybe' is not one of"),
        (field('name="a" id="1" type="uint8" sinceVersion="2"'),
         "M.a: sinceVersion 2 is above the schema's version 1"),
        (field('name="a" id="1" type="side" presence="constant"'), "needs a valueRef"),
        (field('name="a" id="1" type="side" presence="constant" valueRef="side.Up"'),
         "enum 'side' has no value 'Up'"),
        (field('name="a" id="1" type="side" presence="constant" valueRef="other.Buy"'),
         "valueRef 'other.Buy': no enum 'other' in this schema"),
        (enum('encodingType="uint8"', "<validValue name='A'>256</validValue>"),
         "256 does not fit uint8"),
        (enum('encodingType="uint8"', "<validValue name='A'>x</validValue>"),
         "'x' is not a whole number"),
        (enum('encodingType="uint8"', "<validValue name='A'/>"), "validValue 'A': has no value"),
        (enum('encodingType="uint8"', "<validValue name='A'>1</validValue>"
              "<validValue name='A'>2</validValue>"), "name 'A' is used by 'E.A' already"),
        (enum('encodingType="float"', "<validValue name='A'>1</validValue>"),
         "an enum can't be encoded as float"),
        (enum('encodingType="char"', "<validValue name='A'>AB</validValue>"),
         "is not one ASCII character"),
        (schema(types="<type name='side' primitiveType='uint8'/>\n"),
         "side: type 'side' is defined twice"),
        (schema(types="<enum name='E' encodingType='e'><validValue name='A'>1</validValue></enum>"),
         "no type 'e'"),
        (schema("<message name='M' id='1'/>\n<message name='N' id='1'/>"),
         "s.xml:14: N: template id 1 is used by 'M' already"),
        (schema("<message name='M' id='1'/>\n<message name='M' id='2'/>"),
         "M: name 'M' is used by 'M' already"),
        (schema("<message name='M' id='1' blockLength='1'><field name='a' id='1' type='int16'/>"
                "</message>"), "M: blockLength 1 is less than the 2 of its fields"),
        (schema("<message name='M' id='1'><field name='a' id='1' type='int16'/>\n"
                "<field name='b' id='2' type='int16' offset='1'/></message>"),
         "s.xml:14: M.b: offset 1 overlaps what ends at 2"),
        (schema("<message name='M' id='1'><field name='a' id='1' type='int16'/>"
                "<field name='b' id='1' type='int16'/></message>"),
         "M.b: id 1 is used by 'M.a' already"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='text'/>"
                "<field name='b' id='2' type='int16'/></message>"),
         "field 'b': a field can't follow a data: move it up"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='text'/>"
                "<group name='g' id='2'><field name='b' id='2' type='int16'/></group></message>"),
         "a group can't follow a data"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='side'/></message>"),
         "'side' is not a composite"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='text' presence='optional'/>"
                "</message>"), "var data can't be optional"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='groupSizeEncoding'/>"
                "</message>"), "groupSizeEncoding: the var data lacks 'length'"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='zz'>"
                "<field name='b' id='2' type='int16'/></group></message>"),
         "M.g: no composite 'zz'"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='text'>"
                "<field name='b' id='2' type='int16'/></group></message>"),
         "text: the group dimensions lack 'blockLength'"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='d'>"
                "<field name='b' id='2' type='int16'/></group></message>",
                "<composite name='d'><type name='blockLength' primitiveType='uint16'/>"
                "<type name='numInGroup' primitiveType='uint32'/></composite>\n"),
         "d.numInGroup: uint32 needs a maxValue"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='d'>"
                "<field name='b' id='2' type='int16'/></group></message>",
                "<composite name='d'><type name='blockLength' primitiveType='uint16'/>"
                "<type name='numInGroup' primitiveType='uint32' maxValue='4294967294'/>"
                "</composite>\n"), "maxValue is above 2147483647"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='d'>"
                "<field name='b' id='2' type='int16'/></group></message>",
                "<composite name='d'><type name='blockLength' primitiveType='int16'/>"
                "<type name='numInGroup' primitiveType='uint8'/></composite>\n"),
         "d.blockLength: 'blockLength' must be unsigned, not int16"),
        (schema().replace("UTF-8", "KLINGON").replace("</message>",
            "<data name='d' id='9' type='text'/></message>"),
         "characterEncoding 'KLINGON' is not known"),
        (schema(types="<composite name='c'><type name='x' primitiveType='uint8'/><group/>"
                "</composite>"), "has no place inside 'composite'"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_explained(text: str, said: str) -> None:
    found = faults(text)
    assert any(said in fault for fault in found), found


def test_a_header_that_lacks_a_member_is_explained() -> None:
    text = schema().replace('<type name="templateId" primitiveType="uint16"/>', "")
    assert "messageHeader: the header lacks 'templateId'" in faults(text)[0]


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    text = schema(
        "<message name='M' id='1'><field name='a' id='1' type='x'/>\n"
        "<field name='b' id='2' type='y'/></message>\n<message name='M' id='1'/>"
    )
    found = faults(text)
    assert [line.split(": ")[0] for line in found] == [
        "s.xml:13",
        "s.xml:14",
        "s.xml:15",
        "s.xml:15",
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none\.xml: can't be read: No such file"):
        parser.parse(tmp_path / "none.xml")
    with pytest.raises(SchemaError, match="can't be read"):
        parser.parse(tmp_path)


def test_entities_are_not_expanded_and_files_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("uint8")
    external = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}<!ENTITY e "&l9;">]>'
    for doctype in (external, bomb, f'<!DOCTYPE x SYSTEM "file://{secret}">', "<!DOCTYPE x []>"):
        text = doctype + schema().replace(">B<", ">&e;<")
        with pytest.raises(SchemaError, match="DOCTYPE: a schema has none|not well-formed"):
            parser.parse_bytes(text.encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (enum('encodingType="uint8"', "<validValue name='A'>1_0</validValue>"),
         "'1_0' is not a whole number"),
        (schema().replace("UTF-8", "hex").replace("</message>",
            "<data name='d' id='9' type='text'/></message>"),
         "characterEncoding 'hex' is not known"),
    ],
)  # fmt: skip
def test_values_that_can_not_be_are_explained(text: str, said: str) -> None:
    found = faults(text)
    assert any(said in fault for fault in found), found


def test_faults_of_elements_and_of_references_are_told_together() -> None:
    """A field without an id hides no unknown type, and is not told twice."""
    text = body(
        "<field name='a' type='uint8'/>\n",
        "<field name='b' id='1' type='zz'/>\n",
        "<data name='d' id='2' type='text'/>\n",
        "<field name='b' id='1' type='uint8'/>\n",
        "<field id='9'/>",
    )
    text = text.replace("</types>", "<type name='T' primitiveType='int99'/></types>", 1)
    assert sorted(fault.partition(": ")[2] for fault in faults(text)) == sorted([
        "T: 'int99' is no primitive type (char, int8, int16, int32, int64, uint8, uint16, uint32, "
        "uint64, float, double): did you mean 'int8'?",
        "field 'a': attribute 'id' is missing",
        "M.b: no type 'zz' in this schema",
        "M.b: id 1 is used by 'M.b' already",
        "M.b: name 'b' is used by 'M.b' already",
        "field 'b': a field can't follow a data: move it up",
        "field: a field can't follow a data: move it up",
        "field: attribute 'name' is missing",
        "field: attribute 'type' is missing",
    ])  # fmt: skip


def types(text: str) -> str:
    return schema(types=f"{text}\n")


def of_type(attributes: str, text: str = "") -> str:
    return types(f"<type name='T' {attributes}>{text}</type>")


def composite(members: str) -> str:
    return types(f"<composite name='C'>{members}</composite>")


def group(dimension: str, types_text: str) -> str:
    return schema(
        f"<message name='M' id='1'><group name='g' id='2' dimensionType='{dimension}'>"
        f"{plain('x', 1)}</group></message>",
        types_text + "\n",
    )


def dimensions(length: str, count: str) -> str:
    members = (f"<type name='blockLength' {length}/>" if length else "") + (
        f"<type name='numInGroup' {count}/>" if count else ""
    )
    return group("D", f"<composite name='D'>{members}</composite>")


def var_data(members: str) -> str:
    return schema(
        "<message name='M' id='1'><data name='d' id='1' type='V'/></message>",
        f"<composite name='V'>{members}</composite>\n",
    )


U8, U16, U32 = (f'primitiveType="uint{bits}"' for bits in (8, 16, 32))
PAYLOAD = "<type name='varData' primitiveType='uint8' length='0'/>"
CYCLE = "<composite name='A'><ref name='b' type='B'/></composite>"
CYCLE += "<composite name='B'><ref name='a' type='A'/></composite>"

# The rows of the table of errors that a schema loader must raise, in its order.
ROWS = {
    "unknown ref target": (composite("<ref name='x' type='zz'/>"), "C.x: no type 'zz'"),
    "unknown dimensionType": (group("zz", ""), "M.g: no composite 'zz' in this schema"),
    "unknown data type": (body("<data name='d' id='1' type='zz'/>"), "M.d: no composite 'zz'"),
    "header type missing": (schema(root='id="1" headerType="h"'), "'h' is not defined"),
    "header not a composite": (schema(root='id="1" headerType="side"'), "'side' is not a composite"),
    "header blockLength signed": (
        schema().replace('"blockLength" primitiveType="uint16"', '"blockLength" primitiveType="int16"', 1),
        "messageHeader.blockLength: 'blockLength' must be unsigned, not int16"),
    "redefined primitive": (of_type('primitiveType="int16"').replace("'T'", "'int8'"),
                            "'int8' is the name of a primitive type: rename it"),
    "duplicate group name": (
        body(f"<group name='g' id='1'>{plain('x', 1)}</group>",
             f"<group name='g' id='2'>{plain('x', 1)}</group>"), "M.g: name 'g' is used by 'M.g'"),
    "duplicate id in a group": (
        body(f"<group name='g' id='1'>{plain('x', 1)}{plain('y', 1)}</group>"),
        "M.g.y: id 1 is used by 'M.g.x' already"),
    "duplicate member": (composite(f"<type name='x' {U8}/><type name='x' {U8}/>"),
                         "C.x: name 'x' is used by 'C.x' already"),
    "duplicate choice name": (
        types("<set name='S' encodingType='uint8'><choice name='a'>1</choice>"
              "<choice name='a'>2</choice></set>"), "S.a: name 'a' is used by 'S.a' already"),
    "composite in itself": (composite("<ref name='x' type='C'/>"),
                            "C.x: composites contain each other: C > C"),
    "composites in each other": (types(CYCLE), "B.a: composites contain each other: A > B > A"),
    "data inside composite": (composite("<data name='d' id='1' type='text'/>"),
                              "has no place inside 'composite'"),
    "field inside composite": (composite("<field name='d' id='1' type='uint8'/>"),
                               "has no place inside 'composite'"),
    "member offset overlaps": (
        composite(f"<type name='x' {U32}/><type name='y' {U8} offset='0'/>"),
        "C.y: offset 0 overlaps what ends at 4"),
    "field offset zero overlaps": (
        body(plain("a", 1), "<field name='b' id='2' type='uint8' offset='0'/>"),
        "M.b: offset 0 overlaps what ends at 1"),
    "group blockLength too small": (
        body(f"<group name='g' id='1' blockLength='1'>{plain('x', 1, 'int32')}</group>"),
        "M.g: blockLength 1 is less than the 4 of its fields"),
    "field after group": (
        body(f"<group name='g' id='1'>{plain('x', 1)}</group>", plain("a", 2)),
        "field 'a': a field can't follow a group: move it up"),
    "field after group in a group": (
        body(f"<group name='o' id='9'><group name='g' id='1'>{plain('x', 1)}</group>{plain('a', 2)}</group>"),
        "a field can't follow a group"),
    "dimensions lack numInGroup": (dimensions(U16, ""), "D: the group dimensions lack 'numInGroup'"),
    "dimensions not a composite": (group("side", ""), "M.g: 'side' is not a composite"),
    "signed count": (dimensions(U16, 'primitiveType="int8"'), "'numInGroup' must be unsigned"),
    "count of floats": (dimensions(U16, 'primitiveType="float"'), "is not one whole number"),
    "count min above max": (dimensions(U16, f'{U8} minValue="5" maxValue="4"'),
                            "D.numInGroup: minValue 5 is above maxValue 4"),
    "count max over its type": (dimensions(U16, f'{U8} maxValue="256"'), "256 does not fit uint8"),
    "var data lacks varData": (var_data(f"<type name='length' {U8}/>"), "lacks 'varData'"),
    "var data lacks length": (var_data(PAYLOAD), "V: the var data lacks 'length'"),
    "var data of wide numbers": (
        var_data(f"<type name='length' {U8}/>" + PAYLOAD.replace("uint8", "uint16")),
        "V.varData: varData must be char or uint8"),
    "signed length": (var_data(f"<type name='length' primitiveType='int8'/>{PAYLOAD}"),
                      "'length' must be unsigned, not int8"),
    "uint32 length without max": (var_data(f"<type name='length' {U32}/>{PAYLOAD}"),
                                  'uint32 needs a maxValue: add maxValue="2147483647"'),
    "optional length": (var_data(f"<type name='length' {U8} presence='optional'/>{PAYLOAD}"),
                        "the length can't be optional"),
    "data of a simple type": (body("<data name='d' id='1' type='side'/>"), "'side' is not a composite"),
    "constant data": (body("<data name='d' id='1' type='text' presence='constant'/>"),
                      "var data can't be constant"),
    "constant without value": (of_type(f"{U8} presence='constant'"),
                               "T: a constant needs a value as its text"),
    "constant char without value": (of_type("primitiveType='char' presence='constant'"),
                                    "T: a constant needs a value"),
    "constant field of a plain type": (
        body("<field name='a' id='1' type='uint8' presence='constant'/>"),
        "M.a: a constant field needs a valueRef, or a type that is constant"),
    "valueRef without a dot": (field('name="a" id="1" type="side" presence="constant" valueRef="Buy"'),
                               "valueRef 'Buy' is not of the form 'Enum.Value'"),
    "valueRef of what is no enum": (
        field('name="a" id="1" type="side" presence="constant" valueRef="text.Buy"'),
        "valueRef 'text.Buy': 'text' is not an enum"),
    "valueRef of another enum": (
        schema("<message name='M' id='1'><field name='a' id='1' type='side' presence='constant'"
               " valueRef='E.A'/></message>",
               "<enum name='E' encodingType='char'><validValue name='A'>1</validValue></enum>\n"),
        "valueRef 'E.A' does not name a value of 'side'"),
    "valueRef of another width": (
        field('name="a" id="1" type="uint16" presence="constant" valueRef="side.Buy"'),
        "valueRef 'side.Buy' is char, and the type is uint16"),
    "valueRef on a type that is not constant": (of_type("primitiveType='char' valueRef='side.Buy'"),
                                                'T: valueRef is for constants: add presence="constant"'),
    "char constant longer than length": (
        of_type("primitiveType='char' length='2' presence='constant'", "abc"),
        "T: 'abc' is longer than the 2 of the type"),
    "number that is none": (of_type(f"{U8} presence='constant'", "12a"), "'12a' is not a whole number"),
    "valueRef of a constant type": (
        schema("<message name='M' id='1'><field name='a' id='1' type='k' presence='constant'"
               " valueRef='E.ZZ'/></message>",
               "<type name='k' primitiveType='uint8' presence='constant'>5</type>"
               "<enum name='E' encodingType='uint8'><validValue name='A'>1</validValue></enum>\n"),
        "M.a: enum 'E' has no value 'ZZ'"),
    "valueRef unlike its constant type": (
        schema("<message name='M' id='1'><field name='a' id='1' type='k' presence='constant'"
               " valueRef='E.A'/></message>",
               "<type name='k' primitiveType='uint8' presence='constant'>5</type>"
               "<enum name='E' encodingType='uint8'><validValue name='A'>1</validValue></enum>\n"),
        "M.a: valueRef is 1, and its type is always 5"),
    "var data of a set": (
        var_data(f"<type name='length' {U8}/><set name='varData' encodingType='uint8'>"
                 "<choice name='a'>1</choice></set>"), "V.varData: varData must be char or uint8"),
    "uint8 of 256": (of_type(f"{U8} presence='constant'", "256"), "256 does not fit uint8"),
    "uint8 of -1": (of_type(f"{U8} presence='constant'", "-1"), "-1 does not fit uint8"),
    "null out of range": (of_type(f"{U16} presence='optional' nullValue='65536'"), "does not fit uint16"),
    "min that is no number": (of_type(f"{U8} minValue='low'"), "'low' is not a whole number"),
    "float that is none": (of_type("primitiveType='float' minValue='low'"), "'low' is not a number"),
    "min above max": (of_type(f"{U8} minValue='9' maxValue='8'"), "T: minValue 9 is above maxValue 8"),
    "value outside the type": (
        types(f"<type name='few' {U8} minValue='1' maxValue='3'/><enum name='E' encodingType='few'>"
              "<validValue name='A'>4</validValue></enum>"),
        "E.A: value 4 is outside the type's range, 1 to 3"),
    "enum of an array": (
        types(f"<type name='few' {U8} length='2'/><enum name='E' encodingType='few'>"
              "<validValue name='A'>4</validValue></enum>"), "encodingType 'few' is not one integer"),
    "set of chars": (types("<set name='S' encodingType='char'><choice name='a'>1</choice></set>"),
                     "a set can't be encoded as char"),
    "set of doubles": (types("<set name='S' encodingType='double'><choice name='a'>1</choice></set>"),
                       "a set can't be encoded as double"),
    "choice without text": (types("<set name='S' encodingType='uint8'><choice name='a'/></set>"),
                            "choice 'a': has no value"),
    "bit out of range": (types("<set name='S' encodingType='uint8'><choice name='a'>8</choice></set>"),
                         "S.a: bit 8 is not one of the 8 of uint8"),
    "negative bit": (types("<set name='S' encodingType='uint8'><choice name='a'>-1</choice></set>"),
                     "S.a: bit -1 is not one of"),
    "unknown primitive": (of_type("primitiveType='uint128'"), "T: 'uint128' is no primitive type (char"),
    "unknown presence": (of_type(f"{U8} presence='often'"), "presence 'often' is not one of required"),
    "semanticType differs": (
        schema("<message name='M' id='1'><field name='a' id='1' type='T' semanticType='Qty'/></message>",
               f"<type name='T' {U8} semanticType='Price'/>\n"),
        "M.a: semanticType 'Qty' where its type has 'Price'"),
    "sinceVersion of a type": (of_type(f"{U8} sinceVersion='2'"), "T: sinceVersion 2 is above"),
    "sinceVersion of a value": (
        enum('encodingType="uint8"', "<validValue name='A' sinceVersion='7'>1</validValue>"),
        "E.A: sinceVersion 7 is above"),
    "sinceVersion of a member": (composite(f"<type name='x' {U8} sinceVersion='2'/>"),
                                 "C.x: sinceVersion 2 is above the schema's version 1"),
    "sinceVersion of a data": (body("<data name='d' id='1' type='text' sinceVersion='2'/>"),
                               "M.d: sinceVersion 2 is above"),
    "endless name": (of_type(U8).replace("'T'", f"'{'T' * 256}'"), "a name of 256 characters"),
    "length of nothing": (of_type(f"{U8} length='0'"), "length 0 is for the varData of var data only"),
    "negative length": (of_type(f"{U8} length='-2'"), "length '-2' is not a number from 0 to 65535"),
    "composite of nothing": (composite(""), "C: a composite needs at least one member"),
    "id that the header can't carry": (
        schema("<message name='M' id='300'/>").replace(
            '"templateId" primitiveType="uint16"', '"templateId" primitiveType="uint8"'),
        "M: id 300 does not fit templateId, which is uint8"),
    "block that dimensions can't carry": (
        schema(f"<message name='M' id='1'><group name='g' id='2' dimensionType='D' blockLength='256'>"
               f"{plain('x', 1)}</group></message>",
               f"<composite name='D'><type name='blockLength' {U8}/>"
               f"<type name='numInGroup' {U8}/></composite>\n"),
        "M.g: a block of 256 does not fit blockLength, which is uint8"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_error_table_is_refused(row: str) -> None:
    text, said = ROWS[row]
    found = faults(text)
    assert any(said in fault for fault in found), found
