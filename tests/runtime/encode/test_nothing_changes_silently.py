"""Values that an encoder could change without a word: they are refused, or written as they are."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from binance_sbe import spot_stream
from sbe_codegen.runtime.errors import EncodeError

Best: Any = spot_stream.BestBidAskStreamEvent
Diff: Any = spot_stream.DepthDiffStreamEvent
HEAD = {"event_time": 1, "first_book_update_id": 1, "last_book_update_id": 2, "symbol": "X"}
BEST = {"event_time": 1, "book_update_id": 1, "price_exponent": -2, "qty_exponent": -2,
        "bid_price": 1, "bid_qty": 2, "ask_price": 3, "ask_qty": 4, "symbol": "A"}  # fmt: skip
SCHEMA = """<?xml version="1.0"?>
<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" package="odd" id="7" version="0">
<types>
<composite name="messageHeader">
<type name="blockLength" primitiveType="uint16"/><type name="templateId" primitiveType="uint16"/>
<type name="schemaId" primitiveType="uint16"/><type name="version" primitiveType="uint16"/>
</composite>
<composite name="groupSizeEncoding">
<type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint16"/>
</composite>
<composite name="Decimal">
<type name="mantissa" primitiveType="int64" presence="optional"/>
<type name="exponent" primitiveType="int8"/>
</composite>
<composite name="Money">
<ref name="amount" type="Decimal"/><type name="currency" primitiveType="char" length="3"/>
</composite>
<composite name="Deep"><ref name="money" type="Money"/></composite>
<type name="Singles" primitiveType="float" length="4"/>
<type name="Doubles" primitiveType="double" length="2"/>
<type name="Ints" primitiveType="int32" length="4"/>
<type name="Double" primitiveType="double"/>
<type name="Int" primitiveType="int32"/>
<type name="Text" primitiveType="char" length="4" characterEncoding="Shift_JIS"/>
</types>
<sbe:message name="Odd" id="1">
<field name="singles" id="1" type="Singles"/><field name="doubles" id="2" type="Doubles"/>
<field name="ints" id="3" type="Ints"/><field name="text" id="4" type="Text"/>
<group name="numbers" id="5"><field name="x" id="6" type="Double"/></group>
</sbe:message>
<sbe:message name="Orders" id="2">
<field name="id" id="1" type="Int"/>
<group name="legs" id="2">
<field name="qty" id="3" type="Int"/><field name="cost" id="4" type="Money"/>
<field name="deep" id="5" type="Deep"/><field name="price" id="6" type="Decimal"/>
</group>
</sbe:message>
</sbe:messageSchema>"""
ODD = {"singles": [0.5, 1, 2, 3], "doubles": [1, 2], "ints": [1, 2, 3, 4], "text": "A",
       "numbers": []}  # fmt: skip


@pytest.fixture(scope="module")
def module(compiled: Callable[..., ModuleType]) -> ModuleType:
    return compiled("odd", SCHEMA)


def bids(*rows: tuple[int, int]) -> Any:
    return np.array(list(rows), Diff.BIDS_DTYPE)


def test_nobody_chooses_exponents_of_an_array() -> None:
    asks = [{"price_float": 1.5, "qty_float": 2.0}]
    with pytest.raises(EncodeError, match=r'bids = .*: with exponents="fit" give values'):
        Diff.encode(exponents="fit", bids=bids((12345, 100)), asks=asks, **HEAD)
    made = Diff.encode(exponents="fit", bids=bids(), asks=asks, **HEAD)
    assert (Diff.decode(made).price_exponent, Diff.decode(made).qty_exponent) == (-1, 0)
    exponents = {"price_exponent": -3, "qty_exponent": 1}
    made = Diff.encode(exponents="fit", bids=bids((5, 6)), asks=[], **exponents, **HEAD)
    assert Diff.decode(made).bids_float.tolist() == [(0.005, 60.0)]
    message = Diff.decode(made)
    with pytest.raises(EncodeError, match="bids"):
        message.replace(exponents="fit", bids=bids((5, 6)), asks_float=message.asks_float)


@pytest.mark.parametrize("odd", [5, (each for each in range(2)), {}, np.array(3)])
def test_what_is_no_group_is_refused_with_chosen_exponents_too(odd: Any) -> None:
    with pytest.raises(EncodeError, match="bids"):
        Diff.encode(exponents="fit", bids=odd, asks=[], **HEAD)


def test_exponents_that_nothing_needs_are_chosen_too() -> None:
    made = Diff.decode(Diff.encode(exponents="fit", bids_float=[], asks_float=[], **HEAD))
    assert (made.price_exponent, made.qty_exponent, len(made.bids)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("singles", [0.1, 0, 0, 0], r"singles\[0\] = 0.1: float32 can't hold it"),
        ("singles", [0, 1e300, 0, 0], r"singles\[1\] = 1e\+300"),
        ("singles", [2**24 + 1, 0, 0, 0], r"singles\[0\] = 16777217"),
        ("doubles", np.array([1, 2**53 + 1]), r"doubles\[1\] = np.int64\(9007199254740993\)"),
        ("doubles", [1, 2**53 + 1], r"doubles\[1\] = 9007199254740993: float64 can't hold it"),
        ("ints", {4, 3, 100, 1}, "4 numbers are needed, not set"),
        ("ints", {1: 2, 3: 4, 5: 6, 7: 8}, "4 numbers are needed, not dict"),
        ("ints", (each for each in range(4)), "4 numbers are needed, not generator"),
        ("text", "\xa5", "has no such text"),
        ("numbers", np.array([(2**53 + 1,)], [("x", "<i8")]), r"numbers\[0\].x = 9007199254740993"),
    ],
)  # fmt: skip
def test_what_would_be_another_value_is_refused(
    module: ModuleType, name: str, value: Any, said: str
) -> None:
    with pytest.raises(EncodeError, match=said):
        module.Odd.encode(**ODD | {name: value})


def test_what_is_the_same_value_is_written(module: ModuleType) -> None:
    values = ODD | {
        "singles": np.array([0.1, 1, 2, 3], "f4"),
        "doubles": [float("nan"), 2**60],
        "ints": memoryview(b"abcd"),
        "numbers": np.array([(2**53,), (-(2**60),)], [("x", "<i8")]),
    }
    made = module.Odd.decode(module.Odd.encode(**values)).to_dict()
    assert made["singles"][0] == float(np.float32(0.1))
    assert np.isnan(made["doubles"][0])
    assert made["doubles"][1] == 2.0**60
    assert made["ints"] == [97, 98, 99, 100]
    assert made["numbers"] == [{"x": 2.0**53}, {"x": -(2.0**60)}]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bid_price_decimal": 10**5000 + 1}, "more than 1000 digits"),
        ({"bid_price_decimal": "1" * 5000}, "more than 1000 digits"),
        ({"bid_price_float": 10**5000 + 1}, "more than 1000 digits"),
        ({"bid_price_float": np.longdouble("94123.45000000000001")}, "float64 can't hold it"),
    ],
)
def test_no_number_is_too_odd_for_an_error_of_ours(values: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in BEST.items() if name != "bid_price"}
    with pytest.raises(EncodeError, match=said):
        Best.encode(**given, **values)
    assert Best.decode(Best.encode(**given, bid_price_decimal=Decimal(7))).bid_price == 700


def test_a_value_that_is_given_twice_in_an_entry_is_refused() -> None:
    entry = {"price": 1.5, "price_float": 2.5, "qty": 1}
    with pytest.raises(EncodeError, match=r"asks_float\[0\].price = 1.5: price_float is given too"):
        Diff.encode(price_exponent=-1, qty_exponent=0, bids=[], asks_float=[entry], **HEAD)


def test_what_names_run_when_they_go_changes_no_message() -> None:
    other = dict(reversed(BEST.items()))

    class Name(str):
        __slots__ = ()

        def __del__(self) -> None:
            Best.encode(**other)
            Best.encode_into(bytearray(100), **other)

    Best.encode(**{Name(name): value for name, value in BEST.items()})
    for _ in range(3):
        made = Best.decode(Best.encode(**BEST)).to_dict()
        assert {name: made[name] for name in BEST} == BEST


def test_an_array_that_an_offset_changes_is_looked_at_after_that() -> None:
    levels = bids(*[(1, 2)] * 500)

    class Offset:
        def __index__(self) -> int:
            levels["price"] = -(2**63)
            return 0

    buffer = bytearray(10_000)
    values = HEAD | {"price_exponent": 0, "qty_exponent": 0, "asks": []}
    with pytest.raises(EncodeError, match=r"bids\[0\].price"):
        Diff.encode_into(buffer, Offset(), bids=levels, **values)
    assert not any(buffer)


def test_no_addresses_of_objects_go_out() -> None:
    from binance_sbe import fix_sbe

    kind = fix_sbe.TestRequest
    for odd in (np.array([object()], dtype=object), np.array([(1, None)], "i4,O")):
        with pytest.raises(EncodeError):
            kind.encode(test_req_id=odd)
    released = memoryview(b"x")
    released.release()
    with pytest.raises(EncodeError):
        kind.encode(test_req_id=released)


def test_decimals_inside_composites_of_a_group_are_floats_both_ways(module: ModuleType) -> None:
    legs = [
        {"qty": 1, "cost": {"amount": {"mantissa": 5, "exponent": -1}, "currency": "EUR"},
         "deep": {"money": {"amount": {"mantissa": 25, "exponent": 2}, "currency": "USD"}},
         "price": {"mantissa": 77, "exponent": -1}},
        {"qty": 2, "cost": None, "deep": None, "price": None},
    ]  # fmt: skip
    message = module.Orders.decode(module.Orders.encode(id=1, legs=legs))
    floats = message.legs_float
    assert floats["price"][0] == 7.7
    assert floats["cost"]["amount"][0] == 0.5
    assert floats["deep"]["money"]["amount"][0] == 2500.0
    assert floats["cost"]["currency"].tolist() == [b"EUR", b""]
    for column in (floats["price"], floats["cost"]["amount"], floats["deep"]["money"]["amount"]):
        assert np.isnan(column[1])
    again = module.Orders.decode(module.Orders.encode(id=1, legs_float=floats))
    assert repr(again.legs_float.tolist()) == repr(floats.tolist())
    assert again.to_dict()["legs"][1] == legs[1]
    table = module.decode_many([bytes(message)])[module.Orders]
    assert table is not None
    entry = {"qty": 1, "cost": {"amount": 0.5, "currency": "EUR"},
             "deep": {"money": {"amount": None, "currency": "x"}}, "price": 1.5}  # fmt: skip
    with pytest.raises(EncodeError, match=r"legs\[0\].deep"):
        module.Orders.encode(id=1, legs_float=[entry])
    for wrong in ("x", True):
        entry["cost"] = {"amount": wrong, "currency": "EUR"}
        with pytest.raises(EncodeError, match=r"legs_float\[0\].cost.amount"):
            module.Orders.encode(id=1, legs_float=[entry])
