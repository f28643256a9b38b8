"""Every event once and in order, whichever connection brings it; and what is missing, exactly."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import binance_sbe
from binance_sbe.ledger import Ledger
from binance_sbe.sequencer import Line, Sequencer
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades

SECOND = 1_000_000_000


def trade(first: int, last: int | None = None, time: int = 0) -> bytes:
    ids = range(first, (last or first) + 1)
    trades = tuple(Trade(i, 100, 1, False) for i in ids)
    return encode(Trades("BTCUSDT", -2, -8, time or first, first, trades))


def diff(first: int, last: int) -> bytes:
    return encode(Diff("BTCUSDT", -2, -8, first, first, last, ((1, 1),), ()))


def best(update: int) -> bytes:
    return encode(BestBidAsk("BTCUSDT", -2, -8, update, update, (1, 1), (2, 1)))


def depth20(update: int, time: int) -> bytes:
    return encode(Depth("BTCUSDT", -2, -8, time, update, ((1, 1),), ()))


def ids(frames: list[tuple[bytes, int]]) -> list[int]:
    """The first id of each frame."""
    found = []
    for frame, _ in frames:
        message: Any = binance_sbe.decode(frame)
        if isinstance(message, binance_sbe.TradesStreamEvent):
            found.append(int(message.trades["id"][0]))
        elif isinstance(message, binance_sbe.DepthDiffStreamEvent):
            found.append(message.first_book_update_id)
        else:
            found.append(message.book_update_id)
    return found


class Feed:
    """A sequencer with lines that bring all four streams."""

    def __init__(self, lines: int = 1) -> None:
        self.ledger = Ledger()
        self.sequencer = self.ledger.sequencer
        self.lines: list[Line] = []
        self.now = 0
        self.names = [f"btcusdt@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]
        for place in range(lines):
            self.open(place)

    def open(self, place: int) -> Line:
        line = Line(place, f"line {place + 1}")
        self.lines[place : place + 1] = [line]
        self.sequencer.enter(line, self.names, self.now)
        return line

    def give(self, place: int, *frames: bytes) -> list[int]:
        out = []
        for frame in frames:
            self.now += 1
            out += ids(self.sequencer.arrive(self.lines[place], frame, self.now))
        return out

    def wait(self, ns: int) -> list[int]:
        self.now += ns
        return ids(self.sequencer.released(self.now))

    def holes(self) -> list[tuple[int, int, str]]:
        return [(hole.last_before, hole.first_after, hole.cause) for hole in self.ledger.holes]


def test_trades_and_diffs_without_gaps_are_handed_on() -> None:
    feed = Feed()
    assert feed.give(0, trade(5), trade(6, 9), trade(10)) == [5, 6, 10]
    assert feed.give(0, diff(50, 60), diff(61, 61)) == [50, 61]
    assert feed.holes() == []
    stream = feed.ledger.streams["btcusdt@trade"]
    assert (stream.frames, stream.lost, stream.last) == (3, 0, 10)


@pytest.mark.parametrize(("make", "kind"), [(trade, "trade"), (diff, "depth")])
def test_a_gap_is_a_hole_with_its_ids_and_times(make: Any, kind: str) -> None:
    feed = Feed()
    feed.give(0, make(5, 7), make(11, 12))
    (hole,) = feed.ledger.holes
    assert (hole.stream, hole.last_before, hole.first_after) == (f"btcusdt@{kind}", 7, 11)
    assert (hole.started_ns, hole.ended_ns, hole.cause, hole.ids) == (1, 2, "not sent", 3)
    assert feed.ledger.streams[hole.stream].lost == 3


def test_gaps_of_the_best_prices_are_culled_and_no_loss() -> None:
    feed = Feed()
    assert feed.give(0, best(5), best(6), best(9), best(20)) == [5, 6, 9, 20]
    assert feed.holes() == []
    assert feed.ledger.streams["btcusdt@bestBidAsk"].culled == 2


def test_a_book_at_rest_is_sent_again_and_is_no_repetition() -> None:
    feed = Feed()
    assert feed.give(0, depth20(5, 1), depth20(5, 2), depth20(5, 3)) == [5, 5, 5]
    assert feed.ledger.streams["btcusdt@depth20"].out_of_order == 0


@pytest.mark.parametrize(
    ("make", "kind"), [(trade, "trade"), (best, "bestBidAsk"), (lambda i: depth20(i, i), "depth20")]
)
def test_what_one_connection_repeats_is_dropped_and_counted(make: Any, kind: str) -> None:
    feed = Feed()
    assert feed.give(0, make(5), make(5), make(6), make(5), make(6), make(7)) == [5, 6, 7]
    stream = feed.ledger.streams[f"btcusdt@{kind}"]
    assert (stream.out_of_order, stream.frames) == (3, 3)
    assert feed.holes() == []


def test_what_comes_late_on_one_connection_is_handed_on_and_is_in_no_hole() -> None:
    feed = Feed()
    assert feed.give(0, trade(5), trade(7), trade(6), trade(8)) == [5, 7, 6, 8]
    stream = feed.ledger.streams["btcusdt@trade"]
    assert (stream.out_of_order, stream.frames, stream.lost) == (1, 4, 0)
    assert (feed.holes(), feed.ledger.holes_count) == ([], 1)
    assert feed.give(0, trade(20), trade(12, 14)) == [20, 12]
    assert feed.holes() == [(8, 12, "not sent"), (14, 20, "not sent")]
    assert feed.give(0, trade(9), trade(19), trade(13)) == [9, 19]
    assert feed.holes() == [(9, 12, "not sent"), (14, 19, "not sent")]
    assert stream.lost == 2 + 4
    assert feed.give(0, trade(21)) == [21]


def test_of_two_lines_what_one_brings_late_is_what_others_wait_for() -> None:
    feed = Feed(2)
    feed.give(0, trade(5))
    feed.give(1, trade(5))
    assert feed.give(0, trade(7)) == []
    assert feed.give(0, trade(6), trade(8)) == [6, 7, 8]
    assert feed.give(1, trade(6), trade(7), trade(8), trade(9)) == [9]
    assert feed.holes() == []
    assert feed.give(0, trade(9), trade(13), trade(12), trade(13)) == []
    assert feed.give(1, trade(10)) == [10]
    assert feed.wait(2 * SECOND) == [12, 13]
    assert feed.holes() == [(10, 12, "not sent")]
    assert feed.ledger.streams["btcusdt@trade"].out_of_order == 3


def test_an_exchange_that_counts_anew_is_followed() -> None:
    feed = Feed(2)
    assert feed.give(0, trade(1000)) == [1000]
    assert feed.give(1, trade(1000)) == []
    assert feed.give(0, *(trade(i, time=2000 + i) for i in (1, 2))) == [1, 2]
    assert feed.give(1, *(trade(i, time=2000 + i) for i in (1, 2, 3))) == [3]
    assert feed.give(0, *(trade(i, time=2000 + i) for i in (3, 4))) == [4]
    assert feed.holes() == []


def test_the_first_of_two_lines_wins_and_lag_is_measured() -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.now = 100
    assert feed.give(1, trade(1), trade(2)) == [2]
    feed.now = 1000
    assert feed.give(0, trade(2), trade(3)) == [3]
    one, two = feed.lines
    assert (one.won, one.duplicates, two.won, two.duplicates) == (2, 1, 1, 1)
    assert (two.lag.max, one.lag.max) == (100, 899)


def test_a_gap_waits_for_the_other_line_and_no_longer_than_it_may() -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    assert feed.give(0, trade(4), trade(5)) == []
    assert feed.give(1, trade(2)) == [2]
    assert feed.give(1, trade(3)) == [3, 4, 5]
    assert feed.holes() == []
    assert feed.give(0, trade(9)) == []
    assert feed.wait(SECOND // 2) == []
    assert feed.wait(SECOND) == [9]
    assert feed.holes() == [(5, 9, "not sent")]
    assert feed.give(1, trade(6)) == []  # too late: in order, or not at all


def test_a_gap_does_not_wait_for_a_line_that_is_not_read() -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    assert feed.give(0, trade(3)) == []
    later = feed.now + 5 * SECOND
    assert feed.sequencer.released(later, later - SECOND // 2) == []
    assert feed.give(1, trade(2)) == [2, 3]
    assert feed.holes() == []


def test_a_gap_of_both_lines_is_a_hole_at_once() -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    assert feed.give(0, trade(4)) == []
    assert feed.give(1, trade(4), trade(5)) == [4, 5]
    assert feed.holes() == [(1, 4, "not sent")]


@pytest.mark.parametrize("make", [trade, best])
def test_a_renewal_is_stitched(make: Any) -> None:
    feed = Feed()
    assert feed.give(0, make(1), make(2)) == [1, 2]
    feed.open(1)
    assert feed.give(1, make(4), make(5)) == []  # ahead of the old connection
    assert feed.give(0, make(3)) == ([3, 4, 5] if make is trade else [3])
    assert feed.give(0, make(4)) == ([] if make is trade else [4, 5])  # in step from here on
    feed.sequencer.leave(feed.lines[0], "renewed")
    assert feed.give(1, make(6)) == [6]
    assert feed.holes() == []


@pytest.mark.parametrize(("make", "lost"), [(trade, True), (best, True), (diff, True)])
def test_a_break_makes_a_hole_of_what_did_not_come(make: Any, lost: bool) -> None:
    feed = Feed()
    arguments = (lambda i: (i, i)) if make is diff else (lambda i: (i,))
    feed.give(0, make(*arguments(1)))
    feed.sequencer.leave(feed.lines[0], "the connection was lost")
    feed.open(0)
    assert feed.give(0, make(*arguments(9))) == [9]
    assert feed.holes() == [(1, 9, "the connection was lost")]
    feed.sequencer.leave(feed.lines[0], "again")
    feed.open(0)
    assert feed.give(0, make(*arguments(9)), make(*arguments(10))) == [10]
    assert len(feed.holes()) == 1


def test_what_was_not_wanted_for_a_while_is_no_hole() -> None:
    feed = Feed()
    feed.give(0, trade(1))
    feed.sequencer.forget(["btcusdt@trade"])
    assert feed.give(0, trade(100)) == [100]
    assert feed.holes() == []


def test_a_damaged_frame_is_the_cause_and_is_kept() -> None:
    feed = Feed()
    frame = trade(2)
    feed.give(0, trade(1))
    assert feed.sequencer.arrive(feed.lines[0], frame[:-1], 10) == [(frame[:-1], 10)]
    feed.now = 10
    feed.give(0, trade(3))
    assert feed.holes() == [(1, 3, "a damaged frame")]


def test_damage_may_hide_best_prices_which_another_line_may_have() -> None:
    feed = Feed()
    feed.give(0, best(1), depth20(1, 1))
    feed.sequencer.arrive(feed.lines[0], best(4)[:-1], 10)
    assert feed.give(0, best(9), best(20), depth20(30, 2)) == [9, 20, 30]
    assert feed.holes() == [(1, 9, "a damaged frame")]
    feed = Feed(2)
    feed.give(0, best(1))
    feed.give(1, best(1))
    feed.sequencer.arrive(feed.lines[0], best(4)[:-1], 10)
    assert feed.give(0, best(9)) == []
    assert feed.give(1, best(4), best(9), best(10)) == [4, 9, 10]
    assert feed.holes() == []


def test_a_line_that_was_there_in_time_has_all_best_prices() -> None:
    feed = Feed()
    feed.open(1)
    feed.now = 100
    assert feed.give(0, best(5)) == [5]
    assert feed.give(1, best(9)) == []  # the first that it brings
    feed.sequencer.leave(feed.lines[0], "cut")  # before it has brought the same
    assert feed.wait(1) == [9]
    assert feed.holes() == []


def test_what_waited_of_a_connection_that_is_gone_says_nothing_of_the_next_one() -> None:
    feed = Feed(2)
    feed.give(0, best(1))
    feed.give(1, best(1))
    feed.sequencer.arrive(feed.lines[1], b"damaged", 10)
    assert feed.give(1, best(5), best(9)) == []  # the other line may have more
    feed.sequencer.leave(feed.lines[1], "cut")
    assert feed.wait(2 * SECOND) == [5, 9]
    feed.open(1)
    assert feed.give(1, best(20)) == []
    feed.sequencer.leave(feed.lines[0], "silent")
    assert ids(feed.sequencer.released(feed.now)) == [20]
    assert [hole[:2] for hole in feed.holes()] == [(1, 5), (9, 20)]


def test_unknown_templates_are_counted_apart_from_damage() -> None:
    ledger = Ledger()
    frame = trade(1)
    ledger.note_damaged(frame[:2] + b"\x99\x99" + frame[4:], 1, "line 1")
    ledger.note_damaged(frame[:-3], 2, "line 1")
    assert ledger.unknown_templates == {0x9999: 1}
    (damaged,) = ledger.damaged
    assert (damaged.frame, damaged.received_ns, damaged.connection) == (frame[:-3], 2, "line 1")
    assert "symbol" in str(damaged.error)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="a place is from 0 to 7, not 8"):
        Line(8)
    with pytest.raises(ValueError, match="no message"):
        Sequencer(lambda *_: None).ids(b"no frame")


@pytest.mark.parametrize("make", [best, lambda i: depth20(i, i)])
def test_what_is_repeated_while_it_waits_waits_as_well(make: Any) -> None:
    feed = Feed(2)
    feed.give(0, make(5))
    assert feed.give(1, make(8), make(8), make(9), make(9)) == []
    assert feed.wait(2 * SECOND) == [8, 9]


@given(st.integers(0, 2**32), st.integers(1, 3), st.booleans(), st.booleans())
def test_lines_that_lag_and_break_lose_only_what_the_holes_say(
    seed: int, lines: int, with_trades: bool, odd: bool
) -> None:
    """Each line brings a true sequence at its own pace, and may be cut and come back.

    With ``odd`` it brings some events twice, and some in the wrong order.
    """
    chance = random.Random(seed)
    truth: list[bytes] = []
    spans: list[tuple[int, int]] = []
    at = chance.randrange(1, 1000)
    for _ in range(40):
        size = chance.randrange(1, 4)
        spans.append((at, at + size - 1))
        truth.append(trade(at, at + size - 1) if with_trades else diff(at, at + size - 1))
        at += size
    feed = Feed(lines)
    position = [0] * lines
    sent = 0
    out: list[int] = []
    while sent < len(truth) or any(p < sent for p in position):
        sent = min(len(truth), sent + chance.randrange(3))
        place = chance.randrange(lines)
        if chance.random() < 0.06:
            feed.sequencer.leave(feed.lines[place], "cut")
            out += ids(feed.sequencer.released(feed.now))
            feed.open(place)
            position[place] = sent  # it begins with what is sent from now on
        for _ in range(chance.randrange(4)):
            i = position[place]
            if odd and i + 1 < sent and chance.random() < 0.1:
                out += feed.give(place, truth[i + 1], truth[i])
                position[place] += 2
            elif i < sent:
                out += feed.give(place, truth[i], *[truth[i]] * (odd and chance.random() < 0.05))
                position[place] += 1
        if chance.random() < 0.05:
            out += feed.wait(2 * SECOND)
    out += feed.wait(2 * SECOND)
    assert len(set(out)) == len(out)
    late = sum(a > b for a, b in pairwise(out))
    (stream,) = (each for each in feed.ledger.streams.values() if each.frames)
    assert late <= stream.out_of_order
    assert odd or (late == 0 and stream.out_of_order == 0)
    out.sort()
    first = spans[0][0]
    missing = [span for span in spans if span[0] not in out and span[0] >= out[0]]
    listed = {i for before, after, _ in feed.holes() for i in range(before + 1, after)}
    tail = {i for begin, end in missing if begin > out[-1] for i in range(begin, end + 1)}
    assert {i for begin, end in missing for i in range(begin, end + 1)} - tail == listed
    assert out[0] >= first
