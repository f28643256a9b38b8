"""What the histograms of a feed cost: the backlog compiled with and without them, in turns.

.bench-venv/bin/python benchmarks/histogram_cost.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

INTAKE = "binance_sbe/feed/intake/backlog.pyx"
HERE = Path(__file__).resolve().parent
TURNS = 21
WAYS = {"feed, batches": True, "feed, messages": False}


def built(tree: Path, flags: str) -> Path:
    """A copy of the packages in which the backlog is compiled anew."""
    for package in ("binance_sbe", "sbe_codegen"):
        shutil.copytree(HERE.parent / package, tree / package)
    subprocess.run(
        [sys.executable, "-m", "Cython.Build.Cythonize", "-ifq", INTAKE],
        cwd=tree, env=os.environ | {"CFLAGS": f"-O3 {flags}"}, check=True,
    )  # fmt: skip
    return tree


def measured(tree: Path, batches: bool, url: str, count: int) -> float:
    """ns of the receiving thread for a message, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--work", str(int(batches)), url, str(count)],
        env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    home, count_of_one, took = done.stdout.split()
    assert Path(home).is_relative_to(tree), home
    assert int(count_of_one) == (tree.name == "with"), "the other build"
    return float(took)


def work(batches: str, url: str, count: str) -> None:
    """What runs in that process."""
    from socket_turns import cpu
    from test_socket import by_asyncio, feed

    from binance_sbe.feed.intake import backlog

    way = by_asyncio(feed(bool(int(batches))))
    way(url, int(count))
    print(backlog.__file__, counted(), cpu(way, url, int(count)))


def counted() -> int:
    """How many messages the histograms have after one."""
    from data import best_bid_ask_frames

    from binance_sbe.feed.intake.backlog import Backlog
    from binance_sbe.feed.intake.frame_queue import FrameQueue, policies
    from binance_sbe.feed.intake.stats import Stats
    from binance_sbe.feed.intake.streams import Source
    from binance_sbe.feed.ledger import Ledger

    ledger = Ledger()
    backlog = Backlog(Stats(), ledger, FrameQueue(1, policies("block"), ledger), True, lambda: None)
    backlog.put(best_bid_ask_frames(1)[0], 1, Source())
    backlog.next_message()
    return backlog.stats.decoding.count


def main() -> None:
    from test_socket import FEW, MANY, served

    with tempfile.TemporaryDirectory() as scratch:
        plain = built(Path(scratch) / "with", "")
        bare = built(Path(scratch) / "without", "-DSBE_NO_HISTOGRAMS")
        for name, batches in WAYS.items():
            count = MANY if batches else FEW
            servers = served(count, 0)
            url, _ = next(servers)
            turns = [
                (measured(plain, batches, url, count), measured(bare, batches, url, count))
                for _ in range(TURNS)
            ]
            servers.close()
            with_them, without = (statistics.median(of) for of in zip(*turns, strict=True))
            low, middle, high = statistics.quantiles([a / b for a, b in turns])
            print(
                f"{name}: {with_them:,.1f} ns a message, {without:,.1f} without histograms, "
                f"{middle - 1:+.1%} (quartiles {low - 1:+.1%}, {high - 1:+.1%})"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
