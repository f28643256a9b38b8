"""What sits on the decoders: REST answers, WebSocket API frames, the JSON form, lifecycles."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from oracle import Schema
from test_binance_schemas import SPOT, values_of

import binance_sbe
from binance_sbe import BinanceError, NotSbe, lifecycle, rest, spot_sbe, websocket_api
from binance_sbe.api import json_form
from binance_sbe.errors import FramingError
from sbe_codegen.runtime.errors import SchemaMismatch, TruncatedMessage

ERROR = bytes.fromhex(
    "12006400030005009ffb000000000000008000000000000000800f00496e76616c69642073796d626f6c2e00000000"
)
DEPTH = bytes.fromhex(
    "0a00c80003000500a000000000000000fef8100001000000f99e8f0000000000103adc0100000000"
    "100001000000fa9e8f0000000000206c6c0200000000"
)
REPLY = (
    bytes.fromhex(
        "0300320003000500009001130001000201017017000000000000020000000000000001312f000000"
    )
    + ERROR
)


def encode(name: str, schema: Schema = SPOT, null: bool = False, **values: Any) -> bytes:
    return schema.encode(name, values_of(schema, schema.messages[name], null, 1) | values)


# REST


def test_a_depth_response_is_decoded() -> None:
    for content_type in (
        "application/sbe",
        "application/octet-stream",
        None,
        "",
        "Application/SBE",
    ):
        message = rest.decode_response(content_type, DEPTH)
        assert type(message) is spot_sbe.DepthResponse
    assert message.last_update_id == 160
    assert message.bids_float["price"].tolist() == [94123.45]
    assert message.asks.tolist() == [(9412346, 40660000)]


def test_an_error_response_is_raised() -> None:
    with pytest.raises(BinanceError, match=r"^-1121: Invalid symbol\.$") as caught:
        rest.decode_response("application/sbe", ERROR)
    error = caught.value
    assert (error.code, error.message, error.retry_after) == (-1121, "Invalid symbol.", None)
    limited = encode("ErrorResponse", code=-1003, retry_after=1_735_689_600_000_000, data=DEPTH)
    with pytest.raises(BinanceError) as caught:
        rest.decode_response("application/sbe", limited)
    assert caught.value.retry_after == 1_735_689_600_000_000
    assert type(caught.value.data) is spot_sbe.DepthResponse


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json;charset=UTF-8", b'{"code":-1121,"msg":"Invalid symbol."}'),
        ("text/html", b"<html><body>403 Forbidden</body></html>"),
        ("application/json", DEPTH),
        ("text/plain", DEPTH),
        ("application/sbe", b'{"code":-1}'),
        ("application/sbe", b""),
        ("application/octet-stream", bytes(60)),
        (None, DEPTH[:7]),
        (None, b"Way too much request weight used; IP banned."),
    ],
)
def test_what_is_not_sbe_is_never_decoded(content_type: str | None, body: bytes) -> None:
    with pytest.raises(NotSbe, match="the answer is not SBE") as caught:
        rest.decode_response(content_type, body)
    assert caught.value.body == body
    assert caught.value.content_type == content_type


def test_a_damaged_answer_is_a_decode_error() -> None:
    for size in (3, 7, 20, len(DEPTH) - 1):
        with pytest.raises(TruncatedMessage):
            rest.decode_response("application/sbe", DEPTH[:size])
    with pytest.raises(SchemaMismatch):
        rest.decode_response("application/sbe", bytes(60))


def test_what_is_no_answer_at_all_is_a_type_error() -> None:
    for content_type, body, said in ((b"application/sbe", DEPTH, "content_type is a str or None"),
                                     ("application/sbe", "abc", "bytes-like object"),
                                     ("application/sbe", None, "bytes-like object")):  # fmt: skip
        with pytest.raises(TypeError, match=said):
            rest.decode_response(content_type, body)  # type: ignore[arg-type]


def test_the_request_headers_name_our_schema() -> None:
    assert rest.HEADERS == {"Accept": "application/sbe", "X-MBX-SBE": "3:5"}


# the WebSocket API


def test_a_reply_comes_out_of_its_envelope() -> None:
    reply = websocket_api.unwrap(REPLY)
    assert (reply.status, reply.deprecated, reply.id) == (400, False, "1")
    (limit,) = reply.rate_limits
    assert (limit.limit, limit.current, limit.interval_num) == (6000, 2, 1)
    assert (limit.type.name, limit.interval.name) == ("REQUEST_WEIGHT", "MINUTE")
    assert type(reply.message) is spot_sbe.ErrorResponse
    with pytest.raises(BinanceError, match="-1121"):
        reply.raise_for_status()


def test_an_event_arrives_bare() -> None:
    for name in ("ExecutionReportEvent", "ServerShutdownEvent", "NonRepresentableMessage"):
        reply = websocket_api.unwrap(encode(name))
        assert type(reply.message).__name__ == name
        assert (reply.status, reply.id, reply.rate_limits, reply.deprecated) == (
            None,
            None,
            (),
            False,
        )
        reply.raise_for_status()


def test_a_reply_without_a_message_and_with_unknown_limits() -> None:
    limits = [
        {"rate_limit_type": 77, "interval": 2, "interval_num": 1, "rate_limit": 2, "current": 3}
    ]
    frame = encode("WebSocketResponse", result=b"", status=200, rate_limits=limits, id="",
                   sbe_schema_id_version_deprecated=1)  # fmt: skip
    reply = websocket_api.unwrap(frame)
    assert (reply.message, reply.deprecated, reply.id) == (None, True, "")
    assert reply.rate_limits[0].type == 77
    reply.raise_for_status()


def test_a_reply_of_another_schema_or_damaged_is_refused() -> None:
    with pytest.raises(SchemaMismatch):
        websocket_api.unwrap(bytes(20))
    with pytest.raises(TruncatedMessage):
        websocket_api.unwrap(REPLY[:-1])


# the JSON form: keys and kinds as documented for the JSON API

MARKET = {"price_exponent": -8, "qty_exponent": -8}
LEVEL = {"price": 400_000_000, "qty": 43_100_000_000}


def form(name: str, **values: Any) -> Any:
    return json.loads(binance_sbe.to_json(spot_sbe.decode(encode(name, **values))))


def shape(value: Any) -> Any:
    """The keys and kinds of a JSON value."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def test_depth_has_its_documented_json() -> None:
    made = form("DepthResponse", last_update_id=1027024, bids=[LEVEL],
                asks=[{"price": 400_000_200, "qty": 1_200_000_000}], **MARKET)  # fmt: skip
    assert made == {
        "lastUpdateId": 1027024,
        "bids": [["4.00000000", "431.00000000"]],
        "asks": [["4.00000200", "12.00000000"]],
    }


def test_trades_have_their_documented_json() -> None:
    trade = {"id": 28457, "price": 400_000_100, "qty": 1_200_000_000, "quote_qty": 4_800_001_200,
             "time": 1_499_865_549_590_123, "is_buyer_maker": 1, "is_best_match": 1}  # fmt: skip
    made = form("TradesResponse", trades=[trade], **MARKET)
    assert made == [{
        "id": 28457, "price": "4.00000100", "qty": "12.00000000", "quoteQty": "48.00001200",
        "time": 1499865549590, "isBuyerMaker": True, "isBestMatch": True,
    }]  # fmt: skip
    message = spot_sbe.decode(encode("TradesResponse", trades=[trade], **MARKET))
    assert json_form.json_value(message, time_unit="us")[0]["time"] == 1_499_865_549_590_123


def test_aggregate_trades_have_their_documented_json() -> None:
    made = form("AggTradesResponse", **MARKET)
    assert shape(made) == [{"a": "int", "p": "str", "q": "str", "f": "int", "l": "int", "T": "int",
                            "m": "bool", "M": "bool"}]  # fmt: skip


def test_klines_have_their_documented_json() -> None:
    kline = {"open_time": 1_499_040_000_000_000, "open_price": 1_634_790, "high_price": 80_000_000,
             "low_price": 1_575_800, "close_price": 1_577_100, "volume": 14_897_611_427_815,
             "close_time": 1_499_644_799_999_999, "quote_volume": 243_419_055_334,
             "num_trades": 308, "taker_buy_base_volume": 175_687_402_397,
             "taker_buy_quote_volume": 2_846_694_368}  # fmt: skip
    assert form("KlinesResponse", klines=[kline], **MARKET) == [[
        1499040000000, "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815",
        1499644799999, "2434.19055334", 308, "1756.87402397", "28.46694368", "0",
    ]]  # fmt: skip


def test_average_price_has_its_documented_json() -> None:
    made = form("AveragePriceResponse", mins=5, price=935_751_834, price_exponent=-8,
                close_time=1_694_061_154_503_000)  # fmt: skip
    assert made == {"mins": 5, "price": "9.35751834", "closeTime": 1694061154503}
    empty = form("AveragePriceResponse", mins=5, price=None, price_exponent=-8, close_time=None)
    assert empty == {"mins": 5, "price": "0", "closeTime": -1}


TICKER = {"symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice",
          "lastPrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty", "openPrice",
          "highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId",
          "lastId", "count"}  # fmt: skip
MINI = {"symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume",
        "openTime", "closeTime", "firstId", "lastId", "count"}  # fmt: skip
ROLLING = TICKER - {"prevClosePrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty"}
BOOK = {"symbol", "bidPrice", "bidQty", "askPrice", "askQty"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [("Ticker24hSymbolFull", TICKER), ("Ticker24hFull", TICKER), ("Ticker24hSymbolMini", MINI),
     ("Ticker24hMini", MINI), ("PriceTickerSymbol", {"symbol", "price"}),
     ("PriceTicker", {"symbol", "price"}), ("BookTickerSymbol", BOOK), ("BookTicker", BOOK),
     ("TickerSymbolFull", ROLLING), ("TickerFull", ROLLING), ("TickerSymbolMini", MINI),
     ("TickerMini", MINI)],
)  # fmt: skip
def test_tickers_have_their_documented_keys(name: str, keys: set[str]) -> None:
    made = form(f"{name}Response")
    if "Symbol" not in name:
        (made,) = made
    assert set(made) == keys
    numbers = {"openTime", "closeTime", "firstId", "lastId", "count"}
    assert {key for key, value in made.items() if isinstance(value, int)} == keys & numbers


def test_nulls_of_a_ticker_are_as_documented() -> None:
    made = form("Ticker24hSymbolFullResponse", null=True)
    assert made["priceChangePercent"] == "0.0"
    assert made["bidPrice"] == "0"
    assert (made["firstId"], made["lastId"]) == (-1, -1)
    assert form("Ticker24hSymbolFullResponse", price_change_percent=-95.96)[
        "priceChangePercent"
    ] == "-95.960"  # fmt: skip


EXECUTION = set("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQV")


def test_an_execution_report_has_its_documented_keys() -> None:
    made = form("ExecutionReportEvent", null=True, subscription_id=3)
    assert made["subscriptionId"] == 3
    event = made["event"]
    assert event["e"] == "executionReport"
    assert (event["N"], event["r"], event["C"], event["g"], event["t"]) == (
        None,
        "NONE",
        "",
        -1,
        -1,
    )
    full = form("ExecutionReportEvent", order_status=0, execution_type=0)["event"]
    assert set(full) >= EXECUTION | set("WdDjJvABuUbak")
    assert set(full) >= {"Cs", "pl", "pL", "pY", "uS", "gP", "gOT", "gOV", "gp", "eR"}
    assert (full["X"], full["x"]) == ("NEW", "NEW")
    assert isinstance(full["w"], bool)


def test_other_events_have_their_documented_json() -> None:
    balance = {"exponent": -6, "free": 10_000_000_000, "locked": 0, "asset": "ETH"}
    times = {"event_time": 1_564_034_571_105_000, "update_time": 1_564_034_571_073_000}
    position = form(
        "OutboundAccountPositionEvent", subscription_id=None, balances=[balance], **times
    )
    assert position == {
        "e": "outboundAccountPosition", "E": 1564034571105, "u": 1564034571073,
        "B": [{"a": "ETH", "f": "10000.000000", "l": "0.000000"}],
    }  # fmt: skip
    update = form(
        "BalanceUpdateEvent", subscription_id=None, qty_exponent=-8, free_qty_delta=10**10
    )
    assert shape(update) == {"e": "str", "E": "int", "T": "int", "d": "str", "a": "str"}
    assert update["d"] == "100.00000000"
    status = form("ListStatusEvent", subscription_id=None, reject_reason="")
    assert set(status) == set("esgclLrCTOE")
    assert set(status["O"][0]) == {"s", "i", "c"}
    assert status["r"] == "NONE"
    lock = form("ExternalLockUpdateEvent", subscription_id=None)
    assert set(lock) == set("eEadT")
    ended = form("EventStreamTerminatedEvent", subscription_id=1)
    assert ended == {
        "subscriptionId": 1,
        "event": {"e": "eventStreamTerminated", "E": ended["event"]["E"]},
    }
    assert form("ServerShutdownEvent")["e"] == "serverShutdown"


def test_messages_inside_messages_become_json_too() -> None:
    price = encode("PriceFilter", price_exponent=-2, min_price=1, max_price=10**7, tick_size=1)
    filters = [{"filter": price}]
    made = form("MyFiltersResponse", exchange_filters=[], symbol_filters=filters, asset_filters=[])
    assert made["symbolFilters"] == [{
        "filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000.00",
        "tickSize": "0.01",
    }]  # fmt: skip


def test_what_has_no_json_form_is_named() -> None:
    for other in (b"", None, binance_sbe.decode):
        with pytest.raises(TypeError, match="of spot_stream or spot_sbe has a JSON form, not"):
            binance_sbe.to_json(other)
    with pytest.raises(ValueError, match="time_unit is 'ms' or 'us'"):
        binance_sbe.to_json(spot_sbe.decode(DEPTH), time_unit="s")


# lifecycles


def test_the_lifecycle_notes_are_as_published(published: Path) -> None:
    for name, ours in (("sbe_schema", lifecycle.SPOT), ("sbe_fix_schema", lifecycle.FIX)):
        theirs = lifecycle.parse((published / f"{name}_lifecycle_prod.json").read_text())
        assert (theirs.environment, theirs.releases) == ("PROD", ours.releases)
    assert lifecycle.SPOT.of(3, 5).state == "latest"
    assert lifecycle.SPOT.of(3, 4).state == "deprecated"
    assert lifecycle.SPOT.of(3, 0).state == "retired"
    assert lifecycle.SPOT.of(9, 9) is None


def test_the_schemas_carry_their_lifecycle_notes() -> None:
    schemas = Path(__file__).parent.parent.parent / "schemas"
    for name, known in (("spot_3_5", lifecycle.SPOT), ("spot-fixsbe-1_1", lifecycle.FIX)):
        text = (schemas / f"{name}.xml").read_text()
        for release in known.releases:
            if release.id == known.releases[0].id:
                assert re.search(
                    rf"{release.id}:{release.version} +released {release.released}", text
                )
                if release.retired:
                    assert f"retired {release.retired}" in text


def test_damaged_lifecycle_files_give_what_is_in_them(published: Path) -> None:
    texts = [(published / f"sbe_{kind}schema_lifecycle_testnet.json").read_text()
             for kind in ("", "fix_")]  # fmt: skip
    spot, fix = map(lifecycle.parse, texts)
    assert (spot.environment, len(spot.releases)) == ("TESTNET", 9)
    assert spot.problems[-1].startswith("damaged")
    assert spot.of(3, 5).state == "latest"
    assert spot.of(3, 0).retired == "2026-02-06"
    assert fix.problems == ("commas before a closing bracket",)
    for nothing in ("", "{}", "[1]", "not at all"):
        with pytest.raises(ValueError, match="no schema release"):
            lifecycle.parse(nothing)


# modules


def test_importing_one_decoder_does_not_load_the_others() -> None:
    modules = ("spot_stream", "spot_sbe", "fix_sbe")
    for name in modules:
        code = (
            f"import sys, binance_sbe.{name}; "
            "print([m for m in ('spot_stream', 'spot_sbe', 'fix_sbe') "
            "if f'binance_sbe.{m}' in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == f"['{name}']"


def test_errors_are_what_they_are_said_to_be() -> None:
    assert issubclass(NotSbe, binance_sbe.SbeError)
    assert issubclass(FramingError, binance_sbe.SbeError)
