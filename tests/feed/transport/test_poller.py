"""Waiting for sockets: which are ready, when the waiting ends, and what is forgotten."""

from __future__ import annotations

import contextlib
import itertools
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from feeds import best
from intake import intake
from raw_server import BINARY, wire

from binance_sbe.feed.intake.handlers import Calls, Ignoring
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.transport.poller import READ, WRITE, Owner
from binance_sbe.feed.transport.poller import Poller as RealPoller
from binance_sbe.feed.transport.reader import FrameReader
from binance_sbe.feed.transport.wire import Wire

Pair = tuple[socket.socket, socket.socket]


class Poller:
    """One whose owners say which descriptors were ready."""

    def __init__(self) -> None:
        self.real = RealPoller()
        self.told: list[int] = []

    def want(self, fd: int, events: int) -> None:
        self.real.want(fd, events, Owner(lambda: self.told.append(fd)))

    def forget(self, fd: int) -> None:
        self.real.forget(fd)

    def wait(self, seconds: float, spin: bool) -> list[int]:
        self.told.clear()
        before = time.monotonic()
        self.real.interrupted = False
        assert before <= self.real.turn(seconds, spin) <= time.monotonic()
        return list(self.told)


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


SPIN = pytest.mark.parametrize("spin", [False, True], ids=["sleeping", "spinning"])


@SPIN
def test_what_is_ready_is_told_and_told_again_until_it_is_read(pair: Pair, spin: bool) -> None:
    poller, (one, other) = Poller(), pair
    poller.want(one.fileno(), READ)
    assert poller.wait(0.0, spin) == []
    other.send(b"x")
    for seconds in (5.0, 0.0, -1.0):
        assert poller.wait(seconds, spin) == [one.fileno()]
    one.recv(1)
    assert poller.wait(0.01, spin) == []
    poller.want(one.fileno(), READ | WRITE)
    assert poller.wait(5.0, spin) == [one.fileno()]
    poller.want(one.fileno(), READ)
    assert poller.wait(0.0, spin) == []
    other.close()
    assert poller.wait(5.0, spin) == [one.fileno()]


@SPIN
def test_waiting_ends_in_time_or_when_something_comes(pair: Pair, spin: bool) -> None:
    poller, (one, other) = Poller(), pair
    poller.want(one.fileno(), READ)
    started = time.monotonic()
    assert poller.wait(0.15, spin) == []
    assert 0.14 <= time.monotonic() - started < 2
    timer = threading.Timer(0.1, other.send, (b"x",))
    timer.start()  # it needs the GIL, which is not held meanwhile
    assert poller.wait(20.0, spin) == [one.fileno()]
    assert time.monotonic() - started < 5
    timer.join()


@SPIN
def test_without_descriptors_it_is_a_pause(spin: bool) -> None:
    started = time.monotonic()
    assert Poller().wait(0.05, spin) == []
    assert 0.045 <= time.monotonic() - started < 2


@SPIN
def test_waiting_for_ever_is_a_very_long_wait(pair: Pair, spin: bool) -> None:
    poller, (one, other) = Poller(), pair
    poller.want(one.fileno(), READ)
    timer = threading.Timer(0.1, other.send, (b"x",))
    timer.start()
    assert poller.wait(float("inf"), spin) == [one.fileno()]
    timer.join()


@SPIN
def test_a_signal_is_handled_at_once_and_the_waiting_goes_on(spin: bool) -> None:
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(time.monotonic()))
    try:
        started = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        assert Poller().wait(0.4, spin) == []
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert 0.39 <= time.monotonic() - started < 3
        assert len(heard) >= 3
        assert heard[0] - started < 0.3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@SPIN
def test_what_a_signals_handler_raises_ends_the_waiting(spin: bool) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            Poller().wait(20.0, spin)
        assert time.monotonic() - started < 5
    finally:
        signal.signal(signal.SIGALRM, before)


def test_of_many_each_is_told_and_any_may_be_forgotten() -> None:
    poller = Poller()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    pairs = [socket.socketpair() for _ in range(min(200, soft // 8))]
    try:
        for one, _ in pairs:
            poller.want(one.fileno(), READ)
        for _, other in pairs[::3]:
            other.send(b"x")
        assert set(poller.wait(1.0, False)) == {one.fileno() for one, _ in pairs[::3]}
        for one, _ in pairs[::2]:
            poller.forget(one.fileno())
            poller.forget(one.fileno())  # again: it is not there any more
        left = {one.fileno() for i, (one, _) in enumerate(pairs) if i % 3 == 0 and i % 2}
        assert set(poller.wait(1.0, False)) == left
        for one, _ in pairs:
            poller.forget(one.fileno())
        assert poller.wait(0.0, False) == []
    finally:
        for each in pairs:
            each[0].close()
            each[1].close()


def test_the_number_of_a_closed_socket_may_be_anothers() -> None:
    poller = Poller()
    one, other = socket.socketpair()
    number = one.fileno()
    poller.want(number, READ | WRITE)
    poller.forget(number)
    one.close()
    other.close()
    again, beside = socket.socketpair()
    with again, beside:
        assert number in (again.fileno(), beside.fileno())
        assert poller.wait(0.0, False) == []
        poller.want(number, READ)  # and WRITE not, though it was wanted of the first
        assert poller.wait(0.0, False) == []


def test_a_descriptor_that_was_closed_and_not_forgotten_does_not_stall(pair: Pair) -> None:
    """It is told, so that whoever reads it gets the error."""
    poller, (one, other) = Poller(), pair
    poller.want(one.fileno(), READ)
    number = one.fileno()
    one.close()
    assert poller.wait(5.0, False) == [number]
    other.close()


def test_no_time_at_all_is_no_wait(pair: Pair) -> None:
    poller = Poller()
    poller.want(pair[0].fileno(), READ)
    started = time.monotonic()
    for _ in range(1000):
        assert poller.wait(0.0, True) == []
    assert time.monotonic() - started < 2


# without leaving C between two messages


class Enough(Exception):
    pass


class Line:
    """A socket, what reads frames from it, and the handler that gets them."""

    def __init__(self, spin: bool, function: Callable[[Any], object]) -> None:
        self.poller, self.spin = RealPoller(), spin
        self.here, self.there = socket.socketpair()
        _, self.backlog = intake()
        self.broken: list[Exception] = []
        self.soon: list[Callable[[], object]] = []
        self.wire = Wire(self.here, self.poller, self.soon.append, self.broken.append)
        self.calls = Calls(function, False, self.broken.append)
        self.backlog.call(self.calls)
        self.wire.set_protocol(FrameReader(self.backlog, Source(), None, self.wire))

    def turn(self, seconds: float) -> float:
        self.poller.interrupted = False
        return self.poller.turn(seconds, self.spin, self.calls)

    def close(self) -> None:
        self.there.close()
        self.wire.abort()


NUMBERS = itertools.count(1)


def frame() -> bytes:
    """The next event of a stream."""
    return wire(BINARY, best(next(NUMBERS)))


@SPIN
def test_messages_that_come_alone_do_not_end_a_turn(spin: bool) -> None:
    seen: list[Any] = []

    def handle(message: Any) -> None:
        seen.append(message)
        if len(seen) < 50:
            line.there.send(frame())
        else:
            raise Enough

    line = Line(spin, handle)
    with contextlib.closing(line):
        line.there.send(frame())
        before = time.monotonic()
        assert before <= line.turn(20.0) <= before + 10
        assert len(seen) == 50
        assert isinstance(line.calls.failure, Enough)


@SPIN
def test_a_turn_ends_in_time_though_messages_come_all_the_while(spin: bool) -> None:
    line = Line(spin, lambda message: line.there.send(frame()))
    with contextlib.closing(line):
        line.there.send(frame())
        before = time.monotonic()
        line.turn(0.2)
        assert 0.19 <= time.monotonic() - before < 5


@SPIN
def test_a_turn_ends_where_somebody_has_something_else_to_do(spin: bool) -> None:
    seen: list[Any] = []

    def handle(message: Any) -> None:
        seen.append(message)
        line.there.send(frame())
        if len(seen) == 7:
            line.poller.interrupted = True

    line = Line(spin, handle)
    with contextlib.closing(line):
        line.there.send(frame())
        line.turn(20.0)
        assert len(seen) == 7
        one, other = socket.socketpair()  # an owner that is no socket of messages
        with one, other:
            line.poller.want(one.fileno(), READ, Owner(lambda: one.recv(1)))
            other.send(b"x")
            line.turn(20.0)
            assert len(seen) in (7, 8)


@SPIN
def test_a_turn_ends_with_the_connection(spin: bool) -> None:
    seen: list[Any] = []
    line = Line(spin, seen.append)
    with contextlib.closing(line):
        line.there.send(frame() + frame() + frame())
        line.there.close()
        before = time.monotonic()
        line.turn(20.0)
        assert time.monotonic() - before < 10
        assert len(seen) == 3
        assert line.soon
        assert not line.broken


@SPIN
@pytest.mark.parametrize("in_c", [False, True], ids=["a function", "in C"])
def test_a_signal_is_handled_though_messages_come_all_the_while(spin: bool, in_c: bool) -> None:
    sending = threading.Event()

    def send() -> None:
        with contextlib.suppress(OSError):
            while not sending.is_set():
                line.there.send(b"".join(frame() for _ in range(100)))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    line = Line(spin, Ignoring() if in_c else bool)
    before = signal.signal(signal.SIGALRM, interrupt)
    thread = threading.Thread(target=send)
    try:
        thread.start()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        started = time.monotonic()
        if in_c:
            with pytest.raises(KeyboardInterrupt):
                line.turn(20.0)
        else:  # within the handler it is the handler's error
            with contextlib.suppress(KeyboardInterrupt):
                line.turn(20.0)
                assert isinstance(line.calls.failure, KeyboardInterrupt)
        assert time.monotonic() - started < 10
    finally:
        signal.signal(signal.SIGALRM, before)
        sending.set()
        line.close()
        thread.join()
