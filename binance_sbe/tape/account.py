"""The account of a whole tape: what the feed knew to be missing, and what the tape itself lacks."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TapeError
from ..feed.ledger import Hole, Ledger
from .census import Census
from .damage import Damage
from .entries import Rows
from .entry import ODD, Entry
from .reading import TapeReader
from .rows import MOST_STREAMS, Kind, parted
from .slices import Recording, tells_of_damage

NOT_RUNNING = "nothing was recorded"
_NO_ID = -(2**63)


@dataclass
class Session:
    """What one recorder has written. Times are ns since 1970, of the first and the last row."""

    recording: str
    start_ns: int
    end_ns: int
    frames: int
    files: list[str]
    is_closed: bool  # it has ended by itself
    host: str


@dataclass(frozen=True)
class Break:
    """A time of which the tape has not all. ``frames`` is how many are missing, None: not known."""

    started_ns: int
    ended_ns: int
    cause: str
    frames: int | None


@dataclass
class TapeConnection:
    """A connection of the feed that was recorded; ``closed_ns`` and ``cause`` once it has ended."""

    name: str
    opened_ns: int
    closed_ns: int | None = None
    cause: str | None = None


@dataclass
class StreamAccount:
    """Events on the tape, duplicates included, and what is missing: holes, and ids in them."""

    frames: int = 0
    holes: int = 0
    ids: int = 0


@dataclass
class _Seam:
    """Between two places of a tape something is missing."""

    of: Break
    before: tuple[TapeReader, int] | None  # and how many of its entries
    after: tuple[TapeReader, int] | None
    row: int | None = None  # of the next entry, where it is within that
    files: list[TapeReader] = field(default_factory=list)  # of the recording


class TapeLedger(Ledger):
    """The ledger of a recording, as `Tape.ledger` gives it.

    ``holes`` are those that the feed has seen, and for each ``break`` those that it makes in the
    streams that were recorded before and after it. ``sessions`` are those of the recorders,
    ``connections`` those of the feeds (`TapeConnection`), ``marks`` the user's (time, text),
    ``snapshots`` counts those of books, and ``streams`` has a `StreamAccount` for each stream.
    ``dropped`` counts what the feed's own consumer was too slow for: these events are on the tape.
    ``damaged_count`` is that of the feed: frames that were no message, which are on the tape too.
    Frames are not read for it: whether they are as they were written `Tape.verify` says, and
    ``damaged``, ``unknown_templates`` and ``newer_versions`` stay empty (`Tape.batches` has them in
    ``rejected``, and the ledger of a tape that is played counts them).
    """

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[Session] = []
        self.breaks: list[Break] = []
        self.marks: list[tuple[int, str]] = []
        self.snapshots = 0
        self._damaged_count = 0
        self._streams: dict[str, StreamAccount] = {}

    @property
    def streams(self) -> Mapping[str, StreamAccount]:  # type: ignore[override]
        return self._streams

    @property
    def damaged_count(self) -> int:
        return self._damaged_count

    def __repr__(self) -> str:
        return (
            f"<TapeLedger: {len(self.sessions)} sessions, {len(self.breaks)} breaks, "
            f"{self.holes_count} holes>"
        )


def ledger_of(recordings: list[Recording], sessions: list[Session]) -> TapeLedger:
    """Reads the rows that are no frames, and around each break the nearest frame of each stream."""
    ledger = TapeLedger()
    ledger.sessions = sessions
    seams: list[_Seam] = []
    for recording in recordings:
        _follow(ledger, recording, seams)
    _between(recordings, sessions, seams)
    for seam in sorted(seams, key=lambda each: each.of.started_ns):
        ledger.breaks.append(seam.of)
        _note_holes(ledger, seam)
    for hole in ledger.holes:
        account = ledger._streams.setdefault(hole.stream, StreamAccount())
        account.holes += 1
        account.ids += hole.ids
    return ledger


def _follow(ledger: TapeLedger, recording: Recording, seams: list[_Seam]) -> None:
    """One recording: its rows that are no frames, and its damage."""
    is_open: dict[int, TapeConnection] = {}
    last_ns = 0
    before: tuple[TapeReader, int] | None = None
    lost: list[Damage] = []
    expected: int | None = 0
    counters: Mapping[str, int] = {}
    for reader in recording.readers:
        names: list[str] = []
        totals = np.zeros(0, np.int64)  # of each of the names
        count = 0
        for part in reader.parts:
            if isinstance(part, Damage):
                lost.append(part)
                _add_frames(ledger, names, totals)
                names, totals = [], np.zeros(0, np.int64)
                continue
            missing = None if expected is None else part.frames_before - expected
            if missing and not lost and _is_told(reader, part):
                missing = 0
            if lost or (missing and before is not None):
                why = lost[0].why if lost else "a file is missing"
                cause = f"the tape is damaged: {why}"
                gap = Break(last_ns or part.first_ns, part.first_ns, cause, missing)
                seams.append(_Seam(gap, before, (reader, count)))
                lost = []
            names += part["new"]
            counts = np.array(reader.counts_of(part)[: len(names)], np.int64)
            if len(names) > len(totals):
                totals = np.pad(totals, (0, len(names) - len(totals)))
            totals[: len(counts)] += counts
            try:
                if part.has_others:
                    _read(ledger, recording, reader, part, count, is_open, seams)
            except TapeError as error:
                lost.append(Damage(reader.name, part.offset, part.end, str(error), part.rows, 0))
            count += 1
            before, last_ns = (reader, count), part.last_ns
            expected = part.frames_before + part.frames
            counters = part["counters"]
        _add_frames(ledger, names, totals)
    ledger.dropped += counters.get("dropped", 0)  # since the recorder was begun
    ledger._damaged_count += counters.get("damaged", 0)
    if lost:
        frames = lost[0].frames
        at = last_ns or _written_ns(recording.readers[-1])
        gap = Break(at, at, f"the tape is damaged: {lost[0].why}", frames)
        seams.append(_Seam(gap, before, None))


def _written_ns(reader: TapeReader) -> int:
    """When a file was written that does not say it."""
    try:
        return reader.path.stat().st_mtime_ns
    except OSError:
        return 0


def _add_frames(ledger: TapeLedger, names: list[str], totals: NDArray[np.int64]) -> None:
    for name, events in zip(names, totals.tolist(), strict=True):
        ledger._streams.setdefault(name, StreamAccount()).frames += events


def _is_told(reader: TapeReader, entry: Entry) -> bool:
    try:
        return tells_of_damage(reader, entry)
    except TapeError:
        return False


def _read(
    ledger: TapeLedger,
    recording: Recording,
    reader: TapeReader,
    entry: Entry,
    count: int,
    is_open: dict[int, TapeConnection],
    seams: list[_Seam],
) -> None:
    rows = reader.read(entry)
    for i in np.flatnonzero(rows.kind).tolist():
        try:
            _read_one(ledger, recording, reader, rows, i, count, is_open, seams)
        except ODD:
            raise TapeError(
                f"{reader.path}: batch {entry.batch} at byte {entry.offset}: row {i} of it "
                "says what no recorder says"
            ) from None


def _read_one(
    ledger: TapeLedger,
    recording: Recording,
    reader: TapeReader,
    rows: Rows,
    i: int,
    count: int,
    is_open: dict[int, TapeConnection],
    seams: list[_Seam],
) -> None:
    """A row that is no frame. What `json` and a dict raise where it says what can't be."""
    kind, at, content = int(rows.kind[i]), int(rows.received_ns[i]), rows.frame(i)
    if kind == Kind.MARK:
        ledger.marks.append((at, content.decode("utf-8", "replace")))
    elif kind == Kind.SNAPSHOT:
        ledger.snapshots += bool(parted(content)[1])
    elif kind == Kind.HOLE:
        told = json.loads(content)
        if "frames" in told:
            lost = None if told["frames"] is None else _whole(told["frames"])
            times = _whole(told["started_ns"]), _whole(told["ended_ns"])
            gap = Break(*times, str(told["cause"]), lost)
            place = reader, count
            seams.append(_Seam(gap, place, place, i, recording.readers))
        else:
            _note(ledger, told)
    elif kind == Kind.OPENED:
        told = json.loads(content)
        if not (told.get("again") and told["number"] in is_open):
            found = is_open[told["number"]] = TapeConnection(told["name"], at)
            ledger.connections.append(found)  # type: ignore[arg-type]
            ledger.connections_count += 1
    elif kind == Kind.ENDED:
        told = json.loads(content)
        known = is_open.pop(told["number"], None)
        ledger.ended_count += 1
        if known is not None:
            known.closed_ns, known.cause = at, told["cause"]


def _note(ledger: TapeLedger, told: dict[str, Any]) -> None:
    stream = str(told["stream"])
    first, last = _whole(told["last_before"]) + 1, _whole(told["first_after"]) - 1
    if told.get("filled"):
        ledger.fill(stream, first, last)
        return
    times = _whole(told["started_ns"]), _whole(told["ended_ns"])
    ledger.note(Hole(stream, first - 1, last + 1, *times, str(told["cause"])))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _between(recordings: list[Recording], sessions: list[Session], seams: list[_Seam]) -> None:
    """The times in which no recorder ran."""
    by_name = {recording.identity: recording for recording in recordings}
    latest: Session | None = None
    for session in sorted(sessions, key=lambda each: each.start_ns):
        if latest is not None and session.start_ns > latest.end_ns:
            why = "" if latest.is_closed else ": the recorder before it was killed"
            gap = Break(latest.end_ns, session.start_ns, f"{NOT_RUNNING}{why}", None)
            last = by_name[latest.recording].readers[-1]
            first = by_name[session.recording].readers[0]
            seams.append(_Seam(gap, (last, len(last.entries)), (first, 0)))
        if latest is None or session.end_ns > latest.end_ns:
            latest = session


def _note_holes(ledger: TapeLedger, seam: _Seam) -> None:
    if seam.before is None or seam.after is None:
        return
    before, after = _reached(seam, *seam.before, -1), _reached(seam, *seam.after, 1)
    for stream in sorted(set(before) & set(after)):
        last, first = before[stream][1], after[stream][0]
        if first > last + 1 and _NO_ID not in (first, last):
            gap = seam.of
            hole = Hole(stream, last, first, gap.started_ns, gap.ended_ns, gap.cause)
            ledger._add(hole)


def _reached(seam: _Seam, reader: TapeReader, count: int, step: int) -> dict[str, tuple[int, int]]:
    """What is nearest to a seam: in its file, or in the nearest one of the recording."""
    found = _nearest(reader, count, step, seam.row)
    if not found and seam.files:
        at = seam.files.index(reader)
        for other in seam.files[at + 1 :] if step > 0 else seam.files[:at][::-1]:
            found = _nearest(other, 0 if step > 0 else len(other.entries), step, None)
            if found:
                break
    return found


def _nearest(
    reader: TapeReader, count: int, step: int, row: int | None
) -> dict[str, tuple[int, int]]:
    """By stream the ids, first and last, of the event nearest to a place in a file.

    The place is before the batch of that number, or at that row of it. Batches that have no stream
    that is not known yet are not read.
    """
    entries, places = reader.entries, reader.places_of_streams
    first = count if step > 0 or row is not None else count - 1
    next_of: dict[str, int] = {}  # by stream, where in its places it is looked for
    for stream, where in places.items():
        at = bisect_left(where, first) if step > 0 else bisect_right(where, first) - 1
        if 0 <= at < len(where):
            next_of[stream] = at
    found: dict[str, tuple[int, int]] = {}
    while next_of:
        batches = [places[stream][at] for stream, at in next_of.items()]
        i = min(batches) if step > 0 else max(batches)
        wanted = {stream for stream, at in next_of.items() if places[stream][at] == i}
        for stream, ids in _ids(reader, entries[i], step, row if i == count else None):
            if stream in wanted and stream not in found:
                found[stream] = ids
        for stream in wanted:
            next_of[stream] += step
            if stream in found or not 0 <= next_of[stream] < len(places[stream]):
                del next_of[stream]
    return found


def _ids(
    reader: TapeReader, entry: Entry, step: int, row: int | None
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Streams and ids of a batch's events, from ``row`` on; backwards where ``step`` is below 0."""
    try:
        rows = reader.read(entry)
    except TapeError:
        return
    census = Census(MOST_STREAMS)
    which, ids = np.empty(len(rows), np.int32), np.zeros((len(rows), 2), np.int64)
    census.count(rows.kind, rows.offsets, rows.data, which, ids)
    if step > 0:
        places = range(row or 0, len(rows))
    else:
        places = range(len(rows) if row is None else row)[::-1]
    for i in places:
        if which[i] >= 0 and ids[i, 1] != _NO_ID:
            yield census.names[which[i]], (int(ids[i, 0]), int(ids[i, 1]))
