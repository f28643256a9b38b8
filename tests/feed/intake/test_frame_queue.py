"""What waits for a slow consumer, held to a plain list that does by the table of policies."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import decode
from binance_sbe.feed.intake.directory import Directory
from binance_sbe.feed.intake.frame_queue import POLICIES, FrameQueue, policies
from binance_sbe.feed.intake.streams import Stream
from binance_sbe.feed.ledger import Ledger
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

KINDS = ("trade", "bestBidAsk")
CHOICES = {"trade": ("block", "drop_oldest", "raise"), "bestBidAsk": POLICIES}


def event(kind: str, symbol: str, number: int) -> bytes:
    head = (symbol, -2, -8, number)
    if kind == "trade":
        return encode(Trades(*head, number, (Trade(number, 1, 1, True),)))
    return encode(BestBidAsk(*head, number, (1, 1), (2, 1)))


class Model:
    """Frames as (name, number), in a list."""

    def __init__(self, limit: int, policy: dict[str, str]) -> None:
        self.limit, self.policy = limit, policy
        self.waiting: list[tuple[str, int]] = []
        self.dropped: list[tuple[str, int]] = []
        self.overflowed: str | None = None

    def policy_of(self, name: str) -> str:
        return self.policy[name.partition("@")[2]] if name else "block"

    def drop(self, victims: list[tuple[str, int]]) -> None:
        self.waiting = [each for each in self.waiting if each not in victims]
        self.dropped += victims

    def append(self, name: str, number: int) -> None:
        policy = self.policy_of(name)
        own = [each for each in self.waiting if each[0] == name]
        if policy != "block" and len(self.waiting) >= self.limit:
            if policy == "raise":
                self.overflowed = self.overflowed or name
                self.dropped.append((name, number))
                return
            if policy == "conflate":
                self.drop(own)
            else:
                others = [
                    each
                    for each in self.waiting
                    if self.policy_of(each[0]) in ("drop_oldest", "conflate")
                ]
                self.drop((own or others)[:1])
        self.waiting.append((name, number))


def put(queue: FrameQueue, frame: bytes, received: int, stream: Stream) -> None:
    """With the ids that the frame has."""
    message: Any = decode(frame)
    trades = stream.kind == "trade"
    ids = message.trades["id"].tolist() if trades else [message.book_update_id]
    ids = ids or [-(2**63)]  # which stands for none
    queue.append(frame, received, stream, min(ids), max(ids))


STEPS = st.lists(
    st.tuples(st.sampled_from([*KINDS, *KINDS, "", "take"]), st.sampled_from(["AB", "CDE"])),
    min_size=20,
    max_size=60,
)


@given(
    st.integers(1, 6),
    st.fixed_dictionaries({kind: st.sampled_from(CHOICES[kind]) for kind in KINDS}),
    STEPS,
)
def test_what_waits_is_what_a_list_has(
    limit: int, policy: dict[str, str], steps: list[tuple[str, str]]
) -> None:
    ledger = Ledger()
    queue, model = FrameQueue(limit, policies(policy), ledger), Model(limit, policy)
    directory = Directory()
    frames: dict[bytes, tuple[str, int]] = {}
    for number, (kind, symbol) in enumerate(steps):
        if kind == "take":
            if model.waiting:
                frame, received, stream = queue.popleft()
                assert (
                    frames[frame]
                    == model.waiting.pop(0)
                    == (stream.name if stream else "", received)
                )
            else:
                with pytest.raises(IndexError):
                    queue.popleft()
        elif not kind:
            frame = b"no message %d" % number
            frames[frame] = ("", number)
            queue.append(frame, number, None)
            model.append("", number)
        else:
            name = f"{symbol.lower()}@{kind}"
            frame = event(kind, symbol, number)
            frames[frame] = (name, number)
            put(queue, frame, number, directory.stream(name))
            model.append(name, number)
        assert len(queue) == len(model.waiting)
        assert queue.overflowed == model.overflowed
        blocking = [each for each in model.waiting if model.policy_of(each[0]) == "block"]
        assert queue.blocking == len(blocking)
        assert ledger.dropped == len(model.dropped)
    for name, number in model.dropped:
        holes = [hole for hole in ledger.holes if hole.stream == name]
        assert sum(hole.last_before < number < hole.first_after for hole in holes) == 1
    while model.waiting:
        frame, _, _ = queue.popleft()
        assert frames[frame] == model.waiting.pop(0)


@pytest.mark.parametrize("policy", ["conflate", "drop_oldest"])
def test_dropped_frames_are_let_go(policy: str) -> None:
    """A stream that nobody takes from fills memory neither with frames nor with their places."""
    ledger = Ledger()
    queue = FrameQueue(1, policies(policy), ledger)
    stream = Directory().stream("ab@bestBidAsk")
    frames = [event("bestBidAsk", "AB", number) for number in range(12_000)]
    used, known = [], [sys.getrefcount(frame) for frame in frames]
    tracemalloc.start()
    try:
        for number, frame in enumerate(frames):
            put(queue, frame, number, stream)
            if number % 1000 == 999:
                used.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(used[2:]) - used[1] < 150_000  # of 2,000 places at most; all of them take 1 MB
    del frame
    assert [sys.getrefcount(each) for each in frames] == [*known[:-1], known[-1] + 1]
    assert len(queue) == 1
    assert ledger.dropped == 11_999
    assert queue.popleft()[1] == 11_999
    gone = weakref.ref(ledger)
    del ledger, queue, stream
    gc.collect()
    assert gone() is None


def test_what_is_dropped_after_something_was_taken_makes_a_hole_of_its_own() -> None:
    ledger = Ledger()
    stream = Directory().stream("ab@trade")
    queue = FrameQueue(2, policies("drop_oldest"), ledger)
    for number in (1, 2, 3):
        put(queue, event("trade", "AB", number), number, stream)
    assert queue.popleft()[1] == 2
    assert not ledger.is_growing(ledger.holes[0])
    for number in (4, 5, 6):
        put(queue, event("trade", "AB", number), number, stream)
    holes = [(h.last_before, h.first_after, h.started_ns, h.ended_ns) for h in ledger.holes]
    assert holes == [(0, 2, 1, 1), (2, 5, 3, 4)]
    assert [queue.popleft()[1] for _ in range(2)] == [5, 6]


def test_a_stream_that_is_conflated_takes_no_place_of_another() -> None:
    """It has none of its own that wait: there is one frame more than the limit then."""
    ledger = Ledger()
    queue = FrameQueue(2, policies({"bestBidAsk": "conflate", "trade": "drop_oldest"}), ledger)
    directory = Directory()
    quotes, others, trades = (
        directory.stream(name) for name in ("ab@bestBidAsk", "cd@bestBidAsk", "ab@trade")
    )
    put(queue, event("bestBidAsk", "AB", 1), 1, quotes)
    put(queue, event("bestBidAsk", "AB", 2), 2, quotes)
    put(queue, event("bestBidAsk", "CD", 3), 3, others)
    assert (len(queue), ledger.dropped) == (3, 0)
    put(queue, event("bestBidAsk", "AB", 4), 4, quotes)  # in the place of both
    assert (len(queue), quotes.dropped, others.dropped) == (2, 2, 0)
    put(queue, event("trade", "AB", 5), 5, trades)  # none of its own: the oldest of another
    assert (len(queue), others.dropped) == (2, 1)
    assert [queue.popleft()[1] for _ in range(2)] == [4, 5]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("drop", "on_overflow is one of block, drop_oldest, conflate, raise, not 'drop'"),
        ({"trade": "conflate"}, "events of 'trade' do not replace each other: only bestBidAsk and"),
        ({"trades": "block"}, "on_overflow: 'trades' is not a kind: trade, bestBidAsk"),
        ({"depth": None}, "on_overflow is one of .*, not None"),
    ],
)
def test_policies_that_are_none(given: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        policies(given)


def test_conflate_for_all_blocks_where_events_do_not_replace_each_other() -> None:
    assert policies("conflate") == {
        "trade": "block", "bestBidAsk": "conflate", "depth20": "conflate", "depth": "block",
    }  # fmt: skip
    assert policies({"depth": "raise"})["trade"] == "block"


def dropped(*events: tuple[int, tuple[int, ...]]) -> list[tuple[int, int]]:
    """The holes that trades of these times and ids make when they are all dropped."""
    ledger = Ledger()
    stream = Directory().stream("btcusdt@trade")
    queue = FrameQueue(1, policies("drop_oldest"), ledger)
    for time, numbers in [*events, (10_000, (10_000,))]:
        trades = tuple(Trade(number, 100, 1, False) for number in numbers)
        put(queue, encode(Trades("BTCUSDT", -2, -8, time, time, trades)), 1, stream)
    assert ledger.dropped == stream.dropped == len(events)
    return [(hole.last_before, hole.first_after) for hole in ledger.holes]


def test_each_event_that_is_dropped_is_in_a_hole_which_has_no_other_ids() -> None:
    assert dropped((1, (5, 6)), (2, (7,)), (3, (8, 9))) == [(4, 10)]
    assert dropped((1, (5,)), (1, (10,)), (1, (6,))) == [(4, 6), (9, 11), (5, 7)]
    assert dropped((1, (1000,)), (2, (1,)), (2, (2,))) == [(999, 1001), (0, 3)]
    assert dropped((1, ()), (2, (5,)), (3, ()), (4, (6,))) == [(4, 7)]
