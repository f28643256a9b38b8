"""What was made of which units, so that it is not made again, nor written over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from ..manifest import FOLDER, Record, Seam, records
from ..plan import file_of
from ..store import Store
from .market import Job, Made


@dataclass(frozen=True)
class Note:
    """Of which units (`Job.sources`) a job was done, when (ns since 1970), and what came of it."""

    symbol: str
    date: str
    sources: list[str]
    at: int
    files: list[str]
    remarks: list[str]
    rows: int

    def covers(self, job: Job) -> bool:
        """Whether it is of all these units, done with as much of a run-up at least."""
        known = dict(map(_parted, self.sources))
        return all(
            source in known and known[source] >= run_up
            for source, run_up in map(_parted, job.sources)
        )

    @property
    def tape_files(self) -> set[str]:
        return _tape_files(self.sources)

    def is_replaced_by(self, other: Note) -> bool:
        """Whether that one is later, and of all the files of tapes that this one is of."""
        same = (self.symbol, self.date) == (other.symbol, other.date)
        return same and self.at < other.at and self.tape_files <= other.tape_files


class Notes:
    """What was made of each job, and of which units all of them.

    A shard writes notes of its own, and reads those of all. A job is a symbol and a day, of some
    files of tapes: what was made of files that are not given now stays as it is.
    """

    def __init__(self, store: Store, tool: str, shard: str) -> None:
        self._store = store
        self._written = 0.0
        self._all = f"{FOLDER}/files-{tool}"
        self._name = f"{self._all}{shard}.json"
        self.folder = f"{FOLDER}/{tool}{shard}"  # the records of the stage, when it is gone
        told, self._mine = self._read(self._name)
        self.units: list[str] | None = told.get("units")
        self.seams: list[dict[str, Any]] = told.get("seams", [])
        self._others = [
            note
            for name in store.names(FOLDER)
            if name.startswith(self._all) and name != self._name
            for note in self._read(name)[1]
        ]
        self._by_job = self._index()

    def _read(self, name: str) -> tuple[dict[str, Any], list[Note]]:
        """What can't be understood is made again."""
        try:
            found = json.loads(self._store.read(name) or b"{}")
            return found, [Note(**each) for each in found["jobs"]]
        except (ValueError, TypeError, KeyError, AttributeError):
            return {}, []

    def write(self, every: float = 0.0) -> None:
        """``every`` is in seconds: not again so soon after the last time."""
        if time.monotonic() - self._written < every:
            return
        told = {
            "units": self.units,
            "seams": self.seams,
            "jobs": [asdict(note) for note in self._mine if note in self._of(note)],
        }
        self._store.write(self._name, json.dumps(told).encode())
        self._written = time.monotonic()

    def keep(self, stage: Store) -> None:
        """Keeps the records of a stage, which is removed now: they are the account."""
        found = records(stage)
        files = {file_of(record.unit) for record in found}
        for record in records(self._store, self.folder):
            if file_of(record.unit) in files:
                self._store.remove(record.place_in(self.folder))
        for record in found:
            record.write(self._store, self.folder)

    def account(self, staged: Iterable[Record], files: Iterable[str]) -> list[Record]:
        """Those of a stage, and of tapes that were staged before and are none of ``files``."""
        given = set(files)
        before = records(self._store, self.folder)
        found = [*(each for each in before if file_of(each.unit) not in given), *staged]
        return sorted(found, key=lambda each: (each.first_ns, each.unit))

    def told_seams(self) -> list[Seam]:
        return [Seam(**each) for each in self.seams]

    def _are_there(self, note: Note) -> bool:
        return all(self._store.size(name) is not None for name in note.files)

    def is_done(self, units: list[str]) -> bool:
        """Whether all is there that these units give, and nobody has replaced it since."""
        return self.units == units and all(
            note in self._of(note) and self._are_there(note) for note in self._mine
        )

    def _index(self) -> dict[tuple[str, str], list[Note]]:
        """By symbol and day the notes of all shards, but for those that later ones replace."""
        found: dict[tuple[str, str], list[Note]] = {}
        for note in (*self._mine, *self._others):
            found.setdefault((note.symbol, note.date), []).append(note)
        for job, notes in found.items():
            if len(notes) > 1:
                found[job] = [n for n in notes if not any(map(n.is_replaced_by, notes))]
        return found

    def _good(self) -> Iterator[Note]:
        return chain.from_iterable(self._by_job.values())

    def _of(self, job: Job | Note) -> list[Note]:
        return self._by_job.get((job.symbol, job.date), [])

    def has(self, job: Job) -> bool:
        """Whether a job is done, by whatever shard: of just these units, or with more of them."""
        return any(note.covers(job) and self._are_there(note) for note in self._of(job))

    def others(self, job: Job) -> frozenset[str]:
        """Files of the same symbol that were made of files of tapes that are not given now."""
        given = _tape_files(job.sources)
        return frozenset(
            name for note in self._of(job) if note.tape_files - given for name in note.files
        )

    def note(self, job: Job, made: Made) -> None:
        """What was made of some of these files of tapes before, and of no others, is replaced."""
        new = Note(
            job.symbol, job.date, job.sources, time.time_ns(), made.files, made.remarks, made.rows
        )
        kept = []
        for old in self._of(job):
            if not old.is_replaced_by(new):
                kept.append(old)
                continue
            for name in set(old.files) - set(made.files):
                self._store.remove(name)
        self._mine.append(new)
        self._by_job[job.symbol, job.date] = [*kept, new]

    def together(self) -> Made:
        """What came of the jobs of all shards."""
        found = list(self._good())
        return Made(
            sorted({name for each in found for name in each.files}),
            list(dict.fromkeys(remark for each in found for remark in each.remarks)),
            sum(each.rows for each in found),
        )


def _tape_files(sources: Iterable[str]) -> set[str]:
    return {file_of(source.partition(" ")[0]) for source in sources}


def _parted(source: str) -> tuple[str, int]:
    """What a unit is, and how many batches its run-up has."""
    what, _, run_up = source.rpartition(" ")
    return what, int(run_up)
