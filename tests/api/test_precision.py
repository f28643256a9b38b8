"""Ticks and steps of symbols, and numbers that are printed with them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import rest, spot_sbe
from binance_sbe.errors import BinanceError, FeedError
from binance_sbe.rest import Precision, precision_of
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.exchange_info import exchange_info
from binance_sbe.simulator.market import Market


def answer(*filters: bytes, symbol: str = "BTCUSDT") -> Any:
    made = spot_sbe.decode(exchange_info([Market(symbol)])).to_dict()
    made["symbols"][0] |= {
        "filters": [{"filter": each} for each in filters],
        "base_asset_precision": 7, "quote_asset_precision": 5,
    }  # fmt: skip
    return spot_sbe.decode(spot_sbe.ExchangeInfoResponse.encode(**made))


def tick(mantissa: int, exponent: int) -> bytes:
    return spot_sbe.PriceFilter.encode(
        price_exponent=exponent, min_price=0, max_price=0, tick_size=mantissa
    )


def step(mantissa: int, exponent: int) -> bytes:
    return spot_sbe.LotSizeFilter.encode(
        qty_exponent=exponent, min_qty=0, max_qty=0, step_size=mantissa
    )


@pytest.mark.parametrize(
    ("mantissa", "exponent", "size", "places"),
    [
        (1_000_000, -8, "0.01", 2), (1, -2, "0.01", 2), (5, -1, "0.5", 1), (1, 0, "1", 0),
        (100_000_000, -8, "1", 0), (10, 0, "10", 0), (3, 2, "300", 0), (1, -8, "0.00000001", 8),
        (25, -2, "0.25", 2), (1, -127, "1E-127", 127),
    ],
)  # fmt: skip
def test_steps_are_exact_and_say_how_many_places_there_are(
    mantissa: int, exponent: int, size: str, places: int
) -> None:
    found = precision_of(answer(tick(mantissa, exponent), step(1, -3)), "btcusdt")
    assert (found.tick_size, found.price_places) == (Decimal(size), places)
    assert (found.step_size, found.qty_places) == (Decimal("0.001"), 3)
    found = precision_of(answer(step(mantissa, exponent), tick(1, -3)), "BTCUSDT")
    assert (found.step_size, found.qty_places) == (Decimal(size), places)


def test_a_filter_that_is_off_or_not_there_leaves_the_precision_of_the_assets() -> None:
    for filters in ([], [tick(0, -8), step(0, -8)]):
        found = precision_of(answer(*filters), "BTCUSDT")
        assert found == Precision(None, None, 5, 7)


def test_a_symbol_that_is_not_in_the_answer_is_named() -> None:
    with pytest.raises(FeedError, match=r"does not have ETH\\x1b"):
        precision_of(answer(), "eth\x1b")


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-20, 5), st.integers(0, 20))
def test_what_is_printed_is_the_number(mantissa: int, exponent: int, places: int) -> None:
    precision = Precision(None, None, places, places)
    exact = Decimal(mantissa).scaleb(exponent)
    try:
        text = precision.price(mantissa, exponent)
    except ValueError:
        assert -exponent > places
        assert mantissa % 10 ** (-exponent - places)
        return
    assert precision.qty(mantissa, exponent) == text
    assert Decimal(text) == exact
    assert len(text.partition(".")[2]) == places


def test_the_client_asks_for_it() -> None:
    async def main() -> None:
        async with (
            Exchange(["btcusdt", "pepeusdt"]) as exchange,
            rest.Client(url=exchange.url) as client,
        ):
            for symbol, market in (("BtcUsdt", "btcusdt"), ("pepeusdt", "pepeusdt")):
                found = await client.precision(symbol)
                price = exchange.markets[market].best_bid
                exponent = exchange.markets[market].price_exponent
                assert found.price_places == -exponent
                assert Decimal(found.price(price, exponent)) == Decimal(price).scaleb(exponent)
            assert client.used_weight == 40
            with pytest.raises(BinanceError, match="-1121"):
                await client.precision("nope")
            both = await client.get("/api/v3/exchangeInfo")
            assert [each.symbol for each in both.symbols] == ["BTCUSDT", "PEPEUSDT"]

    asyncio.run(asyncio.wait_for(main(), 40))
