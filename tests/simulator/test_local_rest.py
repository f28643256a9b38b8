"""The REST side of the local exchange, and its control requests: answers, weights and refusals."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from binance_sbe import BinanceError
from binance_sbe.rest import decode_response
from binance_sbe.serving.control import MAX_STREAMS, Subscriptions
from binance_sbe.simulator import Market
from binance_sbe.simulator.rest import Answer, Rest

SBE = {"Accept": "application/sbe", "X-MBX-SBE": "3:5"}
NOW = 1_800_000_000.25  # at the beginning of a minute


class Asked:
    """A REST side, and what is asked of it at times of ours."""

    def __init__(self, *symbols: str, limit: int = 6000, ban: int = 120) -> None:
        self.markets = {name: Market(name, 1) for name in symbols or ("btcusdt",)}
        self.rest = Rest(self.markets, limit, ban)
        self.now = NOW

    def __call__(self, path: str, **headers: str) -> Answer:
        found = self.rest.answer(path, SBE | headers, self.now)
        assert found is not None
        return found

    def message(self, path: str) -> Any:
        answer = self(path)
        assert answer.status == 200
        return decode_response(answer.headers["Content-Type"], answer.body)

    def weight(self, path: str) -> int:
        """What a request adds to the weight of the minute."""
        before = self.rest.used
        used = int(self(path).headers["X-MBX-USED-WEIGHT-1M"])
        return used - before

    def error(self, path: str, **headers: str) -> tuple[int, int, str]:
        answer = self(path, **headers)
        with pytest.raises(BinanceError) as caught:
            decode_response(answer.headers["Content-Type"], answer.body)
        return answer.status, caught.value.code, caught.value.message


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_what_is_no_path_of_the_api_is_left_to_others(asked: Asked) -> None:
    for path in ("/ws", "/apiv3/time", "/", "//[", "//]x"):
        assert asked.rest.answer(path, SBE, NOW) is None


def test_the_clock_and_a_ping(asked: Asked) -> None:
    assert asked.message("/api/v3/time").server_time == 1_800_000_000_250_000
    assert type(asked.message("/api/v3/ping")).__name__ == "PingResponse"


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("/api/v3/ping", 1), ("/api/v3/time", 1), ("/api/v3/historicalTrades?symbol=BTCUSDT", 25),
        *((f"/api/v3/depth?symbol=btcusdt&limit={limit}", weight) for limit, weight in (
            (1, 5), (100, 5), (101, 25), (500, 25), (501, 50), (1000, 50), (1001, 250),
            (5000, 250), (9999, 250))),
        ("/api/v3/depth?symbol=BTCUSDT", 5),
        ("/api/v3/depth?symbol=NOSUCH", 5), ("/api/v3/nosuch", 0),
    ],
)  # fmt: skip
def test_requests_have_their_weight(path: str, weight: int, asked: Asked) -> None:
    asked("/api/v3/ping")
    assert asked.weight(path) == weight


@pytest.mark.parametrize(
    ("path", "status", "code", "said"),
    [
        ("/api/v3/nosuch", 404, -1000, "no such path: /api/v3/nosuch"),
        ("/api/v3/depth", 400, -1121, "Invalid symbol."),
        ("/api/v3/depth?symbol=NOSUCH", 400, -1121, "Invalid symbol."),
        *((f"/api/v3/depth?symbol=BTCUSDT&limit={text}", 400, -1100,
           "Illegal characters found in parameter 'limit'.")
          for text in ("-1", "x", "1" * 19, "%C2%B2", "1.5")),
        ("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=x", 400, -1100,
         "Illegal characters found in parameter 'fromId'."),
    ],
)  # fmt: skip
def test_bad_requests_are_refused(
    path: str, status: int, code: int, said: str, asked: Asked
) -> None:
    assert asked.error(path) == (status, code, said)


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ("", -1152), ("3", -1152), ("3:", -1152), (":5", -1152), ("x:5", -1152), ("3:x", -1152),
        ("3:6", -1153), ("2:1", -1153), ("4:0", -1153),
    ],
)  # fmt: skip
def test_the_schema_that_is_asked_for_is_one_that_there_is(
    schema: str, code: int, asked: Asked
) -> None:
    status, found, said = asked.error("/api/v3/time", **{"X-MBX-SBE": schema})
    assert (status, found) == (400, code)
    assert said == {
        -1152: "Invalid X-MBX-SBE header; expected <SCHEMA_ID>:<VERSION>.",
        -1153: "Unsupported SBE schema ID or version.",
    }[code]  # fmt: skip
    for good in ("3:5", "3:0", "3:4"):
        assert asked("/api/v3/time", **{"X-MBX-SBE": good}).status == 200


@pytest.mark.parametrize("accepted", ["", "application/json", "*/*"])
def test_an_answer_is_sbe_or_none(accepted: str, asked: Asked) -> None:
    answer = asked("/api/v3/time", Accept=accepted)
    assert answer == (406, {"Content-Type": "text/plain"}, b"Accept: application/sbe\n")
    assert asked("/api/v3/time", Accept="application/sbe;q=1, */*").status == 200
    assert asked.rest.answer("/api/v3/time", {"Accept": "application/sbe"}, NOW).status == 400  # type: ignore[union-attr]


# limits


def refusal(answer: Answer) -> tuple[int, int]:
    """Status and seconds of an answer that says to wait."""
    assert json.loads(answer.body) == {"code": -1003, "msg": "Too much request weight used."}
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status, int(answer.headers["Retry-After"])


def test_who_asks_too_much_waits_for_the_next_minute() -> None:
    asked = Asked(limit=3)
    assert [asked("/api/v3/ping").status for _ in range(3)] == [200, 200, 200]
    asked.now += 12.5
    assert refusal(asked("/api/v3/ping")) == (429, 48)
    asked.now = NOW + 59.5
    assert refusal(asked("/api/v3/ping")) == (429, 1)
    asked.now = NOW + 59.75
    assert asked("/api/v3/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_who_goes_on_is_banned() -> None:
    asked = Asked(limit=1, ban=90)
    asked("/api/v3/ping")
    assert [refusal(asked("/api/v3/ping"))[0] for _ in range(10)] == [429] * 10
    assert asked.rest.refused == 10
    assert refusal(asked("/api/v3/ping")) == (418, 90)
    asked.now += 80.0
    assert refusal(asked("/api/v3/ping")) == (418, 11)
    asked.now += 9.5
    assert refusal(asked("/api/v3/ping")) == (418, 1)
    asked.now += 0.5
    assert asked("/api/v3/ping").status == 200
    assert asked.rest.refused == 0


def test_refusals_of_one_minute_do_not_add_up_with_those_of_the_next() -> None:
    asked = Asked(limit=1)
    for _ in range(3):
        assert asked("/api/v3/ping").status == 200
        assert [refusal(asked("/api/v3/ping"))[0] for _ in range(10)] == [429] * 10
        asked.now += 60


def test_a_refusal_that_is_told_comes_once(asked: Asked) -> None:
    asked.rest.next_refusal = 429, 7
    assert refusal(asked("/api/v3/ping")) == (429, 7)
    assert asked("/api/v3/ping").status == 200


# books and trades


def levels(message: Any) -> tuple[Any, Any]:
    return message.bids.tolist(), message.asks.tolist()


def test_a_snapshot_is_that_of_the_book() -> None:
    asked = Asked("btcusdt", "pepeusdt")
    for symbol, market in asked.markets.items():
        for now in range(300):
            market.step(now)
        message = asked.message(f"/api/v3/depth?symbol={symbol.upper()}")
        assert message.last_update_id == market.update_id
        exponents = message.price_exponent, message.qty_exponent
        assert exponents == (market.price_exponent, market.qty_exponent)
        bids, asks = levels(message)
        assert bids == sorted(market.bids.items(), reverse=True)[:100]
        assert asks == sorted(market.asks.items())[:100]
        three = asked.message(f"/api/v3/depth?symbol={symbol}&limit=3")
        assert levels(three) == (bids[:3], asks[:3])


def test_many_levels_are_cut_at_five_thousand(asked: Asked) -> None:
    market = asked.markets["btcusdt"]
    market.bids = dict.fromkeys(range(1, 6001), 1)
    message = asked.message("/api/v3/depth?symbol=btcusdt&limit=6000")
    assert len(message.bids) == 5000
    assert message.bids.tolist()[0] == (6000, 1)


def test_an_old_snapshot_is_that_of_the_request_before(asked: Asked) -> None:
    path = "/api/v3/depth?symbol=btcusdt&limit=5"
    market = asked.markets["btcusdt"]
    ids = []
    for is_old in (True, False, True, True, False):
        for now in range(50):
            market.step(now)
        asked.rest.next_is_old = is_old
        ids.append((asked.message(path).last_update_id, market.update_id))
    shown, true = zip(*ids, strict=True)
    assert shown[0] < true[0]  # that of the beginning
    assert shown[1:] == (true[1], true[1], true[2], true[4])
    assert not asked.rest.next_is_old


def test_a_finer_snapshot_has_another_digit_once(asked: Asked) -> None:
    path = "/api/v3/depth?symbol=btcusdt&limit=2"
    before = asked.message(path)
    asked.rest.next_is_finer = True
    finer, after = asked.message(path), asked.message(path)
    assert levels(finer)[0] == [(10 * price, 10 * qty) for price, qty in levels(before)[0]]
    assert (finer.price_exponent, after.price_exponent) == (-3, -2)


def test_trades_are_those_that_were_made(asked: Asked) -> None:
    market = asked.markets["btcusdt"]
    made: list[Any] = []
    for now in range(4000):
        for event in market.step(10**6 + now):
            made += [(event.transact_time, each) for each in getattr(event, "trades", ())]
    path = "/api/v3/historicalTrades?symbol=BTCUSDT"

    def rows(query: str) -> list[Any]:
        found: list[Any] = asked.message(path + query).trades.tolist()
        return found

    def expected(part: Any) -> list[Any]:
        return [
            (each.id, each.price, each.qty, each.price * each.qty // 10**8, at,
             int(each.is_buyer_maker), 1)
            for at, each in part
        ]  # fmt: skip

    assert len(made) > 1001
    assert rows("") == expected(made[-500:])
    assert rows("&limit=3") == expected(made[-3:])
    assert rows("&limit=5000") == expected(made[-1000:])
    first = made[10][1].id
    assert rows(f"&limit=2&fromId={first}") == expected(made[10:12])
    assert rows(f"&fromId={made[-2][1].id}") == expected(made[-2:])
    assert rows("&fromId=1&limit=1") == expected(made[:1])
    assert rows(f"&fromId={made[-1][1].id + 1}") == []
    message = asked.message(path)
    assert (message.price_exponent, message.qty_exponent) == (-2, -8)


@pytest.mark.parametrize("more", range(4))
def test_the_text_of_an_error_is_cut_between_two_letters(asked: Asked, more: int) -> None:
    path = "/api/v3/" + "a" * more + "\u00e4\u4e2d" * 400
    status, _, said = asked.error(path)
    assert status == 404
    assert f"no such path: {path}".startswith(said)
    assert 996 <= len(said.encode()) <= 1000


def test_an_error_has_neither_times_nor_data(asked: Asked) -> None:
    body = asked("/api/v3/nosuch").body
    with pytest.raises(BinanceError) as caught:
        decode_response("application/sbe", body)
    error = caught.value
    assert (error.server_time, error.retry_after, error.data) == (None, None, None)
    assert struct.unpack_from("<HHHH", body) == (18, 100, 3, 5)


# control requests


class Control(Subscriptions):
    def __init__(self, *streams: str, combined: bool = False) -> None:
        super().__init__(lambda name: name.startswith("btcusdt@"), list(streams), combined)

    def ask(self, refuses: bool = False, **request: Any) -> Any:
        return json.loads(self.answer(json.dumps({"id": 9} | request), refuses))


BAD: list[tuple[Any, int, str]] = [
    ({}, 2, "Invalid request: missing field `method`"),
    ({"method": "JUMP"}, 2, "Invalid request: unknown variant `JUMP`"),
    ({"method": "SUBSCRIBE", "params": {}}, 2, "Invalid request: `params` is not a list"),
    ({"method": "SUBSCRIBE", "params": [7]}, 2, "Invalid request: no stream `7`"),
    ({"method": "SUBSCRIBE", "params": ["btcusdt@depth", "x@trade"]}, 2,
     "Invalid request: no stream `x@trade`"),
    ({"method": "UNSUBSCRIBE", "params": ["x@trade"]}, 2, "Invalid request: no stream `x@trade`"),
    ({"method": "SET_PROPERTY", "params": ["x", True]}, 0,
     "Unknown property: expected `combined`"),
    ({"method": "SET_PROPERTY", "params": []}, 0, "Unknown property: expected `combined`"),
    ({"method": "SET_PROPERTY", "params": ["combined"]}, 1,
     "Invalid value type: expected Boolean"),
    ({"method": "SET_PROPERTY", "params": ["combined", 1]}, 1,
     "Invalid value type: expected Boolean"),
    ({"method": "SET_PROPERTY", "params": ["combined", True, True]}, 1,
     "Invalid value type: expected Boolean"),
    ({"method": "GET_PROPERTY", "params": ["combined", 1]}, 0,
     "Unknown property: expected `combined`"),
    ({"method": "GET_PROPERTY"}, 0, "Unknown property: expected `combined`"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "code", "said"), BAD)
def test_bad_control_requests_are_refused_and_change_nothing(
    request_: Any, code: int, said: str
) -> None:
    control = Control("btcusdt@trade")
    assert control.ask(**request_) == {"code": code, "msg": said, "id": 9}
    assert (list(control.streams), control.combined) == (["btcusdt@trade"], False)


@pytest.mark.parametrize("text", ["", "{", "x", "[" * 100_000])
def test_what_is_no_json_has_an_answer_without_an_id(text: str) -> None:
    assert json.loads(Control().answer(text)) == {
        "code": 3, "msg": "Invalid JSON: expected a request",
    }  # fmt: skip
    assert json.loads(Control().answer("[1]")) == {
        "code": 2, "msg": "Invalid request: missing field `method`", "id": None,
    }  # fmt: skip


def test_control_requests_do_what_they_say() -> None:
    control = Control("btcusdt@trade")
    add = ["btcusdt@b", "btcusdt@trade", "btcusdt@a"]
    for request, result in (
        ({"method": "SUBSCRIBE", "params": add}, None),
        ({"method": "LIST_SUBSCRIPTIONS"}, ["btcusdt@trade", "btcusdt@b", "btcusdt@a"]),
        ({"method": "UNSUBSCRIBE", "params": ["btcusdt@b", "btcusdt@never"]}, None),
        ({"method": "LIST_SUBSCRIPTIONS"}, ["btcusdt@trade", "btcusdt@a"]),
        ({"method": "GET_PROPERTY", "params": ["combined"]}, False),
        ({"method": "SET_PROPERTY", "params": ["combined", True]}, None),
        ({"method": "GET_PROPERTY", "params": ["combined"]}, True),
        ({"method": "SET_PROPERTY", "params": ["combined", False]}, None),
        ({"method": "GET_PROPERTY", "params": ["combined"]}, False),
    ):
        assert control.ask(**request) == {"result": result, "id": 9}, request


def test_a_request_that_is_to_be_refused_is() -> None:
    control = Control("btcusdt@trade")
    refused = control.ask(True, method="SUBSCRIBE", params=["btcusdt@a"])
    assert refused == {"code": 2, "msg": "Invalid request: not now", "id": 9}
    assert list(control.streams) == ["btcusdt@trade"]


def test_a_connection_has_so_many_streams_and_no_more() -> None:
    control = Control()
    names = [f"btcusdt@{n}" for n in range(MAX_STREAMS)]
    assert MAX_STREAMS == 1024
    assert control.ask(method="SUBSCRIBE", params=names)["result"] is None
    assert control.ask(method="SUBSCRIBE", params=names[:5])["result"] is None
    assert control.ask(method="SUBSCRIBE", params=["btcusdt@x"]) == {
        "code": 2, "msg": "Invalid request: over 1024 streams", "id": 9,
    }  # fmt: skip
    assert list(control.streams) == names


def test_requests_of_a_second_are_counted() -> None:
    control = Control()
    times = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.5, 1.79, 1.81, 3.0]
    within = [control.count_control(now, 5) for now in times]
    assert within == [True] * 5 + [False, False, True, True, True, True]
