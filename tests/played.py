"""A feed's connections with a clock and transports that the test plays."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import vectors
from intake import intake

from binance_sbe.errors import ConnectionLost
from binance_sbe.feed import engine, remarks
from binance_sbe.feed.intake.backlog import Backlog
from binance_sbe.feed.settings import Settings
from binance_sbe.feed.transport import connections
from binance_sbe.feed.transport.connections import Connections

BEGAN = 1_800_000_000.0  # seconds since 1970


class Clock:
    """Stands for the module `time`; moves when it is told to.

    It begins with the true time, which the backlog goes by.
    """

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.set_by = 0.0  # how far the wall clock was set
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return BEGAN + self.now + self.set_by

    def monotonic_ns(self) -> int:
        return int(self.now * 1e9)

    def time_ns(self) -> int:
        return int(self.time() * 1e9)


class FakeAlarm:
    """Rings by the clock of the test."""

    def __init__(self, clock: Clock, rings: Callable[[], object]) -> None:
        self._clock, self._rings = clock, rings
        self._task: asyncio.Task[None] | None = None

    def set(self, seconds: float) -> None:
        self.close()
        self._clock.waits.append(seconds)
        self._task = asyncio.create_task(self._ring(self._clock.now + seconds))

    async def _ring(self, until: float) -> None:
        while self._clock.now < until:
            await asyncio.sleep(0)
        self._rings()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()


class FakeTransport:
    """What is called is noted; what happens is told by the test."""

    made: list[FakeTransport]

    def __init__(
        self,
        backlog: Backlog,
        source: Any,
        on_text: Callable[[str], object],
        on_sign: Callable[[], object],
        on_lost: Callable[[int | None, str], object],
        on_drained: Callable[[], object],
    ) -> None:
        self.backlog, self.line = backlog, source
        self.on_text, self.on_sign, self.on_lost = on_text, on_sign, on_lost
        self.on_drained = on_drained
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked: tuple[Any, ...] = ()
        self.sent: list[dict[str, Any]] = []
        self.calls: list[str] = []  # in order
        self.is_drained = True
        self.is_whole = False
        self.can_send = True
        self.error: Exception | None = None  # of whatever is called next
        self.made.append(self)

    async def open(self, *asked: Any) -> None:
        self.asked = asked
        try:
            await self.opened
        except asyncio.CancelledError:
            self.calls.append("cancelled")
            raise

    def send(self, text: str) -> None:
        if not self.can_send:
            raise ConnectionLost(None, "the connection has ended")
        self.sent.append(json.loads(text))

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.error is not None:
            raise self.error

    def ping(self) -> None:
        self._called("ping")

    def finish(self) -> None:
        self._called("finish")

    def resume(self) -> None:
        self._called("resume")

    async def close(self) -> None:
        self._called("close")

    def abort(self) -> None:
        """Nothing is open here."""

    # what the exchange does

    def accept(self) -> None:
        """Acknowledges all requests."""
        for body in self.sent:
            self.on_text(json.dumps({"result": None, "id": body["id"]}))
        self.sent.clear()

    def bring(self, number: int, late: float = 0.0) -> None:
        """A trade with this id, ``late`` seconds after its event."""
        clock = engine.time
        at = int((clock.time() - late) * 1e6)
        frame = (
            vectors.TRADES[:8] + at.to_bytes(8, "little") + vectors.TRADES[16:32]
            + number.to_bytes(8, "little") + vectors.TRADES[40:]
        )  # fmt: skip
        self.backlog.put(frame, clock.time_ns(), self.line)


async def turns(count: int = 30) -> None:
    """Lets everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


class Played:
    """Connections of ``btcusdt@trade``, not yet started."""

    def __init__(self, clock: Clock, max_queue: int = 1000, **options: Any) -> None:
        self.clock = clock
        self.woken = 0
        self.ledger, self.backlog = intake(max_queue, wake=self.wake)
        self.stats = self.backlog.stats
        self.connections = Connections("ws://x/ws", self.backlog, self.ledger, Settings(**options))
        self.engine = self.connections.engine
        self.transports: list[FakeTransport] = []

    def wake(self) -> None:
        self.woken += 1

    async def passes(self, seconds: float) -> None:
        """Time goes by in small steps, and everything runs that is due."""
        end = self.clock.now + seconds
        while self.clock.now < end - 1e-9:
            self.clock.now = min(self.clock.now + 0.25, end)
            await turns(8)

    async def started(self, count: int = 1) -> Played:
        """With as many connections as there are lines, each of which is up."""
        self.connections.start("the key")
        task = asyncio.create_task(self.connections.subscribe(["btcusdt@trade"]))
        await turns()
        assert len(self.transports) == count
        for each in self.transports:
            each.opened.set_result(None)
        await turns()
        for each in self.transports:
            each.accept()
        await task
        return self

    async def taken_over(self) -> FakeTransport:
        """A renewal, up to where the new connection is up."""
        self.engine.renew()
        await turns()
        await self.passes(0.25)
        new = self.transports[-1]
        new.opened.set_result(None)
        await turns()
        new.accept()
        return new


def playing(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[Played], Awaitable[None]], **options: Any
) -> None:
    clock = Clock()
    monkeypatch.setattr(engine, "time", clock)
    monkeypatch.setattr(remarks, "time", clock)
    monkeypatch.setattr(connections, "Alarm", lambda loop, rings: FakeAlarm(clock, rings))
    monkeypatch.setattr(connections, "Transport", FakeTransport)

    async def main() -> None:
        played = Played(clock, **options)
        FakeTransport.made = played.transports
        try:
            async with asyncio.timeout(20):
                await work(played)
        finally:
            for each in played.transports:
                each.error = None
                if not each.opened.done():
                    each.opened.cancel()
            await played.connections.close()

    asyncio.run(main())
