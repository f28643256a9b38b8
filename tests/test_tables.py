"""Record arrays: rows, groups, dictionaries, and the forms of input."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import vectors

import binance_sbe
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
