"""Who moves a tape for a feed, in the place of connections: with asyncio and without.

With a speed the tape is played by the monotonic clock; without one no clock is looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from ..feed.intake.handlers import Calls
from .playing import Player
from .pumping import EVER

FEW = 256  # frames that are played at once for a consumer of messages
MANY = 4096  # for a handler
_LONGEST_WAIT = 3600.0


class Pace:
    """``speed`` says how many seconds of the tape are played in a second; None: as it goes."""

    def __init__(self, player: Player, speed: float | None) -> None:
        self.speed = speed
        self._player = player
        self._began: tuple[float, int] | None = None  # by the clock, and by the tape

    def due_ns(self) -> int:
        """The time of the tape up to which it may be played now."""
        if self.speed is None:
            return EVER
        now = time.monotonic()
        if self._began is None:
            self._began = now, self._player.next_ns() or 0
        began, at = self._began
        return at + int((now - began) * self.speed * 1e9)

    def left(self, until: int) -> float:
        """Seconds until that time of the tape."""
        if self.speed is None:
            return 0.0
        return min(max(until - self.due_ns(), 0) / self.speed / 1e9, _LONGEST_WAIT)

    def is_at(self, until: int) -> bool:
        """Whether nothing more comes up to a time of the tape, and it is that time."""
        following = self._player.next_ns()
        return following is None or (following > until and self.due_ns() >= until)


class AsyncStage:
    """In the place of `transport.connections.Connections`."""

    def __init__(self, player: Player, speed: float | None) -> None:
        self.engine = player
        self.pace = Pace(player, speed)
        self._poked = asyncio.Event()

    @property
    def has_streams(self) -> bool:
        return self.engine.has_streams

    async def play(self, most: int, until: int = EVER) -> bool:
        """Waits until something was played; False where nothing comes up to ``until``."""
        player = self.engine
        while not player.is_over:
            if player.advance(most, min(until, self.pace.due_ns())):
                await asyncio.sleep(0)  # others have their turn
                return True
            if player.is_over or self.pace.is_at(until):
                break
            following = player.next_ns()
            await self._sleep(self.pace.left(min(following or 0, until)))
        await asyncio.sleep(0)
        return False

    async def _sleep(self, seconds: float) -> None:
        self._poked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._poked.wait()

    async def subscribe(self, names: list[str]) -> None:
        self.engine.subscribe(names)
        self._poked.set()

    async def unsubscribe(self, names: list[str]) -> None:
        self.engine.unsubscribe(names)
        self._poked.set()

    async def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self.engine.close()
        self._poked.set()


class ThreadStage:
    """In the place of `transport.loop.Loop`. ``most`` and ``until`` say what a turn plays."""

    poller = None  # there is nothing to wait for in C

    def __init__(self, player: Player, speed: float | None) -> None:
        self.engine = player
        self.pace = Pace(player, speed)
        self.cpus: set[int] | None = None
        self.most = FEW
        self.until = EVER
        self._pokes: SimpleQueue[None] = SimpleQueue()  # also a signal's handler may put one there

    @property
    def has_streams(self) -> bool:
        return self.engine.has_streams

    def wake(self) -> None:
        """Ends the waiting in `turn`. From any thread."""
        self._pokes.put(None)

    def asks(
        self, begin: Callable[[], int | None], done: Callable[[Exception | None], object]
    ) -> None:
        begin()
        done(None)

    def turn(self, seconds: float, calls: Calls | None = None) -> float:
        """Plays what is due; where nothing is it waits for it, at most so long.

        In the place of a time it returns infinity: nobody waits for a tape to be looked at.
        """
        self._play(seconds)
        return math.inf

    def _play(self, seconds: float) -> None:
        player = self.engine
        if player.is_over or player.advance(self.most, min(self.until, self.pace.due_ns())):
            return
        following = player.next_ns()
        if following is not None:
            seconds = min(seconds, self.pace.left(min(following, self.until)))
            if seconds > 0:
                self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(Empty):
            self._pokes.get(timeout=None if seconds == math.inf else seconds)
            while True:
                self._pokes.get_nowait()

    def due(self) -> float:
        return math.inf

    def close(self) -> None:
        self.engine.close()

    def abandon(self) -> None:
        self.engine.close()
