"""A feed from `connect` to its end: where options arrive, what is held, what is raised and when."""

from __future__ import annotations

import asyncio
import gc
import warnings
from datetime import time as time_of_day
from typing import Any

import pytest
from beside import nothing_left, sockets, until
from raw_server import BINARY, CLOSE, accept, scripted, wire

import binance_sbe
from binance_sbe import connect
from binance_sbe.errors import ConnectionLost, SlowConsumer, Unreachable
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

TRADES = "btcusdt@trade"


def trade(number: int) -> bytes:
    return encode(Trades("BTCUSDT", -2, -8, number, number, (Trade(number, 100, 1, False),)))


def best(number: int) -> bytes:
    return encode(BestBidAsk("BTCUSDT", -2, -8, number, number, (1, 1), (2, 1)))


def ids(message: Any) -> list[int]:
    return [int(number) for number in message.trades["id"]]


def test_every_option_of_connect_arrives() -> None:
    given: dict[str, Any] = {
        "lines": 3, "reconnect": False, "give_up_after": 7.0, "renew_after": 1000.0,
        "renew_at": time_of_day(3, 4), "open_timeout": 1.5, "reply_timeout": 2.5,
        "silence_timeout": 3.5,
    }  # fmt: skip
    feed = connect(
        TRADES, "ETHUSDT@depth", url="ws://127.0.0.1:1", max_queue=77, on_error="collect",
        on_overflow={"trade": "raise"}, stream_timeout={"trade": 9.0, "depth": None}, **given,
    )  # fmt: skip
    settings = feed._connections.engine.supervisor.settings
    assert {name: getattr(settings, name) for name in given} == given
    assert (settings.stream_timeout["trade"], settings.stream_timeout["depth"]) == (9.0, None)
    usual = connect(TRADES, url="ws://127.0.0.1:1")
    standard = usual._connections.engine.supervisor.settings
    assert settings.stream_timeout["bestBidAsk"] == standard.stream_timeout["bestBidAsk"]
    assert (feed._backlog.limit, usual._backlog.limit) == (77, 65536)
    assert connect(TRADES, url="ws://127.0.0.1:1", max_queue=1)._backlog.limit == 1
    assert (feed._on_error, usual._on_error) == ("collect", "raise")
    assert (feed.url, feed.rest_url) == ("ws://127.0.0.1:1", "http://127.0.0.1:1")
    assert (feed._wanted, feed.errors.maxlen) == ([TRADES, "ethusdt@depth"], 1000)
    assert repr(feed) == "<Feed ws://127.0.0.1:1, not open, 0 streams, 0 frames>"
    assert (feed.waiting, feed.reconnects, feed.streams) == (0, 0, [])
    assert (standard.lines, standard.reconnect, standard.give_up_after) == (1, True, 900.0)


def run(work: Any, *scripts: Any, **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), scripted(*scripts) as url:
            options.setdefault("reconnect", False)
            await work(connect(TRADES, url=url, api_key="k", **options))

    asyncio.run(main())


@pytest.mark.parametrize("rows", [False, True])
def test_what_waits_for_another_connection_is_handed_over_when_the_feed_fails(rows: bool) -> None:
    """Two connections; the second brings nothing of what the first is ahead of, and both end."""
    both, ahead = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def first(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, trade(1)))
        await both.acquire()
        writer.write(wire(BINARY, trade(3)) + wire(BINARY, trade(4)))
        await asyncio.sleep(0.05)
        ahead.release()
        writer.write(wire(CLOSE, b"\x03\xe8"))
        await reader.read(1)  # its answer

    async def second(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, trade(1)))
        both.release()
        await ahead.acquire()
        writer.write(wire(CLOSE, b"\x03\xe8"))
        await reader.read(1)  # its answer

    async def work(feed: Any) -> None:
        got: list[int] = []

        async def consume() -> None:
            if rows:
                async for batch in feed.batches(max_delay=0.01):
                    groups = batch[binance_sbe.TradesStreamEvent].groups["trades"]
                    got.extend(int(each["id"][0]) for each in groups)
            else:
                async for message in feed:
                    got.extend(ids(message))

        async with feed:
            with pytest.raises(ConnectionLost):
                await consume()
        assert (got, feed.waiting) == ([1, 3, 4], 0)
        assert [(hole.last_before, hole.first_after) for hole in feed.ledger.holes] == [(1, 3)]

    run(work, first, second, lines=2)


def test_what_waits_for_another_connection_is_handed_over_when_the_feed_is_closed() -> None:
    sent = asyncio.Semaphore(0)

    async def first(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, trade(1)))
        await sent.acquire()
        writer.write(wire(BINARY, trade(3)))
        await reader.read(1)  # its close

    async def second(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, trade(1)))
        sent.release()
        await reader.read(1)  # its close

    async def work(feed: Any) -> None:
        async with feed:
            assert ids(await anext(feed)) == [1]
            while feed.waiting == 0:
                await asyncio.sleep(0.01)
            closing = asyncio.create_task(feed.close())
            assert ids(await anext(feed)) == [3]
            with pytest.raises(StopAsyncIteration):
                await anext(feed)
            await closing

    run(work, first, second, lines=2)


@pytest.mark.parametrize("rows", [False, True])
def test_a_consumer_that_is_too_slow_is_told_so_once(rows: bool) -> None:
    """What had room before is there, and the feed is over."""

    async def script(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(b"".join(wire(BINARY, trade(number)) for number in range(1, 8)))
        await reader.read(1)  # its close

    async def work(feed: Any) -> None:
        async with feed:
            while feed.stats.frames < 7:
                await asyncio.sleep(0.01)
            assert (feed.waiting, feed.ledger.dropped) == (3, 4)
            taker = feed.batches() if rows else feed
            with pytest.raises(SlowConsumer, match=TRADES) as caught:
                await anext(taker)
            assert repr(feed).split(", ")[1:] == ["closed", "1 stream", "7 frames>"]
            assert caught.value.stream == TRADES
            left = [] if rows else [ids(await anext(feed)) for _ in range(3)]
            assert left == ([] if rows else [[1], [2], [3]])
            with pytest.raises(SlowConsumer):
                await anext(feed)

    run(work, script, max_queue=3, on_overflow="raise")


def test_a_feed_that_could_not_be_opened_is_not_open() -> None:
    async def main() -> None:
        feed = connect(TRADES, url="ws://127.0.0.1:9", api_key="k", reconnect=False)
        with pytest.raises(Unreachable):
            await feed.__aenter__()
        with pytest.raises(RuntimeError, match="not open"):
            await anext(feed)
        with pytest.raises(RuntimeError, match="not open"):
            feed.renew()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del feed
            gc.collect()

    asyncio.run(main())


def test_the_end_is_told_after_the_last_frame_and_again() -> None:
    async def script(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, trade(1)) + wire(BINARY, b"bad") + wire(CLOSE, b"\x03\xe9bye"))
        await reader.read(1)  # its answer

    async def work(feed: Any) -> None:
        async with feed:
            assert ids(await anext(feed)) == [1]
            with pytest.raises(binance_sbe.DecodeError):
                await anext(feed)
            for _ in range(2):
                with pytest.raises(ConnectionLost, match="bye"):
                    await anext(feed)
            with pytest.raises(ConnectionLost, match="bye"):
                await anext(feed.batches())
        with pytest.raises(RuntimeError, match="this is closed"):
            aiter(feed)

    run(work, script)


def test_the_latest_thousand_errors_are_kept_and_all_are_counted() -> None:
    async def script(reader: Any, writer: Any) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, b"bad") * 1500 + wire(BINARY, trade(1)) + wire(BINARY, best(1)))
        await reader.read(1)  # its close

    async def work(feed: Any) -> None:
        async with feed:
            assert ids(await anext(feed)) == [1]
            assert (len(feed.errors), feed.stats.rejected) == (1000, 1500)
            assert (feed.ledger.damaged_count, len(feed.ledger.damaged)) == (1500, 1000)

    run(work, script, on_error="collect")


@pytest.mark.parametrize("turns", range(4))
def test_a_close_that_is_cancelled_leaves_no_socket(turns: int) -> None:
    """Whenever that is: what it has begun, and what it has not, is over with the next."""

    async def work() -> Any:
        async with Exchange(["btcusdt"]) as exchange:
            before = sockets()
            feed = connect(TRADES, "btcusdt@bestBidAsk", url=exchange.url, api_key="k", lines=2)
            await feed.__aenter__()
            closing = asyncio.ensure_future(feed.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([closing])
            await feed.__aexit__(None, None, None)
            # while the exchange is there: its own end would close what was left
            await asyncio.to_thread(until, lambda: sockets() <= before, 5)
        return feed

    with nothing_left():
        feed = asyncio.run(asyncio.wait_for(work(), 20))
    assert feed.ledger.connections
