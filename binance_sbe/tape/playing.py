"""A tape is played: what its rows say is done to the intake of a feed, in their order.

What a row says that is no frame was done by the `Engine` of the feed that was recorded: here the
same is done to the arbiter and the ledger, so that the same comes of it. No waiting and no clock:
whoever calls `Player.advance` says up to which time of the tape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sbe_codegen.runtime.errors import SbeError

from ..errors import TapeError
from ..feed.intake.backlog import Backlog
from ..feed.intake.streams import Source
from ..feed.ledger import ConnectionRecord, Ledger
from .census import Census
from .chapters import Chapter, Part
from .pumping import EVER, Pump
from .reading import Rows
from .rows import Kind, parted
from .selecting import Selection
from .slices import merged
from .tape import Tape

ENDED = "the recording ended"
RENEWED = "renewed"
_EVERYTHING = 2**62  # a moment up to which all that is held is let go
_LOOK_NS = (
    20_000_000  # between looks at what is held, where the tape does not say when it was let go
)
_LATER_NS = 500_000_000  # that it is held longer then: the tape may say so yet
_MOST_STREAMS = 1 << 30
_MOST_HELD = 1 << 24


def most_held_of(tape: Tape) -> int:
    """How many frames the feed that was recorded let wait for other connections'; 0: not known."""
    told = [
        reader.told("settings", {}).get("most_held")
        for recording in tape._recordings
        for reader in recording.readers
    ]
    return max((min(each, _MOST_HELD) for each in told if isinstance(each, int)), default=0)


class _Connection:
    """One of the feed that was recorded, as far as the tape was played."""

    def __init__(self, number: int, name: str, now_ns: int) -> None:
        self.number = number
        self.name = name
        self.source = Source(number, name)
        self.record = ConnectionRecord(name, self.source, now_ns)
        self.streams: dict[str, None] = {}  # that it brings


class _Session:
    """What there is of one recording while it is played. Keys are as in the column."""

    def __init__(self, asked: Iterable[str]) -> None:
        self.asked = dict.fromkeys(asked)
        self.is_told = bool(self.asked)  # the tape says what was asked for
        self.entered: set[str] = set()
        self.open: dict[int, _Connection] = {}
        self.lost: dict[int, _Connection] = {}  # in a gap of the tape; whoever brings more is there
        self.sources: dict[int, Source] = {}  # of all that were there, for the pump
        self.offset = 0
        self.shift: int | None = None  # from its monotonic clock to that of the whole

    def connection(self, number: int) -> _Connection | None:
        return self.open.get(number & 0xFFFF)


class Player:
    """Plays the recordings of ``tape`` into ``backlog``, and tells ``ledger``.

    ``selected`` are the streams that are handed on, None for all that come. ``is_over`` says that
    nothing more is played: the tape has ended, ``error`` has come, or `close` was called.
    ``on_snapshot(told, body)`` is called for rows of snapshots, of which ``snapshots_passed``
    counts those that were there; after each one `advance` returns.
    """

    def __init__(self, tape: Tape, selection: Selection, backlog: Backlog, ledger: Ledger) -> None:
        self.tape = tape
        self.closing = self.is_over = False
        self.error: SbeError | None = None
        self.selected: frozenset[str] | None = selection.streams
        self.lost_count = 0  # connections that ended for another reason than that they were renewed
        self.on_snapshot: Callable[[dict[str, Any], bytes], object] | None = None
        self.snapshots_passed = 0
        self.start_ns = selection.start
        self._end_ns = selection.end
        self._backlog = backlog
        self._arbiter = backlog.arbiter
        self._ledger = ledger
        self._pump = Pump(backlog)
        self._census = Census(_MOST_STREAMS)
        self._chapters = [
            Chapter(each, selection, lambda: self.selected, tape._note_damage)
            for each in tape._recordings
        ]
        self._sessions: dict[Chapter, _Session] = {}
        self._parts: Iterator[Part] = merged([each.parts() for each in self._chapters])  # type: ignore
        self._part: Part | None = None
        self._marked: tuple[Rows | None, frozenset[str] | None, NDArray[np.uint8] | None] = (
            None,
            None,
            None,
        )
        self._session = _Session(())
        self._is_true = len(self._chapters) == 1 and selection.streams is None and (
            selection.start <= -EVER
        )  # fmt: skip
        self._arbiter.most_held = most_held_of(tape) or self._arbiter.most_held
        if not self._is_true:
            self._pump.look_at = -EVER
        self._arbiter.directory.is_wanted = self._wants

    # what a feed asks for

    @property
    def is_true(self) -> bool:
        """Whether all is done that was done to the feed, and nothing else."""
        return self._is_true

    @property
    def now_ns(self) -> int:
        """The time of the tape: when what was played last came; 0 before anything was."""
        return self._pump.received

    @property
    def moment_ns(self) -> int:
        """The same by the monotonic clock."""
        return self._pump.received + self._pump.offset

    @property
    def frames(self) -> int:
        """Frames that were played."""
        return self._pump.frames

    @property
    def has_streams(self) -> bool:
        return self.selected is None or bool(self.selected)

    @property
    def streams(self) -> list[str]:
        """Those that are wanted and were acknowledged, in the order they were asked for."""
        found = {
            name: None
            for session in self._sessions.values()
            for name in session.asked
            if name in session.entered and (self.selected is None or name in self.selected)
        }
        return list(found)

    def _wants(self, name: str) -> bool:
        if self.selected is not None and name not in self.selected:
            return False
        sessions = self._sessions.values()
        if not any(session.is_told for session in sessions):
            return True
        return any(name in session.asked for session in sessions)

    def subscribe(self, names: list[str]) -> None:
        """These are handed on, too. ValueError for those that the tape has not."""
        self._check_usable()
        self.check_known(names)
        if self.selected is None:
            return
        self.selected |= frozenset(names)
        for session in self._sessions.values():
            for connection in session.open.values():
                brings = [name for name in names if name in connection.streams]
                self._arbiter.enter(connection.source, brings)
        self._mark()

    def unsubscribe(self, names: list[str]) -> None:
        """These are not handed on any more."""
        self._check_usable()
        if self.selected is None:
            self.selected = frozenset(self.known())
        self.selected -= frozenset(names)
        self._is_true = False
        self._pump.look_at = min(self._pump.look_at, self._pump.received)
        there = self._ledger.streams
        self._backlog.hand_in(self._arbiter.forget([name for name in names if name in there]))
        self._mark()

    def _check_usable(self) -> None:
        if self.error is not None:
            raise self.error
        if self.closing:
            raise RuntimeError("the feed is closed")

    def known(self) -> set[str]:
        """The streams that the tape has, or that were asked for when it was recorded."""
        found = set(self.tape.streams)
        for chapter in self._chapters:
            found |= chapter.asked()
        return found

    def check_known(self, names: Iterable[str]) -> None:
        """ValueError for streams that the tape has not."""
        missing = set(names) - set(self.tape.streams)
        if missing and (missing := missing - self.known()):
            some = ", ".join(sorted(missing)[:5])
            raise ValueError(f"the tape has no {some}: 'streams' of its Tape are what it has")

    def close(self) -> None:
        """Nothing more is played; what was held is handed on."""
        self.closing = True
        self._finish(None)

    def fail(self, error: SbeError) -> None:
        self._finish(error)

    def resume(self) -> bool:
        """Nothing waits anywhere but on the tape."""
        return False

    # playing

    def snapshots(self) -> list[int]:
        """Where the snapshots are that books are to take: see `Chapter.snapshots`."""
        return self._chapters[0].snapshots() if self._is_true else []

    def next_ns(self) -> int | None:
        """When the next row came; None at the end."""
        part = self._current()
        return None if part is None else int(part.rows.received_ns[self._pump.at])

    def open(self) -> None:
        """Does what is before the first frame, so that it is known what will come."""
        while (part := self._current()) is not None:
            at = self._pump.at
            is_before = part.rows.received_ns[at] < self.start_ns
            if part.rows.kind[at] == Kind.FRAME and not is_before:
                return
            if part.rows.kind[at] == Kind.SNAPSHOT:
                return
            self._step(1, int(part.rows.received_ns[at]))

    def advance(self, most: int, until: int = EVER) -> bool:
        """Plays ``most`` frames or a few more, and nothing later than ``until`` (ns since 1970).

        Also stops after a batch or a snapshot, when a handler wants no more, and where there is no
        room. False where nothing is left to play, up to that time or at all.
        """
        first = self.frames
        while self.frames < first + most and self._current() is not None:
            why = self._step(first + most - self.frames, until)
            if why == "later":
                break
            if why in ("full", "enough", "snapshot"):
                return True
        return self.frames > first

    def _current(self) -> Part | None:
        """The part with the next row, None at the end."""
        while not self.is_over and (self._part is None or self._pump.at >= self._pump.end):
            try:
                part = next(self._parts, None)
            except TapeError as error:
                self._finish(error)
                return None
            if part is None:
                self._finish(None)
                return None
            self._begin(part)
        return None if self.is_over else self._part

    def _finish(self, error: SbeError | None) -> None:
        """The end: what waits for other connections waits no longer."""
        if self.is_over:
            return
        self.is_over, self.error, self._part = True, error, None
        self._hand_in(self._arbiter.released(_EVERYTHING))
        self._backlog.wake()

    def _begin(self, part: Part) -> None:
        self._part = part
        rows = part.rows
        session = self._sessions.get(part.chapter)
        for chapter in [each for each in self._sessions if each.is_over]:
            if chapter is not part.chapter:
                self._end_session(self._sessions.pop(chapter), chapter.last_ns)
        if session is None:
            session = self._sessions[part.chapter] = _Session(part.chapter.streams)
        if session is not self._session:
            self._session = session
            self._pump.sources = session.sources
            self._set_offset(session)
        self._pump.load(
            rows.received_ns, rows.connection, rows.kind, rows.offsets, rows.data,
            self._marks(part), part.begin, part.end,
        )  # fmt: skip
        if part.gap is not None and part.begin == 0:
            self._break(f"the tape is damaged: {part.gap}", int(rows.received_ns[0]))

    def _marks(self, part: Part) -> NDArray[np.uint8] | None:
        """Which rows are played; None for all."""
        rows = part.rows
        if self._marked[0] is rows and self._marked[1] is self.selected:
            return self._marked[2]
        marks = self._marks_of(rows)
        self._marked = rows, self.selected, marks
        return marks

    def _marks_of(self, rows: Rows) -> NDArray[np.uint8] | None:
        times = rows.received_ns
        if self.selected is None and times.min() >= self.start_ns and times.max() < self._end_ns:
            return None
        inside = (rows.received_ns >= self.start_ns) & (rows.received_ns < self._end_ns)
        if self.selected is not None:
            which = np.empty(len(rows), np.int32)
            self._census.count(rows.kind, rows.offsets, rows.data, which)
            known = [name in self.selected for name in self._census.names]
            # what is no message may have been one of those that are wanted: number -1
            inside &= np.array([*known, True])[which]
        marks: NDArray[np.uint8] = inside.astype(np.uint8)
        return marks

    def _mark(self) -> None:
        """What is played is chosen anew, among the rows that are left too."""
        if self._part is not None and not self.is_over:
            marks = self._marks(self._part)
            self._pump.want(np.ones(len(self._part.rows), np.uint8) if marks is None else marks)

    def _step(self, most: int, until: int) -> str:
        try:
            why = self._pump.play(most, until)
        except ValueError as error:  # the rows are as they were written, and wrong
            assert self._part is not None
            self._finish(TapeError(f"{self._part.chapter.readers[0].path.parent}: {error}"))
            return "end"
        if why == "look":
            self._look()
        elif why == "unknown":
            part = self._part
            assert part is not None
            at = self._pump.at
            self._unknown(int(part.rows.connection[at]), int(part.rows.received_ns[at]))
        elif why == "other":
            return self._other(until)
        return why

    def _look(self) -> None:
        """Lets go what has waited long enough, where the tape may not say so."""
        part = self._part
        assert part is not None
        now = int(part.rows.received_ns[self._pump.at])
        self._hand_in(self._arbiter.released(now + self._pump.offset - _LATER_NS))
        self._pump.look_at = now + _LOOK_NS

    def _hand_in(self, ready: list[tuple[bytes, int]]) -> None:
        if ready:
            self._backlog.hand_in(ready)

    # rows that are no frames

    def _other(self, until: int) -> str:
        part = self._part
        assert part is not None
        at = self._pump.at
        received = int(part.rows.received_ns[at])
        if received > until:
            return "later"
        kind, content = int(part.rows.kind[at]), part.rows.frame(at)
        self._pump.skip()
        if received >= self._end_ns:
            return "other"
        is_before = received < self.start_ns
        try:
            self._do(kind, int(part.rows.connection[at]), received, content, is_before)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = Kind(kind).name.lower()
            self._finish(TapeError(f"{part.chapter.readers[0].path.parent}: a row of kind {what} "
                                   f"at {received} ns can't be read: {error}"))  # fmt: skip
        if kind == Kind.SNAPSHOT and self.on_snapshot is not None and not is_before:
            return "snapshot"
        return "other"

    def _do(self, kind: int, number: int, at: int, content: bytes, is_before: bool) -> None:
        session = self._session
        if kind == Kind.OPENED:
            told = json.loads(content)
            if not told.get("again") or session.connection(told["number"]) is None:
                self._open(session, told["number"], told["name"], at)
        elif kind == Kind.ENDED:
            told = json.loads(content)
            self._ended(session, told["number"], at, told["cause"], bool(told["whole"]))
        elif kind == Kind.SUBSCRIPTION:
            self._subscription(session, json.loads(content), at)
        elif kind == Kind.CLOCK:
            session.offset = int(json.loads(content)["offset_ns"])
            self._set_offset(session)
        elif is_before:
            return
        elif kind == Kind.TEXT:
            self._backlog.stats.texts += 1
        elif kind == Kind.RELEASED:
            told = json.loads(content)
            self._released(session, int(told["moment_ns"]), int(told["read_since_ns"]))
        elif kind == Kind.HOLE:
            told = json.loads(content)
            if "frames" in told:
                self._break(f"not recorded: {told['cause']}", at)
        elif kind == Kind.SNAPSHOT:
            self.snapshots_passed += 1
            if self.on_snapshot is not None:
                self.on_snapshot(*parted(content))

    def _set_offset(self, session: _Session) -> None:
        """One recording has its own monotonic clock; those of several are put to one."""
        if session.shift is None:
            if not session.offset:
                return
            is_first = len(self._chapters) == 1 or not self._pump.offset
            session.shift = 0 if is_first else self._pump.offset - session.offset
        self._pump.offset = session.offset + session.shift

    def _open(self, session: _Session, number: int, name: str, at: int) -> _Connection:
        key = number & 0xFFFF
        session.lost.pop(key, None)
        connection = session.open[key] = _Connection(number, name, at)
        session.sources[key] = connection.source
        self._ledger.note_connection(connection.record)
        return connection

    def _unknown(self, number: int, at: int) -> _Connection:
        """A connection that brings something, and of which the tape has not said that it is."""
        session = self._session
        lost = session.lost.get(number)
        if lost is None:
            connection = self._open(session, number, f"connection {number}", at)
            streams = session.asked if session.is_told else self.tape.streams
            self._enter(session, connection, streams)
        else:
            connection = self._open(session, lost.number, lost.name, at)
            self._enter(session, connection, lost.streams)
        return connection

    def _enter(self, session: _Session, connection: _Connection, names: Iterable[str]) -> None:
        names = list(names)
        connection.streams |= dict.fromkeys(names)
        session.entered |= set(names)
        if self.selected is not None:
            names = [name for name in names if name in self.selected]
        self._arbiter.enter(connection.source, names)

    def _subscription(self, session: _Session, told: dict[str, Any], at: int) -> None:
        if "asked" in told:
            session.asked |= dict.fromkeys(told["asked"])
            session.is_told = session.is_told or bool(session.asked)
        elif "entered" in told:
            connection = session.connection(told["number"])
            if connection is None:
                connection = self._unknown(told["number"] & 0xFFFF, at)
            names = told["entered"]
            if told.get("again"):
                names = [name for name in names if name not in connection.streams]
            if names:
                self._enter(session, connection, names)
        else:
            self._forgotten(session, told["forgotten"])

    def _forgotten(self, session: _Session, names: list[str]) -> None:
        for name in names:
            session.asked.pop(name, None)
            for connection in (*session.open.values(), *session.lost.values()):
                connection.streams.pop(name, None)
        others = [each for each in self._sessions.values() if each is not session]
        names = [name for name in names if not any(name in each.asked for each in others)]
        if self.selected is not None:
            names = [name for name in names if name in self.selected]
        self._backlog.hand_in(self._arbiter.forget(names))

    def _ended(self, session: _Session, number: int, at: int, cause: str, whole: bool) -> None:
        key = number & 0xFFFF
        session.lost.pop(key, None)
        connection = session.open.pop(key, None)
        if connection is None:
            return
        self.lost_count += cause != RENEWED
        # its source stays with the pump: what still comes through it counts for nothing
        self._arbiter.leave(connection.source, cause, whole)
        self._ledger.note_end(connection.record, at, cause)

    def _released(self, session: _Session, moment: int, read_since: int) -> None:
        if moment < _EVERYTHING:
            shift = session.shift or 0
            moment, read_since = moment + shift, read_since + shift if read_since else 0
        if len(self._sessions) == 1:
            self._hand_in(self._arbiter.released(moment, read_since))

    def _break(self, cause: str, at: int) -> None:
        """Something is missing on the tape: as if all connections had been lost at once."""
        self._is_true = False
        self._pump.look_at = min(self._pump.look_at, at)
        session = self._session
        for key, connection in list(session.open.items()):
            self._ended(session, connection.number, at, cause, False)
            session.lost[key] = connection
        session.sources.clear()
        self._hand_in(self._arbiter.released(at + self._pump.offset))

    def _end_session(self, session: _Session, at: int) -> None:
        for connection in list(session.open.values()):
            self._ended(session, connection.number, at, ENDED, False)
        self._hand_in(self._arbiter.released(at + self._pump.offset))
