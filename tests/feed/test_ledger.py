"""The account of a feed: every hole with its exact ids, times and numbers."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake import intake

from binance_sbe.errors import SbeError
from binance_sbe.feed.intake.damage import MOST_BYTES, MOST_FRAMES, MOST_OF_ONE, DamagedFrames
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.ledger import (
    MOST_CONNECTIONS,
    MOST_HOLES,
    ConnectionRecord,
    Damaged,
    Hole,
)
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

NO_IDS = -(2**63)


def trade(first: int, last: int | None = None, time: int = 0) -> bytes:
    trades = tuple(Trade(i, 100, 1, False) for i in range(first, (last or first) + 1))
    return encode(Trades("BTCUSDT", -2, -8, time or first, first, trades))


class Account:
    """A ledger, and one connection that brings trades."""

    def __init__(self) -> None:
        self.ledger = intake()[0]
        self.line = Source(0, "one")
        self.now = 0
        self.ledger._backlog.arbiter.enter(self.line, ["btcusdt@trade"])

    def bring(self, *frames: bytes) -> int:
        """How many were handed on."""
        count = 0
        for frame in frames:
            self.now += 1
            count += len(self.ledger._backlog.arbiter.arrive(self.line, frame, self.now))
        return count

    @property
    def spans(self) -> list[tuple[int, int]]:
        return sorted((hole.last_before, hole.first_after) for hole in self.ledger.holes)


# what comes late


def intervals(numbers: set[int]) -> list[tuple[int, int]]:
    """As the ids around them."""
    edges = sorted(n for n in numbers if n - 1 not in numbers)
    ends = sorted(n for n in numbers if n + 1 not in numbers)
    return [(a - 1, b + 1) for a, b in zip(edges, ends, strict=True)]


@given(st.integers(0, 2**32))
def test_holes_are_what_is_missing_after_every_late_event(seed: int) -> None:
    chance = random.Random(seed)
    account = Account()
    ledger = account.ledger
    account.bring(trade(1000))
    top, heard = 1000, account.now
    missing: set[int] = set()
    times: dict[int, tuple[int, int]] = {}  # of each id that was missing: those around its hole
    for _ in range(60):
        if top == 1000 or chance.random() < 0.3:
            first = top + chance.randrange(1, 12)
            lost = range(top + 1, first)
            top = first + chance.randrange(3)
            assert account.bring(trade(first, top, time=5000)) == 1
            times |= dict.fromkeys(lost, (heard, account.now))
            missing |= set(lost)
            heard = account.now
        else:
            first = chance.randrange(max(1001, top - 40), top + 1)
            last = min(top, first + chance.randrange(8))
            found = missing & set(range(first, last + 1))
            assert account.bring(trade(first, last, time=5000)) == bool(found)
            missing -= found
        assert account.spans == intervals(missing)
        stream = ledger.streams["btcusdt@trade"]
        assert stream.lost == len(missing) == sum(hole.ids for hole in ledger.holes)
        numbers = [hole.number for hole in ledger.holes]
        assert numbers == sorted(set(numbers))
        assert all(1 <= number <= ledger.holes_count for number in numbers)
        for hole in ledger.holes:
            assert (hole.started_ns, hole.ended_ns) == times[hole.last_before + 1]
            assert (hole.stream, hole.cause, hole.filled) == ("btcusdt@trade", "not sent", 0)


def test_what_was_filled_by_others_stays_with_the_first_part_of_a_hole_that_is_split() -> None:
    account = Account()
    account.bring(trade(1), trade(20))
    account.ledger.holes[0].filled = 7
    account.bring(trade(10, time=20))
    parts = [(h.last_before, h.first_after, h.filled, h.number) for h in account.ledger.holes]
    assert parts == [(1, 10, 7, 1), (10, 20, 0, 2)]
    assert account.ledger.holes_count == 2
    account.bring(trade(11, 19, time=20), trade(2, 9, time=20))
    assert (account.ledger.holes, account.ledger.holes_count) == ([], 2)
    account.bring(trade(30))
    assert account.ledger.holes[0].number == 3


def test_late_ids_of_a_new_count_are_taken_out_of_its_own_holes() -> None:
    account = Account()
    account.bring(trade(1000), trade(1010), trade(1, time=5000), trade(2000, time=5001))
    assert account.spans == [(1, 2000), (1000, 1010)]
    assert account.bring(trade(1005, time=5001)) == 1
    assert account.spans == [(1, 1005), (1000, 1010), (1005, 2000)]


# what was dropped for a slow consumer

TRADES, BEST = "btcusdt@trade", "btcusdt@bestBidAsk"


@pytest.mark.parametrize(
    ("name", "steps", "holes"),
    [
        # (first, last) dropped at the time of its place; None: one was handed over
        (TRADES, [(5, 5)], [(4, 6, 0, 0)]),
        (TRADES, [(5, 6), (7, 9)], [(4, 10, 0, 1)]),
        (TRADES, [(5, 6), (8, 9)], [(4, 7, 0, 0), (7, 10, 1, 1)]),
        (TRADES, [(5, 9), (7, 8)], [(4, 10, 0, 1)]),
        (TRADES, [(5, 9), (4, 4)], [(4, 10, 0, 0), (3, 5, 1, 1)]),
        (TRADES, [(5, 5), None, (6, 6)], [(4, 6, 0, 0), (5, 7, 2, 2)]),
        (TRADES, [(5, 5), (NO_IDS, NO_IDS), (6, 6)], [(4, 7, 0, 2)]),
        (TRADES, [(5, 5), (9, 8), (6, 6)], [(4, 7, 0, 2)]),
        (TRADES, [(NO_IDS, NO_IDS)], []),
        (BEST, [(5, 5), (9, 9), (20, 20)], [(4, 21, 0, 2)]),
        (BEST, [(5, 5), None, (9, 9)], [(4, 6, 0, 0), (8, 10, 2, 2)]),
        (BEST, [(5, 5), (3, 3)], [(4, 6, 0, 0), (2, 4, 1, 1)]),
    ],
)
def test_what_is_dropped_is_in_one_hole_while_nothing_is_handed_over(
    name: str, steps: list[tuple[int, int] | None], holes: list[tuple[int, ...]]
) -> None:
    ledger = intake()[0]
    stream = ledger._backlog.arbiter.directory.stream(name)
    for at, step in enumerate(steps):
        if step is None:
            ledger.note_taken(stream)
            assert not any(ledger.is_growing(hole) for hole in ledger.holes)
        else:
            ledger.note_dropped(stream, *step, at)
    found = [(h.last_before, h.first_after, h.started_ns, h.ended_ns) for h in ledger.holes]
    assert found == holes
    assert {(hole.stream, hole.cause) for hole in ledger.holes} <= {(name, "a slow consumer")}
    assert ledger.dropped == stream.dropped == len(steps) - steps.count(None)
    assert ledger.holes_count == len(holes)
    assert [ledger.is_growing(hole) for hole in ledger.holes] == [
        hole is ledger.holes[-1] for hole in ledger.holes
    ]


def test_what_one_stream_drops_says_nothing_of_another() -> None:
    ledger = intake()[0]
    one, two = (
        ledger._backlog.arbiter.directory.stream(TRADES),
        ledger._backlog.arbiter.directory.stream("ethusdt@trade"),
    )
    for number in (5, 6):
        ledger.note_dropped(one, number, number, 1)
        ledger.note_dropped(two, number, number, 1)
    ledger.note_taken(two)
    ledger.note_dropped(one, 7, 7, 1)
    assert [(hole.stream, hole.first_after) for hole in ledger.holes] == [
        (TRADES, 8), ("ethusdt@trade", 7),
    ]  # fmt: skip
    assert (one.dropped, two.dropped, ledger.dropped) == (3, 2, 5)


# bounds


def test_the_latest_holes_are_kept_and_all_are_counted() -> None:
    ledger = intake()[0]
    stream = ledger._backlog.arbiter.directory.stream(TRADES)

    def add(count: int) -> None:
        for _ in range(count):
            number = 2 * ledger.holes_count + 1
            ledger.note_dropped(stream, number, number, 1)

    add(MOST_HOLES)
    assert (len(ledger.holes), ledger.holes[0].number) == (100_000, 1)
    assert [hole.number for hole in ledger.holes_since(99_998)] == [99_999, 100_000]
    assert [len(ledger.holes_since(count)) for count in (0, 99_000, 99_001, 100_000)] == [
        1000, 1000, 999, 0,
    ]  # fmt: skip
    add(1)
    assert (len(ledger.holes), ledger.holes_count) == (90_001, 100_001)
    assert (ledger.holes[0].number, ledger.holes[-1].number) == (10_001, 100_001)
    assert repr(ledger) == "<Ledger: 100001 holes, 0 damaged frames, 100001 dropped, 0 connections>"


def test_holes_that_were_forgotten_may_still_be_filled() -> None:
    account = Account()
    account.bring(trade(1), trade(10), trade(20))
    first = account.ledger.holes.pop(0)
    assert account.bring(trade(2, 9, time=20)) == 1
    assert (first.ids, account.spans) == (0, [(10, 20)])
    account.ledger.holes.clear()
    assert account.bring(trade(11, 19, time=20)) == 1
    assert account.ledger.streams[TRADES].lost == 0


def test_connections_are_counted_and_those_that_are_open_are_kept() -> None:
    ledger = intake()[0]
    line = Source(3, "line 4")
    made = [ConnectionRecord(f"{number}", line, number) for number in range(MOST_CONNECTIONS + 3)]
    for connection in made:
        ledger.note_connection(connection)
    assert ledger.connections == made  # all are open
    ledger.note_end(made[7], 99, "lost")
    assert (made[7].closed_ns, made[7].cause, ledger.ended_count) == (99, "lost", 1)
    assert (made[8].closed_ns, made[8].cause) == (None, None)
    ledger.note_connection(made[0])
    assert made[7] not in ledger.connections
    assert len(ledger.connections) == ledger.connections_count - 1 == MOST_CONNECTIONS + 3
    ledger._backlog.arbiter.arrive(line, b"no message", 1)
    assert (made[0].frames, made[0].bytes) == (line.frames, line.bytes)


def test_ids_of_a_hole_are_those_between() -> None:
    assert Hole("a@trade", 4, 9, 1, 2, "not sent").ids == 4


# frames that were no message


def header(template: int, schema: int = 1, version: int = 0) -> bytes:
    good = trade(1)
    return (
        good[:2]
        + template.to_bytes(2, "little")
        + schema.to_bytes(2, "little")
        + (version.to_bytes(2, "little"))
    )


@pytest.mark.parametrize(
    ("frame", "unknown"),
    [
        (b"", None),
        (header(9999)[:7], None),
        (header(9999), 9999),
        (header(9999) + bytes(100), 9999),
        (header(10_000), None),
        (header(10_003), None),
        (header(10_004), 10_004),
        (header(0), 0),
        (header(65_535, version=7), 65_535),
        (header(9999, schema=2), None),
        (header(9999, schema=257), None),
    ],
)
def test_what_is_damaged_and_what_is_of_a_template_that_we_do_not_know(
    frame: bytes, unknown: int | None
) -> None:
    ledger, line = intake()[0], Source(0, "one")
    frames = ledger._backlog.damaged
    for _ in range(2):
        assert frames.note(frame, 5, line) is (unknown is None)
    assert ledger.unknown_templates == ({} if unknown is None else {unknown: 2})
    damaged = [] if unknown is not None else [Damaged(frame, 5, "one")] * 2
    assert (ledger.damaged, ledger.damaged_count) == (damaged, len(damaged))
    assert all(isinstance(each.error, SbeError) for each in damaged)


def test_the_latest_damaged_frames_are_kept_by_number_and_by_size() -> None:
    frames, line = DamagedFrames(), Source()
    for number in range(MOST_FRAMES):
        frames.note(b"%d" % number, number, line)
    assert [received for _, received, _ in frames] == list(range(1000))
    frames.note(b"x", 1000, line)
    assert [received for _, received, _ in frames] == list(range(1, 1001))
    for size in (MOST_OF_ONE, MOST_OF_ONE + 1, 1 << 20):
        frames.note(bytes(size), size, line)
    assert [len(frame) for frame, _, _ in frames][-3:] == [MOST_OF_ONE] * 3
    assert len(frames) == 1000
    for _ in range(61):
        frames.note(bytes(MOST_OF_ONE), 1, line)
    kept = [len(frame) for frame, _, _ in frames]
    assert kept == [MOST_OF_ONE] * 64  # 4 MiB, to the byte
    assert sum(kept) == MOST_BYTES
    frames.note(b"", 2, line)
    assert len(frames) == 65
    frames.note(b"x", 2, line)
    assert (len(frames), frames.count) == (65, 1000 + 1 + 3 + 61 + 2)


def test_the_error_of_a_frame_that_is_a_message_is_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError, match="the frame is a message"):
        _ = Damaged(trade(1), 1, "one").error


def test_strays_and_streams_are_those_of_the_sequencer() -> None:
    account = Account()
    wanted: Any = {TRADES}.__contains__
    account.ledger._backlog.arbiter.directory.is_wanted = wanted
    stray = encode(BestBidAsk("ETHUSDT", -2, -8, 1, 1, (1, 1), (2, 1)))
    account.bring(trade(1), stray, stray)
    assert account.ledger.strays == {"ethusdt@bestBidAsk": 2}
    assert (account.ledger.strays_count, set(account.ledger.streams)) == (2, {TRADES})
