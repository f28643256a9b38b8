"""An archive is read with the real readers, and each finds the same."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import dask.dataframe
import duckdb
import market_tape
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from market_tape import NAMES, Market, market

from binance_sbe import LakeError, lake
from binance_sbe.lake import plan
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trades

KINDS = (Trades, BestBidAsk, Depth, Diff)
FORMS = ["float64", "mantissa", "both", "decimal"]


@pytest.fixture(scope="module")
def made() -> Market:
    return market(31, lines=2)


@pytest.fixture(scope="module")
def tape(made: Market, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.tape(tmp_path_factory.mktemp("tape"))


@pytest.fixture(scope="module", params=FORMS)
def archive(
    request: pytest.FixtureRequest, tape: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("archive") / request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "UNIT_FRAMES", 150)  # several parts
        assert lake.convert(tape, out, numbers=request.param).is_whole
    return out


def expected(made: Market, form: str, kind: Any = Trades) -> tuple[Counter[str], Any]:
    """Rows by symbol, and the sum of quantities of one of them."""
    rows = market_tape.rows(made, kind, form)
    counts = Counter(row["symbol"] for row in rows)
    name = "bid_qty" if kind is BestBidAsk else "qty"
    total = sum(Decimal(str(row[name] or 0)) for row in rows if row["symbol"] == "BTCUSDT")
    return counts, float(total)


def near(found: Any, total: float) -> bool:
    return abs(float(found) - total) <= 1e-9 * max(1.0, abs(total))


@pytest.mark.parametrize("kind", KINDS)
def test_duckdb(made: Market, archive: Path, kind: Any) -> None:
    counts, total = expected(made, archive.name, kind)
    files = f"'{archive}/kind={NAMES[kind]}/*/*.parquet'"
    found = duckdb.sql(f"SELECT symbol, count(*) FROM {files} GROUP BY symbol").fetchall()
    assert dict(found) == counts
    name = "bid_qty" if kind is BestBidAsk else "qty"
    query = (
        f"SELECT sum({name}::DOUBLE) FROM {files} WHERE symbol = 'BTCUSDT' AND date > '2020-01-01'"
    )
    ((found_total,),) = duckdb.sql(query).fetchall()
    assert near(found_total, total)


@pytest.mark.parametrize("kind", KINDS)
def test_polars(made: Market, archive: Path, kind: Any) -> None:
    counts, total = expected(made, archive.name, kind)
    frame = lake.scan(archive, NAMES[kind])
    found = frame.group_by(pl.col("symbol").cast(pl.String)).len().collect()
    assert dict(found.iter_rows()) == counts
    name = "bid_qty" if kind is BestBidAsk else "qty"
    chosen = frame.filter(pl.col("symbol") == "BTCUSDT").collect()
    assert near(chosen[name].cast(pl.Float64).sum(), total)
    assert chosen["event_time"].dtype == pl.Datetime("us", "UTC")


def test_pandas(made: Market, archive: Path) -> None:
    counts, total = expected(made, archive.name)
    frame = pd.read_parquet(archive / "kind=trade")
    assert frame["symbol"].astype(str).value_counts().to_dict() == counts
    assert near(frame.loc[frame["symbol"] == "BTCUSDT", "qty"].astype(float).sum(), total)


def test_pyarrow(made: Market, archive: Path) -> None:
    counts, total = expected(made, archive.name)
    dataset = ds.dataset(archive / "kind=trade", partitioning="hive")
    table = dataset.to_table(filter=ds.field("symbol") == "BTCUSDT")
    assert table.num_rows == counts["BTCUSDT"]
    assert near(sum(float(each) for each in table.column("qty").to_pylist()), total)


def test_dask(made: Market, archive: Path) -> None:
    counts, total = expected(made, archive.name)
    frame = dask.dataframe.read_parquet(archive / "kind=trade", columns=["symbol", "qty"])
    found = frame.compute(scheduler="synchronous")
    assert found["symbol"].astype(str).value_counts().to_dict() == counts
    assert near(found.loc[found["symbol"] == "BTCUSDT", "qty"].astype(float).sum(), total)


@pytest.mark.parametrize("kind", KINDS)
def test_dask_reads_tapes_too(
    made: Market, tape: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "UNIT_FRAMES", 150)
    frame = lake.dask(tape, NAMES[kind])
    assert frame.npartitions > 3
    found = frame.compute(scheduler="synchronous")
    counts, _ = expected(made, "float64", kind)
    assert found["symbol"].value_counts().to_dict() == counts
    assert [str(x) for x in frame.dtypes] == [str(x) for x in found.dtypes] or kind is not Trades
    with pytest.raises(LakeError, match="there is no kind 'hole' of events"):
        lake.dask(tape, "hole")


@pytest.mark.long
def test_a_dask_cluster_of_processes_converts(made: Market, tape: Path, tmp_path: Path) -> None:
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(plan, "UNIT_FRAMES", 100)
        done = lake.convert(tape, tmp_path / "out", executor=client.get_executor())
        assert done.is_whole, done.problems
        assert done.rows["trade"] == sum(expected(made, "float64")[0].values())
        tool = lake.convert(
            tape, tmp_path / "tool", format="tardis", executor=client.get_executor()
        )
        assert tool.is_whole
        assert len(tool.files) > 5


@pytest.mark.parametrize("form", ["arrow", "csv"])
def test_other_forms_have_the_same_rows(
    form: Any, made: Market, tape: Path, tmp_path: Path
) -> None:
    done = lake.convert(tape, tmp_path / "out", format=form)
    assert done.is_whole
    for kind in KINDS:
        table = lake.scan(tmp_path / "out", NAMES[kind], engine="arrow").to_table()
        counts, total = expected(made, "float64", kind)
        frame = table.to_pandas()
        assert frame["symbol"].astype(str).value_counts().to_dict() == counts
        name = "bid_qty" if kind is BestBidAsk else "qty"
        assert near(frame.loc[frame["symbol"] == "BTCUSDT", name].sum(), total)
