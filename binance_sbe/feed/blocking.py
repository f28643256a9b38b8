"""A live feed without asyncio: the thread that consumes it moves the bytes as well."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator

from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.tables.results import Batch

from ..venue.streams import Message
from .base import Plan, checked_handler, no_streams
from .intake.handlers import Calls, FrameHandler
from .moving import LONGEST_WAIT, Moved
from .pinning import Pin, warn_of_spinning
from .settings import checked_key

_USAGE = "with sync.connect(...) as feed:"


class Feed(Moved):
    """Open streams, for a thread without asyncio. Made by `sync.connect`.

    One thread at a time consumes it: iterates over it or its `batches`, or is in `run`. That thread
    reads sockets, answers pings and renews connections, while it is in one of these: one that stays
    away for longer than a minute loses its connection, and what it missed is in the ledger. Others
    may call `subscribe`, `unsubscribe`, `renew` and `close`. Attributes are as in `connect`'s Feed.
    """

    def __init__(self, plan: Plan, timeout: float | None, spin: bool, cpu: int | None) -> None:
        super().__init__(plan, spin)
        self.timeout = timeout
        self._cpu = cpu
        self._spin = spin

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
        self._record_all()
        self._is_open = True
        try:
            self._loop.start(key)
            self.subscribe(*self._wanted)
        except BaseException:
            self.close()
            self._is_open = False
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._is_left = True

    def __del__(self) -> None:
        if not getattr(self, "_is_open", False):
            return
        try:
            if not self._engine.is_over:
                text = f"{self!r} was dropped and not closed"
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        finally:
            self._abandon()
            self._unpin()

    def __aenter__(self) -> None:
        raise TypeError(f"this feed is without asyncio: write '{_USAGE}'")

    def __aexit__(self, *_: object) -> None:
        """There is none to leave."""

    def _not_open(self) -> RuntimeError:
        return RuntimeError(f"this is not open: write '{_USAGE}', and use it in that block")

    def _closed(self) -> RuntimeError:
        return RuntimeError(
            f"this is closed, and nothing comes any more: use it in its block, '{_USAGE}'"
        )

    @property
    def _is_over(self) -> bool:
        """Whether nothing more is read; what was read, and had no room, may still come."""
        return self._engine.is_over or self._closes

    def _until(self, timeout: float | None, since: float | None = None) -> float:
        """When the consumer's patience ends, which has begun now or before."""
        if timeout is None:
            return math.inf
        return timeout + (time.monotonic() if since is None else since)

    def _wait(
        self,
        until: float,
        timeout: float | None,
        is_first: bool = False,
        calls: Calls | None = None,
    ) -> None:
        """A turn. TimeoutError where the time is over, but for a first; the feed stays open."""
        if not self._loop.has_streams and not self._requests:
            raise no_streams()
        left = LONGEST_WAIT
        if timeout is not None:
            left = min(until - time.monotonic(), left)
            if left <= 0 and not is_first:
                raise TimeoutError(f"nothing came for {timeout:g} s")
        self._turn(max(left, 0.0), calls)

    # frames

    def __iter__(self) -> Iterator[Message]:
        self._begin()
        return self

    def __next__(self) -> Message:
        """The next message. Raises ConnectionLost when there is no connection any more."""
        since = None
        if not self._lock.locked():
            # Most often there is one, or one will come, and nothing else is to be done.
            me = threading.get_ident()
            with self._lock:
                self._mover, self._is_consumed = me, True
                try:
                    message = self._taking.next_message(self.timeout)
                    if message is not None:
                        return message
                    since = self._taking.began
                except DecodeError as error:
                    self._refused(error)
                finally:
                    if self._closes:
                        self._finish_closing()
        message = self._receive(self.timeout, since)
        if message is None:
            self._end()
            raise StopIteration
        return message

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message; None when the feed has ended, whatever with: iteration tells.

        TimeoutError where none comes within ``timeout`` seconds (None: no limit).
        """
        return self._receive(timeout, None)

    def _receive(self, timeout: float | None, since: float | None) -> Message | None:
        """The same for who has waited since then."""
        me = self._alone()
        while True:
            with self._lock:
                self._mover, self._is_consumed = me, True
                try:
                    message = self._next_message(timeout, since)
                finally:
                    if self._closes:
                        self._finish_closing()
            if message is not None or not self._backlog.frames:  # else of the last moment
                return message

    def _next_message(self, timeout: float | None, since: float | None) -> Message | None:
        """None: nothing comes any more."""
        backlog, frames, until = self._backlog, self._backlog.frames, None
        backlog.stop_gathering()
        while True:
            while frames:
                if frames.overflowed is not None:
                    self._check_overflow()
                self._look()
                try:
                    return backlog.next_message()
                except DecodeError as error:
                    self._refused(error)
            if not self._is_over:
                is_first = until is None
                until = until or self._until(timeout, since)
                self._wait(until, timeout, is_first)
            elif not self._engine.resume():
                return None

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
                me = self._alone()
                with self._lock:
                    self._mover, self._is_consumed = me, True
                    try:
                        batch = self._next_batch(size, max_delay)
                    finally:
                        if self._closes:
                            self._finish_closing()
                if batch is not None:
                    yield batch
                elif not self._backlog.batches.rows:  # of the last moment
                    break
        finally:
            self._backlog.stop_gathering()
        self._end()

    def _next_batch(self, size: int, max_delay: float) -> Batch | None:
        backlog = self._backlog
        backlog.gather(size)
        timeout = self.timeout
        if not self._taking.comes(timeout):
            self._look()
            until = self._until(timeout, self._taking.began)
            while not backlog.batches.rows:
                if not self._is_over:
                    self._wait(until, timeout)
                elif not self._engine.resume():
                    return None
            self._check_overflow()
        until = time.monotonic() + max_delay
        while max_delay and not (backlog.rows_ready or self._is_over):
            left = until - time.monotonic()
            if left <= 0:
                break
            self._turn(left)
        return self._hand_over()

    def run(
        self, handler: Callable[[Message], object] | FrameHandler, *, reuse: bool = False
    ) -> None:
        """Calls ``handler(message)`` for each message where its frame is read: the shortest way.

        What it raises ends `run`, which raises it; the feed stays open, and frames that come then
        wait for the next consumer. With ``reuse`` there is one message of each kind, which is
        pointed at one frame after the other: keep nothing of it. A handler in C is a
        `FrameHandler`, which also says when it has had enough (see ``handlers.pxd``).

        Ends when the feed is closed, by the handler too. Raises as iteration does, DecodeError
        included where ``on_error`` is "raise", and TimeoutError where nothing came for ``timeout``
        seconds. TypeError for a handler that can't be called, or that is a coroutine function.
        """
        calls = Calls(checked_handler(handler), reuse, self._refused)
        self._begin()
        me = self._alone()
        with self._lock:
            self._mover, self._is_consumed = me, True
            try:
                self._check_overflow()
                self._run(calls)
            except BaseException as error:
                if error.__context__ is None:  # a handler's error in the same turn is not lost
                    error.__context__ = calls.failure
                raise
            finally:
                self._backlog.stop_calling()
                if self._closes:
                    self._finish_closing()
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
        backlog, timeout = self._backlog, self.timeout
        backlog.call(calls)
        until, seen = self._until(timeout), 0
        while not (calls.ended or self._is_over):
            # A handler may have taken longer than the time-out: the sockets are looked at first.
            is_first, seen = backlog.moment != seen, backlog.moment
            self._wait(until, timeout, is_first, calls)
            if timeout is not None:  # which begins anew where something comes
                until = max(until, self._until(timeout, backlog.moment / 1e9))
        if not calls.ended:
            self._engine.resume()  # what connections that have ended had read, and had no room for
