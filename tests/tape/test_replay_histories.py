"""Histories of connections, recorded without sockets, come again however they are consumed."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from feeds import NOW, best, trade
from hypothesis import given, settings
from hypothesis import strategies as st
from intake import intake
from told import ledger_lines

from binance_sbe import sync
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.ledger import ConnectionRecord
from binance_sbe.tape import Recorder, Recording

NAMES = ("btcusdt@trade", "btcusdt@bestBidAsk")
MILLISECOND = 10**6

steps = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), st.integers(0, 3), st.integers(0, 1), st.integers(-3, 4)),
        st.tuples(st.just("frame"), st.integers(0, 3), st.integers(0, 1), st.just(1)),
        st.tuples(st.just("damaged"), st.integers(0, 3)),
        st.tuples(st.just("stray"), st.integers(0, 3)),
        st.tuples(st.just("open"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("forget"), st.integers(0, 1)),
        st.tuples(st.just("ask"), st.integers(0, 1)),
        st.tuples(st.just("release"), st.integers(0, 2_000)),
        st.tuples(st.just("text"), st.integers(0, 3)),
        st.tuples(st.just("time"), st.integers(-5, 500)),
    ),
    min_size=1,
    max_size=60,
)


class History:
    """What an engine does to the intake and tells the recorder, by hand."""

    def __init__(self, path: Path, rows: int, rotate: float) -> None:
        self.ledger, self.backlog = intake(64)
        self.arbiter = self.backlog.arbiter
        self.asked: dict[str, None] = {}
        self.recorder = Recorder(
            Recording(path, min_free=0, batch_rows=rows, rotate_seconds=rotate, durability="os")
        )
        self.recorder.begin("ws://x:1", [], self.backlog, self.ledger)
        self.ledger.recorder = self.recorder
        self.backlog.tap = self.recorder.tap
        self.arbiter.directory.is_wanted = lambda name: name in self.asked
        self.lines: dict[int, ConnectionRecord] = {}
        self.number = 0
        self.now = NOW
        self.ids = [100, 100]
        self.frames: list[bytes] = []
        for which in (0, 1):
            self.ask(which)

    def do(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])
        self.take()

    def take(self) -> None:
        queue = self.backlog.frames
        while queue:
            self.frames.append(queue.popleft()[0])

    def source(self, slot: int) -> Source | None:
        return self.lines[slot].source if slot in self.lines else None

    def put(self, slot: int, frame: bytes) -> None:
        source = self.source(slot)
        if source is not None:
            self.now += MILLISECOND
            self.backlog.put(frame, self.now, source)

    def frame(self, slot: int, which: int, step: int) -> None:
        self.ids[which] = max(self.ids[which] + step, 1)
        make = (trade, best)[which]
        self.put(slot, make(self.ids[which], at=self.now))

    def damaged(self, slot: int) -> None:
        self.put(slot, best(7)[:30])

    def stray(self, slot: int) -> None:
        self.put(slot, best(7).replace(b"BTCUSDT", b"XRPUSDT"))

    def open(self, slot: int) -> None:
        self.end(slot, False)
        self.number += 1
        name = f"connection {self.number}"
        source = Source(self.number, name)
        self.lines[slot] = ConnectionRecord(name, source, self.now)
        self.ledger.note_connection(self.lines[slot])
        self.recorder.opened(self.number, name, self.now)
        self.recorder.entered(self.number, list(self.asked))
        self.arbiter.enter(source, list(self.asked))

    def end(self, slot: int, whole: bool) -> None:
        record = self.lines.pop(slot, None)
        if record is not None:
            self.recorder.ended(record.source.number, "cut off", whole, self.now)
            self.arbiter.leave(record.source, "cut off", whole)
            self.ledger.note_end(record, self.now, "cut off")

    def forget(self, which: int) -> None:
        name = NAMES[which]
        self.asked.pop(name, None)
        self.recorder.forgotten([name])
        self.backlog.hand_in(self.arbiter.forget([name]))

    def ask(self, which: int) -> None:
        name = NAMES[which]
        self.asked[name] = None
        self.recorder.asked([name])
        for record in self.lines.values():
            self.recorder.entered(record.source.number, [name])
            self.arbiter.enter(record.source, [name])

    def release(self, milliseconds: int) -> None:
        moment = time.monotonic_ns() + milliseconds * MILLISECOND
        self.recorder.released(moment, 0)
        self.backlog.hand_in(self.arbiter.released(moment, 0))

    def text(self, slot: int) -> None:
        if slot in self.lines:
            self.backlog.stats.texts += 1
            self.recorder.text(self.lines[slot].source.number, '{"id":1}')

    def time(self, milliseconds: int) -> None:
        self.now += milliseconds * MILLISECOND

    def close(self) -> None:
        self.release(10**9)
        self.take()
        self.recorder.close()


class Some:
    """A handler that takes so many, and raises KeyError then."""

    def __init__(self, left: int, found: list[bytes]) -> None:
        self.left, self.found = left, found

    def __call__(self, message: Any) -> None:
        self.found.append(bytes(message))
        self.left -= 1
        if not self.left:
            raise KeyError("enough")


def consumed(feed: Any, chance: random.Random) -> list[bytes]:
    """All frames of a feed, by messages, batches of other sizes, and handlers that fail."""
    found: list[bytes] = []
    while not (feed.player.is_over and not feed.waiting):
        way = chance.choice(["messages", "batches", "run"])
        if way == "messages":
            for _ in range(chance.randint(1, 5)):
                message = next(feed, None)
                if message is not None:
                    found.append(bytes(message))
        elif way == "run":
            with contextlib.suppress(KeyError):
                feed.run(Some(chance.randint(1, 5), found))
        else:
            batches = feed.batches(chance.randint(1, 4), chance.choice([0.0, 0.002, 10.0]))
            for batch in batches:
                found += [b"row"] * len(batch)  # in order, or the ledger would not be the same
                if chance.random() < 0.7:
                    break
            batches.close()
    return found


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 9), st.sampled_from([0.002, 3600.0]), st.integers(0, 10**6))
def test_a_history_comes_again(
    history: list[tuple[Any, ...]], rows: int, rotate: float, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "tape"
        live = History(path, rows, rotate)
        for step in history:
            live.do(step)
        live.close()
        damaged = live.ledger.damaged_count
        if not live.backlog.stats.frames:
            return
        with sync.replay(path, on_error="collect") as feed:
            again = [bytes(message) for message in feed]
        good = [frame for frame in live.frames if len(frame) != 30]
        assert again == good
        assert ledger_lines(feed.ledger) == ledger_lines(live.ledger)
        assert feed.stats.frames == live.backlog.stats.frames
        assert feed.stats.texts == live.backlog.stats.texts
        assert feed.ledger.damaged_count == damaged
        with sync.replay(path, on_error="collect", max_queue=1) as feed:
            some = consumed(feed, random.Random(seed))
        assert len(some) == len(good)
        assert all(a in (b, b"row") for a, b in zip(some, good, strict=True))
        assert ledger_lines(feed.ledger) == ledger_lines(live.ledger)
