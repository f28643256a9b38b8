"""What a feed has lost, and what else was not as it should be. Nothing is lost silently."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sbe_codegen.runtime.errors import DecodeError, UnknownTemplate

from . import spot_stream
from .sequencer import Line, Sequencer, Stream

MOST_HOLES = 100_000
MOST_DAMAGED = 1_000
MOST_CONNECTIONS = 500
_LATEST = 1_000  # holes that are looked through


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
    """A frame that was no message, as it came."""

    frame: bytes
    error: DecodeError
    received_ns: int
    connection: str


@dataclass
class Connection:
    """One connection of the feed, from its opening to its end (None while it is open)."""

    name: str
    line: Line
    opened_ns: int
    closed_ns: int | None = None
    cause: str | None = None

    @property
    def frames(self) -> int:
        return self.line.frames

    @property
    def bytes(self) -> int:
        return self.line.bytes


class Ledger:
    """The account of one feed. Lists are kept up to a limit; counters go on.

    - ``holes``: what is missing (the latest 100,000; ``holes_count`` counts all, those that
      events out of order have filled as well)
    - ``streams``: by name, with counters: see `Stream`
    - ``damaged``: frames that were no message (the latest 1,000; ``damaged_count`` counts all)
    - ``unknown_templates``, ``newer_versions``: how often each was seen
    - ``connections``: those that are open and the latest 500 that ended, with what came through
      each (``connections_count`` counts all, ``ended_count`` those that ended)
    - ``dropped``: events that were dropped for a slow consumer, each of them in a hole as well
    """

    def __init__(self) -> None:
        self.holes: list[Hole] = []
        self.holes_count = 0
        self.damaged: deque[Damaged] = deque(maxlen=MOST_DAMAGED)
        self.damaged_count = 0
        self.unknown_templates: Counter[int] = Counter()
        self.newer_versions: Counter[int] = Counter()
        self.connections: list[Connection] = []
        self.connections_count = self.ended_count = 0
        self.dropped = 0
        self.sequencer = Sequencer(self._note_hole, note_late=self._note_late)
        self._dropping: dict[str, Hole] = {}

    @property
    def streams(self) -> Mapping[str, Stream]:
        return self.sequencer.streams

    def __repr__(self) -> str:
        return (
            f"<Ledger: {self.holes_count} holes, {self.damaged_count} damaged frames, "
            f"{self.dropped} dropped, {self.connections_count} connections>"
        )

    def _add(self, hole: Hole) -> None:
        self.holes_count += 1
        hole.number = self.holes_count
        self.holes.append(hole)
        if len(self.holes) > MOST_HOLES:
            del self.holes[: MOST_HOLES // 10]

    def _note_hole(
        self, stream: Stream, before: int, after: int, started: int, ended: int, cause: str
    ) -> None:
        self._add(Hole(stream.name, before, after, started, ended, cause))

    def _note_late(self, stream: Stream, first: int, last: int) -> bool:
        """Ids that come after all: whether a hole had them, which has them no more."""
        for hole in reversed(self.holes[-_LATEST:]):
            if (
                hole.stream != stream.name
                or not hole.last_before < first <= last < hole.first_after
            ):
                continue
            if first == hole.last_before + 1:
                hole.last_before = last
            else:
                if last < hole.first_after - 1:
                    rest = replace(hole, last_before=last, filled=0)
                    self._add(rest)
                hole.first_after = first
            if not hole.ids:
                self.holes.remove(hole)
            return True
        return False

    def note_connection(self, connection: Connection) -> None:
        """A connection is there; the oldest that ended is forgotten where there are too many."""
        self.connections_count += 1
        self.connections.append(connection)
        if len(self.connections) > MOST_CONNECTIONS:
            ended = (each for each in self.connections if each.closed_ns is not None)
            oldest = next(ended, None)
            if oldest is not None:
                self.connections.remove(oldest)

    def note_end(self, connection: Connection, now_ns: int, cause: str) -> None:
        """A connection is no more."""
        self.ended_count += 1
        connection.closed_ns, connection.cause = now_ns, cause

    def note_damaged(self, frame: bytes, received: int, connection: str) -> None:
        """A frame that `decode` refuses."""
        try:
            spot_stream.decode(frame)
        except UnknownTemplate as error:
            assert error.template_id is not None
            self.unknown_templates[error.template_id] += 1
        except DecodeError as error:
            self.damaged_count += 1
            self.damaged.append(Damaged(frame, error, received, connection))

    def note_dropped(self, stream: Stream, first: int, last: int, received: int) -> None:
        """An event that was dropped for a slow consumer. One hole while none is handed over."""
        self.dropped += 1
        stream.dropped += 1
        hole = self._dropping.get(stream.name)
        if hole is None:
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

    def note_taken(self, stream: Stream) -> None:
        """An event was handed over: what is dropped after it makes a hole of its own."""
        self._dropping.pop(stream.name, None)
