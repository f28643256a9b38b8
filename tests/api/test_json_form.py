"""The JSON form of each kind of value, and of every message there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_binance_api import encode
from test_binance_schemas import SPOT, values_of

import binance_sbe
from binance_sbe import MalformedMessage, spot_sbe
from binance_sbe.api import json_form
from sbe_codegen.runtime.decode.texts import DEEPEST

GOLDEN = Path(__file__).parent.parent / "golden" / "json_forms.golden"
SECOND = 1_694_061_154_503_000  # us


def form(name: str, **values: Any) -> Any:
    return json_form.json_value(spot_sbe.decode(encode(name, **values)))


def every_form() -> list[str]:
    """Each message with a value everywhere, and without one wherever that can be."""
    ping = SPOT.encode("PingResponse", {})
    lines = []
    for name in SPOT.messages:
        for is_null in (False, True):
            values = values_of(SPOT, SPOT.messages[name], is_null, 1)
            if not is_null:
                values = with_messages(name, values, ping)
            for unit in ("ms", "us") if not is_null else ("ms",):
                message = spot_sbe.decode(SPOT.encode(name, values))
                lines.append(f"{name} {unit}: {binance_sbe.to_json(message, time_unit=unit)}")
    return lines


def with_messages(name: str, values: Any, inner: bytes) -> Any:
    """The values with a message wherever there is to be one."""
    return filled(getattr(spot_sbe, name)._ELEMENTS, values, inner)


def filled(elements: Any, values: Any, inner: bytes) -> Any:
    made = dict(values)
    for element in elements:
        facts = element.facts
        if facts.get("embedded"):
            made[element.name] = inner
        elif "count_at" in facts:
            made[element.name] = [
                filled(facts["elements"], each, inner) for each in values[element.name]
            ]
        elif facts.get("type_name", "").startswith("utcTimestamp") and facts["kind"] == "number":
            made[element.name] = SECOND
    return made


def test_every_message_has_the_form_that_is_written_down(request: pytest.FixtureRequest) -> None:
    """What a change does to them shows in a file; `pytest --update-golden` writes it."""
    made = "".join(f"{line}\n" for line in every_form())
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(made, encoding="utf-8")
    assert made.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


# By kind of value: a message, what it is given, and what its JSON has at a key.
KINDS: list[tuple[str, dict[str, Any], str, Any]] = [
    # empty bytes and null, where null has a word and where it is left out
    ("ErrorResponse", {"null": True}, "retryAfter", None),
    ("ErrorResponse", {"data": b""}, "data", None),
    ("WebSocketSessionStatusResponse", {"logged_on_api_key": ""}, "apiKey", ...),
    ("WebSocketSessionStatusResponse", {"null": True}, "authorizedSince", ...),
    ("NewOrderAckResponse", {"order_list_id": None}, "orderListId", -1),
    ("UserDataStreamSubscribeResponse", {"null": True}, "subscriptionId", None),
    ("ReferencePriceResponse", {"null": True}, "referencePrice", None),
    # two-valued enums are bool; null of one is null or not there
    ("MinNotionalFilter", {"apply_to_market": 1}, "applyToMarket", True),
    ("MinNotionalFilter", {"apply_to_market": 0}, "applyToMarket", False),
    ("MinNotionalFilter", {"null": True}, "applyToMarket", ...),
    # enums by the word of the JSON API; what has none stays a number
    ("NewOrderAckResponse", {"symbol": "BTCUSDT"}, "symbol", "BTCUSDT"),
    ("ListStatusEvent", {"reject_reason": ""}, "event.r", "NONE"),
    # decimals by their exponents, at the places that these have
    ("AveragePriceResponse", {"price": 935, "price_exponent": -2}, "price", "9.35"),
    ("AveragePriceResponse", {"price": -5, "price_exponent": -3}, "price", "-0.005"),
    ("AveragePriceResponse", {"price": 7, "price_exponent": 2}, "price", "700"),
    ("AveragePriceResponse", {"price": 7, "price_exponent": 0}, "price", "7"),
    ("AveragePriceResponse", {"price": None, "price_exponent": -2}, "price", "0"),
    ("Ticker24hSymbolFullResponse", {"price_change_percent": 1.0005}, "priceChangePercent",
     "1.000"),
    ("Ticker24hSymbolFullResponse", {"price_change_percent": -95.9567}, "priceChangePercent",
     "-95.957"),
    # times
    ("AveragePriceResponse", {"close_time": SECOND + 999}, "closeTime", 1_694_061_154_503),
    ("AveragePriceResponse", {"close_time": None}, "closeTime", -1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "path", "expected"), KINDS)
def test_a_value_has_its_form(name: str, given: dict[str, Any], path: str, expected: Any) -> None:
    values = {"data": b""} | given if name == "ErrorResponse" else given
    found = form(name, **values)
    for key in path.split("."):
        found = found.get(key, ...)
    assert found == expected
    assert type(found) is type(expected)


def test_times_are_in_the_unit_that_is_asked_for() -> None:
    frame = encode("AveragePriceResponse", close_time=SECOND + 999)
    message = spot_sbe.decode(frame)
    assert json_form.json_value(message)["closeTime"] == 1_694_061_154_503
    assert json_form.json_value(message, time_unit="us")["closeTime"] == SECOND + 999
    assert json.loads(binance_sbe.to_json(message, time_unit="us"))["closeTime"] == SECOND + 999
    for unit in ("s", "", "ns"):
        with pytest.raises(ValueError, match=f"time_unit is 'ms' or 'us', not '{unit}'"):
            json_form.json_value(message, time_unit=unit)


def test_an_enum_without_a_word_stays_a_number() -> None:
    frame = bytearray(encode("NewOrderResultResponse"))
    message = spot_sbe.decode(bytes(frame))
    (side,) = (e for e in spot_sbe.NewOrderResultResponse._ELEMENTS if e.name == "side")
    frame[8 + side.facts["offset"]] = 77
    assert json_form.json_value(message)["side"] in ("BUY", "SELL")
    assert json_form.json_value(spot_sbe.decode(bytes(frame)))["side"] == 77


def test_names_are_words_of_capitals() -> None:
    assert [json_form._upper(name) for name in ("takeProfitLimit", "Buy", "GTC", "x")] == [
        "TAKE_PROFIT_LIMIT", "BUY", "G_T_C", "X",
    ]  # fmt: skip


def nested(depth: int) -> bytes:
    frame: bytes = SPOT.encode("PingResponse", {})
    for _ in range(depth):
        values = values_of(SPOT, SPOT.messages["ErrorResponse"], False, 1)
        frame = SPOT.encode("ErrorResponse", values | {"data": frame})
    return frame


def test_messages_inside_messages_go_so_deep_and_no_deeper() -> None:
    found = json_form.json_value(spot_sbe.decode(nested(DEEPEST)))
    for _ in range(DEEPEST):
        found = found["data"]
    assert found == {}
    with pytest.raises(MalformedMessage, match=f"messages inside messages go {DEEPEST} deep"):
        json_form.json_value(spot_sbe.decode(nested(DEEPEST + 1)))


def test_text_is_not_escaped() -> None:
    text = binance_sbe.to_json(spot_sbe.decode(encode("PriceTickerSymbolResponse", symbol="币安")))
    assert '"币安"' in text
