"""The kept book as rows, and frames as JSON and as packets."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from market_tape import market
from test_tools import SYMBOL, books_of, converted

from binance_sbe import decode, lake, to_json
from binance_sbe.lake import plan
from binance_sbe.simulator.encoder import encode
from binance_sbe.tape.rows import Kind

# the kept book


@pytest.mark.parametrize("every", [0, 50_000])
@pytest.mark.parametrize("frames", [60, 10**6])
def test_samples_are_those_of_a_book_kept_by_hand(
    every: int, frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "UNIT_FRAMES", frames)
    made = market(26, lines=2, holes=5)
    converted(made, tmp_path, "parquet", kinds=["book"], book_levels=3, book_every=every)
    frame = lake.scan(tmp_path / "out", "book").filter(pl.col("symbol") == SYMBOL).collect()
    found: dict[int, Any] = {}
    for row in frame.sort("event_time", "side", "position").to_dicts():
        key = row["book_update_id"] if row["flags"] == 0 else None
        sides = found.setdefault(key, {"bid": [], "ask": []})
        sides[row["side"]].append((round(row["price"] * 100), round(row["qty"] * 10**8)))
    found.pop(None, None)
    expected: dict[int, Any] = {}
    for last, bids, asks in books_of(made):
        best = sorted(bids.items(), reverse=True)[:3], sorted(asks.items())[:3]
        expected[last] = {"bid": best[0], "ask": best[1]}
    assert len(found) > 10
    for update_id, sides in found.items():
        assert sides == expected[update_id]
    if every:
        times = frame.filter(pl.col("flags") == 0)["event_time"].unique().sort().to_list()
        assert all(each.microsecond % every == 0 for each in times)
        assert len(times) == len(found)


# frames


def test_jsonl_is_what_the_exchange_would_have_sent(tmp_path: Path) -> None:
    made = market(27, lines=2, holes=0)
    done = converted(made, tmp_path, "jsonl")
    (name,) = done.files
    with gzip.open(tmp_path / "out" / name, "rt") as file:
        found = [json.loads(line) for line in file]
    expected = []
    for event, _, _ in sorted(made.came, key=lambda each: each[1]):
        texts = to_json(decode(encode(event))).splitlines()
        expected += [json.loads(text) for text in texts]
    assert [each["data"] for each in found] == expected
    assert found[0]["stream"].partition("@")[2] in ("trade", "bookTicker", "depth20", "depth")


def test_pcapng_has_every_frame_for_wireshark(tmp_path: Path) -> None:
    made = market(28, lines=2)
    made.rows.append((made.rows[-1][0], 2, int(Kind.FRAME), b"x" * 70_000))
    made.rows.append((made.rows[-1][0], 2, int(Kind.FRAME), b"y" * 200))
    done = converted(made, tmp_path, "pcapng")
    (name,) = done.files
    place = str(tmp_path / "out" / name)
    frames = [content for _, _, kind, content in made.rows if kind == Kind.FRAME]
    data = (tmp_path / "out" / name).read_bytes()
    assert all(content in data for content in frames if len(content) < 60_000)
    try:
        told = subprocess.run(
            ["tshark", "-r", place, "-Y", "websocket", "-T", "fields", "-e", "data.data",
             "-e", "frame.time_epoch"],
            capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("tshark is not installed: that Wireshark reads it was not tried")
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    found = [bytes.fromhex(each) for row in rows for each in row[0].split(",")]
    assert sorted(found) == sorted(frames)
