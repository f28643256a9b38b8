"""A relay of a live feed: what clients get, and what the exchange is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from recorded import Recorded
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

import binance_sbe
from binance_sbe import decode, rest
from binance_sbe.serving.relay import Relay
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Diff, Trade, Trades

T, B, D = "btcusdt@trade", "btcusdt@bestBidAsk", "btcusdt@depth"
KEY = "an-upstream-key-1234"


def trade(number: int) -> bytes:
    return encode(Trades("BTCUSDT", -2, -8, 1, 1, (Trade(number, 1, 1, True),)))


def best(number: int) -> bytes:
    return encode(BestBidAsk("BTCUSDT", -2, -8, 1, number, (99, 1), (101, 2)))


def diff(number: int) -> bytes:
    return encode(Diff("BTCUSDT", -2, -8, 1, number, number, (), ()))


class Quiet(Recorded):
    """An exchange whose market rests, so that what comes is what a test sends."""

    def __init__(self, **options: Any) -> None:
        super().__init__("btcusdt", "ethusdt", rate=1e-9, api_keys=[KEY], **options)
        self.is_quiet = True

    def publish(self, event: Any) -> None:
        if not self.is_quiet:
            super().publish(event)

    @property
    def asked(self) -> set[str]:
        """What its clients have subscribed to."""
        return {name for each in self._connections.values() for name in each.streams}


@contextlib.asynccontextmanager
async def relayed(**options: Any) -> AsyncIterator[tuple[Quiet, Relay]]:
    of_feed = options.pop("feed", {})
    options = {"control_limit": 100} | options
    async with Quiet() as exchange:
        feed = binance_sbe.connect(url=exchange.url, api_key=KEY, proxy=None, **of_feed)
        async with Relay(feed, **options) as relay:
            yield exchange, relay


@contextlib.asynccontextmanager
async def client_of(relay: Relay, *streams: str, **options: Any) -> AsyncIterator[ClientConnection]:
    path = "/ws" + "".join(f"/{each}" for each in streams)
    async with open_websocket(relay.url + path, proxy=None, **options) as socket:
        if streams:  # what is acknowledged is passed on from then on
            await ask(socket, "LIST_SUBSCRIPTIONS")
        yield socket


async def ask(socket: ClientConnection, method: str, *params: Any) -> Any:
    await socket.send(json.dumps({"method": method, "params": params, "id": 7}))
    while isinstance(reply := await next_of(socket), bytes):
        pass
    return json.loads(reply)


async def next_of(socket: ClientConnection) -> Any:
    return await asyncio.wait_for(socket.recv(), 10)


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_clients_share_one_connection_and_get_what_they_asked_for() -> None:
    async def work() -> None:
        async with (
            relayed() as (exchange, relay),
            client_of(relay, T) as one,
            client_of(relay, T, B) as two,
        ):
            assert len(exchange.clients) == 1
            assert exchange.asked == {T, B}
            for number in (1, 2):
                exchange.send(T, trade(number))
                exchange.send(B, best(number))
            assert [await next_of(one) for _ in range(2)] == [trade(1), trade(2)]
            assert [await next_of(two) for _ in range(4)] == [trade(1), best(1), trade(2), best(2)]
            assert relay.events_sent == 6
            assert relay.passed == 4

    run(work())


def test_requests_are_answered_as_by_the_exchange() -> None:
    async def work() -> None:
        async with relayed() as (exchange, relay), client_of(relay) as socket:
            assert exchange.clients == []
            assert await ask(socket, "LIST_SUBSCRIPTIONS") == {"result": [], "id": 7}
            assert await ask(socket, "SUBSCRIBE", T, B) == {"result": None, "id": 7}
            assert exchange.asked == {T, B}
            assert await ask(socket, "LIST_SUBSCRIPTIONS") == {"result": [T, B], "id": 7}
            assert await ask(socket, "UNSUBSCRIBE", T) == {"result": None, "id": 7}
            for wrong in ("btcusdt@kline", "BTCUSDT@trade", "x", 5):
                reply = await ask(socket, "SUBSCRIBE", wrong)
                assert (reply["code"], reply["id"]) == (2, 7)

    run(work())


def test_what_the_exchange_refuses_is_refused_and_costs_nothing_else() -> None:
    async def work() -> None:
        async with relayed() as (exchange, relay), client_of(relay, T) as socket:
            reply = await ask(socket, "SUBSCRIBE", "nosuch@trade")
            assert reply["code"] == 2
            assert "the exchange refused" in reply["msg"]
            assert await ask(socket, "LIST_SUBSCRIPTIONS") == {"result": [T], "id": 7}
            exchange.send(T, trade(1))
            assert await next_of(socket) == trade(1)
            async with open_websocket(f"{relay.url}/ws/nosuch@trade", proxy=None) as other:
                with pytest.raises(ConnectionClosed) as closed:
                    await next_of(other)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008
                assert "the exchange refused" in closed.value.rcvd.reason

    run(work())


def test_streams_are_asked_for_once_and_given_up_with_the_last_client() -> None:
    async def work() -> None:
        async with relayed(linger=0.1) as (exchange, relay):
            async with client_of(relay, T, B), client_of(relay, T) as two:
                assert exchange.asked == {T, B}
                await ask(two, "SUBSCRIBE", D)
                assert exchange.asked == {T, B, D}
                await ask(two, "UNSUBSCRIBE", T)
                await asyncio.sleep(0.4)
                assert exchange.asked == {T, B, D}  # the other one has it
            await until(lambda: not exchange.asked)
            async with client_of(relay, T) as again:
                assert exchange.asked == {T}
                exchange.send(T, trade(9))
                assert await next_of(again) == trade(9)

    run(work())


def test_who_comes_back_soon_finds_the_stream_still_there() -> None:
    async def work() -> None:
        async with relayed(linger=30.0) as (exchange, relay):
            async with client_of(relay, T):
                pass
            await asyncio.sleep(0.2)
            assert exchange.asked == {T}

    run(work())


def test_what_the_feed_was_made_with_is_there_from_the_beginning_and_stays() -> None:
    async def work() -> None:
        async with Quiet() as exchange:
            feed = binance_sbe.connect(T, url=exchange.url, api_key=KEY, proxy=None)
            async with Relay(feed, linger=0.05) as relay:
                assert exchange.asked == {T}
                exchange.send(T, trade(1))
                async with client_of(relay, T) as late:
                    exchange.send(T, trade(2))
                    assert await next_of(late) == trade(2)  # from then on
                await asyncio.sleep(0.3)
                assert exchange.asked == {T}

    run(work())


def test_each_event_comes_once_whatever_many_connections_bring() -> None:
    async def work() -> None:
        async with relayed(feed={"lines": 2}) as (exchange, relay), client_of(relay, T) as socket:
            await until(lambda: len(exchange.clients) == 2)
            for number in range(1, 50):
                exchange.send(T, trade(number))
            found = [decode(await next_of(socket)).trades["id"][0] for _ in range(49)]  # type: ignore[union-attr]
            assert found == list(range(1, 50))

    run(work())


def test_a_cut_upstream_is_a_gap_in_the_ids_and_nothing_false() -> None:
    async def work() -> None:
        async with relayed() as (exchange, relay), client_of(relay, T) as socket:
            exchange.send(T, trade(1))
            assert await next_of(socket) == trade(1)
            for each in exchange.clients:
                each.transport.abort()
            await until(lambda: not exchange.clients)
            exchange.send(T, trade(2))  # nobody hears it
            await until(lambda: exchange.asked == {T})
            exchange.send(T, trade(3))
            assert await next_of(socket) == trade(3)
            assert relay.feed.ledger.holes_count == 1

    run(work())


def test_frames_of_newer_versions_are_passed_on_as_they_came() -> None:
    async def work() -> None:
        async with relayed() as (exchange, relay), client_of(relay, B) as socket:
            assert exchange.inflict("newer")
            exchange.send(B, best(1))
            frame = await next_of(socket)
            assert frame != best(1)
            assert len(frame) == len(best(1)) + 3
            exchange.send(B, b"no message at all")
            exchange.send(B, best(2))
            assert await next_of(socket) == best(2)
            assert relay.unreadable == 1

    run(work())


def test_keys_are_not_looked_at_unless_they_are_given() -> None:
    async def work() -> None:
        async with relayed() as (_, relay):
            for headers in ({}, {"X-MBX-APIKEY": "x"}):
                async with client_of(relay, T, additional_headers=headers):
                    pass
        async with relayed(api_keys=["mine"]) as (_, relay):
            for headers in ({}, {"X-MBX-APIKEY": "x"}, {"X-MBX-APIKEY": KEY}):
                with pytest.raises(InvalidStatus) as refused:
                    async with client_of(relay, T, additional_headers=headers):
                        pass
                assert refused.value.response.status_code == 401
                assert KEY.encode() not in refused.value.response.serialize()
            async with client_of(relay, T, additional_headers={"X-MBX-APIKEY": "mine"}):
                pass

    run(work())


def test_our_own_feed_and_books_take_a_relay_for_the_exchange() -> None:
    pytest.importorskip("aiohttp")

    async def work() -> None:
        async with relayed() as (exchange, relay):
            exchange.is_quiet = False
            exchange.rate = 500.0
            where: Any = {"url": relay.url, "api_key": "any", "proxy": None}
            async with binance_sbe.books("btcusdt", **where) as kept:
                await kept.wait(timeout=20)
                book = kept["btcusdt"]
                await until(lambda: book.audit.agreed > 20)
                assert book.audit.failures == 0
                assert book.state == "live"
            async with binance_sbe.connect(T, B, **where) as feed:
                for _ in range(50):
                    await anext(feed)
                assert feed.ledger.holes_count == 0

    run(work())


def test_rest_answers_ping_time_and_depth_of_what_is_passed_on() -> None:
    pytest.importorskip("aiohttp")

    async def work() -> None:
        async with relayed() as (exchange, relay):
            url = relay.url.replace("ws:", "http:")
            async with rest.Client(url=url, proxy=None) as web:
                await web.get("/api/v3/ping")
                assert (await web.get("/api/v3/time")).server_time > 1.7e15
                with pytest.raises(binance_sbe.BinanceError, match="subscribed to its depth"):
                    await web.depth("BTCUSDT", 5)
                with pytest.raises(binance_sbe.BinanceError, match="no such path"):
                    await web.get("/api/v3/exchangeInfo")
                async with client_of(relay, D) as socket:
                    market = exchange.markets["btcusdt"]
                    answer = await web.depth("BTCUSDT", 5)
                    assert answer.last_update_id == market.update_id
                    assert len(answer.bids) == len(answer.asks) == 5
                    exchange.is_quiet = False
                    for _ in range(200):
                        market.step(1)
                    message = decode(await next_of(socket))
                    later = await web.depth("BTCUSDT", 20)
                    assert later.last_update_id >= message.last_book_update_id  # type: ignore[union-attr]
                    truth = market.depth(0, 20)
                    if later.last_update_id == truth.update_id:
                        assert tuple(later.bids.tolist()) == truth.bids
                        assert tuple(later.asks.tolist()) == truth.asks
                    assert exchange.asked == {D}

    run(work())


def test_the_end_of_the_feed_is_told_to_clients_and_raised() -> None:
    async def work() -> None:
        async with Quiet() as exchange:
            options: Any = {"give_up_after": 0.2, "reconnect": False}
            feed = binance_sbe.connect(T, url=exchange.url, api_key=KEY, proxy=None, **options)
            async with Relay(feed) as relay, client_of(relay, T) as socket:
                for each in exchange.clients:
                    each.transport.abort()
                with pytest.raises(ConnectionClosed) as closed:
                    await next_of(socket)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1001
                assert closed.value.rcvd.reason.startswith("the feed has ended: ")
                with pytest.raises(binance_sbe.ConnectionLost):
                    await relay.wait()

    run(work())


def test_what_can_not_be_relayed_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    feed = binance_sbe.connect(T, url="ws://127.0.0.1:1", api_key=KEY)
    with pytest.raises(TypeError, match="of a feed of connect or replay, not str"):
        Relay("feed")  # type: ignore[arg-type]
    for options, said in (
        ({"soft_buffer": 0}, "soft_buffer is 1 to max_buffer"),
        ({"soft_buffer": 9, "max_buffer": 8}, "soft_buffer is 1 to max_buffer"),
        ({"wait_for": -1}, "at least 0"), ({"max_clients": 0}, "at least 1"),
        ({"linger": float("nan")}, "at least 0"), ({"host": ""}, "host is the address"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            Relay(feed, **options)  # type: ignore[arg-type]

    async def work() -> None:
        with pytest.raises(binance_sbe.Unreachable):
            async with Relay(feed):
                pass
        async with relayed() as (exchange, relay):
            taken = binance_sbe.connect(url=exchange.url, api_key=KEY, proxy=None)
            with pytest.raises(OSError, match="in use"):
                async with Relay(taken, port=relay.port):
                    pass
        async with relayed(host="0.0.0.0"):
            pass

    run(work())
    assert "open to other machines" in caplog.text
