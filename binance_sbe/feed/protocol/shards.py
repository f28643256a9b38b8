"""Which connections a feed wants, and which it has.

A feed's streams are cut into shards, of as many as one connection takes. A shard has a slot for
each line, and a slot has its current connection, if it is up, while that is renewed its
successor, and after that, until it has ended, the one before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from ..settings import Settings
from .pacing import Backoff, Window
from .session import MAX_STREAMS, Request, Session

CONTROL_FRAMES = (3, 1.25)  # of 5 a second: pongs count, and frames may arrive closer together


class Phase(Enum):
    OPENING = "opening"
    SUBSCRIBING = "subscribing"
    LIVE = "live"
    RETIRING = "retiring"  # another has taken its place; what was on its way still comes
    CLOSED = "closed"


@dataclass(eq=False)
class Connection:
    """One WebSocket connection."""

    number: int
    slot: Slot
    name: str
    phase: Phase = Phase.OPENING
    session: Session = field(default_factory=Session)
    to_send: list[Request] = field(default_factory=list)
    sent: dict[int, tuple[Request, float]] = field(default_factory=dict)  # and when
    control: Window = field(default_factory=lambda: Window(*CONTROL_FRAMES))
    heard: float = 0.0
    renew_at: float = 0.0
    live_since: float = 0.0
    asked_at: float = float("-inf")  # when a sign of life was last asked for
    retired_at: float = 0.0
    entered: dict[str, None] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)  # entered, and nothing has come of them yet
    again: dict[str, float] = field(default_factory=dict)  # refused, and when to ask again
    refusals: dict[str, Backoff] = field(default_factory=dict)


@dataclass
class Slot:
    """One of the lines of a shard: a connection is wanted here, always."""

    shard: Shard
    index: int
    backoff: Backoff
    renewals: Backoff
    current: Connection | None = None
    successor: Connection | None = None
    retiring: list[Connection] = field(default_factory=list)  # those before the current
    attempts: int = 0  # since it was up
    attempt_at: float | None = None  # when the next connection is to be opened
    down_since: float | None = None


@dataclass
class Shard:
    """Streams that share connections."""

    number: int
    names: dict[str, None] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)


class Shards:
    """All streams of a feed, each in the shard that brings it. ``chance`` makes the jitter."""

    def __init__(self, settings: Settings, chance: random.Random) -> None:
        self._settings = settings
        self._chance = chance
        self._all: list[Shard] = []

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._all)

    @property
    def slots(self) -> list[Slot]:
        return [slot for shard in self._all for slot in shard.slots]

    def __len__(self) -> int:
        return len(self._all)

    def cut_off(self) -> set[str]:
        """The streams that no connection brings now."""
        lost: set[str] = set()
        for shard in self._all:
            phases = [slot.current.phase for slot in shard.slots if slot.current is not None]
            if Phase.LIVE not in phases:
                lost.update(shard.names)
        return lost

    def down_for(self, now: float) -> float:
        """For how many seconds streams have had no connection at all, those that suffer most."""
        found = [
            min(0.0 if slot.down_since is None else now - slot.down_since for slot in shard.slots)
            for shard in self._all
        ]
        return max(found, default=0.0)

    def place(self, names: list[str], now: float) -> dict[int, list[str]]:
        """Gives each stream a shard; by the shards' numbers."""
        known = {name: shard for shard in self._all for name in shard.names}
        places: dict[int, list[str]] = {}
        for name in names:
            shard = known.get(name) or self._with_room(now)
            shard.names[name] = None
            places.setdefault(shard.number, []).append(name)
        return places

    def remove(self, names: list[str]) -> dict[int, list[str]]:
        """Takes streams out of their shards; those that none has, the first is asked about."""
        places: dict[int, list[str]] = {}
        unknown = dict.fromkeys(names)
        for shard in self._all:
            for name in names:
                if name in shard.names:
                    del shard.names[name], unknown[name]
                    places.setdefault(shard.number, []).append(name)
        if unknown and self._all:
            places.setdefault(self._all[0].number, []).extend(unknown)
        return places

    def _with_room(self, now: float) -> Shard:
        for shard in self._all:
            if len(shard.names) < MAX_STREAMS:
                return shard
        settings = self._settings
        shard = Shard(len(self._all) + 1)
        for index in range(settings.lines):
            backoff = Backoff(settings.first_pause, settings.longest_pause, self._chance)
            renewals = Backoff(1.0, 3600.0, self._chance)
            shard.slots.append(Slot(shard, index, backoff, renewals, attempt_at=now))
        self._all.append(shard)
        return shard
