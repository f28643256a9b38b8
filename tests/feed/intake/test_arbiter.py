"""Every event once and in order, whichever connection brings it; and what is missing, exactly."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake import intake

import binance_sbe
from binance_sbe.feed.intake.damage import MOST_BYTES, MOST_FRAMES, MOST_OF_ONE, DamagedFrames
from binance_sbe.feed.intake.directory import MOST_STRAYS
from binance_sbe.feed.intake.streams import Source
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades

SECOND = 1_000_000_000


def trade(first: int, last: int | None = None, time: int = 0) -> bytes:
    ids = range(first, (last or first) + 1)
    trades = tuple(Trade(i, 100, 1, False) for i in ids)
    return encode(Trades("BTCUSDT", -2, -8, time or first, first, trades))


def trades(*numbers: int) -> bytes:
    """Trades with these ids in one event, whose time is the highest of them."""
    found = tuple(Trade(i, 100, 1, False) for i in numbers)
    return encode(Trades("BTCUSDT", -2, -8, max(numbers), 1, found))


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
    """An arbiter with lines that bring all four streams."""

    def __init__(self, lines: int = 1) -> None:
        self.ledger, backlog = intake()
        self.arbiter = backlog.arbiter
        self.lines: list[Source] = []
        self.now = 0
        self.names = [f"btcusdt@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]
        for place in range(lines):
            self.open(place)

    def open(self, place: int) -> Source:
        line = Source(place, f"line {place + 1}")
        self.lines[place : place + 1] = [line]
        self.arbiter.enter(line, self.names)
        return line

    def give(self, place: int, *frames: bytes) -> list[int]:
        out = []
        for frame in frames:
            self.now += 1
            out += ids(self.arbiter.arrive(self.lines[place], frame, self.now))
        return out

    def wait(self, ns: int) -> list[int]:
        self.now += ns
        return ids(self.arbiter.released(self.now))

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
    assert feed.holes() == [(10, 12, "another connection was late")]
    assert feed.ledger.streams["btcusdt@trade"].out_of_order == 3


def test_an_exchange_that_counts_anew_is_followed() -> None:
    feed = Feed(2)
    assert feed.give(0, trade(1000)) == [1000]
    assert feed.give(1, trade(1000)) == []
    assert feed.give(0, *(trade(i, time=2000 + i) for i in (1, 2))) == [1, 2]
    assert feed.give(1, *(trade(i, time=2000 + i) for i in (1, 2, 3))) == [3]
    assert feed.give(0, *(trade(i, time=2000 + i) for i in (3, 4))) == [4]
    assert feed.holes() == []


@pytest.mark.parametrize("late", [2000, 1999, 1001])
def test_after_a_new_count_a_connection_may_bring_earlier_times(late: int) -> None:
    feed = Feed(2)
    feed.give(0, trade(1000))
    feed.give(1, trade(1000))
    assert feed.give(0, trade(1, time=2000)) == [1]
    assert feed.give(0, *(trade(i, time=late) for i in (2, 3))) == [2, 3]
    assert feed.give(1, trade(1001, time=1001)) == []  # was sent before
    assert feed.give(1, trade(1, time=2000), trade(2, time=late)) == []
    assert feed.give(1, *(trade(i, time=2001) for i in (3, 4))) == [4]
    assert feed.holes() == []


@pytest.mark.parametrize("make", [lambda i, t: trade(i, time=t), depth20])
def test_event_times_that_step_back_a_little_are_no_new_count(make: Any) -> None:
    feed = Feed(2)
    events = [make(1, 10), make(2, 9), make(3, 8), make(4, 11)]
    assert feed.give(0, *events[:3]) == [1, 2, 3]
    assert feed.give(1, *events) == [4]
    assert feed.holes() == []


def test_an_event_of_a_far_future_does_not_silence_its_stream() -> None:
    feed = Feed()
    feed.give(0, trade(100))
    assert feed.give(0, trade(5, time=2**63 - 1), trade(101), trade(102)) == [5, 101, 102]
    feed.arbiter.leave(feed.lines[0], "the end")
    feed.open(0)
    feed.give(0, trade(103))
    feed.wait(60 * SECOND)
    assert feed.give(0, trade(104), trade(105)) == [104, 105]
    assert feed.holes() == [(5, 101, "not sent"), (102, 104, "the end")]


def test_a_new_connection_may_bring_what_was_sent_before_a_new_count() -> None:
    feed = Feed(2)
    assert feed.give(0, trade(100), trade(1, time=2000), trade(2, time=2001)) == [100, 1, 2]
    feed.arbiter.leave(feed.lines[1], "the end")
    feed.open(1)
    assert feed.give(1, trade(99), trade(100), trade(1, time=2000), trade(2, time=2001)) == []
    assert feed.give(1, trade(3, time=2002)) == [3]
    assert feed.holes() == []


@pytest.mark.parametrize("held", [(102,), (102, 104)])
def test_a_new_count_may_begin_with_odd_ids_while_events_wait(held: tuple[int, ...]) -> None:
    feed = Feed(2)
    feed.give(0, trade(100))
    feed.give(1, trade(100))
    assert feed.give(0, trades(*held)) == []
    odd = encode(
        Trades("BTCUSDT", -2, -8, 500, 500, (Trade(1, 1, 1, False), Trade(3, 1, 1, False)))
    )
    assert feed.give(0, odd) == [1, 102]
    assert feed.holes()[-1] == (1, 3, "not sent")


@pytest.mark.parametrize("is_wanted_again", [False, True])
def test_a_line_that_is_late_with_a_forgotten_stream_brings_nothing_twice(
    is_wanted_again: bool,
) -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    assert feed.give(0, trade(2, 9), trade(10)) == [2, 10]
    feed.arbiter.forget(["btcusdt@trade"])
    if is_wanted_again:
        feed.arbiter.enter(feed.lines[0], ["btcusdt@trade"])
        assert feed.give(0, trade(20), trade(21)) == [20, 21]
    assert feed.give(1, trade(2, 9), trade(10), trade(11)) == [11]  # which was on its way
    assert feed.holes() == []
    if is_wanted_again:
        feed.arbiter.enter(feed.lines[1], ["btcusdt@trade"])
        assert feed.give(1, trade(21), trade(22), trade(30)) == [22]
        assert feed.wait(2 * SECOND) == [30]
        assert [hole[:2] for hole in feed.holes()] == [(22, 30)]


def test_what_fills_a_hole_leaves_it_however_many_there_are() -> None:
    feed = Feed()
    feed.give(0, *(trade(2 * i) for i in range(10_050)))
    late = [trade(i) for i in (11, 999, 1999, 19_999)]
    assert feed.give(0, *late) == [999, 1999, 19_999]  # the oldest are not remembered
    holes = feed.ledger.holes
    assert len(holes) == feed.ledger.streams["btcusdt@trade"].lost == 10_049 - 3
    assert not any(hole.first_after - 1 in (999, 1999, 19_999) for hole in holes)


def test_holes_that_late_events_split_are_remembered_in_bounded_memory() -> None:
    feed = Feed()
    feed.give(0, trade(1), trade(100_000))
    late = [trade(i, time=100_000) for i in range(99_998, 70_000, -2)]
    assert feed.give(0, *late)
    known = feed.ledger._fillable["btcusdt@trade"]
    assert len(known) <= 11_000
    assert sum(hole.ids for hole in feed.ledger.holes) == feed.ledger.streams["btcusdt@trade"].lost


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
    assert feed.holes() == [(5, 9, "another connection was late")]
    assert feed.give(1, trade(6), trade(8)) == [6, 8]  # late, but here
    assert feed.holes() == [(6, 8, "another connection was late")]
    stream = feed.ledger.streams["btcusdt@trade"]
    assert (stream.lost, stream.late, stream.out_of_order) == (1, 2, 0)


def test_a_gap_does_not_wait_for_a_line_that_is_not_read() -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    assert feed.give(0, trade(3)) == []
    later = feed.now + 5 * SECOND
    assert feed.arbiter.released(later, later - SECOND // 2) == []
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
    assert feed.give(0, make(3)) == [3, 4, 5]
    assert feed.give(0, make(4)) == []
    feed.arbiter.leave(feed.lines[0], "renewed")
    assert feed.give(1, make(6)) == [6]
    assert feed.holes() == []


@pytest.mark.parametrize(("make", "lost"), [(trade, True), (best, True), (diff, True)])
def test_a_break_makes_a_hole_of_what_did_not_come(make: Any, lost: bool) -> None:
    feed = Feed()
    arguments = (lambda i: (i, i)) if make is diff else (lambda i: (i,))
    feed.give(0, make(*arguments(1)))
    feed.arbiter.leave(feed.lines[0], "the connection was lost")
    feed.open(0)
    assert feed.give(0, make(*arguments(9))) == [9]
    assert feed.holes() == [(1, 9, "the connection was lost")]
    feed.arbiter.leave(feed.lines[0], "again")
    feed.open(0)
    assert feed.give(0, make(*arguments(9)), make(*arguments(10))) == [10]
    assert len(feed.holes()) == 1


def test_what_was_not_wanted_for_a_while_is_no_hole() -> None:
    feed = Feed()
    feed.give(0, trade(1))
    feed.arbiter.forget(["btcusdt@trade"])
    assert feed.give(0, trade(100)) == [100]
    assert feed.holes() == []


def test_a_damaged_frame_is_the_cause_and_is_kept() -> None:
    feed = Feed()
    frame = trade(2)
    feed.give(0, trade(1))
    assert feed.arbiter.arrive(feed.lines[0], frame[:-1], 10) == [(frame[:-1], 10)]
    feed.now = 10
    feed.give(0, trade(3))
    assert feed.holes() == [(1, 3, "a damaged frame")]


def test_damage_may_hide_best_prices_which_another_line_may_have() -> None:
    feed = Feed()
    feed.give(0, best(1), depth20(1, 1))
    feed.arbiter.arrive(feed.lines[0], best(4)[:-1], 10)
    assert feed.give(0, best(9), best(20), depth20(30, 2)) == [9, 20, 30]
    assert feed.holes() == [(1, 9, "a damaged frame")]
    feed = Feed(2)
    feed.give(0, best(1))
    feed.give(1, best(1))
    feed.arbiter.arrive(feed.lines[0], best(4)[:-1], 10)
    assert feed.give(0, best(9)) == []
    assert feed.give(1, best(4), best(9), best(10)) == [4, 9, 10]
    assert feed.holes() == []


def test_only_a_line_that_has_brought_something_before_has_passed_over_a_gap() -> None:
    """When it subscribed does not tell: what came by the other may have been long on its way."""
    feed = Feed()
    feed.open(1)
    feed.now = 100
    assert feed.give(0, best(5)) == [5]
    assert feed.give(1, best(9)) == []  # the first that it brings
    feed.arbiter.leave(feed.lines[0], "cut")  # before it has brought the same
    assert feed.wait(1) == [9]
    assert feed.holes() == [(5, 9, "cut")]
    assert feed.give(1, best(20)) == [20]
    assert feed.ledger.streams["btcusdt@bestBidAsk"].culled == 1
    assert len(feed.holes()) == 1


def test_a_line_that_ended_as_asked_has_left_nothing_out() -> None:
    """It was read to its end, and the other had subscribed before: nothing lies between."""
    for make in (best, lambda i: depth20(i, i)):
        feed = Feed()
        assert feed.give(0, make(5)) == [5]
        feed.open(1)
        feed.arbiter.leave(feed.lines[0], "renewed", True)
        assert feed.give(1, make(9)) == [9]
        assert feed.holes() == []


def test_what_waited_of_a_connection_that_is_gone_says_nothing_of_the_next_one() -> None:
    feed = Feed(2)
    feed.give(0, best(1))
    feed.give(1, best(1))
    feed.arbiter.arrive(feed.lines[1], b"damaged", 10)
    assert feed.give(1, best(5), best(9)) == []  # the other line may have more
    feed.arbiter.leave(feed.lines[1], "cut")
    assert feed.wait(2 * SECOND) == [5, 9]
    feed.open(1)
    assert feed.give(1, best(20)) == []
    feed.arbiter.leave(feed.lines[0], "silent")
    assert ids(feed.arbiter.released(feed.now)) == [20]
    assert [hole[:2] for hole in feed.holes()] == [(1, 5), (9, 20)]


def test_unknown_templates_are_counted_apart_from_damage() -> None:
    (ledger, backlog), line = intake(), Source(1, "line 1")
    frame = trade(1)
    assert not backlog.damaged.note(frame[:2] + b"\x99\x99" + frame[4:], 1, line)
    assert backlog.damaged.note(frame[:-3], 2, line)
    assert ledger.unknown_templates == {0x9999: 1}
    (damaged,) = ledger.damaged
    assert (damaged.frame, damaged.received_ns, damaged.connection) == (frame[:-3], 2, "line 1")
    assert "symbol" in str(damaged.error)


def test_damaged_frames_are_kept_within_bounds() -> None:
    frames, line = DamagedFrames(), Source()
    for number in range(MOST_FRAMES + 5):
        assert frames.note(bytes([number % 256]), number, line)
    assert (frames.count, len(frames)) == (MOST_FRAMES + 5, MOST_FRAMES)
    assert [received for _, received, _ in frames][:2] == [5, 6]
    for _ in range(100):
        frames.note(bytes(16 << 20), 1, line)
    kept = [frame for frame, _, _ in frames]
    assert len(kept[-1]) == MOST_OF_ONE
    assert sum(map(len, kept)) <= MOST_BYTES


def test_ids_missing_inside_one_event_are_in_holes() -> None:
    feed = Feed(2)
    assert feed.give(0, trades(1), trades(2, 9), trades(10)) == [1, 2, 10]
    assert feed.holes() == [(2, 9, "not sent")]
    assert feed.give(1, trades(1), trades(2, 9), trades(10)) == []
    stream = feed.ledger.streams["btcusdt@trade"]
    assert (stream.lost, stream.out_of_order, stream.duplicates) == (6, 0, 3)
    assert feed.give(0, trades(13, 12, 12, 16)) == []  # the other may bring 11
    assert feed.wait(2 * SECOND) == [13]
    late = (10, 12, "another connection was late")
    assert feed.holes()[1:] == [late, (13, 16, "not sent")]
    assert (stream.lost, stream.out_of_order) == (6 + 1 + 2, 2)
    assert feed.give(1, trades(14, 11)) == [14]  # it brings what is missing in two holes
    assert feed.holes()[1:] == [(14, 16, "not sent")]
    assert (stream.lost, stream.late) == (6 + 1, 1)


def test_gaps_of_all_sizes_are_counted_exactly() -> None:
    feed = Feed()
    feed.give(0, diff(-(2**63) + 1, -(2**63) + 1), diff(2**63 - 1, 2**63 - 1))
    assert feed.ledger.streams["btcusdt@depth"].lost == 2**64 - 3
    assert feed.ledger.holes[0].ids == 2**64 - 3
    feed.give(0, diff(2**63 - 1, 2**63 - 1), diff(5, 4))
    assert feed.ledger.streams["btcusdt@depth"].out_of_order == 2


def test_an_event_that_comes_before_one_that_waits_lets_it_go_in_order() -> None:
    """Both have 1; 3 waits for 2, and the line that was to bring it brings 4."""
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    assert feed.give(0, trade(3)) == []
    assert feed.give(1, trade(4)) == [3, 4]
    assert feed.holes() == [(1, 3, "not sent")]
    assert feed.ledger.streams["btcusdt@trade"].duplicates == 1


def test_what_another_line_brings_of_before_the_first_event_is_handed_on() -> None:
    for make in (trade, best, lambda i: depth20(i, i)):
        feed = Feed(2)
        assert feed.give(0, make(50)) == [50]
        assert feed.give(1, make(48), make(49), make(50), make(51)) == [48, 49, 51]
        assert feed.give(0, make(51)) == []
        assert feed.holes() == []


def test_a_book_at_rest_that_both_lines_bring_is_a_duplicate() -> None:
    feed = Feed(2)
    for at in (1, 2, 3):
        assert feed.give(0, depth20(5, at)) == [5]
        assert feed.give(1, depth20(5, at)) == []
    stream = feed.ledger.streams["btcusdt@depth20"]
    assert (stream.frames, stream.duplicates, stream.out_of_order) == (3, 3, 0)


def test_after_a_reconnect_an_exchange_that_counts_anew_is_followed() -> None:
    """The first event of the new connection is of the new count, and so are those that follow."""
    for make in (lambda i, t: trade(i, time=t), depth20):
        feed = Feed()
        assert feed.give(0, make(1000, 1000)) == [1000]
        feed.arbiter.leave(feed.lines[0], "the exchange restarted")
        feed.open(0)
        assert feed.give(0, make(1, 5000), make(2, 5001)) == [1, 2]
        assert feed.holes() == []
        # What it brings after that was sent after that, whatever its time is: TCP keeps the order.
        assert feed.give(0, make(7, 4000)) == [7]


def test_lines_of_other_streams_have_no_part_in_a_stream() -> None:
    """Two shards: what happens to the connections of one leaves the other's streams as they are."""
    ledger, backlog = intake()
    arbiter = backlog.arbiter
    one, two = Source(1, "one"), Source(2, "two")
    arbiter.enter(one, ["btcusdt@bestBidAsk", "btcusdt@trade"])
    arbiter.enter(two, ["ethusdt@trade"])
    arbiter.arrive(one, best(5), 1)
    arbiter.arrive(one, trade(5), 1)
    arbiter.arrive(two, b"damaged", 2)
    arbiter.leave(two, "renewed")
    for name in ("btcusdt@bestBidAsk", "btcusdt@trade"):
        stream = ledger.streams[name]
        assert (stream.is_covered, stream.in_step(one), stream.cause) == (True, True, None)
    assert ids(arbiter.arrive(one, best(9), 3)) == [9]
    assert ids(arbiter.arrive(one, trade(9), 3)) == [9]
    assert [(hole.stream, hole.cause) for hole in ledger.holes] == [("btcusdt@trade", "not sent")]
    assert (ledger.streams["ethusdt@trade"].is_covered, ledger.streams["ethusdt@trade"].cause) == (
        False, "renewed",
    )  # fmt: skip


def test_streams_that_nobody_wants_are_counted_together() -> None:
    (ledger, backlog), line = intake(), Source()
    arbiter = backlog.arbiter
    arbiter.directory.is_wanted = lambda name: name == "btcusdt@trade"
    arbiter.enter(line, ["btcusdt@trade"])
    for number in range(1000):
        frame = encode(Trades(f"S{number}", -2, -8, 1, 1, (Trade(1, 1, 1, True),)))
        for _ in range(2):
            assert arbiter.arrive(line, frame, 1) == [(frame, 1)]
    assert ids(arbiter.arrive(line, trade(1), 1)) == [1]
    assert set(ledger.streams) == {"btcusdt@trade"}
    assert ledger.strays_count == 2000
    assert len(ledger.strays) == MOST_STRAYS
    assert ledger.strays["s0@trade"] == 2
    arbiter.directory.is_wanted = None
    arbiter.enter(line, ["s5@trade"])
    frame = encode(Trades("S5", -2, -8, 1, 1, (Trade(1, 1, 1, True),)))
    arbiter.arrive(line, frame, 1)
    assert arbiter.arrive(line, frame, 1) == []
    assert ledger.streams["s5@trade"].out_of_order == 1


def test_what_was_on_its_way_when_a_stream_was_given_up_says_nothing_of_what_follows() -> None:
    feed = Feed()
    feed.give(0, trade(1))
    feed.open(1)
    assert feed.give(1, trade(3)) == []
    assert ids(feed.arbiter.forget(["btcusdt@trade"])) == [3]
    assert feed.give(0, trade(4)) == [4]
    feed.arbiter.enter(feed.lines[0], ["btcusdt@trade"])
    assert feed.give(0, trade(100)) == [100]
    assert [hole[:2] for hole in feed.holes()] == [(1, 3)]


def test_frames_that_wait_are_bounded_and_cost_little() -> None:
    feed = Feed(2)
    feed.give(0, trade(1))
    feed.give(1, trade(1))
    feed.arbiter.most_held = 3000
    before = time.perf_counter()
    assert feed.give(0, *(trade(i) for i in range(3, 3003))) == []
    assert feed.arbiter.held_count == 3000
    filling = time.perf_counter() - before
    frame = best(1)
    before = time.perf_counter()
    for _ in range(3000):
        feed.arbiter.released(feed.now)
        feed.arbiter.arrive(feed.lines[1], frame, feed.now)
    assert time.perf_counter() - before < 10 * filling
    assert len(feed.give(0, trade(3003))) == 3001
    assert feed.holes() == [(1, 3, "another connection was late")]
    assert feed.arbiter.held_count == 0
    assert feed.give(1, trade(2)) == [2]
    assert feed.holes() == []


@pytest.mark.parametrize("make", [best, lambda i: depth20(i, i)])
def test_what_is_repeated_while_it_waits_waits_as_well(make: Any) -> None:
    feed = Feed(2)
    feed.give(0, make(5))
    assert feed.give(1, make(8), make(8), make(9), make(9)) == []
    assert feed.wait(2 * SECOND) == [8, 9]


class Truth:
    """What an exchange has sent of one stream, and what each line has brought of it."""

    def __init__(self, chance: random.Random, kind: str, lines: int) -> None:
        self.chance = chance
        self.kind = kind
        self.feed = Feed(lines)
        self.events: list[tuple[int, int]] = []  # first and last id
        self.position = [0] * lines  # what each line brings next
        self.spans: list[list[list[int]]] = [[] for _ in range(lines)]  # [begin, end] of events
        self.is_fresh = [True] * lines  # it has brought nothing since it came, or was damaged
        self.brought: set[int] = set()  # events
        self.out: list[int] = []  # first ids
        self.at = chance.randrange(1, 1000)

    def send(self) -> None:
        size = self.chance.randrange(1, 4)
        if self.kind in ("trade", "depth"):
            self.events.append((self.at, self.at + size - 1))
        else:
            self.events.append((self.at, self.at))
        self.at += size

    def frame(self, number: int) -> bytes:
        first, last = self.events[number]
        match self.kind:
            case "trade":
                return trade(first, last)
            case "depth":
                return diff(first, last)
            case "bestBidAsk":
                return best(first)
        return depth20(first, first)

    def bring(self, place: int) -> None:
        """A line brings its next event; of best prices the exchange may leave some out."""
        number = self.position[place]
        if number >= len(self.events):
            return
        jumps = self.kind in ("bestBidAsk", "depth20")
        if jumps and self.chance.random() < 0.2 and number + 1 < len(self.events):
            number += 1
        self.position[place] = number + 1
        self.out += self.feed.give(place, self.frame(number))
        self.brought.add(number)
        if self.is_fresh[place]:
            self.is_fresh[place] = False
            self.spans[place].append([number, number])
        self.spans[place][-1][1] = number

    def damage(self, place: int) -> None:
        """The next event of a line comes damaged."""
        number = self.position[place]
        if number < len(self.events):
            self.position[place] = number + 1
            self.feed.now += 1
            damaged = self.frame(number)[:-1]
            self.feed.arbiter.arrive(self.feed.lines[place], damaged, self.feed.now)
            self.is_fresh[place] = True

    def cut(self, place: int) -> None:
        self.feed.arbiter.leave(self.feed.lines[place], "cut")
        self.out += ids(self.feed.arbiter.released(self.feed.now))
        self.feed.open(place)
        self.position[place] = len(self.events)  # it begins with what is sent from now on
        self.is_fresh[place] = True

    def check(self) -> None:
        numbers = {first: i for i, (first, _) in enumerate(self.events)}
        got = [numbers[first] for first in self.out]
        assert len(set(got)) == len(got)
        stream = self.feed.ledger.streams[f"btcusdt@{self.kind}"]
        assert sum(b < a for a, b in pairwise(got)) <= stream.late
        assert stream.frames == len(got)
        assert stream.out_of_order == 0
        holes = [(before, after) for before, after, _ in self.feed.holes()]
        for i in got:
            first, last = self.events[i]
            assert not any(before < last and first < after for before, after in holes)
        passed = {i for spans in self.spans for begin, end in spans for i in range(begin, end + 1)}
        for i in range(got[0], max(got)):  # nobody knows what was sent before the first
            if i in got:
                continue
            first, last = self.events[i]
            in_hole = any(before < first and last < after for before, after in holes)
            if self.kind in ("trade", "depth"):
                assert in_hole
                assert i not in self.brought
            else:
                assert in_hole or i in passed  # else it was culled, or newer prices replaced it
        if self.kind in ("trade", "depth"):
            assert set(got) == self.brought
            assert stream.lost == sum(after - before - 1 for before, after in holes)
        else:
            for i in self.brought - set(got):
                assert i < max(got)


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32),
    lines=st.integers(1, 3),
    kind=st.sampled_from(["trade", "depth", "bestBidAsk", "depth20"]),
    trouble=st.sampled_from([0.0, 0.02, 0.1]),
)
def test_nothing_that_any_line_brings_is_thrown_away_and_holes_tell_the_rest(
    seed: int, lines: int, kind: str, trouble: float
) -> None:
    """Lines at paces of their own, that stand still, are cut, bring damaged frames, come late."""
    chance = random.Random(seed)
    truth = Truth(chance, kind, lines)
    for _ in range(120):
        for _ in range(chance.randrange(3)):
            truth.send()
        place = chance.randrange(lines)
        if chance.random() < trouble:
            truth.cut(place)
        if chance.random() < trouble:
            truth.damage(place)
        for _ in range(chance.choice([0, 1, 1, 2, 8])):
            truth.bring(place)
        if chance.random() < 0.1:
            truth.out += truth.feed.wait(chance.choice([1, SECOND // 2, 2 * SECOND]))
    truth.out += truth.feed.wait(2 * SECOND)
    if truth.out:
        truth.check()


@given(st.integers(0, 2**32), st.integers(1, 3), st.booleans())
def test_what_repeats_and_goes_back_on_a_line_changes_nothing(
    seed: int, lines: int, with_trades: bool
) -> None:
    """The exchange sends some events twice, and some in the wrong order."""
    chance = random.Random(seed)
    make: Any = trade if with_trades else diff
    truth = [make(3 * i, 3 * i + 2) for i in range(1, 60)]
    feed = Feed(lines)
    position = [0] * lines
    out: list[int] = []
    while min(position) < len(truth):
        place = chance.randrange(lines)
        i = position[place]
        if i + 1 < len(truth) and chance.random() < 0.1:
            out += feed.give(place, truth[i + 1], truth[i])
            position[place] += 2
        elif i < len(truth):
            out += feed.give(place, truth[i], *[truth[i]] * (chance.random() < 0.1))
            position[place] += 1
    out += feed.wait(2 * SECOND)
    assert sorted(out) == [3 * i for i in range(1, 60)]
    assert feed.holes() == []
    (stream,) = (each for each in feed.ledger.streams.values() if each.frames)
    assert (stream.lost, stream.frames) == (0, 59)
