"""Record arrays: rows, groups, dictionaries, and the forms of input."""

from __future__ import annotations

import gc
import os
import random
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors
from small import schema

import binance_sbe
import sbe_codegen
from binance_sbe import (
    BestBidAskStreamEvent,
    Collector,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
    decode_many,
)

FRAMES = list(vectors.ALL.values())


def named(symbol: bytes) -> bytes:
    return vectors.BEST_BID_ASK[:-8] + bytes([len(symbol)]) + symbol


def test_rows_are_naturally_aligned_and_in_order() -> None:
    batch = decode_many(FRAMES * 3)
    table = batch[BestBidAskStreamEvent]
    assert table is batch.tables[BestBidAskStreamEvent]
    assert table.records.dtype.names == (
        "frame", "event_time", "book_update_id", "price_exponent", "qty_exponent", "bid_price",
        "bid_qty", "ask_price", "ask_qty", "symbol",
    )  # fmt: skip
    assert table.records.dtype.isalignedstruct
    assert table.records.flags.aligned
    assert table.records.flags.c_contiguous
    assert table.records["frame"].tolist() == [1, 5, 9]
    assert table.records["bid_price"].tolist() == [9412345] * 3
    assert (table.records["symbol"].dtype, table.symbols) == (np.dtype("u4"), ["BTCUSDT"])
    assert len(batch) == 12


def test_group_entries_lie_end_to_end_with_offsets() -> None:
    batch = decode_many([vectors.DEPTH_DIFF, vectors.DEPTH_DIFF])
    bids, asks = (batch[DepthDiffStreamEvent].groups[name] for name in ("bids", "asks"))
    assert bids.records["price"].tolist() == [9412345, 9412345]
    assert (bids.offsets.dtype, bids.offsets.tolist()) == (np.dtype("i8"), [0, 1, 2])
    assert asks.offsets.tolist() == [0, 0, 0]
    assert (len(bids), bids[-1].tolist(), len(asks[1])) == (2, [(9412345, 0)], 0)
    with pytest.raises(IndexError):
        bids[2]


def test_a_class_that_did_not_come_has_an_empty_table() -> None:
    batch = decode_many([vectors.TRADES])
    table = batch[DepthSnapshotStreamEvent]
    assert table.records.shape == (0,)
    assert (
        table.records.dtype
        == decode_many([vectors.DEPTH_SNAPSHOT])[DepthSnapshotStreamEvent].records.dtype
    )
    assert table.groups["bids"].records.shape == (0,)
    assert table.groups["bids"].offsets.tolist() == [0]
    assert table.symbols == []
    assert decode_many([])[TradesStreamEvent].records.shape == (0,)
    with pytest.raises(KeyError):
        batch[int]


def test_symbols_are_coded_in_the_order_of_their_first_appearance() -> None:
    rng = random.Random(5)
    names = [f"SYM{i}".encode() * rng.choice((1, 1, 4, 30)) for i in range(600)] + [b""]
    order = [rng.choice(names) for _ in range(20_000)]
    table = decode_many([named(name[:255]) for name in order])[BestBidAskStreamEvent]
    expected = list(dict.fromkeys(name[:255].decode() for name in order))
    assert table.symbols == expected
    codes = table.records["symbol"].tolist()
    assert [table.symbols[code] for code in codes] == [name[:255].decode() for name in order]
    assert table.dictionary("symbol") is table.symbols
    with pytest.raises(KeyError, match="has no text 'price'"):
        table.dictionary("price")


def test_text_that_is_not_utf8_is_kept_by_surrogateescape() -> None:
    table = decode_many([named(b"BTC\xff"), named(b"BTC")])[BestBidAskStreamEvent]
    assert table.symbols[0].encode("utf-8", "surrogateescape") == b"BTC\xff"
    assert table.symbols[1] == "BTC"


def test_newer_senders_rows_are_the_known_fields() -> None:
    table = decode_many([vectors.NEWER_SNAPSHOT])[DepthSnapshotStreamEvent]
    assert table.groups["bids"].records.tolist() == [(9412345, 31210000)]
    assert table.records["book_update_id"].tolist() == [160]


def test_left_over_bytes_are_counted_unless_the_sender_is_newer() -> None:
    batch = decode_many([vectors.TRADES + b"12345", vectors.NEWER_SNAPSHOT + b"123"])
    assert batch.left_over_bytes == 5
    assert len(batch) == 2


def arrow_arrays() -> list[Any]:
    arrow = pytest.importorskip("pyarrow")
    return [
        arrow.array(FRAMES, arrow.binary()),
        arrow.array(FRAMES, arrow.large_binary()),
        arrow.array([b"skipped", *FRAMES, b"too"], arrow.binary())[1:-1],
    ]


def test_all_forms_of_input_give_the_same_tables() -> None:
    offsets = np.cumsum([0, *map(len, FRAMES)], dtype=np.int64)
    whole = b"".join(FRAMES)
    inputs = [
        FRAMES,
        tuple(FRAMES),
        [bytearray(frame) for frame in FRAMES],
        [memoryview(frame) for frame in FRAMES],
        (whole, offsets),
        (bytearray(b"ab" + whole + b"cd"), offsets + 2),
        (np.frombuffer(whole, np.uint8), memoryview(offsets)),
        *arrow_arrays(),
    ]
    for given in inputs:
        batch = decode_many(given)
        assert len(batch) == 4
        for index, (name, frame) in enumerate(vectors.ALL.items()):
            message = binance_sbe.decode(frame)
            row = batch[type(message)].records[0]
            assert row["frame"] == index, name
            assert row.tolist()[1:-1] == message.astuple()[:-1]


def test_two_frames_in_a_tuple_are_frames() -> None:
    assert len(decode_many((vectors.TRADES, vectors.BEST_BID_ASK))) == 2
    views = tuple(np.frombuffer(frame, np.uint8) for frame in FRAMES[:2])
    assert len(decode_many(views)) == 2


def test_arrow_arrays_that_are_not_frames_are_refused() -> None:
    arrow = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="1 of 2 Arrow values are null"):
        decode_many(arrow.array([vectors.TRADES, None], arrow.binary()))
    with pytest.raises(TypeError, match="not string"):
        decode_many(arrow.array(["x"]))
    assert len(decode_many(arrow.array([], arrow.binary()))) == 0


def test_bad_frames_in_one_buffer_are_found_one_by_one() -> None:
    frames = [vectors.TRADES, b"bad", vectors.BEST_BID_ASK, b"", b"worse!!!!", vectors.TRADES]
    offsets = np.cumsum([0, *map(len, frames)], dtype=np.int64)
    given = (b"".join(frames), offsets)
    batch = decode_many(given, on_error="collect")
    assert batch.rejected["frame"].tolist() == [1, 3, 4]
    assert batch.rejected["offset"].tolist() == [0, 0, 0]
    assert batch[TradesStreamEvent].records["frame"].tolist() == [0, 5]
    with pytest.raises(binance_sbe.TruncatedMessage, match="frame 1: "):
        decode_many(given)


def test_a_collector_hands_over_and_goes_on() -> None:
    collector = Collector(capacity=1)
    seen = 0
    for round_ in range(4):
        for i in range(100 * round_):
            collector.append(FRAMES[i % 4], i + 7)
        assert len(collector) == 100 * round_
        batch = collector.take()
        assert len(collector) == 0
        for offset, message in enumerate(binance_sbe.spot_stream.MESSAGES.values()):
            records = batch[message].records
            seen += len(records)
            assert records["frame"].tolist() == list(range(100 * round_))[offset::4]
            assert (records["received_ns"] == records["frame"] + 7).all()
    assert seen == 600


def test_a_collector_can_collect_what_it_refuses() -> None:
    collector = Collector(on_error="collect")
    for frame in (vectors.TRADES, b"", vectors.TRADES[:-1], vectors.TRADES):
        collector.append(frame)
    assert len(collector) == 4
    batch = collector.take()
    assert batch.rejected["frame"].tolist() == [1, 2]
    assert (len(batch), batch.frame_count) == (2, 4)
    assert repr(batch) == "<Batch: 2 TradesStreamEvent, 2 rejected>"
    assert len(collector.take().rejected) == 0


def test_many_levels_survive_growing() -> None:
    levels = 5000
    entry = vectors.DEPTH_SNAPSHOT[30:46]
    frame = (
        vectors.DEPTH_SNAPSHOT[:26]
        + (16).to_bytes(2, "little") + levels.to_bytes(2, "little") + entry * levels
        + vectors.DEPTH_SNAPSHOT[46:]
    )  # fmt: skip
    batch = decode_many([frame] * 50)
    bids = batch[DepthSnapshotStreamEvent].groups["bids"]
    assert bids.records.shape == (levels * 50,)
    assert (bids.records["price"] == 9412345).all()
    assert bids.offsets.tolist() == list(range(0, levels * 51, levels))


def test_renaming_the_columns_of_one_array_renames_no_other() -> None:
    frames = [vectors.DEPTH_SNAPSHOT]
    table = decode_many(frames)[DepthSnapshotStreamEvent]
    message = binance_sbe.decode(vectors.DEPTH_SNAPSHOT)
    for array in (table.records, table.groups["bids"].records, message.bids, message.block):
        array.dtype.names = tuple(f"c{i}" for i in range(len(array.dtype.names)))
    DepthSnapshotStreamEvent.BIDS_DTYPE.names = ("x", "y")
    try:
        assert message.bids.dtype.names == ("price", "qty")
        assert message.bids_float["price"].tolist() == [94123.45]
        again = decode_many(frames)[DepthSnapshotStreamEvent]
        assert "book_update_id" in again.records.dtype.names
        assert again.groups["bids"].records.dtype.names == ("price", "qty")
    finally:
        DepthSnapshotStreamEvent.BIDS_DTYPE.names = ("price", "qty")


def test_one_thread_may_take_while_another_appends() -> None:
    collector, taken, done = Collector(on_error="collect"), [], threading.Event()

    def take() -> None:
        while not done.is_set():
            taken.append(collector.take())

    thread = threading.Thread(target=take)
    thread.start()
    for i in range(60_000):
        collector.append(FRAMES[i % 4] if i % 5 else b"bad")
    done.set()
    thread.join()
    taken.append(collector.take())
    assert sum(batch.frame_count for batch in taken) == 60_000
    for batch in taken:
        rows = sum(len(table) for table in batch.tables.values())
        assert len(batch) == rows == batch.frame_count - len(batch.rejected)
        frames = [*batch.rejected["frame"]]
        for table in batch.tables.values():
            frames += table.records["frame"].tolist()
        assert sorted(frames) == list(range(batch.frame_count))


def test_a_frame_that_arrives_while_tables_are_handed_over_is_whole() -> None:
    collector, other = Collector(), named(b"OTHER")

    class Late:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            collector.append(other)

    rows = 0
    thresholds = gc.get_threshold()
    for threshold in range(1, 40):
        collector.append(vectors.BEST_BID_ASK)
        gc.collect()
        Late()
        gc.set_threshold(threshold)
        batch = collector.take()
        gc.set_threshold(*thresholds)
        table = batch[BestBidAskStreamEvent]
        rows += len(table)
        assert len(batch) == len(table)
        assert {table.symbols[code] for code in table.records["symbol"]} <= {"BTCUSDT", "OTHER"}
    gc.collect()
    assert rows + len(collector) == 78


def test_one_large_frame_among_many_small_ones_takes_little_room() -> None:
    program = (
        "import resource, binance_sbe\n"
        f"small = bytes.fromhex({vectors.DEPTH_SNAPSHOT.hex()!r})\n"
        "dimensions = (16).to_bytes(2, 'little') + (60000).to_bytes(2, 'little')\n"
        "entries = dimensions + small[30:46] * 60000\n"
        "large = small[:26] + entries + small[46:]\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3))\n"
        "batch = binance_sbe.decode_many([small, large] + [small] * 100_000)\n"
        "status = open('/proc/self/status').read()\n"
        "print(len(batch), int(status.partition('VmPeak:')[2].split()[0]) // 1024)\n"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc here")
    if "sanitize" in os.environ.get("SBE_BUILD", ""):
        pytest.skip("the sanitizer takes terabytes of addresses itself")
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "LD_PRELOAD": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    count, peak = map(int, done.stdout.split())
    assert count == 100_002
    assert peak < 1000


def test_batches_of_all_sizes_in_turn_hold_what_decode_many_gives() -> None:
    """Tables begin with room for what the batch before had, which may be more, less or nothing."""
    chance = random.Random(5)
    collector = Collector()
    for _ in range(60):
        frames = chance.choices(FRAMES, k=int(10 ** chance.uniform(0, 3.7)))
        if chance.random() < 0.3:  # some tables stay empty
            frames = [frame for frame in frames if frame not in FRAMES[:2]]
        for frame in frames:
            collector.append(frame)
        taken, given = collector.take(), decode_many(frames)
        assert list(taken.tables) == list(given.tables)
        for message, table in given.tables.items():
            other = taken[message]
            for name in table.records.dtype.names:
                assert (other.records[name] == table.records[name]).all()
            assert other.symbols == table.symbols
            for name, group in table.groups.items():
                assert (other.groups[name].offsets == group.offsets).all()
                assert (other.groups[name].records == group.records).all()


@pytest.mark.skipif(
    "sanitize" in os.environ.get("SBE_BUILD", ""), reason="the sanitizer frees what is given back"
)
def test_batches_of_like_sizes_touch_no_new_memory() -> None:
    """A page that is touched for the first time costs more than the rows that go there."""
    collector = Collector()
    before = 0
    for round_ in range(30):
        for _ in range(4000 + 37 * (round_ % 5)):
            collector.append(vectors.BEST_BID_ASK)
        batch = collector.take()
        assert len(batch) >= 4000
        if round_ == 9:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 20 * 10


def test_rows_without_columns_of_their_own_stay_within_their_table(tmp_path: Path) -> None:
    """Under a sanitizer: the row of such a message is its number alone, up to the last byte."""
    path = tmp_path / "bare.xml"
    path.write_text(schema('<message name="Bare" id="1"/>'))
    module = sbe_codegen.load(path)
    frame = bytes([0, 0, 1, 0, 1, 0, 1, 0])
    for count in (1, 2, 3, 8, 16, 64, 100, 128, 256, 1000):
        table = module.decode_many([frame] * count)[module.Bare]
        assert table.records["frame"].tolist() == list(range(count))
        rows = module.Collector(1)
        for _ in range(count):
            rows.append(frame)
        assert len(rows.take()[module.Bare]) == count
