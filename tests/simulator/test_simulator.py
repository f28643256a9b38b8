"""The local exchange: one market behind all streams, and the control protocol."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidStatus

from binance_sbe import decode
from binance_sbe.serving.control import Subscriptions
from binance_sbe.simulator import Exchange, Market
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trades
from binance_sbe.simulator.faults import Schedule

KEY = {"X-MBX-APIKEY": "any"}


def history(symbol: str, seed: int, steps: int = 3000) -> list[Any]:
    """All events of a market, with a diff every 20 steps and a snapshot every 50."""
    market = Market(symbol, seed)
    events: list[Any] = [market.depth(0, 10_000)]
    for now in range(1, steps):
        events += market.step(now)
        if now % 20 == 0 and (diff := market.diff(now)):
            events.append(diff)
        if now % 50 == 0:
            events.append(market.depth(now))
    return events


@pytest.mark.parametrize("symbol", ["btcusdt", "pepeusdt", "dogeusdt", "unknown123"])
def test_all_streams_agree_with_one_book(symbol: str) -> None:
    events = history(symbol, 7)
    snapshot = events[0]
    bids, asks, update_id = dict(snapshot.bids), dict(snapshot.asks), snapshot.update_id
    best, trade_id, agreed = None, None, 0
    for event in events[1:]:
        match event:
            case Diff():
                assert event.first_update_id == update_id + 1
                assert event.last_update_id >= event.first_update_id
                update_id = event.last_update_id
                for side, levels in ((bids, event.bids), (asks, event.asks)):
                    for price, qty in levels:
                        if qty:
                            side[price] = qty
                        else:
                            side.pop(price, None)
                assert max(bids) < min(asks)
            case Depth():
                if event.update_id == update_id:
                    assert event.bids == tuple(sorted(bids.items(), reverse=True)[:20])
                    assert event.asks == tuple(sorted(asks.items())[:20])
                    agreed += 1
                if best is not None and best.update_id == event.update_id:
                    assert (best.bid, best.ask) == (event.bids[0], event.asks[0])
            case BestBidAsk():
                assert best is None or event.update_id > best.update_id
                assert 0 < event.bid[0] < event.ask[0]
                assert event.bid[1] > 0
                best = event
            case Trades():
                for trade in event.trades:
                    assert trade_id is None or trade.id == trade_id + 1
                    trade_id = trade.id
                first = event.trades[0]
                if best is not None:
                    side = best.bid if first.is_buyer_maker else best.ask
                    assert (first.price - side[0]) * (-1 if first.is_buyer_maker else 1) >= 0
                assert event.transact_time < event.event_time
    assert agreed > 20
    assert {type(event) for event in events} == {Trades, BestBidAsk, Depth, Diff}


@pytest.mark.parametrize("symbol", ["btcusdt", "xrpusdt", "dogeusdt", "pepeusdt", "other"])
def test_a_market_stays_alive_and_near_its_start(symbol: str) -> None:
    market = Market(symbol, 1)
    start = market.best_bid
    for now in range(60_000):
        market.step(now)
        assert market.best_bid < market.best_ask
    assert 0.8 < market.best_bid / start < 1.25
    assert 30 <= len(market.bids) <= 120
    assert 30 <= len(market.asks) <= 120


def test_a_market_of_many_orders_stays_a_market() -> None:
    market = Market("solusdt", 0)  # which ran out of bids once, after 366,123 orders
    for now in range(400_000):
        market.step(now)
    assert 0 < market.best_ask - market.best_bid < market.best_bid / 200
    assert min(len(market.bids), len(market.asks)) >= 30


def test_the_same_seed_gives_the_same_market() -> None:
    assert history("btcusdt", 3, 500) == history("btcusdt", 3, 500)
    assert history("btcusdt", 3, 500) != history("btcusdt", 4, 500)


def test_frames_say_what_the_events_say() -> None:
    for event in history("ethusdt", 1, 300):
        message = decode(encode(event))
        assert message.symbol == "ETHUSDT"
        assert (message.price_exponent, message.qty_exponent) == (-2, -8)
        assert message.event_time == event.event_time
        match event:
            case Trades():
                assert [tuple(entry) for entry in message.trades.tolist()] == [
                    (t.id, t.price, t.qty, int(t.is_buyer_maker)) for t in event.trades
                ]
            case BestBidAsk():
                assert (message.bid_price, message.bid_qty) == event.bid
                assert (message.ask_price, message.ask_qty) == event.ask
                assert message.book_update_id == event.update_id
            case _:
                assert tuple(message.bids.tolist()) == event.bids
                assert tuple(message.asks.tolist()) == event.asks


def test_control_requests_get_the_documented_replies() -> None:
    control = Subscriptions(lambda name: name.startswith("btcusdt@"), ["btcusdt@trade"], False)

    def ask(request: Any) -> Any:
        text = request if isinstance(request, str) else json.dumps(request)
        return json.loads(control.answer(text))

    assert ask({"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {"result": ["btcusdt@trade"], "id": 3}
    add = {"method": "SUBSCRIBE", "params": ["btcusdt@depth", "btcusdt@trade"], "id": "a"}
    assert ask(add) == {"result": None, "id": "a"}
    assert ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": None}) == {
        "result": None, "id": None,
    }  # fmt: skip
    assert list(control.streams) == ["btcusdt@depth"]
    combined = {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}
    assert ask(combined) == {"result": None, "id": 5}
    assert ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 6})["result"] is True
    for request, code in (
        ("nonsense", 3), ("[1]", 2), ({"id": 1}, 2), ({"method": "JUMP", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2),
        ({"method": "SET_PROPERTY", "params": ["other", True], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
    ):  # fmt: skip
        assert ask(request)["code"] == code, request
    many = [f"btcusdt@{i}" for i in range(1025)]
    assert ask({"method": "SUBSCRIBE", "params": many, "id": 1})["code"] == 2
    assert list(control.streams) == ["btcusdt@depth"]


def test_connections_are_checked_and_paths_subscribe() -> None:
    async def run() -> None:
        async with Exchange(["btcusdt"], api_keys=["good"]) as exchange:
            for headers, path, status in (
                ({}, "/ws", 401), ({"X-MBX-APIKEY": "bad"}, "/ws", 401),
                ({"X-MBX-APIKEY": "good"}, "/nowhere", 404),
                ({"X-MBX-APIKEY": "good"}, "/ws/btcusdt@kline", 400),
                ({"X-MBX-APIKEY": "good"}, "/stream?streams=btcusdt@trade/x@trade", 400),
            ):  # fmt: skip
                with pytest.raises(InvalidStatus) as caught:
                    await open_websocket(exchange.url + path, additional_headers=headers)
                assert caught.value.response.status_code == status
            for path, kinds in (
                ("/ws/btcusdt@depth20", {10002}),
                ("/ws/btcusdt%40depth", {10003}),
                ("/stream?streams=btcusdt@depth/btcusdt@depth20", {10002, 10003}),
            ):
                headers = {"X-MBX-APIKEY": "good"}
                async with open_websocket(exchange.url + path, additional_headers=headers) as ws:
                    frames = [await ws.recv() for _ in range(12)]
                    assert {decode(frame).TEMPLATE_ID for frame in frames} == kinds  # type: ignore[arg-type]

    asyncio.run(run())


def test_the_rate_is_about_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    step = Market.step

    def counted(market: Market, now: int) -> Any:
        nonlocal steps
        steps += 1
        return step(market, now)

    monkeypatch.setattr(Market, "step", counted)

    async def run() -> float:
        async with Exchange(["btcusdt", "ethusdt"], rate=500):
            started = time.monotonic()
            await asyncio.sleep(1.0)
            return time.monotonic() - started

    expected = 500 * asyncio.run(run())
    assert 0.8 * expected < steps < 1.1 * expected


def test_a_market_that_fails_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(market: Market, now: int) -> Any:
        raise ZeroDivisionError("the market broke")

    async def run() -> None:
        async with (
            Exchange(["btcusdt"]) as exchange,
            open_websocket(exchange.url + "/ws", additional_headers=KEY) as ws,
        ):
            monkeypatch.setattr(Market, "step", fail)
            await asyncio.wait_for(ws.wait_closed(), 10)

    with pytest.raises(ZeroDivisionError, match="the market broke"):
        asyncio.run(run())


def test_binary_requests_close_the_connection_and_pings_are_answered() -> None:
    async def run() -> None:
        async with (
            Exchange(["btcusdt"], ping_interval=0.05) as exchange,
            open_websocket(exchange.url + "/ws", additional_headers=KEY) as ws,
        ):
            await asyncio.wait_for(await ws.ping(), 5)
            await asyncio.sleep(0.2)
            await ws.send(b"binary")
            await ws.wait_closed()
            assert ws.close_code == 1003

    asyncio.run(run())


def test_faults_may_have_their_time() -> None:
    schedule = Schedule(["cut@2.5", "damage@1", "close"], 1e9, 1)
    tried: list[str] = []

    def inflict(name: str) -> bool:
        tried.append(name)
        return len(tried) != 2

    for elapsed in (0.5, 1.0, 2.0, 2.6, 2.7, 9.0):
        schedule.due(elapsed, inflict)
    assert schedule.done == [(1.0, "damage"), (2.7, "cut")]  # the first attempt at it failed
    assert tried == ["damage", "cut", "cut"]
    assert (schedule.names, schedule.script) == (["close"], [])
    for names, reason in (
        (["cut@soon"], "'soon' is not a number of seconds"), (["cut@-1"], "-1"), (["cut@"], "''"),
        (["rain@1"], "there is no fault 'rain'"), (["all@1"], "there is no fault 'all'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=reason):
            Schedule(names, 1.0, 1)


def test_a_connection_that_is_closing_suffers_nothing_more() -> None:
    async def run() -> None:
        async with (
            Exchange(["btcusdt"]) as exchange,
            open_websocket(exchange.url + "/ws", additional_headers=KEY),
        ):
            (connection,) = exchange._connections
            connection.protocol.send_close(1001)
            assert not any(exchange.inflict(fault) for fault in ("cut", "close", "damage"))

    asyncio.run(run())


def test_the_first_request_is_not_refused() -> None:
    """Or whoever looks at faults would see nothing but the first."""
    exchange = Exchange()
    for fault in ("refuse", "slow"):
        assert not exchange.inflict(fault)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        Exchange(rate=0)
    with pytest.raises(ValueError, match="at least one symbol"):
        Exchange([])
    with pytest.raises(ValueError, match="'a/b' is not a symbol"):
        Exchange(["a/b"])
    with pytest.raises(ValueError, match="over 255 bytes"):
        Exchange(["a" * 256])
    with pytest.raises(TypeError, match="one by one"):
        Exchange("btcusdt")
