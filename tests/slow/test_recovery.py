"""A feed against an exchange that fails: what came is the truth, less what the ledger lists."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from recorded import STREAMS, Recorded, plain
from shells import SHELLS, moved
from websockets.asyncio.server import broadcast

import binance_sbe
from binance_sbe import Feed, TradesStreamEvent
from binance_sbe.errors import SlowConsumer
from binance_sbe.feed.ledger import ConnectionRecord
from binance_sbe.feed.protocol import shards
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades
from binance_sbe.simulator.faults import KINDS


def run(work: Callable[[Recorded], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with Recorded(options.pop("symbol", "btcusdt"), **options) as exchange:
            await asyncio.wait_for(work(exchange), 40)

    asyncio.run(main())


def ids_of(message: Any) -> tuple[int, int]:
    match type(message).__name__:
        case "TradesStreamEvent":
            return int(message.trades["id"][0]), int(message.trades["id"][-1])
        case "DepthDiffStreamEvent":
            return message.first_book_update_id, message.last_book_update_id
        case _:
            return message.book_update_id, message.book_update_id


def kind_of(message: Any) -> str:
    return {
        "TradesStreamEvent": "trade", "BestBidAskStreamEvent": "bestBidAsk",
        "DepthSnapshotStreamEvent": "depth20", "DepthDiffStreamEvent": "depth",
    }[type(message).__name__]  # fmt: skip


def check(exchange: Recorded, feed: Feed, seen: list[bytes]) -> None:
    """Each stream's frames are those published, once and in order, but for what holes cover.

    From the first that was published when somebody had subscribed to the very last.
    """
    by_stream: dict[str, list[bytes]] = {name: [] for name in exchange.published}
    for frame in seen:
        message: Any = binance_sbe.decode(frame)
        by_stream[f"{message.symbol.lower()}@{kind_of(message)}"].append(frame)
    for name, frames in by_stream.items():
        true = exchange.published[name][exchange.heads[name] :]
        got = set(frames)
        assert len(got) == len(frames), f"{name}: twice"
        stream = feed.ledger.streams[name]
        check_order(frames, true, stream.out_of_order + stream.late)
        holes = [h for h in feed.ledger.holes if h.stream == name]
        missing = [ids_of(binance_sbe.decode(frame)) for frame in true if frame not in got]
        if name.endswith("depth20"):  # a book at rest is sent again: the same, once more
            known = {ids_of(binance_sbe.decode(frame)) for frame in frames}
            missing = [span for span in missing if span not in known]
        uncovered = [
            (first, last)
            for first, last in missing
            if not any(h.last_before < first and last < h.first_after for h in holes)
        ]
        if name.endswith(("bestBidAsk", "depth20")):  # the outdated is left out, and is counted
            culled = sum(frame not in got for frame in exchange.culled)
            assert len(uncovered) <= feed.ledger.streams[name].out_of_order + culled, name
            ends = {ids_of(binance_sbe.decode(true[at])) for at in (0, -1)}
            assert ends <= {ids_of(binance_sbe.decode(frame)) for frame in frames}, name
        else:
            assert uncovered == [], name
        if name.endswith(("trade", "depth")):
            assert sum(last - first + 1 for first, last in missing) == sum(h.ids for h in holes)


def check_order(frames: list[bytes], true: list[bytes], out_of_order: int) -> None:
    """All but so many come in the order in which they were published."""
    place = {frame: i for i, frame in enumerate(true)}
    late, latest = 0, -1
    for frame in frames:
        late += place[frame] < latest
        latest = max(latest, place[frame])
    assert late <= out_of_order


async def consume(feed: Feed, use_batches: bool, seen: list[bytes]) -> None:
    """Takes everything. Batches are turned into frames again by what their rows say."""
    if not use_batches:
        async for message in feed:
            seen.append(bytes(message))
        return
    async for batch in feed.batches(max_messages=50, max_delay=0.01):
        rows: list[tuple[int, int, bytes]] = []
        for table in batch.tables.values():
            for i, row in enumerate(table.records):
                rows.append((int(row["frame"]), 0, frame_of(table, i)))
        seen += [frame for _, _, frame in sorted(rows)]


def frame_of(table: Any, i: int) -> bytes:
    row = table.records[i]
    head = (table.symbols[row["symbol"]], int(row["price_exponent"]), int(row["qty_exponent"]),
            int(row["event_time"]))  # fmt: skip
    groups = {name: group[i].tolist() for name, group in table.groups.items()}
    if "trades" in groups:
        trades = tuple(Trade(*each) for each in groups["trades"])
        return encode(Trades(*head, int(row["transact_time"]), trades))
    if "bid_price" in row.dtype.names:
        bid, ask = (row["bid_price"], row["bid_qty"]), (row["ask_price"], row["ask_qty"])
        return encode(BestBidAsk(*head, int(row["book_update_id"]), bid, ask))
    levels = tuple(groups["bids"]), tuple(groups["asks"])
    if "book_update_id" in row.dtype.names:
        return encode(Depth(*head, int(row["book_update_id"]), *levels))
    span = int(row["first_book_update_id"]), int(row["last_book_update_id"])
    return encode(Diff(*head, *span, *levels))


# CHAOS_SEEDS=3,4,5: other orders of what goes wrong.
SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "1,2").split(",")]
WAYS = pytest.mark.parametrize("use_batches", [False, True], ids=["messages", "batches"])


async def quiet(exchange: Recorded, feed: Feed) -> None:
    """Lets the feed catch up with everything that was published, and closes it.

    Something comes of each stream after all else, so that what is missing before it shows.
    """
    names = feed.streams
    async with asyncio.timeout(20):
        while not all(map(exchange.has_subscriber, names)):
            await asyncio.sleep(0.05)
        counts = {name: len(exchange.published[name]) for name in names}
        while any(len(exchange.published[name]) <= count for name, count in counts.items()):
            await asyncio.sleep(0.05)
    exchange.is_over = True
    await asyncio.sleep(0.5)
    await feed.close()


@SHELLS
@WAYS
def test_cut_connections_are_made_anew_and_what_was_missed_is_listed(
    use_batches: bool, connect: Any
) -> None:
    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k"}
        async with connect(*STREAMS, **options) as feed:
            task = asyncio.create_task(consume(feed, use_batches, seen))
            for _ in range(4):
                await asyncio.sleep(0.4)
                while not exchange.clients:
                    await asyncio.sleep(0.05)
                for client in exchange.clients:
                    client.transport.abort()
            await asyncio.sleep(3.0)
            await quiet(exchange, feed)
            await task
        check(exchange, feed, seen)
        assert len(feed.ledger.connections) == 5
        assert {hole.cause for hole in feed.ledger.holes} == {
            "the connection was lost: no close frame came"
        }
        assert all(each.closed_ns is not None for each in feed.ledger.connections)

    run(work, rate=500)


@SHELLS
@WAYS
@pytest.mark.parametrize("how", ["asked", "time", "shutdown"])
def test_a_renewal_loses_and_repeats_nothing(use_batches: bool, how: str, connect: Any) -> None:
    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k"}
        if how == "time":
            options["renew_after"] = 0.6
        async with connect(*STREAMS, **options) as feed:
            task = asyncio.create_task(consume(feed, use_batches, seen))
            for _ in range(3):
                await asyncio.sleep(0.7)
                if how == "asked":
                    feed.renew()
                elif how == "shutdown":
                    exchange.send_text({"e": "serverShutdown", "E": 1})
            await asyncio.sleep(0.7)
            await quiet(exchange, feed)
            await task
        check(exchange, feed, seen)
        assert feed.ledger.holes == []
        assert len(feed.ledger.connections) >= 4
        assert [each.cause for each in feed.ledger.connections[:3]] == ["renewed"] * 3

    run(work, rate=2000)


def has_brought_much(connection: ConnectionRecord) -> bool:
    """True of an open connection that is past its first events of every stream."""
    return connection.closed_ns is None and connection.frames > 500


@SHELLS
@WAYS
def test_of_two_lines_one_may_be_cut_at_any_time(use_batches: bool, connect: Any) -> None:
    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k", "lines": 2}
        async with connect(*STREAMS, **options) as feed:
            task = asyncio.create_task(consume(feed, use_batches, seen))
            for turn in range(5):
                while sum(map(has_brought_much, feed.ledger.connections)) < 2:
                    await asyncio.sleep(0.05)
                exchange.clients[turn % 2].transport.abort()
                ended = turn + 1
                while sum(c.closed_ns is not None for c in feed.ledger.connections) < ended:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.8)
            await quiet(exchange, feed)
            await task
        check(exchange, feed, seen)
        assert [h for h in feed.ledger.holes if h.stream.endswith(("trade", "@depth"))] == []
        lines = [each.line for each in feed.ledger.connections]
        assert sum(line.duplicates for line in lines) > 100
        assert sum(line.won for line in lines) == len(seen)
        assert all(line.lag.count <= line.duplicates for line in lines)

    run(work, rate=1000)


@SHELLS
def test_damaged_frames_are_kept_and_are_the_cause_of_holes(connect: Any) -> None:
    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k"}
        async with connect(*STREAMS, on_error="collect", **options) as feed:
            task = asyncio.create_task(consume(feed, False, seen))
            await asyncio.sleep(0.3)
            encoded = exchange.markets["btcusdt"]
            for _ in range(3):
                diff = None
                while diff is None:
                    await asyncio.sleep(0.03)
                    diff = encoded.diff(1)
                frame = encode(diff)
                exchange.published["btcusdt@depth"].append(frame)
                Exchange.send(exchange, "btcusdt@depth", frame[:-2])
            await asyncio.sleep(0.3)
            await quiet(exchange, feed)
            await task
        check(exchange, feed, seen)
        assert feed.ledger.damaged_count == len(feed.ledger.damaged) == 3
        assert [hole.cause for hole in feed.ledger.holes] == ["a damaged frame"] * 3
        assert "symbol" in str(feed.ledger.damaged[0].error)

    run(work, rate=500)


@SHELLS
@WAYS
@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_what_is_dropped_for_a_slow_consumer_is_listed(
    use_batches: bool, policy: str, connect: Any
) -> None:
    kinds = STREAMS if policy == "drop_oldest" else STREAMS[1:3]

    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k"}
        async with connect(*kinds, on_overflow=policy, max_queue=40, **options) as feed:
            await asyncio.sleep(1.5)  # nobody takes anything
            assert feed.ledger.dropped > 100
            exchange.rate = 1e-9
            await asyncio.sleep(0.3)
            task = asyncio.create_task(consume(feed, use_batches, seen))
            exchange.is_over = True
            await asyncio.sleep(0.5)
            await feed.close()
            await task
        assert len(seen) <= 2 * 40 + 20
        assert feed.ledger.dropped + len(seen) == feed.stats.frames
        for name in kinds:
            got = {f for f in seen if name.endswith("@" + kind_of(binance_sbe.decode(f)))}
            holes = [h for h in feed.ledger.holes if h.stream == name]
            published = exchange.published[name]
            start = 0
            while published[start] not in got and not covered(holes, published[start]):
                start += 1  # before the subscription
            for frame in published[start:]:
                assert frame in got or covered(holes, frame)

    run(work, rate=500)


def covered(holes: list[Any], frame: bytes) -> bool:
    first, last = ids_of(binance_sbe.decode(frame))
    return any(h.last_before < first and last < h.first_after for h in holes)


@SHELLS
def test_a_slow_consumer_may_ask_for_an_error(connect: Any) -> None:
    async def work(exchange: Recorded) -> None:
        options: Any = {"url": exchange.url, "api_key": "k"}
        async with connect(*STREAMS, on_overflow="raise", max_queue=10, **options) as feed:
            await asyncio.sleep(0.5)
            with pytest.raises(SlowConsumer, match="no room for another frame, 10 wait"):
                await anext(feed)

    run(work, rate=500)


@SHELLS
def test_many_streams_take_several_connections(connect: Any) -> None:
    async def main() -> None:
        symbols = [f"s{i}" for i in range(600)]
        async with Exchange(symbols, rate=2000) as exchange:
            names = [f"{s}@{kind}" for s in symbols for kind in ("trade", "depth20")]
            options: Any = {"url": exchange.url, "api_key": "k"}
            async with connect(*names, **options) as feed:
                assert len(feed.ledger.connections) == 2
                assert feed.streams == names
                seen = set()
                async for batch in feed.batches(max_delay=0.05):
                    table = batch[TradesStreamEvent]
                    seen |= {table.symbols[i] for i in np.unique(table.records["symbol"])}
                    if len(seen) > 400:
                        break

    asyncio.run(asyncio.wait_for(main(), 40))


@SHELLS
def test_a_half_open_connection_is_found_and_mended(
    caplog: pytest.LogCaptureFixture, connect: Any
) -> None:
    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k"}
        async with connect(*STREAMS, silence_timeout=1.0, **options) as feed:
            task = asyncio.create_task(consume(feed, False, seen))
            await asyncio.sleep(0.3)
            (client,) = exchange.clients
            subscriptions = exchange._connections[client]
            subscriptions.streams.clear()  # it stays open, and says nothing any more
            client.transport.pause_reading()
            await asyncio.sleep(2.5)
            before = len(seen)
            await asyncio.sleep(0.5)
            assert len(seen) > before
            await quiet(exchange, feed)
            await task
        check(exchange, feed, seen)
        assert str(feed.ledger.connections[0].cause).startswith(
            "the connection was lost: silent for"
        )

    with caplog.at_level(logging.WARNING, "binance_sbe"):
        run(work, rate=500)
    retries = [r for r in caplog.records if getattr(r, "event", "") == "retry"]
    said = [record.message for record in retries if "silent for" in record.message]
    assert 1 <= len(said) <= 2  # a machine that stands still may be taken for it once


@SHELLS
@WAYS
@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.long
def test_whatever_goes_wrong_is_mended_and_accounted_for(
    use_batches: bool, lines: int, seed: int, connect: Any
) -> None:
    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k"}
        async with connect(
            *exchange.published, lines=lines, silence_timeout=1.0, on_error="collect", **options
        ) as feed:
            task = asyncio.create_task(consume(feed, use_batches, seen))
            for slot in feed._connections.engine.supervisor.shards.slots:
                slot.backoff.longest = 1.0  # where each connection dies young, half a minute
            while len(feed.ledger.streams) < 4:  # the truth begins with what came
                await asyncio.sleep(0.02)
            exchange.fault_schedule.names = faults
            await asyncio.sleep(8.0)
            exchange.fault_schedule.names = []
            exchange._next_reply = ""
            await asyncio.sleep(2.0)
            while sum(map(has_brought_much, feed.ledger.connections)) < lines:
                await asyncio.sleep(0.1)
            await quiet(exchange, feed)
            await task
        assert len(exchange.fault_schedule.done) >= 8
        check(exchange, feed, [plain(frame) for frame in seen])
        done = [name for _, name in exchange.fault_schedule.done]
        ledger = feed.ledger
        assert sum(ledger.unknown_templates.values()) == done.count("unknown")
        assert ledger.damaged_count == exchange.damaged <= done.count("damage")
        newer = sum(ledger.newer_versions.values())
        if not use_batches:
            came = sum(frame not in exchange.known for frame in seen)
            assert newer == came or (newer > came and lines > 1)  # it came second
        assert newer <= exchange.newer <= done.count("newer")
        assert newer == exchange.newer or lines > 1  # by another line it came as it was

    faults = [name for name in KINDS if name not in ("slow", "limit", "ban")]
    symbol = "测试456" if seed % 2 else "btcusdt"
    run(
        work,
        rate=500,
        fault_seconds=0.35,
        seed=seed,
        ping_interval=None,
        symbol=symbol,
    )


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection takes four streams, so that a few streams take several."""
    monkeypatch.setattr(shards, "MAX_STREAMS", 4)


@SHELLS
@WAYS
@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("shards", [2, pytest.param(3, marks=pytest.mark.long)])
def test_what_happens_to_one_shard_leaves_the_others_as_they_are(
    small_shards: None, use_batches: bool, lines: int, shards: int, connect: Any
) -> None:
    """The connections of the first shard are renewed, lost and damaged; the others' are not."""
    symbols = [f"s{i}usdt" for i in range(shards)]

    async def main() -> None:
        async with Recorded(*symbols, rate=600) as exchange:
            names = list(exchange.published)
            options: Any = {"url": exchange.url, "api_key": "k", "lines": lines}
            seen: list[bytes] = []
            async with connect(*names, on_error="collect", **options) as feed:
                task = asyncio.create_task(consume(feed, use_batches, seen))
                supervisor = feed._connections.engine.supervisor
                assert [len(shard.names) for shard in supervisor.shards] == [4] * shards
                first = next(iter(supervisor.shards))
                for turn in range(6):
                    await asyncio.sleep(0.4)
                    while not (found := clients_of(exchange, symbols[0])):
                        await asyncio.sleep(0.05)
                    victim = found[0]
                    if turn % 3 == 0:
                        moved(feed, lambda: renew(supervisor, first))
                    elif turn % 3 == 1:
                        victim.transport.abort()
                    else:
                        broadcast([victim], b"damaged")
                await asyncio.sleep(2.5)
                await quiet(exchange, feed)
                await task
            assert {hole.stream.partition("@")[0] for hole in feed.ledger.holes} <= {symbols[0]}
            check(exchange, feed, seen)
            assert len(feed.ledger.connections) >= shards * lines + 3

    asyncio.run(asyncio.wait_for(main(), 40))


def test_books_of_one_shard_stay_live_whatever_happens_to_another(small_shards: None) -> None:
    symbols = ["aaausdt", "bbbusdt", "cccusdt", "dddusdt"]

    async def main() -> None:
        async with (
            Exchange(symbols, rate=300) as exchange,
            binance_sbe.books(*symbols, url=exchange.url, api_key="k") as books,
        ):
            await books.wait(timeout=15)
            shards = list(books.feed._connections.engine.supervisor.shards)
            assert len(shards) == 2
            others = [books[s] for s in symbols if f"{s}@depth" not in shards[0].names]
            assert len(others) == 2
            since = [book.since_ns for book in others]
            for turn in range(8):
                if turn % 2:
                    books.feed.renew()
                else:
                    while not (victims := clients_of(exchange, "aaausdt")):
                        await asyncio.sleep(0.05)  # the pause before the next attempt grows
                    victim = victims[0]
                    victim.transport.abort()
                await asyncio.sleep(0.5)
                assert [book.state for book in others] == ["live", "live"]
            assert [book.since_ns for book in others] == since
            assert {h.stream.partition("@")[0] for h in books.feed.ledger.holes} <= {
                "aaausdt", "bbbusdt",
            }  # fmt: skip

    asyncio.run(asyncio.wait_for(main(), 60))


def renew(supervisor: Any, shard: Any) -> None:
    for slot in shard.slots:
        supervisor._succession.renew(slot, "the test says so", time.monotonic())


def clients_of(exchange: Exchange, symbol: str) -> list[Any]:
    """The connections that bring a symbol."""
    return [
        client
        for client, subscriptions in exchange._connections.items()
        if any(name.startswith(symbol) for name in subscriptions.streams)
    ]


@SHELLS
@WAYS
def test_a_slow_consumer_loses_nothing_in_a_renewal(use_batches: bool, connect: Any) -> None:
    """What the old connection still has to bring is taken before it ends."""

    async def work(exchange: Recorded) -> None:
        seen: list[bytes] = []
        options: Any = {"url": exchange.url, "api_key": "k", "max_queue": 20}
        async with connect(*STREAMS, **options) as feed:
            slow = asyncio.create_task(consume_slowly(feed, use_batches, seen))
            for turn in range(2):
                await asyncio.sleep(1.0)
                while feed.ledger.connections_count < turn + 2:
                    feed.renew()
                    await asyncio.sleep(0.1)
            exchange.rate = 1e-9
            exchange.is_over = True
            while len({each.cause for each in feed.ledger.connections[:2]} - {"renewed"}) or (
                feed.waiting
            ):
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
            await feed.close()
            await slow
        check(exchange, feed, seen)
        assert feed.ledger.holes == []

    run(work, rate=400)


async def consume_slowly(feed: Feed, use_batches: bool, seen: list[bytes]) -> None:
    count = 0
    if not use_batches:
        async for message in feed:
            seen.append(bytes(message))
            count += 1
            if count < 200:
                await asyncio.sleep(0.01)
        return
    async for batch in feed.batches(max_messages=10, max_delay=0.01):
        rows = [
            (int(row["frame"]), frame_of(table, i))
            for table in batch.tables.values()
            for i, row in enumerate(table.records)
        ]
        seen += [frame for _, frame in sorted(rows)]
        count += 1
        if count < 40:
            await asyncio.sleep(0.05)


@SHELLS
def test_symbols_in_utf_8_are_accounted_for_as_well(connect: Any) -> None:
    async def main() -> None:
        names = "测试456@trade", "测试456@depth"
        async with (
            Exchange(["测试456"], rate=500) as exchange,
            connect(*names, url=exchange.url, api_key="k") as feed,
        ):
            asyncio.get_running_loop().call_later(0.5, cut_all, exchange)
            async with asyncio.timeout(30):
                async for message in feed:
                    assert message.symbol == "测试456"
                    if {hole.stream for hole in feed.ledger.holes} == set(names):
                        break
            assert feed.streams == list(names)
            assert all(feed.ledger.streams[name].frames for name in names)

    asyncio.run(main())


def cut_all(exchange: Exchange) -> None:
    for connection in exchange._connections:
        connection.transport.abort()
