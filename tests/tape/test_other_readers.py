"""Whatever reads Arrow opens a tape: whole, cut off, compressed or not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from taped import START, files, tape_of, trades
from tool_environments import node_with

COMPRESSIONS = pytest.mark.parametrize("compression", ["zstd", "lz4", None])


@COMPRESSIONS
def test_polars_opens_it(tmp_path: Path, compression: str | None) -> None:
    file = tape_of(tmp_path, trades(5000), compression=compression)
    frame = pl.read_ipc(file)
    assert frame.columns == ["received_ns", "connection", "kind", "frame"]
    messages = frame.filter(pl.col("kind") == 0)
    assert messages["frame"].to_list() == trades(5000)
    assert messages["received_ns"][4999] == START + 4999 * 10**6


@COMPRESSIONS
def test_a_dataset_of_pyarrow_opens_the_directory(tmp_path: Path, compression: str | None) -> None:
    tape_of(tmp_path, trades(3000), compression=compression)
    found = ds.dataset([str(file) for file in files(tmp_path)], format="arrow")
    table = found.to_table(filter=ds.field("kind") == 0)
    assert table["frame"].to_pylist() == trades(3000)


@COMPRESSIONS
def test_duckdb_counts_it(tmp_path: Path, compression: str | None) -> None:
    file = tape_of(tmp_path, trades(3000), compression=compression)
    tape = ds.dataset(str(file), format="arrow")  # which DuckDB reads as a table
    assert tape is not None
    sql = "select kind, count(*), min(octet_length(frame)) from tape group by kind order by kind"
    assert duckdb.sql(sql).fetchall()[0] == (0, 3000, len(trades(1)[0]))


@pytest.mark.long
@pytest.mark.parametrize("compression", ["zstd", None])
def test_the_reader_for_javascript_opens_it(tmp_path: Path, compression: str | None) -> None:
    file = tape_of(tmp_path, trades(3000), compression=compression)
    node, environment = node_with("arrow-js", "apache-arrow@21", "fzstd@0.1")
    done = subprocess.run(
        [node, str(Path(__file__).with_name("rows.cjs")), str(file)],
        env=environment, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    with pa.ipc.open_file(file) as reader:
        expected = reader.read_all().to_pydict()
    names = ("received_ns", "connection", "kind", "frame")
    rows = list(zip(*(expected[name] for name in names), strict=True))
    assert found["version"] == "1"
    assert found["rows"] == [
        [str(at), connection, kind, frame.hex()] for at, connection, kind, frame in rows
    ]


def test_a_cut_file_is_a_stream(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(5000), batch_rows=1000)
    data = file.read_bytes()
    cut = data[: len(data) * 3 // 4]
    with pa.ipc.open_stream(pa.BufferReader(cut[8:])) as reader:
        rows = [next(reader).num_rows for _ in range(3)]
    assert rows == [1000, 1000, 1000]
