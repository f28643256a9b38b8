"""What is wrong with a frame, exactly: which error, of which element, where, and how many bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vectors

import binance_sbe
from binance_sbe import (
    BestBidAskStreamEvent,
    DecodeError,
    DepthDiffStreamEvent,
    MalformedMessage,
    SchemaMismatch,
    TradesStreamEvent,
    TruncatedMessage,
    UnexpectedTemplate,
    UnknownTemplate,
    decode,
    decode_many,
)

TRADES, DIFF = vectors.TRADES, vectors.DEPTH_DIFF
# Where each part of the frame begins, and how many bytes of it must be there before the next one.
PARTS = {
    "TRADES": (TRADES, [("header", 0, 8), ("root block", 8, 18), ("trades", 26, 6),
                        ("trades", 32, 25), ("symbol", 57, 1), ("symbol", 58, 7)]),
    "DIFF": (DIFF, [("header", 0, 8), ("root block", 8, 26), ("bids", 34, 4), ("bids", 38, 16),
                    ("asks", 54, 4), ("symbol", 58, 1), ("symbol", 59, 7)]),
}  # fmt: skip


def facts(error: DecodeError) -> tuple[Any, ...]:
    return error.element, error.offset, error.wanted, error.available


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("offset", [0, 3])
def test_a_frame_that_ends_early_says_where_and_by_how_much(name: str, offset: int) -> None:
    frame, parts = PARTS[name]
    assert parts[-1][1] + parts[-1][2] == len(frame)
    for size in range(len(frame)):
        element, at, wanted = next(p for p in parts if p[1] <= size < p[1] + p[2])
        given = b"+" * offset + frame[:size]
        with pytest.raises(TruncatedMessage) as caught:
            decode(given, offset)
        error = caught.value
        assert facts(error) == (element, at + offset, wanted, size - at)
        message = {"TRADES": "TradesStreamEvent", "DIFF": "DepthDiffStreamEvent"}[name]
        known = size >= 8
        assert (error.message, error.template_id) == (
            (message, int.from_bytes(frame[2:4], "little")) if known else (None, None)
        )
        assert str(error) == (
            f"{message if known else 'spot_stream'}: {element} needs {wanted} bytes at offset "
            f"{at + offset}, {size - at} are left"
        )
        assert error.frame is None
        (rejected,) = decode_many([frame[:size]], on_error="collect").rejected.tolist()
        assert rejected == (0, 1, at)
        assert facts(decode_many([b"", frame[:size]], on_error="collect").errors[1]) == (
            element, at, wanted, size - at
        )  # fmt: skip


def changed(frame: bytes, at: int, value: int, size: int = 2) -> bytes:
    return frame[:at] + value.to_bytes(size, "little") + frame[at + size :]


@pytest.mark.parametrize(
    ("frame", "kind", "code", "expected", "text"),
    [
        (changed(TRADES, 0, 17), MalformedMessage, 2, ("root block", 8, 18, 17),
         "TradesStreamEvent: root block at offset 8 has a block of 17 bytes; its version needs at "
         "least 18"),
        (changed(TRADES, 26, 24), MalformedMessage, 2, ("trades", 32, 25, 24),
         "TradesStreamEvent: trades at offset 32 has a block of 24 bytes; its version needs at "
         "least 25"),
        (changed(TRADES, 26, 0), MalformedMessage, 2, ("trades", 32, 25, 0),
         "TradesStreamEvent: trades at offset 32 has a block of 0 bytes; its version needs at "
         "least 25"),
        (changed(TRADES, 28, 2**32 - 1, 4), TruncatedMessage, 1,
         ("trades", 32, 25 * (2**32 - 1), len(TRADES) - 32),
         f"TradesStreamEvent: trades needs {25 * (2**32 - 1)} bytes at offset 32, "
         f"{len(TRADES) - 32} are left"),
        (changed(TRADES, 28, 2, 4), TruncatedMessage, 1, ("trades", 32, 50, len(TRADES) - 32),
         f"TradesStreamEvent: trades needs 50 bytes at offset 32, {len(TRADES) - 32} are left"),
        (changed(TRADES, 26, 2**16 - 1), TruncatedMessage, 1,
         ("trades", 32, 65535, len(TRADES) - 32),
         f"TradesStreamEvent: trades needs 65535 bytes at offset 32, {len(TRADES) - 32} are left"),
        (changed(TRADES, 57, 8, 1), TruncatedMessage, 1, ("symbol", 58, 8, 7),
         "TradesStreamEvent: symbol needs 8 bytes at offset 58, 7 are left"),
        (changed(TRADES, 2, 9999), UnknownTemplate, 3, ("header", 0, None, 9999),
         "template 9999 is not in schema 1 (spot_stream), which has 10000, 10001, 10002, 10003"),
        (changed(TRADES, 4, 7), SchemaMismatch, 5, ("header", 0, 1, 7),
         "schema id 7 where this decoder has schema 1 (spot_stream)"),
    ],
)  # fmt: skip
def test_a_frame_that_is_wrong_says_what(
    frame: bytes, kind: type[DecodeError], code: int, expected: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(frame)
    assert (type(caught.value), facts(caught.value), str(caught.value)) == (kind, expected, text)
    batch = decode_many([TRADES, frame, TRADES], on_error="collect")
    assert batch.rejected.tolist() == [(1, code, expected[1])]
    (error,) = batch.errors
    assert (type(error), facts(error), str(error)) == (kind, expected, f"frame 1: {text}")
    assert (len(batch), batch.frame_count, batch.left_over_bytes) == (2, 3, 0)
    assert batch[TradesStreamEvent].records["frame"].tolist() == [0, 2]
    with pytest.raises(kind) as raised:
        decode_many([TRADES, frame])
    assert (str(raised.value), raised.value.frame) == (f"frame 1: {text}", 1)


@pytest.mark.parametrize("size", range(len(TRADES)))
def test_frames_of_one_buffer_have_offsets_of_their_own(size: int) -> None:
    """Whatever lies before them, faults are counted from the first byte of the frame."""
    frames = [DIFF, TRADES[:size], TRADES, TRADES[:size]]
    ends = np.cumsum([3, *map(len, frames)], dtype=np.int64)
    batch = decode_many((b"+++" + b"".join(frames) + b"++", ends), on_error="collect")
    alone = decode_many(frames, on_error="collect")
    assert batch.rejected.tolist() == alone.rejected.tolist()
    assert [str(each) for each in batch.errors] == [str(each) for each in alone.errors]
    assert [facts(each) for each in batch.errors] == [facts(each) for each in alone.errors]
    assert (len(batch), batch.frame_count, batch.left_over_bytes) == (2, 4, 0)


def test_another_message_than_the_class_is_unexpected() -> None:
    with pytest.raises(UnexpectedTemplate) as caught:
        BestBidAskStreamEvent.decode(b"+" + DIFF, 1)
    error = caught.value
    assert facts(error) == ("header", 1, 10001, 10003)
    assert (error.template_id, error.message) == (10003, "DepthDiffStreamEvent")
    assert str(error) == (
        "template 10003 (DepthDiffStreamEvent) where 10001 (BestBidAskStreamEvent) was asked for"
    )
    with pytest.raises(UnexpectedTemplate) as caught:
        BestBidAskStreamEvent.unpack(changed(DIFF, 2, 5))
    assert (
        str(caught.value)
        == "template 5 (unknown) where 10001 (BestBidAskStreamEvent) was asked for"
    )


@pytest.mark.parametrize("offset", [-1, len(TRADES) + 1, 2**62, -(2**62)])
def test_an_offset_outside_the_frame_is_said(offset: int) -> None:
    for frame in (TRADES, bytearray(TRADES)):
        for use in (decode, TradesStreamEvent.decode, TradesStreamEvent.unpack,
                    binance_sbe.spot_stream.decode_header):  # fmt: skip
            with pytest.raises(DecodeError) as caught:
                use(frame, offset)
            assert str(caught.value) == (
                f"offset {offset} is outside the frame of {len(TRADES)} bytes"
            )
            assert (type(caught.value), caught.value.offset) == (DecodeError, offset)


def test_an_offset_at_the_end_of_the_frame_is_inside_and_has_no_message() -> None:
    with pytest.raises(TruncatedMessage) as caught:
        decode(TRADES, len(TRADES))
    assert facts(caught.value) == ("header", len(TRADES), 8, 0)


def test_text_that_is_none_says_where_it_is() -> None:
    frame = TRADES[:-2] + b"\xff\xff"
    message = decode(b"+++" + frame, 3)
    with pytest.raises(MalformedMessage) as caught:
        _ = message.symbol
    assert str(caught.value) == (
        "TradesStreamEvent: symbol is not utf-8 text at offset 66 (invalid start byte); "
        "symbol_bytes gives the bytes"
    )
    assert (caught.value.offset, caught.value.element, caught.value.template_id) == (
        66, "symbol", 10000
    )  # fmt: skip
    assert message.symbol_bytes == b"BTCUS\xff\xff"
    assert "symbol=b'BTCUS\\xff\\xff'" in repr(message)


def test_two_groups_of_one_message_are_told_apart() -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode(changed(changed(DIFF, 56, 1), 54, 15) + bytes(20))
    assert facts(caught.value) == ("asks", 58, 16, 15)
    assert caught.value.message == DepthDiffStreamEvent.__name__


@pytest.mark.parametrize("more", [0, 1, 7])
def test_bytes_after_a_message_are_counted(more: int) -> None:
    batch = decode_many([TRADES + bytes(more), DIFF, TRADES])
    assert batch.left_over_bytes == more
    assert decode(TRADES + bytes(more)).encoded_length == len(TRADES)
    newer = changed(TRADES, 6, 1) + bytes(more)
    assert decode_many([newer]).left_over_bytes == 0
