"""The rows of an archive, against the events that it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import market_tape
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import vectors
from market_tape import MS, NAMES, Market, market, table_rows, without

from binance_sbe import LakeError, lake
from binance_sbe.lake import plan
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trades

KINDS = (Trades, BestBidAsk, Depth, Diff)


def archive(made: Market, path: Path, **options: Any) -> Path:
    done = lake.convert(made.tape(path / "tape"), path / "out", **options)
    assert done.is_whole, done.problems
    assert done.seams == []
    return path / "out"


def read(out: Path, kind: str) -> Any:
    """All rows of a kind, part after part, with the flags."""
    files = sorted(out.glob(f"kind={kind}/*/*.parquet"))
    tables = [pq.ParquetFile(file).read() for file in files]
    return pa.concat_tables([each.unify_dictionaries() for each in tables])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", ["float64", "mantissa", "both", "decimal"])
def test_every_event_is_there_once_with_its_exact_numbers(
    seed: int, form: str, tmp_path: Path
) -> None:
    made = market(seed, lines=1 + seed % 3)
    out = archive(made, tmp_path, numbers=form)
    for kind in KINDS:
        found = without(table_rows(read(out, NAMES[kind])), "flags")
        assert found == market_tape.rows(made, kind, form)


@pytest.mark.parametrize("form", ["float64", "mantissa", "both", "decimal"])
def test_levels_may_be_lists(form: str, tmp_path: Path) -> None:
    made = market(5, lines=2)
    out = archive(made, tmp_path, numbers=form, levels="nested")
    for kind in (Depth, Diff):
        found = without(table_rows(read(out, NAMES[kind])), "flags")
        assert found == market_tape.rows(made, kind, form, nested=True)


@pytest.mark.parametrize("seed", range(6))
def test_flags_say_where_ids_are_missing_and_books_not_known(seed: int, tmp_path: Path) -> None:
    made = market(seed, lines=2, holes=12, snapshots=seed != 3)
    out = archive(made, tmp_path, levels="nested")
    for kind in (BestBidAsk, Depth, Diff):
        found = [row["flags"] for row in table_rows(read(out, NAMES[kind]))]
        assert found == market_tape.flags(made, kind), kind
    trades = table_rows(read(out, "trade"))
    firsts = {market_tape.ids(event)[0] for event, _, _ in made.of(Trades)}
    events = [(row["symbol"], row["flags"]) for row in trades if row["id"] in firsts]
    assert [flag for _, flag in events] == market_tape.flags(made, Trades)
    assert sum(row["flags"] for row in trades) == sum(flag for _, flag in events)


@pytest.mark.parametrize("frames", [37, 100, 333])
def test_units_of_any_size_give_the_same_rows(
    frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order is by unit, and within it by symbol."""
    made = market(7, lines=2, holes=9)
    whole = archive(made, tmp_path / "whole")
    monkeypatch.setattr(plan, "UNIT_FRAMES", frames)
    parts = archive(made, tmp_path / "parts")
    for kind in NAMES.values():
        assert len(list(parts.glob(f"kind={kind}/*/*"))) > 2
        rows = [table_rows(read(out, kind)) for out in (whole, parts)]
        names = ("symbol", "event_time", "id", "book_update_id", "last_book_update_id")
        first, second = (
            sorted(each, key=lambda row: tuple(str(row.get(name)) for name in names))
            for each in rows
        )
        assert first == second


def test_days_are_those_of_the_event(tmp_path: Path) -> None:
    midnight = (1_800_000_000 // 86_400 + 1) * 86_400 * 10**9
    made = market(8, start=midnight - 2000 * MS, events=200)
    out = archive(made, tmp_path)
    for kind in KINDS:
        days = {each[0].event_time // 86_400_000_000 for each in made.of(kind)}
        assert len(days) == 2
        folders = sorted(each.name for each in (out / f"kind={NAMES[kind]}").iterdir())
        assert folders == ["date=2027-01-15", "date=2027-01-16"]
        found = without(table_rows(read(out, NAMES[kind])), "flags")
        expected = market_tape.rows(made, kind)
        expected.sort(key=lambda row: row["event_time"] // 86_400_000_000)
        assert found == expected


def test_row_groups_are_large_and_have_what_readers_skip_by(tmp_path: Path) -> None:
    made = market(9, events=300)
    out = archive(made, tmp_path, kinds=["depth"])
    (file,) = out.glob("kind=depth/*/*.parquet")
    metadata = pq.ParquetFile(file).metadata
    assert metadata.num_row_groups == 1
    column = metadata.row_group(0).column(0)
    assert column.path_in_schema == "symbol"
    assert column.compression == "ZSTD"
    assert (column.statistics.min, column.statistics.max) == ("BTCUSDT", "币安USDT")
    assert column.has_column_index
    assert column.has_offset_index
    assert pq.read_schema(file).metadata[b"price_exponent"] == b"-2"


def test_a_symbol_may_be_any_bytes(tmp_path: Path) -> None:
    made = Market()
    quote = BestBidAsk("AAAUSDT", -2, -8, 1_800_000_000_000_000, 5, (1, 2), (3, 4))
    frames = [encode(quote), encode(quote).replace(b"AAAUSDT", b"\xff/\xfe%=..")]
    made.rows = [(1_800_000_000 * 10**9 + i, 1, 0, frame) for i, frame in enumerate(frames)]
    out = archive(made, tmp_path / "plain", kinds=["best_bid_ask"])
    found = [row["symbol"] for row in table_rows(read(out, "best_bid_ask"))]
    assert found == ["AAAUSDT", "\\xff/\\xfe%=.."]
    out = archive(made, tmp_path / "parted", kinds=["best_bid_ask"], partition_by="symbol")
    files = [file.relative_to(out) for file in out.rglob("kind=best*/**/*.parquet")]
    assert sorted(file.parts[2] for file in files) == [
        "symbol=%5Cxff%2F%5Cxfe%25%3D..", "symbol=AAAUSDT",
    ]  # fmt: skip


def test_a_decimal_loses_no_digit(tmp_path: Path) -> None:
    made = market(3)
    tape = made.tape(tmp_path / "tape")
    done = lake.convert(tape, tmp_path / "a", numbers="decimal", scale=4)
    assert not done.is_whole
    (problem,) = done.problems
    assert "is no decimal of 18 digits, 4 of them after the point" in problem
    kinds = {file.parent.parent.name for file in (tmp_path / "a").glob("**/*.parquet")}
    assert kinds == {"kind=session", "kind=hole"}  # nothing half-written
    assert lake.convert(tape, tmp_path / "b", numbers="decimal", scale=8).is_whole


def test_frames_of_newer_versions_have_rows_and_what_is_no_message_is_counted(
    tmp_path: Path,
) -> None:
    at = 1_800_000_000 * 10**9
    frames = [vectors.DEPTH_SNAPSHOT, vectors.NEWER_SNAPSHOT, b"x" * 9, vectors.TRADES[:-3]]
    made = Market(rows=[(at + i, 1, 0, frame) for i, frame in enumerate(frames)])
    done = lake.convert(made.tape(tmp_path / "tape"), tmp_path / "out", levels="nested")
    assert (done.is_whole, done.frames, done.rejected, done.duplicates) == (True, 4, 2, 1)
    (row,) = table_rows(read(tmp_path / "out", "depth20"))
    assert (row["symbol"], row["book_update_id"]) == ("BTCUSDT", 160)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "xml"}, "format is one of parquet, arrow, csv"),
        ({"numbers": "text"}, "numbers is one of float64, mantissa, both, decimal, not 'text'"),
        ({"levels": "deep"}, "levels is one of flat, nested"),
        ({"kinds": ["trades"]}, "there is no kind 'trades'; kinds are trade, best_bid_ask"),
        ({"kinds": []}, "kinds is empty"),
        ({"scale": 19}, "scale is from 0 to 18, not 19"),
        ({"partition_by": "date"}, "partition_by is 'symbol' or None, not 'date'"),
        ({"format": "csv", "levels": "nested"}, "csv has no lists"),
        ({"format": "tardis", "numbers": "both"}, "tardis says how it has them"),
        ({"format": "hftbacktest", "partition_by": "symbol"}, "partition_by is for parquet"),
        ({"format": "nautilus", "levels": "nested"}, "not for nautilus"),
        ({"shard": "5/4"}, "shard 5/4 is not one of 1/4 to 4/4"),
        ({"shard": "a"}, "shard is such as '3/64', not 'a'"),
        ({"shard": "1/2", "replace": True}, "replace and shard contradict"),
        ({"book_levels": 0}, "book_levels is from 1 to 5000, not 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(LakeError) as caught:
        lake.convert(tmp_path, tmp_path / "out", **options)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_options_of_another_format_are_no_options(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'precisions' is no option of parquet"):
        lake.convert(tmp_path, tmp_path / "out", precisions={})
    with pytest.raises(TypeError, match="kinds are given one by one"):
        lake.convert(tmp_path, tmp_path / "out", kinds="trade")
