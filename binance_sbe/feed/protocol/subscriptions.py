"""Requests to the exchange, and what its replies mean for the streams of a feed."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable

from ...errors import SubscriptionRefused
from ..settings import Settings
from .actions import Action, Answer, Entered, Forgotten, Send, logged
from .pacing import Backoff
from .session import Request
from .shards import Connection, Shards
from .tickets import Ticket, Tickets

NAMES_A_REQUEST = 200
_AGAIN = (1.0, 300.0)  # the first and the longest pause before a stream is asked for again


class Subscriptions:
    """Of all connections of a `Supervisor`, which it tells what is to be done."""

    def __init__(
        self,
        settings: Settings,
        shards: Shards,
        chance: random.Random,
        tell: Callable[[Action], object],
    ) -> None:
        self.settings = settings
        self.tickets = Tickets(lambda number, error: tell(Answer(number, error)))
        self._shards = shards
        self._chance = chance
        self._tell = tell
        self._acknowledged: dict[str, None] = {}
        self._known: set[str] = set()  # acknowledged once, and still wanted

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged, in the order they were asked for."""
        return [n for shard in self._shards for n in shard.names if n in self._acknowledged]

    @property
    def has_streams(self) -> bool:
        """Whether any are wanted: acknowledged, or asked for, now or again."""
        return any(shard.names for shard in self._shards)

    def request(self, connection: Connection, method: str, names: list[str]) -> None:
        """What is to be asked on a connection, in requests of a size that the exchange takes."""
        session = connection.session
        make = session.subscribe if method == "SUBSCRIBE" else session.unsubscribe
        for i in range(0, len(names), NAMES_A_REQUEST):
            connection.to_send.append(make(names[i : i + NAMES_A_REQUEST]))

    def pump(self, connection: Connection, now: float) -> None:
        """Sends what may be sent now."""
        due = [name for name, at in connection.again.items() if now >= at]
        for name in due:
            del connection.again[name]
        wanted = connection.slot.shard.names
        self.request(connection, "SUBSCRIBE", [name for name in due if name in wanted])
        while connection.to_send and connection.control.wait(now) <= 0:
            connection.control.note(now)
            request = connection.to_send.pop(0)
            connection.sent[request.id] = request, now
            self._tell(Send(connection.number, request.text))

    def accepted(self, connection: Connection, request: Request) -> None:
        connection.sent.pop(request.id, None)
        names = request.streams
        if request.method == "UNSUBSCRIBE":
            for name in names:
                connection.entered.pop(name, None)
                connection.fresh.discard(name)
            self.gone(names)
            return
        names = [name for name in names if name in connection.slot.shard.names]
        for name in names:
            connection.refusals.pop(name, None)
        connection.entered |= dict.fromkeys(names)
        connection.fresh |= set(names)
        self._acknowledged |= dict.fromkeys(names)
        self._known |= set(names)
        self._tell(Entered(connection.number, tuple(names)))
        self.tickets.settle("SUBSCRIBE", names)

    def refused(
        self,
        connection: Connection,
        request: Request,
        code: int | None,
        reason: str,
        now: float,
    ) -> None:
        """A user who has asked gets the error; else the streams at fault are found.

        Those that the exchange has had before are asked for again, after pauses that grow.
        """
        connection.sent.pop(request.id, None)
        error = SubscriptionRefused(request.method, request.streams, code, reason)
        asked = self.tickets.refuse(request.method, request.streams, error)
        if request.method == "SUBSCRIBE":
            if not asked and len(request.streams) > 1:
                half = len(request.streams) // 2
                self.request(connection, "SUBSCRIBE", request.streams[:half])
                self.request(connection, "SUBSCRIBE", request.streams[half:])
                return
            for name in request.streams:
                if name in connection.entered or name not in connection.slot.shard.names:
                    continue
                self._acknowledged.pop(name, None)
                if asked or name not in self._known:
                    connection.slot.shard.names.pop(name, None)
                else:
                    self._ask_again(connection, name, now)
        if not asked:
            self._tell(logged("refused", str(error), connection.name, said=reason))

    def expire(self, connections: Iterable[Connection], now: float, is_read: bool) -> None:
        """Ends the requests of the user's whose time is over."""
        sent = [request for each in connections for request, _ in each.sent.values()]

        def why(ticket: Ticket) -> str:
            if not any(
                request.method == ticket.method and ticket.names.intersection(request.streams)
                for request in sent
            ):
                return "there was no connection to ask on"
            if not is_read:
                return "the reply waits behind frames that the consumer does not take"
            return f"no reply within {self.settings.reply_timeout:g} s"

        self.tickets.expire(now, why)

    def _ask_again(self, connection: Connection, name: str, now: float) -> None:
        backoff = connection.refusals.setdefault(name, Backoff(*_AGAIN, self._chance))
        backoff.failures += 1
        pause = backoff.pause()
        connection.again[name] = now + pause
        text = f"{name} is asked for again in {pause:.1f} s"
        self._tell(logged("asked_again", text, connection.name, stream=name, pause=pause))

    def ended(self, connection: Connection) -> None:
        """The connection is no more: what it was to unsubscribe from will not come of it."""
        asked = [*connection.to_send, *(request for request, _ in connection.sent.values())]
        for request in asked:
            if request.method == "UNSUBSCRIBE":
                self.gone(request.streams)

    def gone(self, names: Collection[str]) -> None:
        """The exchange has been told that these streams are not wanted.

        They may be wanted again by now, and another line's answer come after that.
        """
        self.tickets.settle("UNSUBSCRIBE", names)
        names = tuple(n for n in names if not any(n in shard.names for shard in self._shards))
        self._known.difference_update(names)
        for name in names:
            self._acknowledged.pop(name, None)
        if names:
            self._tell(Forgotten(names))
