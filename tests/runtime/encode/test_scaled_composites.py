"""Composites of mantissa and exponent, and exponents that count decimals, by their values."""

from __future__ import annotations

from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import schema

from binance_sbe import EncodeError
from sbe_codegen.conventions import Conventions

ROOT = 'xmlns:x="urn:x" id="7" version="1"'
TYPES = """<composite name="fixed"><type name="mantissa" primitiveType="int64" presence="optional"/>
  <type name="exponent" primitiveType="int8" presence="constant">-4</type></composite>
<composite name="sent"><type name="mantissa" primitiveType="int32"/>
  <type name="exponent" primitiveType="int8"/></composite>"""
MESSAGE = """<message name="Priced" id="1">
  <field name="price" id="1" type="fixed"/><field name="size" id="2" type="sent"/>
  <field name="places" id="3" type="int8"/>
  <field name="last" id="4" type="int64" x:exponent="places"/>
  <group name="levels" id="5"><field name="px" id="6" type="fixed"/>
    <field name="qty" id="7" type="int64" x:exponent="places"/></group>
</message>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    made: ModuleType = compiled(
        "priced", schema(MESSAGE, TYPES, ROOT), Conventions(exponent="decimals")
    )
    return made


def encoded(module: ModuleType, **values: Any) -> Any:
    whole = {"price_float": 1.5, "size_decimal": "2.5", "places": 2, "last": 3} | values
    for name in ("price", "size", "last"):
        if name in values or f"{name}_float" in values or f"{name}_decimal" in values:
            for other in (name, f"{name}_float", f"{name}_decimal"):
                if other not in values:
                    whole.pop(other, None)
    return module.decode(module.Priced.encode(**whole))


@given(mantissa=st.integers(-(2**31) + 1, 2**31 - 1), exponent=st.integers(-20, 20))
def test_a_decimal_is_what_comes_back(module: ModuleType, mantissa: int, exponent: int) -> None:
    value = Decimal(mantissa).scaleb(exponent)
    message = encoded(module, size_decimal=value)
    assert message.size_decimal == value
    assert -20 <= message.size.exponent <= max(exponent, 0) + 10
    places = min(max(-exponent, 0), 20)
    if exponent <= 0:
        message = encoded(module, last_decimal=value, places=places)
        assert (message.last, message.last_decimal) == (mantissa, value)


def test_values_are_written_exactly_or_not_at_all(module: ModuleType) -> None:
    message = encoded(module, price_float=-1.2345, size_float=0.001, last_float=7.25)
    assert (message.price.mantissa, message.size.mantissa, message.size.exponent) == (-12345, 1, -3)
    assert (message.last, message.last_float) == (725, 7.25)
    message = encoded(module, price_decimal=None)
    assert message.price is None
    for values, field, why in (
        ({"price_float": 0.00001}, "price_float", r"10\^-4 is too coarse for it$"),
        ({"last_float": 0.001}, "last_float", r"10\^-2 is too coarse for it; exponent 3 would do"),
        ({"size_decimal": "1.23456789012"}, "size_decimal.exponent", "no exponent from"),
        ({"size_float": None}, "size_float", "required"),
        ({"price_float": "1"}, "price_float", "a float is needed"),
        ({"price_decimal": 1.5}, "price_decimal", "a Decimal is needed"),
        ({"price": None, "price_float": 1.0}, "price_float", "price is given already"),
        ({"size_float": 1.0, "size_decimal": 1}, "size_float", "given in another way"),
    ):
        with pytest.raises(EncodeError, match=why) as raised:
            encoded(module, **values)
        assert raised.value.field == field


def test_exponents_that_count_decimals_fit_and_come_again(module: ModuleType) -> None:
    message = module.decode(
        module.Priced.encode(
            exponents="fit",
            price_float=1.0,
            size_float=1.0,
            last_decimal="0.125",
            levels_float=[{"px": 2.5, "qty": 7.0}, {"px": None, "qty": 0.5}],
        )
    )
    assert (message.places, message.last) == (3, 125)
    assert message.levels["qty"].tolist() == [7000, 500]
    assert message.levels["px"]["mantissa"].tolist() == [25000, -(2**63)]
    again = module.decode(message.replace(exponents="fit", last_decimal="0.5"))
    assert (again.places, again.last) == (1, 5)
    assert again.levels_float["qty"].tolist() == [7.0, 0.5]
    changed = module.decode(message.replace(price_decimal="9.5"))
    assert changed.to_dict() == message.to_dict() | {"price": {"mantissa": 95000, "exponent": -4}}
    array = np.array([(1.5, 2.0)], [("px", "f8"), ("qty", "f8")])
    message = encoded(module, levels_float=array)
    assert message.levels_float.tolist() == [(1.5, 2.0)]
