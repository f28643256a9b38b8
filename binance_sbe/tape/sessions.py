"""The connections and subscriptions of recordings while these are played.

What rows say of them was done by the `Engine` of the feed that was recorded: the same is done here
to the arbiter and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..feed.intake.backlog import Backlog
from ..feed.intake.streams import Source
from ..feed.ledger import ConnectionRecord, Ledger
from .chapters import Chapter
from .pumping import Pump

ENDED = "the recording ended"
RENEWED = "renewed"
EVERYTHING = 2**62  # a moment up to which all that is held is let go


class Connection:
    """One of the feed that was recorded, as far as the tape was played."""

    def __init__(self, number: int, name: str, now_ns: int) -> None:
        self.number = number
        self.name = name
        self.source = Source(number, name)
        self.record = ConnectionRecord(name, self.source, now_ns)
        self.streams: dict[str, None] = {}  # that it brings
        self.is_noted = False  # in the ledger


class Session:
    """What there is of one recording while it is played. Keys are as in the column."""

    def __init__(self, asked: Iterable[str]) -> None:
        self.asked = dict.fromkeys(asked)
        self.is_told = bool(self.asked)  # the tape says what was asked for
        self.entered: set[str] = set()
        self.open: dict[int, Connection] = {}
        self.lost: dict[int, Connection] = {}  # in a gap of the tape; whoever brings more is there
        self.sources: dict[int, Source] = {}  # of all that were there, for the pump
        self.offset = 0
        self.shift: int | None = None  # from its monotonic clock to that of the whole

    def connection(self, number: int) -> Connection | None:
        return self.open.get(number & 0xFFFF)


class Sessions:
    """``all`` are those that are under way. ``is_one`` says that there is one recording only.

    ``selected`` are the streams that are handed on, None for all that come. ``on_tape()`` gives the
    streams of which the tape has events, for a tape that does not say what was asked for.
    """

    def __init__(
        self,
        backlog: Backlog,
        ledger: Ledger,
        pump: Pump,
        is_one: bool,
        start_ns: int,
        on_tape: Callable[[], list[str]],
    ) -> None:
        self.all: dict[Chapter, Session] = {}
        self.selected: frozenset[str] | None = None
        self.lost_count = 0  # connections that ended for another reason than that they were renewed
        self.is_begun = False
        self._backlog = backlog
        self._arbiter = backlog.arbiter
        self._ledger = ledger
        self._pump = pump
        self._is_one = is_one
        self._start_ns = start_ns
        self._on_tape = on_tape
        self._arbiter.directory.is_wanted = self.wants

    @property
    def streams(self) -> list[str]:
        """Those that are wanted and were acknowledged, in the order they were asked for."""
        found = {
            name: None
            for session in self.all.values()
            for name in session.asked
            if name in session.entered and (self.selected is None or name in self.selected)
        }
        return list(found)

    def cut_off(self) -> set[str]:
        """Streams that are wanted, were there, and that no connection brings now."""
        there = {
            name
            for session in self.all.values()
            for connection in session.open.values()
            for name in connection.streams
        }
        return set(self.streams) - there

    def wants(self, name: str) -> bool:
        """Whether somebody has asked for a stream."""
        if self.selected is not None and name not in self.selected:
            return False
        sessions = self.all.values()
        if not any(session.is_told for session in sessions):
            return True
        return any(name in session.asked for session in sessions)

    def select(self, names: list[str]) -> None:
        """These are handed on, too, by the connections that bring them."""
        assert self.selected is not None
        self.selected |= frozenset(names)
        for session in self.all.values():
            for connection in session.open.values():
                brings = [name for name in names if name in connection.streams]
                self._arbiter.enter(connection.source, brings)

    def hand_in(self, ready: list[tuple[bytes, int]]) -> None:
        """Frames that wait no longer."""
        if ready:
            self._backlog.hand_in(ready)

    # what rows say

    def set_offset(self, session: Session) -> None:
        """One recording has its own monotonic clock; those of several are put to one."""
        if session.shift is None:
            if not session.offset:
                return
            is_first = self._is_one or not self._pump.offset
            session.shift = 0 if is_first else self._pump.offset - session.offset
        self._pump.offset = session.offset + session.shift

    def opened(self, session: Session, number: int, name: str, at: int) -> Connection:
        key = number & 0xFFFF
        session.lost.pop(key, None)
        connection = session.open[key] = Connection(number, name, at)
        session.sources[key] = connection.source
        if self.is_begun or at >= self._start_ns:
            self._note(connection)
        return connection

    def _note(self, connection: Connection) -> None:
        connection.is_noted = True
        self._ledger.note_connection(connection.record)

    def begin(self) -> None:
        """What was before the start is over: of its connections those count that are open."""
        self.is_begun = True
        for session in self.all.values():
            for connection in session.open.values():
                if not connection.is_noted:
                    self._note(connection)

    def unknown(self, session: Session, number: int, at: int) -> Connection:
        """A connection that brings something, and of which the tape has not said that it is."""
        lost = session.lost.get(number)
        if lost is None:
            connection = self.opened(session, number, f"connection {number}", at)
            streams = session.asked if session.is_told else self._on_tape()
            self._enter(session, connection, streams)
        else:
            connection = self.opened(session, lost.number, lost.name, at)
            self._enter(session, connection, lost.streams)
        return connection

    def _enter(self, session: Session, connection: Connection, names: Iterable[str]) -> None:
        names = list(names)
        connection.streams |= dict.fromkeys(names)
        session.entered |= set(names)
        if self.selected is not None:
            names = [name for name in names if name in self.selected]
        self._arbiter.enter(connection.source, names)

    def subscription(self, session: Session, told: dict[str, Any], at: int) -> None:
        if "asked" in told:
            session.asked |= dict.fromkeys(told["asked"])
            session.is_told = session.is_told or bool(session.asked)
        elif "entered" in told:
            connection = session.connection(told["number"])
            if connection is None:
                connection = self.unknown(session, told["number"] & 0xFFFF, at)
            names = told["entered"]
            if told.get("again"):
                names = [name for name in names if name not in connection.streams]
            if names:
                self._enter(session, connection, names)
        else:
            self._forgotten(session, told["forgotten"])

    def _forgotten(self, session: Session, names: list[str]) -> None:
        for name in names:
            session.asked.pop(name, None)
            for connection in (*session.open.values(), *session.lost.values()):
                connection.streams.pop(name, None)
        others = [each for each in self.all.values() if each is not session]
        names = [name for name in names if not any(name in each.asked for each in others)]
        if self.selected is not None:
            names = [name for name in names if name in self.selected]
        self._backlog.hand_in(self._arbiter.forget(names))

    def ended(self, session: Session, number: int, at: int, cause: str, whole: bool) -> None:
        key = number & 0xFFFF
        session.lost.pop(key, None)
        connection = session.open.pop(key, None)
        if connection is None:
            return
        # its source stays with the pump: what still comes through it counts for nothing
        self._arbiter.leave(connection.source, cause, whole)
        if connection.is_noted:
            self.lost_count += cause != RENEWED
            self._ledger.note_end(connection.record, at, cause)

    def released(self, session: Session, moment: int, read_since: int) -> None:
        if moment < EVERYTHING:
            shift = session.shift or 0
            moment, read_since = moment + shift, read_since + shift if read_since else 0
        if len(self.all) == 1:
            self.hand_in(self._arbiter.released(moment, read_since))

    def break_off(self, session: Session, cause: str, at: int) -> None:
        """Something is missing on the tape: as if all connections had been lost at once."""
        for key, connection in list(session.open.items()):
            self.ended(session, connection.number, at, cause, False)
            session.lost[key] = connection
        session.sources.clear()
        self.hand_in(self._arbiter.released(at + self._pump.offset))

    def end(self, session: Session, at: int) -> None:
        for connection in list(session.open.values()):
            self.ended(session, connection.number, at, ENDED, False)
        self.hand_in(self._arbiter.released(at + self._pump.offset))
