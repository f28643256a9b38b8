"""What is to be done: the units of work of some tapes, and the account that all of them need."""

from __future__ import annotations

import hashlib
import os
import secrets
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sbe_codegen.extras import imported
from sbe_codegen.runtime.errors import DecodeError

from .. import spot_sbe, spot_stream
from ..errors import LakeError, TapeError
from ..tape.damage import Damage
from ..tape.entry import Entry
from ..tape.reading import TapeReader
from ..tape.rows import Kind, parted
from ..tape.tape import Tape
from .account import LATE_NS, Account
from .kept import File, Kept, Recording
from .ledgers import hole_row, session_row

UNIT_FRAMES = 1_000_000
UNIT_BYTES = 96 << 20  # of frames
RUN_UP_NS = 5_000_000_000
RUN_UP_FRAMES = 500_000
_SNAPSHOT = str(int(Kind.SNAPSHOT))
AnyTape = str | os.PathLike[str] | Tape


@dataclass(frozen=True)
class Span:
    """The batches from ``first`` to ``last`` (exclusive) of one file of a tape."""

    path: str
    first: int
    last: int


@dataclass(frozen=True)
class Unit:
    """A range of batches, and the run-up before it; small, and pickled to a worker.

    ``name`` is the same for the same beginning of the same file, whatever came behind it since.
    ``mark`` is another where the batches are others, or what the account says of their time.
    """

    name: str
    span: Span
    run_up: tuple[Span, ...]
    recording: str
    first_ns: int
    frames: int
    received: tuple[int, int]  # when its first and its last row came, ns
    mark: str

    @property
    def file(self) -> str:
        """The file of the tape, by a name that is its own."""
        return file_of(self.name)

    @property
    def run_up_size(self) -> int:
        """How many batches the run-up has: with more of them a unit is better done."""
        return sum(span.last - span.first for span in self.run_up)

    @property
    def stem(self) -> str:
        """Of the names of its files."""
        return f"{self.name}-{self.span.last}"


def file_of(unit: str) -> str:
    """The file of the tape that a unit is of, by the unit's name."""
    return unit.rpartition("-")[0]


@dataclass(frozen=True)
class Plan:
    """``files`` are all that were given, by the names that units have; ``kept`` the account.

    ``remarks`` are on files that have less than they had when they were converted before.
    """

    units: tuple[Unit, ...]
    files: frozenset[str]
    kept: Kept
    account: Account
    remarks: tuple[str, ...] = ()


def paths(tapes: AnyTape | Iterable[AnyTape]) -> list[str]:
    """The paths, or URLs, of tapes. LakeError where there is none."""
    given = [tapes] if isinstance(tapes, str | os.PathLike | Tape) else list(tapes)
    found: list[str] = []
    for each in given:
        if isinstance(each, Tape):
            found += map(os.fspath, each.paths)
        elif isinstance(each, str | os.PathLike):
            found.append(os.fspath(each))
        else:
            raise TypeError(f"a tape is given by its path, not by {type(each).__name__}")
    if not found:
        raise LakeError("no tape was given")
    return list(dict.fromkeys(map(_fetched, found)))


def _fetched(url: str) -> str:
    """A path of this machine; of a tape elsewhere that of a copy, which is made once."""
    if "://" not in url and not url.startswith(("memory:", "file:")):
        return url
    fsspec = imported("fsspec", f"{url!r}, which is a URL,", "lake")
    fs, place = fsspec.core.url_to_fs(url)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if "file" in protocols:
        return str(place)
    mark = hashlib.sha256(url.encode()).hexdigest()[:16]
    target = Path(_cache()) / f"{mark}-{Path(place).name or 'tape'}"
    if not fs.exists(place):
        raise TapeError(f"{url}: there is no such file or directory")
    files = {file: target / file[len(place) :].lstrip("/") for file in fs.find(place)}
    if fs.isfile(place):
        files = {place: target}
    for left in set(target.rglob("*.arrow")) - set(files.values()):
        left.unlink()  # it is not there any more
    for file, inner in files.items():
        _fetch(fs, file, inner)
    return os.fspath(target)


def _fetch(fs: Any, file: str, inner: Path) -> None:
    """A copy of a file; none where that which was made of the same file is there."""
    known = inner.with_name(f".{inner.name}.source")
    source = str(fs.checksum(file))  # of its size, time, or whatever tells that it is another
    if inner.exists() and known.exists() and known.read_text() == source:
        return
    inner.parent.mkdir(parents=True, exist_ok=True)
    half = inner.with_name(f".{inner.name}.{secrets.token_hex(4)}.tmp")
    try:
        fs.get_file(file, os.fspath(half))
        half.replace(inner)
        half.write_text(source)
        half.replace(known)
    finally:
        half.unlink(missing_ok=True)


def _cache() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return os.fspath(Path(base) / "binance-sbe" / "tapes")


def planned(found: Sequence[str], kept: Kept | None = None) -> Plan:
    """Reads metadata, and rows that are no frames. Raises TapeError for what is no tape.

    ``kept`` is what is known of tapes that were given before.
    """
    before = Kept() if kept is None else kept
    tape = Tape(found, on_damage="skip")
    for schema in tape.schemas:
        if (schema.get("id"), schema.get("package")) != (
            spot_stream.SCHEMA_ID,
            spot_stream.PACKAGE,
        ):
            raise LakeError(
                f"{', '.join(found)}: the tape has frames of the schema {schema.get('package')!r} "
                f"(id {schema.get('id')}), and not of {spot_stream.PACKAGE!r}: it is of another "
                "product"
            )
    units: list[Unit] = []
    files: dict[str, dict[str, File]] = {}
    for recording in tape._recordings:
        here = files.setdefault(recording.identity, {})
        earlier: list[TapeReader] = []
        for reader in recording.readers:
            _refuse_copies(reader, earlier, here)
            damage = [str(part) for part in reader.parts if isinstance(part, Damage)]
            cut = _units(reader, earlier)
            count = sum(entry.frames for entry in reader.entries)
            names = [unit.name for unit in cut]
            here[_name_of(reader)] = File(damage, _snapshots(reader), names, count)
            units += cut
            earlier.append(reader)
    sessions = {session.recording: session_row(session) for session in tape.sessions}
    told = {
        each.identity: _told(each, sessions.get(each.identity, {}), files[each.identity])
        for each in tape._recordings
    }
    _refuse_overlaps(tape, told, before)
    now = before.with_tapes(told, map(hole_row, tape.ledger.holes))
    given = frozenset(name for each in files.values() for name in each)
    marked = sorted(_marked(units, now), key=lambda unit: (unit.first_ns, unit.name))
    return Plan(tuple(marked), given, now, now.account, tuple(_shorter(before, told)))


def _shorter(before: Kept, told: Mapping[str, Recording]) -> Iterator[str]:
    for identity, recording in told.items():
        if identity not in before.recordings:
            continue
        for name, old in before.recordings[identity].files.items():
            new = recording.files.get(name, old)
            if old.frames > new.frames:
                yield (
                    f"file {name} of a tape has {new.frames:,} frames, and had {old.frames:,} when "
                    "it was converted before: rows of the others are removed"
                )


def _refuse_copies(
    reader: TapeReader, earlier: Sequence[TapeReader], here: Mapping[str, File]
) -> None:
    if _name_of(reader) in here:
        other = next((r for r in earlier if r.number == reader.number), reader)
        raise LakeError(
            f"{reader.path} and {other.path} are the same file of one tape: give one of them"
        )


def _told(recording: Any, session: dict[str, Any], files: dict[str, File]) -> Recording:
    entries = [entry for reader in recording.readers for entry in reader.entries]
    streams = sorted({name for entry in entries for name in entry.new})
    timed = [entry for entry in entries if entry.first_event_us is not None]
    first = min((entry.first_event_us for entry in timed), default=0)
    last = max((entry.last_event_us for entry in timed), default=0)
    events = (first, last) if timed else None
    return Recording(session, streams, events, files, list(_spans(recording.readers)))


def _spans(readers: Sequence[TapeReader]) -> Iterator[tuple[int, int]]:
    """From when to when these files tell of all; as one where they follow on each other.

    A file that follows on another begins with rows that are no frames, and of other times: it is
    sure to tell of all from the end of its first batch with frames on.
    """
    span: tuple[int, int] | None = None
    before = -2
    for reader in readers:
        entries = reader.entries
        if not entries:
            continue
        begin = entries[0].first_ns
        if reader.number:
            begin = next((entry.last_ns for entry in entries if entry.frames), entries[-1].last_ns)
        end = max(entry.last_ns for entry in entries)
        if span is not None and reader.number == before + 1:
            span = span[0], max(end, span[1])
        else:
            if span is not None:
                yield span
            span = begin, end
        before = reader.number
    if span is not None:
        yield span


def _name_of(reader: TapeReader) -> str:
    return f"{reader.recording[:8]}-{reader.number:04d}"


def _marked(units: Sequence[Unit], kept: Kept) -> Iterator[Unit]:
    """Each with the account of its time in its mark: of that its flags depend."""
    events = kept.events
    latest: dict[tuple[str, str], int] = {}  # of each stream and kind: its id
    at = 0
    for unit in sorted(units, key=lambda each: each.received):
        first, last = unit.received
        while at < len(events) and events[at][0] < first:
            _, stream, what, number = events[at]
            latest[stream, what] = number
            at += 1
        end = bisect_right(events, last + LATE_NS, lo=at, key=lambda event: event[0])
        told = repr((unit.mark, sorted(latest.items()), [event[1:] for event in events[at:end]]))
        yield replace(unit, mark=hashlib.sha256(told.encode()).hexdigest()[:16])


def _refuse_overlaps(tape: Tape, told: Mapping[str, Recording], before: Kept) -> None:
    """Recordings of the same streams at the same time are one market twice."""
    known = [
        (each, f"a tape that was converted before ({name[:8]})")
        for name, each in before.recordings.items()
        if name not in told
    ]
    for recording in tape._recordings:
        this = told[recording.identity]
        name = os.fspath(recording.readers[0].path)
        for other, called in known:
            both = sorted({*this.streams} & {*other.streams}) if this.is_beside(other) else []
            if both:
                raise LakeError(
                    f"{called} and {name} have the same streams at the same time ({both[0]} and "
                    f"{len(both) - 1} more): convert one of them, or cut them with "
                    "'binance-sbe tape cut'"
                )
        known.append((this, name))


def _units(reader: TapeReader, earlier: Sequence[TapeReader]) -> list[Unit]:
    entries = reader.entries
    found: list[Unit] = []
    begin = frames = size = 0
    for i, entry in enumerate(entries):
        frames += entry.frames
        size += _bytes(entries[i - 1] if i else None, entry)
        is_last = i == len(entries) - 1
        if frames >= UNIT_FRAMES or size >= UNIT_BYTES or is_last:
            if frames or any(each.kinds.get(_SNAPSHOT) for each in entries[begin : i + 1]):
                found.append(_unit(reader, earlier, begin, i + 1, frames))
            begin, frames, size = i + 1, 0, 0
    return found


def _bytes(before: Entry | None, entry: Entry) -> int:
    """Of the frames of a batch, at least about."""
    now = entry["counters"].get("bytes", 0)
    then = 0 if before is None else before["counters"].get("bytes", 0)
    return max(now - then if before is not None else 0, entry.body_length)


def _unit(
    reader: TapeReader, earlier: Sequence[TapeReader], begin: int, end: int, frames: int
) -> Unit:
    path, entries = os.fspath(reader.path), reader.entries
    first_ns = entries[begin].first_ns
    run_up: list[Span] = []
    room, before = RUN_UP_FRAMES, begin
    for each in (reader, *reversed(earlier)):
        found = each.entries[:before] if each is reader else each.entries
        count = _run_up(found, first_ns, room)
        if count:
            run_up.insert(0, Span(os.fspath(each.path), len(found) - count, len(found)))
            room -= sum(entry.frames for entry in found[-count:])
        if count < len(found) or room <= 0:
            break
    name = f"{_name_of(reader)}-{begin:06d}"
    # by the exchange's clock: units are in the order of their events
    times = [entry["first_event_us"] for entry in entries[begin:end]]
    first_us = min((each for each in times if each is not None), default=first_ns // 1000)
    span = Span(path, begin, end)
    batches = [(e.before, e.rows, e.columns, e.first_ns, e.last_ns) for e in entries[begin:end]]
    return Unit(
        name, span, tuple(run_up), reader.recording, first_us * 1000, frames,
        (first_ns, max(each.last_ns for each in entries[begin:end])), repr(batches),
    )  # fmt: skip


def _run_up(entries: Sequence[Entry], first_ns: int, room: int) -> int:
    """How many of the last of these batches are to be read before; ``room`` is for frames."""
    frames = count = 0
    for entry in reversed(entries):
        if entry.last_ns < first_ns - RUN_UP_NS or frames >= room:
            break
        frames += entry.frames
        count += 1
    return count


def _snapshots(reader: TapeReader) -> list[tuple[str, int, int]]:
    """Symbol, last update id, and time of arrival of each."""
    found = []
    for entry in reader.entries:
        if not entry["kinds"].get(_SNAPSHOT):
            continue
        try:
            rows = reader.read(entry)
        except TapeError:
            continue  # the unit that it is in says so
        for i, content in rows.contents(Kind.SNAPSHOT):
            head, body = parted(content)
            if body:
                try:
                    answer = spot_sbe.DepthResponse.decode(body)
                except DecodeError:
                    continue
                at = int(rows.received_ns[i])
                found.append((str(head["symbol"]), int(answer.last_update_id), at))
    return found
