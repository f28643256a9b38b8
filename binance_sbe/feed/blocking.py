"""A live feed without asyncio: the thread that consumes it moves the bytes as well."""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType

from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.tables.results import Batch

from ..errors import FeedError
from ..venue.streams import Message, stream_names
from .base import BaseFeed, Plan, checked_handler, no_streams
from .intake.handlers import Calls, FrameHandler
from .pinning import Pin, warn_of_spinning
from .settings import checked_key
from .transport.loop import Loop

_USAGE = "with sync.connect(...) as feed:"
_LOOK_SECONDS = 0.02  # a consumer that finds frames all the time looks at the sockets so often
_LONGEST_WAIT = 3600.0
_HAND_OVER_SECONDS = 0.05


class _Request:
    """Something that a thread asks of the feed, whoever moves it."""

    def __init__(self, begin: Callable[[], int]) -> None:
        self.begin = begin
        self.over = threading.Event()
        self.error: FeedError | None = None

    def finish(self, error: FeedError | None) -> None:
        self.error = error
        self.over.set()


class Feed(BaseFeed):
    """Open streams, for a thread without asyncio. Made by `sync.connect`.

    One thread at a time consumes it: iterates over it or its `batches`, or is in `run`. That thread
    reads sockets, answers pings and renews connections, while it is in one of these: one that stays
    away for longer than a minute loses its connection, and what it missed is in the ledger. Others
    may call `subscribe`, `unsubscribe`, `renew` and `close`. Attributes are as in `connect`'s Feed.
    """

    def __init__(self, plan: Plan, timeout: float | None, spin: bool, cpu: int | None) -> None:
        super().__init__(plan, lambda: None)
        self.timeout = timeout
        self._cpu = cpu
        self._spin = spin
        self._loop = Loop(f"{plan.url}/ws", self._backlog, self.ledger, plan.settings, spin)
        self._engine = self._loop.engine
        self._lock = threading.Lock()  # of whoever moves the feed
        self._mover: int | None = None  # its thread
        self._is_consumed = False  # by a consumer, not by a request
        self._closes = False  # `close` was called
        self._requests: deque[_Request] = deque()
        self._look_at = 0.0
        self._pin: Pin | None = None

    # opening and closing

    def __enter__(self) -> Feed:
        if self._is_open:
            raise RuntimeError("this feed was opened before: call sync.connect again")
        key = checked_key(self._key)
        if self._spin:
            warn_of_spinning()
        if self._cpu is not None:
            self._pin = Pin(self._cpu)
            self._loop.cpus = self._pin.before
        self._is_open = True
        try:
            self._loop.start(key)
            self.subscribe(*self._wanted)
        except BaseException:
            self.close()
            self._is_open = False
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self._is_left = True

    def __del__(self) -> None:
        if not getattr(self, "_is_open", False) or self._engine.is_over:
            return
        text = f"{self!r} was dropped and not closed"
        warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        self._loop.abandon()

    def __aenter__(self) -> None:
        raise TypeError(f"this feed is without asyncio: write '{_USAGE}'")

    def __aexit__(self, *_: object) -> None:
        """There is none to leave."""

    def close(self) -> None:
        """Closes the connections; iteration ends after the frames that have arrived.

        From any thread. Waits for a handler that is running; from within one, `run` closes the feed
        when the handler has returned.
        """
        if not self._is_open:
            return
        self._closes = True
        self._loop.wake()
        if self._mover != threading.get_ident():
            with self._lock:
                self._finish_closing()

    def _finish_closing(self) -> None:
        self._mover = threading.get_ident()
        try:
            self._loop.close()
        finally:
            self._mover = None
            while self._requests:
                self._requests.popleft().finish(FeedError("the feed was closed"))
            pin, self._pin = self._pin, None
            if pin is not None:
                pin.undo()

    def _not_open(self) -> RuntimeError:
        return RuntimeError(f"this is not open: write '{_USAGE}', and use it in that block")

    def _closed(self) -> RuntimeError:
        return RuntimeError(
            f"this is closed, and nothing comes any more: use it in its block, '{_USAGE}'"
        )

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

    def _ask(self, begin: Callable[[], int]) -> None:
        """Has something done by whoever moves the feed: by this thread, where nobody does."""
        if self._mover == threading.get_ident():
            raise RuntimeError(
                "a handler can't wait for the exchange's answer, which is read when it has "
                "returned: ask from another thread"
            )
        request = _Request(begin)
        self._requests.append(request)
        self._loop.wake()
        while not request.over.is_set():
            if self._lock.acquire(blocking=False):
                self._mover = threading.get_ident()
                try:
                    while not request.over.is_set():
                        self._turn(_LONGEST_WAIT)
                finally:
                    self._mover = None
                    self._lock.release()
            else:
                request.over.wait(_HAND_OVER_SECONDS)
        if request.error is not None:
            raise request.error

    def _begin_requests(self) -> None:
        while self._requests:
            request = self._requests.popleft()
            try:
                if self._closes:
                    raise RuntimeError("the feed is closed")
                self._loop.asks(request.begin, request.finish)
            except FeedError as error:
                request.finish(error)
            except RuntimeError as error:
                request.finish(FeedError(str(error)))

    # who moves the feed

    def _take(self) -> None:
        """This thread consumes from now on, until `_let_go`."""
        self._opened()
        me = threading.get_ident()
        if not self._lock.acquire(blocking=False):
            if self._mover == me or self._is_consumed:
                who = "the handler of `run`" if self._mover == me else "another thread"
                raise RuntimeError(
                    f"{who} waits for the next frame of this feed: a feed has one consumer"
                )
            self._lock.acquire()  # a request, or the end, which both end in time
        self._mover = me
        self._is_consumed = True

    def _let_go(self) -> None:
        try:
            if self._closes:
                self._finish_closing()
        finally:
            self._mover = None
            self._is_consumed = False
            self._lock.release()

    def _turn(self, seconds: float) -> None:
        """Moves the feed once, and waits at most so long for something to come."""
        if self._requests:
            self._begin_requests()
        backlog = self._backlog
        if backlog.stopped and backlog.has_much_room:
            before = self.stats.frames
            self._engine.resume()
            if self.stats.frames != before:  # of what was read before, and had no room
                seconds = 0.0
        self._loop.turn(seconds)
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def _goes_on(self) -> bool:
        """Whether anything may still come."""
        if self._engine.is_over or self._closes:
            return False
        if not self._loop.has_streams and not self._requests:
            raise no_streams()
        return True

    def _until(self, timeout: float | None) -> float:
        """When the consumer's patience ends."""
        return time.monotonic() + (_LONGEST_WAIT if timeout is None else timeout)

    def _wait(self, until: float, timeout: float | None) -> None:
        """A turn. TimeoutError where the time is over; the feed stays open."""
        left = until - time.monotonic()
        if left <= 0 and timeout is not None:
            raise TimeoutError(f"nothing came for {timeout:g} s")
        self._turn(max(left, 0.0))

    # frames

    def __iter__(self) -> Iterator[Message]:
        self._begin()
        return self

    def __next__(self) -> Message:
        """The next message. Raises ConnectionLost when there is no connection any more."""
        message = self.receive(self.timeout)
        if message is None:
            self._end()
            raise StopIteration
        return message

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message; None when the feed has ended, whatever with: iteration tells.

        TimeoutError where none comes within ``timeout`` seconds (None: no limit).
        """
        self._take()
        try:
            backlog, frames = self._backlog, self._backlog.frames
            backlog.stop_gathering()
            until = None
            while True:
                self._check_overflow()
                if frames:
                    if time.monotonic() > self._look_at and not self._closes:
                        self._turn(0.0)  # who is always late answers pings all the same
                    try:
                        return backlog.next_message()
                    except DecodeError as error:
                        self._refused(error)
                elif self._goes_on():
                    if until is None:
                        until = self._until(timeout)
                        self._turn(max(until - time.monotonic(), 0.0))
                    else:
                        self._wait(until, timeout)
                elif self._closes:
                    self._finish_closing()
                    if not frames:  # nothing was held until the end
                        return None
                else:
                    return None
        finally:
            self._let_go()

    def batches(self, max_messages: int = 10_000, max_delay: float = 0.1) -> Iterator[Batch]:
        """Batches of frames as tables, each with a ``received_ns`` column (time.time_ns()).

        A batch is handed over when it has ``max_messages`` frames, or ``max_delay`` seconds after
        its first; with 0 it is what one read of the sockets gave. It is never empty. Frames that
        are no messages are in its ``rejected``, whatever ``on_error`` is. Raises ConnectionLost,
        after the last batch, when there is no connection any more.

        While this runs frames become rows as they arrive. Rows that were not handed over when
        iteration stops are in the first batch of the next `batches`; messages are not made of them.
        """
        size = self._batch_size(max_messages, max_delay)
        self._begin()
        return self._batches(size, max_delay)

    def _batches(self, size: int, max_delay: float) -> Iterator[Batch]:
        try:
            while True:
                self._take()
                try:
                    batch = self._next_batch(size, max_delay)
                finally:
                    self._let_go()
                if batch is None:
                    break
                yield batch
        finally:
            self._backlog.stop_gathering()
        self._end()

    def _next_batch(self, size: int, max_delay: float) -> Batch | None:
        backlog = self._backlog
        backlog.gather(size)
        timeout = self.timeout
        until = self._until(timeout)
        while not backlog.batches.rows:
            if not self._goes_on():
                return None
            self._wait(until, timeout)
        self._check_overflow()
        until = time.monotonic() + max_delay
        while not backlog.rows_ready and not self._closes and not self._engine.is_over:
            left = until - time.monotonic()
            if left <= 0 and time.monotonic() <= self._look_at:
                break
            self._turn(max(left, 0.0))
            if left <= 0:
                break
        return self._hand_over()

    def run(
        self, handler: Callable[[Message], object] | FrameHandler, *, reuse: bool = False
    ) -> None:
        """Calls ``handler(message)`` for each message where its frame is read: the shortest way.

        What it raises ends `run`, which raises it; the feed stays open, and frames that come then
        wait for the next consumer. With ``reuse`` there is one message of each kind, which is
        pointed at one frame after the other: keep nothing of it. A handler in C is a
        `FrameHandler`, which also says when it has had enough (see ``handlers.pxd``).

        Ends when the feed is closed, by the handler too. Raises as iteration does, and TypeError
        for a handler that can't be called, or that is a coroutine function.
        """
        calls = Calls(checked_handler(handler), reuse, self._refused)
        self._begin()
        self._take()
        try:
            self._check_overflow()
            self._run(calls)
        except BaseException as error:
            if error.__context__ is None:  # a handler's error in the same turn is not lost
                error.__context__ = calls.failure
            raise
        finally:
            self._backlog.stop_calling()
            self._let_go()
        failure, ended = calls.failure, calls.ended
        del calls
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # which refers to this frame
        if not ended:
            self._end()

    def _run(self, calls: Calls) -> None:
        stats, timeout = self.stats, self.timeout
        self._backlog.call(calls)
        seen, until = stats.frames, self._until(timeout)
        while not calls.ended and self._goes_on():
            self._wait(until, timeout)
            if stats.frames != seen:
                seen, until = stats.frames, self._until(timeout)
        if not calls.ended:
            self._engine.resume()  # what connections that have ended had read, and had no room for
