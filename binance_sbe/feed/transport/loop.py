"""The shell around an `Engine` for a thread without an event loop: it moves when it is told to."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from ...errors import FeedError, Unreachable
from ..engine import Engine
from ..intake.backlog import Backlog
from ..intake.handlers import Calls
from ..intake.streams import Source
from ..ledger import Ledger
from ..settings import Settings
from .conversation import CLOSE_SECONDS, Conversation, Timer
from .opening_thread import Opening
from .poller import READ, Owner, Poller
from .signalled import is_of_a_signal
from .wire import Wire, wire_of

_LATE_SECONDS = 1.0  # an opening may take so much more than its time-out, if a name server is slow


class Alarm:
    """A function that is to be called at a time of the monotonic clock, unless it is cancelled."""

    def __init__(self, at: float, function: Callable[[], object]) -> None:
        self.at = at
        self.function: Callable[[], object] | None = function

    def cancel(self) -> None:
        self.function = None


class ThreadTransport(Conversation):
    """A `Conversation` over a wire of a `Loop`."""

    _closes = False
    _loop: Loop

    def attach(self, loop: Loop, number: int, opening: Opening) -> None:
        self._loop = loop
        self.number = number
        made = opening.result
        assert made is not None
        wire = wire_of(made, loop.poller, loop.soon, loop.broken)
        loop.wires.add(wire)
        self._url = loop.url
        self.take_over(made.protocol, wire, made.rest)

    def _later(self, seconds: float, function: Callable[[], object]) -> Timer:
        return self._loop.later(seconds, function)

    def close(self) -> None:
        """Begins to end the connection; `Loop.ended` follows."""
        reader = self._reader
        if reader is None:
            self._loop.ended(self)
        elif self._is_lost:
            reader.stop()
        else:
            self._closes = reader.discards = True
            self.finish()
            reader.resume()
            self._end_soon()

    def socket_lost(self, error: BaseException | None) -> None:
        self._loop.wires.discard(self._socket)
        super().socket_lost(error)
        if self._closes and self._reader is not None:
            self._reader.stop()

    def drained(self) -> None:
        super().drained()
        self._loop.ended(self)


class Loop:
    """All connections of one feed. Used by one thread at a time, but for `wake`."""

    def __init__(
        self, url: str, backlog: Backlog, ledger: Ledger, settings: Settings, spin: bool
    ) -> None:
        self.url = url
        self.engine = Engine(url, backlog, ledger, settings, self)
        self.poller = Poller()
        self.wires: set[Wire] = set()
        self.cpus: set[int] | None = None  # that other threads may use, where this one is pinned
        self._backlog = backlog
        self._settings = settings
        self._spin = spin
        self._key = ""
        self._transports: dict[int, ThreadTransport] = {}
        self._ending: set[ThreadTransport] = set()  # closed by us, and not ended yet
        self._openings: dict[int, tuple[Opening, Source, Alarm]] = {}
        self._results: SimpleQueue[tuple[int, Opening]] = SimpleQueue()
        self._answers: dict[int, Callable[[FeedError | None], object]] = {}
        self._soon: deque[Callable[[], object]] = deque()
        self._alarms: list[Alarm] = []
        self._due = 0.0  # when the engine's clock is to be looked at
        self._waker_lock = threading.RLock()  # a signal's handler may wake us amid that
        self._waker: socket.socket | None = None
        self._woken: socket.socket | None = None

    @property
    def has_streams(self) -> bool:
        """Whether anything may come."""
        return self.engine.supervisor.has_streams or bool(self._answers)

    def start(self, key: str) -> None:
        self._key = key
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self.poller.want(self._woken.fileno(), READ, Owner(self._hear))

    def wake(self) -> None:
        """Ends the waiting in `turn`. From any thread."""
        with self._waker_lock, contextlib.suppress(BlockingIOError):
            if self._waker is not None:
                self._waker.send(b"\0")

    def asks(
        self, begin: Callable[[], int | None], done: Callable[[FeedError | None], object]
    ) -> None:
        """A request of the user's: ``done`` gets its error, or None. At once without a ticket."""
        ticket = begin()
        if ticket is None:
            done(None)
        else:
            self._answers[ticket] = done
        self.engine.act()

    # the thread's turn

    def turn(self, seconds: float, calls: Calls | None = None) -> float:
        """Waits at most so long for something to come, and does what is due. Returns the time.

        What has come is read first: a thread that was elsewhere for a while takes nobody for silent
        or late whose answer is there. And the caller sees what has happened before it waits again;
        with ``calls`` what is a message does not count for that.
        """
        self.poller.interrupted = False
        if self._soon:
            self._call_soon()
        now = self.poller.turn(min(seconds, self.due() - time.monotonic()), self._spin, calls)
        while not self._results.empty():
            number, opening = self._results.get()
            self._guarded(partial(self._opened, number, opening))
        if self._soon:
            self._call_soon()
        if now >= self._due and not self.engine.closing:
            self._guarded(self._tick)
        if self._alarms:
            self._ring(now)
        if self._soon:
            self._call_soon()
        return now

    def due(self) -> float:
        """When there is something to do even if nothing comes."""
        due = math.inf if self.engine.closing else self._due
        for each in self._alarms:
            due = min(due, each.at)
        return due

    def _tick(self) -> None:
        left = self.engine.tick()
        self._due = time.monotonic() + left  # whatever has poked meanwhile is done

    def soon(self, function: Callable[[], object]) -> None:
        self._soon.append(function)
        self.poller.interrupted = True

    def later(self, seconds: float, function: Callable[[], object]) -> Alarm:
        alarm = Alarm(time.monotonic() + seconds, function)
        self._alarms.append(alarm)
        self.poller.interrupted = True
        return alarm

    def _guarded(self, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception as error:
            self.broken(error)

    def broken(self, error: Exception) -> None:
        """An error of ours ends the feed, and is told; what a signal's handler raises is not."""
        if is_of_a_signal(error):
            raise error
        self.engine.broken(error)

    def _call_soon(self) -> None:
        soon = self._soon
        while soon:
            function = soon[0]
            self._guarded(function)  # where a signal's handler raises, it is called again
            if soon and soon[0] is function:
                soon.popleft()

    def _ring(self, now: float) -> None:
        due = [each for each in self._alarms if each.at <= now]
        self._alarms = [
            each for each in self._alarms if each.at > now and each.function is not None
        ]
        for each in due:
            if each.function is not None:
                self._guarded(each.function)

    def _hear(self) -> None:
        """Somebody has woken us: an opening is over, or there is a request."""
        assert self._woken is not None
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    # what the engine wants (see `engine.Shell`)

    def open(self, number: int, source: Source) -> None:
        settings = self._settings
        opening = Opening(
            self.url,
            self._key,
            settings.open_timeout,
            settings.route,
            lambda opening: self._is_over(number, opening),
        )
        opening.cpus = self.cpus
        late = settings.open_timeout + _LATE_SECONDS
        alarm = self.later(late, partial(self._failed, number, None))
        self._openings[number] = opening, source, alarm
        opening.start()

    def close_one(self, number: int) -> None:
        self._not_opening(number)
        transport = self._transports.pop(number, None)
        if transport is not None:
            self._ending.add(transport)
            transport.close()

    def answer(self, ticket: int, error: FeedError | None) -> None:
        done = self._answers.pop(ticket, None)
        if done is not None:
            done(error)

    def poke(self) -> None:
        self._due = 0.0
        self.poller.interrupted = True

    # transports

    def _is_over(self, number: int, opening: Opening) -> None:
        """An opening is over. In its thread."""
        with self._waker_lock:
            is_closed = self._waker is None
            if not is_closed:
                self._results.put((number, opening))
        if is_closed:
            self._throw_away(opening)
        self.wake()

    def _throw_away(self, opening: Opening) -> None:
        if opening.result is not None:
            opening.result.socket.close()

    def _opened(self, number: int, opening: Opening) -> None:
        source = self._not_opening(number)
        if source is None:
            self._throw_away(opening)
            return
        if opening.result is None:
            self._failed(number, opening.error)
            return
        engine = self.engine
        transport = ThreadTransport(
            self._backlog,
            source,
            partial(engine.text, number),
            partial(engine.sign, number),
            partial(self._on_lost, number),
            partial(engine.drained, number),
        )
        self._transports[number] = transport
        transport.attach(self, number, opening)
        engine.opened(number, transport)

    def _not_opening(self, number: int) -> Source | None:
        """It is not opening any more. Its source, if it was."""
        if number not in self._openings:
            return None
        opening, source, alarm = self._openings.pop(number)
        alarm.cancel()
        opening.cancel()
        return source

    def _failed(self, number: int, error: FeedError | None) -> None:
        """No connection; without an error there was no answer, not even of a name server."""
        self._not_opening(number)
        seconds = self._settings.open_timeout
        late = Unreachable(f"{self.url}: no answer within {seconds:g} s")
        self.engine.failed(number, error or late)

    def _on_lost(self, number: int, code: int | None, reason: str) -> None:
        self._transports.pop(number, None)
        if not self.engine.closing:
            self.engine.lost(number, code, reason)

    def ended(self, transport: ThreadTransport) -> None:
        """All of a transport is over."""
        self._ending.discard(transport)

    # the end

    def close(self) -> None:
        """Ends everything; what has arrived stays in the backlog."""
        if self._waker is None:
            return
        try:
            self.engine.close()
            until = time.monotonic() + 2 * CLOSE_SECONDS
            while self._ending and time.monotonic() < until:
                self.turn(0.1)
        finally:  # also where a signal's handler has had enough of it
            self.abandon()
            self.engine.release(everything=True)

    def disown(self) -> None:
        """In a copy of the process, which `fork` made: its copies of the sockets are closed.

        A copy has the forking thread alone. What another thread held then, a lock say, is held for
        ever in it: no such lock is asked for here.
        """
        self._waker_lock = threading.RLock()
        self._openings.clear()  # their threads are in the other process
        self.abandon()

    def abandon(self) -> None:
        """Ends everything where nobody waits for it."""
        with self._waker_lock:
            waker, self._waker = self._waker, None
        if waker is None:
            return
        self.engine.abandon()
        for wire in self.wires:
            wire.abort()
        self._call_soon()
        self.wires.clear()
        for number in list(self._openings):
            self._not_opening(number)
        while not self._results.empty():
            self._throw_away(self._results.get()[1])
        waker.close()
        if self._woken is not None:
            self.poller.forget(self._woken.fileno())
            self._woken.close()
