"""`Feed.run`: a handler that is called where the frame is read gets what iteration would give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st
from intake import intake
from raw_server import BINARY, accept, for_ever, scripted, wire

import binance_sbe
from binance_sbe import DecodeError, connect
from binance_sbe.feed.intake.handlers import Calls
from binance_sbe.feed.intake.streams import Source
from binance_sbe.simulator import Exchange

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


class _Object:
    async def __call__(self, message: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (_coroutine, "the handler is a coroutine function, and nobody could wait for it"),
        (_Object(), "the handler is a coroutine function"),
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
