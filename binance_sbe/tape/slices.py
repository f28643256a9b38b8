"""The rows of a recording, file after file, and of several recordings in order of time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import TapeError
from .damage import Damage
from .reading import Entry, Rows, TapeReader
from .rows import MOST_STREAMS, SUFFIX, Kind
from .selecting import Selection, StreamMarks


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

    def __init__(self, wanted: frozenset[str]) -> None:
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
        self._numbers += [name in self._wanted for name in part.told["new"]]
        counts = part.streams
        return any(c and w for c, w in zip(counts, self._numbers, strict=False)) or (
            part.told["others"] > 0 and len(self._numbers) >= MOST_STREAMS
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
    ) -> Iterator[Slice]:
        """The rows that are selected. ``with_others``: also those that are of no stream."""
        for reader in self.readers:
            streams = None if selection.streams is None else Streams(selection.streams)
            marks = None if selection.streams is None else StreamMarks(selection.streams, False)
            for part in reader.parts:
                may_have = streams is None or streams.may_have(part)
                if isinstance(part, Damage):
                    on_damage(part, reader)
                    continue
                told = part.told
                if selection.misses(part):
                    continue
                has_others = with_others and part.has_others
                if not (may_have or has_others):
                    continue
                try:
                    rows = reader.read(part)
                except TapeError as error:
                    on_damage(error, reader)
                    continue
                wanted: NDArray[np.uint8] | None = None
                if marks is not None:
                    wanted = marks.of(rows).astype(np.uint8)
                    wanted[rows.kind != Kind.FRAME] = with_others
                if told["first_ns"] < selection.start or told["last_ns"] >= selection.end:
                    inside = selection.inside(rows).astype(np.uint8)
                    wanted = inside if wanted is None else inside & wanted
                yield Slice(reader, part, rows, 0, len(rows), wanted)


def merged(all_of_them: list[Iterator[Slice]]) -> Iterator[Slice]:
    """The slices of several recordings by time; rows of one stay in their order."""
    heads: list[tuple[Slice, Iterator[Slice]]] = []
    for each in all_of_them:
        first = next(each, None)
        if first is not None:
            heads.append((first, each))
    while heads:
        heads.sort(key=lambda head: _begins(head[0]))
        (first, source), *others = heads
        rest: Slice | None = None
        if others:
            limit = _begins(others[0][0])
            times = np.maximum.accumulate(first.rows.received_ns[first.begin : first.end])
            count = max(int(np.searchsorted(times, limit, "right")), 1)
            if count < len(times):
                rest = first._replace(begin=first.begin + count)
                first = first._replace(end=first.begin + count)
        yield first
        rest = rest or next(source, None)
        heads = [*others, (rest, source)] if rest is not None else others


def _begins(part: Slice) -> int:
    return int(part.rows.received_ns[part.begin])


def tells_of_damage(reader: TapeReader, entry: Entry) -> bool:
    """Whether a batch has the row with which `recover` says that frames before it are gone."""
    if not entry.told["kinds"].get(str(int(Kind.HOLE))):
        return False
    rows = reader.read(entry)
    return any(json.loads(hole).get("damaged") for _, hole in rows.contents(Kind.HOLE))


def files_of(path: Path) -> list[Path]:
    """The files of a tape: itself, or those in a directory. TapeError where there are none."""
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix == SUFFIX)
        if not found:
            raise TapeError(f"{path}: no tape is in this directory: no file ends in {SUFFIX}")
        return found
    if not path.exists():
        raise TapeError(f"{path}: there is no such file or directory")
    return [path]
