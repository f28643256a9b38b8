"""How long is waited for signs of life, answers, and the end of what retires. To the second."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shell import even, taken

from binance_sbe.feed.protocol.actions import Close, Open
from binance_sbe.feed.protocol.shards import CONTROL_FRAMES
from binance_sbe.feed.settings import Settings


@pytest.mark.parametrize(("timeout", "latest"), [(60.0, 10.0), (12.0, 6.0)])
def test_after_a_suspension_a_connection_has_ten_seconds_or_half_its_silence(
    timeout: float, latest: float
) -> None:
    for early in (0.01, 0.0):
        shell = even(silence_timeout=timeout).started()
        (number,) = shell.numbers
        shell.now = 64.0
        shell.supervisor.heard(number, shell.now)
        shell.supervisor.awake(shell.now)
        shell.act()
        assert len(shell.asked) == 1
        shell.supervisor.tick(shell.now + latest - early)
        assert [each.connection for each in taken(shell, Close)] == [number] * (not early)


def test_signs_of_life_are_asked_for_at_half_of_the_silence_and_count_as_control_frames() -> None:
    shell = even(silence_timeout=8.0).started()
    (number,) = shell.numbers
    heard = shell.supervisor.connections[number].heard
    for at, asked, lost in ((3.99, 0, 0), (4.0, 1, 0), (7.99, 1, 0), (8.0, 1, 1)):
        shell.now = heard + at
        shell.supervisor.tick(shell.now)
        shell.act()
        assert (len(shell.asked), len(shell.closed)) == (asked, lost), at
    shell = even(silence_timeout=8.0).started()
    (number,) = shell.numbers
    limit, seconds = CONTROL_FRAMES
    shell.now += 5.0
    for _ in range(limit):
        shell.supervisor.awake(shell.now)
    shell.supervisor.subscribe(["b@trade"], shell.now)
    shell.act()
    assert shell.requests == []
    assert shell.supervisor.deadline(shell.now) == pytest.approx(
        min(shell.now + seconds, shell.now + 1.0)
    )
    shell.supervisor.heard(number, shell.now)
    shell.supervisor.tick(shell.now + seconds - 0.01)
    shell.act()
    assert shell.requests == []
    shell.supervisor.tick(shell.now + seconds)
    shell.act()
    assert len(shell.requests) == 1


def test_time_in_which_nothing_was_read_is_added_to_all_limits() -> None:
    """A reply, a successor's settling and a retirement, each put off by what was not read."""
    shell = even(reply_timeout=5.0, settle_timeout=6.0, silence_timeout=30.0).started()
    (old,) = shell.numbers
    shell.supervisor.tick(shell.now)
    shell.supervisor.renew(shell.now)
    shell.run(0.0)
    shell.run(0.0)
    new = max(shell.numbers)
    shell.answering = False
    shell.supervisor.subscribe(["b@trade"], shell.now)
    shell.act()
    began = shell.now
    for _ in range(10):  # 2 s each, in which nothing is read
        shell.now += 2.0
        shell.supervisor.tick(shell.now, is_read=False)
        shell.act()
    assert (shell.closed, shell.finishing, shell.numbers) == ([], [], [old, new])
    shell.supervisor.tick(began + 20.0 + 4.9)
    shell.act()
    assert (shell.closed, shell.finishing) == ([], [])
    shell.now = began + 20.0 + 5.0
    shell.supervisor.tick(shell.now)
    shell.act()
    assert shell.closed == [old, new]

    shell = even(settle_timeout=6.0, silence_timeout=10.0).started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    shell.run(0.0)
    shell.run(0.0)
    new = max(shell.numbers)
    shell.supervisor.came(new, ["a@trade"])
    shell.answering = False
    shell.supervisor.tick(shell.now)
    shell.act()
    assert shell.finishing == [old]
    began = shell.now
    for _ in range(10):
        shell.now += 2.0
        shell.supervisor.tick(shell.now, is_read=False)
    while shell.now < began + 20.0 + 9.5:  # it brings something all the time
        shell.now += 0.5
        for number in (old, new):
            shell.supervisor.heard(number, shell.now)
        shell.supervisor.tick(shell.now)
        shell.act()
    assert shell.closed == []
    shell.supervisor.tick(began + 30.0)
    shell.act()
    assert shell.closed == [old]


def test_nothing_more_is_asked_of_a_connection_that_retires_nor_waited_for() -> None:
    """One request has no answer yet, one was not sent, and one stream is to be asked for again."""
    options: Any = {"reply_timeout": 5.0, "settle_timeout": 40.0, "silence_timeout": 50.0}
    shell = even(lines=2, **options).started("a@trade")
    old, other = shell.numbers
    shell.answering = False
    shell.supervisor.subscribe(["b@trade"], shell.now)
    shell.act()
    shell.supervisor.text(other, '{"result": null, "id": 2}', shell.now)
    shell.supervisor.text(old, '{"code": 2, "msg": "no", "id": 2}', shell.now)
    shell.now += 0.5
    shell.answering = True
    shell.requests.clear()
    shell.supervisor.renew(shell.now)
    shell.run(0.0)
    shell.run(0.0)
    news = shell.numbers[2:]
    shell.answering = False
    for name in ("c@trade", "d@trade", "e@trade"):
        shell.supervisor.subscribe([name], shell.now)
    shell.act()
    asked = [number for number, _, _ in shell.requests]
    assert asked.count(old) < 3  # the others may not be sent yet
    for number, body, _ in shell.requests:
        if number in news:
            reply = json.dumps({"result": None, "id": body["id"]})
            shell.supervisor.text(number, reply, shell.now)
    shell.requests.clear()
    for number in news:
        shell.supervisor.came(number, [f"{c}@trade" for c in "abcde"])
    shell.supervisor.tick(shell.now)
    shell.act()
    assert shell.finishing == [old, other]
    for _ in range(30):
        shell.now += 0.5
        for number in shell.numbers:
            shell.supervisor.heard(number, shell.now)
        for number, body, _ in shell.requests:
            assert number in news
            reply = json.dumps({"result": None, "id": body["id"]})
            shell.supervisor.text(number, reply, shell.now)
        shell.requests.clear()
        shell.supervisor.tick(shell.now)
        shell.act()
    assert shell.closed == []
    assert shell.numbers == [old, other, *news]


def test_a_retiring_connection_that_is_silent_for_the_settling_time_is_ended() -> None:
    for silent, is_ended in ((5.9, False), (6.0, True)):
        shell = even(settle_timeout=6.0, silence_timeout=60.0).started()
        (old,) = shell.numbers
        shell.supervisor.renew(shell.now)
        shell.run(0.0)
        shell.run(0.0)
        shell.supervisor.came(max(shell.numbers), ["a@trade"])
        shell.answering = False
        shell.supervisor.tick(shell.now)
        shell.now += 3.0
        shell.supervisor.heard(old, shell.now)
        shell.supervisor.tick(shell.now + silent)
        shell.act()
        assert shell.closed == [old] * is_ended
        assert [left.cause for left in shell.left] == ["renewed"] * is_ended


def test_the_time_for_an_answer_grows_with_what_is_asked_and_by_that_to_connect() -> None:
    options: Any = {"reply_timeout": 4.0, "open_timeout": 7.0, "give_up_after": None}
    for count, wait in ((1, 0.0), (600, 1.0), (900, 1.5)):
        names = [f"s{i}@trade" for i in range(count)]
        for is_up in (True, False):
            shell = even(**options).started("a@trade")
            shell.answering = False
            if not is_up:
                shell.supervisor.closed(shell.numbers[0], None, "", shell.now)
            ticket = shell.supervisor.subscribe(names, shell.now)
            until = shell.now + 4.0 + 7.0 * (not is_up) + count / 600
            assert until == pytest.approx(shell.now + 4.0 + 7.0 * (not is_up) + wait, abs=0.01)
            for at, is_over in ((until - 0.01, False), (until, True)):
                shell.supervisor.tick(at, is_read=False)  # so that the connection is not late
                shell.act()
                assert (ticket in shell.answers) is is_over


def test_a_feed_may_be_made_without_saying_how_chance_is() -> None:
    from binance_sbe.feed.protocol.supervisor import Supervisor

    supervisor = Supervisor(Settings())
    supervisor.subscribe(["a@trade"], 0.0)
    supervisor.tick(0.0)
    assert [type(each) for each in supervisor.actions] == [Open]
