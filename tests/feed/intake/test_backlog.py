"""What lies between the connections and the consumer, in every state that it can be in."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
import vectors
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from intake import intake

import binance_sbe
from binance_sbe import DecodeError
from binance_sbe.feed.intake.streams import Source

STREAM = "btcusdt@trade"


def trade(number: int) -> bytes:
    return vectors.TRADES[:32] + number.to_bytes(8, "little") + vectors.TRADES[40:]


def ids_of(batch: Any) -> list[int | None]:
    """The ids of the trades of a batch in the order of their frames; None for what is refused."""
    found: list[int | None] = [None] * batch.frame_count
    table = batch[binance_sbe.TradesStreamEvent]
    for i, frame in enumerate(table.records["frame"].tolist()):
        found[frame] = int(table.groups["trades"][i]["id"][0])
    rejected = batch.rejected["frame"].tolist()
    assert [found[i] for i in rejected] == [None] * len(rejected)
    assert found.count(None) == len(rejected) == len(batch.errors)
    return found


class Consumers(RuleBasedStateMachine):
    """Frames go in by two lines, and come out as messages or batches, each once and in order."""

    @initialize(limit=st.integers(1, 40))
    def open(self, limit: int) -> None:
        self.woken = 0
        self.ledger, self.backlog = intake(limit, wake=self.wake)
        self.stats = self.backlog.stats
        self.lines = [Source(0, "one"), Source(1, "two")]
        self.clock = 0
        for line in self.lines:
            self.backlog.arbiter.enter(line, [STREAM])
        self.limit = limit
        self.number = 1
        self.frames: deque[int | None] = deque()  # what is to come out as messages
        self.rows: deque[int | None] = deque()  # and in batches
        self.gathers = False
        self.given = 0
        self.put(0, trade(0), 0)
        for line in self.lines[1:]:
            self.backlog.put(trade(0), 0, line)
            self.given += 1

    def wake(self) -> None:
        self.woken += 1

    def expect(self, *numbers: int | None) -> None:
        """What came is a row where rows are wanted and there is room for them, else a frame."""
        for number in numbers:
            as_row = self.gathers and not self.frames
            (self.rows if as_row else self.frames).append(number)

    def refill(self) -> None:
        """Frames become rows, as far as there is room."""
        while self.gathers and self.frames and len(self.rows) < self.limit:
            self.rows.append(self.frames.popleft())

    def put(self, line: int, frame: bytes, number: int | None) -> None:
        before = self.woken, self.backlog.pending
        self.clock += 1
        self.backlog.put(frame, self.clock, self.lines[line])
        self.given += 1
        self.expect(number)
        assert self.backlog.pending == before[1] + 1
        if before[1] == 0:
            assert self.woken > before[0]

    @precondition(lambda self: not self.backlog.full)
    @rule(line=st.integers(0, 1), count=st.integers(1, 30))
    def events_come(self, line: int, count: int) -> None:
        for _ in range(min(count, self.limit - self.used)):
            self.put(line, trade(self.number), self.number)
            self.number += 1

    @rule(line=st.integers(0, 1))
    def one_comes_again(self, line: int) -> None:
        """It is dropped, also where there is no room."""
        before = self.backlog.pending
        self.backlog.put(trade(0), 0, self.lines[line])
        self.given += 1
        assert self.backlog.pending == before

    @precondition(lambda self: not self.backlog.full)
    @rule(line=st.integers(0, 1), frame=st.binary(max_size=12))
    def nonsense_comes(self, line: int, frame: bytes) -> None:
        self.put(line, frame, None)

    @precondition(lambda self: self.limit - self.used >= 2)
    @rule()
    def two_come_in_the_wrong_order(self) -> None:
        """The first waits for the other."""
        first, second = self.number, self.number + 1
        self.number += 2
        before = self.backlog.pending
        self.backlog.put(trade(second), 0, self.lines[0])
        self.given += 2
        assert self.backlog.arbiter.held_count == 1
        assert self.backlog.pending == before + 1
        self.backlog.put(trade(first), 0, self.lines[1])
        self.expect(first, second)
        assert self.backlog.arbiter.held_count == 0

    @rule(size=st.integers(1, 25))
    def batches_are_wanted(self, size: int) -> None:
        self.backlog.gather(size)
        self.gathers = True
        self.refill()

    @rule()
    def batches_are_not_wanted(self) -> None:
        self.backlog.stop_gathering()
        self.gathers = False

    @precondition(lambda self: self.rows)
    @rule()
    def a_batch_is_taken(self) -> None:
        batch = self.backlog.hand_over()
        assert 1 <= batch.frame_count <= self.backlog.batch_size
        assert ids_of(batch) == [self.rows.popleft() for _ in range(batch.frame_count)]
        table = batch[binance_sbe.TradesStreamEvent]
        assert len(table) + len(batch.rejected) == batch.frame_count
        assert table.symbols in ([], ["BTCUSDT"])
        self.refill()

    @precondition(lambda self: self.frames and not self.gathers)
    @rule()
    def a_message_is_taken(self) -> None:
        wanted = self.frames.popleft()
        if wanted is None:
            with pytest.raises(DecodeError):
                self.backlog.next_message()
        else:
            message: Any = self.backlog.next_message()
            assert message.trades["id"].tolist() == [wanted]

    @rule(line=st.integers(0, 1))
    def a_connection_is_replaced(self, line: int) -> None:
        gone = self.lines[line]
        self.backlog.arbiter.leave(gone, "cut")
        self.backlog.put(trade(self.number), 0, gone)
        assert gone.unwanted == 1
        self.lines[line] = Source(2, "another")
        self.backlog.arbiter.enter(self.lines[line], [STREAM])
        self.backlog.put(trade(self.number - 1), 0, self.lines[line])  # known: in step again
        self.given += 1

    @property
    def used(self) -> int:
        """What counts for the limit: rows that are left over do not while messages are wanted."""
        return len(self.frames) + (len(self.rows) if self.gathers else 0)

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "backlog"):
            return
        assert self.backlog.pending == len(self.frames) + len(self.rows) <= 2 * self.limit
        assert len(self.frames) <= self.limit
        assert self.backlog.batches.rows == len(self.rows)
        assert self.backlog.full == (self.used >= self.limit)
        assert self.stats.frames == self.given
        assert self.ledger.holes == []

    def teardown(self) -> None:
        if not hasattr(self, "backlog"):
            return
        while self.rows:
            self.a_batch_is_taken()
        self.batches_are_not_wanted()
        while self.frames:
            self.a_message_is_taken()
        assert self.backlog.pending == 0


TestConsumers = Consumers.TestCase
TestConsumers.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


@pytest.mark.parametrize("policy", ["drop_oldest", "raise", "block"])
@pytest.mark.parametrize("rows", [False, True])
def test_the_limit_holds_for_every_policy(policy: str, rows: bool) -> None:
    line = Source()
    _, backlog = intake(50, policy)
    backlog.arbiter.enter(line, [STREAM])
    if rows:
        backlog.gather(1000)
    most = 0
    for number in range(1, 500):
        if not backlog.full:
            backlog.put(trade(number), 0, line)
        most = max(most, backlog.pending)
    assert most == (50 if policy == "block" or not rows else 100)  # rows, and frames behind them
    assert backlog.full == (policy == "block")


def test_batches_of_another_size_are_cut_from_what_is_there() -> None:
    line = Source()
    _, backlog = intake()
    backlog.arbiter.enter(line, [STREAM])
    backlog.gather(1000)
    for number in range(1, 3501):
        backlog.put(b"bad" if number % 7 == 0 else trade(number), number, line)
    backlog.stop_gathering()
    found: list[int | None] = []
    sizes = []
    for size in (1, 3, 600, 2000, 1, 400, 10_000):
        backlog.gather(size)
        batch = backlog.hand_over()
        sizes.append(batch.frame_count)
        found += ids_of(batch)
        received = batch[binance_sbe.TradesStreamEvent].records["received_ns"].tolist()
        assert received == [each for each in found[-len(received) - len(batch.rejected) :] if each]
    assert sizes == [1, 3, 600, 396, 1, 400, 599]
    while backlog.batches.rows:
        found += ids_of(backlog.hand_over())
    assert found == [None if number % 7 == 0 else number for number in range(1, 3501)]
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        backlog.gather(0)


def test_messages_come_though_rows_that_nobody_takes_fill_the_inbox() -> None:
    line = Source()
    _, backlog = intake(10)
    backlog.arbiter.enter(line, [STREAM])
    backlog.gather(1000)
    for number in range(1, 11):
        backlog.put(trade(number), number, line)
    assert backlog.full
    backlog.stop_gathering()
    assert not backlog.full
    backlog.put(trade(11), 11, line)
    message: Any = backlog.next_message()
    assert message.trades["id"].tolist() == [11]
    backlog.gather(1000)
    assert backlog.full
    assert ids_of(backlog.hand_over()) == list(range(1, 11))
