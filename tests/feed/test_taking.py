"""The short way of a consumer without asyncio: what it takes, and what it leaves to others."""

from __future__ import annotations

import contextlib
import ctypes
import math
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from feeds import best
from intake import intake
from raw_server import BINARY, wire

from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.taking import Taking
from binance_sbe.feed.transport.poller import READ, Owner, Poller
from binance_sbe.feed.transport.reader import FrameReader
from binance_sbe.feed.transport.wire import Wire


class Given:
    """A socket that brings frames into a backlog, and who takes them."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.here, self.there = socket.socketpair()
        _, self.backlog = intake(wake=bool)  # as feeds without asyncio have it: no Python code
        self.backlog.brings = True
        self.wire = Wire(self.here, self.poller, lambda later: None, print)
        self.wire.set_protocol(FrameReader(self.backlog, Source(), None, self.wire))
        self.taking = Taking(self.backlog, self.poller, False)
        self.taking.looked(time.monotonic(), math.inf)

    def bring(self, number: int) -> None:
        self.there.send(wire(BINARY, best(number)))

    def close(self) -> None:
        self.there.close()
        self.wire.abort()


@pytest.fixture
def given() -> Iterator[Given]:
    with contextlib.closing(Given()) as made:
        yield made


def test_what_comes_is_waited_for(given: Given) -> None:
    assert given.taking.next_message(0.05) is None
    given.bring(1)
    message: Any = given.taking.next_message(None)
    assert message.book_update_id == 1


def test_who_finds_frames_all_the_time_has_the_sockets_looked_at(given: Given) -> None:
    given.bring(1)
    given.bring(2)
    assert given.taking.comes(5.0)
    given.taking.looked(time.monotonic() - 1.0, math.inf)
    assert given.taking.next_message(None) is None
    given.taking.looked(time.monotonic(), math.inf)
    assert given.taking.next_message(None) is not None


@pytest.mark.parametrize("why", ["interrupted", "stopped", "due", "nothing comes"])
def test_where_something_else_is_to_be_done_nothing_is_waited_for(given: Given, why: str) -> None:
    if why == "due":
        given.taking.looked(time.monotonic(), time.monotonic())
    given.poller.interrupted = why == "interrupted"
    given.backlog.stopped = why == "stopped"
    given.backlog.brings = why != "nothing comes"
    given.bring(1)
    started = time.monotonic()
    assert given.taking.next_message(None) is None
    assert time.monotonic() - started < 5


def test_a_signal_comes_before_what_it_could_lose(given: Given) -> None:
    class LateError(Exception):
        pass

    def late(*_: object) -> None:
        raise LateError

    given.bring(1)  # the first of a stream is met in Python
    assert given.taking.next_message(5.0) is not None
    told, tells = socket.socketpair()
    before = signal.signal(signal.SIGALRM, late)
    try:
        with told, tells:
            raises = ctypes.CDLL(None)["raise"]  # in C: no handler runs until somebody looks
            given.poller.want(told.fileno(), READ, Owner(partial(raises, signal.SIGALRM)))
            tells.send(b"x")
            given.bring(2)
            with pytest.raises(LateError):
                given.taking.next_message(None)
            given.poller.forget(told.fileno())
    finally:
        signal.signal(signal.SIGALRM, before)
    given.poller.interrupted = False
    message: Any = given.taking.next_message(5.0)
    assert message.book_update_id == 2
