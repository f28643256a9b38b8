"""A tape is played: what its rows say is done to the intake of a feed, in their order.

What a row says that is no frame was done by the `Engine` of the feed that was recorded: here the
same is done to the arbiter and the ledger, so that the same comes of it. No waiting and no clock:
whoever calls `Player.advance` says up to which time of the tape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sbe_codegen.runtime.errors import SbeError

from ..errors import TapeError
from ..feed.intake.backlog import Backlog
from ..feed.ledger import Ledger
from .chapters import Chapter, Part
from .entries import Rows
from .entry import ODD
from .pumping import EVER, Pump
from .rows import Kind, parted
from .selecting import Selection, StreamMarks
from .sessions import EVERYTHING, Session, Sessions
from .slices import merged
from .tape import Tape

_LOOK_NS = 20_000_000  # between looks at what is held, where the tape may not say what became of it
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


class Player:
    """Plays the recordings of ``tape`` into ``backlog``, and tells ``ledger``.

    ``is_over`` says that nothing more is played: the tape has ended, ``error`` has come, or `close`
    was called. ``sessions`` are the recordings that are under way.
    ``on_snapshot(told, body)`` is called for rows of snapshots, of which ``snapshots_passed``
    counts those that were there; after each one `advance` returns.
    """

    def __init__(self, tape: Tape, selection: Selection, backlog: Backlog, ledger: Ledger) -> None:
        self.tape = tape
        self.closing = self.is_over = False
        self.error: SbeError | None = None
        self.on_snapshot: Callable[[dict[str, Any], bytes], object] | None = None
        self.snapshots_passed = 0
        self.start_ns = selection.start
        self._selection = selection
        self._backlog = backlog
        self._arbiter = backlog.arbiter
        self._ledger = ledger
        self._pump = Pump(backlog)
        self._stream_marks: StreamMarks | None = None
        self._chapters = [
            Chapter(each, selection, lambda: self.selected, tape._note_damage)
            for each in tape._recordings
        ]
        self.sessions = Sessions(
            backlog, ledger, self._pump, len(self._chapters) == 1, selection.start,
            lambda: tape.streams,
        )  # fmt: skip
        self.sessions.selected = selection.streams
        self._parts: Iterator[Part] = merged([each.parts() for each in self._chapters])  # type: ignore
        self._part: Part | None = None
        self._marked: tuple[Rows | None, frozenset[str] | None, NDArray[np.uint8] | None] = (
            None,
            None,
            None,
        )
        self._session = Session(())
        self._is_true = len(self._chapters) == 1 and selection.streams is None and (
            selection.start <= -EVER
        )  # fmt: skip
        self._arbiter.most_held = most_held_of(tape) or self._arbiter.most_held
        if not self._is_true:
            self._pump.look_at = -EVER

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
    def selected(self) -> frozenset[str] | None:
        """The streams that are handed on, None for all that come."""
        return self.sessions.selected

    @property
    def has_streams(self) -> bool:
        return self.selected is None or bool(self.selected)

    def subscribe(self, names: list[str]) -> None:
        """These are handed on, too. ValueError for those that the tape has not."""
        self._check_usable()
        self.check_known(names)
        if self.selected is None:
            return
        self.sessions.select(names)
        self._mark()

    def unsubscribe(self, names: list[str]) -> None:
        """These are not handed on any more."""
        self._check_usable()
        selected = frozenset(self.known()) if self.selected is None else self.selected
        self.sessions.selected = selected - frozenset(names)
        self._is_true_no_more(self._pump.received)
        there = self._ledger.streams
        self.sessions.hand_in(self._arbiter.forget([name for name in names if name in there]))
        self._mark()

    def _is_true_no_more(self, at: int) -> None:
        """From now on the tape may not say when what is held was let go."""
        self._is_true = False
        self._pump.look_at = min(self._pump.look_at, at)

    def _check_usable(self) -> None:
        if self.error is not None:
            raise self.error
        if self.closing:
            raise RuntimeError("the feed is closed")

    def known(self) -> set[str]:
        """The streams that the tape has, or that were asked for when it was recorded."""
        return set(self._known)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Read once: rows of all subscriptions are looked for."""
        return frozenset(self.tape.streams).union(*(each.asked() for each in self._chapters))

    def has(self, stream: str) -> bool:
        """Whether the tape has a stream, or somebody asked for it."""
        return stream in self._known

    def check_known(self, names: Iterable[str]) -> None:
        """ValueError for streams that the tape has not."""
        missing = set(names) - set(self.tape.streams)
        if missing and (missing := missing - self._known):
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
            if part.rows.kind[at] in (Kind.FRAME, Kind.SNAPSHOT) and not is_before:
                break
            self._step(1, int(part.rows.received_ns[at]))
        self.sessions.begin()

    def advance(self, most: int, until: int = EVER) -> bool:
        """Plays ``most`` frames or a few more, and nothing later than ``until`` (ns since 1970).

        Also stops after a batch or a snapshot, when a handler wants no more, where there is no
        room, and where a row that is no frame has let some go that were held: so that a consumer
        has them then, however fast it goes. False where nothing is left to play, up to that time
        or at all.
        """
        first = self.frames
        while self.frames < first + most and self._current() is not None:
            frames, ready = self.frames, self._ready()
            why = self._step(first + most - self.frames, until)
            if why == "later":
                break
            if why in ("full", "enough", "snapshot"):
                return True
            if self.frames == frames and self._ready() > ready:
                return True
        return self.frames > first

    def _ready(self) -> int:
        """Frames that the consumer may take."""
        return self._backlog.pending - self._arbiter.held_count

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
        self.sessions.hand_in(self._arbiter.released(EVERYTHING))
        self._backlog.wake()

    def _begin(self, part: Part) -> None:
        self._part = part
        rows = part.rows
        sessions = self.sessions.all
        session = sessions.get(part.chapter)
        for chapter in [each for each in sessions if each.is_over]:
            if chapter is not part.chapter:
                self.sessions.end(sessions.pop(chapter), chapter.last_ns)
        if session is None:
            session = sessions[part.chapter] = Session(part.chapter.streams)
        if session is not self._session:
            self._session = session
            self._pump.sources = session.sources
            self.sessions.set_offset(session)
        self._pump.load(
            rows.received_ns, rows.connection, rows.kind, rows.offsets, rows.data,
            self._marks(part), part.begin, part.end,
        )  # fmt: skip
        if part.gap is not None and part.begin == 0:
            self._break(f"the tape is damaged: {part.gap}", int(rows.received_ns[0]))

    def _marks(self, part: Part) -> NDArray[np.uint8] | None:
        """Which rows are played; None for all."""
        if self.selected is None and part.is_inside:
            return None
        rows = part.rows
        if self._marked[0] is rows and self._marked[1] is self.selected:
            return self._marked[2]
        marks = self._marks_of(rows)
        self._marked = rows, self.selected, marks
        return marks

    def _marks_of(self, rows: Rows) -> NDArray[np.uint8]:
        inside = self._selection.inside(rows)
        if self.selected is not None:
            found = self._stream_marks
            if found is None or found.wanted is not self.selected:
                # what is no message may have been one of those that are wanted
                found = self._stream_marks = StreamMarks(self.selected, True, _MOST_STREAMS)
            inside &= found.of(rows)
        marks: NDArray[np.uint8] = inside.astype(np.uint8)
        return marks

    def _mark(self) -> None:
        """What is played is chosen anew, among the rows that are left too."""
        if self._part is not None and not self.is_over:
            marks = self._marks(self._part)
            self._pump.want(np.ones(len(self._part.rows), np.uint8) if marks is None else marks)

    def _step(self, most: int, until: int) -> str:
        try:
            return self._play(most, until)
        except ODD as error:  # of rows that are as they were written
            assert self._part is not None
            self._finish(TapeError(f"{self._part.chapter.readers[0].path.parent}: {error}"))
            return "end"

    def _play(self, most: int, until: int) -> str:
        why = self._pump.play(most, until)
        if why == "look":
            self._look()
        elif why == "unknown":
            part = self._part
            assert part is not None
            at = self._pump.at
            number, received = int(part.rows.connection[at]), int(part.rows.received_ns[at])
            self.sessions.unknown(self._session, number, received)
        elif why == "other":
            return self._other(until)
        return why

    def _look(self) -> None:
        """Lets go what has waited long enough, where the tape may not say so."""
        part = self._part
        assert part is not None
        now = int(part.rows.received_ns[self._pump.at])
        self.sessions.hand_in(self._arbiter.released(now + self._pump.offset - _LATER_NS))
        self._pump.look_at = now + _LOOK_NS

    def _break(self, cause: str, at: int) -> None:
        """Something is missing on the tape."""
        self._is_true_no_more(at)
        self.sessions.break_off(self._session, cause, at)

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
        if received >= self._selection.end:
            return "other"
        is_before = received < self.start_ns
        try:
            self._do(kind, int(part.rows.connection[at]), received, content, is_before)
        except ODD as error:
            what = Kind(kind).name.lower()
            self._finish(TapeError(f"{part.chapter.readers[0].path.parent}: a row of kind {what} "
                                   f"at {received} ns can't be read: {error}"))  # fmt: skip
        if kind == Kind.SNAPSHOT and self.on_snapshot is not None and not is_before:
            return "snapshot"
        return "other"

    def _do(self, kind: int, number: int, at: int, content: bytes, is_before: bool) -> None:
        session, sessions = self._session, self.sessions
        if kind == Kind.OPENED:
            told = json.loads(content)
            if not told.get("again") or session.connection(told["number"]) is None:
                sessions.opened(session, told["number"], told["name"], at)
        elif kind == Kind.ENDED:
            told = json.loads(content)
            sessions.ended(session, told["number"], at, told["cause"], bool(told["whole"]))
        elif kind == Kind.SUBSCRIPTION:
            sessions.subscription(session, json.loads(content), at)
        elif kind == Kind.CLOCK:
            session.offset = int(json.loads(content)["offset_ns"])
            sessions.set_offset(session)
        elif is_before:
            return
        elif kind == Kind.TEXT:
            self._backlog.stats.texts += 1
        elif kind == Kind.RELEASED:
            told = json.loads(content)
            sessions.released(session, int(told["moment_ns"]), int(told["read_since_ns"]))
        elif kind == Kind.HOLE:
            told = json.loads(content)
            if "frames" in told:
                self._break(f"not recorded: {told['cause']}", at)
        elif kind == Kind.SNAPSHOT:
            self.snapshots_passed += 1
            if self.on_snapshot is not None:
                self.on_snapshot(*parted(content))
