"""What is played of each recording of a tape: its rows in order, and where some are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import TapeError
from .damage import Damage
from .entries import Rows
from .entry import Entry
from .reading import TapeReader
from .rows import Kind, parted
from .selecting import Selection
from .slices import Recording

_STATE = {str(int(kind)) for kind in (Kind.OPENED, Kind.ENDED, Kind.SUBSCRIPTION, Kind.CLOCK)}


class Part(NamedTuple):
    """The rows from ``begin`` to ``end`` of a batch.

    ``gap`` says why rows are missing before the batch, and is for its first part: that which begins
    at row 0. ``is_inside`` says that all of the batch is in the range that is played.
    """

    chapter: Chapter
    rows: Rows
    begin: int
    end: int
    gap: str | None
    is_inside: bool


class Chapter:
    """One recording. ``streams`` are those that were wanted when its first file was begun.

    ``wanted()`` gives the streams that are played, None for all; it may change. ``is_over`` tells
    that all was given, ``last_ns`` when the last of it came.
    """

    def __init__(
        self,
        recording: Recording,
        selection: Selection,
        wanted: Callable[[], frozenset[str] | None],
        on_damage: Callable[[Damage | TapeError, TapeReader], None],
    ) -> None:
        self.is_over = False
        self.last_ns = 0
        self._selection = selection
        self._wanted = wanted
        self._on_damage = on_damage
        self.readers = self._from_start(recording.readers)
        self.streams: list[str] = self.readers[0].asked

    def _from_start(self, readers: list[TapeReader]) -> list[TapeReader]:
        """Without the files that end before: each begins with what was open at its beginning."""
        for i in range(len(readers) - 1, 0, -1):
            entries = readers[i].entries
            if entries and entries[0].first_ns <= self._selection.start:
                return readers[i:]
        return readers

    def parts(self) -> Iterator[Part]:
        """Reads as it goes. Of what was before the start only what says how things stood."""
        selection = self._selection
        expected: int | None = None  # frames of the recording before the next batch
        gap: str | None = None
        for reader in self.readers:
            names: list[str] | None = []
            for part in reader.parts:
                if isinstance(part, Damage):
                    self._on_damage(part, reader)
                    gap, names = gap or part.why, None
                    continue
                if expected is not None and part.frames_before != expected:
                    gap = gap or "a file is missing"
                expected = part.frames_before + part.frames
                if names is not None:
                    names += part["new"]
                if part.first_ns >= selection.end or not self._is_needed(reader, part, names, gap):
                    continue
                try:
                    rows = reader.read(part, in_place=True)
                except TapeError as error:
                    self._on_damage(error, reader)
                    gap = gap or "a batch is not as it was written"
                    continue
                if part.first_ns < selection.start:  # nothing was played that could be missing
                    gap = None
                self.last_ns = max(self.last_ns, part.last_ns)
                is_inside = part.first_ns >= selection.start and part.last_ns < selection.end
                yield Part(self, rows, 0, len(rows), gap, is_inside)
                gap = None
        self.is_over = True

    def _is_needed(
        self, reader: TapeReader, entry: Entry, names: list[str] | None, gap: str | None
    ) -> bool:
        """Whether a batch has anything that matters; ``names`` are those of its file's streams."""
        kinds = entry["kinds"]
        if entry.last_ns < self._selection.start:
            return not _STATE.isdisjoint(kinds)
        wanted = self._wanted()
        if wanted is None or names is None or gap or entry["others"] or entry.has_others:
            return True
        counts = reader.counts_of(entry)
        return any(count and name in wanted for name, count in zip(names, counts, strict=False))

    def asked(self) -> set[str]:
        """All streams that somebody has asked for while it was recorded."""
        found = {name for reader in self.readers for name in reader.asked}
        for content in self._contents(Kind.SUBSCRIPTION):
            told = json.loads(content)
            found |= {*told.get("asked", ()), *told.get("entered", ())}
        return found

    def snapshots(self) -> list[int]:
        """How many events the books had taken before each row that is of a snapshot, in order."""
        return [
            int(parted(content)[0].get("after", 0)) for content in self._contents(Kind.SNAPSHOT)
        ]

    def _contents(self, kind: Kind) -> Iterator[bytes]:
        """Those of all rows of a kind. What is damaged is left out: playing comes to it."""
        for reader in self.readers:
            for entry in reader.entries:
                if str(int(kind)) not in entry["kinds"]:
                    continue
                try:
                    rows = reader.read(entry)
                except TapeError:
                    continue
                for _, content in rows.contents(kind):
                    yield content
