"""The units of tapes become the files of an archive, on as many workers as there are.

What is done is noted beside the files, a record a unit: so that a conversion that was interrupted,
by whatever, goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from .account import Account
from .ledgers import write_ledgers
from .manifest import FOLDER, Manifest, Record, records, seams, unit_of
from .options import TABLES, Options
from .parts import pyarrow
from .plan import Plan, Unit, file_of
from .running import Task, run
from .store import Store
from .work import convert_unit

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Work:
    """All that one call of `convert` needs."""

    store: Store
    options: Options
    plan: Plan
    shard: tuple[int, int] | None
    executor: Executor | None
    is_many: bool
    progress: Progress | None
    is_stage: bool = False  # for a tool, and not for users

    @property
    def may_fork(self) -> bool:
        """Whether a pool of processes may be made: what is in memory is of this process only."""
        return self.is_many and not self.store.url.startswith("memory:")

    def convert(self) -> Manifest:
        """Does the units that are not done, and accounts for all of them."""
        store, options, plan = self.store, self.options, self.plan
        plan.kept.write(store)  # what is to be done is known, whatever ends this
        units = plan.units if self.shard is None else of_shard(plan.units, self.shard)
        known = {record.unit: record for record in records(store)}
        waiting = [u for u in units if not _is_done(known.get(u.name), u, options, store)]
        total = sum(unit.frames for unit in units)
        done = total - sum(unit.frames for unit in waiting)
        tasks = [
            Task(unit.span.path, unit.frames, do_unit, (unit, store, options, plan.account))
            for unit in waiting
        ]
        failures: dict[str, str] = {}
        for outcome in run(tasks, self.executor, self.may_fork):
            if outcome.problem is not None:
                failures[outcome.task.arguments[0].name] = outcome.problem
            done += outcome.task.weight
            if self.progress is not None:
                self.progress(done, total)
        # of tapes that were given before some may be left, too
        is_all = self.shard is None and not self.is_stage
        mine = plan.kept.units if is_all else [unit.name for unit in units]
        return _finish(store, options, plan, mine, failures)


def of_shard(units: Sequence[Unit], shard: tuple[int, int]) -> Sequence[Unit]:
    return units[shard[0] - 1 :: shard[1]]


def _is_done(record: Record | None, unit: Unit, options: Options, store: Store) -> bool:
    return (
        record is not None
        and record.is_of(unit, options)
        and not record.problems
        and all(store.size(part.path) is not None for part in record.parts)
    )


def do_unit(unit: Unit, store: Store, options: Options, account: Account) -> None:
    """Converts a unit and notes that, when its files are there."""
    with one_thread():
        convert_unit(unit, store, options, account).write(store)


_ONE = threading.Lock()
_inside: list[int] = []  # how many threads Arrow had, for each that asks for one


@contextmanager
def one_thread() -> Iterator[None]:
    """Arrow works in this thread meanwhile: handing small batches to others costs more.

    Units are what is done side by side, also by threads of one process.
    """
    pa = pyarrow()
    with _ONE:
        _inside.append(_inside[0] if _inside else pa.cpu_count())
        pa.set_cpu_count(1)
    try:
        yield
    finally:
        with _ONE:
            before = _inside.pop()
            if not _inside:
                pa.set_cpu_count(before)


def _finish(
    store: Store, options: Options, plan: Plan, mine: Sequence[str], failures: dict[str, str]
) -> Manifest:
    """The account of the whole archive; what no record knows, and should, is removed."""
    names = store.names()  # before records are read: what others add meanwhile is not looked at
    now = {unit.name for unit in plan.units}
    found = []
    for record in records(store):
        if file_of(record.unit) in plan.files and record.unit not in now:
            store.remove(record.place_in(FOLDER))  # the file has other batches now
        elif record.options == options.mark:
            found.append(record)
    known = {record.unit for record in found}
    kept = {part.path for record in found for part in record.parts}
    for name in names:
        unit = unit_of(name)
        if unit is None or name in kept or not name.startswith("kind="):
            continue
        is_gone = file_of(unit) in plan.files and unit not in now
        if is_gone or (unit in known and unit in mine):  # done again since
            store.remove(name)
    others = write_ledgers(store, options, plan.kept) if options.format in TABLES else []
    return Manifest(
        store.url,
        options.as_json(),
        found,
        failures,
        [name for name in mine if name not in known and name not in failures],
        seams(found, plan.account.holes),
        others,
        plan.kept.damage,
        list(plan.remarks),
    ).written(store, plan.kept.left(known))
