"""What an archive knows of its tapes, also of those of which the files are not given any more.

It is kept in the archive itself, so that what is converted one after the other has the account
that it would have if it were converted together.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..venue.streams import DEPTH
from .account import BOOK, HOLE, Account, Told
from .store import Store

PLACE = "_manifest/ledger.json"


@dataclass(frozen=True)
class File:
    """One file of a tape. ``snapshots`` are symbol, last update id, and time of arrival (ns)."""

    damage: list[str]  # what is in no batch, in sentences
    snapshots: list[tuple[str, int, int]]
    units: list[str]  # that it is cut in, by name
    frames: int


@dataclass(frozen=True)
class Recording:
    """``session`` is its row of ``kind=session``, empty where no batch of it can be read.

    ``event_us`` is of its first and its last event, by the exchange's clock, None where there is
    none; ``files`` are by the name that units have; ``spans`` are the times (ns) of which the files
    that were given last tell.
    """

    session: dict[str, Any]
    streams: list[str]
    event_us: tuple[int, int] | None
    files: dict[str, File]
    spans: list[tuple[int, int]]

    @property
    def start_ns(self) -> int:
        return int(self.session.get("started_time", 0))

    @property
    def end_ns(self) -> int:
        return int(self.session.get("ended_time", -1))

    def followed_by(self, later: Recording) -> Recording:
        """What is known of both: the later word counts, and files that are gone stay known."""
        one, other = self.session, later.session
        files = self.files | later.files
        if set(files) == set(later.files) or not one:
            return Recording(other, later.streams, later.event_us, files, later.spans)
        session = one
        if other:
            session = other | {
                "started_time": min(self.start_ns, later.start_ns),
                "ended_time": max(self.end_ns, later.end_ns),
                "frames": sum(file.frames for file in files.values()),
                "files": len(files),
            }
        streams = sorted({*self.streams, *later.streams})
        ranges = [each for each in (self.event_us, later.event_us) if each is not None]
        first = min((each[0] for each in ranges), default=0)
        last = max((each[1] for each in ranges), default=0)
        events = (first, last) if ranges else None
        return Recording(session, streams, events, files, later.spans)

    def is_beside(self, other: Recording) -> bool:
        """Whether both were at work at the same time, by the clocks here and at the exchange.

        What was cut in two overlaps by one of them at most.
        """
        if self.event_us is None or other.event_us is None:
            return False
        here = self.start_ns <= other.end_ns and other.start_ns <= self.end_ns
        there = self.event_us[0] <= other.event_us[1] and other.event_us[0] <= self.event_us[1]
        return here and there


@dataclass(frozen=True)
class Kept:
    """``holes`` are rows of ``kind=hole``."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    holes: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, store: Store) -> Kept:
        """Nothing, where there is nothing that can be understood."""
        try:
            told = json.loads(store.read(PLACE) or b"{}")
            recordings = {
                name: Recording(
                    each["session"],
                    each["streams"],
                    each["event_us"] and (each["event_us"][0], each["event_us"][1]),
                    {
                        file: File(
                            of["damage"],
                            [(symbol, number, at) for symbol, number, at in of["snapshots"]],
                            of["units"],
                            of["frames"],
                        )
                        for file, of in each["files"].items()
                    },
                    [(begin, end) for begin, end in each["spans"]],
                )
                for name, each in told["recordings"].items()
            }
            for each in told["holes"]:
                each["stream"], each["started_time"], each["ended_time"], each["first_after"]
            return cls(recordings, told["holes"])
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def write(self, store: Store) -> None:
        store.write(PLACE, json.dumps(asdict(self), separators=(",", ":")).encode())

    def with_tapes(self, recordings: dict[str, Recording], holes: Iterable[dict[str, Any]]) -> Kept:
        """The same with what tapes say now: of the times and streams that they have they know."""
        found = dict(self.recordings)
        for name, told in recordings.items():
            found[name] = told if name not in found else found[name].followed_by(told)

        streams = {name: frozenset(told.streams) for name, told in recordings.items()}

        def is_given(stream: str, at: int) -> bool:
            return any(
                stream in streams[name] and any(begin <= at <= end for begin, end in told.spans)
                for name, told in recordings.items()
            )

        older = [
            hole
            for hole in self.holes
            if not is_given(hole["stream"], hole["started_time"])
            or not is_given(hole["stream"], hole["ended_time"])
        ]
        rows = {json.dumps(hole, sort_keys=True): hole for hole in [*older, *holes]}
        by_time = sorted(rows.values(), key=lambda each: (each["started_time"], each["stream"]))
        return Kept(found, by_time)

    @property
    def files(self) -> list[File]:
        return [file for told in self.recordings.values() for file in told.files.values()]

    @property
    def snapshots(self) -> list[tuple[str, int, int]]:
        return [snapshot for file in self.files for snapshot in file.snapshots]

    @property
    def units(self) -> list[str]:
        return [unit for file in self.files for unit in file.units]

    @property
    def damage(self) -> list[str]:
        return [sentence for file in self.files for sentence in file.damage]

    def left(self, done: Container[str]) -> list[str]:
        """The units that are none of these."""
        return [unit for unit in self.units if unit not in done]

    @property
    def account(self) -> Account:
        return Account.of(self.events)

    @property
    def events(self) -> list[Told]:
        """Holes and snapshots, by time."""
        found = [(h["ended_time"], h["stream"], HOLE, h["first_after"]) for h in self.holes]
        found += [(at, f"{symbol.lower()}@{DEPTH}", BOOK, i) for symbol, i, at in self.snapshots]
        return sorted(found)
