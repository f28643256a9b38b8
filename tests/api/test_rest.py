"""The REST client and the filling of holes, against the local exchange over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from recorded import Recorded

import binance_sbe
from binance_sbe import rest, spot_sbe
from binance_sbe.api import rest as api_rest
from binance_sbe.errors import BinanceError, FeedError, NotSbe, RateLimited, Unreachable
from binance_sbe.feed.backfill import FilledTrades, fill
from binance_sbe.feed.ledger import Hole
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.market import Market
from binance_sbe.simulator.rest import Rest

SBE = {"Accept": "application/sbe", "X-MBX-SBE": "3:5"}


def run(work: Callable[[Recorded, rest.Client], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with Recorded(**options) as exchange, rest.Client(url=exchange.url) as client:
            await asyncio.wait_for(work(exchange, client), 40)

    asyncio.run(main())


def test_what_the_exchange_answers_is_decoded() -> None:
    async def work(exchange: Recorded, client: rest.Client) -> None:
        await asyncio.sleep(0.3)
        market = exchange.markets["btcusdt"]
        true = list(market.history)[:7]
        answer = await client.historical_trades("btcusdt", true[0][1].id, 7)
        assert isinstance(answer, spot_sbe.TradesResponse)
        names = ["id", "price", "qty", "is_buyer_maker"]
        assert answer.trades[names].tolist() == [tuple(trade) for _, trade in true]
        assert answer.trades["time"].tolist() == [at for at, _ in true]
        assert client.used_weight == 25
        depth = await client.get("/api/v3/depth", symbol="BTCUSDT", limit=5)
        assert len(depth.bids) == len(depth.asks) == 5
        assert client.used_weight == 30
        clock = await client.server_time()
        assert abs(clock - market.history[-1][0]) < 60_000_000
        assert repr(client) == f"<rest.Client {client.url}, weight used: 31>"

    run(work, rate=5000)


def test_errors_of_the_exchange_are_raised_as_such() -> None:
    async def work(exchange: Recorded, client: rest.Client) -> None:
        with pytest.raises(BinanceError, match="-1121: Invalid symbol"):
            await client.historical_trades("nope", 1)
        with pytest.raises(BinanceError, match="-1100"):
            await client.get("/api/v3/depth", symbol="BTCUSDT", limit="many")
        with pytest.raises(NotSbe):
            await client.get("/nowhere")
        with pytest.raises(FeedError, match="asked for a TradesResponse, and got a D"):
            api_rest._expected(
                await client.get("/api/v3/depth", symbol="BTCUSDT"), spot_sbe.TradesResponse
            )

    run(work)


def test_a_limit_is_kept_without_asking_again() -> None:
    async def work(exchange: Recorded, client: rest.Client) -> None:
        await client.historical_trades("btcusdt", 1)
        await client.historical_trades("btcusdt", 1)
        with pytest.raises(RateLimited, match="has had enough requests") as caught:
            await client.historical_trades("btcusdt", 1)
        assert 0 < caught.value.retry_after <= 60
        asked = exchange.rest.refused
        for _ in range(20):
            with pytest.raises(RateLimited):
                await client.server_time()
        assert exchange.rest.refused == asked
        client.blocked_until = 0.0
        exchange.rest.next_refusal = 418, 3
        with pytest.raises(RateLimited, match="has banned this address .HTTP 418.: again in 3 s"):
            await client.server_time()

    run(work, weight_limit=50)


def test_the_local_exchange_bans_who_goes_on_asking() -> None:
    book = Rest({"btcusdt": Market("btcusdt")}, weight_limit=1, ban_seconds=90)
    answers = [book.answer("/api/v3/ping", SBE, 6000.0 + i) for i in range(13)]
    assert [each and each.status for each in answers] == [200] + [429] * 10 + [418] * 2
    assert answers[1] is not None
    assert answers[1].headers["Retry-After"] == "59"
    assert answers[12] is not None
    assert answers[12].headers["Retry-After"] == "90"
    later = book.answer("/api/v3/ping", SBE, 6102.0)
    assert later is not None
    assert later.status == 200


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 406, None),
        ({"Accept": "application/sbe"}, 400, -1152),
        ({"Accept": "application/sbe", "X-MBX-SBE": "three"}, 400, -1152),
        ({"Accept": "application/sbe", "X-MBX-SBE": "4:0"}, 400, -1153),
        ({"Accept": "application/sbe", "X-MBX-SBE": "3:6"}, 400, -1153),
    ],
)
def test_the_local_exchange_wants_a_schema_that_there_is(
    headers: dict[str, str], status: int, code: int | None
) -> None:
    answer = Rest({}, 10, 1).answer("/api/v3/ping", headers, 0.0)
    assert answer is not None
    assert answer.status == status
    if code is not None:
        assert spot_sbe.decode(answer.body).code == code


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="environment 'moon' is not one of prod, testnet, demo"):
        rest.Client(environment="moon")
    with pytest.raises(ValueError, match=r"url 'ftp://x' is not ws:// or wss:// or http://"):
        rest.Client(url="ftp://x")
    assert rest.Client(url="wss://host:9443").url == "https://host:9443"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def work() -> None:
        closed = rest.Client(url=f"http://127.0.0.1:{port}", api_key="secret")
        assert "secret" not in repr(closed)
        with pytest.raises(RuntimeError, match="write 'async with rest.Client"):
            await closed.server_time()
        async with closed as client:
            with pytest.raises(Unreachable, match=str(port)):
                await client.server_time()

    asyncio.run(work())


def test_an_exchange_that_says_nothing_is_not_waited_for() -> None:
    async def work() -> None:
        ended = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with rest.Client(url=f"http://127.0.0.1:{port}", timeout=0.2) as client:
            with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
                await client.server_time()
        await ended.wait()
        server.close()
        await server.wait_closed()

    asyncio.run(work())


# holes


async def filled_feed(exchange: Recorded, seen: list[int], filled: list[FilledTrades]) -> Any:
    """A feed of trades whose connection is cut three times, and what REST gives of its holes."""
    async with binance_sbe.connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:

        async def fill_holes() -> None:
            async for each in feed.fill_trades():
                filled.append(each)

        async def cut() -> None:
            for turn in range(3):
                await asyncio.sleep(0.5)
                while not exchange.clients:
                    await asyncio.sleep(0.05)
                before = len(seen)
                while len(seen) == before:  # so that each cut has a hole of its own
                    await asyncio.sleep(0.05)
                if turn == 1:
                    exchange.rest.next_refusal = 429, 1
                for client in exchange.clients:
                    client.transport.abort()
            await asyncio.sleep(2.5)
            exchange.rate = 1e-9
            await asyncio.sleep(0.5)
            await feed.close()

        tasks = [asyncio.create_task(fill_holes()), asyncio.create_task(cut())]
        async for message in feed:
            seen += message.trades["id"].tolist()
        await asyncio.gather(*tasks)
        return feed


def test_trades_of_holes_come_by_rest_and_make_the_record_whole() -> None:
    async def work(exchange: Recorded, client: rest.Client) -> None:
        seen: list[int] = []
        filled: list[FilledTrades] = []
        feed = await filled_feed(exchange, seen, filled)
        assert len(feed.ledger.holes) == 3
        assert all(hole.filled == hole.ids for hole in feed.ledger.holes)
        by_rest = [int(each) for part in filled for each in part.trades["id"]]
        whole = sorted(seen + by_rest)
        assert by_rest
        assert whole == list(range(whole[0], whole[-1] + 1))
        true = {trade.id: trade for _, trade in exchange.markets["btcusdt"].history}
        for part in filled:
            assert part.symbol == "BTCUSDT"
            assert part.hole in feed.ledger.holes
            for trade in part.trades:
                assert (trade["price"], trade["qty"]) == true[int(trade["id"])][1:3]

    run(work, rate=2000)


def test_more_than_a_thousand_trades_come_in_parts() -> None:
    async def work(exchange: Recorded, client: rest.Client) -> None:
        market = exchange.markets["btcusdt"]
        first = market.trade_id + 1
        while market.trade_id < first + 2500:
            market.step(1)
        hole = Hole("btcusdt@trade", first - 1, first + 2400, 0, 0, "a test")
        parts = [part async for part in fill(client, hole)]
        assert [len(part.trades) for part in parts] == [1000, 1000, 400]
        assert hole.filled == hole.ids == 2400
        assert repr(parts[2]) == (
            f"<FilledTrades BTCUSDT: 400 trades, ids {first + 2000} to {first + 2399}>"
        )
        gone = Hole("btcusdt@trade", first - 1000, first + 10, 0, 0, "a test")
        parts = [part async for part in fill(client, gone)]
        assert gone.filled == sum(len(part.trades) for part in parts) == 10

    run(work, rate=1e-9)


def test_what_can_not_be_filled_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def work(exchange: Recorded, client: rest.Client) -> None:
        exchange.markets["btcusdt"].history.clear()
        ledger = binance_sbe.feed.ledger.Ledger()
        ledger._add(Hole("btcusdt@trade", 1, 5, 0, 0, "a test"))
        ledger._add(Hole("btcusdt@depth", 1, 5, 0, 0, "a test"))
        from binance_sbe.feed.backfill import fill_all

        assert [part async for part in fill_all(client, ledger, lambda: True)] == []
        assert "btcusdt@trade: of 3 trades from id 2 on, REST has given 0" in caplog.text
        assert "@depth" not in caplog.text

    run(work, rate=1e-9)


def test_the_local_exchange_answers_others_by_http_too() -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"]) as exchange, aiohttp.ClientSession() as session:
            url = exchange.url.replace("ws:", "http:")
            async with session.get(f"{url}/api/v3/time", headers=SBE) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == "application/sbe"
                assert spot_sbe.decode(await answer.read()).server_time > 0
            async with session.get(f"{url}/ws") as answer:  # which is for WebSocket
                assert answer.status == 401
            key = {"X-MBX-APIKEY": "k"}
            for path, status in (("/ws", 426), ("/nowhere", 404), ("/ws/x@trade", 400)):
                async with session.get(url + path, headers=key) as answer:
                    assert (path, answer.status) == (path, status)

    asyncio.run(work())
