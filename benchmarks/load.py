"""Whether a feed keeps up: bestBidAsk at a steady rate from another process, for a minute.

    python benchmarks/load.py [RATE [SECONDS]]      (300,000 a second, 60 s)

The server sends what is due every two milliseconds. For batches and messages: how many came, how
much of one core it took, how long frames waited, and how far behind it was when the server had
sent all.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import binance_sbe

HERE = Path(__file__).parent


async def run(url: str, batches: bool, count: int, rate: float) -> dict[str, float]:
    worst = 0.0
    got = 0
    async with binance_sbe.connect("btcusdt@bestBidAsk", url=url, api_key="k") as feed:
        cpu, began = time.thread_time(), time.monotonic()
        if batches:
            async for batch in feed.batches(max_delay=0.02):
                got += len(batch)
                worst = max(worst, (time.monotonic() - began) - got / rate)
                if got == count:
                    break
        else:
            async for _ in feed:
                got += 1
                if not got % 1000:
                    worst = max(worst, (time.monotonic() - began) - got / rate)
                if got == count:
                    break
        took = time.monotonic() - began
        waited = feed.stats.received_to_decoded
        return {
            "events a second": got / took,
            "of one core": (time.thread_time() - cpu) / took,
            "behind at worst, s": worst,
            "behind at the end, s": took - count / rate,
            "waited p99, ms": waited.percentile(99) / 1e6,
            "lost": count - got,
        }


def main() -> None:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 300_000.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    ways = [(True, rate), (True, rate * 10), (False, rate)]
    shown = None
    for batches, wanted in ways:
        count = int(wanted * seconds) // 5000 * 5000
        command = [sys.executable, str(HERE / "burst_server.py"), str(count), str(wanted)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
            found = asyncio.run(run(url, batches, count, wanted))
            server.kill()
        if shown is None:
            shown = list(found)
            print("| feed | asked for, events a second | " + " | ".join(shown) + " |")
            print("|---" * (len(shown) + 2) + "|")
        cells = [
            f"{found[name]:,.0f}" if found[name] >= 100 else f"{found[name]:.3g}" for name in shown
        ]
        way = "batches" if batches else "messages"
        print(f"| {way} | {wanted:,.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
