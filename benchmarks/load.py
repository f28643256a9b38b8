"""Whether a feed keeps up: bestBidAsk at a steady rate from another process, for a minute.

    python benchmarks/load.py [RATE [SECONDS]]      (300,000 a second, 60 s)

The server sends what is due every two milliseconds. For batches, a handler and messages, with
asyncio and without: how many came, how much of one core it took, how long frames waited, and how
far behind it was when the server had sent all.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from pathlib import Path

import binance_sbe
from binance_sbe import sync

HERE = Path(__file__).parent


class EnoughError(Exception):
    """All have come."""


class Watch:
    """What a consumer takes for so many events."""

    def __init__(self, count: int, rate: float) -> None:
        self.count, self.rate = count, rate
        self.got, self.worst = 0, 0.0
        self._cpu, self._began = time.thread_time(), time.monotonic()

    def note(self, events: int) -> None:
        """So many came. EnoughError after the last."""
        self.got += events
        if events > 1 or not self.got % 1000:
            late = (time.monotonic() - self._began) - self.got / self.rate
            self.worst = max(self.worst, late)
        if self.got == self.count:
            raise EnoughError

    def found(self, stats: binance_sbe.Stats) -> dict[str, float]:
        took = time.monotonic() - self._began
        return {
            "events a second": self.got / took,
            "of one core": (time.thread_time() - self._cpu) / took,
            "behind at worst, s": self.worst,
            "behind at the end, s": took - self.count / self.rate,
            "waited p99, ms": stats.received_to_decoded.percentile(99) / 1e6,
            "lost": self.count - self.got,
        }


async def with_asyncio(url: str, way: str, count: int, rate: float) -> dict[str, float]:
    async with binance_sbe.connect("btcusdt@bestBidAsk", url=url, api_key="k") as feed:
        watch = Watch(count, rate)
        with contextlib.suppress(EnoughError):
            if way == "batches":
                async for batch in feed.batches(max_delay=0.02):
                    watch.note(len(batch))
            elif way == "run":
                await feed.run(lambda message: watch.note(1), reuse=True)
            else:
                async for _ in feed:
                    watch.note(1)
        return watch.found(feed.stats)


def without_asyncio(url: str, way: str, count: int, rate: float) -> dict[str, float]:
    with sync.connect("btcusdt@bestBidAsk", url=url, api_key="k") as feed:
        watch = Watch(count, rate)
        with contextlib.suppress(EnoughError):
            if way == "sync batches":
                for batch in feed.batches(max_delay=0.02):
                    watch.note(len(batch))
            elif way == "sync run":
                feed.run(lambda message: watch.note(1), reuse=True)
            else:
                for _ in feed:
                    watch.note(1)
        return watch.found(feed.stats)


def main() -> None:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 300_000.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    names = ("batches", "sync batches", "run", "sync run", "async for", "sync for")
    ways = [*((name, rate) for name in names), ("batches", rate * 10)]
    shown = None
    for way, wanted in ways:
        count = int(wanted * seconds) // 5000 * 5000
        command = [sys.executable, str(HERE / "burst_server.py"), str(count), str(wanted)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
            if way.startswith("sync"):
                found = without_asyncio(url, way, count, wanted)
            else:
                found = asyncio.run(with_asyncio(url, way, count, wanted))
            server.kill()
        if shown is None:
            shown = list(found)
            print("| feed | asked for, events a second | " + " | ".join(shown) + " |")
            print("|---" * (len(shown) + 2) + "|")
        cells = [
            f"{found[name]:,.0f}" if found[name] >= 100 else f"{found[name]:.3g}" for name in shown
        ]
        print(f"| {way} | {wanted:,.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
