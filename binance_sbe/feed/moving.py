"""Who moves a feed without asyncio: one thread at a time, which does what the others ask for."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

from ..errors import FeedError
from ..venue.streams import stream_names
from .base import BaseFeed, Plan
from .intake.handlers import Calls
from .pinning import Pin
from .taking import Taking
from .transport.loop import Loop

LONGEST_WAIT = 3600.0
_HAND_OVER_SECONDS = 0.05


class _Request:
    """Something that a thread asks of the feed, whoever moves it."""

    def __init__(self, begin: Callable[[], int | None]) -> None:
        self.begin = begin
        self.over = threading.Event()
        self.error: Exception | None = None

    def finish(self, error: Exception | None) -> None:
        self.error = error
        self.over.set()


class Moved(BaseFeed):
    """Whoever holds the lock moves the feed: a consumer, somebody who asks, or who closes it.

    It notes itself first thing. Between ``with self._lock`` and the ``try`` that follows there is
    no call, so that no signal's handler raises there, KeyboardInterrupt say; and what was noted is
    not taken back, since one might raise before that. It counts while the lock is held.
    """

    def __init__(self, plan: Plan, spin: bool) -> None:
        # Nobody is to be woken: who moves the feed sees what came. `bool` does nothing, in C: amid
        # a read no signal's handler is to raise, which would end the connection.
        super().__init__(plan, bool)
        self._loop = self._new_loop(plan, spin)
        self._engine = self._loop.engine
        self._taking = Taking(self._backlog, self._loop.poller, spin)
        self._lock = threading.Lock()
        self._mover = 0  # the thread
        self._is_consumed = False  # by a consumer, not by a request
        self._process = os.getpid()
        self._closes = False  # `close` was called
        self._requests: deque[_Request] = deque()
        self._pin: Pin | None = None

    def _new_loop(self, plan: Plan, spin: bool) -> Loop:
        return Loop(f"{plan.url}/ws", self._backlog, self.ledger, plan.settings, spin)

    def close(self) -> None:
        """Closes the connections; iteration ends after the frames that have arrived.

        From any thread. Waits for a handler that is running; from within one, `run` closes the feed
        when the handler has returned.
        """
        if not self._is_open:
            return
        self._closes = True
        if self._process != os.getpid():  # the connections are the other process's
            self._loop.disown()
            return
        self._loop.wake()
        me = threading.get_ident()
        if self._moves(me):
            return
        with self._lock:
            self._mover, self._is_consumed = me, False
            self._finish_closing()

    def _finish_closing(self) -> None:
        try:
            self._loop.close()
        finally:
            self._recorder.close()
            while self._requests:
                self._requests.popleft().finish(FeedError("the feed was closed"))
            self._unpin()

    def _abandon(self) -> None:
        """Ends everything where nobody waits for it; in a copy of the process its copies only."""
        if self._process == os.getpid():
            self._loop.abandon()
        else:
            self._loop.disown()

    def _unpin(self) -> None:
        pin, self._pin = self._pin, None
        if pin is not None:
            pin.undo()

    # requests

    def subscribe(self, *streams: str) -> None:
        """Adds streams; returns when the exchange has acknowledged them. From any thread.

        More than 1,024 streams take several connections. Raises ValueError for a stream that can't
        be one, SubscriptionRefused where the exchange refuses, and FeedError where it does not
        answer in time.
        """
        if streams:
            self._opened()
            names = stream_names(streams)
            self._ask(lambda: self._engine.subscribe(names))

    def unsubscribe(self, *streams: str) -> None:
        """Removes streams; frames already on their way still come. Errors as for `subscribe`."""
        if streams:
            self._opened()
            names = stream_names(streams)
            self._ask(lambda: self._engine.unsubscribe(names))

    def renew(self) -> None:
        """Has a new connection take the place of each, without a hole: at a quiet time, say.

        From any thread, and from within a handler. Returns at once; whoever moves the feed next
        begins with it. The new ones are in ``ledger.connections`` once they are there.
        """
        self._opened()
        self._check_process()
        self._requests.append(_Request(self._engine.renew))
        self._loop.wake()

    def _ask(self, begin: Callable[[], int]) -> None:
        """Has something done by whoever moves the feed: by this thread, where nobody does."""
        self._check_process()
        me = threading.get_ident()
        if self._moves(me):
            raise RuntimeError(
                "a handler can't wait for the exchange's answer, which is read when it has "
                "returned: ask from another thread"
            )
        request = _Request(begin)
        self._requests.append(request)
        self._loop.wake()
        while not request.over.is_set():
            if not self._lock.acquire(blocking=False):
                request.over.wait(_HAND_OVER_SECONDS)
                continue
            try:
                self._mover, self._is_consumed = me, False
                self._begin_requests()
                while not (request.over.is_set() or self._closes):
                    self._turn(LONGEST_WAIT)
                if self._closes:
                    self._finish_closing()
            finally:
                self._lock.release()
        if request.error is not None:
            try:
                raise request.error
            finally:
                del request  # which refers to the error, and that to this frame

    def _begin_requests(self) -> None:
        while self._requests:
            request = self._requests.popleft()
            try:
                if self._closes:
                    raise RuntimeError("the feed is closed")
                self._loop.asks(request.begin, request.finish)
            except Exception as error:  # which is of whoever has asked
                request.finish(error.with_traceback(None))  # which refers to the request

    # who moves the feed

    def _moves(self, thread: int) -> bool:
        """Whether this thread moves the feed: its handler asks, or that of a signal."""
        return self._mover == thread and self._lock.locked()

    def _alone(self) -> int:
        """This thread, which is about to consume. Refuses a second consumer.

        Where a request moves the feed, or its end, the lock is waited for.
        """
        self._opened()
        self._check_process()
        me = threading.get_ident()
        if self._lock.locked() and (self._mover == me or self._is_consumed):
            who = "the handler of `run`" if self._mover == me else "another thread"
            raise RuntimeError(
                f"{who} waits for the next frame of this feed: a feed has one consumer"
            )
        return me

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise RuntimeError(
                "this feed's connections are of the process that has made it: open another feed"
            )

    def _begin(self) -> None:
        self._check_process()
        super()._begin()

    def _turn(self, seconds: float, calls: Calls | None = None) -> None:
        """Moves the feed once, and waits at most so long for something to come: see `Loop.turn`."""
        if self._requests:
            self._begin_requests()
        backlog = self._backlog
        if backlog.stopped and backlog.has_much_room and self._engine.resume():
            seconds = 0.0  # there may be what the consumer waits for
        now = self._loop.turn(seconds, calls)
        self._taking.looked(now, self._loop.due())

    def _look(self) -> None:
        """A consumer that is always late looks at the sockets as well: who pings is answered."""
        if time.monotonic() > self._taking.look_at and not self._closes:
            self._turn(0.0)
