"""One end of a link: an exchange that keeps what it has published, or a feed that keeps what came.

Each writes what it knows to a file when its standard input says so.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from recorded import STREAMS, Recorded

import binance_sbe


async def line_of_input() -> str:
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


async def exchange(host: str, port: int, path: Path) -> None:
    """Stops publishing at the first line; the connections stay open until it is killed."""
    async with Recorded(host=host, port=port, rate=150.0, ping_interval=1.0) as exchange:
        print("ready", flush=True)
        await line_of_input()
        exchange.is_over = True
        path.write_bytes(pickle.dumps(exchange.published))
        print("over", flush=True)
        await asyncio.Event().wait()


async def feed(url: str, lines: int, path: Path) -> None:
    options: Any = {"url": url, "api_key": "k", "lines": lines}
    frames: list[bytes] = []
    async with binance_sbe.connect(
        *STREAMS, silence_timeout=2.0, open_timeout=2.0, reply_timeout=4.0, give_up_after=None,
        **options,
    ) as feed:  # fmt: skip
        for slot in feed._connections.engine.supervisor.shards.slots:
            slot.backoff.longest = 1.0

        async def consume() -> None:
            async for message in feed:
                frames.append(bytes(message))

        task = asyncio.create_task(consume())
        print("ready", flush=True)
        while (said := await line_of_input()) not in ("", "end"):
            count = len(frames)
            if said == "flows":  # something has come of every line since
                while not feed._connections.engine.supervisor.is_whole or len(frames) == count:
                    await asyncio.sleep(0.05)
            print(len(frames), flush=True)
        await feed.close()
        await task
    ledger = feed.ledger
    holes = [(h.stream, h.last_before, h.first_after, h.cause) for h in ledger.holes]
    counters = {
        name: {each: getattr(stream, each) for each in ("lost", "out_of_order", "late", "frames")}
        for name, stream in ledger.streams.items()
    }
    causes = [each.cause for each in ledger.connections]
    path.write_bytes(pickle.dumps((frames, holes, counters, causes)))


role, *rest = sys.argv[1:]
if role == "exchange":
    asyncio.run(exchange(rest[0], int(rest[1]), Path(rest[2])))
else:
    asyncio.run(feed(rest[0], int(rest[1]), Path(rest[2])))
