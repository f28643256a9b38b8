"""What an event loop tells of sockets: as a poller does, whatever is wanted meanwhile."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from test_alarm import LOOPS, Loops

from binance_sbe.feed.transport.bell import Bell
from binance_sbe.feed.transport.poller import READ, WRITE, Owner
from binance_sbe.feed.transport.watch import Watch

NUMBERS = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """Three sockets. What is told in a turn is what is ready and wanted, and nothing else."""

    new_loop: Loops

    @initialize(bell=st.booleans())
    def begin(self, bell: bool) -> None:
        self.loop = self.new_loop()
        self.watch = Watch(self.loop, Bell() if bell else print)
        self.pairs = [self.pair() for _ in range(3)]
        self.wanted = [0, 0, 0]
        self.has = [False, False, False]  # something to read
        self.told: list[int] = []
        self.does: Any = None  # an owner, when it is told

    def pair(self) -> tuple[socket.socket, socket.socket]:
        here, there = socket.socketpair()
        here.setblocking(False)
        return here, there

    def owner(self, number: int) -> Owner:
        def tell() -> None:
            self.told.append(number)
            if self.does is not None:
                does, self.does = self.does, None
                does()

        return Owner(tell)

    @rule(number=NUMBERS, events=st.sampled_from([0, READ, WRITE, READ | WRITE]))
    def want(self, number: int, events: int) -> None:
        self.watch.want(self.pairs[number][0].fileno(), events, self.owner(number))
        self.wanted[number] = events

    @rule(number=NUMBERS)
    def forget(self, number: int) -> None:
        self.watch.forget(self.pairs[number][0].fileno())
        self.wanted[number] = 0

    @rule(number=NUMBERS)
    def comes(self, number: int) -> None:
        if not self.has[number]:
            self.pairs[number][1].send(b"x")
        self.has[number] = True

    @rule(number=NUMBERS)
    def reads(self, number: int) -> None:
        if self.has[number]:
            assert self.pairs[number][0].recv(9) == b"x"
        self.has[number] = False

    @rule(number=NUMBERS)
    def is_anothers(self, number: int) -> None:
        """The descriptor is closed, and the next socket has its number."""
        self.forget(number)
        for each in self.pairs[number]:
            each.close()
        self.pairs[number] = self.pair()
        self.has[number] = False

    @rule(number=NUMBERS)
    def forgets_when_told(self, number: int) -> None:
        """None is told after it was forgotten, in the same turn either."""
        self.does = lambda: self.forget(number)
        self.turn()
        self.does = None
        self.told.clear()

    def turn(self) -> None:
        self.told.clear()
        for _ in range(3):  # uvloop begins to watch in the next turn
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    @invariant()
    def all_are_told(self) -> None:
        if not hasattr(self, "told"):
            return
        self.turn()
        due = {
            i for i, events in enumerate(self.wanted)
            if events & WRITE or (events & READ and self.has[i])
        }  # fmt: skip
        assert set(self.told) == due

    def teardown(self) -> None:
        if hasattr(self, "told"):
            for i, (here, there) in enumerate(self.pairs):
                self.forget(i)
                here.close()
                there.close()
            self.loop.close()


@pytest.mark.parametrize("new_loop", LOOPS)
def test_what_is_ready_and_wanted_is_told(new_loop: Loops) -> None:
    made: Any = type("Machine", (Machine,), {"new_loop": staticmethod(new_loop)})
    run_state_machine_as_test(made, settings=settings(max_examples=60, deadline=None))


def test_it_may_forget_after_its_loop_is_closed() -> None:
    loop = asyncio.new_event_loop()
    here, there = socket.socketpair()
    watch = Watch(loop, print)
    watch.want(here.fileno(), READ, Owner(print))
    loop.close()
    watch.forget(here.fileno())
    watch.forget(here.fileno())
    here.close()
    there.close()
