"""What `inspect` says of numbers with an exponent, and of times, however the schema has them."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest
from small import schema

from sbe_codegen.conventions import Conventions
from sbe_codegen.runtime import inspector

TYPES = """
<composite name="Price"><type name="mantissa" primitiveType="int64" presence="optional"/>
<type name="exponent" primitiveType="int8" presence="constant">-4</type></composite>
<composite name="Amount"><type name="mantissa" primitiveType="int64"/>
<type name="exponent" primitiveType="int8"/></composite>
<composite name="Maybe"><type name="mantissa" primitiveType="int64"/>
<type name="exponent" primitiveType="int8" presence="optional" nullValue="99"/></composite>
<type name="Day" primitiveType="uint16" semanticType="LocalMktDate"/>
<type name="Clock" primitiveType="uint64" semanticType="UTCTimeOnly"/>
"""
MESSAGE = """<message name="M" id="1"><field name="price" id="1" type="Price"/>
<field name="fee" id="2" type="Amount"/><field name="day" id="3" type="Day"/>
<field name="clock" id="4" type="Clock" timeUnit="microsecond"/>
<field name="digits" id="5" type="int8"/><field name="last" id="6" type="int64" exponent="digits"/>
<field name="maybe" id="7" type="Maybe"/></message>"""
TIED = 'id="1" version="1" xmlns:e="urn:x"'


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    message = MESSAGE.replace(' exponent="digits"', ' e:exponent="digits"')
    made: ModuleType = compiled(
        "inspected", schema(message, TYPES, TIED), Conventions(exponent="decimals")
    )
    return made


OLD_TYPES = """
<composite name="Stamp"><type name="time" primitiveType="uint64"/>
<type name="unit" primitiveType="uint8" sinceVersion="4"/></composite>
<composite name="Amount"><type name="mantissa" primitiveType="int64"/>
<type name="exponent" primitiveType="int8" sinceVersion="4"/></composite>
<composite name="Millis"><type name="time" primitiveType="uint64" semanticType="UTCTimestamp"/>
<type name="unit" primitiveType="uint8" presence="constant">3</type>
<type name="zone" primitiveType="int8"/></composite>
<composite name="Any"><type name="time" primitiveType="uint64" semanticType="UTCTimestamp"/>
<type name="unit" primitiveType="uint8"/></composite>
"""
OLD = """<message name="Old" id="2"><field name="at" id="1" type="Stamp"/>
<field name="fee" id="2" type="Amount"/>
<group name="g" id="9"><field name="x" id="1" type="int8"/></group></message>
<message name="Times" id="3"><field name="a" id="1" type="Millis"/>
<field name="b" id="2" type="Any"/></message>"""


def lines_of(module: ModuleType, frame: bytes) -> list[tuple[int, str, str]]:
    """Offset, field and value of each row behind the header."""
    lines, _ = inspector.inspect(frame, module)
    return [
        (int(row[:6]), row[52:86].strip(), row[86:].strip())
        for row in lines[5:]
        if row[5:6].isdigit()
    ]


def test_a_frame_from_before_a_member_shows_all_its_bytes(compiled: Any) -> None:
    module = compiled("inspected_old", schema(OLD, OLD_TYPES, 'id="1" version="4"'))
    group = struct.pack("<HBb", 1, 1, 9)

    def lines(block: bytes, version: int) -> list[tuple[int, str, str]]:
        return lines_of(module, struct.pack("<4H", len(block), 2, 1, version) + block + group)

    exact = lines(struct.pack("<QxQ", 17, 5), 0)
    assert exact == [
        (8, "at.time", "17"), (16, "(padding)", ""), (17, "fee.mantissa", "5"),
        (25, "g", "1 entries with blocks of 1"), (28, "g[0].x", "9"),
    ]  # fmt: skip
    padded = lines(struct.pack("<QBQb", 17, 1, 5, 7), 3)
    assert padded[2:4] == [
        (17, "fee.mantissa", "5"), (25, "(more)", "padding, or fields of a newer schema"),
    ]  # fmt: skip
    whole = lines(struct.pack("<QBQb", 17, 1, 5, 2), 4)
    assert (17, "fee.mantissa", "5 (500)") in whole
    short = lines(struct.pack("<QBI", 17, 1, 5), 4)
    assert short[2:] == [(17, "fee", "(cut)"), (21, "g", "1 entries with blocks of 1"),
                         (24, "g[0].x", "9")]  # fmt: skip


def test_texts_are_in_their_encoding_and_nul_is_null(compiled: Any) -> None:
    types = """<type name="utf" primitiveType="char" length="8" characterEncoding="UTF-8"/>
    <type name="wide" primitiveType="char" length="4" characterEncoding="UTF-16LE"/>
    <type name="maybe" primitiveType="char" presence="optional" nullValue="32"/>
    <enum name="E" encodingType="maybe"><validValue name="A">A</validValue></enum>"""
    names = ("utf", "wide", "maybe", "E", "char")
    fields = "".join(f'<field name="{n}" id="{i}" type="{n}"/>' for i, n in enumerate(names, 1))
    module = compiled(
        "inspected_texts", schema(f'<message name="M" id="1">{fields}</message>', types)
    )
    block = "é€x".encode().ljust(8, b"\0") + "ab".encode("utf-16-le") + b"\0\0\0"
    head = struct.pack("<4H", len(block), 1, 1, 1)
    found = {name: value for _, name, value in lines_of(module, head + block)}
    assert found == {"utf": "'é€x'", "wide": "'ab'", "maybe": "0 (null)", "E": "0 (null)",
                     "char": "'\\x00'"}  # fmt: skip


def test_padding_of_a_header_is_shown(compiled: Any) -> None:
    text = schema('<message name="M" id="1"><field name="a" id="1" type="int8"/></message>')
    member = '<type name="version" primitiveType="uint16"/>'
    assert text.count(member) == 1
    padded = member.replace('name="version"', 'name="version" offset="9"')
    more = '<type name="last" offset="12" primitiveType="uint8"/>'
    module = compiled("inspected_header", text.replace(member, padded + more))
    frame = struct.pack("<HHHxxxHxBb", 1, 1, 1, 1, 7, 5)
    lines, is_whole = inspector.inspect(frame, module)
    shown = [(int(row[:6]), row[52:86].strip()) for row in lines if row[5:6].isdigit()]
    assert is_whole
    assert shown == [(0, "blockLength"), (2, "templateId"), (4, "schemaId"), (6, "(padding)"),
                     (9, "version"), (11, "(padding)"), (12, "last"), (13, "a")]  # fmt: skip


def test_the_unit_of_a_time_is_the_one_beside_it(compiled: Any) -> None:
    module = compiled("inspected_old", schema(OLD, OLD_TYPES, 'id="1" version="4"'))
    frame = struct.pack("<4HQbQB", 18, 3, 1, 4, 1_700_000_000_123, 2, 1_700_000_000, 0)
    found = {name: value for _, name, value in lines_of(module, frame)}
    assert found["a.time"] == "1700000000123 (2023-11-14 22:13:20.123 UTC)"
    assert found["b.time"] == "1700000000 (2023-11-14 22:13:20 UTC)"
    table = module.decode_many([frame])[module.Times].to_arrow()
    assert str(table.schema.field("a.time").type) == "timestamp[ms, tz=UTC]"
    assert table["a.time"].to_pylist() == table["a.time"].to_pylist()
    assert [each.timestamp() for each in table["a.time"].to_pylist()] == [1_700_000_000.123]


GIVEN = {
    "price": None, "fee": {"mantissa": 1, "exponent": 0}, "day": 0, "clock": 0, "digits": 0,
    "last": 0, "maybe": {"mantissa": 5, "exponent": None},
}  # fmt: skip


def shown(module: ModuleType, **values: Any) -> dict[str, str]:
    """The value of each row, by its field."""
    frame = module.M.encode(**(GIVEN | values))
    lines, _ = inspector.inspect(bytes(frame), module)
    rows = (line[44:].split(None, 1) for line in lines[5:-1])
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


@pytest.mark.parametrize(
    ("values", "field", "value"),
    [
        ({"price": {"mantissa": 123456}}, "price.mantissa", "123456 (12.3456)"),
        ({"price": {"mantissa": -10000}}, "price.mantissa", "-10000 (-1.0000)"),
        ({}, "price.mantissa", f"{-(2**63)} (null)"),
        ({"fee": {"mantissa": 7, "exponent": -3}}, "fee.mantissa", "7 (0.007)"),
        ({"fee": {"mantissa": 7, "exponent": 2}}, "fee.mantissa", "7 (700)"),
        ({"fee": {"mantissa": 7, "exponent": -3}}, "fee.exponent", "-3"),
        ({}, "maybe.mantissa", "5"),
        ({"maybe": {"mantissa": 5, "exponent": 1}}, "maybe.mantissa", "5 (50)"),
        ({"day": 20089}, "day", "20089 (2025-01-01)"),
        ({"day": 65534}, "day", "65534 (2149-06-05)"),
        ({"clock": 34_200_000_001}, "clock", "34200000001 (09:30:00.000001)"),
        ({"digits": 2, "last": 9412345}, "last", "9412345 (94123.45)"),  # it counts decimals
        ({"digits": -2, "last": 9}, "last", "9 (900)"),
    ],
)
def test_a_value_is_shown_as_it_is_meant(
    module: ModuleType, values: dict[str, Any], field: str, value: str
) -> None:
    assert shown(module, **values)[field] == value


def test_a_time_beyond_the_day_is_said(module: ModuleType) -> None:
    frame = bytearray(module.M.encode(**(GIVEN | {"day": 1, "clock": 1})))
    at = bytes(frame).index((1).to_bytes(2, "little") + (1).to_bytes(8, "little"), 8 + 17)
    frame[at + 2 : at + 10] = (86_400_000_000).to_bytes(8, "little")
    lines, _ = inspector.inspect(bytes(frame), module)
    assert any(line.endswith("86400000000 (no time of a day)") for line in lines)


def test_values_are_what_messages_have(compiled: Any) -> None:
    """Wide mantissas to the last digit; no power of an exponent that is null; NaN as it is."""
    types = """<type name="e" primitiveType="int8" presence="optional" nullValue="5"/>
    <type name="wide" primitiveType="int8" length="16"/>
    <type name="f" primitiveType="double" presence="optional" nullValue="-1"/>"""
    fields = """<field name="e" id="1" type="e"/>
    <field name="p" id="2" type="int64" x:exponent="e"/>
    <field name="q" id="3" type="wide" x:exponent="e"/><field name="f" id="4" type="f"/>
    <group name="g" id="5"><field name="r" id="6" type="int64" x:exponent="e"/></group>"""
    root = 'id="1" version="1" xmlns:x="urn:x"'
    module = compiled(
        "inspected_decimals", schema(f'<message name="M" id="1">{fields}</message>', types, root)
    )

    def values(exponent: int | None, number: float | None) -> dict[str, str]:
        frame = module.M.encode(e=exponent, p=12, q=10**37 + 7, f=number, g=[{"r": 13}])
        return {name: value for _, name, value in lines_of(module, frame)}

    wide = f"1{'0' * 36}7"
    found = values(-2, float("nan"))
    assert found["q"] == f"{wide} ({wide[:-2]}.{wide[-2:]})"
    assert (found["p"], found["g[0].r"], found["f"]) == ("12 (0.12)", "13 (0.13)", "nan")
    found = values(None, None)
    assert (found["e"], found["p"], found["q"]) == ("5 (null)", "12", wide)
    assert (found["g[0].r"], found["f"]) == ("13", "-1.0 (null)")


def test_a_null_that_has_a_name_is_a_member_of_required_fields(compiled: Any) -> None:
    types = """<enum name="E" encodingType="uint8"><validValue name="A">1</validValue>
    <validValue name="NullValue">255</validValue></enum>"""
    fields = """<field name="may" id="1" type="E" presence="optional"/>
    <field name="must" id="2" type="E"/>"""
    module = compiled(
        "inspected_nulls", schema(f'<message name="M" id="1">{fields}</message>', types)
    )
    frame = struct.pack("<4HBB", 2, 1, 1, 1, 255, 255)
    assert module.decode(frame).to_dict() == {"may": None, "must": "NullValue"}
    found = {name: value for _, name, value in lines_of(module, frame)}
    assert found == {"may": "255 (null)", "must": "255 NullValue"}
