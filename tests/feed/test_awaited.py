"""What `async for` awaits: each message once and in order, whatever becomes of who waits for it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st

import binance_sbe
from binance_sbe import DecodeError
from binance_sbe.feed.intake.streams import Source


def trade(number: int) -> bytes:
    frame = vectors.TRADES
    return frame[:32] + number.to_bytes(8, "little") + frame[40:]


class Given:
    """A feed whose frames are put in by hand, as if a connection had brought them."""

    def __init__(self, **options: Any) -> None:
        self.feed: Any = binance_sbe.connect("btcusdt@trade", api_key="k", **options)
        self.feed._is_open = True
        self.feed._backlog.brings = True
        self.source = Source()
        self.put = 0

    def bring(self, frame: bytes | None = None) -> None:
        self.put += 1
        self.feed._backlog.put(trade(self.put) if frame is None else frame, 1, self.source)

    def ask(self) -> asyncio.Task[Any]:
        return asyncio.ensure_future(anext(self.feed))

    def end(self) -> None:
        self.feed._is_open = False  # it was never opened, and has nothing to close


def on_a_feed(work: Callable[[Given], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        given_feed = Given(**options)
        try:
            await asyncio.wait_for(work(given_feed), 20)
        finally:
            given_feed.end()

    asyncio.run(main())


def number_of(message: Any) -> int:
    return int.from_bytes(bytes(message)[32:40], "little")


OPERATIONS = st.lists(
    st.sampled_from(["bring", "bring two", "damaged", "ask", "turn", "turn", "cancel", "time out"]),
    max_size=40,
)


@given(OPERATIONS, st.booleans())
def test_each_message_is_given_once_and_in_order(operations: list[str], raises: bool) -> None:
    async def work(made: Given) -> None:
        expected: list[int | None] = []  # None: no message
        found: list[int | None] = []
        asked: asyncio.Future[Any] | None = None

        def settle() -> None:
            nonlocal asked
            if asked is None or not asked.done():
                return
            done, asked = asked, None
            if done.cancelled():
                return
            error = done.exception()
            if isinstance(error, DecodeError):
                found.append(None)
            elif not isinstance(error, TimeoutError):
                found.append(number_of(done.result()))

        for operation in operations:
            settle()
            if operation.startswith("bring"):
                for _ in range(1 + operation.endswith("two")):
                    made.bring()
                    expected.append(made.put)
            elif operation == "damaged":
                made.bring(b"no message")
                if raises:
                    expected.append(None)
            elif operation == "turn":
                await asyncio.sleep(0)
            elif operation == "cancel" and asked is not None:
                asked.cancel()
            elif operation == "ask" and asked is None:
                asked = made.ask()
            elif operation == "time out" and asked is None:
                asked = asyncio.ensure_future(asyncio.wait_for(anext(made.feed), 0.0001))
        while asked is not None:
            await asyncio.wait([asked], timeout=0.01)
            asked.cancel()
            await asyncio.wait([asked])
            settle()
        while len(found) < len(expected):
            asked = made.ask()
            await asyncio.wait([asked], timeout=5)
            settle()
        assert found == expected
        if raises:  # else one that is no message may still be there
            assert not made.feed._backlog.frames

    on_a_feed(work, on_error="raise" if raises else "collect")


def test_it_is_awaited_once() -> None:
    async def work(made: Given) -> None:
        made.bring()
        awaited = made.feed.__anext__()
        assert number_of(await awaited) == 1
        made.bring()
        with pytest.raises(RuntimeError, match="ask for the next"):
            await awaited
        assert number_of(await made.feed.__anext__()) == 2

    on_a_feed(work)


def test_a_second_who_waits_is_refused_and_the_first_goes_on() -> None:
    async def work(made: Given) -> None:
        first = made.ask()
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="one consumer"):
                await anext(made.feed)
            with pytest.raises(RuntimeError, match="one consumer"):
                await anext(aiter(made.feed))
        made.bring()
        assert number_of(await first) == 1

    on_a_feed(work)


def test_who_has_stopped_waiting_leaves_the_place_to_another() -> None:
    async def work(made: Given) -> None:
        waiting = made.feed.__anext__()
        waiting.send(None)
        waiting.close()
        with pytest.raises(RuntimeError):
            waiting.send(None)
        other = made.feed.__anext__()
        other.send(None)
        with pytest.raises(ValueError, match="why"):
            other.throw(ValueError("why"))
        third = made.feed.__anext__()
        third.send(None)
        with pytest.raises(ValueError, match="said"):
            third.throw(ValueError, "said")
        made.bring()
        assert number_of(await anext(made.feed)) == 1

    on_a_feed(work)


def test_whoever_looks_before_its_time_waits_on() -> None:
    async def work(made: Given) -> None:
        awaited = made.feed.__anext__()
        first = awaited.send(None)
        first.add_done_callback(lambda wait: None, context=None)
        with pytest.raises(RuntimeError, match="one task"):
            awaited.send(None)
        awaited.close()

    on_a_feed(work)


def test_a_feed_that_was_iterated_over_is_freed_at_once() -> None:
    async def work(made: Given) -> None:
        made.bring()
        messages = aiter(made.feed)
        await anext(messages)
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        seen = weakref.ref(made.feed)
        made.end()
        gc.disable()
        try:
            del messages, waiting
            made.feed = None
            assert seen() is None
        finally:
            gc.enable()
            made.feed = binance_sbe.connect("btcusdt@trade", api_key="k")

    on_a_feed(work)


def test_it_is_a_coroutine_to_asyncio() -> None:
    async def work(made: Given) -> None:
        task = asyncio.create_task(made.feed.__anext__())
        await asyncio.sleep(0)
        made.bring()
        assert number_of(await task) == 1

    on_a_feed(work)


@pytest.mark.parametrize("how", ["cancel", "throw", "time out"])
def test_who_waits_in_the_long_way_is_told_as_well(how: str) -> None:
    """There something else is to be done: here nothing is known to come."""

    async def work(made: Given) -> None:
        made.feed._backlog.brings = False
        made.feed._connections._answers[1] = asyncio.get_running_loop().create_future()
        if how == "throw":
            awaited = made.feed.__anext__()
            awaited.send(None)
            with pytest.raises(KeyError, match="why"):
                awaited.throw(KeyError, KeyError("why"), None)
        elif how == "time out":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(made.feed), 0.05)
        else:
            waiting = made.ask()
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
        made.bring()
        assert number_of(await anext(made.feed)) == 1

    on_a_feed(work)


def test_who_is_refused_disturbs_nobody() -> None:
    async def work(made: Given) -> None:
        batches = made.feed.batches(max_messages=10, max_delay=10.0)
        waiting = asyncio.ensure_future(anext(batches))
        made.bring()
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="one consumer"):
            await anext(made.feed)
        for _ in range(9):
            made.bring()
        batch = await asyncio.wait_for(waiting, 5)
        assert batch.frame_count == 10
        await batches.aclose()

    on_a_feed(work)


def test_one_that_is_dropped_leaves_the_place_to_another() -> None:
    async def work(made: Given) -> None:
        awaited = made.feed.__anext__()
        awaited.send(None)
        del awaited
        made.bring()
        assert number_of(await anext(made.feed)) == 1

    on_a_feed(work)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bring"), st.integers(1, 4)),
        st.tuples(st.just("damaged"), st.just(0)),
        st.tuples(st.just("turn"), st.just(0)),
        st.tuples(st.just("ask for a batch"), st.integers(1, 3)),
        st.tuples(st.just("ask for a message"), st.just(0)),
        st.tuples(st.sampled_from(["cancel", "go on", "close"]), st.just(0)),
    ),
    max_size=40,
)


def numbers_of(batch: Any) -> list[int | None]:
    """What is no message is None, behind the others."""
    trades = batch[binance_sbe.TradesStreamEvent].groups["trades"].records
    return [*trades["id"].tolist(), *[None] * len(batch.rejected)]


@given(STEPS, st.sampled_from([0.0, 0.0, 0.0005]))
def test_batches_and_messages_in_turns_give_each_frame_once(
    steps: list[tuple[str, int]], delay: float
) -> None:
    """Whoever is cancelled or leaves: rows are for the next batches, frames for whoever comes."""

    async def work(made: Given) -> None:
        expected: list[int | None] = []
        found: list[int | None] = []
        batches: Any = None  # an iteration that was not left
        asked: asyncio.Future[Any] | None = None
        of_batch = False

        async def settle(waits: bool = False) -> None:
            nonlocal asked, batches
            if asked is None or not (waits or asked.done()):
                return
            await asyncio.wait([asked], timeout=5)
            done, asked = asked, None
            if done.cancelled():
                batches = None if of_batch else batches  # a generator has ended then
            elif of_batch:
                found.extend(numbers_of(done.result()))
            else:
                found.append(number_of(done.result()))

        async def leave() -> None:
            nonlocal batches
            if asked is not None:
                asked.cancel()
                await settle(waits=True)
            if batches is not None:
                await batches.aclose()
                batches = None

        for step, size in [*steps, ("close", 0)]:
            await settle()
            if step == "bring":
                for _ in range(size):
                    made.bring()
                    expected.append(made.put)
            elif step == "damaged":
                made.bring(b"no message")
            elif step == "turn":
                await asyncio.sleep(0)
            elif step == "cancel" and asked is not None:
                asked.cancel()
            elif step == "close":
                await leave()
            elif step == "go on" and asked is None and batches is not None:
                of_batch, asked = True, asyncio.ensure_future(anext(batches))
            elif step == "ask for a batch" and asked is None:
                await leave()
                batches = made.feed.batches(max_messages=size, max_delay=delay)
                of_batch, asked = True, asyncio.ensure_future(anext(batches))
            elif step == "ask for a message" and asked is None:
                await leave()
                of_batch, asked = False, made.ask()
        made.bring()
        expected.append(made.put)
        last = made.feed.batches(max_delay=0)
        while made.feed._backlog.pending:
            found.extend(numbers_of(await asyncio.wait_for(anext(last), 5)))
        await last.aclose()
        messages = [each for each in found if each is not None]
        assert sorted(messages) == expected

    on_a_feed(work, on_error="collect")


def test_rows_that_are_awaited_are_awaited_once() -> None:
    async def work(made: Given) -> None:
        batches = made.feed.batches(max_delay=0)
        made.bring()
        assert numbers_of(await anext(batches)) == [1]
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        made.bring()
        made.bring(b"no message")
        assert numbers_of(await waiting) == [2, None]
        assert (made.feed.stats.rejected, len(made.feed.errors)) == (1, 1)
        await batches.aclose()

    on_a_feed(work)
