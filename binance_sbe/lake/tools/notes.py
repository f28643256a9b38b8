"""What was made of which parts of the stage, so that it is not made again, nor written over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import LakeError
from ..manifest import FOLDER, Record, Seam, records, unit_of
from ..plan import file_of
from ..store import Store
from .market import Job, Made


@dataclass(frozen=True)
class Note:
    """Of which parts of the stage a job was done, and what came of it."""

    parts: list[str]
    files: list[str]
    remarks: list[str]
    rows: int


class Notes:
    """What was made of each job, and of which units all of them.

    A shard has notes of its own. A job is a symbol and a day, of some tapes: those of other tapes,
    which were given before, stay as they are.
    """

    def __init__(self, store: Store, tool: str, shard: str) -> None:
        self._store = store
        self._all = f"{FOLDER}/files-{tool}"
        self._name = f"{self._all}{shard}.json"
        self.folder = f"{FOLDER}/{tool}{shard}"  # the records of the stage, when it is gone
        told, self._done = self._read(self._name)
        self.units: list[str] | None = told.get("units")
        self.jobs: list[str] = told.get("all", [])  # of all shards
        self.seams: list[dict[str, Any]] = told.get("seams", [])

    def _read(self, name: str) -> tuple[dict[str, Any], dict[str, Note]]:
        """What can't be understood is made again."""
        try:
            found = json.loads(self._store.read(name) or b"{}")
            return found, {key: Note(**each) for key, each in found["jobs"].items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            return {}, {}

    def write(self) -> None:
        told = {
            "units": self.units,
            "all": self.jobs,
            "seams": self.seams,
            "jobs": {key: asdict(note) for key, note in self._done.items()},
        }
        self._store.write(self._name, json.dumps(told).encode())

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

    @staticmethod
    def key(job: Job) -> str:
        """The same for the same symbol and day of the same tapes."""
        return f"{job.symbol} {job.date} {' '.join(sorted(_recordings(job.names)))}"

    def _are_there(self, note: Note) -> bool:
        return all(self._store.size(name) is not None for name in note.files)

    def is_done(self, units: list[str]) -> bool:
        """Whether all is there that these units give."""
        return self.units == units and all(map(self._are_there, self._done.values()))

    def has(self, job: Job) -> bool:
        known = self._done.get(self.key(job))
        return known is not None and known.parts == job.names and self._are_there(known)

    def _of(self, job: Job) -> dict[str, Note]:
        """The notes of the same symbol and day, of whatever tapes."""
        start = f"{job.symbol} {job.date} "
        return {key: note for key, note in self._done.items() if key.startswith(start)}

    def others(self, job: Job) -> frozenset[str]:
        """Files of the same symbol that were made of other tapes alone.

        Raises LakeError where a job was done with tapes of which one is not given now.
        """
        given = _files(job.names)
        others: set[str] = set()
        for note in self._of(job).values():
            before = _files(note.parts)
            if not before & given:
                others.update(note.files)
            elif _recordings(note.parts) - _recordings(job.names):
                raise LakeError(
                    f"{job.symbol}, {job.date}: was made together with tapes that are not given "
                    "now: give them all, or another directory"
                )
        return frozenset(others)

    def note(self, job: Job, made: Made) -> None:
        """What was made of some of these tapes before is replaced."""
        given = _files(job.names)
        for key, known in self._of(job).items():
            if _files(known.parts) & given:
                for name in set(known.files) - set(made.files):
                    self._store.remove(name)
                del self._done[key]
        self._done[self.key(job)] = Note(job.names, made.files, made.remarks, made.rows)

    def _everywhere(self) -> dict[str, Note]:
        found: dict[str, Note] = {}
        for name in self._store.names(FOLDER):
            if name.startswith(self._all):
                found |= self._read(name)[1]
        return found | self._done

    def together(self) -> Made:
        """What came of the jobs of all shards."""
        found = self._everywhere().values()
        return Made(
            sorted({name for each in found for name in each.files}),
            [remark for each in found for remark in each.remarks],
            sum(each.rows for each in found),
        )

    def not_done(self) -> list[str]:
        """The jobs of these tapes that no shard has done."""
        return sorted(set(self.jobs) - set(self._everywhere()))

    def told_seams(self) -> list[Seam]:
        return [Seam(**each) for each in self.seams]


def _files(parts: Iterable[str]) -> set[str]:
    """The files of tapes that parts of the stage are of."""
    return {file_of(unit) for unit in map(unit_of, parts) if unit is not None}


def _recordings(parts: Iterable[str]) -> set[str]:
    return {file.partition("-")[0] for file in _files(parts)}
