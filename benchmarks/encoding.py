"""Encoding as a multiple of its floors: `struct.pack`, and memcpy of the bytes that come out.

    .venv/bin/python benchmarks/encoding.py
    .venv/bin/python benchmarks/encoding.py --rounds 30

Each way is proved to make the bytes that `struct` makes before it is timed. What is compared takes
turns, and the best of each round counts: ratios of quiet moments. CPU time of this thread.
"""

from __future__ import annotations

import argparse
import platform
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

try:
    from memcpy_loops import Floor
except ImportError:
    compiling = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-q"]
    subprocess.run([*compiling, HERE / "memcpy_loops.pyx"], check=True)
    from memcpy_loops import Floor

from binance_sbe import spot_stream  # noqa: E402

Way = Callable[[int], object]
ROWS = 100_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDC", "SOLUSDT")
Best: Any = spot_stream.BestBidAskStreamEvent
Diff: Any = spot_stream.DepthDiffStreamEvent
buffer = bytearray(1 << 14)


def best_by_keywords(calls: int = 1) -> bytes:
    made = b""
    encode = Best.encode
    for _ in range(calls):
        made = encode(
            event_time=1735689600000123,
            book_update_id=400900217,
            price_exponent=-2,
            qty_exponent=-8,
            bid_price=9412345,
            bid_qty=31210000,
            ask_price=9412346,
            ask_qty=40660000,
            symbol="BTCUSDT",
        )
    return made


def best_by_struct(calls: int = 1) -> bytes:
    made = b""
    pack = struct.pack
    for _ in range(calls):
        made = pack(
            "<HHHHqqbbqqqqB7s", 50, 10001, 1, 0, 1735689600000123, 400900217, -2, -8,
            9412345, 31210000, 9412346, 40660000, 7, b"BTCUSDT",
        )  # fmt: skip
    return made


def levels(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    made = np.zeros(200, Diff.BIDS_DTYPE)
    made["price"] = rng.integers(1, 10**9, 200)
    made["qty"] = rng.integers(0, 10**12, 200)
    return made


BIDS, ASKS = levels(1), levels(2)


def diff_into(calls: int = 1) -> int:
    size = 0
    encode_into, target, bids, asks = Diff.encode_into, buffer, BIDS, ASKS
    for _ in range(calls):
        size = encode_into(
            target, 0, event_time=1735689600000123, first_book_update_id=1,
            last_book_update_id=2, price_exponent=-2, qty_exponent=-8, bids=bids, asks=asks,
            symbol="BTCUSDT",
        )  # fmt: skip
    return size


def diff_by_struct() -> bytes:
    sides = b"".join(
        struct.pack("<HH", 16, 200) + b"".join(struct.pack("<qq", *row) for row in side.tolist())
        for side in (BIDS, ASKS)
    )
    head = struct.pack("<HHHHqqqbb", 26, 10003, 1, 0, 1735689600000123, 1, 2, -2, -8)
    return head + sides + b"\x07BTCUSDT"


def row_by_struct(i: int) -> bytes:
    return struct.pack(
        "<HHHHqqbbqqqqB7s", 50, 10001, 1, 0, 1735689600000123 + i, 400900217 + i, -2, -8,
        9412345 + i % 99, 31210000, 9412346 + i % 99, 40660000 + i, 7, SYMBOLS[i % 4].encode(),
    )  # fmt: skip


def timed(way: Way, calls: int) -> float:
    """Nanoseconds of CPU time a call; ``way`` calls as often as it is told."""
    start = time.thread_time_ns()
    way(calls)
    return (time.thread_time_ns() - start) / calls


def compared(ours: Way, floor: Way, calls: int, rounds: int) -> tuple[float, float]:
    """The best of each, in nanoseconds a call."""
    best = [float("inf")] * 2
    for _ in range(rounds):
        for i, way in enumerate((ours, floor)):
            best[i] = min(best[i], timed(way, calls))
    return best[0], best[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")

    assert best_by_keywords() == best_by_struct()
    ours, floor = compared(best_by_keywords, best_by_struct, 2000, rounds)
    print(f"bestBidAsk by keywords: {ours / floor:.2f} x struct.pack (at most 3)")

    size = diff_into()
    frame = bytes(buffer[:size])
    assert frame == diff_by_struct()
    memory = Floor(len(frame))
    ours, floor = compared(diff_into, lambda n: memory.copy_again(frame, n), 500, rounds)
    print(
        f"diff of 200 + 200 levels into a buffer: {ours:.0f} ns for {size} bytes, memcpy "
        f"{floor:.0f} ns (at most 1.5 x + 300: {1.5 * floor + 300:.0f})"
    )

    run = b"".join(row_by_struct(i) for i in range(ROWS))
    offsets = np.arange(0, len(run) + 1, len(run) // ROWS)
    table = spot_stream.decode_many((run, offsets))[Best]
    made = spot_stream.encode_many(Best, table)
    assert made[0].tobytes() == run
    assert made[1].tolist() == offsets.tolist()
    del made
    memory = Floor(len(run))

    def many(calls: int) -> None:
        for _ in range(calls):
            spot_stream.encode_many(Best, table)

    def copied(calls: int) -> None:
        for _ in range(calls):
            memory.copy_run(run, offsets)

    ours, floor = compared(many, copied, 3, rounds)
    print(
        f"encode_many of {ROWS} bestBidAsk: {ours / ROWS:.1f} ns a row, "
        f"{ours / floor:.2f} x memcpy of each frame (at most 2)"
    )


if __name__ == "__main__":
    main()
