"""A whole file made of what is left of one that was cut off or damaged."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from ..errors import RecordingError, TapeError
from .damage import Damage
from .disk import DISK
from .entry import Entry
from .reading import TapeReader
from .rows import PREFIX, VERSION, Kind, tape_hole
from .slices import Recording
from .taking import Chunk
from .tape_file import Columns, TapeFile


class Mending:
    """Makes a file whole. ``span``: frames of the recording before it, and before the next."""

    def __init__(self, reader: TapeReader, recording: Recording, span: list[int | None]) -> None:
        self._reader = reader
        self._recording = recording
        self._before, self._after = span

    def mend(self) -> None:
        """Raises TapeError where nothing of it can be kept, RecordingError for the disk."""
        path = self._reader.path
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        old = path.with_name(f"{path.name}.damaged")
        if DISK.is_written(path):
            raise TapeError(f"{path}: its recorder is at work, so it is left as it is")
        if old.exists() and not old.samefile(path):  # else somebody was killed while mending it
            raise TapeError(f"{old}: it is there already: move it away, and try again")
        try:
            is_made = self._write(fresh)
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror or error}: it is as it was") from None
        if not is_made and self._reader.is_alone:
            raise TapeError(f"{path}: no batch of it is whole: nothing can be kept")
        done = 0
        try:
            if is_made:
                _set_aside(path, old)
                done = 1
                fresh.replace(path)
            else:
                path.rename(old)
            done = 2
            DISK.sync_directory(path.parent)
        except OSError as error:
            state = f"what it was is {old.name} now"
            if done < 2:
                fresh.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    if done and path.exists():
                        old.unlink()  # another name of the same
                    elif done:
                        old.rename(path)
                    state = "it is as it was"
            raise RecordingError(f"{path}: {error.strerror or error}: {state}") from None
        if not is_made:
            raise TapeError(f"{path}: nothing of it can be kept: it is {old.name} now")

    def _write(self, fresh: Path) -> bool:
        """False, and no file, where there would be nothing in it."""
        beside = self._beside()
        reader = self._reader
        if reader.parts and not reader.entries and beside is None:
            return False
        file = TapeFile(DISK, fresh, self._metadata(beside), "zstd")
        try:
            self._copy(file, beside)
            file.close()
            if reader.parts and not file.rows:
                fresh.unlink()
                return False
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        return True

    def _beside(self) -> tuple[TapeReader, Entry] | None:
        """The batch of another file of the recording that is next to it."""
        readers = self._recording.readers
        at = readers.index(self._reader)
        for other in readers[:at][::-1]:
            if other.entries:
                return other, other.entries[-1]
        for other in readers[at + 1 :]:
            if other.entries:
                return other, other.entries[0]
        return None

    def _metadata(self, beside: tuple[TapeReader, Entry] | None) -> dict[bytes, bytes]:
        """That of the file; where it is damaged, what can be known."""
        reader = self._reader
        known = reader.metadata
        if not reader.is_known:
            known = {"version": VERSION, "recording": self._recording.identity}
            if beside is not None:  # what all files of a recording have
                known = beside[0].metadata | known
            known["file"] = str(reader.number)
        return {f"{PREFIX}{key}".encode(): value.encode() for key, value in known.items()}

    def _copy(self, file: TapeFile, beside: tuple[TapeReader, Entry] | None) -> None:
        """The good batches, with a row of a hole where there is something missing around them."""
        lost: str | None = None
        before, missing = self._before, None
        last_ns = 0
        last: Entry | None = None
        for part in self._reader.parts:
            if isinstance(part, Damage):
                lost, missing = part.why, part.frames
                continue
            try:
                rows = self._reader.read(part)
            except TapeError:
                lost, missing = "a batch was not as it was written", part.frames
                continue
            if lost is not None:
                frames = None if before is None else part.frames_before - before
                if frames is None or frames > 0:
                    file.write(*_hole(lost, frames, last_ns or part.first_ns, dict(part)))
                lost = None
            file.write(rows.columns, part.frames_before, part["counters"])
            before, last_ns, last = part.frames_before + part.frames, part.last_ns, part
        if before is not None and self._after is not None:
            missing = max(self._after - before, 0)
            lost = lost or ("its end is missing" if missing else None)
        if lost is None:
            return
        if last is None and beside is not None:
            last, last_ns = beside[1], beside[1].last_ns
        if last is not None and missing != 0:
            reached = (before or 0) + (missing or 0)
            end = dict(last) | {"first_ns": last_ns, "frames_before": reached}
            file.write(*_hole(lost, missing, last_ns, end))


def _set_aside(path: Path, old: Path) -> None:
    """Has another name for a file, which keeps its own until another takes that, where it can."""
    if old.exists():  # the same file, by a mending that was killed
        return
    try:
        os.link(path, old)
    except OSError:  # a file system without links: it has no name of its own for a moment
        path.rename(old)


def _hole(
    why: str, frames: int | None, since: int, told: dict[str, Any]
) -> tuple[Columns, int, dict[str, int]]:
    """A batch of one row, before that of which ``told`` is."""
    until = told["first_ns"]
    hole = tape_hole(frames, None, since, until, f"the tape was damaged: {why}", damaged=True)
    chunk = Chunk(1)
    chunk.append(until, 0, Kind.HOLE, hole)
    return Columns.of(chunk), told["frames_before"], told["counters"]
