"""Batches through picows beside websockets and a raw reader, in turns: ratios that bear noise.

.bench-venv/bin/python benchmarks/socket_turns.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from test_socket import by_asyncio, feed, plain, raw, served

FEW, MANY, TURNS = 100_000, 1_000_000, 15


def cpu(way: Callable[[str, int], None], url: str, count: int) -> float:
    """ns of this thread for a message."""
    started = time.thread_time()
    way(url, count)
    return (time.thread_time() - started) / count * 1e9


def main() -> None:
    (few, _), (many, _) = next(few_served := served(FEW, 0)), next(many_served := served(MANY, 0))
    websockets, batches = by_asyncio(plain), by_asyncio(feed("picows", True))
    turns = [
        (cpu(websockets, few, FEW), cpu(batches, many, MANY), cpu(raw, many, MANY))
        for _ in range(TURNS + 1)
    ][1:]
    for name, of in zip(("websockets", "picows, batches", "raw"), zip(*turns, strict=True),
                        strict=True):  # fmt: skip
        print(f"{name}: {statistics.median(of):,.1f} ns")
    for name, ratios in (
        ("websockets / batches", [w / b for w, b, _ in turns]),
        ("batches / raw", [b / r for _, b, r in turns]),
    ):
        low, middle, high = statistics.quantiles(ratios)
        print(f"{name}: {middle:.2f} ({low:.2f} to {high:.2f})")
    few_served.close()
    many_served.close()


if __name__ == "__main__":
    main()
