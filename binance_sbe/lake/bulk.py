"""`convert`: tapes become an archive, unit by unit, on as many workers as there are.

What is done is noted beside it, a record a unit: so that a conversion that was interrupted, by
whatever, goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from typing import Any

from sbe_codegen.runtime.errors import MissingPackage, SbeError

from ..errors import LakeError
from ..output import shown
from .account import Account
from .ledgers import write_ledgers
from .manifest import FOLDER, Manifest, Record, archive_options, records, seams
from .options import TABLES, Format, Options
from .numbers import Numbers
from .plan import AnyTape, Plan, Unit, paths, planned
from .store import Store
from .tables import Levels
from .work import convert_unit

Progress = Callable[[int, int], None]
_GUARD = "a script that starts workers begins with: if __name__ == '__main__':"


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
        partition_by=partition_by, book_levels=book_levels, book_every=book_every,
    )  # fmt: skip
    part = _shard(shard)
    if part is not None and replace:
        raise LakeError("replace and shard contradict: each shard would remove what others made")
    found = paths(tapes)
    if format not in TABLES:
        raise LakeError(f"format {format!r} is not there yet")
    if tool:
        raise TypeError(f"convert takes no {next(iter(tool))!r} for {format}")
    store = Store(out)
    _open(store, options, replace)
    plan = planned(found)
    units = plan.units if part is None else plan.units[part[0] - 1 :: part[1]]
    known = {record.unit: record for record in records(store)}
    waiting = [u for u in units if not _is_done(known.get(u.name), u, options, store)]
    total = sum(unit.frames for unit in units)
    done = total - sum(unit.frames for unit in waiting)
    failures: dict[str, str] = {}
    for unit, error in _run(waiting, (store, options, plan.account), executor, len(found) > 1):
        if error is not None:
            failures[unit.name] = error
        done += unit.frames
        if progress is not None:
            progress(done, total)
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
        for record in records(store):
            for part in record.parts:
                store.remove(part.path)
        for name in store.names():
            if name.startswith((FOLDER, "kind=")):
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


def do_unit(unit: Unit, store: Store, options: Options, account: Account) -> str | None:
    """Converts a unit and notes that; what went wrong as a sentence."""
    try:
        convert_unit(unit, store, options, account).write(store)
    except MissingPackage:
        raise
    except (SbeError, OSError, MemoryError, ValueError, OverflowError) as error:
        return f"{unit.span.path}: {_sentence(error)}"
    return None


def _sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return shown(error) or type(error).__name__


_Given = tuple[Store, Options, Account]


def _run(
    units: Sequence[Unit], given: _Given, executor: Executor | None, is_many: bool
) -> Iterator[tuple[Unit, str | None]]:
    """Each unit, when it is done, and what went wrong with it."""
    if executor is not None:
        left = yield from _pooled(units, given, executor)
        for unit in left:
            yield unit, "the executor broke: its worker died"
        return
    # what is in memory is of this process only
    if not is_many or len(units) < 2 or given[0].url.startswith("memory:"):
        for unit in units:
            yield unit, do_unit(unit, *given)
        return
    count = min(os.cpu_count() or 1, len(units))
    with _pool(count) as pool:
        left = yield from _pooled(units, given, pool)
    for unit in left:  # one of them ended its worker: which, shows when each has its own
        with _pool(1) as pool:
            if (yield from _pooled([unit], given, pool)):
                yield unit, f"its worker process died ({_GUARD})"


def _pool(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def _pooled(
    units: Sequence[Unit], given: _Given, executor: Executor
) -> Iterator[tuple[Unit, str | None]]:
    """The same by an executor; returns the units that it broke on, or could not take."""
    waiting: dict[Future[str | None], Unit] = {}
    left: list[Unit] = []
    for unit in units:
        try:
            waiting[executor.submit(do_unit, unit, *given)] = unit
        except (BrokenExecutor, RuntimeError):
            left.append(unit)
    for future in as_completed(waiting):
        unit = waiting[future]
        try:
            yield unit, future.result()
        except BrokenExecutor:
            left.append(unit)
        except MissingPackage:
            for each in waiting:
                each.cancel()
            raise
        except Exception as error:  # of the executor itself, such as a lost worker of Dask
            yield unit, f"{unit.span.path}: {_sentence(error)}"
    return left


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
    others = write_ledgers(store, options, plan.ledger)
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

