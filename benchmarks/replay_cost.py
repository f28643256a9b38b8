"""What it costs to play a tape of bestBidAsk, by batches and by handlers.

    .venv/bin/python benchmarks/replay_cost.py [FRAMES]      (600,000 bestBidAsk of 400 symbols)

What is played is proved to be what was recorded before anything is timed. All is in one thread, and
the figures are of its CPU. The floor is `decode_many` over the same frames in one buffer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tape_cost import ROUNDS, TOGETHER, arrow_rows, blocks, data, recording, said, timed

import binance_sbe
from binance_sbe import sync
from binance_sbe.tape import Tape


class Counting:
    """A handler of Python's that does as little as one can."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, message: Any) -> None:
        self.count += 1


def by_batches(tape: Path, size: int = 10_000) -> int:
    with sync.replay(tape) as feed:
        return sum(len(batch) for batch in feed.batches(size))


def by_batches_of_asyncio(tape: Path, size: int = 10_000) -> int:
    async def work() -> int:
        count = 0
        async with binance_sbe.replay(tape) as feed:
            async for batch in feed.batches(size):
                count += len(batch)
        return count

    return asyncio.run(work())


def by_run(tape: Path, reuse: bool = True) -> int:
    handler = Counting()
    with sync.replay(tape) as feed:
        feed.run(handler, reuse=reuse)
    return handler.count


def by_run_of_asyncio(tape: Path) -> int:
    handler = Counting()

    async def work() -> None:
        async with binance_sbe.replay(tape) as feed:
            await feed.run(handler, reuse=True)

    asyncio.run(work())
    return handler.count


def by_messages(tape: Path) -> int:
    with sync.replay(tape) as feed:
        return sum(1 for _ in feed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=int, nargs="?", default=600_000)
    count = parser.parse_args().frames
    frames = data.best_bid_ask_frames(count, symbols=400)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"pyarrow {pa.__version__}, {count:,} frames of {len(frames[0])} bytes\n")  # fmt: skip
    pieces = blocks(frames)
    place, plain = (recording(pieces, count, compression=each)[0] for each in ("zstd", None))
    tape, plain_tape = place / "tape", plain / "tape"

    with sync.replay(tape) as feed:
        assert [bytes(message) for message in feed] == frames
    seen: list[bytes] = []
    with sync.replay(plain_tape) as feed:
        feed.run(lambda message: seen.append(bytes(message)), reuse=True)
    assert seen == frames
    kind = binance_sbe.BestBidAskStreamEvent
    with sync.replay(tape) as feed:
        ids = [batch[kind].records["book_update_id"] for batch in feed.batches()]
    expected = binance_sbe.decode_many(frames)[kind].records["book_update_id"]
    assert (np.concatenate(ids) == expected).all()

    buffers = []
    for begin in range(0, count, TOGETHER):
        some = frames[begin : begin + TOGETHER]
        ends = np.concatenate([[0], np.cumsum([len(f) for f in some])]).astype(np.int64)
        buffers.append((b"".join(some), ends))
    ways: dict[str, Callable[[], int]] = {
        "decode_many": lambda: sum(len(binance_sbe.decode_many(each)) for each in buffers),
        "Arrow's own reading": lambda: arrow_rows(place, count),
        "Tape.batches": lambda: sum(map(len, Tape(tape).batches())),
        "Tape.batches, not compressed": lambda: sum(map(len, Tape(plain_tape).batches())),
        "replay by batches, not compressed": lambda: by_batches(plain_tape),
        "replay by run, reuse, not compressed": lambda: by_run(plain_tape),
        "replay by batches": lambda: by_batches(tape),
        "replay by batches, asyncio": lambda: by_batches_of_asyncio(tape),
        "replay by run, reuse": lambda: by_run(tape),
        "replay by run, reuse, asyncio": lambda: by_run_of_asyncio(tape),
        "replay by run": lambda: by_run(tape, reuse=False),
        "replay by iteration": lambda: by_messages(tape),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(timed(way, count))
    for name, values in times.items():
        said(name, values, "ns a frame")
    for name in (each for each in ways if "batches" in each or "reuse" in each):
        rates = [1e3 / each for each in times[name]]
        said(name, rates, "million a second")
    for each in (place, plain):
        shutil.rmtree(each)


if __name__ == "__main__":
    main()
