"""Memory from malloc, which Python does not count: what is let go of is given back, all of it."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from typing import Any

import pytest
import vectors
from test_binance_schemas import SPOT, values_of

import binance_sbe
from binance_sbe import decode, decode_many, spot_sbe
from sbe_codegen.runtime.tables.batch import Collector as BaseCollector


class MallInfo(ctypes.Structure):
    """What glibc's mallinfo2 gives; all are numbers of bytes or of blocks."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


def in_use() -> int:
    found = ctypes.CDLL(None).mallinfo2
    found.restype = MallInfo
    gc.collect()
    info = found()
    return int(info.uordblks + info.hblkhd)


def nested() -> bytes:
    """A message with groups in groups, texts and var data at all levels."""
    return SPOT.encode(
        "ExchangeInfoResponse",
        values_of(SPOT, SPOT.messages["ExchangeInfoResponse"], False, 3),
    )


NESTED = nested()
FRAMES = list(vectors.ALL.values())
MANY = [NESTED] * 5 + [b"bad", NESTED[:-1]]
SYMBOLS = [vectors.BEST_BID_ASK[:-8] + bytes([len(s)]) + s
           for s in (b"%d" % i * (1 + i % 30) for i in range(300)) if len(s) < 256]  # fmt: skip


def taken() -> Any:
    collector = spot_sbe.Collector(on_error="collect")
    for _ in range(2):
        for frame in MANY:
            collector.append(frame)
        collector.take()
    return collector


def unfinished() -> None:
    """Tables that nobody takes, after some that somebody took: they have room already."""
    collector = taken()
    collector.append(NESTED)
    collector.append(b"bad")


def raises_in_the_middle() -> None:
    with pytest.raises(binance_sbe.DecodeError):
        spot_sbe.decode_many(MANY)


def refused() -> None:
    with pytest.raises(TypeError, match="frame 5: a frame is bytes"):
        spot_sbe.decode_many([NESTED] * 5 + [5])


def entries() -> None:
    message = spot_sbe.decode(NESTED)
    for entry in message.symbols:
        entry.to_dict()
    list(message.symbols[::-1])
    spot_sbe.decode(NESTED).symbols[0].filters  # noqa: B018


def floats() -> None:
    message = decode(vectors.DEPTH_SNAPSHOT)
    for _ in range(10):
        message.bids_float["price"].sum()
        decode(vectors.BEST_BID_ASK).astuple_float()


def columns() -> None:
    batch = decode_many(FRAMES)
    for message in batch.tables:
        batch.columns(message)


WORK: list[Callable[[], object]] = [
    lambda: spot_sbe.decode_many(MANY, on_error="collect"),
    lambda: spot_sbe.decode_many(b"".join([NESTED] * 3)),
    lambda: decode_many(SYMBOLS),
    lambda: decode_many(FRAMES * 100),
    lambda: decode_many([b"x"] * 1000, on_error="collect").errors,
    lambda: decode_many([b"x"] * 1000, on_error="collect").rejected,
    taken, unfinished, raises_in_the_middle, refused, entries, floats, columns,
    lambda: [decode(frame).to_dict() for frame in FRAMES],
    lambda: decode(FRAMES[0]).wrap(FRAMES[0]),
]  # fmt: skip


@pytest.mark.skipif(
    "sanitize" in os.environ.get("SBE_BUILD", "") or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="the memory of glibc's malloc is counted",
)
@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_all_memory_is_given_back(work: Callable[[], object]) -> None:
    """Sixty times the least that there is to lose is more than what others keep meanwhile."""
    for _ in range(12):  # what is kept for the next ones is there
        work()
    lost = []
    for _ in range(2):  # now and then something else is kept
        before = in_use()
        for _ in range(60):
            work()
        lost.append(in_use() - before)
    assert min(lost) < 60 * 32


# what is asked for wrongly


def test_the_base_of_collectors_collects_nothing() -> None:
    base = BaseCollector()
    assert len(base) == 0
    for use in (lambda: base.append(FRAMES[0]), base.take):
        with pytest.raises(TypeError, match="this is the base of the Collectors of generated mod"):
            use()


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_table_has_room_for_a_row_at_least(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"capacity is at least 1 row, not {capacity}"):
        binance_sbe.Collector(capacity=capacity)
    assert len(binance_sbe.Collector(capacity=1)) == 0


@pytest.mark.parametrize("on_error", ["", "Raise", None, 5])
def test_errors_are_raised_or_collected(on_error: Any) -> None:
    said = f"on_error is 'raise' or 'collect', not {on_error!r}"
    for make in (
        lambda: binance_sbe.Collector(on_error=on_error),
        lambda: decode_many([], on_error=on_error),
    ):
        with pytest.raises(ValueError, match=said):
            make()


def test_the_error_of_a_rejected_frame_is_by_its_number() -> None:
    rejections = decode_many([b"", FRAMES[0], b"x"], on_error="collect")._source.rejections()
    assert [rejections.error(i).frame for i in range(2)] == [0, 2]
    for index in (-1, 2):
        with pytest.raises(IndexError):
            rejections.error(index)
