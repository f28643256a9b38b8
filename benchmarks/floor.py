"""`decode_many` as a multiple of its floor, a loop of memcpy in C over the same frames, in turns.

    .venv/bin/python benchmarks/floor.py
    .venv/bin/python benchmarks/floor.py --rounds 30 -k bestBidAsk

The floor copies into memory that was written before; `memcpy_loops.pyx` is compiled once.
All rows are proved to be what an oracle reads in the frames. It needs no rivals.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
ROUNDS = 15
CALLS = 5  # of each way in a round, in turns; the median of them counts

try:
    from memcpy_loops import Floor
except ImportError:
    compiling = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-q"]
    subprocess.run([*compiling, HERE / "memcpy_loops.pyx"], check=True)
    from memcpy_loops import Floor

import batch_data  # noqa: E402

import binance_sbe  # noqa: E402

Way = Callable[[], object]


def frames_of() -> dict[str, Callable[[], list[bytes]]]:
    return {
        "bestBidAsk, one symbol": lambda: batch_data.best_bid_asks(100_000),
        "bestBidAsk, 400 symbols": lambda: batch_data.best_bid_asks(100_000, 400),
        "diffs of 200 + 200 levels": lambda: batch_data.diffs(2_000),
        "depth20": lambda: batch_data.depth20s(20_000),
        "single trades": lambda: batch_data.trades(100_000),
    }


def ways(frames: list[bytes]) -> dict[str, tuple[Way, Way]]:
    """The floor and ours, for each form of input; what they read is proved first."""
    batch_data.prove_all(frames)
    run: Any = batch_data.run_of(frames)
    floor = Floor(len(run[0]))
    for copied in (floor.copy_list(frames), floor.copy_run(*run)):
        assert copied == len(run[0])
        assert floor.copied(copied) == run[0]
    return {
        "list": (lambda: floor.copy_list(frames), lambda: binance_sbe.decode_many(frames)),
        "buffer + offsets": (lambda: floor.copy_run(*run), lambda: binance_sbe.decode_many(run)),
    }


def taken(way: Way) -> int:
    start = time.perf_counter_ns()
    way()
    return time.perf_counter_ns() - start


def one_round(floor: Way, ours: Way) -> tuple[float, float]:
    both = [(taken(floor), taken(ours)) for _ in range(CALLS)]
    return statistics.median(a for a, _ in both), statistics.median(b for _, b in both)


def row(name: str, form: str, count: int, rounds: list[tuple[float, float]]) -> str:
    floor, ours = (statistics.median(of) / count for of in zip(*rounds, strict=True))
    low, middle, high = statistics.quantiles([b / a for a, b in rounds])
    digits = 0 if floor > 100 else 1
    return (
        f"| {name} | {form} | {floor:.{digits}f} | {ours:.{digits}f} | {middle:.2f} "
        f"| {low:.2f} to {high:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="at least two")
    parser.add_argument("-k", default="", help="only inputs with this in their names")
    given = parser.parse_args()
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores "
        f"of {platform.machine()}; ns a message, medians of {given.rounds} rounds in turns; ratio, "
        f"quartiles.\n"
    )
    print("| messages | from | floor, ns | ns | ratio | quartiles |\n|---|---|---|---|---|---|")
    for name, make in frames_of().items():
        if given.k not in name:
            continue
        frames = make()
        gc.collect()
        for form, (floor, ours) in ways(frames).items():
            one_round(floor, ours)  # caches fill, memory is taken
            rounds = [one_round(floor, ours) for _ in range(given.rounds)]
            print(row(name, form, len(frames), rounds), flush=True)


if __name__ == "__main__":
    main()
