"""Files for a tool: the tapes become an archive in Arrow beside them, and that the files.

The archive (``_stage-...``) is removed when all files are there. What was made of what is noted, so
that a conversion that was interrupted goes on, and one with more tapes makes only what has changed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..converting import Work
from ..manifest import FOLDER, Manifest, Part, Record
from ..options import Options
from ..running import Task, run
from ..store import Store
from . import book, hftbacktest, nautilus, tardis
from .market import Job, Made

STAGE = "_stage"
TOOLS: dict[str, Any] = {
    "book": book,
    "hftbacktest": hftbacktest,
    "nautilus": nautilus,
    "tardis": tardis,
}


def convert_for_tool(work: Work) -> Manifest:
    """Makes the files of a tool; those that are there, of the same units, stay."""
    staged, made, failures = make_files(work, work.options.format)
    found = Manifest(
        work.store.url,
        work.options.as_json(),
        staged.records,
        failures,
        staged.missing,
        staged.seams,
        made.files,
        staged.damage,
        made.remarks,
    )
    return found.written(work.store)


def make_files(work: Work, name: str) -> tuple[Manifest, Made, dict[str, str]]:
    """Stages the tapes, and makes the files that one of TOOLS makes of that.

    A shard makes the files of some symbols, by a hash of their names. Returns the manifest of the
    stage (of no records, where nothing was to be done), what came of all shards, and failures.
    """
    store, options, tool = work.store, work.options, TOOLS[name]
    mark = "" if work.shard is None else f"-{work.shard[0]}-{work.shard[1]}"
    notes = Notes(store, name, mark)
    stems = [unit.stem for unit in work.plan.units]
    if notes.is_done(stems):
        return Manifest(store.url, options.as_json(), []), notes.together(), {}
    folder = f"{STAGE}-{name}{mark}"
    stage = Store(store.place(folder) if store.is_local else f"{store.url.rstrip('/')}/{folder}")
    inner = Options(
        format="arrow", numbers="mantissa", levels="nested", kinds=tool.KINDS, compression=None
    )
    staged = replace(work, store=stage, options=inner, shard=None).convert()
    tasks = []
    for job in jobs(staged.records, tool.KINDS, work.shard, tool is not book):
        if not notes.has(job):
            arguments = name, stage, store, job, options
            tasks.append(Task(f"{job.symbol} {job.date}", 1, _do, arguments))
    failures = dict(staged.failures)
    for done, outcome in enumerate(run(tasks, work.executor, work.may_fork), 1):
        if outcome.problem is not None:
            failures[outcome.task.name] = outcome.problem
        else:
            notes.note(outcome.task.arguments[3], outcome.value)
        if work.progress is not None:
            work.progress(done, len(tasks))
    if staged.is_whole and not failures:
        notes.units = stems
    notes.write()
    if notes.units == stems:
        for file in stage.names():
            stage.remove(file)
        stage.remove_root()
    return staged, notes.together(), failures


def _do(name: str, stage: Store, store: Store, job: Job, options: Options) -> Made:
    """Makes the files of a job, in a worker."""
    made: Made = TOOLS[name].write(stage, store, job, options)
    return made


def jobs(
    records: Iterable[Record], kinds: Iterable[str], shard: tuple[int, int] | None, by_day: bool
) -> list[Job]:
    """A job for each symbol and day that has any of these kinds; or for each symbol."""
    wanted = set(kinds)
    found: dict[tuple[str, str], list[tuple[Part, ...]]] = {}
    for record in records:
        here: dict[tuple[str, str], list[Part]] = {}
        for part in record.parts:
            if part.kind in wanted:
                for symbol in part.symbols:
                    here.setdefault((symbol, part.date), []).append(part)
        for (symbol, date), parts in sorted(here.items()):
            key = symbol, date if by_day else "all days"
            found.setdefault(key, []).append(tuple(parts))
    return [
        Job(symbol, date, tuple(units))
        for (symbol, date), units in sorted(found.items())
        if shard is None or zlib.crc32(symbol.encode()) % shard[1] == shard[0] - 1
    ]


@dataclass(frozen=True)
class Note:
    """Of which parts of the stage a job was done, and what came of it."""

    parts: list[str]
    files: list[str]
    remarks: list[str]
    rows: int


class Notes:
    """What was made of each job, and of which units all of them.

    A shard has notes of its own.
    """

    def __init__(self, store: Store, tool: str, shard: str) -> None:
        self._store = store
        self._all = f"{FOLDER}/files-{tool}"
        self._name = f"{self._all}{shard}.json"
        self.units, self._jobs = self._read(self._name)

    def _read(self, name: str) -> tuple[list[str] | None, dict[str, Note]]:
        """What can't be understood is made again."""
        try:
            found = json.loads(self._store.read(name) or b"{}")
            return found["units"], {key: Note(**each) for key, each in found["jobs"].items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            return None, {}

    @staticmethod
    def _key(job: Job) -> str:
        return f"{job.symbol} {job.date}"

    def _are_there(self, note: Note) -> bool:
        return all(self._store.size(name) is not None for name in note.files)

    def is_done(self, units: list[str]) -> bool:
        """Whether all is there that these units give."""
        return self.units == units and all(map(self._are_there, self._jobs.values()))

    def has(self, job: Job) -> bool:
        known = self._jobs.get(self._key(job))
        return known is not None and known.parts == job.names and self._are_there(known)

    def note(self, job: Job, made: Made) -> None:
        """Files of the same job under other names are removed."""
        known = self._jobs.get(self._key(job))
        for name in set(known.files if known else ()) - set(made.files):
            self._store.remove(name)
        self._jobs[self._key(job)] = Note(job.names, made.files, made.remarks, made.rows)

    def together(self) -> Made:
        """What came of the jobs of all shards."""
        found: dict[str, Note] = {}
        for name in self._store.names(FOLDER):
            if name.startswith(self._all):
                found |= self._read(name)[1]
        found |= self._jobs
        return Made(
            sorted(name for each in found.values() for name in each.files),
            [remark for each in found.values() for remark in each.remarks],
            sum(each.rows for each in found.values()),
        )

    def write(self) -> None:
        told = {"units": self.units, "jobs": {k: asdict(v) for k, v in self._jobs.items()}}
        self._store.write(self._name, json.dumps(told).encode())
