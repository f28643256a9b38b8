"""Which frames of a tape are good, to the frame; and a whole file made of what is left."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordingError, TapeError
from . import manifest
from .damage import Damage
from .disk import DISK
from .reading import TapeReader
from .rows import PREFIX, VERSION, Kind, tape_hole
from .slices import Recording, files_of, tells_of_damage
from .taking import Chunk
from .tape_file import Columns, TapeFile

Progress = Callable[[int, int], object]


@dataclass
class Report:
    """``frames_good`` SBE frames are as they were written, ``frames_lost`` are known to be gone.

    ``frames_lost`` is None where that can't be known. ``problems`` are sentences, each of which
    begins with the file that it is about. ``is_whole``: there are none.
    """

    frames_good: int
    frames_lost: int | None
    problems: list[str]

    @property
    def is_whole(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lost = "an unknown number" if self.frames_lost is None else f"{self.frames_lost:,}"
        state = "whole" if self.is_whole else "not whole"
        lines = [f"{state}: {self.frames_good:,} frames are good, {lost} lost", *self.problems]
        return "\n".join(lines)


class _Count:
    def __init__(self) -> None:
        self.good = 0
        self.lost: int | None = 0
        self.problems: list[str] = []

    def lose(self, frames: int | None) -> None:
        self.lost = None if frames is None or self.lost is None else self.lost + frames

    def report(self) -> Report:
        return Report(self.good, self.lost, self.problems)


def verified(
    recordings: list[Recording],
    listed: dict[Path, dict[str, dict[str, Any]]],
    progress: Progress | None,
) -> Report:
    count = _Count()
    readers = [reader for recording in recordings for reader in recording.readers]
    total = sum(reader.size for reader in readers)
    done = 0
    for recording in recordings:
        expected: int | None = 0
        for reader in recording.readers:
            entry = listed.get(reader.path.parent, {}).get(reader.name)
            expected = _verify(reader, count, expected, entry, done, total, progress)
            done += reader.size
    there = {(reader.path.parent, reader.name) for reader in readers}
    for directory, entries in listed.items():
        for name, entry in entries.items():
            if (directory, name) not in there:
                frames = entry.get("kinds", {}).get("0", 0) if entry.get("is_closed") else None
                count.lose(frames)
                count.problems.append(
                    f"{name}: the manifest names it, and it is not there; its {frames} frames are "
                    "missing"
                )
    return count.report()


def _verify(
    reader: TapeReader,
    count: _Count,
    expected: int | None,
    listed: dict[str, Any] | None,
    done: int,
    total: int,
    progress: Progress | None,
) -> int | None:
    """One file; returns how many frames of the recording there should be after it."""
    name, problems = reader.name, count.problems
    good = 0
    lost: int | None = 0
    for part in reader.parts:
        if isinstance(part, Damage):
            frames = part.frames
            if frames is None and expected is not None and part.end < reader.size:
                following = next(e for e in reader.entries if e.offset >= part.end)
                frames = following.told["frames_before"] - expected
            problems.append(str(Damage(name, part.begin, part.end, part.why, part.rows, frames)))
            lost = None if frames is None or lost is None else lost + frames
            expected = None
            continue
        try:
            told_of = tells_of_damage(reader, part)
            reader.read(part)
            good += part.frames
        except TapeError as error:
            told_of = False
            problems.append(f"{name}: {str(error).removeprefix(f'{reader.path}: ')}")
            lost = None if lost is None else lost + part.frames
        missing = 0 if expected is None else part.told["frames_before"] - expected
        if missing:
            lost = None if lost is None else lost + missing
            if not told_of:
                problems.append(f"{name}: {missing} frames before it are missing: a file is gone")
        expected = part.told["frames_before"] + part.frames
        if progress is not None:
            progress(done + part.end, total)
    if reader.schema_problem is not None:
        problems.append(f"{name}: {reader.schema_problem}")
    if reader.footer_problem is not None:
        problems.append(f"{name}: {reader.footer_problem}")
    if listed is not None and listed.get("is_closed"):
        frames = listed.get("kinds", {}).get("0", 0)
        if good + (lost or 0) != frames:
            if lost is not None and frames > good + lost:
                problems.append(f"{name}: it had {frames} frames when it was closed")
            lost = max(frames - good, 0)
    count.good += good
    count.lose(lost)
    if lost is None or (reader.parts and isinstance(reader.parts[-1], Damage)):
        return None
    return expected


def recovered(paths: list[Path], progress: Progress | None) -> Report:
    count = _Count()
    files = [file for path in paths for file in files_of(path)]
    total = sum(file.stat().st_size for file in files)
    done = 0
    for file in files:
        reader = TapeReader(file)
        single = verified([Recording(reader.recording, [reader])], {}, None)
        # what is before this file is not its own loss
        problems = [each for each in single.problems if "before it are missing" not in each]
        count.good += single.frames_good
        if problems:
            count.lose(single.frames_lost)
            count.problems += problems
            _recover(reader)
        done += reader.size
        if progress is not None:
            progress(done, total)
    return count.report()


def _recover(reader: TapeReader) -> None:
    path = reader.path
    if reader.parts and not reader.entries:
        raise TapeError(f"{path}: no batch of it is whole: nothing can be kept")
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    old = path.with_name(f"{path.name}.damaged")
    if old.exists():
        raise TapeError(f"{old}: it is there already: move it away, and try again")
    try:
        file = TapeFile(DISK, fresh, _metadata(reader), "zstd")
        try:
            _copy(reader, file)
            file.close()
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        path.rename(old)
        fresh.rename(path)
        DISK.sync_directory(path.parent)
        known = manifest.entry(file, reader.recording, reader.number, True)
        manifest.note(path.parent, known | {"name": path.name})
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}: it is as it was") from None


def _metadata(reader: TapeReader) -> dict[bytes, bytes]:
    """That of the file; where it is damaged, what can be known."""
    found = {f"{PREFIX}{key}".encode(): value.encode() for key, value in reader.metadata.items()}
    if reader.schema_problem is not None:
        found = {
            f"{PREFIX}version".encode(): VERSION.encode(),
            f"{PREFIX}recording".encode(): reader.recording.encode(),
            f"{PREFIX}file".encode(): str(reader.number).encode(),
        }
    return found


def _copy(reader: TapeReader, file: TapeFile) -> None:
    """The good batches, with a row of a hole where there is something missing around them."""
    lost: str | None = None
    before: int | None = 0 if reader.number == 0 else None  # frames of the recording
    last_ns = 0
    last: dict[str, Any] = {}
    missing: int | None = 0
    for part in reader.parts:
        if isinstance(part, Damage):
            lost, missing = part.why, part.frames
            continue
        try:
            rows = reader.read(part)
        except TapeError:
            lost, missing = "a batch was not as it was written", part.frames
            continue
        told = part.told
        if lost is not None:
            frames = None if before is None else told["frames_before"] - before
            _write_hole(file, lost, frames, last_ns or told["first_ns"], told)
            lost = None
        file.write(rows.columns, told["frames_before"], told["counters"])
        before, last_ns, last = told["frames_before"] + part.frames, told["last_ns"], told
    if lost is not None and last:
        after = (before or 0) + (missing or 0)
        end = last | {"first_ns": last_ns, "frames_before": after}
        _write_hole(file, lost, missing, last_ns, end)


def _write_hole(
    file: TapeFile, why: str, frames: int | None, since: int, told: dict[str, Any]
) -> None:
    until = told["first_ns"]
    hole = tape_hole(frames, None, since, until, f"the tape was damaged: {why}", damaged=True)
    chunk = Chunk(1)
    chunk.append(until, 0, Kind.HOLE, hole)
    file.write(Columns.of(chunk), told["frames_before"], told["counters"])
