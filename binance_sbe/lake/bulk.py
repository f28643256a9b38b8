"""`convert`: tapes become an archive, unit by unit, on as many workers as there are.

What is done is noted beside it, a record a unit: so that a conversion that was interrupted, by
whatever, goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from ..errors import LakeError
from .account import Account
from .ledgers import write_ledgers
from .manifest import FOLDER, Manifest, Record, archive_options, files_of, records, seams
from .numbers import Numbers
from .options import TABLES, TOOLS, Format, Options
from .plan import AnyTape, Plan, Unit, paths, planned
from .running import Task, run
from .store import Store
from .tables import Levels
from .work import convert_unit

Progress = Callable[[int, int], None]


def convert(
    tapes: AnyTape | Iterable[AnyTape],
    out: str | os.PathLike[str],
    format: Format = "parquet",  # noqa: A002 - as users say it
    numbers: Numbers = "float64",
    executor: Executor | None = None,
    shard: str | tuple[int, int] | None = None,
    *,
    kinds: Iterable[str] | None = None,
    levels: Levels = "flat",
    scale: int = 8,
    partition_by: str | None = None,
    book_levels: int = 10,
    book_every: int = 1_000_000,
    replace: bool = False,
    progress: Progress | None = None,
    **tool: Any,
) -> Manifest:
    """Converts tapes to an archive that other programs read, or goes on with one.

    ``tapes`` are recordings (directories or files, or URLs of fsspec), ``out`` a directory or URL.
    What is there already is left alone; with ``replace`` the archive begins anew. ``executor`` is
    any of `concurrent.futures`; without one, more than one tape is converted by a pool of
    processes. ``shard`` ("3/64": the third of 64) does only a part, as one job of many that write
    to the same ``out``. ``progress(done, total)`` is called with numbers of frames.

    ``numbers`` says how prices and quantities are written: "float64", correctly rounded;
    "mantissa", int64 with the exponents as columns; "both"; or "decimal", of 18 digits, ``scale``
    of them after the point. ``levels`` of depth20 and depth are a row each ("flat"), or lists
    ("nested"). ``kinds`` are some of `options.KINDS`; "book" is the ``book_levels`` best levels of
    the kept book every ``book_every`` microseconds (0: at every change). ``tool`` are options of a
    tool's format.

    Raises LakeError for what can't be, TapeError for what is no tape. What goes wrong in one unit
    of work is told by the manifest, whose ``is_whole`` is False then; run again, it is done.
    """
    options = Options.of(
        kinds, format=format, numbers=numbers, levels=levels, scale=scale,
        partition_by=partition_by, book_levels=book_levels, book_every=book_every, tool=tool,
    )  # fmt: skip
    part = _shard(shard)
    if part is not None and replace:
        raise LakeError("replace and shard contradict: each shard would remove what others made")
    found = paths(tapes)
    store = Store(out)
    _open(store, options, replace)
    plan = planned(found)
    work = Work(store, options, plan, part, executor, len(found) > 1, progress)
    if format in TOOLS:
        from .tools.jobs import convert_for_tool

        return convert_for_tool(work)
    made = work.convert()
    if "book" in options.kinds and format in TABLES:
        from .tools.jobs import make_files

        staged, notes, failures = make_files(work, "book")
        made.failures |= failures
        made.others += notes.files
        made.missing += [name for name in staged.missing if name not in made.missing]
        made.written(store)
    return made


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

    @property
    def may_fork(self) -> bool:
        """Whether a pool of processes may be made: what is in memory is of this process only."""
        return self.is_many and not self.store.url.startswith("memory:")

    def convert(self) -> Manifest:
        """Does the units that are not done, and accounts for all of them."""
        store, options, plan = self.store, self.options, self.plan
        units = plan.units
        if self.shard is not None:
            units = units[self.shard[0] - 1 :: self.shard[1]]
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
        return _finish(store, options, plan, [unit.name for unit in units], failures)


def _shard(given: str | tuple[int, int] | None) -> tuple[int, int] | None:
    """The number of a shard, from 1 on, and how many there are."""
    if given is None:
        return None
    numbers = given.split("/") if isinstance(given, str) else given
    try:
        number, count = map(int, numbers)
    except (ValueError, TypeError):
        raise LakeError(f"shard is such as '3/64', not {given!r}") from None
    if not 1 <= number <= count:
        raise LakeError(f"shard {number}/{count} is not one of 1/{count} to {count}/{count}")
    return number, count


def _open(store: Store, options: Options, replace: bool) -> None:
    """Begins an archive, or sees that the one that is there is of the same kind."""
    known = archive_options(store)
    if known is None:
        there = store.names()
        if there:
            raise LakeError(
                f"{store.url} has files and is no archive ({there[0]} and {len(there) - 1} more): "
                "choose an empty or a new directory"
            )
    elif replace:
        for name in [*files_of(store), *store.names(FOLDER)]:
            store.remove(name)
    elif known != options.as_json():
        differ = [name for name, value in options.as_json().items() if known.get(name) != value]
        raise LakeError(
            f"{store.url} has an archive that was made with other options "
            f"({', '.join(differ)}): choose another directory, or replace it (--replace)"
        )
    if known is None or replace:
        Manifest(store.url, options.as_json(), []).written(store)


def _is_done(record: Record | None, unit: Unit, options: Options, store: Store) -> bool:
    return (
        record is not None
        and record.is_of(unit, options)
        and not record.problems
        and all(store.size(part.path) is not None for part in record.parts)
    )


def do_unit(unit: Unit, store: Store, options: Options, account: Account) -> None:
    """Converts a unit and notes that, when its files are there."""
    convert_unit(unit, store, options, account).write(store)


def _finish(
    store: Store, options: Options, plan: Plan, mine: Sequence[str], failures: dict[str, str]
) -> Manifest:
    """The account of the whole archive; what records do not know is removed."""
    found = [record for record in records(store) if record.options == options.mark]
    known = {record.unit for record in found}
    kept = {part.path for record in found for part in record.parts}
    for name in store.names():
        stem = name.rpartition("/")[2].removeprefix("part-").rpartition("-")[0]
        if name.startswith("kind=") and stem in known and name not in kept:
            store.remove(name)  # of a unit that has been done again since
    has_tables = options.format in TABLES
    others = write_ledgers(store, options, plan.ledger) if has_tables else []
    return Manifest(
        store.url,
        options.as_json(),
        found,
        failures,
        [name for name in mine if name not in known and name not in failures],
        seams(found, plan.account.holes),
        others,
        [str(damage) for damage in plan.damage],
    ).written(store, [unit.name for unit in plan.units if unit.name not in known])
