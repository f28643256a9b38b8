"""Many messages into record arrays and columns, beside the floor: copying the same bytes."""

from __future__ import annotations

import threading
from typing import Any

import batch_data
import numpy as np
import pytest
from memcpy_loops import Floor

import binance_sbe

COUNT = 100_000
OFTEN = 10  # calls of each thread


ONE = batch_data.best_bid_asks(COUNT)
MANY = batch_data.best_bid_asks(COUNT, symbols=400)
TRADES = batch_data.trades(COUNT)
DEPTH = batch_data.depth20s(20_000)
DIFF = batch_data.diffs(2_000)

run_of = batch_data.run_of
ONE_RUN, MANY_RUN, DEPTH_RUN, DIFF_RUN = run_of(ONE), run_of(MANY), run_of(DEPTH), run_of(DIFF)
QUOTE = binance_sbe.BestBidAskStreamEvent
FLOORS = {id(each): Floor(sum(map(len, each))) for each in (ONE, MANY, TRADES, DEPTH, DIFF)}


def floor(frames: list[bytes]) -> object:
    """memcpy of each frame, into memory that was written before."""
    return FLOORS[id(frames)].copy_list(frames)


COLLECTOR = binance_sbe.Collector()


def collect(frames: list[bytes]) -> Any:
    append = COLLECTOR.append
    for frame in frames:
        append(frame)
    return COLLECTOR.take()


def empty_call(frame: bytes) -> None:
    pass


def call(frames: list[bytes]) -> None:
    for frame in frames:
        empty_call(frame)


def columns(batch: Any) -> Any:
    return batch.columns(QUOTE)


def raw_columns(batch: Any) -> Any:
    return batch.columns(QUOTE, decimals="raw")


def by_numpy(batch: Any) -> Any:
    """The same columns, one by one."""
    records = batch[QUOTE].records
    result = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names}
    for side in ("bid", "ask"):
        for what in ("price", "qty"):
            name, power = f"{side}_{what}", records[f"{what}_exponent"]
            result[name] = binance_sbe.to_float(records[name], power)
    return result


def decode_often(half: tuple[bytes, Any]) -> None:
    """What a thread that lives on does: its memory is its own after the first time."""
    for _ in range(OFTEN):
        binance_sbe.decode_many(half)


def two_threads(halves: list[tuple[bytes, Any]]) -> None:
    threads = [threading.Thread(target=decode_often, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_thread(halves: list[tuple[bytes, Any]]) -> None:
    for half in halves:
        decode_often(half)


def test_tables_hold_what_the_messages_hold() -> None:
    batch = binance_sbe.decode_many(ONE)
    table = batch[QUOTE]
    for i in range(0, COUNT, 97):
        message: Any = binance_sbe.decode(ONE[i])
        assert table.records[i].tolist()[1:-1] == message.astuple()[:-1]
    records = collect(ONE)[QUOTE].records
    for name in table.records.dtype.names:
        assert (records[name] == table.records[name]).all()
    assert len(binance_sbe.decode_many(MANY)[QUOTE].symbols) == 400
    for frames in (ONE, MANY, TRADES, DEPTH, DIFF):
        batch_data.prove_all(frames)
        assert floor(frames) == sum(map(len, frames))
    made, expected = columns(batch), by_numpy(batch)
    for name, column in expected.items():
        assert (made[name] == column).all()


@pytest.mark.benchmark(group="bestBidAsk: 100,000 frames to a record array")
@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(floor, ONE, id="memcpy of the same frames, in C"),
        pytest.param(binance_sbe.decode_many, ONE, id="binance_sbe decode_many, list, one symbol"),
        pytest.param(
            binance_sbe.decode_many, MANY, id="binance_sbe decode_many, list, 400 symbols"
        ),
        pytest.param(
            binance_sbe.decode_many, ONE_RUN, id="binance_sbe decode_many, buffer + offsets"
        ),
        pytest.param(
            binance_sbe.decode_many, MANY_RUN, id="binance_sbe decode_many, buffer, 400 symbols"
        ),
        pytest.param(call, ONE, id="an empty Python call for each"),
        pytest.param(collect, ONE, id="binance_sbe Collector.append, frame by frame"),
    ],
)
def test_best_bid_ask_table(benchmark: Any, way: Any, data: Any) -> None:
    benchmark.extra_info["per"] = COUNT
    benchmark(way, data)


@pytest.mark.benchmark(group="depth20: 20,000 frames to record arrays")
@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(floor, DEPTH, id="memcpy of the same frames, in C"),
        pytest.param(binance_sbe.decode_many, DEPTH, id="binance_sbe decode_many, list"),
        pytest.param(binance_sbe.decode_many, DEPTH_RUN, id="binance_sbe decode_many, buffer"),
    ],
)
def test_depth_table(benchmark: Any, way: Any, data: Any) -> None:
    benchmark.extra_info["per"] = len(DEPTH)
    benchmark(way, data)


@pytest.mark.benchmark(group="diffs of 200 + 200 levels: 2,000 frames to record arrays")
@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(floor, DIFF, id="memcpy of the same frames, in C"),
        pytest.param(binance_sbe.decode_many, DIFF, id="binance_sbe decode_many, list"),
        pytest.param(binance_sbe.decode_many, DIFF_RUN, id="binance_sbe decode_many, buffer"),
    ],
)
def test_diff_table(benchmark: Any, way: Any, data: Any) -> None:
    benchmark.extra_info["per"] = len(DIFF)
    benchmark(way, data)


@pytest.mark.benchmark(group="trades: 100,000 events of one trade to record arrays")
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(floor, id="memcpy of the same frames, in C"),
        pytest.param(binance_sbe.decode_many, id="binance_sbe decode_many, list"),
    ],
)
def test_trade_table(benchmark: Any, way: Any) -> None:
    benchmark.extra_info["per"] = COUNT
    benchmark(way, TRADES)


@pytest.mark.benchmark(group="bestBidAsk: a table of 100,000 rows to ten columns")
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(columns, id="binance_sbe columns, four of them as float64"),
        pytest.param(raw_columns, id="binance_sbe columns, raw"),
        pytest.param(by_numpy, id="numpy, column by column, and to_float"),
    ],
)
def test_columns(benchmark: Any, way: Any) -> None:
    benchmark.extra_info["per"] = COUNT
    benchmark(way, binance_sbe.decode_many(ONE))


@pytest.mark.benchmark(group="bestBidAsk: two buffers of 100,000 frames, ten times each")
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(one_thread, id="binance_sbe decode_many, one after the other"),
        pytest.param(two_threads, id="binance_sbe decode_many, in two threads"),
    ],
)
def test_threads(benchmark: Any, way: Any) -> None:
    benchmark.extra_info["per"] = 2 * OFTEN * COUNT
    benchmark(way, [ONE_RUN, ONE_RUN])
