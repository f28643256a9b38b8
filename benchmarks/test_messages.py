"""One message at a time, beside what people would use instead. Equality is proved first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from data import (
    best_bid_ask_frames,
    big_diff_frame,
    book_ticker_json,
    depth20_frames,
    levels_json,
)
from rivals import (
    BOOK_TICKER,
    LEVELS,
    by_frombuffer,
    by_json,
    by_orjson,
    by_sbe,
    by_struct,
    levels_by_orjson,
)

import binance_sbe

COUNT = 20_000
FRAMES = best_bid_ask_frames(COUNT)
TEXTS = [book_ticker_json(frame) for frame in FRAMES]
DEPTH = depth20_frames(500)
DEPTH_TEXTS = [levels_json(frame) for frame in DEPTH]
DIFF = [big_diff_frame(200)] * 50
DIFF_TEXTS = [levels_json(frame) for frame in DIFF]
SOME = 2_000  # messages for those that are slow

# Each way of ours is a loop of its own, so that nobody pays for a call that others do not make.


def each(handle: Callable[[bytes], Any]) -> Callable[[list[bytes]], None]:
    def loop(frames: list[bytes]) -> None:
        for frame in frames:
            handle(frame)

    return loop


def tuples(frames: list[bytes]) -> None:
    decode = binance_sbe.decode
    for frame in frames:
        decode(frame).astuple()


def kept_tuples(frames: list[bytes]) -> None:
    decode = binance_sbe.decode
    kept = []
    for frame in frames:
        kept.append(decode(frame).astuple())  # as a consumer would


def float_tuples(frames: list[bytes]) -> None:
    decode: Any = binance_sbe.decode
    for frame in frames:
        decode(frame).astuple_float()


def two_fields(frames: list[bytes]) -> None:
    decode: Any = binance_sbe.decode
    for frame in frames:
        message = decode(frame)
        message.bid_price  # noqa: B018
        message.ask_price  # noqa: B018


def two_floats(frames: list[bytes]) -> None:
    decode: Any = binance_sbe.decode
    for frame in frames:
        message = decode(frame)
        message.bid_price_float  # noqa: B018
        message.ask_price_float  # noqa: B018


def wrapped(frames: list[bytes]) -> None:
    message: Any = binance_sbe.decode(frames[0])
    wrap = message.wrap
    for frame in frames:
        wrap(frame)


def views(frames: list[bytes]) -> None:
    decode: Any = binance_sbe.decode
    for frame in frames:
        message = decode(frame)
        message.bids  # noqa: B018
        message.asks  # noqa: B018


def float_levels(frames: list[bytes]) -> None:
    decode: Any = binance_sbe.decode
    for frame in frames:
        message = decode(frame)
        message.bids_float  # noqa: B018
        message.asks_float  # noqa: B018


def test_all_ways_give_the_same_values() -> None:
    for frame, text in zip(FRAMES, TEXTS, strict=True):
        message: Any = binance_sbe.decode(frame)
        ticker = BOOK_TICKER.decode(text)
        floats = (message.bid_price_float, message.bid_qty_float,
                  message.ask_price_float, message.ask_qty_float)  # fmt: skip
        assert floats == (ticker.b, ticker.B, ticker.a, ticker.A) == message.astuple_float()[4:8]
        values = (message.book_update_id, *floats, message.symbol)
        assert values == by_orjson(text) == by_json(text)
        assert by_struct(frame) == message.astuple() == type(message).unpack(frame)
        assert by_frombuffer(frame) == message.astuple()[:-1]


def test_what_the_sbe_package_gets_wrong() -> None:
    values = list(by_sbe(FRAMES[0]).values())
    assert tuple(values[:-1]) == by_struct(FRAMES[0])[:-1]
    assert values[-1] == {"length": 7, "varData": ord("B")}  # instead of BTCUSDT


def test_all_ways_give_the_same_levels() -> None:
    for frame, text in [*zip(DEPTH, DEPTH_TEXTS, strict=True), (DIFF[0], DIFF_TEXTS[0])]:
        message: Any = binance_sbe.decode(frame)
        bids, asks = message.bids_float.tolist(), message.asks_float.tolist()
        levels = LEVELS.decode(text)
        assert [bids, asks] == [levels.b, levels.a] == levels_by_orjson(text)


MESSAGE_WAYS = [
    pytest.param(tuples, FRAMES, id="binance_sbe decode + astuple"),
    pytest.param(each(binance_sbe.decode), FRAMES, id="binance_sbe decode alone"),
    pytest.param(wrapped, FRAMES, id="binance_sbe wrap"),
    pytest.param(each(binance_sbe.BestBidAskStreamEvent.unpack), FRAMES, id="binance_sbe unpack"),
    pytest.param(two_fields, FRAMES, id="binance_sbe decode + two fields"),
    pytest.param(two_floats, FRAMES, id="binance_sbe decode + two floats"),
    pytest.param(float_tuples, FRAMES, id="binance_sbe decode + astuple_float"),
    pytest.param(kept_tuples, FRAMES, id="binance_sbe decode + astuple, all of them kept"),
    pytest.param(each(BOOK_TICKER.decode), TEXTS, id="msgspec, JSON to a typed Struct with floats"),
    pytest.param(each(by_struct), FRAMES, id="struct, with the same checks"),
    pytest.param(each(by_frombuffer), FRAMES, id="numpy.frombuffer, unchecked, no symbol"),
    pytest.param(each(by_orjson), TEXTS, id="orjson, JSON to a dict, then float()"),
    pytest.param(each(by_json), TEXTS[:SOME], id="json, to a dict, then float()"),
    pytest.param(each(by_sbe), FRAMES[:SOME], id="sbe package (symbols wrong)"),
]


@pytest.mark.benchmark(group="bestBidAsk: one message")
@pytest.mark.parametrize(("way", "data"), MESSAGE_WAYS)
def test_best_bid_ask(benchmark: Any, way: Callable[[list[bytes]], None], data: Any) -> None:
    benchmark.extra_info["per"] = len(data)
    benchmark(way, data)


def level_ways(frames: list[bytes], texts: list[bytes]) -> list[Any]:
    return [
        pytest.param(views, frames, id="binance_sbe decode + both views"),
        pytest.param(float_levels, frames, id="binance_sbe decode + both sides as float64"),
        pytest.param(each(LEVELS.decode), texts, id="msgspec, JSON to typed lists of floats"),
        pytest.param(each(levels_by_orjson), texts, id="orjson, JSON to lists, then float()"),
        pytest.param(each(by_sbe), frames[:10], id="sbe package, to dicts of ints"),
    ]


@pytest.mark.benchmark(group="depth20: one message of 20 + 20 levels")
@pytest.mark.parametrize(("way", "data"), level_ways(DEPTH, DEPTH_TEXTS))
def test_depth20(benchmark: Any, way: Callable[[list[bytes]], None], data: Any) -> None:
    benchmark.extra_info["per"] = len(data)
    benchmark(way, data)


@pytest.mark.benchmark(group="depth: one diff of 200 + 200 levels")
@pytest.mark.parametrize(("way", "data"), level_ways(DIFF, DIFF_TEXTS))
def test_diff(benchmark: Any, way: Callable[[list[bytes]], None], data: Any) -> None:
    benchmark.extra_info["per"] = len(data)
    benchmark(way, data)


class Plain:
    """What an attribute costs where nothing is decoded."""

    __slots__ = ("price",)

    def __init__(self, price: int) -> None:
        self.price = price

    @property
    def bid_price(self) -> int:
        return self.price


def read_int(message: Any) -> None:
    for _ in range(COUNT):
        message.bid_price  # noqa: B018


def read_float(message: Any) -> None:
    for _ in range(COUNT):
        message.bid_price_float  # noqa: B018


def read_text(message: Any) -> None:
    for _ in range(COUNT):
        message.symbol  # noqa: B018


def read_slot(message: Any) -> None:
    for _ in range(COUNT):
        message.price  # noqa: B018


MESSAGE: Any = binance_sbe.decode(FRAMES[0])
PLAIN = Plain(MESSAGE.bid_price)


def test_attributes_are_the_same() -> None:
    assert MESSAGE.bid_price == PLAIN.bid_price == PLAIN.price


@pytest.mark.benchmark(group="an attribute, the loop included")
@pytest.mark.parametrize(
    ("way", "message"),
    [
        pytest.param(read_int, PLAIN, id="a property in Python, of what is there already"),
        pytest.param(read_slot, PLAIN, id="a slot: the floor"),
        pytest.param(read_int, MESSAGE, id="binance_sbe, an int"),
        pytest.param(read_float, MESSAGE, id="binance_sbe, a scaled float"),
        pytest.param(read_text, MESSAGE, id="binance_sbe, the symbol"),
    ],
)
def test_attributes(benchmark: Any, way: Callable[[Any], None], message: Any) -> None:
    benchmark.extra_info["per"] = COUNT
    benchmark(way, message)
