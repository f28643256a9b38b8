"""`Feed.run`: a handler that is called where the frame is read gets what iteration would give."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st
from intake import intake
from raw_server import BINARY, accept, for_ever, scripted, wire

import binance_sbe
from binance_sbe import DecodeError, connect
from binance_sbe.feed.intake.handlers import Calls, FrameHandler
from binance_sbe.feed.intake.streams import Source
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk

STREAMS = [f"btcusdt@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]


def run(work: Callable[[Exchange], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with Exchange(["btcusdt"], rate=500, **options) as exchange:
            await asyncio.wait_for(work(exchange), 30)

    asyncio.run(main())


class Enough(Exception):
    pass


class Taker:
    """A handler that keeps what it gets, and raises once it has so many."""

    def __init__(self, most: int = 1 << 60) -> None:
        self.most = most
        self.frames: list[bytes] = []
        self.messages: list[Any] = []

    def __call__(self, message: Any) -> None:
        self.frames.append(bytes(message))
        self.messages.append(message)
        if len(self.frames) == self.most:
            raise Enough


def trade(number: int) -> bytes:
    frame = vectors.TRADES
    return frame[:32] + number.to_bytes(8, "little") + frame[40:]


def trade_ids(frames: list[bytes]) -> list[int]:
    return [int.from_bytes(frame[32:40], "little") for frame in frames]


def test_a_handler_gets_every_event_and_messages_may_be_kept() -> None:
    async def work(exchange: Exchange) -> None:
        sent: list[bytes] = []
        right = exchange.send

        def send(stream: str, frame: bytes) -> None:
            sent.append(frame)
            right(stream, frame)

        exchange.send = send  # type: ignore[method-assign]
        async with connect(*STREAMS, url=exchange.url, api_key="k") as feed:
            taker = Taker(300)
            with pytest.raises(Enough):
                await feed.run(taker)
            begin = sent.index(taker.frames[0])
            assert taker.frames == sent[begin : begin + 300]
            assert [bytes(message) for message in taker.messages] == taker.frames
            assert len({id(message) for message in taker.messages}) == 300
            # what has come meanwhile is for the next consumer, who may be any of the kinds
            message = await anext(feed)
            assert bytes(message) == sent[begin + 300]
            async for batch in feed.batches(max_messages=7):
                assert batch.frame_count
                break
            assert feed.stats.decoding.count >= 301
            assert feed.ledger.holes == []

    run(work)


def test_what_waits_goes_to_the_handler_first() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            while feed.waiting < 20:
                await asyncio.sleep(0.01)
            taker = Taker(60)
            with pytest.raises(Enough):
                await feed.run(taker)
            ids = [int(i) for m in taker.messages for i in m.trades["id"]]
            assert ids == list(range(ids[0], ids[0] + len(ids)))

    run(work)


def test_with_reuse_there_is_one_message_of_each_kind() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect(*STREAMS, url=exchange.url, api_key="k") as feed:
            taker = Taker(400)
            with pytest.raises(Enough):
                await feed.run(taker, reuse=True)
            assert len({id(message) for message in taker.messages}) == 4
            assert len(set(taker.frames)) == 400  # each was what it was when it was handed over
            symbols = {binance_sbe.decode(frame).symbol for frame in taker.frames}
            assert symbols == {"BTCUSDT"}

    run(work)


def test_run_ends_when_the_feed_is_closed_and_with_the_error_of_one_that_is_lost() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            taker = Taker()
            task = asyncio.create_task(feed.run(taker))
            while not taker.frames:
                await asyncio.sleep(0.01)
            await feed.close()
            await task
            with pytest.raises(RuntimeError, match="this is closed"):
                await feed.run(taker)
        options: Any = {"url": exchange.url, "api_key": "k", "reconnect": False}
        async with connect("btcusdt@trade", **options) as feed:
            task = asyncio.create_task(feed.run(Taker()))
            await asyncio.sleep(0.2)
            for client in list(exchange._connections):
                client.transport.abort()
            with pytest.raises(binance_sbe.ConnectionLost):
                await task

    run(work)


def test_run_that_is_cancelled_leaves_the_feed_to_the_next() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            taker = Taker()
            task = asyncio.create_task(feed.run(taker))
            while len(taker.frames) < 10:
                await asyncio.sleep(0.01)
            with pytest.raises(RuntimeError, match="another task waits for the next frame"):
                await feed.run(taker)
            with pytest.raises(RuntimeError, match="another task waits for the next frame"):
                await anext(feed)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            count = len(taker.frames)
            first = await anext(feed)
            assert first.trades["id"][0] == taker.messages[-1].trades["id"][-1] + 1
            assert len(taker.frames) == count

    run(work)


async def _coroutine(message: Any) -> None:
    pass


def _generator(message: Any) -> Any:
    yield message


class _Object:
    async def __call__(self, message: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (_coroutine, "the handler is a coroutine function, and nobody could wait for it"),
        (_Object(), "the handler is a coroutine function"),
        (_generator, "the handler is a generator function"),
        (FrameHandler, "a handler is an object of FrameHandler, not the class"),
        (None, "a handler is a function of one message, not NoneType"),
        ("print", "a handler is a function of one message, not str"),
    ],
)
def test_what_can_not_be_called_there_is_refused(handler: Any, said: str) -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            with pytest.raises(TypeError, match=said):
                await feed.run(handler)
            await feed.unsubscribe("btcusdt@trade")
            with pytest.raises(RuntimeError, match="the feed has no streams: subscribe to some"):
                await feed.run(print)

    run(work)
    with pytest.raises(RuntimeError, match="this is not open"):
        asyncio.run(connect("btcusdt@trade", api_key="k").run(print))


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_frames_that_are_no_messages_raise_or_are_kept(on_error: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        frames = [trade(1), b"damaged", trade(2), trade(3)]
        writer.write(b"".join(wire(BINARY, frame) for frame in frames))
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k", on_error=on_error) as feed,
        ):
            taker = Taker(3)
            if on_error == "raise":
                with pytest.raises(DecodeError):
                    await feed.run(taker)
                assert trade_ids(taker.frames) == [1]
            with pytest.raises(Enough):
                await feed.run(taker)
            assert trade_ids(taker.frames) == [1, 2, 3]
            assert len(feed.errors) == (on_error == "collect")
            assert (feed.ledger.damaged_count, feed.stats.rejected) == (1, 1)

    asyncio.run(asyncio.wait_for(work(), 20))


def test_a_slow_handler_holds_up_the_loop_and_loses_nothing() -> None:
    """It is called on the loop: what comes meanwhile waits in the sockets."""

    async def work(exchange: Exchange) -> None:
        import time

        async with connect("btcusdt@trade", url=exchange.url, api_key="k", max_queue=5) as feed:
            taker = Taker(100)

            def slow(message: Any) -> None:
                time.sleep(0.005)
                taker(message)

            with pytest.raises(Enough):
                await feed.run(slow)
            ids = [int(i) for m in taker.messages for i in m.trades["id"]]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
            assert feed.ledger.holes == []

    run(work)


def hundred_and_the_end(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Awaitable[None]:
    async def script() -> None:
        await accept(reader, writer)
        writer.write(b"".join(wire(BINARY, trade(number)) for number in range(1, 101)))
        await writer.drain()
        writer.close()

    return script()


def hundred(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float = 0.0
) -> Awaitable[None]:
    async def script() -> None:
        await accept(reader, writer)
        await asyncio.sleep(pause)
        writer.write(b"".join(wire(BINARY, trade(number)) for number in range(1, 101)))
        await for_ever()

    return script()


@pytest.mark.parametrize("fails_every", [1000, 10])
def test_what_a_lost_connection_has_read_still_comes(fails_every: int) -> None:
    """Where the queue was full the rest waits in the reader, also after the connection's end."""

    async def work() -> None:
        options: Any = {"api_key": "k", "max_queue": 5, "reconnect": False}
        async with (
            scripted(hundred_and_the_end) as url,
            connect("btcusdt@trade", url=url, **options) as feed,
        ):
            await asyncio.sleep(0.3)
            got: list[bytes] = []

            def handler(message: Any) -> None:
                got.append(bytes(message))
                if len(got) % fails_every == 0:
                    raise Enough

            async def all_of_it() -> None:
                while True:
                    with contextlib.suppress(Enough):
                        await feed.run(handler)

            with pytest.raises(binance_sbe.ConnectionLost):
                await all_of_it()
            assert trade_ids(got) == list(range(1, 101))
            assert feed.ledger.holes == []

    asyncio.run(asyncio.wait_for(work(), 20))


def test_an_overflow_is_told_before_anything_is_handed_over() -> None:
    async def work() -> None:
        options: Any = {"api_key": "k", "max_queue": 5, "on_overflow": "raise"}
        async with (
            scripted(hundred) as url,
            connect("btcusdt@trade", url=url, **options) as feed,
        ):
            await asyncio.sleep(0.3)
            taker = Taker()
            with pytest.raises(binance_sbe.SlowConsumer):
                await feed.run(taker)
            assert taker.frames == []

    asyncio.run(asyncio.wait_for(work(), 20))


def test_what_a_handler_raises_is_raised_whatever_its_end_brings_about() -> None:
    async def work() -> None:
        options: Any = {"api_key": "k", "max_queue": 5, "on_overflow": "raise"}
        async with (
            scripted(partial(hundred, pause=0.3)) as url,
            connect("btcusdt@trade", url=url, **options) as feed,
        ):
            taker = Taker(1)
            with pytest.raises(Enough):  # the rest of the read has no room, which is told next
                await feed.run(taker)
            with pytest.raises(binance_sbe.SlowConsumer):
                await feed.run(taker)
        async with scripted(hundred) as url, connect("a@trade", url=url, api_key="k") as feed:
            tasks: list[asyncio.Task[None]] = []

            def cancels(message: Any) -> None:
                tasks[0].cancel()
                raise Enough

            tasks.append(asyncio.create_task(feed.run(cancels)))
            with pytest.raises((Enough, asyncio.CancelledError)) as caught:
                await tasks[0]
            found = {type(caught.value), type(caught.value.__context__)}
            assert Enough in found

    asyncio.run(asyncio.wait_for(work(), 20))


def test_an_error_of_a_handler_is_freed_with_its_last_reference() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            gc.disable()
            try:
                try:
                    await feed.run(Taker(1))
                except Enough as error:
                    known = weakref.ref(error)
                assert known() is None
            finally:
                gc.enable()

    run(work)


def test_a_queue_of_one_holds_nothing_back_for_ever() -> None:
    """A frame that waits for another connection's would leave no room for that one."""
    ledger, backlog = intake(limit=1)
    lines = [Source(i, f"connection {i}") for i in range(2)]
    for line in lines:
        backlog.arbiter.enter(line, ["btcusdt@trade"])
    calls = Calls(taker := Taker(), False, print)
    backlog.call(calls)
    for number in (1, 2, 3):
        for line in lines:
            backlog.put(trade(number), 1, line)
    backlog.put(trade(5), 1, lines[0])
    assert not backlog.full
    for number in (4, 5, 6):
        backlog.put(trade(number), 1, lines[1])
    assert sorted(trade_ids(taker.frames)) == [1, 2, 3, 4, 5, 6]
    assert ledger.holes == []


def test_what_is_dropped_before_and_after_a_handler_is_in_holes_of_their_own() -> None:
    def best(number: int) -> bytes:
        return encode(BestBidAsk("BTCUSDT", -2, -8, number, number, (1, 1), (2, 1)))

    ledger, backlog = intake(limit=2, policy="drop_oldest")
    line = Source(1, "connection 1")
    backlog.arbiter.enter(line, ["btcusdt@bestBidAsk", "ethusdt@trade"])
    for number in (1, 2, 3, 4):  # the first two are dropped
        backlog.put(best(number), 1, line)
    calls = Calls(taker := Taker(), False, print)
    backlog.call(calls)
    for number in range(5, 9):
        backlog.put(best(number), 1, line)
    backlog.stop_calling()
    for number in range(9, 13):
        backlog.put(best(number), 1, line)
    assert len(taker.frames) == 6
    assert [(hole.last_before, hole.first_after) for hole in ledger.holes] == [(0, 3), (8, 11)]


def test_calls_that_a_handler_ends_are_not_used_after_that() -> None:
    """It drops the last reference to them, makes others in their place, and raises."""
    _, backlog = intake()
    line = Source(1, "connection 1")
    backlog.arbiter.enter(line, ["btcusdt@trade"])
    others: list[Calls] = []
    held: list[Calls] = []

    def handler(message: Any) -> None:
        backlog.stop_calling()
        held.clear()
        others.extend(Calls(print, False, print) for _ in range(50))
        raise Enough

    held.append(Calls(handler, False, print))
    backlog.call(held[0])
    backlog.put(trade(1), 1, line)
    assert len(others) == 50
    assert not any(each.ended or each.failure for each in others)


def test_strays_are_counted_once_each_in_every_form() -> None:
    for form in ("messages", "rows", "called"):
        ledger, backlog = intake()
        backlog.arbiter.directory.is_wanted = lambda name: False
        line = Source(1, "connection 1")
        if form == "rows":
            backlog.gather(5)
        if form == "called":
            backlog.call(Calls(lambda message: None, False, print))
        for number in range(10):
            backlog.put(trade(number), 1, line)
        if form == "messages":
            backlog.gather(100)
        assert (ledger.strays, ledger.strays_count) == ({"btcusdt@trade": 10}, 10), form


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["give", "give", "damaged", "call", "stop", "take"]),
        st.integers(0, 1),
        st.integers(1, 4),
    ),
    min_size=20,
    max_size=60,
)


@given(STEPS, st.booleans(), st.integers(1, 8))
def test_a_handler_gets_what_a_queue_gives(
    steps: list[tuple[str, int, int]], reuse: bool, fails_at: int
) -> None:
    """Two backlogs are given the same; of one a handler takes, by turns with a queue."""
    got: list[bytes] = []
    failed = 0

    def handler(message: Any) -> None:
        nonlocal failed
        got.append(bytes(message))
        if len(got) % fails_at == 0:
            failed += 1
            raise Enough

    def refused(error: DecodeError) -> None:
        got.append(b"no message")

    wanted: list[bytes] = []
    halves = [intake(), intake()]
    sources = [[Source(i, f"connection {i}") for i in range(2)] for _ in halves]
    for (_, backlog), both in zip(halves, sources, strict=True):
        for source in both:
            backlog.arbiter.enter(source, ["btcusdt@trade"])
    (_, plain), (ledger, called) = halves
    calls: Calls | None = None
    number = [0, 0]

    def take(backlog: Any, into: list[bytes]) -> None:
        while len(backlog.frames):
            try:
                into.append(bytes(backlog.next_message()))
            except DecodeError:
                into.append(b"no message")

    for step, place, count in steps:
        if step == "give":
            for _ in range(count):
                number[place] += 1
                frame = trade(number[place])
                plain.put(frame, 1, sources[0][place])
                called.put(frame, 1, sources[1][place])
        elif step == "damaged":
            plain.put(b"damaged", 1, sources[0][place])
            called.put(b"damaged", 1, sources[1][place])
        elif step == "call":
            calls = Calls(handler, reuse, refused)
            called.call(calls)
        elif step == "stop":
            called.stop_calling()
            calls = None
        elif calls is None or calls.ended:
            take(called, got)
        if calls is not None and calls.ended:
            assert isinstance(calls.failure, Enough)
            take(called, got)
    for _, backlog in halves:
        backlog.hand_in(backlog.arbiter.released(2**62))
    called.stop_calling()
    take(called, got)
    take(plain, wanted)
    assert got == wanted
    assert ledger.holes == halves[0][0].holes
    assert ledger.damaged_count == halves[0][0].damaged_count


@pytest.mark.parametrize("way", ["run", "async for", "batches"])
def test_who_waits_is_told_when_the_last_stream_is_unsubscribed(way: str) -> None:
    async def work(exchange: Exchange) -> None:
        exchange.rate = 0.001  # hardly anything comes
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:

            async def consume() -> None:
                if way == "run":
                    await feed.run(lambda message: None)
                async for _ in feed if way == "async for" else feed.batches():
                    pass

            waiting = asyncio.create_task(consume())
            await asyncio.sleep(0.1)
            await feed.unsubscribe("btcusdt@trade")
            with pytest.raises(RuntimeError, match="no streams"):
                await asyncio.wait_for(waiting, 5)

    run(work)
