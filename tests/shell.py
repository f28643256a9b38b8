"""Does what a supervisor says, with a clock and an exchange that the test plays."""

from __future__ import annotations

import json
import random
from typing import Any

from binance_sbe.errors import FeedError, Unreachable
from binance_sbe.feed.protocol.actions import (
    Answer,
    Ask,
    Close,
    Entered,
    Failed,
    Finish,
    Forgotten,
    Left,
    Log,
    Open,
    Send,
)
from binance_sbe.feed.protocol.supervisor import Supervisor
from binance_sbe.feed.settings import Settings


class Even(random.Random):
    """No jitter: the middle of what might be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def told(action: Any) -> str:
    """An action in a few words."""
    match action:
        case Open(number, name):
            return f"open {number} {name}"
        case Send(number, text):
            body = json.loads(text)
            return f"send {number} {body['method']} {' '.join(body['params'])} #{body['id']}"
        case Ask(number):
            return f"ask {number}"
        case Finish(number):
            return f"finish {number}"
        case Close(number, cause):
            return f"close {number}: {cause}"
        case Entered(number, names):
            return f"entered {number}: {' '.join(names)}"
        case Left(number, cause, whole):
            return f"left {number}{' whole' * whole}: {cause}"
        case Forgotten(names):
            return f"forgotten {' '.join(names)}"
        case Answer(ticket, error):
            return f"answer {ticket}: {error}"
        case Log(event, text, fields):
            return f"log {event}: {text} {fields}"
    return f"failed: {action.error}"


class Shell:
    """Does what a supervisor says, with an exchange that the test plays."""

    def __init__(self, chance: random.Random | None = None, **options: Any) -> None:
        self.supervisor = Supervisor(Settings(**options), chance=chance or random.Random(1))
        self.now = 0.0
        self.open: list[int] = []
        self.lines: dict[int, Any] = {}
        self.requests: list[tuple[int, dict[str, Any], float]] = []
        self.answers: dict[int, Any] = {}
        self.logs: list[str] = []
        self.closed: list[int] = []
        self.asked: list[tuple[int, float]] = []
        self.finishing: list[int] = []
        self.failed: Any = None
        self.left: list[Any] = []
        self.forgotten: list[str] = []
        self.answering = True

    def act(self) -> None:
        while self.supervisor.actions:
            actions, self.supervisor.actions = self.supervisor.actions, []
            for action in actions:
                self.do(action)

    def do(self, action: Any) -> None:
        match action:
            case Open(number, name):
                self.open.append(number)
                self.lines[number] = name
            case Send(number, text):
                self.requests.append((number, json.loads(text), self.now))
            case Close(number, _):
                self.closed.append(number)
            case Ask(number):
                self.asked.append((number, self.now))
            case Finish(number):
                self.finishing.append(number)
            case Answer(ticket, error):
                self.answers[ticket] = error
            case Log(_, text):
                self.logs.append(text)
            case Failed(error):
                self.failed = error
            case Left():
                self.left.append(action)
            case Forgotten(names):
                self.forgotten += names
            case Entered():
                pass

    def reply(self) -> None:
        """Acknowledges all requests that are open."""
        while self.requests and self.answering:
            number, body, _ = self.requests.pop(0)
            reply = json.dumps({"result": None, "id": body["id"]})
            self.supervisor.text(number, reply, self.now)
            self.act()

    def finish(self) -> None:
        """The exchange ends the connections that are to end."""
        while self.finishing and self.answering:
            self.supervisor.closed(self.finishing.pop(0), 1000, "", self.now)
            self.act()

    def run(self, seconds: float, is_up: bool = True) -> None:
        """Time passes; connections that are to be opened are, or are refused."""
        end = self.now + seconds
        while True:
            self.supervisor.tick(self.now)
            self.act()
            opening, self.open = self.open, []
            for number in opening:
                if is_up:
                    self.supervisor.opened(number, self.now)
                else:
                    self.supervisor.failed(number, Unreachable("no route"), self.now)
            self.act()
            self.reply()
            self.finish()
            if self.now >= end:
                return
            self.now = min(max(self.supervisor.deadline(self.now), self.now + 0.001), end)

    def started(self, *names: str) -> Shell:
        ticket = self.supervisor.subscribe(names or ("a@trade",), self.now)
        self.run(0.1)
        assert self.answers == {ticket: None}
        assert self.supervisor.is_whole
        return self

    @property
    def numbers(self) -> list[int]:
        return list(self.supervisor.connections)

    def hear(self, seconds: float) -> None:
        """Time passes, and something is heard of all connections."""
        end = self.now + seconds
        while self.now < end:
            for number in self.numbers:
                self.supervisor.heard(number, self.now)
            self.run(min(5.0, end - self.now))


def even(**options: Any) -> Shell:
    return Shell(Even(), **options)


def taken(shell: Shell, kind: Any) -> list[Any]:
    """The actions of one kind, of all that wait; the others are dropped."""
    actions, shell.supervisor.actions = shell.supervisor.actions, []
    return [each for each in actions if isinstance(each, kind)]


def logged(shell: Shell, event: str) -> dict[str, Any]:
    (fields,) = [each.fields for each in taken(shell, Log) if each.event == event]
    return dict(fields)


def failing(shell: Shell, error: FeedError, times: int) -> list[float]:
    """Opens when it is due, which fails; the pauses after each time."""
    pauses = []
    for _ in range(times):
        (slot,) = shell.supervisor.shards.slots
        assert slot.attempt_at is not None
        if slot.attempt_at > shell.now:
            shell.supervisor.tick(slot.attempt_at - 0.001)
            assert taken(shell, Open) == []
            shell.now = slot.attempt_at
        for number in shell.numbers:
            shell.supervisor.heard(number, shell.now)
        shell.supervisor.tick(shell.now)
        (opened,) = taken(shell, Open)
        shell.supervisor.failed(opened.connection, error, shell.now)
        assert slot.attempt_at is not None
        pauses.append(slot.attempt_at - shell.now)
    return pauses
