"""The local exchange as it is served: who is let in, limits, and how its market moves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import Any

import pytest
from test_exchange import KEY, B, T, connected, get
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidStatus

from binance_sbe import RateLimited, decode
from binance_sbe.simulator import Exchange, server

# who is let in, and what is sent to whom


def test_frames_go_to_who_has_subscribed_and_are_counted() -> None:
    async def work() -> None:
        async with connected("/ws") as client:
            client.send(1)
            assert client.exchange.events_sent == 0
            assert await client.ask("SUBSCRIBE", B) == {"result": None, "id": 1}
            client.send(2)
            client.send(3, stream=T)
            path = f"{client.exchange.url}/ws/{B}/{T}"
            async with open_websocket(path, additional_headers=KEY) as other:
                client.send(4)
                client.send(5, stream=T)
                assert client.exchange.events_sent == 1 + 2 + 1
                assert [decode(await other.recv()).book_update_id for _ in range(2)] == [4, 5]  # type: ignore[arg-type]
            assert await client.numbers(2) == [2, 4]
            assert await client.ask("UNSUBSCRIBE", B) == {"result": None, "id": 1}
            client.send(6)
            assert client.exchange.events_sent == 4
            assert client.exchange.orders_skipped == 0

    asyncio.run(work())


def test_texts_go_to_everybody() -> None:
    async def work() -> None:
        async with connected("/ws") as client:
            client.exchange.send_text({"e": "x"})
            assert json.loads(await client.next()) == {"e": "x"}

    asyncio.run(work())


@pytest.mark.parametrize(
    ("path", "streams", "combined"),
    [
        ("/ws", [], False), ("/ws/", [], False), (f"/ws/{B}/{T}", [B, T], False),
        ("/stream", [], True), ("/stream/", [], True), (f"/stream?streams={B}/{T}", [B, T], True),
        ("/stream?streams=", [], True), ("/ws/btcusdt%40trade", [T], False),
    ],
)  # fmt: skip
def test_a_path_subscribes(path: str, streams: list[str], combined: bool) -> None:
    async def work() -> None:
        async with connected(path) as client:
            assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == streams
            assert (await client.ask("GET_PROPERTY", "combined"))["result"] is combined

    asyncio.run(work())


@pytest.mark.parametrize(
    ("headers", "path", "status", "said"),
    [
        ({}, "/ws", 401, '{"code": -2015, "msg": "Invalid API-key, IP, or permissions for'),
        ({"X-MBX-APIKEY": ""}, "/ws", 401, "-2015"),
        ({"X-MBX-APIKEY": "bad"}, "/ws", 401, "-2015"),
        ({"X-MBX-APIKEY": "good"}, "/nowhere", 404, "no such path: /nowhere\n"),
        ({"X-MBX-APIKEY": "good"}, "/wsx", 404, "no such path"),
        ({"X-MBX-APIKEY": "good"}, "/ws/nosuch@trade", 400,
         '{"code": 2, "msg": "Invalid request: no stream `nosuch@trade`"}'),
        ({"X-MBX-APIKEY": "good"}, "/ws/btcusdt@kline", 400, "no stream `btcusdt@kline`"),
        ({"X-MBX-APIKEY": "good"}, "/ws/btcusdt@trade/", 400, "no stream ``"),
    ],
)  # fmt: skip
def test_who_is_refused_is_told_why(
    headers: dict[str, str], path: str, status: int, said: str
) -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"], api_keys=["good", "fine"], rate=1e-9) as exchange:
            with pytest.raises(InvalidStatus) as caught:
                await open_websocket(exchange.url + path, additional_headers=headers)
            assert caught.value.response.status_code == status
            assert said in caught.value.response.body.decode()
            good = {"X-MBX-APIKEY": "fine"}
            async with open_websocket(exchange.url + "/ws", additional_headers=good):
                pass

    asyncio.run(work())


def test_who_asks_too_often_is_closed() -> None:
    async def work() -> None:
        async with connected("/ws", control_limit=3) as client:
            for _ in range(3):
                assert "result" in await client.ask("LIST_SUBSCRIPTIONS")
            await client.socket.send("{}")
            ended = await client.end()
            assert ended.rcvd is not None
            assert (ended.rcvd.code, ended.rcvd.reason) == (1008, "too many requests")

    asyncio.run(work())


def test_a_connection_lasts_so_long_and_then_ends() -> None:
    async def work() -> None:
        async with connected(lifetime=0.2) as client:
            started = time.monotonic()
            client.send(1)
            assert await client.numbers(1) == [1]
            ended = await client.end()
            assert ended.rcvd is not None
            assert (ended.rcvd.code, ended.rcvd.reason) == (1001, "its time is over")
            assert time.monotonic() - started > 0.1

    asyncio.run(work())


def test_who_does_not_read_is_cut_off() -> None:
    async def work() -> None:
        async with connected() as client:
            client.send(1)
            assert await client.numbers(1) == [1]
            (each,) = client.exchange._connections.values()
            each._most = -1
            client.send(2)
            assert (await client.end()).rcvd is None

    asyncio.run(work())


def test_the_limits_of_rest_are_those_that_are_asked_for() -> None:
    async def work() -> None:
        async with connected(weight_limit=5, ban_seconds=77) as client:
            rest_side = client.exchange.rest
            assert (rest_side.weight_limit, rest_side.ban_seconds) == (5, 77)
            assert len((await get(client)).bids) == 5
            with pytest.raises(RateLimited):
                await get(client)

    asyncio.run(work())


# the market


@pytest.mark.parametrize("seed", [0, 5])
def test_the_seed_is_that_of_the_markets(seed: int) -> None:
    exchange = Exchange(["btcusdt", "ETHUSDT", "btcusdt"], seed=seed)
    assert list(exchange.markets) == ["btcusdt", "ethusdt"]
    for symbol, market in exchange.markets.items():
        assert market.bids == server.Market(symbol, seed).bids
    others = Exchange(["btcusdt"], seed=seed + 1).markets["btcusdt"]
    assert others.bids != exchange.markets["btcusdt"].bids


class Ticks(Exchange):
    """An exchange that is not served: its market moves by a clock of ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seconds: float, **options: Any) -> None:
        super().__init__(["btcusdt", "ethusdt"], **options)
        self.sent: list[tuple[float, str]] = []
        self.now = 100.0
        self._naps = iter(seconds)
        monkeypatch.setattr(server.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(server.asyncio, "sleep", self._nap)
        self.steps = 0
        for market in self.markets.values():
            monkeypatch.setattr(market, "step", self._counted(market.step))

    def _counted(self, step: Any) -> Any:
        def counted(now: int) -> Any:
            self.steps += 1
            return step(now)

        return counted

    async def _nap(self, _: float) -> None:
        seconds = next(self._naps, None)
        if seconds is None:
            raise asyncio.CancelledError
        self.now += seconds

    def send(self, stream: str, frame: bytes) -> None:
        self.sent.append((round(self.now - 100.0, 3), stream))

    def run(self) -> Ticks:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._tick())
        return self


def test_orders_arrive_at_their_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Ticks(monkeypatch, *[0.01] * 100, rate=500).run().steps == 500
    assert Ticks(monkeypatch, *[0.25] * 8, rate=8).run().steps == 16


def test_depth_comes_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Ticks(monkeypatch, *[0.01] * 20, rate=1000).run().sent
    for symbol in ("btcusdt", "ethusdt"):
        times = [at for at, stream in sent if stream == f"{symbol}@depth20"]
        assert times == [0.0, 0.05, 0.1, 0.15, 0.2]
        times = [at for at, stream in sent if stream == f"{symbol}@depth"]
        assert times == [round(0.02 * n, 3) for n in range(1, 11)]
    assert {stream for _, stream in sent} == {
        f"{symbol}@{kind}" for symbol in ("btcusdt", "ethusdt") for kind in (
            "trade", "bestBidAsk", "depth20", "depth")
    }  # fmt: skip


def test_orders_that_a_slow_machine_misses_are_left_out_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "binance_sbe"):
        ticks = Ticks(monkeypatch, 0.5, 5.0, 0.25, 3.0, rate=100).run()
    assert ticks.orders_skipped == 400 + 200
    assert ticks.steps == 875 - 600
    assert [record.getMessage() for record in caplog.records] == [
        f"{ticks.url}: this machine is too slow for 100 orders a second"
    ]


def test_events_have_the_time_at_which_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = Ticks(monkeypatch, *[0.05] * 4, rate=1000)
    times = []
    monkeypatch.setattr(server, "encode", lambda event: times.append(event.event_time) or b"")
    before = time.time()
    ticks.run()
    assert len(times) > 50
    assert before <= min(times) / 1e6 + 1e-3
    assert max(times) / 1e6 <= time.time() + 1e-3


def test_what_is_not_asked_for_is_as_it_is_said() -> None:
    exchange = Exchange()
    assert list(exchange.markets) == ["btcusdt", "ethusdt", "solusdt", "xrpusdt"]
    assert (exchange.rate, exchange.host, exchange.port) == (1000.0, "127.0.0.1", 0)
    assert (exchange.events_sent, exchange.orders_skipped) == (0, 0)
    assert (exchange.rest.weight_limit, exchange.rest.ban_seconds) == (6000, 120)
    schedule = exchange.fault_schedule
    assert (schedule.names, schedule.script, schedule.seconds) == ([], [], 10.0)
    assert exchange.api_keys is None

    async def work() -> None:
        async with connected("/ws") as client:
            for _ in range(5):
                assert "result" in await client.ask("LIST_SUBSCRIPTIONS")
            await client.socket.send("{}")
            ended = await client.end()
            assert ended.rcvd is not None
            assert ended.rcvd.code == 1008

    asyncio.run(work())


def test_arguments_that_can_not_be_are_refused() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"host": ""}, "host is the address to serve on, not ''"),
        ({"host": None}, "host is the address to serve on, not None"),
        ({"rate": -1}, "rate is a positive number of orders a second, not -1"),
        ({"rate": float("nan")}, "rate is a positive number"),
        ({"faults": ["rain"]}, "there is no fault 'rain'"),
        ({"faults": ["cut"], "fault_seconds": 0}, "faults come every so many seconds"),
        ({"symbols": ["币" * 86]}, "symbol '币币.*' is over 255 bytes long"),
    ]
    for options, said in cases:
        with pytest.raises(ValueError, match=said):
            Exchange(**options)
    assert Exchange(["币" * 85, "a" * 255]).url == "ws://127.0.0.1:0"
    assert Exchange(host="::1", port=5).url == "ws://[::1]:5"
