"""How one connection follows another: attempts and their pauses, renewal, taking over.

A part of the `Supervisor`: no sockets and no clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

from ..settings import Settings
from .actions import Action, Finish, Open, logged
from .pacing import Window
from .shards import Connection, Phase, Shards, Slot

ATTEMPTS = (295, 300.0)  # of the 300 in five minutes that the exchange allows


class Succession:
    """``connections`` and ``shards`` are those of the supervisor, which it tells what to do."""

    def __init__(
        self,
        settings: Settings,
        chance: random.Random,
        connections: dict[int, Connection],
        shards: Shards,
        tell: Callable[[Action], object],
    ) -> None:
        self.settings = settings
        self.reconnects = 0
        self._chance = chance
        self._connections = connections
        self._shards = shards
        self._tell = tell
        self._numbers = count(1)
        self._attempts = Window(*ATTEMPTS)
        self._not_before = float("-inf")  # the exchange has told us to wait until then

    def wait_until(self, moment: float) -> None:
        """No attempt is to be made before: the exchange says so, of this address and key."""
        self._not_before = max(self._not_before, moment)

    def renewal_time(self, now: float) -> float:
        """When a connection that is made now is to be renewed."""
        return now + self.settings.renew_after * self._chance.uniform(0.95, 1.0)

    def check(self, slot: Slot, now: float) -> None:
        successor = slot.successor
        if successor is not None and successor.phase is Phase.LIVE:
            settled = now >= successor.live_since + self.settings.settle_timeout
            if not successor.fresh or settled:
                self.take_over(slot, now)
        if slot.attempt_at is not None and now >= slot.attempt_at:
            wait = max(self._attempts.wait(now), self._not_before - now)
            if wait > 0:
                slot.attempt_at = now + wait
            else:
                slot.attempt_at = None
                self.open(slot, now)

    def open(self, slot: Slot, now: float) -> None:
        self._attempts.note(now)
        number = next(self._numbers)
        name = f"connection {number} (line {slot.index + 1})"
        connection = Connection(number, slot, name)
        self._connections[number] = connection
        if slot.current is None:
            slot.current = connection
        else:
            slot.successor = connection
        self._tell(Open(number, name))

    def retry(self, slot: Slot, why: str, now: float) -> None:
        """Another attempt, after a pause that grows from failure to failure."""
        if slot.down_since is None:
            slot.down_since = now
        pause = max(slot.backoff.pause(), self._not_before - now)
        slot.backoff.failures += 1
        slot.attempts += 1
        slot.attempt_at = now + pause
        self.reconnects += 1
        line, shard = slot.index + 1, slot.shard.number
        text = f"connection lost{self._which(slot)}, {_again(pause, slot.attempts)}: {why}"
        self._say("retry", text, line=line, shard=shard, attempt=slot.attempts, pause=pause)

    def renew(self, slot: Slot, cause: str, now: float) -> None:
        if slot.successor is not None or slot.current is None:
            return
        if slot.current.phase is not Phase.LIVE or slot.attempt_at is not None:
            return
        slot.current.renew_at = float("inf")
        slot.attempt_at = max(now, self._not_before)
        self._say("renewing", f"renewed, as {cause}", slot.current, cause=cause)

    def renew_later(self, slot: Slot, why: str, now: float) -> None:
        """A renewal has failed, which leaves the connection that there is as it was."""
        slot.renewals.failures += 1
        pause = max(slot.renewals.pause(), self._not_before - now)
        slot.attempt_at = now + pause
        again = slot.renewals.failures + 1
        text = f"{why}; {_again(pause, again)}"
        self._say("no_renewal", text, slot.current, attempt=again, pause=pause)

    def take_over(self, slot: Slot, now: float) -> None:
        """The successor delivers. The connection before it ends when all it has sent was taken."""
        old, new = slot.current, slot.successor
        slot.current, slot.successor = new, None
        slot.renewals.failures = 0
        if old is not None and new is not None:
            self._say("renewed", f"has taken over from {old.name}", new, predecessor=old.name)
            slot.retiring.append(old)
            old.phase = Phase.RETIRING
            old.retired_at = old.heard = now
            old.to_send.clear()
            old.sent.clear()
            old.again.clear()
            self._tell(Finish(old.number))

    def _which(self, slot: Slot) -> str:
        """Which of a feed's connections it is, where that has several."""
        told = [f"line {slot.index + 1}"] if self.settings.lines > 1 else []
        if len(self._shards) > 1:
            told.append(f"for part {slot.shard.number} of {len(self._shards)} of the streams")
        return f" ({', '.join(told)})" if told else ""

    def _say(self, event: str, text: str, of: Connection | None = None, **fields: object) -> None:
        self._tell(logged(event, text, getattr(of, "name", None), **fields))


def _again(pause: float, attempt: int) -> str:
    return f"trying again in {pause:.1f} s (attempt {attempt})"
