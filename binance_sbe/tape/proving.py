"""Which frames of a tape are good, to the frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordingError, TapeError
from . import manifest
from .damage import Damage
from .entries import Rows
from .entry import Entry
from .mending import Mending
from .pool import Pool
from .reading import TapeReader
from .slices import Recording, damaged_holes, footer_problem, grouped, opened

Progress = Callable[[int, int], object]
Listed = dict[Path, dict[str, dict[str, Any]]]  # what manifests say of files, by their names


@dataclass
class Report:
    """``frames_good`` SBE frames are as they were written, ``frames_lost`` are known to be gone.

    ``frames_lost`` is None where that can't be known. ``problems`` are sentences, each of which
    begins with the file that it is about. ``is_whole``: there are none. A tape that was mended is
    whole: what it has lost is lost, and its rows say so.
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


@dataclass
class _Part:
    """Of a recording, in order: a batch, damage, or a file that only the manifest knows.

    ``following`` is how many frames of the recording are before the next batch, if there is one.
    """

    reader: TapeReader | None
    what: Entry | Damage | dict[str, Any] | None  # None is the end of a file
    following: int | None = None


class _Proof:
    """What is good in recordings and what is lost: between two batches their numbers tell."""

    def __init__(self, listed: Listed, total: int, progress: Progress | None) -> None:
        self.good = 0
        self.lost: int | None = 0
        self.problems: list[str] = []
        self.damaged: dict[TapeReader, Recording] = {}  # files that are not as they should be
        self.spans: dict[TapeReader, list[int | None]] = {}  # numbers of frames around a file
        self._listed = listed
        self._total = total
        self._progress = progress
        self._done = 0
        self._expected: int | None = 0  # frames of the recording before the next batch
        self._is_told = False  # whether what is missing now was told by the batch before
        self._file_good = 0
        self._file_lost: int | None = 0

    def report(self) -> Report:
        return Report(self.good, self.lost, self.problems)

    def _lose(self, frames: int | None) -> None:
        self.lost = None if frames is None or self.lost is None else self.lost + frames
        lost = self._file_lost
        self._file_lost = None if frames is None or lost is None else lost + frames

    def recording(self, recording: Recording, gone: list[dict[str, Any]]) -> None:
        files: list[tuple[int, str, TapeReader | dict[str, Any]]]
        files = [(each.number, each.name, each) for each in recording.readers]
        files += [(each.get("file", 0), each["name"], each) for each in gone]
        parts: list[_Part] = []
        for _, _, file in sorted(files, key=lambda each: each[:2]):
            if isinstance(file, TapeReader):
                parts += [_Part(file, part) for part in (*file.parts, None)]
            else:
                parts.append(_Part(None, file))
        following: int | None = None
        for part in reversed(parts):
            part.following = following
            if isinstance(part.what, Entry):
                following = part.what.frames_before
        # of a file that is given by itself nobody knows what should be before it
        self._expected = None if recording.readers[0].is_alone else 0
        self._is_told = False
        self._file_good, self._file_lost = 0, 0
        for part in parts:
            if part.reader is None:
                self._gone(part)
                continue
            self.spans.setdefault(part.reader, [self._expected, None])
            if isinstance(part.what, Entry):
                self._batch(part.reader, part.what, part.following)
            elif isinstance(part.what, Damage):
                self.damaged[part.reader] = recording
                self._damage(part.reader, part.what, part.following)
            else:
                self._end(part.reader, part.following, recording)

    def _listed_frames(self, reader: TapeReader) -> int:
        """How many it had when it was closed, as the manifest says; 0 where that is not known."""
        entry = self._listed.get(reader.directory, {}).get(reader.name, {})
        return manifest.frames_of(entry) if entry.get("is_closed") else 0

    def _missing(self, following: int | None, otherwise: int | None) -> int | None:
        """Frames that are missing before the next batch; without one, what else is known."""
        if following is None or self._expected is None:
            return otherwise
        missing = max(following - self._expected, 0)
        self._expected = max(following, self._expected)
        return missing

    def _gone(self, part: _Part) -> None:
        entry: Any = part.what
        frames = manifest.frames_of(entry) if entry.get("is_closed") else None
        frames = self._missing(part.following, frames)
        self._lose(frames)
        self._file_good, self._file_lost = 0, 0
        its = "nobody knows how many frames" if frames is None else f"{frames} frames"
        self.problems.append(
            f"{entry['name']}: the manifest names it, and it is not there; {its} are missing"
        )

    def _damage(self, reader: TapeReader, part: Damage, following: int | None) -> None:
        frames, listed = part.frames, self._listed_frames(reader)
        is_last = following is None and part.end == reader.size
        if is_last and listed and self._file_lost is not None:  # the rest of it
            frames = max(listed - self._file_good - self._file_lost, 0)
        frames = self._missing(following, frames)
        if following is None and frames is not None and self._expected is not None:
            self._expected += frames
        elif frames is None:
            self._expected = None
        self._lose(frames)
        told = Damage(reader.name, part.begin, part.end, part.why, part.rows, frames)
        self.problems.append(str(told))

    def _batch(self, reader: TapeReader, part: Entry, following: int | None) -> None:
        name, before = reader.name, part.frames_before
        holes: list[Any] = []
        rows: Rows | None = None
        try:
            rows = reader.read(part)
            holes = damaged_holes(rows)
            self.good += part.frames
            self._file_good += part.frames
            reader.check_arrow(part, rows)
        except TapeError as error:
            self.problems.append(f"{name}: {str(error).removeprefix(f'{reader.path}: ')}")
            self.damaged.setdefault(reader, Recording("", [reader]))
            if rows is None:
                self._lose(part.frames)
        missing = 0 if self._expected is None else before - self._expected
        if missing > 0:
            self._lose(missing)
            if not (holes or self._is_told):
                self.problems.append(
                    f"{name}: {missing} frames before it are missing: a file is gone"
                )
        elif missing < 0:
            self.problems.append(
                f"{name}: batch {part.batch}: {-missing} frames of it were on the tape "
                "before: a file is there twice"
            )
        elif self._expected is None:
            for frames in holes:
                self._lose(frames)
        elif None in holes and following is None:
            self._lose(None)
        self._expected = before + part.frames
        self._is_told = bool(holes)
        if self._progress is not None:
            self._progress(self._done + part.end, self._total)

    def _end(self, reader: TapeReader, following: int | None, recording: Recording) -> None:
        """The end of a file."""
        for problem in (reader.schema_problem, footer_problem(reader)):
            if problem is not None and reader.headless is None:
                self.problems.append(f"{reader.name}: {problem}")
                self.damaged[reader] = recording
        if reader in self.damaged:
            self.damaged[reader] = recording
        missing = 0
        if following is not None and reader in self.damaged and self._expected is not None:
            missing = following - self._expected
        elif following is None and self._file_lost is not None:
            missing = self._listed_frames(reader) - self._file_good - self._file_lost
        if missing > 0:
            self._lose(missing)
            self._expected = None if self._expected is None else self._expected + missing
            self.problems.append(f"{reader.name}: {missing} frames at its end are missing")
            self.damaged[reader] = recording
        self.spans[reader][1] = self._expected if following is None else following
        self._file_good, self._file_lost = 0, 0
        self._done += reader.size


def verified(recordings: list[Recording], listed: Listed, progress: Progress | None) -> _Proof:
    readers = [reader for recording in recordings for reader in recording.readers]
    proof = _Proof(listed, sum(reader.size for reader in readers), progress)
    there = {(reader.directory, reader.name) for reader in readers}
    gone: dict[str, list[dict[str, Any]]] = {}
    for directory, entries in listed.items():
        for name, entry in entries.items():
            if (directory, name) not in there:
                gone.setdefault(entry.get("recording", ""), []).append(entry)
    for recording in recordings:
        proof.recording(recording, gone.pop(recording.identity, []))
    for others in gone.values():
        proof._expected = None
        for entry in others:
            proof._gone(_Part(None, entry))
    return proof


def recovered(paths: list[Path], progress: Progress | None) -> Report:
    pool = Pool()
    try:
        recordings = grouped(opened(paths, pool))
        directories = list(dict.fromkeys(path.resolve() for path in paths if path.is_dir()))
        proof = verified(recordings, {each: manifest.read(each) for each in directories}, progress)
        refused = []
        for reader, recording in proof.damaged.items():
            try:
                Mending(reader, recording, proof.spans[reader]).mend()
            except RecordingError:
                raise
            except TapeError as error:
                refused.append(str(error))
        if refused and len(refused) == len(proof.damaged) and not proof.good:
            raise TapeError(refused[0])
        for directory in directories or sorted({reader.directory for reader in proof.damaged}):
            try:
                manifest.renew(directory)
            except OSError as error:
                refused.append(
                    f"{directory / manifest.NAME}: {error.strerror or error}: it was not written, "
                    "and what it lists is not what is there; the files of the tape are mended"
                )
        proof.problems += refused
        return proof.report()
    finally:
        pool.close()
