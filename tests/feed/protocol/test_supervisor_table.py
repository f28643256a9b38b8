"""What a supervisor does at each event in each state of a connection, without jitter.

The table is `golden/supervisor.golden`: a state, an event, the actions, and what is then.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import Even, told

from binance_sbe.errors import ConnectionRefused, FeedError, Unreachable
from binance_sbe.feed.protocol.shards import Connection, Phase, Slot
from binance_sbe.feed.protocol.supervisor import Supervisor
from binance_sbe.feed.settings import Settings

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "supervisor.golden"
START = 1000.0


class Play:
    """One shard of two streams, whose first connection is number 1."""

    def __init__(self, **options: Any) -> None:
        self.supervisor = Supervisor(Settings(**options), Even())
        self.now = START

    def said(self) -> list[str]:
        actions, self.supervisor.actions = self.supervisor.actions, []
        texts = [told(each) for each in actions]
        for long, short in FAILURES.items():
            texts = [text.replace(long, short) for text in texts]
        return texts

    def tick(self, seconds: float = 0.0, is_read: bool = True) -> None:
        self.now += seconds
        self.supervisor.tick(self.now, is_read)

    def opened(self, number: int) -> None:
        self.supervisor.opened(number, self.now)

    def failed(self, number: int, error: FeedError) -> None:
        self.supervisor.failed(number, error, self.now)

    def closed(self, number: int, code: int | None, reason: str = "gone") -> None:
        self.supervisor.closed(number, code, reason, self.now)

    def text(self, number: int, **body: object) -> None:
        self.supervisor.text(number, json.dumps(body), self.now)

    def silent(self, name: str) -> None:
        self.supervisor.silent([name], self.now)

    # what is then

    def summary(self) -> str:
        supervisor = self.supervisor
        waits = supervisor.deadline(self.now) - self.now
        each = [f"{slot_text(slot, self.now)}" for slot in supervisor.shards.slots]
        counts = [f"streams {' '.join(supervisor.streams) or '-'}", f"next {waits:.4g}"]
        counts += [f"reconnects {supervisor.reconnects}"]
        counts += ["whole"] * supervisor.is_whole + ["over"] * supervisor.closing
        return "; ".join([*each, *counts])


def slot_text(slot: Slot, now: float) -> str:
    parts = [connection_text(c) for c in (slot.current, slot.successor, *slot.retiring) if c]
    if slot.attempt_at is not None:
        parts.append(f"attempt in {slot.attempt_at - now:.4g}")
    if slot.down_since is not None:
        parts.append(f"down for {now - slot.down_since:.4g}")
    return f"[{', '.join(parts)}]"


def connection_text(connection: Connection) -> str:
    fresh = f" fresh {' '.join(sorted(connection.fresh))}" if connection.fresh else ""
    return f"{connection.number} {connection.phase.value}{fresh}"


def reached(state: str) -> Play:
    """Each state is one step from the one before it."""
    play = Play()
    play.supervisor.subscribe(["a@trade", "b@depth"], play.now)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("asked", lambda: None),
        ("opening", lambda: play.tick()),
        ("subscribing", lambda: play.opened(1)),
        ("live", lambda: (play.text(1, result=None, id=1), play.tick(10.0))),
        ("renewal due", lambda: play.supervisor.renew(play.now)),
        ("successor opening", lambda: play.tick(0.5)),
        ("successor subscribing", lambda: play.opened(2)),
        ("successor live", lambda: (play.text(2, result=None, id=1), play.tick(0.5))),
        ("retiring", lambda: (play.supervisor.came(2, ["a@trade", "b@depth"]), play.tick(0.5))),
        ("retired", lambda: play.closed(1, 1000, "")),
        ("down", lambda: (play.tick(1.0), play.closed(2, None))),
        ("reopening", lambda: play.tick(0.25)),
        ("down again", lambda: (play.tick(0.5), play.failed(3, Unreachable("ws://x: no route")))),
    ]
    for name, step in steps:
        step()
        if name == state:
            play.said()
            return play
    raise AssertionError(state)


STATES = (
    "asked", "opening", "subscribing", "live", "renewal due", "successor opening",
    "successor subscribing", "successor live", "retiring", "retired", "down", "reopening",
    "down again",
)  # fmt: skip

UNKNOWN = ConnectionRefused("wss://x", 401, "")
BUSY = ConnectionRefused("wss://x", 429, "", 120.0)
NO_ROUTE = Unreachable("wss://x: no route")
FAILURES = {str(UNKNOWN): "refused, 401", str(BUSY): "refused, 429"}


def newest(play: Play) -> int:
    return max(play.supervisor.connections, default=1)


def oldest(play: Play) -> int:
    return min(play.supervisor.connections, default=1)


def can_be(event: str, play: Play) -> bool:
    """Whether a connection can report this."""
    which = newest if "newest" in event else oldest
    connection = play.supervisor.connections.get(which(play))
    if "est " not in event:
        return True
    if connection is None:
        return False
    if "opens" in event or "finds" in event or "is refused" in event:
        return connection.phase is Phase.OPENING
    return connection.phase is not Phase.OPENING


EVENTS: dict[str, Callable[[Play], object]] = {
    "the newest opens": lambda p: p.opened(newest(p)),
    "an unknown one opens": lambda p: p.opened(99),
    "the newest finds no route": lambda p: p.failed(newest(p), NO_ROUTE),
    "the newest is refused with 401": lambda p: p.failed(newest(p), UNKNOWN),
    "the newest is refused with 429": lambda p: p.failed(newest(p), BUSY),
    "the newest is lost": lambda p: p.closed(newest(p), None),
    "the oldest is lost": lambda p: p.closed(oldest(p), None),
    "the oldest closes cleanly": lambda p: p.closed(oldest(p), 1000, ""),
    "the oldest closes with 1008": lambda p: p.closed(oldest(p), 1008, "disconnected"),
    "the newest accepts": lambda p: p.text(newest(p), result=None, id=1),
    "the newest refuses": lambda p: p.text(newest(p), code=2, msg="no", id=1),
    "a refusal of nothing": lambda p: p.text(oldest(p), code=3, msg="Invalid JSON"),
    "a shutdown": lambda p: p.text(oldest(p), e="serverShutdown", E=1),
    "the newest shuts down": lambda p: p.text(newest(p), e="serverShutdown", E=1),
    "nonsense": lambda p: p.text(oldest(p), hello=1),
    "renew": lambda p: p.supervisor.renew(p.now),
    "subscribe": lambda p: p.supervisor.subscribe(["c@trade"], p.now),
    "unsubscribe": lambda p: p.supervisor.unsubscribe(["a@trade"], p.now),
    "unsubscribe what is not there": lambda p: p.supervisor.unsubscribe(["x@trade"], p.now),
    "a stream is silent": lambda p: p.silent("a@trade"),
    "another's is silent": lambda p: p.silent("x@trade"),
    "the machine wakes": lambda p: p.supervisor.awake(p.now),
    "a tick at once": lambda p: p.tick(),
    "a tick 5 s later": lambda p: p.tick(5.0),
    "a tick 10 s later": lambda p: p.tick(10.0),
    "a tick 31 s later": lambda p: p.tick(31.0),
    "a tick 61 s later": lambda p: p.tick(61.0),
    "a tick 61 s later, nothing read": lambda p: p.tick(61.0, is_read=False),
    "a tick 950 s later": lambda p: p.tick(950.0),
    "close": lambda p: p.supervisor.close(),
}


def lines_of(state: str) -> list[str]:
    before = reached(state).summary()
    lines, idle = [f"== {state}: {before}", f"   due in {due(reached(state)):.4g}"], []
    for name, event in EVENTS.items():
        play = reached(state)
        if not can_be(name, play):
            continue
        event(play)
        said = play.said()
        if not said and play.summary() == before:
            idle.append(name)
            continue
        lines += [f"-- {name}", *(f"   {each}" for each in said), f"   = {play.summary()}"]
    return [*lines, f"-- nothing comes of: {', '.join(idle)}"]


def due(play: Play) -> float:
    """Seconds until there is something to do, beyond the next look."""
    step = play.supervisor.deadline(play.now) - play.now
    later = play.now
    while step and later < play.now + 99.0 and play.supervisor.deadline(later) == later + step:
        later += step
    return play.supervisor.deadline(later) - play.now


@pytest.mark.parametrize("state", STATES)
def test_each_event_does_in_each_state_what_the_table_says(
    state: str, request: pytest.FixtureRequest
) -> None:
    """``--update-golden`` writes the table anew, to be read before it is committed."""
    if request.config.getoption("--update-golden"):
        whole = [line for each in STATES for line in lines_of(each)]
        GOLDEN.write_text("\n".join(whole) + "\n")
    known = GOLDEN.read_text().split("== ")[1:]
    table = {part.partition(":")[0]: ("== " + part).splitlines() for part in known}
    assert lines_of(state) == table[state]
