"""An archive, and tapes, as lazy tables: polars, Arrow datasets, Dask."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal

from sbe_codegen.extras import imported

from ..errors import LakeError
from ..venue.streams import KINDS
from . import ledgers, snapshots
from .account import Account, flags_of
from .events import ordered
from .manifest import archive_options, known_files
from .numbers import Form
from .options import Options
from .parts import plain_text, pyarrow
from .plan import AnyTape, Unit, paths, planned
from .source import read
from .store import Store
from .tables import NAMES, Layout
from .tools import book


def scan(
    out: str | os.PathLike[str],
    kind: str = "trade",
    engine: Literal["polars", "arrow"] = "polars",
) -> Any:
    """All rows of one kind of an archive, read when they are asked for.

    A LazyFrame of polars, or with ``engine="arrow"`` a dataset of pyarrow; both have the column
    ``date`` of the paths. The archive's format is parquet, or (engine "arrow" only) arrow or csv.
    Raises LakeError where there is no archive, or none of that kind.
    """
    store = Store(out)
    given = archive_options(store)
    if given is None:
        raise LakeError(f"{store.url} has no archive: convert makes one")
    form = given["format"]
    all_names = known_files(store)
    names = [name for name in all_names if name.startswith(f"kind={kind}/")]
    if not names:
        known = sorted({name.split("/")[0].partition("=")[2] for name in all_names})
        there = ", ".join(known) or "no rows"
        raise LakeError(f"{store.url} has nothing of kind {kind!r}; it has {there}")
    places = [store.place(name) for name in names]
    if engine == "polars":
        if form != "parquet":
            raise LakeError(
                f"polars reads the format parquet here, not {form}: engine='arrow' does"
            )
        pl = imported("polars", "lake.scan", "polars")
        # polars has file systems of its own, and not all of fsspec's; and for it each name=value of
        # a path is a column, also where the archive itself lies in such a directory
        if not store.is_local or "=" in os.path.realpath(store.root) or "=" in store.root:
            return pl.scan_pyarrow_dataset(scan(out, kind, "arrow"))
        return pl.scan_parquet(
            places, glob=False, hive_partitioning=True, try_parse_hive_dates=True
        )
    if engine != "arrow":
        raise LakeError(f"engine is 'polars' or 'arrow', not {engine!r}")
    if form not in ("parquet", "arrow", "csv"):
        raise LakeError(f"an archive of {form} has no tables to scan")
    pa = pyarrow()
    dataset = imported("pyarrow.dataset", "lake.scan", "lake")
    parts = [pa.field("kind", pa.string()), pa.field("date", pa.date32())]
    schema = None
    if form == "csv":  # whose types nothing in the files says
        options = Options(**{**given, "kinds": tuple(given["kinds"])})
        plain = [plain_text(pa, each) for each in _schema(pa, kind, options)]
        schema = pa.schema([*plain, *parts])
    return dataset.dataset(
        places,
        schema,
        format="feather" if form == "arrow" else form,
        partitioning=dataset.partitioning(pa.schema(parts), flavor="hive"),
        partition_base_dir=store.root,
        filesystem=store.filesystem,
    )


def _schema(pa: Any, kind: str, options: Options) -> Any:
    """The columns of a kind, as its files have them."""
    form = Form(pa, options.numbers, options.scale)
    if kind in ledgers.KINDS:
        return ledgers.schema(pa, kind)
    if kind == "snapshot":
        return snapshots.schema(pa, form)
    if kind == "book":
        return book.schema(pa, form, options.levels == "flat")
    return Layout(pa, _kind_of(kind), form, options.levels).schema


def dask(
    tapes: AnyTape | Iterable[AnyTape],
    kind: str = "trade",
    *,
    numbers: Literal["float64", "mantissa", "both", "decimal"] = "float64",
    scale: int = 8,
    levels: Literal["flat", "nested"] = "flat",
) -> Any:
    """A Dask DataFrame straight from tapes, a partition for each unit of work.

    Columns are those of the archive. Needs the extra ``dask``; the workers need the files.
    """
    frames = imported("dask.dataframe", "lake.dask", "dask")
    _kind_of(kind)
    plan = planned(paths(tapes))
    if plan.kept.damage:
        raise LakeError(f"a tape is damaged: {'; '.join(plan.kept.damage)}")
    form = Form(pyarrow(), numbers, scale)
    empty = Layout(pyarrow(), _kind_of(kind), form, levels).schema.empty_table()
    # categories that are not known yet differ from partition to partition: symbols are text
    meta = _pandas(empty)
    units = list(plan.units)
    if not units:
        return frames.from_pandas(meta, npartitions=1)
    return frames.from_map(
        partition, units, meta=meta, account=plan.account, kind=kind, numbers=numbers,
        scale=scale, levels=levels,
    )  # fmt: skip


def partition(
    unit: Unit, account: Account, kind: str, numbers: str, scale: int, levels: str
) -> Any:
    """The rows of one unit as a DataFrame of pandas."""
    return _pandas(table_of(unit, account, kind, numbers, scale, levels))


def table_of(unit: Unit, account: Account, kind: str, numbers: str, scale: int, levels: str) -> Any:
    """The rows of one kind of a unit as one Arrow table. TapeError where it is damaged."""
    pa = pyarrow()
    name = _kind_of(kind)
    layout = Layout(pa, name, Form(pa, numbers, scale), levels)
    source = read(unit)
    if source.problems:
        raise LakeError("; ".join(source.problems))
    table = source.batch[KINDS[name].message]
    events = ordered(table, source.fresh)
    if not len(events):
        return layout.schema.empty_table()
    flags = flags_of(events, account.until(unit.received[1]))
    pieces = list(layout.pieces(events, flags, source.arrivals, 1 << 40))
    return pa.concat_tables(pieces)


def _pandas(table: Any) -> Any:
    pa = pyarrow()
    plain = pa.schema(
        [
            f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f
            for f in table.schema
        ]
    )
    return table.cast(plain).to_pandas()


def _kind_of(kind: str) -> str:
    """The name of the stream of a kind of rows."""
    for name, known in NAMES.items():
        if kind in (known, name):
            return name
    raise LakeError(f"there is no kind {kind!r} of events; there are {', '.join(NAMES.values())}")
