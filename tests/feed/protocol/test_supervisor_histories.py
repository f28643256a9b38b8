"""Whatever happens to a feed's connections, in whatever order: what holds at every moment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import Phase as Phases
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from shell import Even, told

from binance_sbe.errors import ConnectionRefused, Unreachable
from binance_sbe.feed.protocol import subscriptions, succession
from binance_sbe.feed.protocol.actions import (
    Answer,
    Close,
    Entered,
    Finish,
    Forgotten,
    Left,
    Log,
    Open,
    Send,
)
from binance_sbe.feed.protocol.shards import Phase
from binance_sbe.feed.protocol.supervisor import Supervisor
from binance_sbe.feed.settings import Settings

NAMES = [f"s{i}@trade" for i in range(7)]
MOST = 3  # streams of one connection, so that a few make several shards
CODES = st.sampled_from([None, 1000, 1001, 1008])
PICK = st.integers(0, 30)


class Exchange:
    """What the other side knows of one connection."""

    def __init__(self) -> None:
        self.streams: set[str] = set()
        self.waiting: list[dict[str, Any]] = []
        self.is_open = False


class Histories(RuleBasedStateMachine):
    """An exchange that accepts, refuses, is silent, closes and comes back, as it likes."""

    @initialize(lines=st.integers(1, 3), settle=st.sampled_from([2.0, 10.0]))
    def begin(self, lines: int, settle: float) -> None:
        self.is_sound = True
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("binance_sbe.feed.protocol.shards.MAX_STREAMS", MOST)
        self.lines, self.now = lines, 0.0
        options: Any = {"renew_after": 400.0, "settle_timeout": settle, "give_up_after": None}
        self.supervisor = Supervisor(Settings(lines=lines, **options), Even())
        self.others: dict[int, Exchange] = {}
        self.entered: dict[int, set[str]] = {}  # by connection that has not left
        self.wanted: set[str] = set()
        self.open_tickets: set[int] = set()
        self.answered: set[int] = set()
        self.opened_at: list[float] = []
        self.not_before = float("-inf")
        self.pauses: dict[tuple[Any, ...], list[float]] = {}
        self.subscribe(0)
        self.time_passes(0.0)
        for _ in range(3):
            self.everything_works()

    # what the supervisor says

    def act(self) -> None:
        while self.supervisor.actions:
            actions, self.supervisor.actions = self.supervisor.actions, []
            self.is_sound = False
            for action in actions:
                self.do(action)
            self.is_sound = True

    def do(self, action: Any) -> None:
        match action:
            case Open(number, _):
                assert number == len(self.opened_at) + 1
                assert self.now >= self.not_before, "the exchange had asked to wait"
                self.opened_at.append(self.now)
                self.others[number] = Exchange()
            case Send(number, text):
                other = self.others[number]
                assert other.is_open
                body = json.loads(text)
                assert 0 < len(body["params"]) <= subscriptions.NAMES_A_REQUEST
                other.waiting.append(body)
            case Finish(number):
                assert self.others[number].is_open
            case Close(number, _):
                self.others.pop(number)
            case Entered(number, names):
                assert set(names) <= self.others[number].streams
                self.entered.setdefault(number, set()).update(names)
            case Left(number, _, _):
                self.entered.pop(number, None)
            case Forgotten(names):
                assert not self.wanted.intersection(names)
                for each in self.entered.values():
                    each.difference_update(names)
            case Answer(ticket, _):
                assert ticket in self.open_tickets, "answered twice"
                self.open_tickets.remove(ticket)
                self.answered.add(ticket)
            case Log(event, text, fields):
                self.note(event, text, dict(fields))
            case _:
                assert told(action).startswith("ask ")

    def note(self, event: str, text: str, fields: dict[str, Any]) -> None:
        """Pauses grow from failure to failure, until one has worked."""
        if event in ("retry", "no_renewal"):
            attempt, pause = fields["attempt"], fields["pause"]
            least = 0.0 if event == "retry" and attempt == 1 else 0.25 * 2.0 ** (attempt - 2)
            assert pause >= min(least, 30.0), text
        if event == "asked_again":
            assert 1.0 <= fields["pause"] <= 300.0

    # what happens

    def picked(self, pick: int, *phases: Phase) -> int | None:
        numbers = [n for n, c in self.supervisor.connections.items() if c.phase in phases]
        return numbers[pick % len(numbers)] if numbers else None

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 11.0, 31.0, 65.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(3000):
            self.supervisor.tick(self.now)
            self.act()
            if self.now >= end:
                break
            deadline = self.supervisor.deadline(self.now)
            self.now = min(max(deadline, self.now + 0.2), end)
        else:
            raise AssertionError("deadlines that are never met")

    @rule()
    def all_are_heard(self) -> None:
        for number in self.supervisor.connections:
            self.supervisor.heard(number, self.now)

    @rule(pick=PICK)
    def one_opens(self, pick: int) -> None:
        number = self.picked(pick, Phase.OPENING)
        if number is not None:
            self.others[number].is_open = True
            self.supervisor.opened(number, self.now)
            self.act()

    @rule(pick=PICK, wait=st.sampled_from([None, None, 20.0]))
    def one_is_refused(self, pick: int, wait: float | None) -> None:
        number = self.picked(pick, Phase.OPENING)
        if number is not None:
            self.others.pop(number)
            error: Any = Unreachable("ws://x: no route")
            if wait is not None:
                error = ConnectionRefused("ws://x", 429, "", wait)
                self.not_before = max(self.not_before, self.now + wait)
            self.supervisor.failed(number, error, self.now)
            self.act()

    @rule(pick=PICK, code=CODES)
    def one_is_lost(self, pick: int, code: int | None) -> None:
        number = self.picked(pick, Phase.SUBSCRIBING, Phase.LIVE, Phase.RETIRING)
        if number is not None:
            self.others.pop(number)
            self.supervisor.closed(number, code, "", self.now)
            self.act()

    @rule(pick=PICK, is_good=st.booleans())
    def one_is_answered(self, pick: int, is_good: bool) -> None:
        waiting = [n for n, other in self.others.items() if other.waiting]
        if not waiting:
            return
        number = waiting[pick % len(waiting)]
        other = self.others[number]
        body = other.waiting.pop(0)
        reply: dict[str, Any] = {"id": body["id"]}
        is_refused = not is_good and body["method"] == "SUBSCRIBE"
        reply |= {"code": 2, "msg": "no"} if is_refused else {"result": None}
        if not is_refused and body["method"] == "SUBSCRIBE":
            other.streams.update(body["params"])
        elif not is_refused:
            other.streams.difference_update(body["params"])
        if is_refused:  # what the user asks for and is refused is not wanted
            before = self.all_names()
        self.supervisor.text(number, json.dumps(reply), self.now)
        if is_refused:
            self.wanted -= before - self.all_names()
        self.act()

    @rule()
    def everything_works(self) -> None:
        for number in [n for n, o in self.others.items() if not o.is_open]:
            self.others[number].is_open = True
            self.supervisor.opened(number, self.now)
        self.act()
        while any(other.waiting for other in self.others.values()):
            self.one_is_answered(0, True)
        for number in list(self.others):
            self.supervisor.came(number, NAMES)
        self.act()

    @rule(pick=PICK)
    def one_shuts_down(self, pick: int) -> None:
        number = self.picked(pick, Phase.SUBSCRIBING, Phase.LIVE, Phase.RETIRING)
        if number is not None:
            self.supervisor.text(number, '{"e": "serverShutdown"}', self.now)
            self.act()

    @rule()
    def all_are_renewed(self) -> None:
        self.supervisor.renew(self.now)
        self.act()

    @rule(pick=st.integers(0, 6))
    def one_stream_is_silent(self, pick: int) -> None:
        self.supervisor.silent([NAMES[pick]], self.now)
        self.act()

    @rule()
    def the_machine_sleeps(self) -> None:
        self.now += 3600.0
        self.supervisor.awake(self.now)
        self.act()

    @rule(pick=st.integers(0, 6))
    def subscribe(self, pick: int) -> None:
        names = [NAMES[pick], NAMES[(pick + 1) % 7]]
        self.wanted.update(names)
        self.open_tickets.add(self.supervisor.subscribe(names, self.now))
        self.act()

    @rule(pick=st.integers(1, 6))
    def unsubscribe(self, pick: int) -> None:
        self.wanted.discard(NAMES[pick])
        self.open_tickets.add(self.supervisor.unsubscribe([NAMES[pick]], self.now))
        self.act()

    # what holds

    def all_names(self) -> set[str]:
        return {name for shard in self.supervisor.shards for name in shard.names}

    @precondition(lambda self: hasattr(self, "supervisor"))
    @invariant()
    def a_name_is_in_one_shard_and_none_is_too_full(self) -> None:
        held = [name for shard in self.supervisor.shards for name in shard.names]
        assert sorted(held) == sorted(self.wanted)
        assert all(len(shard.names) <= MOST for shard in self.supervisor.shards)

    @precondition(lambda self: hasattr(self, "supervisor"))
    @invariant()
    def each_connection_has_one_place(self) -> None:
        places: list[Any] = []
        for slot in self.supervisor.shards.slots:
            places += [each for each in (slot.current, slot.successor) if each is not None]
            places += slot.retiring
            assert slot.current is not None or slot.successor is None
            assert slot.current is not None or slot.attempt_at is not None, "nobody tries again"
            assert slot.successor is None or slot.attempt_at is None
        assert sorted(map(id, places)) == sorted(map(id, self.supervisor.connections.values()))
        assert set(self.others) == set(self.supervisor.connections)
        assert not any(each.phase is Phase.CLOSED for each in places)

    @precondition(lambda self: hasattr(self, "supervisor"))
    @invariant()
    def what_was_entered_and_not_left_is_what_the_connections_bring(self) -> None:
        for number, connection in self.supervisor.connections.items():
            assert self.entered.get(number, set()) <= set(connection.entered)
            assert connection.fresh <= set(connection.entered)

    @precondition(lambda self: hasattr(self, "supervisor"))
    @invariant()
    def attempts_are_within_the_limit(self) -> None:
        most, seconds = succession.ATTEMPTS
        assert sum(self.now - seconds < at for at in self.opened_at) <= most

    def teardown(self) -> None:
        if not hasattr(self, "supervisor"):
            return
        try:
            if self.is_sound:
                self.mended()
        finally:
            self.patch.undo()

    def mended(self) -> None:
        """From now on all works: everything comes back, and every renewal completes."""
        self.quiet(4000.0, 20.0)  # longer than any pause that may have grown
        self.settled()
        before = set(self.supervisor.connections)
        self.supervisor.renew(self.now)
        self.act()
        self.settled()
        assert not before & set(self.supervisor.connections)
        assert not self.open_tickets
        self.supervisor.close()
        self.act()
        assert not self.others
        assert not self.entered

    def quiet(self, seconds: float, step: float) -> None:
        """Everything works, and nobody is silent."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.all_are_heard()
            self.supervisor.tick(self.now)
            self.act()
            self.everything_works()
            for number, connection in list(self.supervisor.connections.items()):
                if connection.phase is Phase.RETIRING:
                    self.others.pop(number)
                    self.supervisor.closed(number, 1000, "", self.now)
            self.act()

    def settled(self) -> None:
        """A renewal, which may have begun just now, takes no longer than this."""
        for _ in range(60):
            self.quiet(0.5, 0.5)
            all_slots = self.supervisor.shards.slots
            if not any(slot.successor or slot.retiring or slot.attempt_at for slot in all_slots):
                break
        self.holds()

    def holds(self) -> None:
        supervisor = self.supervisor
        assert supervisor.is_whole
        assert sorted(supervisor.streams) == sorted(self.wanted)
        assert len(supervisor.connections) == self.lines * len(supervisor.shards)
        for number, connection in supervisor.connections.items():
            wanted = set(connection.slot.shard.names)
            assert self.entered.get(number, set()) == set(connection.entered) == wanted
            assert self.others[number].streams == wanted
        for slot in supervisor.shards.slots:
            assert (slot.successor, slot.retiring, slot.attempt_at) == (None, [], None)
            assert slot.down_since is None


TestHistories = Histories.TestCase
TestHistories.settings = hypothesis_settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=(Phases.explicit, Phases.reuse, Phases.generate),  # making them short takes minutes
)
