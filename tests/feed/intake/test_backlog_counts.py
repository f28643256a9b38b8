"""What the backlog counts, measures and says, exactly: as messages and as rows."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import vectors
from fake_shell import Shell
from hypothesis import given, settings
from hypothesis import strategies as st
from intake import intake
from raw_server import BINARY, wire

import binance_sbe
from binance_sbe import DecodeError
from binance_sbe.feed.intake.stats import Histogram, Stats
from binance_sbe.feed.intake.streams import Source
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

NAMES = ["btcusdt@trade", "btcusdt@bestBidAsk", "btcusdt@depth20"]


def trade(number: int, event_time: int = 1) -> bytes:
    trades = (Trade(number, 100, 1, False),)
    return encode(Trades("BTCUSDT", -2, -8, event_time, number, trades))


def best(number: int) -> bytes:
    return encode(BestBidAsk("BTCUSDT", -2, -8, number, number, (1, 1), (2, 1)))


class Box:
    """An backlog with two connections, and how often it has woken its consumer."""

    def __init__(self, limit: int = 100, policy: Any = "block") -> None:
        self.woken = 0
        self.ledger, self.backlog = intake(limit, policy, self.wake)
        self.stats = self.backlog.stats
        self.lines = [Source(0, "one"), Source(1, "two")]
        for line in self.lines:
            self.backlog.arbiter.enter(line, NAMES)

    def wake(self) -> None:
        self.woken += 1

    def put(self, *frames: bytes, line: int = 0, at: int = 5) -> int:
        """How often the consumer was woken by these."""
        before = self.woken
        for frame in frames:
            self.backlog.put(frame, at, self.lines[line])
        return self.woken - before

    def taken(self) -> list[tuple[bytes, int]]:
        frames = self.backlog.frames
        return [frames.popleft()[:2] for _ in range(len(frames))]

    def ids(self, batch: Any) -> list[int]:
        groups = batch[binance_sbe.TradesStreamEvent].groups["trades"]
        return [int(each["id"][0]) for each in groups]


# room


@pytest.mark.parametrize("limit", [1, 2, 4, 5])
@pytest.mark.parametrize("rows", [False, True])
def test_connections_stop_at_the_limit_and_go_on_at_half_of_it(limit: int, rows: bool) -> None:
    box = Box(limit)
    backlog = box.backlog
    if rows:
        backlog.gather(1)
    for count in range(limit + 1):
        assert (backlog.pending, backlog.full) == (count, count == limit)
        assert backlog.has_much_room == (limit - count >= limit / 2)
        if count < limit:
            box.put(trade(count + 1))
    for count in range(limit, 0, -1):
        assert backlog.has_much_room == (limit - count >= limit / 2)
        if rows:
            backlog.hand_over()
        else:
            backlog.next_message()
    assert (backlog.pending, backlog.full, backlog.has_much_room) == (0, False, True)


def test_where_frames_may_be_dropped_only_the_others_make_connections_stop() -> None:
    box = Box(3, {"trade": "block", "bestBidAsk": "drop_oldest"})
    box.put(*(best(i) for i in range(1, 9)))
    assert (box.backlog.pending, box.backlog.full, box.backlog.has_much_room) == (3, False, True)
    box.put(trade(1), b"damaged")
    assert (box.backlog.pending, box.backlog.full, box.backlog.has_much_room) == (5, False, False)
    box.put(trade(2))
    assert (box.backlog.pending, box.backlog.full) == (6, True)


@pytest.mark.parametrize("limit", [2, 3, 7])
def test_of_the_limit_half_may_wait_for_another_connection(limit: int) -> None:
    box = Box(limit)
    box.put(trade(1))
    box.put(trade(1), line=1)
    box.backlog.next_message()
    held = limit // 2
    for count in range(1, held + 1):
        box.put(trade(2 + count))
        assert box.backlog.arbiter.held_count == box.backlog.pending == count
        assert box.backlog.full == (count == limit)
    box.put(trade(3 + held))
    assert (box.backlog.arbiter.held_count, box.backlog.pending) == (0, held + 1)
    assert [hole.first_after for hole in box.ledger.holes] == [3]


# waking


@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_rows_wake_the_consumer_where_there_were_none_and_where_there_is_no_room(
    policy: str,
) -> None:
    box = Box(4, policy)
    box.backlog.gather(100)
    assert [box.put(trade(number)) > 0 for number in range(1, 5)] == [True, False, False, True]
    assert (box.backlog.rows_ready, box.backlog.batches.rows) == (True, 4)
    if policy == "drop_oldest":  # there is no room for rows: frames wait as frames
        assert box.put(trade(5)) > 0
        assert (box.backlog.batches.rows, box.backlog.pending) == (4, 5)
    assert len(box.backlog.hand_over()) == 4
    assert box.backlog.batches.rows == (policy == "drop_oldest")
    assert (box.put(trade(6)) > 0) == (policy == "block")


def test_the_first_frame_that_waits_and_every_batch_wake_the_consumer() -> None:
    box = Box()
    woken = [box.put(frame) > 0 for frame in (trade(1), trade(2), b"damaged")]
    assert woken == [True, False, False]
    box.backlog.gather(3)
    assert box.backlog.rows_ready
    box.backlog.hand_over()
    ready, woken = [], []
    for number in range(3, 9):
        woken.append(box.put(trade(number)) > 0)
        ready.append(box.backlog.rows_ready)
    assert woken == [True, False, True, False, False, True]
    assert ready == [False, False, True, True, True, True]
    before = box.woken
    box.backlog.wake()
    assert box.woken == before + 1


# what is counted

LATER = vectors.NEWER_SNAPSHOT
UNKNOWN = trade(1)[:2] + b"\x99\x99" + trade(1)[4:]


@pytest.mark.parametrize("rows", [False, True])
def test_everything_that_comes_is_counted_once(rows: bool) -> None:
    box = Box()
    if rows:
        box.backlog.gather(50)
    first = [trade(1), trade(2) + b"xx", b"bad", UNKNOWN, LATER + b"left over", best(7) + b"x"]
    second = [trade(1) + b"again", trade(2), best(7), trade(4) + b"waits", LATER]
    box.put(*first, at=5)
    box.put(*second, line=1, at=6)
    box.put(trade(3) + b"yyy", at=7)
    stats, ledger, (one, two) = box.stats, box.ledger, box.lines
    assert (stats.frames, one.frames, two.frames) == (12, 7, 5)
    assert one.bytes == sum(map(len, first)) + len(trade(3)) + 3
    assert (two.bytes, stats.bytes) == (sum(map(len, second)), one.bytes + two.bytes)
    assert (one.received, two.received) == (7, 6)
    assert ledger.newer_versions == {1: 2}
    assert (ledger.damaged_count, ledger.unknown_templates) == (1, {0x9999: 1})
    assert (one.damaged, two.damaged) == (1, 0)
    assert (one.duplicates, two.duplicates, one.won, two.won) == (0, 4, 5, 1)
    assert [ledger.streams[name].frames for name in NAMES] == [4, 1, 1]
    assert ledger.holes == []
    assert box.backlog.pending == 8
    left_over = 2 + 1 + 3 + 5  # of a newer version it is not known what that is
    if rows:
        batch = box.backlog.hand_over()
        assert (batch.frame_count, len(batch), len(batch.rejected)) == (8, 6, 2)
        assert (batch.left_over_bytes, box.ids(batch)) == (left_over, [1, 2, 3, 4])
        received = batch[binance_sbe.TradesStreamEvent].records["received_ns"].tolist()
        assert received == [5, 5, 7, 6]
        assert stats.rejected == 0  # whoever takes the batch counts these
    else:
        failures = 0
        for _ in range(8):
            try:
                box.backlog.next_message()
            except DecodeError:
                failures += 1
        assert (failures, stats.rejected, stats.left_over_bytes) == (2, 2, left_over)
    assert stats.event_to_received.count == 6
    assert stats.received_to_decoded.count == stats.decoding.count == 6 + 2 * rows
    assert stats.decoded_to_handed_over.count == 6 + 2 * rows
    assert (box.backlog.pending, stats.texts) == (0, 0)


def test_a_gone_connection_brings_nothing_that_counts() -> None:
    box = Box()
    box.backlog.arbiter.leave(box.lines[0], "cut")
    box.put(trade(1), b"bad")
    assert (box.lines[0].unwanted, box.lines[0].frames, box.stats.frames) == (2, 0, 0)
    assert (box.backlog.pending, box.stats.bytes, box.ledger.damaged_count) == (0, 0, 0)


@pytest.mark.parametrize("rows", [False, True])
def test_frames_that_were_held_back_are_handed_in_with_their_times(rows: bool) -> None:
    box = Box()
    if rows:
        box.backlog.gather(10)
    before = box.woken
    box.backlog.hand_in([(trade(1), 11), (trade(2), 12), (b"bad", 13)])
    assert (box.woken > before, box.backlog.pending, box.stats.frames) == (True, 3, 0)
    if rows:
        assert box.backlog.batches.rows == 3
        batch = box.backlog.hand_over()
        records = batch[binance_sbe.TradesStreamEvent].records
        assert records["received_ns"].tolist() == [11, 12]
        assert len(batch.rejected) == 1
        assert box.stats.event_to_received.count == 2
        assert box.stats.decoding.max < 60e9  # from when that began, and not from 1970
    else:
        assert box.taken() == [(trade(1), 11), (trade(2), 12), (b"bad", 13)]


def test_rows_are_measured_once_however_batches_are_cut() -> None:
    box = Box(10_000)
    stats = box.stats
    box.backlog.gather(1000)
    for number in range(1, 201):
        box.put(trade(number))
    handed = 0
    for size in (1, 7, 60, 2, 90, 100):
        box.backlog.gather(size)
        batch = box.backlog.hand_over()
        handed += batch.frame_count
        assert stats.decoded_to_handed_over.count == handed
        assert stats.received_to_decoded.count == stats.decoding.count == 200
    assert (handed, box.backlog.batches.rows) == (200, 0)
    for number in range(201, 301):  # what was measured before is not measured again
        box.put(trade(number))
    while box.backlog.batches.rows:
        box.backlog.hand_over()
    assert stats.decoded_to_handed_over.count == stats.decoding.count == 300
    assert stats.decoded_to_handed_over.max < 60e9


def test_a_batch_is_measured_from_when_its_own_rows_were_decoded() -> None:
    box = Box()
    box.backlog.gather(10)
    box.put(trade(1), trade(2))
    box.backlog.hand_over()
    time.sleep(0.25)
    box.put(trade(3))
    box.backlog.hand_over()
    assert box.stats.decoded_to_handed_over.count == 3
    assert box.stats.decoded_to_handed_over.max < 0.25e9


def test_frames_that_find_no_room_as_rows_become_rows_in_their_turn() -> None:
    box = Box(5, "drop_oldest")
    box.put(*(trade(number) for number in range(1, 4)))
    box.backlog.gather(2)
    assert (box.backlog.batches.rows, box.backlog.pending) == (3, 3)
    box.put(*(trade(number) for number in range(4, 11)))
    assert (box.backlog.batches.rows, box.backlog.pending) == (5, 10)
    found = []
    while box.backlog.batches.rows:
        batch = box.backlog.hand_over()
        found += box.ids(batch)
        assert batch.frame_count <= 2
        assert box.backlog.batches.rows <= 5
    assert found == list(range(1, 11))
    assert box.ledger.dropped == 0


def test_a_batch_is_of_its_own_symbols() -> None:
    """Codes of symbols begin anew with every batch, and the streams behind them do as well."""
    box = Box()
    box.backlog.gather(2)
    symbols = ["BTCUSDT", "ETHUSDT", "ETHUSDT", "BTCUSDT", "XRPUSDT", "BTCUSDT"]
    numbers = dict.fromkeys(symbols, 0)
    for symbol in symbols:
        numbers[symbol] += 1
        trades = (Trade(numbers[symbol], 100, 1, False),)
        box.put(encode(Trades(symbol, -2, -8, 1, 1, trades)))
    batches = [box.backlog.hand_over() for _ in range(3)]
    tables = [batch[binance_sbe.TradesStreamEvent].symbols for batch in batches]
    assert tables == [symbols[:2], symbols[2:4], symbols[4:]]
    streams = box.ledger.streams
    assert {name: streams[f"{name.lower()}@trade"].frames for name in numbers} == numbers
    assert box.ledger.holes == []


# histograms


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_rows_are_measured_as_if_one_by_one(seed: int) -> None:
    """Of those that come in one read, many in a row take nearly the same time."""
    chance = random.Random(seed)
    shell = Shell(10_000)
    shell.backlog.gather(10_000)
    now, number, data = time.time_ns() // 1000, 0, b""
    for _ in range(chance.randrange(20, 40)):
        ago = chance.choice([0, -5_000_000, 3, 2000, 10**6, 10**12, now, -(2**50)])
        for _ in range(chance.choice([1, 2, 30])):
            number += 1
            data += wire(BINARY, trade(number, now - ago - chance.randrange(3)))
    shell.bring(data)
    records = shell.backlog.hand_over()[binance_sbe.TradesStreamEvent].records
    assert len(records) == number
    expected = Histogram()
    for received, event_time in records[["received_ns", "event_time"]].tolist():
        expected.add(received - 1000 * event_time)
    found = shell.backlog.stats.event_to_received
    assert (found.count, found.max, found.negative) == (
        number, expected.max, expected.negative,
    )  # fmt: skip
    assert found.mean == pytest.approx(expected.mean, rel=1e-12)
    for percent in range(101):
        assert found.percentile(percent) == expected.percentile(percent)


@pytest.mark.parametrize(
    ("value", "middle"),
    [(0, 0), (1, 1), (63, 63), (64, 64.5), (65, 64.5), (66, 66.5), (127, 126.5), (128, 129.5),
     (131, 129.5), (132, 133.5), (2**20, 2**20 + 16383.5), (2**62, 2**62 + 2**56)],
)  # fmt: skip
def test_a_percentile_is_the_middle_of_its_bucket(value: int, middle: float) -> None:
    histogram = Histogram()
    histogram.add(value, 2)
    histogram.add(2**63 - 1)
    assert histogram.percentile(50) == pytest.approx(middle, rel=1e-15)
    assert (histogram.count, histogram.max, histogram.negative) == (3, 2**63 - 1, 0)


def test_percentiles_are_ranks() -> None:
    histogram = Histogram()
    for value in range(1, 51):
        histogram.add(value)
    assert [histogram.percentile(2 * rank) for rank in range(1, 51)] == list(range(1, 51))
    assert (histogram.p50, histogram.p99, histogram.p999, histogram.percentile(0)) == (
        25, 50, 50, 1,
    )  # fmt: skip
    assert histogram.mean == 25.5
    histogram.add(-3, 50)
    assert (histogram.count, histogram.negative, histogram.mean) == (100, 50, 12.75)
    assert histogram.percentile(50) == 0
    expected = "<Histogram of 100: p50 0 ns, p99 49 ns, p99.9 50 ns, max 50 ns>"
    assert repr(histogram) == expected


def test_stats_say_what_they_have_counted() -> None:
    stats = Stats()
    stats.frames, stats.bytes, stats.texts = 1, 2, 3
    stats.rejected, stats.left_over_bytes = 4, 5
    assert repr(stats) == "Stats(frames=1, bytes=2, texts=3, rejected=4, left_over_bytes=5)"
    stats.decoding.add(7, 10)
    assert stats.decode_ns(50) == 7
