"""What one consumer reads while one connection after the other brings it: waits, pauses, the end.

The base of the clients of the FIX API and of the WebSocket API; a feed has its own (`feed.engine`).
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

from sbe_codegen.runtime.errors import SbeError

from ..asynchronous import Asynchronous
from ..errors import FeedError
from .ledger import Gap

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
GIVE_UP_SECONDS = 900.0
STABLE_SECONDS = 30.0  # a connection that lived so long is followed by another at once


class Opened(Protocol):
    """A connection: ``opened`` is when, in seconds of time.monotonic()."""

    opened: float


L = TypeVar("L", bound=Opened)


class Successive(Asynchronous, Generic[L]):
    """``_link`` is the connection to ask, ``_queue`` has what came; ``_error`` ends it all."""

    _made_by: str  # the function that users call
    _wrong: type[FeedError]  # what a renewal that failed in an unknown way is told as

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self._link: L | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._pause = FIRST_PAUSE
        self._queue: deque[Any] = deque()
        self._given_back = 0  # of these, by who was cancelled: they count for no limit
        self._wake = asyncio.Event()
        self._error: SbeError | None = None
        self._is_closed = self._is_consumed = False

    # opening and closing

    @abstractmethod
    async def _opened(self) -> L:
        """Another connection."""

    @abstractmethod
    async def close(self) -> None:
        """Ends it."""

    async def __aenter__(self) -> Self:
        if self._link is not None or self._is_closed:
            raise RuntimeError(f"this is opened once: make another with {self._made_by}")
        self._link = await self._opened()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _end(self) -> None:
        """Who waits sees the end, and nothing follows any more."""
        self._is_closed = True
        self._wake.set()
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    def _live(self) -> L:
        """The connection to ask, or why there is none."""
        if self._is_closed:
            raise self._closed()
        if self._link is None:
            raise self._not_open()
        if self._error is not None:
            raise self._error
        return self._link

    def _fail(self, error: SbeError) -> None:
        if self._error is None:
            self._error = error
        self._wake.set()

    # renewal

    def _renew_by(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it in a task, unless one is at it."""
        if self._renewal is not None and not self._renewal.done():
            work.close()
            return
        self._renewal = asyncio.create_task(work, name=f"renewal of {self._made_by}")
        self._renewal.add_done_callback(self._renewed)

    def _renewed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, FeedError):
                error = self._wrong(f"nothing follows: {error!r}")
            self._fail(error)

    async def _pause_after(self, link: L) -> None:
        """None after a connection that lived for long; else longer from time to time."""
        if time.monotonic() - link.opened < STABLE_SECONDS:
            await self._wait_a_while()
        else:
            self._pause = FIRST_PAUSE

    async def _wait_a_while(self, at_least: float = 0.0) -> None:
        """So that an exchange that lets nobody stay is not asked all the time."""
        await asyncio.sleep(max(self._pause, min(at_least, GIVE_UP_SECONDS)))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    # consuming

    def _taken_out(self) -> Any:
        self._given_back = max(self._given_back - 1, 0)
        return self._queue.popleft()

    def _give_back(self, items: Sequence[Any]) -> None:
        """What somebody has taken who did not hand it on."""
        self._queue.extendleft(reversed(items))
        self._given_back += len(items)

    @property
    def _waiting_count(self) -> int:
        return len(self._queue) - self._given_back

    def __aiter__(self) -> Self:
        if self._link is None:
            raise self._not_open()
        return self

    async def _next(self, until: float | None = None) -> Any:
        """The next of the queue; None at the end, or when ``until`` is over (time.monotonic())."""
        if self._is_consumed:
            raise RuntimeError("there is one consumer at a time")
        self._is_consumed = True
        try:
            while not self._queue:
                if self._error is not None:
                    raise self._error
                if self._is_closed:
                    return None
                self._wake.clear()
                wait = None if until is None else until - time.monotonic()
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    return None
            return self._taken_out()
        finally:
            self._is_consumed = False
