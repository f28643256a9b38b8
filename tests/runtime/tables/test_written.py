"""A batch makes its parts when they are asked for: they are the same whenever that is, and stay."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import vectors
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from binance_sbe import (
    BestBidAskStreamEvent,
    Collector,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
    decode,
    decode_many,
)

CLASSES = (
    BestBidAskStreamEvent, DepthDiffStreamEvent, DepthSnapshotStreamEvent, TradesStreamEvent,
)  # fmt: skip
GROUPS = {
    DepthDiffStreamEvent: "bids",
    DepthSnapshotStreamEvent: "asks",
    TradesStreamEvent: "trades",
}
FRAMES = [
    vectors.BEST_BID_ASK, vectors.TRADES, vectors.DEPTH_DIFF, vectors.DEPTH_SNAPSHOT, b"", b"none",
]  # fmt: skip


def numbered(frame: bytes, number: int) -> bytes:
    """The time of the event, which is the first field of all kinds, tells frames apart."""
    return frame[:8] + number.to_bytes(8, "little") + frame[16:] if len(frame) > 16 else frame


class Expected:
    """What one frame after the other says of a batch."""

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames
        self.rejected = [i for i, frame in enumerate(frames) if len(frame) < 16]
        self.messages: dict[Any, list[Any]] = {each: [] for each in CLASSES}
        for frame in frames:
            if len(frame) > 16:
                self.messages[type(decode(frame))].append(decode(frame))

    def check_records(self, message: Any, records: Any) -> None:
        assert records["event_time"].tolist() == [m.event_time for m in self.messages[message]]

    def check_group(self, message: Any, records: Any, offsets: Any) -> None:
        each = [getattr(m, GROUPS[message]).tolist() for m in self.messages[message]]
        assert records.tolist() == [entry for entries in each for entry in entries]
        assert offsets.tolist() == np.cumsum([0, *map(len, each)]).tolist()


class Batches(RuleBasedStateMachine):
    """Batches that are asked in any order, and let go of, while what they gave is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.collector = Collector(on_error="collect")
        self.batches: list[tuple[Any, Expected]] = []
        self.tables: list[tuple[Any, Any, Expected]] = []
        self.kept: list[Callable[[], None]] = []

    @rule(kinds=st.lists(st.sampled_from(FRAMES), max_size=12), times=st.sampled_from([1, 1, 400]))
    def make(self, kinds: list[bytes], times: int) -> None:
        """400 times: more than the memory that is taken again is for."""
        frames = [numbered(frame, self.number + i) for i, frame in enumerate(kinds * times)]
        self.number += len(frames)
        if times == 1 and self.number % 2:
            for frame in frames:
                self.collector.append(frame)
            batch = self.collector.take()
        else:
            batch = decode_many(frames, on_error="collect")
        self.batches.append((batch, Expected(frames)))

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0), message=st.sampled_from(CLASSES))
    def ask_for_a_table(self, which: int, message: Any) -> None:
        batch, expected = self.batches[which % len(self.batches)]
        assert batch[message] is batch.tables[message] is batch[message]
        self.tables.append((batch[message], message, expected))

    @precondition(lambda self: self.tables)
    @rule(which=st.integers(0))
    def ask_for_records(self, which: int) -> None:
        table, message, expected = self.tables[which % len(self.tables)]
        records = table.records
        assert table.records is records
        self.kept.append(lambda: expected.check_records(message, records))

    @precondition(lambda self: self.tables)
    @rule(which=st.integers(0))
    def ask_for_a_group(self, which: int) -> None:
        table, message, expected = self.tables[which % len(self.tables)]
        if message in GROUPS:
            group = table.groups[GROUPS[message]]
            records, offsets = group.records, group.offsets
            self.kept.append(lambda: expected.check_group(message, records, offsets))

    @precondition(lambda self: self.tables)
    @rule(which=st.integers(0))
    def ask_for_symbols(self, which: int) -> None:
        table, message, expected = self.tables[which % len(self.tables)]
        symbols = table.symbols
        assert table.symbols is symbols
        wanted = [m.symbol for m in expected.messages[message]]
        codes = table.records["symbol"]
        self.kept.append(lambda: _same([symbols[code] for code in codes], wanted))

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0))
    def ask_for_what_was_refused(self, which: int) -> None:
        batch, expected = self.batches[which % len(self.batches)]
        rejected = batch.rejected
        assert batch.rejected is rejected
        self.kept.append(lambda: _same(rejected["frame"].tolist(), expected.rejected))
        assert len(batch.errors) == len(expected.rejected)

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0), begin=st.integers(-3, 15), end=st.integers(-3, 15))
    def take_a_part(self, which: int, begin: int, end: int) -> None:
        batch, expected = self.batches[which % len(self.batches)]
        self.batches.append((batch.part(begin, end), Expected(expected.frames[begin:end])))

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0))
    def let_go_of_a_batch(self, which: int) -> None:
        batch, _ = self.batches.pop(which % len(self.batches))
        gone = weakref.ref(batch)
        del batch
        assert gone() is None  # neither tables nor arrays keep it

    @precondition(lambda self: self.tables)
    @rule(which=st.integers(0))
    def let_go_of_a_table(self, which: int) -> None:
        del self.tables[which % len(self.tables)]

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0))
    def let_go_of_arrays(self, which: int) -> None:
        del self.kept[which % len(self.kept)]

    @invariant()
    def what_was_given_is_as_it_was(self) -> None:
        for check in self.kept:
            check()
        for batch, expected in self.batches:
            assert batch.frame_count == len(expected.frames)
            assert len(batch) == len(expected.frames) - len(expected.rejected)


def _same(found: list[Any], wanted: list[Any]) -> None:
    assert found == wanted


TestBatches = Batches.TestCase
TestBatches.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def mixed(count: int) -> list[bytes]:
    return [numbered(FRAMES[i % len(FRAMES)], i) for i in range(count)]


def asked(batch: Any) -> list[Any]:
    """All parts of a batch, each by its identity."""
    found: list[Any] = [batch.tables, batch.rejected]
    for message in CLASSES:
        table = batch[message]
        found += [table.records, table.symbols]
        for group in table.groups.values():
            found += [group.records, group.offsets]
    return found


def test_a_finalizer_amid_a_question_may_ask_the_same() -> None:
    """The cycle collector runs wherever an object is made."""
    before = gc.get_threshold()

    class Asks:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            seen.append(asked(batch))

    for threshold in (1, 2, 3, 5):
        for _ in range(40):
            batch = decode_many(mixed(30), on_error="collect")
            seen: list[list[Any]] = []
            for _ in range(3):
                Asks()
            gc.set_threshold(threshold)
            try:
                seen.append(asked(batch))
            finally:
                gc.set_threshold(*before)
            gc.collect()
            expected = Expected(mixed(30))
            for message in CLASSES:
                expected.check_records(message, batch[message].records)
            for one in seen[1:]:
                assert all(a is b for a, b in zip(one, seen[0], strict=True))


def test_threads_that_ask_for_the_same_get_the_same() -> None:
    for _ in range(50):
        batch = decode_many(mixed(60), on_error="collect")
        start = threading.Barrier(4)
        found: list[list[Any]] = []

        def ask(batch: Any = batch, start: threading.Barrier = start, found: Any = found) -> None:
            start.wait()
            found.append(asked(batch))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for message in CLASSES:
            Expected(mixed(60)).check_records(message, batch[message].records)
        for place, one in enumerate(found[0]):
            if isinstance(one, np.ndarray) and one.dtype.names:
                assert all(np.array_equal(each[place], one) for each in found)
