"""Floats and decimals are written exactly, or not at all; and exponents are found that fit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import EncodeError, decode, spot_stream, to_float

Best: Any = spot_stream.BestBidAskStreamEvent
Diff: Any = spot_stream.DepthDiffStreamEvent
Trades: Any = spot_stream.TradesStreamEvent
BEST: dict[str, Any] = decode(vectors.BEST_BID_ASK).to_dict()
DIFF: dict[str, Any] = decode(vectors.DEPTH_DIFF).to_dict()
NUMBERS = ("bid_price", "bid_qty", "ask_price", "ask_qty")
mantissas = st.integers(1 - 2**63, 2**63 - 1) | st.integers(-(10**6), 10**6)


def without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


@given(mantissas, st.integers(-127, 127))
def test_a_decimal_comes_back_as_its_mantissa(mantissa: int, exponent: int) -> None:
    given = without(BEST, "bid_price") | {"price_exponent": exponent}
    value = Decimal(mantissa).scaleb(exponent)
    message = decode(Best.encode(bid_price_decimal=value, **given))
    assert message.bid_price == mantissa
    assert message.bid_price_decimal == value


@given(mantissas, st.integers(-20, 20))
def test_a_float_comes_back_as_itself(mantissa: int, exponent: int) -> None:
    value = to_float(mantissa, exponent)
    given = without(BEST, "bid_price") | {"price_exponent": exponent}
    try:
        frame = Best.encode(bid_price_float=value, **given)
    except EncodeError:  # 2**63 - 1 is nearest to a float whose shortest decimal is 2**63
        assert abs(mantissa) > 2**53
        return
    assert decode(frame).bid_price_float == value  # type: ignore[union-attr]
    if abs(mantissa) < 2**49:
        assert decode(frame).bid_price == mantissa  # type: ignore[union-attr]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_whatever_is_accepted_is_exact(values: list[float]) -> None:
    given = without(BEST, *NUMBERS, "price_exponent", "qty_exponent")
    named = {f"{name}_float": value for name, value in zip(NUMBERS, values, strict=True)}
    try:
        message = decode(Best.encode(exponents="fit", **named, **given))
    except EncodeError as error:
        assert "exponent" in error.field
        return
    assert [getattr(message, name) for name in named] == values


@given(st.lists(st.tuples(st.decimals(-99999, 99999, places=3), st.integers(0, 10**6)), max_size=5))
def test_exponents_fit_all_entries(rows: list[tuple[Decimal, int]]) -> None:
    given = without(DIFF, "bids", "asks", "price_exponent", "qty_exponent")
    bids = [{"price_decimal": price, "qty_float": float(qty)} for price, qty in rows]
    message: Any = decode(
        Diff.encode(
            exponents="fit", bids=bids, asks=[{"price_float": 0.5, "qty_decimal": 1}], **given
        )
    )
    assert -3 <= message.price_exponent <= -1
    assert message.qty_exponent == 0
    assert message.bids_float["price"].tolist() == [float(price) for price, _ in rows]
    assert message.asks_float.tolist() == [(0.5, 1.0)]
    again: Any = decode(message.replace(exponents="fit"))
    assert again.bids_float.tolist() == message.bids_float.tolist()
    assert again.price_exponent >= message.price_exponent


def test_groups_of_floats() -> None:
    message: Any = decode(vectors.DEPTH_SNAPSHOT)
    for same in (message.bids_float, message.bids_float[:], [
        dict(zip(("price", "qty"), row, strict=True)) for row in message.bids_float.tolist()
    ]):  # fmt: skip
        values = without(message.to_dict(), "bids")
        assert type(message).encode(bids_float=same, **values) == vectors.DEPTH_SNAPSHOT
    trades: Any = decode(vectors.TRADES)
    assert trades.replace(trades_float=trades.trades_float) == vectors.TRADES


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"bid_price_float": 0.001}, "exponent -3 would do", "bid_price_float"),
    ({"bid_price_float": 1e300}, "too large|would do", "bid_price_float"),
    ({"bid_price_float": float("inf")}, "no mantissa", "bid_price_float"),
    ({"bid_price_float": float("nan")}, "required", "bid_price_float"),
    ({"bid_price_float": "1.5"}, "a float is needed", "bid_price_float"),
    ({"bid_price_float": Decimal("1.5")}, "a float is needed", "bid_price_float"),
    ({"bid_price_float": True}, "not bool", "bid_price_float"),
    ({"bid_price_decimal": 1.5}, "a Decimal is needed", "bid_price_decimal"),
    ({"bid_price_decimal": "abc"}, "a Decimal is needed", "bid_price_decimal"),
    ({"bid_price_decimal": Decimal("NaN")}, "no mantissa", "bid_price_decimal"),
    ({"bid_price_decimal": Decimal("0.001")}, "exponent -3 would do", "bid_price_decimal"),
    ({"bid_price_decimal": 2**63}, "outside", "bid_price_decimal"),
    ({"bid_price_decimal": None}, "required", "bid_price_decimal"),
    ({"bid_price_float": 1.0, "bid_price_decimal": 1}, "another way", "bid_price_decimal"),
    ({"bid_price_float": 1.0, "bid_price": 1}, "given already", "bid_price_float"),
    ({"bid_price_float": 1.0, "price_exponent": None}, "needs it", "price_exponent"),
    ({"bid_price_float": 1.0, "price_exponent": 1.5}, "whole number", "price_exponent"),
    ({"bid_price_flot": 1.0}, "did you mean 'bid_price_float'", "bid_price_flot"),
    ({"bid_price_float": 1.0, "exponents": "fit"}, "leave it out", "price_exponent"),
    ({"bid_price_float": 1.0, "exponents": "best"}, "'fit'", "exponents"),
]


@pytest.mark.parametrize(("values", "why", "field"), BAD)
def test_what_is_refused(values: dict[str, Any], why: str, field: str) -> None:
    with pytest.raises(EncodeError, match=why) as raised:
        Best.encode(**without(BEST, "bid_price") | values)
    assert raised.value.field == field


def test_mantissas_beside_exponents_that_are_to_fit_are_refused() -> None:
    values = without(BEST, "bid_price", "price_exponent", "qty_exponent")
    with pytest.raises(EncodeError, match="give its value") as raised:
        Best.encode(bid_price_float=1.0, exponents="fit", **values)
    assert raised.value.field in ("bid_qty", "ask_price", "ask_qty")


def test_entries_say_where_they_are() -> None:
    with pytest.raises(EncodeError, match="would do") as raised:
        Diff.encode(**DIFF | {"bids": [{"price": 1, "qty": 1}, {"price_float": 0.001, "qty": 1}]})
    assert raised.value.field == "bids[1].price_float"
    rows = np.array([(1.0, 1.0), (0.001, 1.0)], [("price", "f8"), ("qty", "f8")])
    with pytest.raises(EncodeError, match="would do") as raised:
        Diff.encode(bids_float=rows, **without(DIFF, "bids"))
    assert raised.value.field == "bids[1].price_float"
    for wrong in (5, "x", rows["price"], [5]):
        with pytest.raises(EncodeError, match=r"list of dicts|structured|a dict"):
            Diff.encode(bids_float=wrong, **without(DIFF, "bids"))
