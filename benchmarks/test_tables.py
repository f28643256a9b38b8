"""Many messages into record arrays, beside the floor: copying the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from data import best_bid_ask_frames, depth20_frames

import binance_sbe

COUNT = 100_000
ONE = best_bid_ask_frames(COUNT)
MANY = best_bid_ask_frames(COUNT, symbols=400)
DEPTH = depth20_frames(20_000)


def run_of(frames: list[bytes]) -> tuple[bytes, Any]:
    return b"".join(frames), np.cumsum([0, *map(len, frames)], dtype=np.int64)


ONE_RUN = run_of(ONE)


def gather(frames: list[bytes]) -> bytes:
    """memcpy of each frame to where it belongs: what bytes.join does in C."""
    return b"".join(frames)


def collect(frames: list[bytes]) -> Any:
    collector = binance_sbe.Collector()
    append = collector.append
    for frame in frames:
        append(frame)
    return collector.take()


def test_tables_hold_what_the_messages_hold() -> None:
    batch = binance_sbe.decode_many(ONE)
    table = batch[binance_sbe.BestBidAskStreamEvent]
    for i in range(0, COUNT, 997):
        assert table.records[i].tolist()[1:-1] == binance_sbe.decode(ONE[i]).astuple()[:-1]
    for other in (binance_sbe.decode_many(ONE_RUN), collect(ONE)):
        records = other[binance_sbe.BestBidAskStreamEvent].records
        for name in table.records.dtype.names:
            assert (records[name] == table.records[name]).all()
    assert len(binance_sbe.decode_many(MANY)[binance_sbe.BestBidAskStreamEvent].symbols) == 400


@pytest.mark.benchmark(group="bestBidAsk: 100,000 frames to a record array")
@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(binance_sbe.decode_many, ONE, id="binance_sbe decode_many, list, one symbol"),
        pytest.param(
            binance_sbe.decode_many, MANY, id="binance_sbe decode_many, list, 400 symbols"
        ),
        pytest.param(
            binance_sbe.decode_many, ONE_RUN, id="binance_sbe decode_many, buffer + offsets"
        ),
        pytest.param(collect, ONE, id="binance_sbe Collector.append, frame by frame"),
        pytest.param(gather, ONE, id="gathering memcpy of the same frames"),
    ],
)
def test_best_bid_ask_table(benchmark: Any, way: Any, data: Any) -> None:
    benchmark.extra_info["per"] = COUNT
    benchmark(way, data)


@pytest.mark.benchmark(group="depth20: 20,000 frames to record arrays")
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(binance_sbe.decode_many, id="binance_sbe decode_many, list"),
        pytest.param(gather, id="gathering memcpy of the same frames"),
    ],
)
def test_depth_table(benchmark: Any, way: Any) -> None:
    benchmark.extra_info["per"] = len(DEPTH)
    benchmark(way, DEPTH)
