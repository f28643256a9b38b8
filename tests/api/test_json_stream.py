"""Messages of the SBE streams as JSON streams send them, against what the exchange documents."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st
from json_schemas import BOOK_TICKER, DEPTH_UPDATE, PARTIAL_DEPTH, TRADE

import binance_sbe
from binance_sbe.api.decimals import decimal_of
from binance_sbe.api.json_stream import combined
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades

SCHEMAS = {Trades: TRADE, BestBidAsk: BOOK_TICKER, Depth: PARTIAL_DEPTH, Diff: DEPTH_UPDATE}
NOW = 1_735_689_600_000_123

numbers = st.integers(0, 2**63 - 1)
exponents = st.integers(-18, 4)
times = st.integers(10**15, 10**16)
symbols = st.text(st.characters(categories=["Lu", "Nd", "Lo"]), min_size=1, max_size=20)
sides = st.lists(st.tuples(numbers, numbers), max_size=20).map(tuple)
trades = st.lists(st.builds(Trade, numbers, numbers, numbers, st.booleans()), max_size=4)
events = st.one_of(
    st.builds(Trades, symbols, exponents, exponents, times, times, trades.map(tuple)),
    st.builds(BestBidAsk, symbols, exponents, exponents, times, numbers,
              st.tuples(numbers, numbers), st.tuples(numbers, numbers)),
    st.builds(Depth, symbols, exponents, exponents, times, numbers, sides, sides),
    st.builds(Diff, symbols, exponents, exponents, times, numbers, numbers, sides, sides),
)  # fmt: skip


def expected(event: Any, unit: int) -> list[dict[str, Any]]:
    """By the event itself, with Decimals."""

    def price(mantissa: int) -> Decimal:
        return Decimal(mantissa) * Decimal(10) ** event.price_exponent

    def qty(mantissa: int) -> Decimal:
        return Decimal(mantissa) * Decimal(10) ** event.qty_exponent

    def side(levels: Any) -> list[list[Decimal]]:
        return [[price(p), qty(q)] for p, q in levels]

    when = event.event_time // unit
    match event:
        case Trades():
            return [
                {"e": "trade", "E": when, "s": event.symbol, "t": each.id, "p": price(each.price),
                 "q": qty(each.qty), "T": event.transact_time // unit, "m": each.is_buyer_maker,
                 "M": True}
                for each in event.trades
            ]  # fmt: skip
        case BestBidAsk():
            return [{"u": event.update_id, "s": event.symbol, "b": price(event.bid[0]),
                     "B": qty(event.bid[1]), "a": price(event.ask[0]),
                     "A": qty(event.ask[1])}]  # fmt: skip
        case Depth():
            return [{"lastUpdateId": event.update_id, "bids": side(event.bids),
                     "asks": side(event.asks)}]  # fmt: skip
    return [{"e": "depthUpdate", "E": when, "s": event.symbol, "U": event.first_update_id,
             "u": event.last_update_id, "b": side(event.bids), "a": side(event.asks)}]  # fmt: skip


def numbered(value: Any, key: str = "") -> Any:
    """The texts that are numbers as Decimals."""
    if isinstance(value, dict):
        return {key: numbered(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [numbered(each) for each in value]
    return Decimal(value) if isinstance(value, str) and key not in ("e", "s") else value


@given(events, st.sampled_from([("ms", 1000), ("us", 1)]))
def test_events_are_those_of_the_documented_payloads(event: Any, unit: tuple[str, int]) -> None:
    message = binance_sbe.decode(encode(event))
    name, divisor = unit
    lines = binance_sbe.to_json(message, time_unit=name).splitlines()
    found = [json.loads(line) for line in lines]
    for each in found:
        jsonschema.validate(each, SCHEMAS[type(event)])
    assert [numbered(each) for each in found] == expected(event, divisor)
    plain = message.to_json_dict(time_unit=name)
    assert plain == (found if isinstance(event, Trades) else found[0])
    for each in plain if isinstance(plain, list) else [plain]:
        assert list(each) == list(SCHEMAS[type(event)]["properties"])


def test_numbers_have_the_digits_of_the_exponent_or_those_that_are_asked_for() -> None:
    message = binance_sbe.decode(vectors.BEST_BID_ASK)
    assert message.to_json_dict()["b"] == "94123.45"
    for digits in (8, (8, 8), {"BTCUSDT": 8}, {"BTCUSDT": (8, 8)}):
        event = message.to_json_dict(digits=digits)
        assert (event["b"], event["B"]) == ("94123.45000000", "0.31210000")
    event = message.to_json_dict(digits=(2, 4))
    assert (event["b"], event["B"]) == ("94123.45", "0.3121")
    assert message.to_json_dict(digits={"ETHUSDT": 2}) == message.to_json_dict()


def test_no_digit_is_left_out() -> None:
    message = binance_sbe.decode(vectors.BEST_BID_ASK)
    with pytest.raises(ValueError, match=r"94123\.45 has more than 1 digits after the point"):
        message.to_json_dict(digits=(1, 8))
    for wrong in (-1, (1, 2, 3), (1, 39)):
        with pytest.raises(ValueError, match="digits are one or two numbers from 0 to 38"):
            message.to_json_dict(digits=wrong)
    with pytest.raises(ValueError, match="time_unit is 'ms' or 'us', not 's'"):
        message.to_json_dict(time_unit="s")


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-18, 4), st.integers(0, 30))
def test_text_with_so_many_places_is_the_same_number_or_refused(
    m: int, e: int, places: int
) -> None:
    value = Decimal(m).scaleb(e)
    try:
        text = decimal_of(m, e, places)
    except ValueError:
        assert value != round(value, places)
        return
    assert Decimal(text) == value
    assert len(text.partition(".")[2]) == places


def test_a_message_of_trades_is_an_event_a_trade() -> None:
    some = (Trade(1, 100, 5, True), Trade(2, 101, 6, False))
    message = binance_sbe.decode(encode(Trades("BTCUSDT", -2, -8, NOW, NOW, some)))
    assert [each["t"] for each in message.to_json_dict()] == [1, 2]
    assert len(binance_sbe.to_json(message).splitlines()) == 2
    message = binance_sbe.decode(encode(Trades("BTCUSDT", -2, -8, NOW, NOW, ())))
    assert message.to_json_dict() == []
    assert binance_sbe.to_json(message) == ""


@pytest.mark.parametrize(("value", "plain"), [(0, False), (1, True), (255, None), (7, 7)])
def test_a_side_that_has_no_word_stays_a_number(value: int, plain: Any) -> None:
    frame = bytearray(vectors.TRADES)
    frame[8 + 18 + 6 + 24] = value
    (event,) = binance_sbe.decode(bytes(frame)).to_json_dict()
    assert (event["m"], type(event["m"])) == (plain, type(plain))


def test_combined_events_have_the_names_of_json_streams() -> None:
    names = [
        combined(message, {})["stream"] for message in map(binance_sbe.decode, vectors.ALL.values())
    ]
    assert names == [
        "btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth20", "btcusdt@depth",
    ]  # fmt: skip


def test_a_symbol_that_is_not_utf_8_has_no_json() -> None:
    message = binance_sbe.decode(vectors.BEST_BID_ASK[:-7] + b"\xff" * 7)
    with pytest.raises(binance_sbe.DecodeError):
        binance_sbe.to_json(message)


def test_other_messages_have_the_digits_of_their_exponents() -> None:
    from test_binance_api import encode as encode_answer

    message = binance_sbe.spot_sbe.decode(encode_answer("PingResponse"))
    assert message.to_json_dict() == {}
    for made in (message.to_json_dict, lambda **given: binance_sbe.to_json(message, **given)):
        with pytest.raises(TypeError, match="digits are for messages of streams"):
            made(digits=8)
    with pytest.raises(TypeError, match="a message of spot_stream or spot_sbe has a JSON form"):
        binance_sbe.to_json(5)


def test_a_module_whose_package_notes_no_form_says_what_there_is() -> None:
    from binance_sbe import fix_sbe
    from sbe_codegen.runtime.decode.forms import json_form

    kind = next(iter(fix_sbe.MESSAGES.values()))
    with pytest.raises(TypeError, match=r"fix_sbe has no JSON form .*to_dict\(\) gives all fields"):
        json_form(kind)
