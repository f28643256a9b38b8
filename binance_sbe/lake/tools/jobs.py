"""Files for a tool: the tapes become an archive in Arrow beside them, and that the files.

The archive (``_stage-...``) is removed when all files are there. What was made of what is noted, so
that a conversion that was interrupted goes on, and one with more tapes makes only what has changed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from ...errors import LakeError
from ..converting import Work
from ..manifest import Manifest, Part, Record
from ..options import Options
from ..running import Task, run
from ..store import Store
from . import book, hftbacktest, nautilus, tardis
from .market import Job, Made
from .notes import Notes

STAGE = "_stage"
_EVERY = 5.0  # seconds after which it is noted again what is done
_BEFORE = "\0"  # no symbol: the rows of those before the one of a job
TOOLS: dict[str, Any] = {
    "book": book,
    "hftbacktest": hftbacktest,
    "nautilus": nautilus,
    "tardis": tardis,
}


def convert_for_tool(work: Work) -> Manifest:
    """Makes the files of a tool; those that are there, of the same units, stay."""
    work.plan.kept.write(work.store)
    files = make_files(work, work.options.format)
    made, staged = files.made, files.staged
    left = work.plan.kept.left({record.unit for record in staged.records})
    found = Manifest(
        work.store.url,
        work.options.as_json(),
        staged.records,
        files.failures,
        staged.missing if work.shard else left,
        staged.seams,
        made.files,
        staged.damage,
        [*work.plan.remarks, *made.remarks],
    )
    return found.written(work.store, [*left, *files.not_done])


@dataclass(frozen=True)
class Files:
    """What `make_files` gives: the manifest of the stage, and what came of all shards together.

    ``failures`` are those of this call, ``not_done`` the jobs that no shard has done yet.
    """

    staged: Manifest
    made: Made
    failures: dict[str, str]
    not_done: list[str]


def make_files(work: Work, name: str) -> Files:
    """Stages the tapes, and makes the files that one of TOOLS makes of that.

    A shard makes the files of some symbols, by a hash of their names.
    """
    store, tool, units = work.store, TOOLS[name], work.plan.units
    mark = "" if work.shard is None else f"-{work.shard[0]}-{work.shard[1]}"
    notes = Notes(store, name, mark)
    wanted = [f"{unit.stem} {unit.mark} {unit.run_up_size}" for unit in units]
    known = {record.unit: record for record in notes.account([], ())}
    if notes.is_done(wanted) and all(unit.name in known for unit in units):
        every = jobs([known[unit.name] for unit in units], tool.KINDS, tool is not book)
        staged = Manifest(
            store.url, work.options.as_json(), list(known.values()),
            seams=notes.told_seams(), damage=work.plan.kept.damage,
        )  # fmt: skip
        return Files(staged, notes.together(), {}, _not_done(every, notes))
    folder = f"{STAGE}-{name}{mark}"
    stage = Store(store.place(folder) if store.is_local else f"{store.url.rstrip('/')}/{folder}")
    inner = Options(
        format="arrow", numbers="mantissa", levels="nested", kinds=tool.KINDS, compression=None
    )
    staged = replace(work, store=stage, options=inner, shard=None, is_stage=True).convert()
    every = jobs(staged.records, tool.KINDS, tool is not book)
    notes.units = None
    try:
        failures = staged.failures | _make(work, name, stage, every, notes)
        notes.seams = [vars(each) for each in staged.seams]
        if staged.is_whole and not failures:
            notes.units = wanted
            notes.keep(stage)
    finally:
        notes.write()  # what is done is known, whatever ended this
    staged.records = notes.account(staged.records, work.plan.files)
    if notes.units == wanted:
        for file in stage.names():
            stage.remove(file)
        stage.remove_root()
    return Files(staged, notes.together(), failures, _not_done(every, notes))


def _not_done(every: Iterable[Job], notes: Notes) -> list[str]:
    return [f"{job.symbol} {job.date}" for job in every if not notes.has(job)]


def _make(
    work: Work, name: str, stage: Store, every: Iterable[Job], notes: Notes
) -> dict[str, str]:
    """Does the jobs that are not done; by job, why one could not be done."""
    tasks = [
        Task(
            f"{job.symbol} {job.date}", 1, _do,
            (name, stage, work.store, job, work.options, notes.others(job)),
        )
        for job in every
        if work.shard is None or is_of_shard(job.symbol, work.shard)
        if not notes.has(job)
    ]  # fmt: skip
    failures = {}
    for done, outcome in enumerate(run(tasks, work.executor, work.may_fork), 1):
        if outcome.problem is not None:
            failures[outcome.task.name] = outcome.problem
        else:
            notes.note(outcome.task.arguments[3], outcome.value)
            notes.write(every=_EVERY)
        if work.progress is not None:
            work.progress(done, len(tasks))
    return failures


def _do(
    name: str, stage: Store, store: Store, job: Job, options: Options, others: frozenset[str]
) -> Made:
    """Makes the files of a job, in a worker; ``others`` are files that it must leave alone."""
    made: Made = TOOLS[name].write(stage, Guarded(store.url, others), job, options)
    return made if job.remark is None else replace(made, remarks=[*made.remarks, job.remark])


class Guarded(Store):
    """A store in which some files, of tapes that are not given, are not written over."""

    def __init__(self, url: str, others: frozenset[str]) -> None:
        super().__init__(url)
        self._others = others

    def check(self, name: str) -> None:
        if name in self._others:
            raise LakeError(
                f"{name} was made of other tapes, which are not given now: give all tapes of a "
                "symbol and day together, or another directory"
            )

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        self.check(name)
        with super().writing(name) as file:
            yield file

    def rename(self, name: str, other: str) -> None:
        self.check(other)
        super().rename(name, other)


def is_of_shard(symbol: str, shard: tuple[int, int]) -> bool:
    return zlib.crc32(symbol.encode()) % shard[1] == shard[0] - 1


def _source(record: Record) -> str:
    """A unit, by its mark, by what was wrong with it (mended it is another), and its run-up."""
    wrong = zlib.crc32("\n".join(record.problems).encode()) if record.problems else 0
    return f"{record.unit} {record.mark} {wrong:x} {record.run_up}"


def jobs(records: Iterable[Record], kinds: Iterable[str], by_day: bool) -> list[Job]:
    """A job for each symbol and day that has any of these kinds; or for each symbol."""
    wanted = set(kinds)
    found: dict[tuple[str, str], list[tuple[Part, ...]]] = {}
    sources: dict[tuple[str, str], list[str]] = {}
    for record in records:
        here: dict[tuple[str, str], list[Part]] = {}
        for part in record.parts:
            if part.kind in wanted:
                begin = 0
                for symbol, told in part.symbols.items():
                    mine = {_BEFORE: [begin, 0, 0, 0], symbol: told}
                    slim = replace(part, symbols=mine)  # which goes to a worker
                    here.setdefault((symbol, part.date), []).append(slim)
                    begin += told[0]
        for (symbol, date), parts in sorted(here.items()):
            key = symbol, date if by_day else "all days"
            found.setdefault(key, []).append(tuple(parts))
            sources.setdefault(key, []).append(_source(record))
    result = []
    has_book: set[str] = set()  # symbols of which there was a snapshot on an earlier day
    for (symbol, date), units in sorted(found.items()):
        kinds_of = {part.kind for unit in units for part in unit}
        remark = None
        if "snapshot" in kinds_of:
            has_book.add(symbol)
        elif "depth" in kinds_of and symbol in has_book:
            remark = (
                f"{symbol}, {date}: no snapshot of its book came on that day, so that its book is "
                "empty at first and never known to be right (kind=book of an archive goes on from "
                "day to day)"
            )
        result.append(Job(symbol, date, tuple(units), sources[symbol, date], remark))
    return result
