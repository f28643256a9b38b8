"""Which streams have been silent for too long, and clocks that jump. No clock: times are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

DAY = timedelta(days=1)
JUMP_SECONDS = 2.0  # by which the clocks disagree where one has stepped, or the machine has slept
_LONGEST_PAUSE = 3600.0  # between two renewals for the same silent stream


class Silence:
    """``timeout``: the seconds that each kind of stream may be silent, None where it may for ever.

    A stream that stays silent although its connection was renewed is told of again after pauses
    that double: it may be that nothing happens there.
    """

    def __init__(self, timeout: Mapping[str, float | None]) -> None:
        self._timeout = timeout
        self._entered: dict[str, float] = {}  # when each was acknowledged
        self._told: dict[str, tuple[float, float]] = {}  # pause, and when it ends

    def entered(self, names: Iterable[str], now: float) -> None:
        """These streams have been acknowledged."""
        self._entered.update(dict.fromkeys(names, now))

    def forgotten(self, names: Iterable[str]) -> None:
        """These streams are not wanted any more."""
        for name in names:
            self._entered.pop(name, None)
            self._told.pop(name, None)

    def quiet(
        self, names: Iterable[str], heard: Callable[[str], float], now: float, is_read: bool
    ) -> list[str]:
        """Those of which nothing has come for too long.

        ``heard(name)`` is when something came last. While nothing ``is_read``, nobody is silent.
        """
        found = []
        for name in names:
            timeout = self._timeout.get(name.rpartition("@")[2])
            if timeout is None:
                continue
            came = heard(name)
            if now - came < timeout:
                self._told.pop(name, None)
            if now - max(self._entered.get(name, now), came) < timeout or not is_read:
                continue
            pause, until = self._told.get(name, (timeout, 0.0))
            if now >= until:
                found.append(name)
                self._told[name] = min(2 * pause, _LONGEST_PAUSE), now + pause
        return found


class Daily:
    """A time of day that is to come once a day; in UTC where it has no time zone."""

    def __init__(self, at: time_of_day | None, now: datetime) -> None:
        self._at = at
        self._next = self._after(now)

    def is_due(self, now: datetime) -> bool:
        """Whether it has come since it was asked last."""
        if self._next is None or now < self._next:
            return False
        self._next = self._after(now)
        return True

    def _after(self, now: datetime) -> datetime | None:
        if self._at is None:
            return None
        zone = self._at.tzinfo or UTC
        here = now.astimezone(zone)
        when = datetime.combine(here.date(), self._at.replace(tzinfo=None), zone)
        return when if when > here else datetime.combine(here.date() + DAY, when.time(), zone)


class Clocks:
    """A wall clock that jumps was set, or the machine was suspended."""

    def __init__(self, wall: float, monotonic: float) -> None:
        self._apart = wall - monotonic

    def jump(self, wall: float, monotonic: float) -> float:
        """The seconds by which the wall clock has jumped since it was asked last; 0 for few."""
        apart = wall - monotonic
        jump, self._apart = apart - self._apart, apart
        return jump if abs(jump) >= JUMP_SECONDS else 0.0
