"""One message at a time, beside what people would use instead. Equality is proved first."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from data import best_bid_ask_frames, big_diff_frame, book_ticker_json, depth_update_json

import binance_sbe

COUNT = 20_000


class BookTicker(msgspec.Struct):
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float


class DepthUpdate(msgspec.Struct):
    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


BOOK_TICKER = msgspec.json.Decoder(BookTicker, strict=False)
DEPTH_UPDATE = msgspec.json.Decoder(DepthUpdate, strict=False)
FRAMES = best_bid_ask_frames(COUNT)
TEXTS = [book_ticker_json(frame) for frame in FRAMES]
HEADER, BODY = struct.Struct("<HHHH"), struct.Struct("<qqbbqqqqB")


def by_struct(frame: bytes) -> tuple[Any, ...]:
    """The values of a frame, with the checks that `decode` makes."""
    if len(frame) < HEADER.size:
        raise ValueError("truncated header")
    block, template, schema, _ = HEADER.unpack_from(frame)
    if (template, schema) != (10001, 1) or block < 50:
        raise ValueError("not a best bid/ask")
    if len(frame) < 8 + block + 1:
        raise ValueError("truncated block")
    *values, length = BODY.unpack_from(frame, 8)
    end = 8 + block + 1 + length
    if len(frame) < end:
        raise ValueError("truncated symbol")
    return (*values, frame[end - length : end].decode())


def by_orjson(text: bytes) -> tuple[Any, ...]:
    fields = orjson.loads(text)
    return (
        fields["u"], float(fields["b"]), float(fields["B"]), float(fields["a"]),
        float(fields["A"]), fields["s"],
    )  # fmt: skip


# Each way is a loop of its own, so that nobody pays for a call that the others do not make.


def sbe_tuple(frames: list[bytes]) -> None:
    decode = binance_sbe.decode
    for frame in frames:
        decode(frame).astuple()


def sbe_unpack(frames: list[bytes]) -> None:
    unpack = binance_sbe.BestBidAskStreamEvent.unpack
    for frame in frames:
        unpack(frame)


def sbe_two_fields(frames: list[bytes]) -> None:
    decode = binance_sbe.decode
    for frame in frames:
        message = decode(frame)
        message.bid_price  # noqa: B018
        message.ask_price  # noqa: B018


def sbe_alone(frames: list[bytes]) -> None:
    decode = binance_sbe.decode
    for frame in frames:
        decode(frame)


def msgspec_floats(texts: list[bytes]) -> None:
    decode = BOOK_TICKER.decode
    for text in texts:
        decode(text)


def orjson_floats(texts: list[bytes]) -> None:
    for text in texts:
        by_orjson(text)


def struct_tuple(frames: list[bytes]) -> None:
    for frame in frames:
        by_struct(frame)


def test_all_ways_give_the_same_values() -> None:
    for frame, text in zip(FRAMES, TEXTS, strict=True):
        message = binance_sbe.decode(frame)
        ticker = BOOK_TICKER.decode(text)
        floats = (message.bid_price_float, message.bid_qty_float,
                  message.ask_price_float, message.ask_qty_float)  # fmt: skip
        assert floats == (ticker.b, ticker.B, ticker.a, ticker.A)
        assert (message.book_update_id, *floats, message.symbol) == by_orjson(text)
        assert by_struct(frame) == message.astuple() == type(message).unpack(frame)


@pytest.mark.benchmark(group="bestBidAsk: one message to nine values (20,000 different frames)")
@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(sbe_tuple, FRAMES, id="binance_sbe decode + astuple"),
        pytest.param(sbe_unpack, FRAMES, id="binance_sbe unpack"),
        pytest.param(sbe_two_fields, FRAMES, id="binance_sbe decode + two fields"),
        pytest.param(sbe_alone, FRAMES, id="binance_sbe decode alone"),
        pytest.param(msgspec_floats, TEXTS, id="msgspec, JSON to a typed Struct with floats"),
        pytest.param(orjson_floats, TEXTS, id="orjson, JSON to a dict, then float()"),
        pytest.param(struct_tuple, FRAMES, id="struct, with the same checks"),
    ],
)
def test_best_bid_ask(benchmark: Any, way: Callable[[list[bytes]], None], data: Any) -> None:
    benchmark.extra_info["per"] = COUNT
    benchmark(way, data)


DIFF = big_diff_frame(200)
DIFF_TEXT = depth_update_json(DIFF)


REPEATS = range(50)


def sbe_views(frame: bytes) -> None:
    decode = binance_sbe.decode
    for _ in REPEATS:
        message = decode(frame)
        message.bids  # noqa: B018
        message.asks  # noqa: B018


def sbe_floats(frame: bytes) -> None:
    decode = binance_sbe.decode
    for _ in REPEATS:
        message = decode(frame)
        message.bids_float  # noqa: B018
        message.asks_float  # noqa: B018


def msgspec_levels(text: bytes) -> None:
    decode = DEPTH_UPDATE.decode
    for _ in REPEATS:
        decode(text)


def depth_by_orjson(text: bytes) -> Any:
    fields = orjson.loads(text)
    return [[(float(p), float(q)) for p, q in fields[side]] for side in ("b", "a")]


def orjson_levels(text: bytes) -> None:
    for _ in REPEATS:
        depth_by_orjson(text)


def test_all_ways_give_the_same_levels() -> None:
    message = binance_sbe.decode(DIFF)
    bids, asks = message.bids_float, message.asks_float
    update = DEPTH_UPDATE.decode(DIFF_TEXT)
    assert bids.tolist() == update.b
    assert asks.tolist() == update.a
    assert depth_by_orjson(DIFF_TEXT) == [update.b, update.a]


@pytest.mark.benchmark(group="depth: one diff of 200 + 200 levels")
@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(sbe_views, DIFF, id="binance_sbe decode + both views"),
        pytest.param(sbe_floats, DIFF, id="binance_sbe decode + both sides as float64"),
        pytest.param(msgspec_levels, DIFF_TEXT, id="msgspec, JSON to typed lists of floats"),
        pytest.param(orjson_levels, DIFF_TEXT, id="orjson, JSON to lists, then float()"),
    ],
)
def test_depth_diff(benchmark: Any, way: Callable[[bytes], None], data: bytes) -> None:
    benchmark.extra_info["per"] = len(REPEATS)
    benchmark(way, data)
