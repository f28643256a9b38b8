"""How often something may be done: the exchange's limits, and pauses that grow."""

from __future__ import annotations

import random
from collections import deque


class Window:
    """At most ``limit`` times in any ``seconds``. Times are given, and never go back."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._times: deque[float] = deque()

    def wait(self, now: float) -> float:
        """The seconds until it may be done; 0 if it may be done now."""
        while self._times and self._times[0] <= now - self.seconds:
            self._times.popleft()
        if len(self._times) < self.limit:
            return 0.0
        return self._times[len(self._times) - self.limit] + self.seconds - now

    def note(self, now: float) -> None:
        """It is done now."""
        self._times.append(now)


class Backoff:
    """Pauses before one attempt after the other: none at first, then longer and longer.

    After ``n`` failures the pause is ``first * 2**(n - 1)`` seconds, ``longest`` at most, times a
    random number from 0.5 to 1.5, so that those who lost a connection together do not come back
    together.
    """

    def __init__(self, first: float, longest: float, chance: random.Random) -> None:
        self.first = first
        self.longest = longest
        self.failures = 0
        self._chance = chance

    def pause(self) -> float:
        """Seconds before the next attempt."""
        if self.failures == 0:
            return 0.0
        growing = self.first * 2.0 ** min(self.failures - 1, 60)
        return min(growing, self.longest) * self._chance.uniform(0.5, 1.5)
