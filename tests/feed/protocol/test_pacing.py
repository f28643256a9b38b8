"""The limits of the exchange, and pauses that grow."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell import Even

from binance_sbe.feed.protocol.pacing import Backoff, Window
from binance_sbe.feed.protocol.tickets import Tickets

STEPS = [0.0, 0.25, 0.5, 1.0]  # exact in binary


@pytest.mark.parametrize(
    ("noted", "now", "wait"),
    [
        ([], 0.0, 0.0),
        ([0.0], 0.0, 0.0),
        ([0.0, 0.5], 0.5, 0.5),
        ([0.0, 0.5], 0.75, 0.25),
        ([0.0, 0.5], 1.0, 0.0),
        ([0.5, 0.5], 1.25, 0.25),
        ([0.0, 0.25, 0.5], 0.5, 0.75),  # one more than is allowed was done: of the last two
        ([0.0, 0.25, 0.5], 1.25, 0.0),
    ],
)
def test_a_window_says_how_long_to_wait(noted: list[float], now: float, wait: float) -> None:
    window = Window(2, 1.0)
    for at in noted:
        window.note(at)
    assert window.wait(now) == wait


@given(st.lists(st.sampled_from(STEPS), min_size=20, max_size=60), st.integers(1, 4))
def test_who_waits_as_long_as_a_window_says_keeps_the_limit(steps: list[float], limit: int) -> None:
    window, now, done = Window(limit, 2.0), 0.0, []
    for step in steps:
        now += step
        now += (wait := window.wait(now))
        assert window.wait(now) == 0.0
        if wait:  # not a moment longer than it has to
            assert sum(now - 2.0 <= at for at in done) >= limit
        window.note(now)
        done.append(now)
        assert sum(now - 2.0 < at <= now for at in done) <= limit


@pytest.mark.parametrize(
    ("failures", "pause"),
    [(0, 0.0), (1, 0.25), (2, 0.5), (3, 1.0), (7, 16.0), (8, 30.0), (100, 30.0), (10**6, 30.0)],
)
def test_a_pause_doubles_with_each_failure_up_to_the_longest(failures: int, pause: float) -> None:
    backoff = Backoff(0.25, 30.0, Even())
    assert (backoff.failures, backoff.pause()) == (0, 0.0)
    backoff.failures = failures
    assert backoff.pause() == pause


def test_pauses_are_spread_from_half_to_one_and_a_half() -> None:
    backoff = Backoff(8.0, 8.0, random.Random(1))
    backoff.failures = 1
    pauses = [backoff.pause() for _ in range(1000)]
    assert 4.0 <= min(pauses) < 4.1
    assert 11.9 < max(pauses) <= 12.0


def test_a_ticket_ends_once_when_all_its_names_are_acknowledged_or_one_is_not() -> None:
    answers: list[tuple[int, str]] = []
    tickets = Tickets(lambda number, error: answers.append((number, str(error))))
    ends: list[str] = []

    def ended() -> list[tuple[int, str]]:
        found = answers[:]
        answers.clear()
        return found

    one = tickets.add("SUBSCRIBE", ["a", "b"], 5.0)
    two = tickets.add("SUBSCRIBE", ["b", "c"], 7.0)
    away = tickets.add("UNSUBSCRIBE", ["a"], 9.0)
    assert (one, two, away, len(tickets)) == (1, 2, 3, 3)
    assert tickets.deadlines() == [5.0, 7.0, 9.0]
    tickets.settle("SUBSCRIBE", ["b", "x"])
    assert ended() == []
    tickets.settle("SUBSCRIBE", ["a"])
    assert (ended(), len(tickets)) == ([(1, "None")], 2)
    assert not tickets.refuse("SUBSCRIBE", ["a"], ValueError("no"))
    assert tickets.refuse("SUBSCRIBE", ["c", "z"], ValueError("no"))
    assert ended() == [(2, "no")]
    tickets.expire(8.9, lambda ticket: ends.append(ticket.method) or "late")
    assert (ended(), ends) == ([], [])
    four = tickets.add("SUBSCRIBE", [f"s{i}" for i in range(9)], 9.5)
    tickets.expire(9.0, lambda ticket: "late")
    assert ended() == [(3, "UNSUBSCRIBE a: late")]
    tickets.expire(9.5, lambda ticket: "too")
    assert ended() == [(four, "SUBSCRIBE s0, s1, s2, s3, s4: too")]
    five, six = (tickets.add("SUBSCRIBE", ["a"], 1.0) for _ in range(2))
    tickets.fail(ValueError("over"))
    assert (ended(), len(tickets)) == ([(five, "over"), (six, "over")], 0)
