"""`convert`: tapes become an archive, or the files of a tool."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any, Literal

from ..errors import LakeError
from .converting import Progress, Work, of_shard
from .kept import Kept
from .manifest import FOLDER, Manifest, archive_options, files_of
from .options import TABLES, TOOLS, Options
from .plan import AnyTape, paths, planned
from .store import Store
from .tools.jobs import convert_for_tool, make_files


def convert(
    tapes: AnyTape | Iterable[AnyTape],
    out: str | os.PathLike[str],
    format: Literal[  # noqa: A002 - as users say it
        "parquet", "arrow", "csv", "jsonl", "pcapng", "tardis", "hftbacktest", "nautilus"
    ] = "parquet",
    numbers: Literal["float64", "mantissa", "both", "decimal"] = "float64",
    executor: Executor | None = None,
    shard: str | tuple[int, int] | None = None,
    *,
    kinds: Iterable[str] | None = None,
    levels: Literal["flat", "nested"] = "flat",
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
    is_new = _checked(store, options, replace)
    plan = planned(found, None if is_new or replace else Kept.read(store))
    if replace:
        _remove(store)
    if is_new or replace:
        Manifest(store.url, options.as_json(), []).written(store, [u.name for u in plan.units])
    # of a shard only what is its own: others are at work
    mine = None if part is None else [f"part-{u.name}-" for u in of_shard(plan.units, part)]
    store.sweep(mine)
    work = Work(store, options, plan, part, executor, len(found) > 1, progress)
    if format in TOOLS:
        return convert_for_tool(work)
    made = work.convert()
    if "book" in options.kinds and format in TABLES:
        books = make_files(work, "book")
        made.failures |= books.failures
        made.others += books.made.files
        made.book_rows = books.made.rows
        made.missing += [name for name in books.staged.missing if name not in made.missing]
        left = plan.kept.left({record.unit for record in made.records})
        made.written(store, [*left, *books.not_done])
    return made


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


def _checked(store: Store, options: Options, replace: bool) -> bool:
    """Whether the archive is a new one. LakeError where something else is in its place."""
    known = archive_options(store)
    if known is None:
        there = store.names()
        known = archive_options(store) if there else None  # another shard may have begun it
        if there and known is None:
            raise LakeError(
                f"{store.url} has files and is no archive ({there[0]} and {len(there) - 1} more): "
                "choose an empty or a new directory"
            )
    if known is not None and not replace and known != options.as_json():
        differ = [name for name, value in options.as_json().items() if known.get(name) != value]
        raise LakeError(
            f"{store.url} has an archive that was made with other options "
            f"({', '.join(differ)}): choose another directory, or replace it (--replace)"
        )
    return known is None


def _remove(store: Store) -> None:
    """What was there of another archive."""
    for name in [*files_of(store), *store.names(FOLDER)]:
        store.remove(name)
