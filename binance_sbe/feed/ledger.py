"""What a feed has lost, and what else was not as it should be. Nothing is lost silently."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from sbe_codegen.runtime.errors import DecodeError

from .. import spot_stream
from ..venue.streams import KINDS
from .html import ledger_html
from .intake.streams import Source, Stream
from .recording import NOBODY

if TYPE_CHECKING:
    from .intake.backlog import Backlog

MOST_HOLES = 100_000
MOST_FILLABLE = 11_000  # holes of one stream that what comes late may fill: more than it has gaps
_FORGOTTEN = 1_000  # of the oldest, where there are more
MOST_CONNECTIONS = 500
_NO_IDS = -(2**63)  # of an event without trades
_LATEST = 1_000  # holes that are looked through


@dataclass(frozen=True)
class Gap:
    """A time in which something without ids may have been missed, ns since 1970, and why."""

    started_ns: int
    ended_ns: int
    cause: str


@dataclass
class Hole:
    """Events of one stream that are missing: those with ids between the two given.

    ``last_before`` is the last id before it, ``first_after`` the first id after it: of trades, or
    of updates of the book. The times (ns since 1970, of arrival here) are those of the events
    around it. ``filled`` counts the trades that `Feed.fill_trades` has got since; ``number`` counts
    the holes of a ledger, from 1 on.
    """

    stream: str
    last_before: int
    first_after: int
    started_ns: int
    ended_ns: int
    cause: str
    filled: int = 0
    number: int = 0

    @property
    def ids(self) -> int:
        """How many ids are missing; of bestBidAsk and depth20 more than events that are."""
        return self.first_after - self.last_before - 1


@dataclass(frozen=True)
class Damaged:
    """A frame that was no message, as it came, up to its first 64 KiB."""

    frame: bytes
    received_ns: int
    connection: str

    @property
    def error(self) -> DecodeError:
        """What decoding says of it."""
        try:
            spot_stream.decode(self.frame)
        except DecodeError as error:
            return error
        raise AssertionError("the frame is a message")


@dataclass
class ConnectionRecord:
    """One connection of the feed, from its opening to its end (None while it is open)."""

    name: str
    source: Source
    opened_ns: int
    closed_ns: int | None = None
    cause: str | None = None

    @property
    def line(self) -> Source:
        """``source``, by the name that it had before."""
        return self.source

    @property
    def frames(self) -> int:
        return self.source.frames

    @property
    def bytes(self) -> int:
        return self.source.bytes


class Ledger:
    """The account of one feed. Lists are kept up to a limit; counters go on.

    - ``holes``: what is missing (the latest 100,000; ``holes_count`` counts all, those that
      events out of order have filled as well)
    - ``streams``: by name, with counters: see `Stream`
    - ``damaged``: frames that were no message (the latest 1,000, and 4 MiB of them at most;
      ``damaged_count`` counts all)
    - ``unknown_templates``, ``newer_versions``: how often each was seen
    - ``strays``: events of streams that nobody has subscribed to, by the names of the first 100
      such streams (``strays_count`` counts all): they are handed on, and not arbitrated
    - ``connections``: those that are open and the latest 500 that ended, with what came through
      each (``connections_count`` counts all, ``ended_count`` those that ended)
    - ``gaps``: when events without ids may have been missed (`Gap`): of FIX and user data
    - ``dropped``: events that were dropped for a slow consumer, each of them in a hole as well
    """

    def __init__(self) -> None:
        self.holes: list[Hole] = []
        self.holes_count = 0
        self.gaps: list[Gap] = []
        self.connections: list[ConnectionRecord] = []
        self.connections_count = self.ended_count = 0
        self.dropped = 0
        self.recorder = NOBODY  # is told of holes as well
        self._backlog: Backlog | None = None  # whose counters are shown here
        self._dropping: dict[str, Hole] = {}
        self._fillable: dict[str, list[Hole]] = {}  # by stream, in the order of their ids

    def follow(self, backlog: Backlog) -> None:
        """What is counted where frames come in is shown here as well."""
        self._backlog = backlog

    @property
    def damaged(self) -> list[Damaged]:
        return [Damaged(*each) for each in self._backlog.damaged] if self._backlog else []

    @property
    def damaged_count(self) -> int:
        return self._backlog.damaged.count if self._backlog else 0

    @property
    def unknown_templates(self) -> Counter[int]:
        return Counter(self._backlog.damaged.unknown if self._backlog else ())

    @property
    def newer_versions(self) -> Counter[int]:
        return self._backlog.newer_versions if self._backlog else Counter()

    @property
    def strays(self) -> Mapping[str, int]:
        return self._backlog.arbiter.directory.strays if self._backlog else {}

    @property
    def strays_count(self) -> int:
        return self._backlog.arbiter.stray_frames if self._backlog else 0

    @property
    def streams(self) -> Mapping[str, Stream]:
        return self._backlog.arbiter.directory.streams if self._backlog else {}

    def __repr__(self) -> str:
        return (
            f"<Ledger: {self.holes_count} holes, {self.damaged_count} damaged frames, "
            f"{self.dropped} dropped, {self.connections_count} connections>"
        )

    def _repr_html_(self) -> str:
        return ledger_html(self)

    def _add(self, hole: Hole) -> None:
        self.holes_count += 1
        hole.number = self.holes_count
        self.holes.append(hole)
        if len(self.holes) > MOST_HOLES:
            del self.holes[: MOST_HOLES // 10]

    # what the intake tells (see `intake.account`)

    def note_hole(
        self, stream: Stream, before: int, after: int, started: int, ended: int, cause: str
    ) -> None:
        self.note(Hole(stream.name, before, after, started, ended, cause))

    def note(self, hole: Hole) -> None:
        """A hole that what comes late may fill."""
        self._add(hole)
        self.recorder.hole(hole)
        before = hole.last_before
        known = self._fillable.setdefault(hole.stream, [])
        if known and before < known[-1].last_before:  # the exchange counts anew
            known.clear()
        known.append(hole)
        if len(known) > MOST_FILLABLE:
            del known[:_FORGOTTEN]

    def note_late(self, stream: Stream, first: int, last: int) -> int:
        """Ids that come after all, and are in no hole any more; how many were."""
        self.recorder.filled(stream.name, first, last)
        return self.fill(stream.name, first, last)

    def fill(self, name: str, first: int, last: int) -> int:
        """The same for the stream of that name."""
        known = self._fillable.get(name, [])
        at = bisect_left(known, first, key=lambda hole: hole.first_after - 1)
        filled = 0
        while at < len(known) and known[at].last_before < last:
            hole = known[at]
            low, high = max(first, hole.last_before + 1), min(last, hole.first_after - 1)
            filled += high - low + 1
            if low > hole.last_before + 1:
                if high < hole.first_after - 1:
                    rest = replace(hole, last_before=high, filled=0)
                    self._add(rest)
                    known.insert(at + 1, rest)
                hole.first_after = low
                at += 1
            else:
                hole.last_before = high
                if hole.ids:
                    at += 1
                else:
                    del known[at]
                    self._remove(hole)
        if len(known) > MOST_FILLABLE:
            del known[:_FORGOTTEN]
        return filled

    def _remove(self, hole: Hole) -> None:
        at = bisect_left(self.holes, hole.number, key=attrgetter("number"))
        if at < len(self.holes) and self.holes[at] is hole:
            del self.holes[at]

    def note_connection(self, connection: ConnectionRecord) -> None:
        """A connection is there; the oldest that ended is forgotten where there are too many."""
        self.connections_count += 1
        self.connections.append(connection)
        if len(self.connections) > MOST_CONNECTIONS:
            ended = (each for each in self.connections if each.closed_ns is not None)
            oldest = next(ended, None)
            if oldest is not None:
                self.connections.remove(oldest)

    def note_end(self, connection: ConnectionRecord, now_ns: int, cause: str) -> None:
        """A connection is no more."""
        self.ended_count += 1
        connection.closed_ns, connection.cause = now_ns, cause

    def note_dropped(self, stream: Stream, first: int, last: int, received: int) -> None:
        """An event that was dropped for a slow consumer.

        One hole while none is handed over, and ids follow upon each other, where they do so.
        """
        self.dropped += 1
        stream.dropped += 1
        if last < first or last == _NO_IDS:
            return
        hole = self._dropping.get(stream.name)
        if (
            hole is None
            or first <= hole.last_before
            or (first > hole.first_after and not KINDS[stream.kind].is_replaced)
        ):
            self._end_dropping(stream.name)
            hole = Hole(stream.name, first - 1, last + 1, received, received, "a slow consumer")
            self._dropping[stream.name] = hole
            self._add(hole)
        hole.first_after = max(hole.first_after, last + 1)
        hole.ended_ns = received

    def holes_since(self, count: int) -> list[Hole]:
        """The holes with numbers above that, of the latest thousand."""
        return [hole for hole in self.holes[-_LATEST:] if hole.number > count]

    def is_growing(self, hole: Hole) -> bool:
        """Whether what is dropped next may still come to this hole."""
        return self._dropping.get(hole.stream) is hole

    def note_all_taken(self) -> None:
        """The same of all streams: what comes next is handed over past the queue."""
        for name in list(self._dropping):
            self._end_dropping(name)

    def note_taken(self, stream: Stream) -> None:
        """An event was handed over: what is dropped after it makes a hole of its own."""
        self._end_dropping(stream.name)

    def _end_dropping(self, name: str) -> None:
        hole = self._dropping.pop(name, None)
        if hole is not None:
            self.recorder.hole(hole)  # which grows no more
