"""Headers, dimensions and var data: what each may be, and what is said of the rest."""

from __future__ import annotations

import pytest
from small import faults, module_of, plain, schema

from sbe_codegen import ir

U8, U16, U32, U64 = (f"primitiveType='uint{bits}'" for bits in (8, 16, 32, 64))


def dims(length: str, count: str, more: str = "") -> str:
    members = f"<type name='blockLength' {length}</type><type name='numInGroup' {count}</type>"
    return schema(
        "<message name='M' id='1'><group name='g' id='2' dimensionType='D' blockLength='4'>"
        f"{plain('x', 1)}</group></message>",
        f"<composite name='D'>{members}{more}</composite>",
    )


def data(length: str, payload: str = f"<type name='varData' {U8} length='0'/>") -> str:
    return schema(
        "<message name='M' id='1'><data name='d' id='1' type='V'/></message>",
        f"<composite name='V'><type name='length' {length}</type>{payload}</composite>",
    )


CONSTANT = "presence='constant'>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (dims(f"{U16}>", f"{U8}>"), ""),
        (dims(f"{U8}>", f"{U16}>"), ""),
        (dims(f"{U16}>", f"{U32} maxValue='2147483647'>"), ""),
        (dims(f"{U16}>", f"{U32} maxValue='2147483648'>"),
         "D.numInGroup: maxValue is above 2147483647"),
        (dims(f"{U16}>", f"{U32}>"),
         'D.numInGroup: uint32 needs a maxValue: add maxValue="2147483647"'),
        (dims(f"{U16} {CONSTANT}4", f"{U8}>"), ""),
        (dims(f"{U16} {CONSTANT}5", f"{U8}>"),
         "M.g: a block of 4 where the constant blockLength is 5"),
        (dims(f"{U16} {CONSTANT}4", f"{U8} {CONSTANT}2"),
         "D: group dimensions of constants only: a count of entries has to be sent"),
        (dims(f"{U16}>", f"{U8} {CONSTANT}2"), ""),
        (dims(f"{U16}>", f"{U8} length='2'>"),
         "D.numInGroup: 'numInGroup' is not one whole number"),
        (dims(f"{U16}>", "primitiveType='int8'>"),
         "D.numInGroup: 'numInGroup' must be unsigned, not int8"),
        (dims(f"{U16}>", "primitiveType='char'>"),
         "D.numInGroup: 'numInGroup' is not one whole number"),
        (dims(f"{U16}>", f"{U8}>", "<type name='numGroups' primitiveType='int8'/>"),
         "D.numGroups: 'numGroups' must be unsigned, not int8"),
        (dims(f"{U16}>", f"{U8}>", "<type name='numVarDataFields' primitiveType='float'/>"),
         "D.numVarDataFields: 'numVarDataFields' is not one whole number"),
        (data(f"{U8}>"), ""),
        (data(f"{U16}>", "<type name='data' primitiveType='char' length='0'/>"), ""),
        (data(f"{U16}>", "<type name='varData' primitiveType='int8' length='0'/>"), ""),
        (data(f"{U16}>", "<type name='varData' primitiveType='uint8'/>"), ""),
        (data(f"{U16}>", "<type name='varData' primitiveType='uint8' length='3'/>"), ""),
        (data(f"{U32} maxValue='2147483647'>"), ""),
        (data(f"{U32} maxValue='2147483648'>"), "V.length: maxValue is above 2147483647"),
        (data(f"{U32}>"), 'V.length: uint32 needs a maxValue: add maxValue="2147483647"'),
        (data(f"{U8} presence='optional'>"), "V.length: the length can't be optional"),
        (data(f"{U8}>", "<type name='varDat' primitiveType='uint8'/>"),
         "V: the var data lacks 'varData' as its last member ('varDat')"),
        (data(f"{U8}>", f"<type name='varData' {U8} length='0'/><type name='z' {U8}/>"),
         "V.varData: length 0 is for the varData of var data only: give the number of items"),
        (data(f"{U8}>", "<type name='varData' primitiveType='int16' length='0'/>"),
         "V.varData: varData must be char or uint8"),
        (data(f"{U8}>", "<ref name='varData' type='side'/>"),
         "V.varData: varData must be char or uint8"),
        (data(f"{U8}>", "<type name='VarData' primitiveType='uint8' length='0'/>"),
         "V.VarData: length 0 is for the varData of var data only: give the number of items"),
    ],
)  # fmt: skip
def test_what_frames_groups_and_data(text: str, said: str) -> None:
    if said:
        assert [each.partition(": ")[2] for each in faults(text)] == [said]
    else:
        assert module_of(text).messages


COUNTS = f"<type name='numVarDataFields' {U8}/><type name='numGroups' {U16} offset='9'/>"


def test_dimensions_are_exactly_these() -> None:
    (found,) = module_of(dims(f"{U32}>", f"{U8}>", COUNTS)).dimensions
    members = (found.block_length, found.count, found.group_count, found.data_count)
    assert [(m.schema_name, m.offset, m.size) for m in members if m] == [
        ("blockLength", 0, 4), ("numInGroup", 4, 1), ("numGroups", 9, 2), ("numVarDataFields", 5, 1)
    ]  # fmt: skip
    assert (found.name, found.size, found.has_counts) == ("D", 11, True)
    plain_one = module_of(dims(f"{U16}>", f"{U8}>")).dimensions[0]
    assert (plain_one.group_count, plain_one.data_count, plain_one.has_counts) == (
        None,
        None,
        False,
    )


@pytest.mark.parametrize("name", ["numGroups", "numVarDataFields"])
def test_either_count_alone_is_a_count(name: str) -> None:
    (found,) = module_of(dims(f"{U16}>", f"{U8}>", f"<type name='{name}' {U8}/>")).dimensions
    assert found.has_counts


def test_var_data_are_exactly_these() -> None:
    payload = "<type name='varData' primitiveType='char' length='0' offset='6' "
    (found,) = module_of(data(f"{U16}>", payload + "characterEncoding='latin1'/>")).var_data
    assert found == ir.VarData("V", found.length, 6, "iso8859-1", False, False)
    assert (found.length.offset, found.length.size) == (0, 2)


def test_headers_are_exactly_these() -> None:
    head = '<composite name="messageHeader">'
    text = schema().replace(head, head + COUNTS.replace("9", "5"))
    header = module_of(text).header
    members = (header.block_length, header.template_id, header.schema_id, header.version,
               header.group_count, header.data_count)  # fmt: skip
    assert [(m.schema_name, m.offset) for m in members if m] == [
        ("blockLength", 7), ("templateId", 9), ("schemaId", 11), ("version", 13), ("numGroups", 5),
        ("numVarDataFields", 0),
    ]  # fmt: skip
    assert header.size == 15
    plain_one = module_of(schema()).header
    assert (plain_one.group_count, plain_one.data_count, plain_one.size) == (None, None, 8)


def test_everything_that_a_header_lacks_is_told() -> None:
    text = schema().replace('name="templateId"', 'name="a"')
    text = text.replace(
        'name="version" primitiveType="uint16"', 'name="version" primitiveType="int8"'
    )
    assert [each.partition(": ")[2] for each in faults(text)] == [
        "messageHeader: the header lacks 'templateId'",
        "messageHeader.version: 'version' must be unsigned, not int8",
    ]


@pytest.mark.parametrize("name", ["dimensionType", "type"])
def test_a_composite_that_is_wrong_is_told_once(name: str) -> None:
    """However many groups or data are of its kind."""
    group = "".join(
        f"<group name='g{i}' id='{i}' dimensionType='D'>{plain('x', 1)}</group>" for i in range(3)
    )
    var = "".join(f"<data name='d{i}' id='{i}' type='D'/>" for i in range(3))
    text = schema(
        f"<message name='M' id='1'>{group if name == 'dimensionType' else var}</message>",
        f"<composite name='D'><type name='x' {U64}/></composite>",
    )
    lacks = "group dimensions lack 'blockLength'" if name != "type" else "var data lacks 'length'"
    assert [each.partition(": ")[2] for each in faults(text)] == [f"D: the {lacks}"]


@pytest.mark.parametrize("order", ["littleEndian", "bigEndian"])
def test_the_byte_order_is_that_of_the_schema(order: str) -> None:
    text = schema(root=f'id="1" version="1" byteOrder="{order}"')
    assert module_of(text).big_endian == (order == "bigEndian")


def test_dimensions_that_no_group_uses_may_be_wrong() -> None:
    text = schema()
    wrong = text.replace('name="numInGroup"', 'name="count"')
    assert wrong != text
    assert module_of(wrong).usual_dimension is None
    assert module_of(text).usual_dimension is not None
    assert module_of(text).dimensions == ()
