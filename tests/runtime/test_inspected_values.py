"""What `inspect` says of numbers with an exponent, and of times, however the schema has them."""

from __future__ import annotations

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
