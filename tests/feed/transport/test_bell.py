"""The bell of a consumer: who waits for it goes on where the read ends that has rung it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake import intake
from raw_server import BINARY, PING, wire

from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.transport.bell import Bell
from binance_sbe.feed.transport.reader import FrameReader
from binance_sbe.feed.transport.watch import Watch
from binance_sbe.feed.transport.wire import Wire

WHOSE = contextvars.ContextVar("WHOSE", default="nobody's")
Step = tuple[str, list[str]]
Loop = asyncio.AbstractEventLoop


class Line:
    """A socket with a reader of frames and a bell; in the place of its shell, and of the loop."""

    def __init__(self) -> None:
        self.bell = Bell()
        _, self.backlog = intake(wake=self.bell)
        here, self.there = socket.socketpair()
        loop: Any = self
        self.wire = Wire(here, Watch(loop, self.bell), lambda later: None, self.fail)
        self.reader = FrameReader(self.backlog, Source(), self, self.wire)
        self.amid: Callable[[], object] = bool  # called amid a read of what is no message
        self.failures: list[BaseException] = []
        self.wire.set_protocol(self.reader)

    def take(self, data: bytes) -> None:
        self.amid()

    def fail(self, error: BaseException) -> None:
        self.failures.append(error)

    def bring(self, frame: bytes) -> None:
        self.there.sendall(frame)
        self.read()

    # the loop

    def add_reader(self, fd: int, read: Callable[[], object]) -> None:
        self.read = read

    def remove_reader(self, fd: int) -> None:
        pass

    def is_closed(self) -> bool:
        return False

    # the test

    def close(self) -> None:
        self.wire.abort()
        self.there.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def turn(loop: Loop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


MESSAGE = wire(BINARY, b"no message, and it waits as any other")
SIGN = wire(PING, b"")
STEPS = st.tuples(
    st.sampled_from(["turn", "ring", "cancel", "read", "read of a task"]),
    st.lists(st.sampled_from(["ring", "cancel"]), max_size=3),  # amid a read
)


@given(st.lists(STEPS, max_size=20))
def test_who_waits_goes_on_once_at_the_end_of_a_read_or_in_the_next_turn(steps: list[Step]) -> None:
    """A ring is not forgotten, nor that the task is cancelled, whichever comes first."""
    loop = asyncio.new_event_loop()
    line = Line()
    told: list[str] = []
    done: list[str] = []  # to who waits now
    task: asyncio.Task[None] | None = None

    async def waits() -> None:
        try:
            await line.bell.listen()
        except asyncio.CancelledError:
            told.append("cancel")
            raise
        told.append("ring")

    def act(what: str) -> None:
        assert task is not None
        before = len(told)
        line.bell() if what == "ring" else task.cancel()
        done.append(what)
        assert len(told) == before  # who rings goes on first

    async def read() -> None:
        line.bring(SIGN)

    for kind, acts in [*steps, ("cancel", [])]:
        if task is None or task.done():
            task = loop.create_task(waits())
            done.clear()
            turn(loop)
        before = len(told)
        line.amid = lambda acts=acts: [act(each) for each in acts]
        if kind == "read":
            was_waiting = not done
            line.bring(SIGN)
            assert len(told) == before + (was_waiting and acts[:1] == ["ring"])
        elif kind == "read of a task":
            loop.run_until_complete(read())
        elif kind != "turn":
            act(kind)
        turn(loop)
        assert task.done() == bool(done)
        assert told[before:] == (["cancel" if "cancel" in done else "ring"] if done else [])
    loop.close()
    line.close()
    assert not line.failures


def test_a_consumer_goes_on_before_whatever_else_the_loop_has_to_do(loop: Loop, line: Line) -> None:
    order: list[str] = []

    async def consume() -> None:
        await line.bell.listen()
        order.append("consumer")

    task = loop.create_task(consume())
    turn(loop)
    loop.call_soon(line.bring, MESSAGE)
    loop.call_soon(order.append, "other")
    turn(loop)
    assert order == ["consumer", "other"]
    assert task.done()


def test_a_consumer_may_wait_again_and_again_amid_other_tasks(loop: Loop, line: Line) -> None:
    """And what it does then, it does as any task: it has a name, and may await others."""
    names: list[str] = []

    async def consume() -> None:
        for _ in range(3):
            await line.bell.listen()
            line.backlog.frames.popleft()
            task = asyncio.current_task()
            assert task is not None
            names.append(task.get_name())
            names.append(await asyncio.create_task(asyncio.sleep(0, "another"), name="another"))

    async def main() -> None:
        task = asyncio.create_task(consume(), name="consumer")
        await asyncio.sleep(0)
        for _ in range(3):
            asyncio.get_running_loop().call_soon(line.bring, MESSAGE)
            for _ in range(5):
                await asyncio.sleep(0)
        await task

    loop.run_until_complete(main())
    assert names == ["consumer", "another"] * 3


def test_a_consumer_has_the_variables_of_its_own_context(loop: Loop, line: Line) -> None:
    seen: list[object] = []

    async def consume() -> None:
        WHOSE.set("the consumer's")
        await line.bell.listen()
        seen.append(WHOSE.get())

    loop.create_task(consume())
    turn(loop)
    line.bring(MESSAGE)
    assert seen == ["the consumer's"]
    assert WHOSE.get() == "nobody's"


def test_a_consumer_in_the_context_of_the_read_goes_on_in_the_next_turn(
    loop: Loop, line: Line
) -> None:
    """No context can be entered twice."""
    seen: list[object] = []
    context = contextvars.copy_context()

    async def consume() -> None:
        await line.bell.listen()
        seen.append(1)

    loop.create_task(consume(), context=context)
    turn(loop)
    context.run(line.bring, MESSAGE)
    assert not seen
    turn(loop)
    assert seen


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_a_consumer_raises_is_not_the_connections(
    loop: Loop, line: Line, error: type[BaseException]
) -> None:
    async def consume() -> None:
        await line.bell.listen()
        raise error

    task = loop.create_task(consume())
    turn(loop)
    line.bring(MESSAGE)
    assert isinstance(task.exception(), error)
    if issubclass(error, Exception):
        turn(loop)
    else:
        with pytest.raises(error):
            loop.run_forever()
    assert not line.failures
    line.bring(MESSAGE)
    assert len(line.backlog.frames) == 2


def test_a_consumer_may_be_cancelled_with_a_message_and_by_a_timeout(
    loop: Loop, line: Line
) -> None:
    async def consume(seconds: float | None) -> None:
        async with asyncio.timeout(seconds):
            await line.bell.listen()

    task = loop.create_task(consume(None))
    turn(loop)
    task.cancel("for a reason")
    with pytest.raises(asyncio.CancelledError, match="for a reason"):
        loop.run_until_complete(task)
    with pytest.raises(TimeoutError):
        loop.run_until_complete(consume(0.001))


def test_a_bell_keeps_nothing_of_a_consumer_that_has_ended(loop: Loop, line: Line) -> None:
    class Kept:
        pass

    async def consume() -> None:
        kept = Kept()
        seen.append(weakref.ref(kept))
        await line.bell.listen()

    for way in (line.bring, lambda _: line.bell()):
        seen: list[weakref.ref[Kept]] = []
        task = loop.create_task(consume())
        turn(loop)
        way(MESSAGE)
        turn(loop)
        assert task.done()
        del task
        gc.collect()
        assert seen[0]() is None
