"""The clock of a feed with asyncio, on real event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from binance_sbe.feed.transport.alarm import Alarm

Loops = Callable[[], asyncio.AbstractEventLoop]


LOOPS: list[Loops] = [asyncio.new_event_loop, uvloop.new_event_loop]


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(params=[True, False], ids=["descriptor", "time-out"])
def alarms(request: pytest.FixtureRequest) -> Callable[..., Alarm]:
    def make(loop: asyncio.AbstractEventLoop, rings: Callable[[], object]) -> Alarm:
        with contextlib.nullcontext() if request.param else no_more_descriptors():
            made = Alarm(loop, rings)
        assert made.is_descriptor == (request.param and sys.platform == "linux")
        return made

    return make


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, -1.0, 0.001, 0.004, 100.0, math.inf]),
        st.sampled_from([0.0, 0.002, 0.01]),
    ),
    max_size=6,
)


@pytest.mark.parametrize("new_loop", LOOPS)
def test_it_rings_once_after_what_was_set_last(
    alarms: Callable[..., Alarm], new_loop: Loops
) -> None:
    @settings(max_examples=25, deadline=None)
    @given(STEPS)
    def tried(steps: list[tuple[float, float]]) -> None:
        async def work() -> None:
            loop = asyncio.get_running_loop()
            rung: list[float] = []
            alarm = alarms(loop, lambda: rung.append(time.monotonic()))
            for after, waits in steps:
                before = len(rung)
                due = time.monotonic() + after
                alarm.set(after)
                await asyncio.sleep(waits)
                assert len(rung) - before <= 1
                assert not any(at < due - 0.001 for at in rung[before:])  # a time-out is that early
                if waits > after + 0.005:
                    async with asyncio.timeout(20):
                        while len(rung) == before:
                            await asyncio.sleep(0.001)
            alarm.close()
            count = len(rung)
            await asyncio.sleep(0.005)
            assert len(rung) == count
            alarm.close()  # again

        loop = new_loop()
        loop.run_until_complete(work())
        loop.close()

    tried()


def test_what_was_set_before_is_forgotten(alarms: Callable[..., Alarm]) -> None:
    async def work() -> None:
        rung: list[int] = []
        alarm = alarms(asyncio.get_running_loop(), lambda: rung.append(1))
        alarm.set(0.001)
        time.sleep(0.01)  # it would ring in the next turn
        alarm.set(60)
        await asyncio.sleep(0.03)
        assert not rung
        alarm.close()

    asyncio.run(work())


def test_no_descriptor_is_left() -> None:
    before = open_descriptors()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        alarm = Alarm(loop, print)
        alarm.set(60)
        alarm.close()
        Alarm(loop, print)  # let go of
        kept = Alarm(loop, print)
        kept.set(60)  # and its loop ends

    asyncio.run(work())
    gc.collect()
    assert open_descriptors() == before


def test_an_alarm_may_be_closed_after_its_loop() -> None:
    async def made() -> Alarm:
        alarm = Alarm(asyncio.get_running_loop(), print)
        alarm.set(60)
        return alarm

    asyncio.run(made()).close()


def test_an_event_loop_with_it_has_no_timer() -> None:
    """So that a message that comes alone pays for none."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        alarm = Alarm(loop, print)
        alarm.set(60)
        assert not loop._scheduled  # type: ignore[attr-defined]
        alarm.close()

    if sys.platform == "linux":
        asyncio.run(work())
