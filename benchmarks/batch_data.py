"""What tables are timed with: lists of frames, buffers with offsets, and an oracle of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from data import best_bid_ask_frames, big_diff_frame, depth20_frames, single_trade_frames

import binance_sbe

Run = tuple[bytes, Any]
Levels = list[tuple[int, ...]]

# The root block of each template, and the entries of its groups (schemas/stream_1_0.xml), by hand.
LAYOUTS = {
    10000: ("<qqbb", ["<qqqB"]),
    10001: ("<qqbbqqqq", []),
    10002: ("<qqbb", ["<qq", "<qq"]),
    10003: ("<qqqbb", ["<qq", "<qq"]),
}
GROUP_SIZES = {10000: "<HI", 10002: "<HH", 10003: "<HH"}


def apart(frames: list[bytes], count: int) -> list[bytes]:
    """That many frames, each an object of its own."""
    return [bytes(bytearray(frames[i % len(frames)])) for i in range(count)]


def run_of(frames: list[bytes]) -> Run:
    """One buffer, and the offsets in it."""
    return b"".join(frames), np.cumsum([0, *map(len, frames)], dtype=np.int64)


def best_bid_asks(count: int, symbols: int = 1) -> list[bytes]:
    return apart(best_bid_ask_frames(min(count, 20_000), symbols), count)


def diffs(count: int) -> list[bytes]:
    return apart([big_diff_frame(200)], count)


def depth20s(count: int) -> list[bytes]:
    return apart(depth20_frames(min(count, 2_000)), count)


def trades(count: int) -> list[bytes]:
    return apart(single_trade_frames(min(count, 2_000)), count)


def read(frame: bytes) -> tuple[tuple[int, ...], list[Levels], str]:
    """The root fields, the entries of each group and the symbol, by ``struct``."""
    _, template, _, _ = struct.unpack_from("<HHHH", frame)
    root, groups = LAYOUTS[template]
    values = struct.unpack_from(root, frame, 8)
    at = 8 + struct.calcsize(root)
    entries: list[Levels] = []
    for entry in groups:
        _, count = struct.unpack_from(GROUP_SIZES[template], frame, at)
        at += struct.calcsize(GROUP_SIZES[template])
        size = struct.calcsize(entry)
        entries.append(list(struct.iter_unpack(entry, frame[at : at + count * size])))
        at += count * size
    return values, entries, frame[at + 1 : at + 1 + frame[at]].decode()


def rows_of(table: Any) -> Iterator[tuple[tuple[int, ...], list[Levels], str]]:
    """The same of each row of a table."""
    for i, row in enumerate(table.records.tolist()):
        entries = [group[i].tolist() for group in table.groups.values()]
        yield row[1:-1], entries, table.symbols[row[-1]]


def prove(frames: Sequence[bytes], batch: Any) -> None:
    """AssertionError where a row is not what the oracle reads in its frame."""
    table = batch[type(binance_sbe.decode(frames[0]))]
    assert len(batch) == len(table) == len(frames)
    assert (table.records["frame"] == np.arange(len(frames))).all()
    for i, (frame, row) in enumerate(zip(frames, rows_of(table), strict=True)):
        assert row == read(frame), f"frame {i}: {row}, and not {read(frame)}"


def prove_all(frames: list[bytes]) -> None:
    """`decode_many` of the list, and of the buffer with offsets."""
    prove(frames, binance_sbe.decode_many(frames))
    prove(frames, binance_sbe.decode_many(run_of(frames)))
