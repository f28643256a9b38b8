"""A smaller tape out of a larger one: from when to when, and of which streams."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RecordingError, TapeError
from ..output import shown
from . import manifest
from .choosing import Other, chosen, chosen_state, joined, others_of
from .damage import Damage
from .disk import DISK
from .entries import Rows
from .entry import ODD, Entry
from .reading import TapeReader
from .rows import PREFIX, SUFFIX, Kind, as_json, stem_of, tape_hole
from .selecting import Moment, Selection, StreamMarks, moment_of
from .slices import AnyPath
from .state import State
from .taking import Chunk
from .tape import Tape, check_streams, nothing_in
from .tape_file import Columns, TapeFile

_BATCH_ROWS = 2000  # of a batch, at least, but for the last of a file
_BATCH_BYTES = 16 << 20


@dataclass
class Cut:
    """What was written: names of files, and their frames. ``problems`` are those of the source."""

    files: list[str] = field(default_factory=list)
    frames: int = 0
    size: int = 0  # bytes of the files
    problems: list[str] = field(default_factory=list)


def cut(
    source: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    start: Moment | None = None,
    end: Moment | None = None,
    streams: str | Iterable[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Cut:
    """Copies the rows with ``start <= received_ns < end`` into a new directory, as a tape.

    With ``streams`` the SBE messages are those of these streams, and so is what is said of streams
    beside them; frames that are no message stay, since nobody knows whose they were. Each recording
    becomes one of its own, whose files say of which it is a part (``tape.cut_of``), and whose first
    rows say which connections were open. What is damaged is left out, with a row that says so.
    ``progress(done, total)`` is called with bytes of the source.

    Raises TapeError where nothing would be in it, a stream is not on the tape, or ``out`` has a
    tape already, RecordingError where it can't be written to (then nothing is left in it), and
    ValueError as `Tape.frames` does.
    """
    selection = Selection.of(start, end, streams)
    directory = Path(out)
    with Tape(source, on_damage="skip") as tape:
        if selection.streams is not None:
            check_streams(tape, selection.streams)
        try:
            if directory.is_dir() and any(each.suffix == SUFFIX for each in directory.iterdir()):
                raise TapeError(f"{directory}: a tape is in it already: name another directory")
            DISK.make_directory(directory)
            return _cut_all(tape, directory, selection, progress)
        except OSError as error:
            raise RecordingError(f"{directory}: {error.strerror or error}") from None


def _cut_all(
    tape: Tape, directory: Path, selection: Selection, progress: Callable[[int, int], object] | None
) -> Cut:
    made = Cut()
    listed = None  # somebody else's
    if (directory / manifest.NAME).exists():
        listed = (directory / manifest.NAME).read_bytes()
    total = sum(reader.size for each in tape._recordings for reader in each.readers)
    done = 0

    def reached(within: int) -> None:
        if progress is not None:
            progress(done + within, total)

    try:
        for recording in tape._recordings:
            cutter = _Cutter(directory, selection, made)
            for reader in recording.readers:
                cutter.cut(reader, reached)
                done += reader.size
                reached(0)
            cutter.end()
        if not made.frames:
            raise nothing_in(tape)
    except BaseException:
        with contextlib.suppress(OSError):
            for name in made.files:
                (directory / name).unlink(missing_ok=True)
            if listed is None:
                (directory / manifest.NAME).unlink(missing_ok=True)
            elif (directory / manifest.NAME).read_bytes() != listed:
                DISK.replace(directory / manifest.NAME, listed)
        with contextlib.suppress(OSError):
            directory.rmdir()
        raise
    return made


class _Writing:
    """One file of a cut, which is made with its first rows."""

    def __init__(self, begin: Callable[[int], TapeFile], frames_before: int) -> None:
        self.file: TapeFile | None = None
        self._begin = begin
        self._before = frames_before
        self._parts: list[Columns] = []
        self._counters: Mapping[str, int] = {}

    @property
    def is_empty(self) -> bool:
        return self.file is None and not self._parts

    def add(self, columns: Columns, counters: Mapping[str, int]) -> None:
        self._parts.append(columns)
        self._counters = counters
        rows = sum(len(part.kind) for part in self._parts)
        if rows >= _BATCH_ROWS or sum(len(part.data) for part in self._parts) >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            columns, self._parts = joined(self._parts), []
            if self.file is None:
                self.file = self._begin(int(columns.received_ns[0]))
            self.file.write(columns, self._before + self.file.frames, self._counters)


class _Cutter:
    """Cuts one recording, file by file."""

    def __init__(self, directory: Path, selection: Selection, made: Cut) -> None:
        self._directory = directory
        self._selection = selection
        self._made = made
        self._identity = uuid.uuid4().hex
        self._files = self._frames = 0
        self._state = State()
        self._expected: int | None = 0  # frames before the next batch
        self._lost: tuple[str, int | None] | None = None  # why, and how many frames
        self._problems: list[str] = []  # since the last row that was taken
        self._last_ns = 0  # of the batch that was seen last

    def cut(self, reader: TapeReader, reached: Callable[[int], object]) -> None:
        writing = _Writing(lambda first_ns: self._begin(reader, first_ns), self._frames)
        try:
            self._parts(reader, writing, reached)
            writing.flush()
        except BaseException:
            if writing.file is not None:
                writing.file.abandon()
            raise
        if writing.file is not None:
            self._end(writing.file)

    def end(self) -> None:
        self._made.problems += self._problems

    # files

    def _begin(self, reader: TapeReader, first_ns: int) -> TapeFile:
        selection = self._selection
        kept = {f"{PREFIX}{key}".encode(): text.encode() for key, text in reader.metadata.items()}
        part: dict[str, Any] = {
            "recording": reader.recording,
            "file": reader.number,
            "start_ns": selection.start,
            "end_ns": selection.end,
            "streams": None if selection.streams is None else sorted(selection.streams),
        }
        changed = {"recording": self._identity.encode(), "file": str(self._files).encode()}
        changed["cut_of"] = as_json(part)
        if selection.streams is not None:
            asked = [name for name in reader.asked if name in selection.streams]
            changed["streams"] = as_json(asked)
        kept |= {f"{PREFIX}{key}".encode(): value for key, value in changed.items()}
        name = f"{stem_of(moment_of(first_ns), self._identity, self._files)}{SUFFIX}"
        file = TapeFile(DISK, self._directory / name, kept, "zstd")
        self._made.files.append(name)
        return file

    def _end(self, file: TapeFile) -> None:
        file.close()
        known = manifest.entry(file, self._identity, self._files, True)
        manifest.note(self._directory, known)
        self._files += 1
        self._frames += file.frames
        self._made.frames += file.frames
        self._made.size += file.size

    # rows

    def _parts(
        self, reader: TapeReader, writing: _Writing, reached: Callable[[int], object]
    ) -> None:
        wanted = self._selection.streams
        marks = None if wanted is None else StreamMarks(wanted, True)
        skipped = False
        last: Entry | None = None
        for part in reader.parts:
            if isinstance(part, Damage):
                if part.rows != 0 or part.end != reader.size:  # else there is no footer, only
                    self._lose(reader, str(part), part.why, part.frames)
                self._expected = None
                continue
            missing = 0 if self._expected is None else part.frames_before - self._expected
            if missing and self._last_ns:
                self._lose(reader, f"{missing} frames before it", "a file is missing", missing)
            self._expected = part.frames_before + part.frames
            skipped |= not self._batch(reader, part, marks, writing, skipped)
            self._last_ns = part.last_ns
            last = part
            reached(part.end)
        if self._lost is not None and last is not None and not writing.is_empty:
            self._say_lost(self._last_ns, writing, last)

    def _lose(self, reader: TapeReader, problem: str, why: str, frames: int | None) -> None:
        if self._last_ns >= self._selection.end:
            return
        named = problem.startswith(reader.name)
        self._problems.append(problem if named else f"{reader.name}: {problem}: {why}")
        # of some streams nobody knows how many
        self._lost = why, frames if self._selection.streams is None else None

    def _batch(
        self,
        reader: TapeReader,
        entry: Entry,
        marks: StreamMarks | None,
        writing: _Writing,
        skipped: bool,
    ) -> bool:
        """Takes what is wanted of a batch; False where some of it is left out, or all."""
        selection = self._selection
        if entry.last_ns < selection.start:
            self._lost, self._problems = None, []
        if selection.misses(entry) and not entry.has_others:
            return False
        try:
            rows = reader.read(entry)
        except TapeError as error:
            why = "a batch was not as it was written"
            self._lose(reader, str(error).removeprefix(f"{reader.path}: "), why, entry.frames)
            return False
        inside = selection.inside(rows)
        first = int(np.argmax(inside)) if inside.any() else len(rows)
        try:
            others = others_of(rows)
            self._follow([each for each in others if each.row < first])
            if first < len(rows):
                if writing.is_empty and (skipped or first):
                    self._say_state(rows, first, writing, entry)
                if self._lost is not None:
                    self._say_lost(int(rows.received_ns[first]), writing, entry)
                kept = chosen(rows, inside, others, marks)
                if kept is not None:
                    writing.add(kept, entry["counters"])
            self._follow([each for each in others if each.row >= first])
        except ODD as error:
            raise TapeError(
                f"{reader.path}: batch {entry.batch}: a row that is no frame does not say what "
                f"it should: {shown(error, 200)}"
            ) from None
        return bool(inside.all())

    def _follow(self, others: list[Other]) -> None:
        for each in others:
            self._state.follow(each.chunk())

    def _say_state(self, rows: Rows, first: int, writing: _Writing, entry: Entry) -> None:
        """The file begins in the middle of another: with the connections that were open there."""
        chunk = self._state.rows(int(rows.received_ns[first]))
        if chunk is not None:
            state = chosen_state(chunk, self._selection.streams)
            if len(state.kind):
                writing.add(state, entry["counters"])

    def _say_lost(self, at: int, writing: _Writing, entry: Entry) -> None:
        assert self._lost is not None
        (why, frames), self._lost = self._lost, None
        self._made.problems += self._problems
        self._problems = []
        hole = tape_hole(frames, None, self._last_ns or at, at, f"damaged: {why}")
        chunk = Chunk(1)
        chunk.append(at, 0, Kind.HOLE, hole)
        writing.add(Columns.of(chunk), entry["counters"])
