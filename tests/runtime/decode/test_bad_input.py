"""Wrong frames and wrong arguments: each gets an error that names what and where."""

from __future__ import annotations

import array
import pickle
from typing import Any

import numpy as np
import pytest
import vectors

from binance_sbe import (
    BestBidAskStreamEvent,
    DecodeError,
    ErrorCode,
    SbeError,
    SchemaMismatch,
    TradesStreamEvent,
    TruncatedMessage,
    UnexpectedTemplate,
    UnknownTemplate,
    decode,
    decode_many,
    spot_stream,
)
from sbe_codegen.runtime.tables import batch


def with_header(frame: bytes, at: int, value: int) -> bytes:
    return frame[:at] + value.to_bytes(2, "little") + frame[at + 2 :]


def test_an_empty_frame_is_truncated() -> None:
    with pytest.raises(TruncatedMessage, match=r"header needs 8 bytes at offset 0, 0 are left"):
        decode(b"")


def test_a_text_frame_is_explained() -> None:
    text = '{"result":null,"id":1}'
    with pytest.raises(TypeError, match="text frames of a WebSocket are JSON"):
        decode(text)
    with pytest.raises(DecodeError):
        decode(text.encode())


@pytest.mark.parametrize("wrong", [None, 5, object(), ["x"]])
def test_what_is_no_buffer_is_named(wrong: Any) -> None:
    for call in (
        decode,
        BestBidAskStreamEvent.decode,
        BestBidAskStreamEvent.unpack,
        spot_stream.decode_header,
    ):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            call(wrong)


def test_another_schema_is_named() -> None:
    with pytest.raises(
        SchemaMismatch, match="schema id 3 where this decoder has schema 1"
    ) as caught:
        decode(with_header(vectors.TRADES, 4, 3))
    assert (caught.value.wanted, caught.value.available) == (1, 3)
    assert caught.value.message is None


def test_an_unknown_template_is_named() -> None:
    with pytest.raises(UnknownTemplate, match="template 10099 is not in schema 1") as caught:
        decode(with_header(vectors.TRADES, 2, 10099))
    assert caught.value.template_id == 10099


def test_an_unexpected_template_is_named() -> None:
    with pytest.raises(UnexpectedTemplate, match="template 10001") as caught:
        TradesStreamEvent.decode(vectors.BEST_BID_ASK)
    assert (caught.value.template_id, caught.value.wanted) == (10001, 10000)
    with pytest.raises(UnexpectedTemplate, match="template 10001"):
        TradesStreamEvent.unpack(vectors.BEST_BID_ASK)
    assert caught.value.message == "BestBidAskStreamEvent"


def test_a_count_without_entries_allocates_nothing_and_says_what_is_missing() -> None:
    frame = with_header(vectors.DEPTH_SNAPSHOT[: 8 + 18 + 4], 8 + 18 + 2, 65535)
    with pytest.raises(
        TruncatedMessage, match=r"bids needs 1048560 bytes at offset 30, 0 are left"
    ):
        decode(frame)
    trades = vectors.TRADES[: 8 + 18 + 2] + b"\xff\xff\xff\xff"
    with pytest.raises(TruncatedMessage) as caught:
        decode(trades)
    assert caught.value.wanted == 25 * (2**32 - 1)
    assert caught.value.element == "trades"


def test_entries_too_short_for_their_version_are_malformed() -> None:
    frame = with_header(vectors.DEPTH_SNAPSHOT, 8 + 18, 15)
    with pytest.raises(DecodeError, match="bids at offset 30 has a block of 15 bytes") as caught:
        decode(frame)
    assert type(caught.value).__name__ == "MalformedMessage"
    for length in (0, 15):
        batch = decode_many([with_header(frame, 8 + 18, length)], on_error="collect")
        assert batch.rejected["code"].tolist() == [ErrorCode.MALFORMED]


def test_an_empty_group_may_claim_any_entry_length() -> None:
    at = len(vectors.DEPTH_DIFF) - 8 - 4
    assert decode(with_header(vectors.DEPTH_DIFF, at, 3)).asks.shape == (0,)


def test_buffers_with_gaps_or_wide_items_are_refused() -> None:
    spread = np.frombuffer(vectors.TRADES + bytes(65), np.uint8)[::2]
    with pytest.raises(BufferError, match="gaps"):
        decode(spread)
    with pytest.raises(BufferError, match="one byte"):
        decode(array.array("i", [1, 2, 3]))
    with pytest.raises(BufferError, match="frame 1: "):
        decode_many([vectors.TRADES, array.array("i", [1])])


@pytest.mark.parametrize("offset", [-1, -(2**62), 66, 2**62])
def test_an_offset_outside_the_frame_is_refused(offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(vectors.TRADES, offset)
    assert str(offset) in str(caught.value)
    assert caught.value.offset == offset


def test_an_offset_at_the_end_is_a_truncated_header() -> None:
    with pytest.raises(TruncatedMessage):
        decode(vectors.TRADES, len(vectors.TRADES))


def test_offsets_of_errors_count_from_the_start_of_the_buffer() -> None:
    with pytest.raises(TruncatedMessage) as caught:
        decode(b"12345" + vectors.TRADES[:-1], 5)
    assert caught.value.offset == 5 + len(vectors.TRADES) - 7


def test_one_bad_frame_of_many_raises_with_its_index() -> None:
    frames = [vectors.TRADES, vectors.TRADES[:-1], vectors.TRADES]
    with pytest.raises(TruncatedMessage, match="frame 1: TradesStreamEvent: symbol") as caught:
        decode_many(frames)
    assert caught.value.frame == 1


def test_one_bad_frame_of_many_is_collected() -> None:
    frames = [vectors.TRADES, vectors.TRADES[:-1], b"", vectors.BEST_BID_ASK]
    batch = decode_many(frames, on_error="collect")
    assert len(batch) == 2
    assert batch.rejected.tolist() == [(1, ErrorCode.TRUNCATED, 58), (2, ErrorCode.TRUNCATED, 0)]
    assert [type(error) for error in batch.errors] == [TruncatedMessage, TruncatedMessage]
    assert [error.frame for error in batch.errors] == [1, 2]
    assert batch[TradesStreamEvent].records["frame"].tolist() == [0]
    assert batch[BestBidAskStreamEvent].records["frame"].tolist() == [3]


@pytest.mark.parametrize("frames", [None, 5, {vectors.TRADES}, iter([]), "text"])
def test_what_is_no_sequence_of_frames_is_refused(frames: Any) -> None:
    with pytest.raises(TypeError, match="frames is a list or tuple"):
        decode_many(frames)


@pytest.mark.parametrize("wrong", [None, "text", 3])
def test_an_item_that_is_no_frame_is_named(wrong: Any) -> None:
    for on_error in ("raise", "collect"):
        with pytest.raises(TypeError, match=r"frame 1: a frame is bytes"):
            decode_many([vectors.TRADES, wrong], on_error=on_error)


def test_on_error_and_capacity_are_checked() -> None:
    with pytest.raises(ValueError, match="'raise' or 'collect'"):
        decode_many([], on_error="ignore")
    with pytest.raises(ValueError, match="'raise' or 'collect'"):
        spot_stream.Collector(on_error="")
    with pytest.raises(ValueError, match="at least 1"):
        spot_stream.Collector(0)


@pytest.mark.parametrize(
    ("offsets", "error", "text"),
    [
        (np.array([0, 66], np.int32), TypeError, "int64"),
        (np.array([[0, 65]], np.int64), TypeError, "2"),
        (np.array([], np.int64), ValueError, "n \\+ 1"),
        (np.array([0, 66], np.int64), ValueError, "65 bytes"),
        (np.array([-1, 65], np.int64), ValueError, "-1"),
        (np.array([0, 65, 64, 65], np.int64), ValueError, r"offsets\[2\] = 64"),
        (np.array([0, 2**63 - 1, -2, 10], np.int64), ValueError, r"offsets\[2\] = -2"),
        (np.array([0, 2**63 - 1, -(2**62), 0], np.int64), ValueError, "is below"),
        (np.array([0, 65], ">i8"), TypeError, "int64"),
        ([0, 65], TypeError, "not a list"),
    ],
)
def test_wrong_offsets_are_named(offsets: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        decode_many((vectors.TRADES, offsets))


def test_a_refused_frame_leaves_a_collector_as_it_was() -> None:
    collector = spot_stream.Collector()
    collector.append(vectors.DEPTH_SNAPSHOT, 5)
    for wrong in (b"", vectors.DEPTH_SNAPSHOT[:-1], vectors.DEPTH_SNAPSHOT[:40]):
        with pytest.raises(TruncatedMessage):
            collector.append(wrong)
    with pytest.raises(TypeError):
        collector.append(None)
    collector.append(vectors.DEPTH_SNAPSHOT, 6)
    assert len(collector) == 2
    table = collector.take()[spot_stream.DepthSnapshotStreamEvent]
    assert table.records["received_ns"].tolist() == [5, 6]
    assert table.groups["bids"].offsets.tolist() == [0, 1, 2]


def test_errors_are_sbe_errors_and_pickle() -> None:
    with pytest.raises(SbeError) as caught:
        decode_many([b"123"])
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is TruncatedMessage
    assert isinstance(error, ValueError)
    assert str(error) == str(caught.value)
    assert (error.frame, error.wanted, error.available) == (0, 8, 3)


def test_error_codes_name_their_classes() -> None:
    assert {code: code.error.__name__ for code in ErrorCode} == {
        1: "TruncatedMessage", 2: "MalformedMessage", 3: "UnknownTemplate",
        4: "UnexpectedTemplate", 5: "SchemaMismatch", 6: "SchemaMismatch",
    }  # fmt: skip


def test_the_base_of_collectors_is_none() -> None:
    base = batch.Collector()
    assert len(base) == 0
    for call in (base.take, lambda: base.append(vectors.TRADES)):
        with pytest.raises(TypeError, match="generated modules"):
            call()


def test_descriptors_can_not_be_made_anew() -> None:
    field = BestBidAskStreamEvent.event_time
    with pytest.raises(TypeError, match="part of BestBidAskStreamEvent already"):
        field.__init__("event_time", "eventTime", "", 0, 2**40, 3, None)
    assert decode(vectors.BEST_BID_ASK).event_time == 1735689600000123
    with pytest.raises(AttributeError, match="read-only"):
        del decode(vectors.BEST_BID_ASK).event_time


def test_what_looks_at_the_messages_of_a_module_can_not_change_them() -> None:
    class Emptier:
        def __eq__(self, other: Any) -> bool:
            if hasattr(other, "clear"):
                other.clear()
            return True

    assert Emptier() == spot_stream.MESSAGES
    schema = decode_many([]).tables._schema
    schema.messages().clear()
    schema.__init__("other", 5, 6)
    batch = decode_many([vectors.DEPTH_SNAPSHOT] * 100)
    assert len(batch[spot_stream.DepthSnapshotStreamEvent]) == 100


def test_a_batch_says_how_it_is_looked_at() -> None:
    batch = decode_many([vectors.TRADES])
    with pytest.raises(TypeError, match="not iterable"):
        iter(batch)
    with pytest.raises(KeyError, match="no message class of spot_stream"):
        batch["TradesStreamEvent"]
    with pytest.raises(TypeError):
        batch[TradesStreamEvent].groups["trades"]["price"]
    assert repr(batch.tables).startswith("<Tables of 1 TradesStreamEvent, 0 BestBidAsk")


def test_a_released_memoryview_is_named_by_its_index() -> None:
    view = memoryview(vectors.TRADES)
    view.release()
    with pytest.raises(ValueError, match="frame 1: "):
        decode_many([vectors.TRADES, view])
