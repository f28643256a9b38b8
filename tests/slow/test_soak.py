"""A long run of everything that can go wrong. SOAK_SECONDS=3600 for an hour of it.

Two shards of two lines each, renewed every few seconds; a consumer that stops and starts, takes
messages and batches in turns, and batches of other sizes each time. What came is compared with
what was published while it runs, so that memory stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import sys
import time
from collections import Counter, deque
from contextlib import aclosing
from typing import Any

import pytest
from recorded import plain, streams
from rss import memory
from test_recovery import frame_of, ids_of

import binance_sbe
from binance_sbe.feed.ledger import Ledger
from binance_sbe.feed.protocol import shards
from binance_sbe.feed.transport.websocket import Transport
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.faults import KINDS

SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))
SETTLED = 20.0  # seconds after which an event has come, or is in a hole
MOST_SETTLED = 20_000
GROWTH = 12 * 2**20
SYMBOLS = ("btcusdt", "ethusdt")
STREAMS = [name for symbol in SYMBOLS for name in streams(symbol)]


class Account(Exchange):
    """An exchange that compares what it has published with what came."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SYMBOLS, **options)
        for market in self.markets.values():
            market.history = deque(maxlen=100)  # memory is to be that of the feed
        self.open: dict[bytes, tuple[float, str, bool]] = {}  # published, and not come yet
        self.latest: dict[str, float] = {}  # by stream, when the latest that came was published
        self.settled: dict[bytes, tuple[str, int, float, str]] = {}  # counted as missing, lately
        self.missing: Counter[str] = Counter()  # ids
        self.came = 0
        self.pauses = True  # of the consumer's

    def send(self, stream: str, frame: bytes) -> None:
        now = time.monotonic()
        culls = any(now < each.wire.culls_until for each in self._connections.values())
        self.open[frame] = now, stream, culls
        super().send(stream, frame)

    def take(self, frame: bytes) -> None:
        """One frame came: it was sent, and did not come before.

        What was counted as missing may come yet where the machine is busy: then it is not missing
        any more, and the ledger has to say so, too.
        """
        if frame in self.settled:
            counted, ids, at, stream = self.settled.pop(frame)
            self.missing[counted] -= ids
        elif frame in self.open:
            at, stream, _ = self.open.pop(frame)
        else:
            raise AssertionError(f"{binance_sbe.decode(frame)}: was never sent, or came before")
        self.came += 1
        is_first = stream not in self.latest
        self.latest[stream] = max(at, self.latest.get(stream, at))
        if is_first:
            for each in [f for f, (_, name, _) in self.open.items() if name == stream]:
                if ids_of(binance_sbe.decode(each)) < ids_of(binance_sbe.decode(frame)):
                    del self.open[each]  # sent before the feed was there

    def settle(self, ledger: Ledger, age: float) -> None:
        """What has not come for so long, though later events of its stream have, is in a hole."""
        now = time.monotonic()
        for frame, (at, stream, culls) in list(self.open.items()):
            if now - at <= age:
                break
            if self.latest.get(stream, at) <= at:
                continue  # nobody can know yet: the feed may be without a connection
            first, last = ids_of(binance_sbe.decode(frame))
            holes = [h for h in ledger.holes if h.stream == stream]
            counted, ids = stream, last - first + 1
            if not any(h.last_before < first and last < h.first_after for h in holes):
                if stream.endswith(("trade", "depth")):
                    if age >= 0:
                        continue  # it was late, and waits for the consumer: the end will tell
                    raise AssertionError(f"{stream}: {first} to {last} came never, and in no hole")
                counted, ids = "stale", int(not culls and not stream.endswith("depth20"))
            del self.open[frame]
            self.missing[counted] += ids
            self.settled[frame] = counted, ids, at, stream
            if len(self.settled) > MOST_SETTLED:
                del self.settled[next(iter(self.settled))]


async def blocks(feed: binance_sbe.Feed, exchange: Account) -> tuple[int, int]:
    """Events that came, and blocks of Python's memory, at a moment when little is under way."""
    exchange.pauses = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(exchange.open) > 20 or feed.waiting > 20:
                await asyncio.sleep(0.01)
    gc.collect()
    exchange.pauses = True
    return exchange.came, sys.getallocatedblocks() - 3 * len(exchange.open) - 4 * len(
        exchange.settled
    )


@pytest.mark.long
@pytest.mark.timeout(int(SECONDS) + 240)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_run_loses_nothing_that_the_ledger_does_not_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shards, "MAX_STREAMS", 4)

    async def work() -> None:
        faults = [name for name in KINDS if name != "silence"]
        lifetime = 5.0 if SECONDS < 60 else 8.0
        async with Account(
            rate=300, faults=faults, fault_seconds=1.0, seed=int(SECONDS), lifetime=lifetime
        ) as exchange:
            feed = binance_sbe.connect(
                *STREAMS, url=exchange.url, api_key="k", lines=2, on_error="collect",
                renew_after=0.7 * lifetime, reply_timeout=2.0, silence_timeout=5.0, max_queue=2000,
            )  # fmt: skip
            async with feed:
                began = time.monotonic()
                sizes: list[int] = []
                early: tuple[int, int] | None = None
                task = asyncio.create_task(take_all(feed, exchange))
                while (passed := time.monotonic() - began) < SECONDS:
                    await asyncio.sleep(min(5.0, SECONDS - passed))
                    exchange.settle(feed.ledger, SETTLED)
                    assert not task.done() or task.result()
                    sizes.append(memory())
                    early = early or await blocks(feed, exchange)
                exchange.fault_schedule.names = []
                exchange._next_reply = ""
                await asyncio.sleep(12.0)
                late = await blocks(feed, exchange)
                alive = sum(isinstance(each, Transport) for each in gc.get_objects())
                exchange.rate = 1e-9
                await asyncio.sleep(3.0)
                await feed.close()
                await task
            exchange.settle(feed.ledger, -1.0)
        ledger = feed.ledger
        for name in (n for n in STREAMS if n.endswith(("@trade", "@depth"))):
            listed = sum(hole.ids for hole in ledger.holes if hole.stream == name)
            assert exchange.missing[name] == listed == ledger.streams[name].lost, name
        odd = sum(ledger.streams[name].out_of_order for name in STREAMS)
        assert exchange.missing["stale"] <= odd
        assert set(ledger.streams) == set(STREAMS)
        assert exchange.came > 100 * SECONDS
        causes = [each.cause for each in ledger.connections]
        assert causes.count("renewed") >= 2
        done = Counter(name for _, name in exchange.fault_schedule.done)
        print(f"{exchange.came:,} events, {len(causes)} connections, {done}, {ledger}")
        assert early is not None
        events, growth = (after - before for before, after in zip(early, late, strict=True))
        print(f"memory: {growth:,} blocks more after {events:,} events; {alive} transports")
        assert alive <= 3 * 4  # two shards of two lines, each with its successor and the one before
        assert growth < 4000 + events // 4  # of less than a block for each event
        if SECONDS >= 120:
            settled = sizes[len(sizes) // 3]
            print(f"memory: {settled / 2**20:.0f} MiB, then {sizes[-1] / 2**20:.0f} MiB")
            assert sizes[-1] - settled < GROWTH

    asyncio.run(work())


async def take_all(feed: binance_sbe.Feed, exchange: Account) -> None:
    """Takes everything, in turns of other kinds, with pauses between them."""
    chance = random.Random(5)
    while True:
        turn = [0]
        # Rows that are left over are for batches only, and would come after later messages.
        if chance.random() < 0.5 and not feed._backlog.batches.rows:
            until = chance.randrange(1, 300)
            async for message in feed:
                exchange.take(plain(bytes(message)))
                turn[0] += 1
                if turn[0] == until:
                    break
        else:
            size, until = chance.choice([1, 7, 200, 5000]), chance.randrange(1, 30)
            async with aclosing(feed.batches(max_messages=size, max_delay=0.01)) as batches:
                async for batch in batches:
                    assert 0 < batch.frame_count <= size
                    rows = [
                        (int(row["frame"]), frame_of(table, i))
                        for table in batch.tables.values()
                        for i, row in enumerate(table.records)
                    ]
                    for _, frame in sorted(rows):
                        exchange.take(plain(frame))
                    turn[0] += 1
                    if turn[0] == until:
                        break
        if feed._connections.engine.is_over and not feed.waiting:
            return
        is_over = feed._connections.engine.is_over
        if chance.random() < 0.2 and exchange.pauses and not is_over:
            await asyncio.sleep(chance.choice([0.05, 0.5, 2.0]))
