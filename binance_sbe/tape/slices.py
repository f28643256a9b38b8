"""The rows of a recording, file after file, and of several recordings in order of time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import TapeError
from ..output import shown
from .damage import Damage
from .entries import Rows
from .entry import Entry
from .pool import Pool
from .reading import TapeReader
from .rows import MOST_STREAMS, SUFFIX, Kind, pyarrow
from .selecting import Selection, StreamMarks

AnyPath = str | os.PathLike[str]


class Slice(NamedTuple):
    """The rows from ``begin`` to ``end`` of a batch; ``wanted`` marks those that are, None: all."""

    reader: TapeReader
    entry: Entry
    rows: Rows
    begin: int
    end: int
    wanted: NDArray[np.uint8] | None

    def marks(self) -> NDArray[np.bool_]:
        """Which rows of the batch are in it."""
        found = np.zeros(len(self.rows), np.bool_)
        part = slice(self.begin, self.end)
        found[part] = True if self.wanted is None else self.wanted[part].astype(np.bool_)
        return found


class Streams:
    """The streams that a file numbers, as far as one has come in it."""

    def __init__(self, reader: TapeReader, wanted: frozenset[str]) -> None:
        self._reader = reader
        self._wanted = wanted
        self._numbers: list[bool] | None = []  # by number: whether it is wanted; None: not known

    def may_have(self, part: Entry | Damage) -> bool:
        """Whether a batch may have events of those that are wanted. For each part, in order."""
        if isinstance(part, Damage):
            if part.rows != 0:
                self._numbers = None  # names that were new there are not known
            return True
        if self._numbers is None:
            return True
        self._numbers += [name in self._wanted for name in part["new"]]
        counts = self._reader.counts_of(part)
        return any(c and w for c, w in zip(counts, self._numbers, strict=False)) or (
            part["others"] > 0 and len(self._numbers) >= MOST_STREAMS
        )


class Recording:
    """The files of one recorder, in their order."""

    def __init__(self, identity: str, readers: list[TapeReader]) -> None:
        self.identity = identity
        self.readers = sorted(readers, key=lambda reader: (reader.number, reader.name))

    def slices(
        self,
        selection: Selection,
        on_damage: Callable[[Damage | TapeError, TapeReader], None],
        with_others: bool = True,
        in_place: bool = False,
    ) -> Iterator[Slice]:
        """The rows that are selected. ``with_others``: also those that are of no stream.

        ``in_place``: they lie in the file, see `TapeReader.read`.
        """
        for reader in self.readers:
            streams = None if selection.streams is None else Streams(reader, selection.streams)
            marks = None if selection.streams is None else StreamMarks(selection.streams, False)
            for part in reader.parts:
                may_have = streams is None or streams.may_have(part)
                if isinstance(part, Damage):
                    on_damage(part, reader)
                    continue
                if selection.misses(part):
                    continue
                has_others = with_others and part.has_others
                if not (may_have or has_others):
                    continue
                try:
                    rows = reader.read(part, in_place)
                except TapeError as error:
                    on_damage(error, reader)
                    continue
                wanted: NDArray[np.uint8] | None = None
                if marks is not None:
                    wanted = marks.of(rows).astype(np.uint8)
                    wanted[rows.kind != Kind.FRAME] = with_others
                if part.first_ns < selection.start or part.last_ns >= selection.end:
                    inside = selection.inside(rows).astype(np.uint8)
                    wanted = inside if wanted is None else inside & wanted
                yield Slice(reader, part, rows, 0, len(rows), wanted)


def grouped(readers: list[TapeReader]) -> list[Recording]:
    """The recordings that these are the files of."""
    found: dict[str, list[TapeReader]] = {}
    for reader in readers:
        found.setdefault(reader.recording, []).append(reader)
    for short in [each for each in found if len(each) == 8]:  # a file that has lost its beginning
        whole = [each for each in found if each != short and each.startswith(short)]
        if len(whole) == 1:
            found[whole[0]] += found.pop(short)
    return [Recording(*item) for item in found.items()]


def names_are_known(readers: list[TapeReader]) -> bool:
    """Whether batches name all streams of which there are events."""
    for reader in readers:
        if any(isinstance(part, Damage) for part in reader.parts):
            return False
        if sum(len(entry["new"]) for entry in reader.entries) >= MOST_STREAMS:
            return False
    return True


def merged(all_of_them: list[Iterator[Slice]]) -> Iterator[Slice]:
    """The slices of several recordings by time; rows of one stay in their order."""
    if len(all_of_them) == 1:
        yield from all_of_them[0]
        return
    heads: list[_Head] = []
    for each in all_of_them:
        first = next(each, None)
        if first is not None:
            heads.append(_Head.of(first, each))
    while heads:
        heads.sort(key=lambda head: int(head.times[0]))
        first_head, *others = heads
        part, source, times = first_head
        rest: _Head | None = None
        if others:
            count = max(int(np.searchsorted(times, others[0].times[0], "right")), 1)
            if count < len(times):
                rest = _Head(part._replace(begin=part.begin + count), source, times[count:])
                part = part._replace(end=part.begin + count)
        yield part
        if rest is None:
            after = next(source, None)
            rest = None if after is None else _Head.of(after, source)
        heads = others if rest is None else [*others, rest]


class _Head(NamedTuple):
    """What comes next of a recording. ``times`` are those of its rows, as if no clock went back."""

    part: Slice
    source: Iterator[Slice]
    times: NDArray[np.int64]

    @classmethod
    def of(cls, part: Slice, source: Iterator[Slice]) -> _Head:
        received = part.rows.received_ns[part.begin : part.end]
        return cls(part, source, np.maximum.accumulate(received))


def tells_of_damage(reader: TapeReader, entry: Entry) -> bool:
    """Whether a batch has the row with which `recover` says that frames before it are gone."""
    if not entry["kinds"].get(str(int(Kind.HOLE))):
        return False
    return bool(damaged_holes(reader.read(entry)))


def damaged_holes(rows: Rows) -> list[int | None]:
    """Of each row with which `recover` says that frames are lost: how many, None: not known."""
    found: list[int | None] = []
    for _, hole in rows.contents(Kind.HOLE):
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(hole)
            if isinstance(told, dict) and told.get("damaged"):
                frames = told.get("frames")
                found.append(frames if type(frames) is int and frames >= 0 else None)
    return found


def footer_problem(reader: TapeReader) -> str | None:
    """What is wrong with the end of a file, None where Arrow reads by it what is in the file."""
    if reader.footer_problem is not None:
        return reader.footer_problem
    pa = pyarrow()
    try:
        with pa.OSFile(os.fsencode(reader.path)) as source:
            found = pa.ipc.open_file(source)
            if reader.schema_problem is None and not found.schema.equals(
                reader.schema, check_metadata=True
            ):
                return "its footer has another schema than its beginning"
            if reader.entries:
                batch = found.get_batch(0)
                batch.validate(full=True)
                if not batch.equals(reader.read(reader.entries[0]).batch):
                    return "its footer has Arrow read other rows than were written"
    except TapeError:
        return None  # the first batch is damaged, which is said already
    except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError) as error:
        return f"its footer is damaged: {shown(error, 200)}"
    return None


def paths_of(path: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """TypeError for what is no path, TapeError for none."""
    found = [path] if isinstance(path, str | os.PathLike) else list(path)
    for each in found:
        if not isinstance(each, str | os.PathLike):
            raise TypeError(f"a tape is given by its path, not by {type(each).__name__}")
    if not found:
        raise TapeError("no path was given")
    return list(dict.fromkeys(Path(each) for each in found))


def opened(paths: list[Path], pool: Pool) -> list[TapeReader]:
    """The files of a tape, each once. TapeError for what is no tape.

    Within a directory a file that is damaged as a whole is a part of the tape, if another is none.
    """
    readers: list[TapeReader] = []
    known = set()
    for path in sorted(paths, key=Path.is_file):  # those that are within a directory are of it
        for file in files_of(path):
            place = file.resolve()
            if place not in known:
                known.add(place)
                readers.append(TapeReader(file, pool, is_part=path.is_dir()))
                readers[-1].is_alone = not path.is_dir()
    if all(reader.headless for reader in readers):
        raise readers[0].no_tape()
    return readers


def files_of(path: Path) -> list[Path]:
    """The files of a tape: itself, or those in a directory. TapeError where there are none."""
    if path.is_dir():
        found = sorted(
            each
            for each in path.iterdir()
            if each.suffix == SUFFIX and (each.is_file() or not each.exists())  # a broken link
        )
        if not found:
            raise TapeError(f"{path}: no tape is in this directory: no file ends in {SUFFIX}")
        return found
    if not path.exists():
        raise TapeError(f"{path}: there is no such file or directory")
    if not path.is_file():
        raise TapeError(f"{path}: no file, and no directory")
    return [path]
