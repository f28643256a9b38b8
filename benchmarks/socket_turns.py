"""A feed beside websockets, picows and a raw reader, in turns: ratios that bear noise.

.bench-venv/bin/python benchmarks/socket_turns.py
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from test_socket import by_asyncio, feed, picows_callback, plain, raw, served

FEW, MANY, TURNS = 100_000, 1_000_000, 15


def cpu(way: Callable[[str, int], None], url: str, count: int) -> float:
    """ns of this thread for a message."""
    started = time.thread_time()
    way(url, count)
    return (time.thread_time() - started) / count * 1e9


WAYS = {
    "raw": (raw, True),
    "feed, batches": (by_asyncio(feed(True)), True),
    "feed, messages": (by_asyncio(feed(False)), False),
    "picows, decode of each": (by_asyncio(picows_callback), False),
    "websockets, decode of each": (by_asyncio(plain), False),
}
RATIOS = (
    ("feed, batches", "raw"),
    ("websockets, decode of each", "feed, batches"),
    ("feed, messages", "picows, decode of each"),
    ("websockets, decode of each", "feed, messages"),
)


def main() -> None:
    (few, _), (many, _) = next(few_served := served(FEW, 0)), next(many_served := served(MANY, 0))
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(turns + 1):
        for name, (way, is_many) in WAYS.items():
            found[name].append(cpu(way, *((many, MANY) if is_many else (few, FEW))))
    for times in found.values():
        del times[0]  # which warmed up
    for name, times in found.items():
        print(f"{name}: {statistics.median(times):,.1f} ns")
    for one, other in RATIOS:
        ratios = [a / b for a, b in zip(found[one], found[other], strict=True)]
        low, middle, high = statistics.quantiles(ratios)
        print(f"{one} / {other}: {middle:.2f} ({low:.2f} to {high:.2f})")
    few_served.close()
    many_served.close()


if __name__ == "__main__":
    main()
