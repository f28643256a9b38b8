"""The connections of a feed, without sockets and without a clock."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from shell import Shell

from binance_sbe.errors import ConnectionLost, ConnectionRefused, SubscriptionRefused, Unreachable
from binance_sbe.feed.protocol.actions import Left
from binance_sbe.feed.settings import Settings


def test_a_stream_that_is_wanted_again_is_not_forgotten_by_a_late_answer() -> None:
    """Two lines: the second confirms the end of a stream when it was subscribed to again."""
    shell = Shell(lines=2).started("a@trade", "b@trade")
    supervisor = shell.supervisor
    shell.answering = False
    away = supervisor.unsubscribe(["a@trade"], shell.now)
    shell.run(2.0)
    (first, one, _), (second, two, _) = shell.requests
    confirmed = [json.dumps({"result": None, "id": body["id"]}) for body in (one, two)]
    supervisor.text(first, confirmed[0], shell.now)
    shell.act()
    assert shell.answers[away] is None
    assert (shell.forgotten, supervisor.streams) == (["a@trade"], ["b@trade"])
    back = supervisor.subscribe(["a@trade"], shell.now)
    shell.run(2.0)
    again = {number: body["id"] for number, body, _ in shell.requests[2:]}
    supervisor.text(first, json.dumps({"result": None, "id": again[first]}), shell.now)
    supervisor.text(second, confirmed[1], shell.now)
    shell.act()
    assert shell.answers[back] is None
    assert (shell.forgotten, supervisor.streams) == (["a@trade"], ["b@trade", "a@trade"])


def test_a_connection_that_ends_before_its_answer_has_unsubscribed_too() -> None:
    shell = Shell().started("a@trade", "b@trade")
    shell.answering = False
    away = shell.supervisor.unsubscribe(["a@trade"], shell.now)
    shell.run(0.01)
    shell.supervisor.closed(shell.numbers[0], 1006, "", shell.now)
    shell.act()
    assert shell.answers[away] is None
    assert shell.forgotten == ["a@trade"]
    shell.requests.clear()
    shell.answering = True
    shell.run(15.0)
    assert shell.supervisor.streams == ["b@trade"]
    assert shell.supervisor.is_whole


def test_what_is_asked_to_leave_a_full_connection_makes_room_at_once() -> None:
    names = [f"s{i}@trade" for i in range(1024)]
    shell = Shell()
    shell.supervisor.subscribe(names, 0.0)
    shell.run(3.0)
    gone = shell.supervisor.unsubscribe(names[:1], shell.now)
    new = shell.supervisor.subscribe(["new@trade"], shell.now)
    shell.run(2.0)
    assert (shell.answers[gone], shell.answers[new]) == (None, None)
    assert len(shell.numbers) == 1
    assert sorted(shell.supervisor.streams) == sorted([*names[1:], "new@trade"])


def test_streams_are_asked_for_in_batches_on_as_many_connections_as_they_take() -> None:
    names = [f"s{i}@trade" for i in range(2100)]
    shell = Shell()
    shell.answering = False
    ticket = shell.supervisor.subscribe(names, 0.0)
    shell.run(3.0)
    assert len(shell.numbers) == 3
    by_connection: dict[int, list[tuple[float, int]]] = {}
    for number, body, at in shell.requests:
        by_connection.setdefault(number, []).append((at, len(body["params"])))
    assert sorted(sum(n for _, n in each) for each in by_connection.values()) == [52, 1024, 1024]
    for each in by_connection.values():
        assert max(n for _, n in each) <= 200
        for at, _ in each:
            assert sum(at <= other < at + 1.0 for other, _ in each) <= 4
    shell.answering = True
    shell.run(1.0)
    assert shell.answers == {ticket: None}
    assert shell.supervisor.streams == names


def test_a_lost_connection_is_made_anew_with_growing_pauses_until_it_is_given_up() -> None:
    shell = Shell(give_up_after=200.0).started()
    (number,) = shell.numbers
    shell.supervisor.closed(number, None, "gone", shell.now)
    shell.run(190.0, is_up=False)
    said = r"connection lost, trying again in ([\d.]+) s \(attempt \d+\): "
    pauses = [float(found[1]) for log in shell.logs if (found := re.search(said, log))]
    assert len(pauses) >= 8
    assert pauses[0] < 0.5 < 1.0 < pauses[5] < pauses[-1] <= 45.0
    assert "(attempt 3): " in shell.logs[2]
    assert shell.failed is None
    shell.run(20.0, is_up=False)
    assert isinstance(shell.failed, ConnectionLost)
    assert "given up" in str(shell.failed)


def test_after_a_clean_close_the_first_attempt_is_at_once() -> None:
    shell = Shell().started()
    shell.hear(60.0)
    (number,) = shell.numbers
    shell.supervisor.closed(number, 1001, "going away", shell.now)
    shell.act()
    assert "in 0.0 s" in shell.logs[-1]
    shell.run(0.01)
    assert shell.supervisor.is_whole
    (again,) = shell.numbers
    shell.supervisor.closed(again, 1001, "again", shell.now)  # too soon: now there is a pause
    shell.act()
    assert "in 0.0 s" not in shell.logs[-1]


def test_a_wrong_key_ends_the_feed_and_a_limit_makes_it_wait() -> None:
    for status, wait in ((401, None), (429, 30.0), (503, None)):
        shell = Shell().started()
        (number,) = shell.numbers
        shell.supervisor.closed(number, None, "", shell.now)
        shell.now += 1.0
        shell.supervisor.tick(shell.now)
        shell.act()
        refused = ConnectionRefused("ws://x", status, "no", wait)
        shell.supervisor.failed(shell.open.pop(), refused, shell.now)
        shell.act()
        assert (shell.failed is refused) == (status == 401)
        if wait is not None:
            assert "in 30.0 s" in shell.logs[-1]


def test_a_first_connection_that_fails_is_told_at_once() -> None:
    shell = Shell()
    ticket = shell.supervisor.subscribe(["a@trade"], 0.0)
    shell.run(0.1, is_up=False)
    assert isinstance(shell.answers[ticket], Unreachable)
    assert isinstance(shell.failed, Unreachable)


def test_silence_is_found_and_mended() -> None:
    shell = Shell(silence_timeout=60.0).started()
    (number,) = shell.numbers
    shell.hear(300.0)
    assert shell.numbers == [number]
    shell.run(61.0)
    assert number in shell.closed
    assert any("silent for 60 s" in log for log in shell.logs)
    shell.run(2.0)
    assert shell.supervisor.is_whole


def test_a_reply_that_never_comes_is_found_and_mended() -> None:
    shell = Shell(reply_timeout=5.0).started()
    (number,) = shell.numbers
    shell.answering = False
    ticket = shell.supervisor.subscribe(["b@trade"], shell.now)
    shell.run(5.1)
    assert "SUBSCRIBE b@trade: no reply within 5 s" in str(shell.answers[ticket])
    assert number in shell.closed
    shell.requests.clear()
    shell.answering = True
    shell.run(3.0)
    assert shell.supervisor.is_whole
    assert shell.supervisor.streams == ["a@trade", "b@trade"]


@pytest.mark.parametrize("how", ["time", "asked", "shutdown"])
def test_a_renewal_drops_the_old_connection_when_the_new_one_delivers(how: str) -> None:
    shell = Shell(renew_after=100.0, settle_timeout=50.0).started("a@trade", "b@trade")
    (old,) = shell.numbers
    if how == "time":
        shell.hear(101.0)
    elif how == "asked":
        shell.supervisor.renew(shell.now)
    else:
        shell.supervisor.text(old, '{"e": "serverShutdown", "E": 1}', shell.now)
    shell.run(0.1)
    (_, new) = shell.numbers
    assert shell.lines[old] != shell.lines[new]
    assert shell.left == []
    assert shell.supervisor.fresh(new) == {"a@trade", "b@trade"}
    shell.supervisor.came(new, ["a@trade"])
    shell.run(0.1)
    assert shell.left == []
    shell.answering = False
    shell.supervisor.came(new, ["b@trade"])
    shell.run(1.1)
    assert shell.finishing == [old]  # which still brings what was on its way
    assert (shell.numbers, shell.left) == ([old, new], [])
    shell.answering = True
    shell.run(0.1)
    assert shell.numbers == [new]
    assert shell.left == [Left(old, "renewed", whole=True)]
    assert old not in shell.closed


def test_a_stream_that_is_quiet_does_not_hold_up_a_renewal_for_ever() -> None:
    shell = Shell(settle_timeout=10.0).started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    shell.hear(9.0)
    assert old in shell.numbers
    shell.hear(3.0)
    assert old not in shell.numbers
    assert shell.left[0].cause == "renewed"


def test_an_old_connection_that_dies_amid_its_renewal_hands_over_at_once() -> None:
    shell = Shell().started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    shell.run(0.1)
    new = shell.numbers[1]
    shell.supervisor.closed(old, 1006, "", shell.now)
    shell.act()
    assert shell.numbers == [new]
    assert shell.supervisor.is_whole
    assert "takes over" in shell.logs[-1]


def test_a_renewal_that_fails_leaves_the_old_connection_and_is_tried_again() -> None:
    shell = Shell().started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    shell.supervisor.tick(shell.now)
    shell.act()
    shell.supervisor.failed(shell.open.pop(), Unreachable("no"), shell.now)
    shell.hear(3.0)
    assert len(shell.numbers) == 2
    assert old not in shell.closed


def refuse(shell: Shell, status: int, wait: float | None = None) -> None:
    """The next connection that is opened is refused."""
    shell.supervisor.tick(shell.now)
    shell.act()
    number = shell.open.pop()
    error = ConnectionRefused("ws://x", status, "no", wait)
    shell.supervisor.failed(number, error, shell.now)
    shell.act()


@pytest.mark.parametrize("status", [401, 403, 451, 503])
def test_a_refused_successor_leaves_the_feed_and_its_connection_alone(status: int) -> None:
    shell = Shell().started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    pauses = []
    for failures in range(1, 6):
        refuse(shell, status)
        assert (shell.failed, shell.numbers, shell.closed) == (None, [old], [])
        assert "no connection to renew with" in shell.logs[-1]
        (slot,) = shell.supervisor.shards.slots
        assert slot.attempt_at is not None
        pauses.append(slot.attempt_at - shell.now)
        assert 0.5 * 2 ** (failures - 1) <= pauses[-1] <= 1.5 * 2 ** (failures - 1)
        assert f"again in {pauses[-1]:.1f} s (attempt {failures + 1})" in shell.logs[-1]
        shell.now = slot.attempt_at
        shell.supervisor.heard(old, shell.now)
    shell.run(0.1)
    assert len(shell.numbers) == 2  # it is tried on, and this one comes


def test_a_refusal_that_says_how_long_to_wait_is_obeyed_by_all_attempts() -> None:
    shell = Shell().started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    refuse(shell, 429, 120.0)
    began = shell.now
    assert "in 120.0 s" in shell.logs[-1]
    shell.supervisor.closed(old, 1001, "going away", shell.now)  # which would be tried at once
    shell.act()
    assert "in 120.0 s" in shell.logs[-1]
    shell.run(119.0)
    assert shell.numbers == []
    shell.run(2.0)
    assert shell.now - began < 122.0
    assert shell.supervisor.is_whole


def test_a_successor_that_ends_at_once_is_tried_with_growing_pauses() -> None:
    shell = Shell().started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    tried = []
    for _ in range(400):
        shell.supervisor.heard(old, shell.now)
        shell.supervisor.tick(shell.now)
        shell.act()
        while shell.open:
            number = shell.open.pop()
            tried.append(shell.now)
            shell.supervisor.opened(number, shell.now)
            shell.supervisor.closed(number, 1000, "no", shell.now)
        shell.act()
        shell.requests.clear()
        shell.now += 0.05
    assert 4 <= len(tried) <= 7  # in 20 s
    assert shell.numbers == [old]
    assert shell.supervisor.is_whole
    gaps = [b - a for a, b in pairwise(tried)]
    assert gaps[-1] > 2 * gaps[0]


def test_a_key_that_is_unknown_now_ends_the_feed_only_where_nothing_comes_any_more() -> None:
    shell = Shell(lines=2).started()
    one, two = shell.numbers
    shell.supervisor.closed(one, None, "", shell.now)
    shell.now += 1.0
    refuse(shell, 401)
    assert (shell.failed, shell.numbers) == (None, [two])
    shell.supervisor.closed(two, None, "", shell.now)
    shell.now += 30.0
    refuse(shell, 401)
    assert isinstance(shell.failed, ConnectionRefused)


def test_while_the_consumer_takes_nothing_nobody_is_late_or_silent() -> None:
    shell = Shell(silence_timeout=10.0, reply_timeout=5.0, settle_timeout=10.0).started()
    (old,) = shell.numbers
    shell.supervisor.renew(shell.now)
    shell.run(0.1)
    new = shell.numbers[1]
    shell.answering = False
    ticket = shell.supervisor.subscribe(["b@trade"], shell.now)
    for _ in range(600):
        shell.now += 0.1
        shell.supervisor.tick(shell.now, is_read=False)
        shell.act()
    assert shell.numbers == [old, new]  # not taken over, not lost
    assert (shell.closed, shell.finishing, shell.failed) == ([], [], None)
    assert "waits behind frames that the consumer does not take" in str(shell.answers[ticket])
    shell.answering = True
    shell.reply()
    shell.hear(12.0)
    assert shell.numbers == [new]
    assert shell.supervisor.streams == ["a@trade", "b@trade"]


def test_a_request_that_never_left_is_not_said_to_have_no_reply() -> None:
    shell = Shell().started()
    (number,) = shell.numbers
    shell.supervisor.closed(number, None, "", shell.now)
    ticket = shell.supervisor.subscribe(["b@trade"], shell.now)
    shell.run(25.0, is_up=False)
    assert str(shell.answers[ticket]) == "SUBSCRIBE b@trade: there was no connection to ask on"


def test_a_sign_of_life_is_asked_for_well_before_silence_ends_a_connection() -> None:
    shell = Shell(silence_timeout=10.0).started()
    (number,) = shell.numbers
    began = shell.supervisor.connections[number].heard
    shell.run(began + 4.9 - shell.now)
    assert shell.asked == []
    shell.run(0.2)
    ((asked, at),) = shell.asked
    assert (asked, int(at - began)) == (number, 5)
    shell.supervisor.heard(number, shell.now)
    shell.run(4.8)
    assert (len(shell.asked), shell.closed) == (1, [])
    shell.run(6.0)
    assert (len(shell.asked), shell.closed) == (2, [number])


def test_after_a_jump_of_the_clock_every_connection_has_to_answer_at_once() -> None:
    shell = Shell(silence_timeout=60.0, lines=2).started()
    one, two = shell.numbers
    shell.supervisor.awake(shell.now)
    shell.act()
    assert [number for number, _ in shell.asked] == [one, two]
    shell.now += 1.0
    shell.supervisor.heard(two, shell.now)
    for _ in range(95):
        shell.now += 0.1
        shell.supervisor.tick(shell.now)
        shell.act()
    assert shell.closed == [one]
    assert two in shell.numbers


def test_a_connection_that_is_to_end_and_does_not_is_ended() -> None:
    shell = Shell(settle_timeout=5.0, silence_timeout=20.0).started()
    (old,) = shell.numbers
    shell.answering = False
    shell.supervisor.renew(shell.now)
    shell.run(0.1)
    new = shell.numbers[1]
    shell.answering = True
    shell.reply()
    shell.answering = False
    shell.supervisor.came(new, ["a@trade"])
    shell.run(0.1)
    assert shell.finishing == [old]
    while shell.now < 17.0:  # it goes on to bring something
        shell.supervisor.heard(old, shell.now)
        shell.supervisor.heard(new, shell.now)
        shell.run(1.0)
    assert shell.closed == []
    for _ in range(6):
        shell.supervisor.heard(old, shell.now)
        shell.supervisor.heard(new, shell.now)
        shell.run(1.0)
    assert shell.closed == [old]
    assert shell.left == [Left(old, "renewed", whole=False)]


def test_a_refused_stream_is_found_among_many_after_a_reconnect() -> None:
    names = [f"s{i}@trade" for i in range(20)]
    shell = Shell().started(*names)
    (number,) = shell.numbers
    shell.supervisor.closed(number, None, "", shell.now)
    shell.answering = False
    shell.run(2.0)
    for _ in range(30):
        while shell.requests:
            number, body, _ = shell.requests.pop(0)
            bad = "s7@trade" in body["params"]
            reply = {"code": 2, "msg": "gone"} if bad else {"result": None}
            shell.supervisor.text(number, json.dumps(reply | {"id": body["id"]}), shell.now)
        shell.run(0.5)
    assert shell.supervisor.streams == [name for name in names if name != "s7@trade"]
    assert shell.supervisor.is_whole
    assert any("s7@trade: the exchange refused with code 2: gone" in log for log in shell.logs)
    pauses = [float(log.split()[-2]) for log in shell.logs if "s7@trade is asked for again" in log]
    assert len(pauses) >= 3
    assert pauses[-1] > pauses[0]
    shell.answering = True
    for number, body, _ in shell.requests:
        shell.supervisor.text(number, json.dumps({"result": None, "id": body["id"]}), shell.now)
    shell.run(60.0)
    assert shell.supervisor.streams == names


def test_a_refusal_of_what_the_user_asks_is_the_users() -> None:
    shell = Shell().started()
    shell.answering = False
    ticket = shell.supervisor.subscribe(["nosuch@trade"], shell.now)
    shell.act()
    number, body, _ = shell.requests.pop()
    shell.supervisor.text(number, json.dumps({"code": 2, "msg": "no", "id": body["id"]}), shell.now)
    shell.act()
    assert isinstance(shell.answers[ticket], SubscriptionRefused)
    assert shell.supervisor.streams == ["a@trade"]


def test_attempts_stay_within_the_limit_of_the_exchange() -> None:
    shell = Shell(give_up_after=None, longest_pause=0.01, first_pause=0.001).started()
    (number,) = shell.numbers
    shell.supervisor.closed(number, None, "", shell.now)
    before = shell.supervisor.reconnects
    shell.run(299.0, is_up=False)
    assert 200 < shell.supervisor.reconnects - before < 300


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lines": 0}, "lines is from 1 to 3, not 0"),
        ({"renew_after": -1}, "renew_after is a positive number of seconds, not -1"),
        ({"silence_timeout": None}, "silence_timeout is a positive number"),
        ({"give_up_after": 0}, "give_up_after is a positive number"),
        ({"stream_timeout": {"depth": 0}}, "stream_timeout of depth is a positive number"),
    ],
)
def test_wrong_settings_are_refused(options: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings(**options)


class Chaos(RuleBasedStateMachine):
    """Whatever happens: no more connections than are wanted, and all is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.shell = Shell(lines=2, give_up_after=None, renew_after=500.0).started(
            "a@trade", "b@depth"
        )

    @rule(seconds=st.floats(0.01, 20.0), is_up=st.booleans())
    def time_passes(self, seconds: float, is_up: bool) -> None:
        for number in self.shell.numbers:
            self.shell.supervisor.heard(number, self.shell.now)
        self.shell.run(seconds, is_up)

    @rule(pick=st.integers(0, 9), code=st.sampled_from([None, 1000, 1001, 1008]))
    def a_connection_is_lost(self, pick: int, code: int | None) -> None:
        if self.shell.numbers:
            number = self.shell.numbers[pick % len(self.shell.numbers)]
            if number not in self.shell.open:
                self.shell.supervisor.closed(number, code, "", self.shell.now)

    @rule()
    def renewal(self) -> None:
        self.shell.supervisor.renew(self.shell.now)

    @rule(pick=st.integers(0, 9))
    def shutdown(self, pick: int) -> None:
        if self.shell.numbers:
            number = self.shell.numbers[pick % len(self.shell.numbers)]
            self.shell.supervisor.text(number, '{"e": "serverShutdown"}', self.shell.now)

    @rule(text=st.text(max_size=20))
    def nonsense(self, text: str) -> None:
        for number in self.shell.numbers:
            self.shell.supervisor.text(number, text, self.shell.now)

    @rule(name=st.sampled_from(["c@trade", "d@depth20"]), wanted=st.booleans())
    def streams_change(self, name: str, wanted: bool) -> None:
        supervisor = self.shell.supervisor
        (supervisor.subscribe if wanted else supervisor.unsubscribe)([name], self.shell.now)

    @invariant()
    def there_are_not_too_many(self) -> None:
        assert len(self.shell.supervisor.connections) <= 4
        assert self.shell.failed is None

    def teardown(self) -> None:
        self.shell.hear(400.0)
        assert self.shell.supervisor.is_whole
        for connection in self.shell.supervisor.connections.values():
            assert set(connection.entered) == set(connection.slot.shard.names)


TestChaos = Chaos.TestCase
TestChaos.settings = hypothesis_settings(max_examples=20, stateful_step_count=30, deadline=None)


def test_which_of_several_connections_was_lost_is_told() -> None:
    shell = Shell(lines=2)
    shell.started()
    shell.supervisor.closed(shell.numbers[1], None, "gone", shell.now)
    shell.run(0.01)
    assert re.search(r"connection lost \(line 2\), trying again in ", shell.logs[-1])
