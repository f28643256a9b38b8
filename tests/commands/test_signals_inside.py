"""Who is told of a signal, and of the end of a parent, inside one process."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from binance_sbe.commands.signals import SIGNALS, at_end_of_parent, at_signal


async def turn() -> None:
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
def test_of_blocks_inside_one_another_the_inner_one_is_told(number: int) -> None:
    told: list[str] = []

    async def work() -> None:
        with at_signal(lambda: told.append("outer")):
            os.kill(os.getpid(), number)
            await turn()
            with at_signal(lambda: told.append("inner")):
                os.kill(os.getpid(), number)
                await turn()
            os.kill(os.getpid(), number)
            await turn()

    before = signal.getsignal(number)
    asyncio.run(work())
    assert told == ["outer", "inner", "outer"]
    after = signal.getsignal(number)  # asyncio leaves the default, or Python's own
    assert after in (before, signal.SIG_DFL, signal.default_int_handler)
    signal.signal(number, before)


def test_a_block_that_was_left_early_is_not_told_and_the_next_is() -> None:
    told: list[str] = []

    async def work() -> None:
        outer, inner = (at_signal(lambda n=n: told.append(n)) for n in ("outer", "inner"))
        with pytest.raises(KeyError), outer:
            raise KeyError
        with inner:
            os.kill(os.getpid(), signal.SIGTERM)
            await turn()

    asyncio.run(work())
    assert told == ["inner"]


def test_sighup_stays_ignored_and_the_others_are_not() -> None:
    told: list[int] = []

    async def work() -> None:
        with at_signal(lambda: told.append(1)):
            os.kill(os.getpid(), signal.SIGHUP)
            await turn()
            assert told == []
            os.kill(os.getpid(), signal.SIGTERM)
            await turn()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(work())
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert told == [1]


def test_the_end_of_a_parent_is_told_once_and_what_it_says_is_not_its_end() -> None:
    told: list[int] = []

    async def work() -> None:
        ours, theirs = os.pipe()
        loop: Any = asyncio.get_running_loop()
        with at_end_of_parent(lambda: told.append(1), ours):
            os.write(theirs, b"a line\n")
            await turn()
            assert told == []
            os.close(theirs)
            await turn()
            await turn()
            assert told == [1]
        assert not loop.remove_reader(ours)
        os.close(ours)
        ours, theirs = os.pipe()
        with at_end_of_parent(lambda: told.append(2), ours):
            pass
        os.close(theirs)
        await turn()
        assert not loop.remove_reader(ours)
        os.close(ours)

    asyncio.run(work())
    assert told == [1]
