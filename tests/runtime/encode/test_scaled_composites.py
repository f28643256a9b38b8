"""Composites of mantissa and exponent, and exponents that count decimals, by their values."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from small import schema

from binance_sbe import EncodeError
from sbe_codegen.conventions import Conventions

ROOT = 'xmlns:x="urn:x" id="7" version="1"'
TYPES = """<composite name="fixed"><type name="mantissa" primitiveType="int64" presence="optional"/>
  <type name="exponent" primitiveType="int8" presence="constant">-4</type></composite>
<composite name="sent"><type name="mantissa" primitiveType="int32"/>
  <type name="exponent" primitiveType="int8"/></composite>
<composite name="narrow"><type name="mantissa" primitiveType="int16" minValue="-5" maxValue="1000"
  presence="optional" nullValue="15"/>
  <type name="exponent" primitiveType="int8" minValue="-3" maxValue="3" presence="optional"
  nullValue="1"/></composite>"""
MESSAGE = """<message name="Priced" id="1">
  <field name="price" id="1" type="fixed"/><field name="size" id="2" type="sent"/>
  <field name="places" id="3" type="int8"/>
  <field name="last" id="4" type="int64" x:exponent="places"/>
  <group name="levels" id="5"><field name="px" id="6" type="fixed"/>
    <field name="qty" id="7" type="int64" x:exponent="places"/></group>
</message>
<message name="Narrow" id="2"><field name="value" id="1" type="narrow"/></message>"""


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


@given(mantissa=st.integers(-12, 2000) | st.just(15), exponent=st.integers(-5, 5))
@example(mantissa=15, exponent=-1)
@example(mantissa=1000, exponent=3)
@example(mantissa=0, exponent=0)
def test_of_all_exponents_that_do_the_nearest_to_0_is_sent(
    module: ModuleType, mantissa: int, exponent: int
) -> None:
    """Those that do: whole, within what the schema allows, and not what stands for null."""
    value = Fraction(mantissa) * Fraction(10) ** exponent
    found = {power: value / Fraction(10) ** power for power in range(-3, 4) if power != 1}
    doing = [
        power for power, number in found.items()
        if number.denominator == 1 and -5 <= number <= 1000 and number != 15
    ]  # fmt: skip
    given = Decimal(mantissa).scaleb(exponent)
    if not doing:
        with pytest.raises(EncodeError, match="no exponent from -3 to 3 fits"):
            module.Narrow.encode(value_decimal=given)
        return
    made = module.decode(module.Narrow.encode(value_decimal=given)).value
    assert abs(made.exponent) == min(map(abs, doing))
    assert made.mantissa == found[made.exponent]


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
