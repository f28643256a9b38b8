"""Whatever a server sends and a consumer does, in any order: all comes once, and in order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
import time
from typing import Any

from beside import Beside, Enough, beside, in_thread, nothing_left, until
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from raw_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    accept,
    acknowledge,
    read_frame,
    scripted,
    wire,
)  # fmt: skip
from test_run import trade

from binance_sbe import TradesStreamEvent, sync

TRADES = "btcusdt@trade"
MANY = st.integers(1, 40)


class History(RuleBasedStateMachine):
    """One connection at a time; the server ends it when all that it has sent was taken.

    Ids of trades are 1, 2, 3 ...: `taken` says how many have come.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writers: list[asyncio.StreamWriter] = []
        self.sent = self.taken = self.damaged = self.pings = self.pongs = 0
        self.is_closed = False
        self.stack = contextlib.ExitStack()

    # the server

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        self.pings = self.pongs = 0
        self.writers.append(writer)
        while True:
            kind, payload = await read_frame(reader)
            if kind == TEXT:
                answered = asyncio.StreamReader()
                answered.feed_data(wire(TEXT, payload, mask=b"\0\0\0\0"))
                await acknowledge(answered, writer)
            elif kind == PONG:
                self.pongs += 1
            elif kind == CLOSE:
                writer.write(wire(CLOSE, payload))
                await writer.drain()
                return

    @initialize(max_queue=st.sampled_from([1, 2, 7, 1000]), spin=st.booleans())
    def open(self, max_queue: int, spin: bool) -> None:
        self.stack.enter_context(nothing_left())
        self.server: Beside[str] = self.stack.enter_context(beside(lambda: scripted(self.script)))
        options: Any = {"max_queue": max_queue, "spin": spin, "timeout": 15}
        self.feed = sync.connect(TRADES, url=self.server.made, api_key="k", **options)
        self.stack.enter_context(self.feed)
        until(lambda: self.writers)

    def write(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.server.call(self.writers[-1].write, piece)

    def next_trades(self, count: int) -> list[bytes]:
        self.sent += count
        return [trade(number) for number in range(self.sent - count + 1, self.sent + 1)]

    is_open = precondition(lambda self: not self.is_closed)
    has_sent = precondition(lambda self: self.sent > self.taken)
    has_taken = precondition(lambda self: self.sent == self.taken and not self.is_closed)

    # later pauses between attempts would be long
    is_young = precondition(lambda self: len(self.writers) < 3)

    @is_open
    @rule(count=MANY, places=st.lists(st.integers(0, 3000), max_size=3))
    def send(self, count: int, places: list[int]) -> None:
        data = b"".join(wire(BINARY, frame) for frame in self.next_trades(count))
        marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
        self.write(*(data[a:b] for a, b in itertools.pairwise(marks)))

    @is_open
    @rule(at=st.integers(0, 60), pings=st.booleans())
    def send_in_parts(self, at: int, pings: bool) -> None:
        (frame,) = self.next_trades(1)
        self.pings += pings
        self.write(
            wire(BINARY, frame[:at], fin=False) + (wire(PING, b"amid") if pings else b""),
            wire(CONTINUATION, frame[at:]),
        )

    @is_open
    @rule(count=st.integers(1, 5))
    def ping(self, count: int) -> None:
        self.pings += count
        self.write(wire(PING, b"x") * count)

    @is_open
    @rule()
    def say_something_unknown(self) -> None:
        self.write(wire(TEXT, b'{"what": 1}'))

    def anew(self) -> None:
        """The feed connects again, while somebody waits for a message."""
        known, before = len(self.writers), self.feed.timeout
        self.feed.timeout = 0.02
        end = time.monotonic() + 20
        while len(self.writers) == known:
            assert time.monotonic() < end
            with contextlib.suppress(TimeoutError):
                raise AssertionError(f"{next(self.feed)} was not sent")
        self.feed.timeout = before

    @has_taken
    @is_young
    @rule()
    def end_the_connection(self) -> None:
        self.write(wire(CLOSE, struct.pack(">H", 1001)))
        self.anew()

    @has_taken
    @is_young
    @rule()
    def cut_the_connection(self) -> None:
        self.server.call(self.writers[-1].transport.abort)
        self.anew()

    # the consumer

    def take(self, ids: list[int]) -> None:
        assert ids == list(range(self.taken + 1, self.taken + 1 + len(ids)))
        self.taken += len(ids)

    def wanted(self, count: int) -> int:
        return min(count, self.sent - self.taken)

    @has_sent
    @is_open
    @rule(count=MANY)
    def iterate(self, count: int) -> None:
        for _ in range(self.wanted(count)):
            self.take([int(i) for i in next(self.feed).trades["id"]])

    @has_sent
    @is_open
    @rule(count=MANY, reuse=st.booleans())
    def run_a_handler(self, count: int, reuse: bool) -> None:
        left = self.wanted(count)

        def handler(message: Any) -> None:
            nonlocal left
            self.take([int(i) for i in message.trades["id"]])
            left -= 1
            if left == 0:
                raise Enough

        with contextlib.suppress(Enough):
            self.feed.run(handler, reuse=reuse)
        assert left == 0

    @has_sent
    @is_open
    @rule(size=st.sampled_from([1, 2, 5, 1000]), delay=st.sampled_from([0.0, 0.001]))
    def take_batches(self, size: int, delay: float) -> None:
        """All there is: what is left over would be for other batches only."""
        with contextlib.closing(self.feed.batches(size, delay)) as batches:  # type: ignore[type-var]
            while self.sent > self.taken:
                batch = next(batches)
                assert 1 <= batch.frame_count <= size
                groups = batch[TradesStreamEvent].groups["trades"]
                self.take([int(i) for rows in groups for i in rows["id"]])

    @has_taken
    @rule(way=st.sampled_from(["messages", "batches", "run"]))
    def wait_for_nothing(self, way: str) -> None:
        before, self.feed.timeout = self.feed.timeout, 0.02
        waits = {
            "messages": lambda: next(self.feed), "batches": lambda: next(self.feed.batches()),
            "run": lambda: self.feed.run(print),
        }  # fmt: skip
        end = time.monotonic() + 15
        while True:
            with contextlib.suppress(TimeoutError):
                raise AssertionError(f"{waits[way]()} was not sent")
            if self.pongs == self.pings:  # all are answered, whoever waits
                break
            assert time.monotonic() < end
        self.feed.timeout = before

    @has_taken
    @rule(adds=st.booleans(), elsewhere=st.booleans())
    def ask(self, adds: bool, elsewhere: bool) -> None:
        """Where parts of a message wait for room, the reply behind them is not heard."""
        function = self.feed.subscribe if adds else self.feed.unsubscribe
        if elsewhere:
            thread, got = in_thread(function, "ethusdt@trade")
            thread.join(15)
            assert got == [None]
        else:
            function("ethusdt@trade")
        assert self.feed.streams == [TRADES, "ethusdt@trade"][: 1 + adds]

    @rule()
    def pause(self) -> None:
        time.sleep(0.005)

    @has_taken
    @precondition(lambda self: self.sent > 100)
    @rule()
    def close(self) -> None:
        self.feed.close()
        assert list(self.feed) == []
        self.is_closed = True

    @invariant()
    def counters_agree(self) -> None:
        if not hasattr(self, "feed"):
            return
        feed = self.feed
        assert feed.ledger.holes == []
        assert self.taken + feed.waiting == feed.stats.frames <= self.sent
        assert feed.ledger.damaged_count == feed.stats.rejected == 0

    def teardown(self) -> None:
        if hasattr(self, "feed") and not self.is_closed:
            while self.sent > self.taken:
                self.iterate(1000)
            assert self.feed.stats.frames == self.sent
        self.stack.close()


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=max(20, settings().max_examples // 5), stateful_step_count=30, deadline=None
)
