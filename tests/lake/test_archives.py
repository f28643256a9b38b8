"""What is in an archive beside its rows, and where it may be."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import market_tape
import pyarrow.parquet as pq
import pytest
from market_tape import NAMES, Market, market
from test_convert import KINDS, _small_units, expected, rows

from binance_sbe import LakeError, TapeError, lake
from binance_sbe.lake import plan, store
from binance_sbe.tape.rows import Kind

__all__ = ["_small_units"]  # a fixture


def test_the_seams_of_files_are_checked(tmp_path: Path) -> None:
    """Ids that are missing between two tapes, and in no account."""
    made = market(14, holes=0)
    middle = len(made.rows) // 2
    first, second = Market(rows=made.rows[:middle]), Market(rows=made.rows[middle + 60 :])
    out = tmp_path / "out"
    lake.convert(first.tape(tmp_path / "a"), out, kinds=KINDS)
    done = lake.convert(second.tape(tmp_path / "b"), out, kinds=KINDS)
    assert done.seams  # each tape for itself says nothing of what is between them
    assert not any(seam.is_overlap for seam in done.seams)
    assert "ids are missing between" in str(done.seams[0])


def test_holes_and_sessions_are_tables(tmp_path: Path) -> None:
    made = market(15, holes=8)
    tape = made.tape(tmp_path / "tape")
    lake.convert(tape, tmp_path / "out")
    holes = pq.read_table(tmp_path / "out/kind=hole").to_pylist()
    found: dict[str, set[int]] = {}
    for row in holes:
        assert row["cause"] == "it was cut"
        found.setdefault(row["stream"], set()).add(row["first_after"])
    assert found == made.missing
    (session,) = pq.read_table(tmp_path / "out/kind=session").to_pylist()
    assert session["frames"] == sum(kind == Kind.FRAME for _, _, kind, _ in made.rows)
    assert session["is_closed"]


def test_archives_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec = pytest.importorskip("fsspec")
    made = market(16)
    tape = made.tape(tmp_path / "tape")
    memory = fsspec.filesystem("memory")
    memory.put(str(tape), "/tapes/one", recursive=True)
    url = f"memory://archive-{time.monotonic_ns()}"
    done = lake.convert("memory://tapes/one", url, kinds=KINDS)
    assert done.is_whole
    assert lake.scan(url).collect().height == expected(made)
    here = lake.convert(f"file://{tape}", f"file://{tmp_path}/out", kinds=KINDS)
    assert here.is_whole
    assert len(rows(tmp_path / "out")) == expected(made)
    with pytest.raises(TapeError, match="memory://tapes/two: there is no such file or directory"):
        lake.convert("memory://tapes/two", url)


def test_work_is_pickled(tmp_path: Path) -> None:
    tape = market(17).tape(tmp_path / "tape")
    found = plan.planned([str(tape)])
    copied = pickle.loads(pickle.dumps(found.units))
    assert copied == found.units
    assert pickle.loads(pickle.dumps(store.Store(tmp_path))).url == str(tmp_path)


@pytest.mark.parametrize("kind", NAMES.values())
def test_scan_reads_what_is_there(kind: str, tmp_path: Path) -> None:
    made = market(18)
    out = tmp_path / "out"
    lake.convert(made.tape(tmp_path / "tape"), out)
    (event,) = (each for each, name in NAMES.items() if name == kind)
    count = len(market_tape.rows(made, event))
    assert lake.scan(out, kind).collect().height == count
    assert lake.scan(out, kind, engine="arrow").count_rows() == count
    with pytest.raises(LakeError, match="has nothing of kind 'book'; it has best_bid_ask, depth"):
        lake.scan(out, "book")
    with pytest.raises(LakeError, match="engine is 'polars' or 'arrow', not 'duck'"):
        lake.scan(out, kind, engine="duck")  # type: ignore[arg-type]
    with pytest.raises(LakeError, match="has no archive"):
        lake.scan(tmp_path / "none")
