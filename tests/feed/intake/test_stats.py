"""Histograms, what a feed measures with them, what the backlog holds, and metrics."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st
from intake import intake
from websockets.asyncio.server import ServerConnection, serve

from binance_sbe import DecodeError, Feed, connect
from binance_sbe.errors import ConnectionLost
from binance_sbe.feed.intake.stats import Histogram
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.ledger import Ledger
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Diff


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=200), st.floats(0, 100))
def test_percentiles_are_within_a_bucket(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    assert histogram.count == len(values)
    assert histogram.max == max(values)
    assert math.isclose(histogram.mean, math.fsum(values) / len(values), rel_tol=1e-9)
    rank = math.ceil(Fraction(percent) / 100 * len(values) * (1 - Fraction(1, 10**12)))
    exact = sorted(values)[max(0, rank - 1)]
    assert math.isclose(histogram.percentile(percent), exact, rel_tol=0.016, abs_tol=0.51)


@given(st.integers(0, 2**63 - 1))
def test_a_value_is_found_in_its_bucket(value: int) -> None:
    histogram = Histogram()
    histogram.add(value)
    histogram.add(2**63 - 1)
    found = histogram.p50
    assert found == value if value < 64 else abs(found - value) <= value * 0.016


def test_histograms_of_nothing_and_of_the_impossible() -> None:
    histogram = Histogram()
    assert math.isnan(histogram.p999)
    assert math.isnan(histogram.mean)
    assert repr(histogram) == "<Histogram, empty>"
    histogram.add(-5, times=3)
    histogram.add(7, times=0)
    assert (histogram.count, histogram.negative, histogram.max) == (3, 3, 0)
    assert histogram.p99 == 0
    for wrong in (-1, 101, math.nan):
        with pytest.raises(ValueError, match="percent is from 0 to 100"):
            histogram.percentile(wrong)
    with pytest.raises(ValueError, match="times"):
        histogram.add(1, -1)
    assert repr(histogram).startswith("<Histogram of 3: p50 0 ns, p99 0 ns, p99.9 0 ns, max 0 ns")


def test_percentiles_count_ranks_exactly() -> None:
    histogram = Histogram()
    histogram.add(10, 999)
    histogram.add(10_000_000, 1)
    assert histogram.p999 == 10
    assert histogram.percentile(99.91) > 1e6
    other = Histogram()
    other.add(1, 7)
    other.add(1_000_000, 93)
    assert other.percentile(7) == 1


def test_counts_are_of_what_is_up_to_each_edge() -> None:
    histogram = Histogram()
    assert histogram.counts([1, 10]) == [0, 0, 0]
    histogram.add(5, 3)
    histogram.add(1000, 2)
    histogram.add(10**9)
    assert histogram.counts([10, 2000]) == [3, 2, 1]
    assert histogram.counts([4.5, 10**10]) == [0, 6, 0]
    assert histogram.counts([]) == [6]
    assert sum(histogram.counts(range(0, 5000, 7))) == histogram.count
    for wrong in ([2, 2], [3, 1], [-1], [math.nan]):
        with pytest.raises(ValueError, match="edges rise from 0 on"):
            histogram.counts(wrong)


def test_event_times_may_be_any_number() -> None:
    line = Source()
    _, backlog = intake(10)
    times = [-(2**63), 0, 2**63 - 1]
    for at in times:
        ids = [at // 2**60 + 20] * 2  # which go up
        frame = bytearray(encode(Diff("BTCUSDT", -2, -8, 0, *ids, bids=(), asks=())))
        frame[8:16] = at.to_bytes(8, "little", signed=True)  # one of them stands for null
        backlog.put(bytes(frame), 2**62, line)
    assert [backlog.next_message().event_time for _ in times] == times
    assert backlog.stats.event_to_received.count == backlog.stats.decoding.count == 3
    assert backlog.stats.decoding.negative == 0
    assert backlog.stats.decode_ns(50) > 0


def run(work: Callable[[Exchange], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            await asyncio.wait_for(work(exchange), 30)

    asyncio.run(main())


def test_every_message_is_measured_once() -> None:
    async def work(exchange: Exchange) -> None:
        names = [f"btcusdt@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]
        options: dict[str, Any] = {"url": exchange.url, "api_key": "k"}
        async with connect(*names, **options) as feed:
            for _ in range(200):
                await anext(feed)
            for histogram in measured(feed):
                assert histogram.count == 200
            assert feed.stats.decoding.p50 < feed.stats.received_to_decoded.max + 1000
        async with connect(*names, **options) as feed:
            rows = 0
            async for batch in feed.batches(max_messages=60, max_delay=0.02):
                rows += len(batch)
                assert feed.stats.decoded_to_handed_over.count == rows
                if rows > 400:
                    await feed.close()
            for histogram in measured(feed):
                assert histogram.count == rows == feed.stats.frames
                assert histogram.negative == 0
            assert 0 < feed.stats.event_to_received.p50 < 5e9

    run(work)


def measured(feed: Any) -> list[Histogram]:
    stats = feed.stats
    return [
        stats.event_to_received, stats.received_to_decoded, stats.decoded_to_handed_over,
        stats.decoding,
    ]  # fmt: skip


def quiet_feed(exchange: Exchange, **options: Any) -> Feed:
    """A feed of trades on which nothing comes but what the test sends."""
    exchange.rate = 1e-9
    return connect("btcusdt@trade", url=exchange.url, api_key="k", **options)


def test_messages_and_batches_by_turns_lose_nothing() -> None:
    async def work(exchange: Exchange) -> None:
        async with quiet_feed(exchange) as feed:
            seen = 0
            for turn in range(6):
                for _ in range(50):
                    exchange.send("btcusdt@trade", vectors.next_trade())
                if turn % 2:
                    for _ in range(10):
                        assert (await anext(feed)).symbol == "BTCUSDT"
                        seen += 1
                else:
                    batches = feed.batches(max_messages=20, max_delay=0.2)
                    batch = await anext(batches)
                    assert len(batch) == 20
                    seen += len(batch)
                    await batches.aclose()  # type: ignore[attr-defined]
            await asyncio.sleep(0.2)
            async for batch in feed.batches(max_messages=1000, max_delay=0.3):
                seen += len(batch)
                if seen >= 300:
                    break
            assert (seen, feed.stats.frames) == (300, 300)
            assert feed.stats.bytes == 300 * len(vectors.TRADES)

    run(work)


def test_iterations_that_nobody_closed_do_not_stop_others() -> None:
    async def work(exchange: Exchange) -> None:
        async with quiet_feed(exchange) as feed:
            for _ in range(10):
                exchange.send("btcusdt@trade", vectors.next_trade())
                batch = await asyncio.wait_for(anext(feed.batches(max_delay=0.01)), 5)
                assert len(batch) == 1
            outer = feed.batches(max_delay=0.01)
            for _ in range(5):
                exchange.send("btcusdt@trade", vectors.next_trade())
                assert len(await asyncio.wait_for(anext(outer), 5)) == 1
                exchange.send("btcusdt@trade", vectors.next_trade())
                assert (await asyncio.wait_for(anext(feed), 5)).symbol == "BTCUSDT"
            assert feed.stats.frames == 20

    run(work)


def test_a_slow_taker_of_batches_stops_the_exchange() -> None:
    async def work(exchange: Exchange) -> None:
        async with quiet_feed(exchange, max_queue=100) as feed:
            batches = feed.batches(max_messages=30, max_delay=0.2)
            exchange.send("btcusdt@trade", vectors.next_trade())
            rows = len(await anext(batches))
            for _ in range(50_000):
                exchange.send("btcusdt@trade", vectors.next_trade())
            await asyncio.sleep(0.5)
            assert feed.stats.frames < 40_000  # what was in a buffer became rows, no more
            while rows < 50_001:
                batch = await anext(batches)
                assert len(batch) <= 30
                rows += len(batch)
            assert rows == feed.stats.frames == 50_001

    run(work)


def test_messages_in_several_frames_are_put_together() -> None:
    async def handler(connection: ServerConnection) -> None:
        request = await connection.recv()
        number = str(request).partition('"id": ')[2].rstrip("}")
        await connection.send(iter(['{"result": null, ', f'"id": {number}}}']))
        for size in (1, 7, 30):
            frame = vectors.next_trade()
            parts = [frame[i : i + size] for i in range(0, len(frame), size)]
            await connection.send(iter(parts))
        await connection.wait_closed()

    async def work() -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            options: Any = {"url": f"ws://127.0.0.1:{port}", "api_key": "k"}
            async with connect("btcusdt@trade", **options) as feed:
                assert len((await anext(feed)).trades) == 1
                batch = await anext(feed.batches(max_messages=2, max_delay=5))
                assert len(batch) == 2
                assert feed.stats.bytes == 3 * len(vectors.TRADES)

    asyncio.run(work())


def test_a_close_with_a_code_is_told() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"result": null, "id": 1}')
        await connection.close(1012, "restarting")

    async def work() -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            options: Any = {"url": f"ws://127.0.0.1:{port}", "api_key": "k"}
            async with connect("btcusdt@trade", reconnect=False, **options) as feed:
                with pytest.raises(ConnectionLost, match="restarting") as caught:
                    await anext(feed)
                assert caught.value.code == 1012
                with pytest.raises(ConnectionLost):
                    await feed.subscribe("btcusdt@depth")

    asyncio.run(work())


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(ValueError, match="transport is 'websockets' or 'picows', not 'carrier'"):
        connect("btcusdt@trade", transport="carrier")
    for known in ("websockets", "picows"):
        with pytest.warns(DeprecationWarning, match="transport= has no effect any more"):
            connect("btcusdt@trade", transport=known)


def test_an_inbox_keeps_frames_or_makes_rows() -> None:
    woken: list[int] = []
    line = Source()
    _, backlog = intake(10, wake=lambda: woken.append(1))
    stats = backlog.stats
    frames = [vectors.next_trade() for _ in range(13)]
    for frame in frames[:4]:
        backlog.put(frame, 5, line)
    assert (backlog.pending, backlog.batches.rows, backlog.full) == (4, 0, False)
    assert woken
    backlog.gather(6)
    assert (backlog.pending, backlog.batches.rows, stats.frames) == (4, 4, 4)
    for frame in frames[4:12]:
        backlog.put(frame, 7, line)
    assert backlog.full
    batches = [backlog.hand_over() for _ in range(2)]
    assert [batch.frame_count for batch in batches] == [6, 6]
    received = np.concatenate(
        [t.records["received_ns"] for b in batches for t in b.tables.values()]
    )
    assert sorted(received.tolist()) == [5] * 4 + [7] * 8
    assert backlog.pending == 0
    backlog.put(b"bad", 1, line)
    assert len(backlog.hand_over().rejected) == 1
    assert stats.event_to_received.count == 12
    backlog.stop_gathering()
    backlog.put(frames[12], 9, line)
    assert bytes(backlog.next_message()) == frames[12]
    backlog.put(b"no message", 9, line)
    with pytest.raises(DecodeError):
        backlog.next_message()
    assert (backlog.pending, stats.rejected, stats.event_to_received.count) == (0, 1, 13)


def test_frames_count_for_the_connection_that_brought_them_whatever_comes_between() -> None:
    """Here an error ends the first read before it is counted."""
    failures = [RuntimeError("once")]

    def wake() -> None:
        if failures:
            raise failures.pop()

    one, two = Source(), Source()
    _, backlog = intake(10, wake=wake)
    with pytest.raises(RuntimeError, match="once"):
        backlog.put(b"one", 1, one)
    backlog.put(b"another", 2, two)
    backlog.put(b"a third", 3, two)
    assert (one.frames, one.bytes, two.frames, two.bytes) == (1, 3, 2, 14)


def test_the_ledger_forgets_the_oldest_connections_that_ended() -> None:
    from binance_sbe.feed.intake.streams import Source
    from binance_sbe.feed.ledger import MOST_CONNECTIONS, ConnectionRecord

    ledger = Ledger()
    for number in range(MOST_CONNECTIONS + 20):
        connection = ConnectionRecord(f"connection {number}", Source(), number)
        ledger.note_connection(connection)
        if number:
            ledger.note_end(connection, number, "lost")
    assert len(ledger.connections) == MOST_CONNECTIONS
    assert (ledger.connections_count, ledger.ended_count) == (520, 519)
    names = [each.name for each in ledger.connections]
    assert names[:2] == ["connection 0", "connection 21"]  # the first is open
