"""The account of a feed, held to what was sent: connections, a consumer, and all between them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from intake import intake

import binance_sbe
from binance_sbe.feed.intake.streams import Source
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Diff, Trade, Trades

SECOND = 1_000_000_000


class Run:
    """Events with the ids 1, 2, 3 ..., by several lines, to a consumer that is slow."""

    def __init__(self, chance: random.Random, kind: str, lines: int, limit: int, policy: str):
        self.chance, self.kind, self.policy = chance, kind, policy
        self.ledger, self.backlog = intake(limit, {kind: policy})
        self.name = f"btcusdt@{kind}"
        self.sent = 0
        self.lines = [self.enter(Source(i, f"{i}")) for i in range(lines)]
        self.everyone = list(self.lines)
        self.next = [1] * lines  # what each brings next
        self.brought: list[int] = []
        self.taken: list[int] = []
        self.now = 0

    def enter(self, line: Source) -> Source:
        self.backlog.arbiter.enter(line, [self.name])
        return line

    def frame(self, number: int) -> bytes:
        if self.kind == "trade":
            return encode(
                Trades("BTCUSDT", -2, -8, number, number, (Trade(number, 100, 1, False),))
            )
        return encode(Diff("BTCUSDT", -2, -8, number, number, number, ((1, 1),), ()))

    def bring(self, place: int) -> None:
        if self.next[place] > self.sent or self.backlog.full:
            return
        number = self.next[place]
        self.next[place] += 1
        frame = self.frame(number)
        if self.chance.random() < 0.05:
            frame = frame[:-1]  # damaged
        else:
            self.brought.append(number)
        self.now += 1
        self.backlog.put(frame, self.now, self.lines[place])

    def cut(self, place: int) -> None:
        """What is sent meanwhile does not come by this connection."""
        self.backlog.arbiter.leave(self.lines[place], "cut", self.chance.random() < 0.3)
        self.sent += self.chance.randrange(3)
        self.next[place] = self.sent + 1
        self.lines[place] = self.enter(Source(place, "another"))
        self.everyone.append(self.lines[place])
        self.release(0)

    def release(self, ns: int) -> None:
        """As `Connections` does from time to time: by the monotonic clock."""
        frames = self.backlog.arbiter.released((1 << 62) if ns else 0)
        if frames and not self.backlog.full:
            self.backlog.hand_in(frames)
        elif frames:
            while self.backlog.full:
                self.take(1)
            self.backlog.hand_in(frames)

    def take(self, count: int) -> None:
        for _ in range(min(count, len(self.backlog.frames))):
            try:
                message: Any = self.backlog.next_message()
            except binance_sbe.DecodeError:
                continue
            if self.kind == "trade":
                self.taken.append(int(message.trades["id"][0]))
            else:
                self.taken.append(message.last_book_update_id)

    def check(self) -> None:
        brought, taken = set(self.brought), set(self.taken)
        stream = self.ledger.streams[self.name]
        holes = self.ledger.holes
        in_holes = [
            (number, hole.cause == "a slow consumer")
            for hole in holes
            for number in range(hole.last_before + 1, hole.first_after)
        ]
        assert len(taken) == len(self.taken)  # nothing twice
        assert taken <= brought
        assert len(in_holes) == len({number for number, _ in in_holes})  # in one hole each
        dropped = {number for number, is_dropped in in_holes if is_dropped}
        lost = {number for number, is_dropped in in_holes if not is_dropped}
        assert dropped == brought - taken
        assert lost == set(range(min(brought), max(brought) + 1)) - brought
        assert (stream.lost, stream.dropped, self.ledger.dropped) == (
            len(lost), len(dropped), len(dropped),
        )  # fmt: skip
        assert (min(taken | dropped), max(taken | dropped)) == (min(brought), max(brought))
        assert stream.frames == len(brought)
        assert stream.last == max(brought)
        assert sum(b < a for a, b in pairwise(self.taken)) <= stream.late
        assert stream.duplicates + stream.frames == len(self.brought)
        assert stream.out_of_order == 0
        lines = self.everyone
        assert sum(line.won for line in lines) == len(brought)
        assert sum(line.duplicates for line in lines) == stream.duplicates
        assert sum(line.frames for line in lines) == self.backlog.stats.frames
        assert sum(line.damaged for line in lines) == self.ledger.damaged_count
        assert len(self.brought) + self.ledger.damaged_count == self.backlog.stats.frames
        if self.policy == "block":
            assert not dropped
        assert [hole.number for hole in holes] == sorted({hole.number for hole in holes})
        assert self.backlog.arbiter.held_count == self.backlog.pending == 0


@settings(max_examples=150)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["trade", "depth"]),
    st.integers(1, 3),
    st.sampled_from([1, 4, 30]),
    st.sampled_from(["block", "drop_oldest"]),
)
def test_every_id_is_delivered_or_in_one_hole_and_never_both(
    seed: int, kind: str, lines: int, limit: int, policy: str
) -> None:
    chance = random.Random(seed)
    run = Run(chance, kind, lines, limit, policy)
    run.sent = 1
    for place in range(lines):
        run.bring(place)
        run.take(9)
    for _ in range(80):
        run.sent += chance.randrange(4)
        place = chance.randrange(lines)
        for _ in range(chance.choice([0, 1, 3, 8])):
            run.bring(place)
        action = chance.random()
        if action < 0.06:
            run.cut(place)
        elif action < 0.12:
            run.release(2 * SECOND)
        run.take(chance.choice([0, 0, 1, 5]))
    run.release(2 * SECOND)
    run.take(1 << 30)
    if run.brought:
        run.check()


def test_a_connection_that_takes_over_may_be_behind_another_one() -> None:
    """It repeats nothing: of what the others have brought it has brought nothing yet."""
    old, other, new = (Source(i, f"{i}") for i in range(3))
    run = Run(random.Random(1), "trade", 0, 9, "block")
    ledger, arbiter = run.ledger, run.backlog.arbiter
    for line in (old, other):
        run.enter(line)
        arbiter.arrive(line, run.frame(1), 1)
    run.enter(new)
    for number in range(2, 9):
        arbiter.arrive(other, run.frame(number), number)
    arbiter.leave(old, "renewed", True)
    frames = [run.frame(number) for number in (7, 8, 9, 9)]
    found = [arbiter.arrive(new, frame, 10) for frame in frames]
    assert found == [[], [], [(frames[2], 10)], []]
    stream = ledger.streams["btcusdt@trade"]
    assert (stream.duplicates, stream.out_of_order, new.duplicates) == (1 + 2, 1, 2)
    assert (ledger.holes, stream.frames) == ([], 9)


def test_when_a_stream_is_wanted_again_nothing_from_before_is_waited_for() -> None:
    """What came meanwhile, by either connection, was on its way."""
    run = Run(random.Random(1), "trade", 2, 9, "block")
    arbiter, (one, two) = run.backlog.arbiter, run.lines
    stream = run.ledger.streams["btcusdt@trade"]

    def bring(line: Source, number: int) -> int:
        return len(arbiter.arrive(line, run.frame(number), number))

    assert [bring(one, 1), bring(two, 1)] == [1, 0]
    arbiter.leave(run.enter(Source(2, "a third")), "cut")
    stream.cause = "cut"
    arbiter.forget(["btcusdt@trade"])
    assert (stream.cause, stream.is_covered) == (None, False)
    assert [bring(one, 2), bring(two, 2), bring(two, 3)] == [1, 0, 1]
    for line in (one, two):
        run.enter(line)
    assert [bring(one, 100), bring(two, 100), bring(two, 101)] == [1, 0, 1]
    assert (run.ledger.holes, stream.lost, stream.out_of_order) == ([], 0, 0)
    assert bring(one, 103) == 0  # from here on others may bring what is missing
    assert bring(two, 102) == 2
