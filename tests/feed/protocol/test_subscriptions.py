"""Requests to the exchange, and what its replies mean for the streams of a feed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shell import Even, Shell

from binance_sbe.errors import SubscriptionRefused
from binance_sbe.feed.protocol.actions import Answer, Entered, Forgotten, Log, Send
from binance_sbe.feed.protocol.shards import CONTROL_FRAMES, Phase
from binance_sbe.feed.protocol.subscriptions import NAMES_A_REQUEST


def even(**options: Any) -> Shell:
    return Shell(Even(), **options)


def silent(*names: str, **options: Any) -> Shell:
    """Its streams are acknowledged; from now on the test answers."""
    shell = even(**options).started(*names)
    shell.answering = False
    return shell


def taken(shell: Shell) -> list[Any]:
    actions, shell.supervisor.actions = shell.supervisor.actions, []
    return actions


def sent(shell: Shell) -> list[tuple[int, str, list[str]]]:
    """Connection, method and streams of what was sent since."""
    bodies = [(a.connection, json.loads(a.text)) for a in taken(shell) if isinstance(a, Send)]
    return [(number, body["method"], body["params"]) for number, body in bodies]


def accept(shell: Shell, number: int, identity: int) -> None:
    shell.supervisor.text(number, json.dumps({"result": None, "id": identity}), shell.now)


def refuse(shell: Shell, number: int, identity: int) -> None:
    text = json.dumps({"code": 2, "msg": "no", "id": identity})
    shell.supervisor.text(number, text, shell.now)


def test_requests_are_of_200_streams_and_a_few_at_a_time() -> None:
    assert NAMES_A_REQUEST == 200
    names = [f"s{i}@trade" for i in range(1001)]
    shell = silent("a@trade", reply_timeout=50.0)
    shell.now += 10.0
    shell.supervisor.subscribe(names, shell.now)
    parts = [names[i : i + 200] for i in range(0, 1001, 200)]
    limit, seconds = CONTROL_FRAMES
    assert limit / seconds < 4  # of the five a second that the exchange allows, pongs count
    assert sent(shell) == [(1, "SUBSCRIBE", part) for part in parts[:limit]]
    began = shell.now
    shell.supervisor.tick(began + seconds - 0.01)
    assert sent(shell) == []
    assert shell.supervisor.deadline(began + 0.5) == began + seconds
    shell.supervisor.tick(began + seconds)
    assert sent(shell) == [(1, "SUBSCRIBE", part) for part in parts[limit:]]
    shell.supervisor.tick(began + 30.0)
    assert sent(shell) == []


def test_a_connection_is_live_when_the_last_of_its_requests_was_answered() -> None:
    shell = even()
    shell.answering = False
    shell.supervisor.subscribe([f"s{i}@trade" for i in range(801)], shell.now)
    shell.run(3.0)
    (connection,) = shell.supervisor.connections.values()
    for identity in (2, 1, 5, 4):
        accept(shell, 1, identity)
        assert connection.phase is Phase.SUBSCRIBING
    accept(shell, 1, 3)
    assert connection.phase is Phase.LIVE


def test_a_refusal_of_what_the_user_asked_concerns_these_streams_only() -> None:
    shell = silent("a@trade")
    ticket = shell.supervisor.subscribe(["b@trade", "c@trade"], shell.now)
    assert len(sent(shell)) == 1
    refuse(shell, 1, 2)
    (answer,) = taken(shell)  # and no line of the log: the user is told
    assert isinstance(answer, Answer)
    assert answer.ticket == ticket
    assert isinstance(answer.error, SubscriptionRefused)
    assert (answer.error.streams, answer.error.code) == (["b@trade", "c@trade"], 2)
    assert not shell.supervisor.wants("b@trade")
    assert shell.supervisor.wants("a@trade")
    assert shell.supervisor.streams == ["a@trade"]
    assert shell.supervisor.is_whole


def test_what_is_there_stays_where_it_is_asked_for_again_in_vain() -> None:
    shell = silent("a@trade")
    shell.supervisor.subscribe(["a@trade", "b@trade"], shell.now)
    refuse(shell, 1, 2)
    assert shell.supervisor.streams == ["a@trade"]
    assert shell.supervisor.wants("a@trade")
    assert not shell.supervisor.wants("b@trade")


def test_a_refusal_of_an_unsubscription_is_the_users_and_changes_nothing_else() -> None:
    shell = silent("a@trade", "b@trade")
    ticket = shell.supervisor.unsubscribe(["a@trade"], shell.now)
    taken(shell)
    refuse(shell, 1, 2)
    (answer,) = taken(shell)
    assert (answer.ticket, answer.error.method) == (ticket, "UNSUBSCRIBE")
    assert shell.supervisor.streams == ["b@trade"]
    assert shell.numbers == [1]


def test_a_stream_that_is_to_be_asked_for_again_is_one_that_may_come() -> None:
    """A consumer waits for it. Once it is not wanted any more, nobody does."""
    shell = silent("a@trade", silence_timeout=1e6, give_up_after=None)
    shell.supervisor.closed(1, None, "", shell.now)
    shell.now += 1.0
    shell.supervisor.tick(shell.now)
    shell.supervisor.opened(2, shell.now)
    taken(shell)
    refuse(shell, 2, 1)
    assert shell.supervisor.streams == []
    assert shell.supervisor.has_streams
    shell.supervisor.unsubscribe(["a@trade"], shell.now)
    assert not shell.supervisor.has_streams


def test_refused_streams_that_were_there_are_halved_and_asked_for_again_ever_later() -> None:
    names = [f"{c}@trade" for c in "abcde"]
    shell = silent(*names, silence_timeout=1e6, give_up_after=None)
    shell.supervisor.closed(1, None, "", shell.now)
    shell.now += 1.0
    shell.supervisor.tick(shell.now)
    shell.supervisor.opened(2, shell.now)
    taken(shell)
    refuse(shell, 2, 1)  # all five
    first, second = sent(shell)
    assert (first[2], second[2]) == (names[:2], names[2:])
    accept(shell, 2, 2)
    refuse(shell, 2, 3)
    shell.now += 2.0
    shell.supervisor.tick(shell.now)
    (one, two) = sent(shell)
    assert (one[2], two[2]) == (["c@trade"], ["d@trade", "e@trade"])
    accept(shell, 2, 5)
    assert not shell.supervisor.is_whole
    refuse(shell, 2, 4)  # which leaves one
    assert shell.supervisor.is_whole
    assert shell.supervisor.streams == [name for name in names if name != "c@trade"]
    assert shell.supervisor.wants("c@trade")
    pauses = []
    for identity in range(6, 18):
        logs = {log.event: log for log in taken(shell) if isinstance(log, Log)}
        assert logs["refused"].fields["said"] == "no"
        pause = logs["asked_again"].fields["pause"]
        assert logs["asked_again"].fields["stream"] == "c@trade"
        assert isinstance(pause, float)
        pauses.append(pause)
        for connection in shell.supervisor.connections.values():
            connection.heard = shell.now
        due = shell.now + pause
        assert shell.supervisor.deadline(due - 0.25) == pytest.approx(due)
        shell.supervisor.tick(due - 0.01)
        assert sent(shell) == []
        shell.now = due
        shell.supervisor.tick(due)
        assert sent(shell) == [(2, "SUBSCRIBE", ["c@trade"])]
        shell.supervisor.tick(due + 1.0)
        assert sent(shell) == []
        refuse(shell, 2, identity)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0, 300.0]
    taken(shell)
    shell.now += 300.0
    shell.supervisor.tick(shell.now)
    accept(shell, 2, 18)
    assert shell.supervisor.streams == names
    shell.supervisor.connections[2].session.subscribe(["c@trade"])  # id 19, to be refused
    shell.supervisor.subscribe(["x@trade"], shell.now)
    taken(shell)
    request = shell.supervisor.connections[2].session._pending[19]
    shell.supervisor.connections[2].sent[19] = request, shell.now
    connection = shell.supervisor.connections[2]
    connection.entered.pop("c@trade")
    refuse(shell, 2, 19)
    assert connection.again == {"c@trade": shell.now + 1.0}  # once accepted, pauses start anew


def test_a_refused_stream_that_is_not_wanted_any_more_is_not_asked_for_again() -> None:
    shell = silent("a@trade", "b@trade")
    shell.supervisor.closed(1, None, "", shell.now)
    shell.run(1.0)
    refuse(shell, 2, 1)
    accept(shell, 2, 2)
    shell.now += 2.0
    refuse(shell, 2, 3)
    taken(shell)
    away = shell.supervisor.unsubscribe(["b@trade"], shell.now)
    assert sent(shell) == [(2, "UNSUBSCRIBE", ["b@trade"])]
    accept(shell, 2, 4)
    assert Answer(away, None) in taken(shell)
    shell.supervisor.tick(shell.now + 5.0)
    assert sent(shell) == []
    # and who wants it anew is the user, who is told
    again = shell.supervisor.subscribe(["b@trade"], shell.now + 6.0)
    taken(shell)
    refuse(shell, 2, 5)
    (answer,) = taken(shell)
    assert (answer.ticket, answer.error.code) == (again, 2)
    assert not shell.supervisor.wants("b@trade")


def test_a_stream_that_was_given_up_and_is_new_again_is_dropped_where_it_is_refused() -> None:
    """It is known no more: nobody waits for it, since the user's time for it is over."""
    shell = silent("a@trade", "b@trade", reply_timeout=2.0)
    shell.supervisor.unsubscribe(["b@trade"], shell.now)
    accept(shell, 1, 2)
    ticket = shell.supervisor.subscribe(["b@trade"], shell.now)
    taken(shell)
    shell.supervisor.closed(1, None, "", shell.now)
    shell.supervisor.tick(shell.now + 20.0)
    assert [a.ticket for a in taken(shell) if isinstance(a, Answer)] == [ticket]
    shell.supervisor.opened(2, shell.now + 20.0)
    refuse(shell, 2, 1)
    accept(shell, 2, 2)
    assert shell.supervisor.wants("b@trade")
    refuse(shell, 2, 3)
    assert not shell.supervisor.wants("b@trade")
    assert not shell.supervisor.connections[2].again


def test_what_a_connection_brings_is_what_it_was_asked_for_and_is_still_wanted() -> None:
    shell = silent("a@trade")
    shell.supervisor.subscribe(["b@trade", "c@trade"], shell.now)
    shell.supervisor.unsubscribe(["c@trade"], shell.now)
    taken(shell)
    accept(shell, 1, 2)
    (entered,) = [each for each in taken(shell) if isinstance(each, Entered)]
    assert (entered.connection, entered.names) == (1, ("b@trade",))
    assert shell.supervisor.fresh(1) == {"a@trade", "b@trade"}
    shell.supervisor.came(1, ["a@trade", "x@trade"])
    assert shell.supervisor.fresh(1) == {"b@trade"}
    shell.supervisor.unsubscribe(["b@trade"], shell.now)
    accept(shell, 1, 3)
    accept(shell, 1, 4)
    assert shell.supervisor.fresh(1) == set()
    assert shell.supervisor.fresh(99) == set()
    assert [each.names for each in taken(shell) if isinstance(each, Forgotten)] == [
        ("c@trade",), ("b@trade",),
    ]  # fmt: skip
    assert list(shell.supervisor.connections[1].entered) == ["a@trade"]


def test_who_waits_for_a_stream_that_is_unsubscribed_meanwhile_waits_no_more() -> None:
    shell = silent("a@trade")
    ticket = shell.supervisor.subscribe(["b@trade", "c@trade"], shell.now)
    shell.supervisor.unsubscribe(["b@trade"], shell.now)
    shell.act()
    assert ticket not in shell.answers
    accept(shell, 1, 2)
    shell.act()
    assert shell.answers[ticket] is None


def test_answers_of_two_lines_settle_a_request_by_the_first_of_them() -> None:
    shell = silent("a@trade", lines=2)
    ticket = shell.supervisor.subscribe(["b@trade"], shell.now)
    shell.act()
    accept(shell, 2, 2)
    shell.act()
    assert shell.answers[ticket] is None
    assert shell.supervisor.streams == ["a@trade", "b@trade"]
    refuse(shell, 1, 2)  # which the other line brings: asked for again, since it is known
    shell.act()
    assert any("b@trade is asked for again in 1.0 s" in log for log in shell.logs)


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_connection_that_ends_has_unsubscribed_from_what_it_was_to(is_sent: bool) -> None:
    names = [f"s{i}@trade" for i in range(500)]
    shell = silent("a@trade", *names)
    shell.now += 2.0 * is_sent  # else no frame more may be sent yet
    ticket = shell.supervisor.unsubscribe(names if not is_sent else names[:1], shell.now)
    shell.supervisor.subscribe(["late@trade"], shell.now)
    assert bool(sent(shell)) is is_sent
    shell.supervisor.closed(1, None, "", shell.now)
    found = taken(shell)
    assert Answer(ticket, None) in found
    gone = [name for each in found if isinstance(each, Forgotten) for name in each.names]
    assert gone == (names if not is_sent else names[:1])


def test_there_is_nothing_to_ask_without_a_name() -> None:
    shell = even()
    for method in (shell.supervisor.subscribe, shell.supervisor.unsubscribe):
        with pytest.raises(ValueError, match=f"{method.__name__} needs at least one stream"):
            method([], 0.0)


def test_no_name_of_a_text_that_is_too_long_floods_an_error() -> None:
    names = [f"s{i}@trade" for i in range(8)]
    shell = silent("a@trade", reply_timeout=2.0)
    ticket = shell.supervisor.subscribe(names, shell.now)
    shell.run(2.1)
    assert str(shell.answers[ticket]) == (
        "SUBSCRIBE s0@trade, s1@trade, s2@trade, s3@trade, s4@trade: no reply within 2 s"
    )
    shell = even().started(*names)
    shell.supervisor.silent(names, shell.now)
    (log,) = taken(shell)
    few = ", ".join(names[:5])
    assert log.fields["cause"] == f"nothing comes of {few}, ..."
    shell = even().started(*names)
    shell.supervisor.silent(names[:5], shell.now)
    assert taken(shell)[0].fields["cause"] == f"nothing comes of {few}"
