"""How one connection follows another: pauses, limits, renewals. To the second, without jitter."""

from __future__ import annotations

import random

import pytest
from shell import Shell, even, failing, logged, taken

from binance_sbe.errors import ConnectionLost, ConnectionRefused, Unreachable
from binance_sbe.feed.protocol.actions import Failed, Log, Open
from binance_sbe.feed.protocol.succession import ATTEMPTS

NO_ROUTE = Unreachable("ws://x: no route")


def test_pauses_between_attempts_double_up_to_the_longest_and_are_counted() -> None:
    shell = even(give_up_after=None, first_pause=0.5, longest_pause=6.0).started()
    shell.supervisor.closed(shell.numbers[0], None, "gone", shell.now)
    assert logged(shell, "retry") == {"line": 1, "shard": 1, "attempt": 1, "pause": 0.5}
    assert failing(shell, NO_ROUTE, 6) == pytest.approx([1.0, 2.0, 4.0, 6.0, 6.0, 6.0])
    assert shell.supervisor.reconnects == 7


def test_pauses_between_renewals_double_up_to_an_hour_and_start_anew_after_one() -> None:
    shell = even(silence_timeout=1e6).started()
    (old,) = shell.numbers
    for turn in range(2):
        shell.supervisor.renew(shell.now)
        taken(shell, Log)
        growing = [min(2.0**n, 3600.0) for n in range(14)]
        assert failing(shell, NO_ROUTE, 14) == pytest.approx(growing), turn
        assert shell.numbers == [old]
        (slot,) = shell.supervisor.shards.slots
        assert slot.attempt_at is not None
        shell.now = slot.attempt_at
        shell.supervisor.tick(shell.now)
        shell.run(0.1)
        assert len(shell.numbers) == 2
        shell.hear(11.0)
        (new,) = shell.numbers
        assert new != old
        old = new
    assert shell.supervisor.reconnects == 0


@pytest.mark.parametrize(
    ("up", "code", "pause"),
    [
        (5.0, 1000, 0.0),
        (5.0, 1001, 0.0),
        (5.0, 1012, 0.0),
        (5.0, 1006, 0.25),
        (5.0, 1008, 0.25),
        (5.0, None, 0.25),
        (4.9, 1000, 1.0),  # it was not up for long: what failed before it goes on
        (4.9, None, 1.0),
    ],
)
def test_after_a_connection_that_was_steady_pauses_start_anew(
    up: float, code: int | None, pause: float
) -> None:
    shell = even().started()
    shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
    taken(shell, Log)
    failing(shell, NO_ROUTE, 1)
    shell.act()
    shell.run(0.6)
    (number,) = shell.numbers
    shell.now = shell.supervisor.connections[number].live_since + up
    shell.supervisor.closed(number, code, "", shell.now)
    assert logged(shell, "retry")["pause"] == pause


@pytest.mark.parametrize("code", [1000, None])
def test_a_connection_that_never_got_to_its_streams_is_followed_after_a_pause(
    code: int | None,
) -> None:
    shell = even().started()
    shell.hear(10.0)
    shell.supervisor.closed(shell.numbers[0], 1000, "", shell.now)
    shell.supervisor.tick(shell.now)
    (opened,) = taken(shell, Open)
    shell.supervisor.opened(opened.connection, shell.now)
    shell.supervisor.closed(opened.connection, code, "", shell.now)
    assert logged(shell, "retry")["pause"] == 0.25


def test_the_attempts_of_a_feed_keep_the_limit_of_the_exchange() -> None:
    assert ATTEMPTS == (295, 300.0)
    shell = even(give_up_after=None, longest_pause=1e-6, first_pause=1e-6).started()
    began = shell.now
    shell.supervisor.closed(shell.numbers[0], None, "", began)
    shell.run(100.0, is_up=False)
    assert shell.supervisor.reconnects == ATTEMPTS[0]  # the first connection, and 294 that failed
    (slot,) = shell.supervisor.shards.slots
    assert slot.attempt_at == pytest.approx(ATTEMPTS[1])
    shell.run(ATTEMPTS[1] - shell.now - 0.01, is_up=False)
    assert shell.supervisor.reconnects == ATTEMPTS[0]
    shell.run(0.02, is_up=False)
    assert shell.supervisor.reconnects > ATTEMPTS[0]


def test_the_longest_time_that_the_exchange_asks_for_is_waited() -> None:
    shell = even(give_up_after=None).started()
    shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
    taken(shell, Log)
    began = shell.now + 0.25
    long, short = (ConnectionRefused("ws://x", 429, "", wait) for wait in (60.0, 5.0))
    assert failing(shell, long, 1) == pytest.approx([60.0])
    assert failing(shell, short, 1) == pytest.approx([5.0])
    (slot,) = shell.supervisor.shards.slots
    assert slot.attempt_at == pytest.approx(began + 65.0)
    assert failing(shell, NO_ROUTE, 1) == pytest.approx([2.0])  # its own pause is longer by now
    shell = even(lines=2).started()
    first, second = shell.numbers
    shell.supervisor.closed(first, None, "", shell.now)
    shell.now += 0.25
    shell.supervisor.tick(shell.now)
    (opened,) = taken(shell, Open)
    shell.supervisor.failed(opened.connection, long, shell.now)
    shell.supervisor.renew(shell.now)  # of the other line, which is from the same address
    assert [slot.attempt_at for slot in shell.supervisor.shards.slots] == [shell.now + 60.0] * 2
    taken(shell, Log)
    shell.supervisor.closed(second, 1001, "", shell.now)
    assert logged(shell, "retry")["pause"] == 60.0


def test_what_the_exchange_asks_to_wait_holds_for_attempts_that_were_planned_before() -> None:
    shell = even(lines=3, give_up_after=None).started()
    for number in shell.numbers[:2]:
        shell.supervisor.closed(number, None, "", shell.now)
    shell.now += 0.25
    shell.supervisor.tick(shell.now)
    one, two = (each.connection for each in taken(shell, Open))
    shell.supervisor.failed(one, NO_ROUTE, shell.now)  # to be tried in half a second
    began = shell.now
    shell.supervisor.failed(two, ConnectionRefused("ws://x", 429, "", 30.0), shell.now)
    shell.supervisor.subscribe([f"s{i}@trade" for i in range(1030)], shell.now)  # another shard
    taken(shell, Open)
    for at in (0.5, 1.0, 29.9):
        shell.supervisor.tick(began + at)
        assert taken(shell, Open) == [], at
    shell.supervisor.tick(began + 30.0)
    assert len(taken(shell, Open)) == 5


def test_connections_are_renewed_within_the_last_twentieth_of_their_time() -> None:
    times = []
    for seed in range(200):
        shell = Shell(random.Random(seed), renew_after=1000.0).started()
        (number,) = shell.numbers
        times.append(shell.supervisor.connections[number].renew_at)
    assert 950.0 <= min(times) < 952.0
    assert 998.0 < max(times) <= 1000.0
    shell = even(renew_after=1000.0).started()
    shell.hear(974.0 - shell.now)
    assert not any("renewed, as" in each for each in shell.logs)
    shell.hear(2.0)
    assert any("renewed, as its time is over" in each for each in shell.logs)
    shell.hear(20.0)
    again = even(renew_after=1000.0)
    assert again.supervisor.deadline(0.0) == 1.0  # nothing is there yet


def test_a_successor_takes_over_once_all_has_come_or_it_had_its_time() -> None:
    for comes, at in ((["a@trade", "b@depth"], 0.0), (["a@trade"], 8.0), ([], 8.0)):
        shell = even(settle_timeout=8.0).started("a@trade", "b@depth")
        (old,) = shell.numbers
        shell.supervisor.renew(shell.now)
        shell.run(0.0)
        shell.run(0.0)
        new = max(shell.numbers)
        since = shell.supervisor.connections[new].live_since
        shell.supervisor.came(new, comes)
        if at:
            shell.now = since + at - 0.01
            shell.supervisor.tick(shell.now)
            shell.act()
            assert shell.finishing == []
        shell.now = since + at
        shell.supervisor.tick(shell.now)
        shell.act()
        assert shell.finishing == [old]


@pytest.mark.parametrize("when", ["successor", "subscribing"])
def test_an_end_that_is_announced_early_makes_a_renewal_as_soon_as_there_may_be_one(
    when: str,
) -> None:
    shell = even(settle_timeout=5.0).started()
    (old,) = shell.numbers
    if when == "successor":
        shell.supervisor.renew(shell.now)
    else:
        shell.supervisor.closed(old, None, "", shell.now)
    shell.answering = False
    shell.run(0.5)
    new = max(shell.numbers)
    shell.supervisor.text(new, '{"e": "serverShutdown", "E": 1}', shell.now)
    shell.answering = True
    shell.reply()
    shell.hear(4.0)
    assert shell.supervisor.deadline(shell.now) > shell.now
    shell.hear(20.0)
    (last,) = shell.numbers
    assert last == new + 1
    causes = [left.cause for left in shell.left]
    assert causes[-1] == "renewed"
    assert shell.supervisor.reconnects == (when == "subscribing")
    shell.hear(60.0)
    assert shell.numbers == [last]


def test_an_end_that_a_retiring_connection_announces_concerns_no_other() -> None:
    shell = even().started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    shell.run(0.1)
    shell.supervisor.came(max(shell.numbers), ["a@trade"])
    shell.answering = False
    shell.run(0.1)
    assert shell.finishing == [old]
    shell.supervisor.text(old, '{"e": "serverShutdown", "E": 1}', shell.now)
    shell.answering = True
    shell.hear(20.0)
    assert shell.numbers == [old + 1]


@pytest.mark.parametrize(
    ("lines", "streams", "said"),
    [
        (1, 1, "connection lost, trying"),
        (2, 1, "connection lost (line 1), trying"),
        (1, 1025, "connection lost (for part 1 of 2 of the streams), trying"),
        (3, 1025, "connection lost (line 1, for part 1 of 2 of the streams), trying"),
    ],
)
def test_a_lost_connection_is_named_as_far_as_there_are_others(
    lines: int, streams: int, said: str
) -> None:
    shell = even(lines=lines)
    shell.supervisor.subscribe([f"s{i}@trade" for i in range(streams)], shell.now)
    shell.run(10.0)
    shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
    (log,) = taken(shell, Log)
    assert log.text.startswith(said)
    assert log.is_warning


@pytest.mark.parametrize("event", ["closed", "failed"])
def test_a_feed_that_is_not_to_reconnect_ends_at_its_first_loss(event: str) -> None:
    shell = even(reconnect=False).started()
    (number,) = shell.numbers
    if event == "closed":
        shell.supervisor.closed(number, 1001, "bye", shell.now)
        (failed,) = taken(shell, Failed)
        assert isinstance(failed.error, ConnectionLost)
        assert (failed.error.code, failed.error.reason) == (1001, "bye")
    else:  # which a renewal may survive
        shell.supervisor.renew(shell.now)
        assert failing(shell, NO_ROUTE, 2) == pytest.approx([1.0, 2.0])
        assert shell.numbers == [number]


def kept_alive(shell: Shell, until: float) -> None:
    """What is up is heard, and nothing else can be opened."""
    while shell.now < until - 0.05:
        for number in shell.numbers:
            shell.supervisor.heard(number, shell.now)
        shell.run(0.1, is_up=False)


def given_up_after_20_s(shell: Shell) -> None:
    """From now on, and not before."""
    began = shell.now
    kept_alive(shell, began + 19.9)
    assert shell.failed is None
    shell.now = began + 20.0
    shell.supervisor.tick(shell.now)
    assert "no connection for 20 s: given up" in str(taken(shell, Failed)[0].error)


def test_a_feed_is_given_up_after_its_time_without_a_connection_and_not_before() -> None:
    shell = even(give_up_after=20.0).started()
    shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
    given_up_after_20_s(shell)
    assert shell.supervisor.deadline(shell.now + 5.0) == shell.now + 6.0  # at rest
    shell.supervisor.tick(shell.now + 9.0)
    assert shell.supervisor.actions == []
    kept = even(give_up_after=None).started()
    kept.supervisor.closed(kept.numbers[0], None, "", kept.now)
    kept.run(3600.0, is_up=False)
    assert kept.failed is None


def test_one_line_of_two_is_enough_and_without_both_the_time_counts_from_the_second_loss() -> None:
    shell = even(give_up_after=20.0, lines=2).started()
    first, second = shell.numbers
    shell.supervisor.closed(first, None, "", shell.now)
    kept_alive(shell, shell.now + 60.0)
    assert (shell.failed, shell.numbers) == (None, [second])
    shell.supervisor.closed(second, None, "", shell.now)
    given_up_after_20_s(shell)


def test_each_connection_of_many_streams_is_needed() -> None:
    """Other streams are no comfort to those that nothing brings."""
    shell = even(give_up_after=20.0)
    shell.supervisor.subscribe([f"s{i}@trade" for i in range(1500)], shell.now)
    shell.run(10.0)
    assert shell.supervisor.is_whole
    assert len(shell.numbers) == 2
    shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
    began = shell.now
    kept_alive(shell, began + 20.1)
    assert shell.failed is not None


def test_what_is_up_again_says_for_how_long_it_was_not_and_the_next_loss_counts_anew() -> None:
    shell = even(give_up_after=100.0).started()
    for _ in range(2):
        shell.hear(10.0)
        began = shell.now
        shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
        assert logged(shell, "retry")["attempt"] == 1
        assert failing(shell, NO_ROUTE, 2) == pytest.approx([0.5, 1.0])
        taken(shell, Log)
        shell.now += 1.0
        shell.supervisor.tick(shell.now)
        (opened,) = taken(shell, Open)
        shell.supervisor.opened(opened.connection, shell.now)
        shell.act()
        shell.now += 0.5
        shell.logs.clear()
        shell.reply()
        down = shell.now - began
        assert shell.logs == [f"{opened.name}: up, after {down:.1f} s"]
    shell.hear(200.0)
    assert shell.failed is None
