"""The connections of one feed: which there are, what they say, and when one replaces another.

No sockets and no clock. The shell reports what happened, with the time in seconds of any clock that
does not go back; what is to be done is in `actions` afterwards. `deadline` says when to call `tick`
if nothing happens before.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from ...errors import ConnectionLost, ConnectionRefused, FeedError, reason_of
from ...venue.streams import stream_names
from ..settings import Settings
from .actions import Action, Ask, Close, Failed, Left, logged
from .session import Accepted, Refused, Request, ServerShutdown, UnknownText
from .shards import CONTROL_FRAMES, Connection, Phase, Shards, Slot
from .subscriptions import NAMES_A_REQUEST, Subscriptions
from .succession import Succession

WE_CLOSED = "the feed was closed"
RENEWED = "renewed"
_CLEAN = (1000, 1001, 1012)
_STEADY = 5.0  # seconds that a connection is up before the next pause starts anew
_HOPELESS = (401,)
_AWAKE_SECONDS = 10.0  # in which a connection has to answer after the machine was suspended


class Supervisor:
    """``chance`` makes the jitter."""

    def __init__(self, settings: Settings, chance: random.Random | None = None) -> None:
        self.settings = settings
        self.actions: list[Action] = []
        self._chance = chance or random.Random()
        self.shards = Shards(settings, self._chance)
        self.connections: dict[int, Connection] = {}
        self.closing = False
        self._succession = Succession(
            settings, self._chance, self.connections, self.shards, self._tell
        )
        self._subscriptions = Subscriptions(settings, self.shards, self._chance, self._tell)
        self._started = False  # whether each stream has had a connection
        self._ticked: float | None = None

    # what others may look at

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged, in the order they were asked for."""
        return self._subscriptions.streams

    @property
    def has_streams(self) -> bool:
        """Whether there are any."""
        return self._subscriptions.has_streams

    @property
    def reconnects(self) -> int:
        """How often a connection was lost, or could not be made, and another attempt followed."""
        return self._succession.reconnects

    @property
    def is_whole(self) -> bool:
        """Whether every line of every shard is up."""
        current = [slot.current for slot in self.shards.slots]
        return all(each is not None and each.phase is Phase.LIVE for each in current)

    def wants(self, name: str) -> bool:
        """Whether somebody has asked for a stream."""
        return any(name in shard.names for shard in self.shards)

    def fresh(self, number: int) -> set[str]:
        """The streams of a connection of which nothing has come through it."""
        connection = self.connections.get(number)
        return set() if connection is None else connection.fresh

    def deadline(self, now: float) -> float:
        """When `tick` is to be called at the latest."""
        if self.closing:
            return now + 1.0  # there is nothing to do any more
        times = [now + (0.05 if any(each.successor for each in self.shards.slots) else 1.0)]
        times += self._subscriptions.tickets.deadlines()
        for connection in self.connections.values():
            if connection.to_send:
                times.append(now + connection.control.wait(now))
            times += [at + self.settings.reply_timeout for _, at in connection.sent.values()]
            times += connection.again.values()
            if connection.phase is not Phase.OPENING:
                heard, silence = connection.heard, self.settings.silence_timeout
                times += [heard + silence, max(heard, connection.asked_at) + silence / 2]
            if connection.phase is Phase.LIVE and connection is connection.slot.current:
                times.append(connection.renew_at)
        times += [slot.attempt_at for slot in self.shards.slots if slot.attempt_at is not None]
        return max(now, min(times))

    # what the user wants

    def subscribe(self, streams: Iterable[str], now: float) -> int:
        """Adds streams; the Answer has the number that is returned."""
        names = stream_names(streams)
        return self._asked("SUBSCRIBE", names, self.shards.place(names, now), now)

    def unsubscribe(self, streams: Iterable[str], now: float) -> int:
        """Removes streams; the Answer has the number that is returned."""
        names = stream_names(streams)
        self._subscriptions.tickets.settle("SUBSCRIBE", names)  # nobody waits for these any more
        return self._asked("UNSUBSCRIBE", names, self.shards.remove(names), now)

    def renew(self, now: float, cause: str = "asked for") -> None:
        """A new connection takes the place of each, without a hole."""
        for slot in self.shards.slots:
            self._succession.renew(slot, cause, now)

    def close(self) -> None:
        """Ends all connections, for good."""
        self.closing = True
        for connection in list(self.connections.values()):
            self._drop(connection, WE_CLOSED)
        self._subscriptions.tickets.fail(FeedError("the feed was closed"))

    # what happened

    def opened(self, number: int, now: float) -> None:
        """The connection is there."""
        connection = self.connections.get(number)
        if connection is None:
            self.actions.append(Close(number, "not wanted any more"))
            return
        slot = connection.slot
        connection.phase = Phase.SUBSCRIBING
        connection.heard = now
        connection.renew_at = self._succession.renewal_time(now)
        self._subscriptions.request(connection, "SUBSCRIBE", list(slot.shard.names))
        if not slot.shard.names:
            self._went_live(connection, now)
        self._pump(now)

    def failed(self, number: int, error: FeedError, now: float) -> None:
        """The connection could not be made."""
        connection = self.connections.pop(number, None)
        if connection is None:
            return
        connection.phase = Phase.CLOSED
        slot = connection.slot
        wait = getattr(error, "retry_after", None) or 0.0
        self._succession.wait_until(now + wait)
        if slot.successor is connection:
            slot.successor = None
            self._succession.renew_later(slot, f"no connection to renew with ({error})", now)
            return
        # Whom the exchange does not know may wait for ever, unless it still serves us elsewhere.
        hopeless = isinstance(error, ConnectionRefused) and error.status in _HOPELESS
        others = any(each.phase is Phase.LIVE for each in self.connections.values())
        if (hopeless and not others) or not self._started or not self.settings.reconnect:
            self._fail(error)
            return
        slot.current = None
        slot.backoff.failures = max(slot.backoff.failures, 1)
        self._succession.retry(slot, reason_of(error), now)

    def text(self, number: int, text: str, now: float) -> None:
        """A text frame came."""
        connection = self.connections.get(number)
        if connection is None:
            return
        connection.heard = now
        event = connection.session.receive_text(text)
        match event:
            case Accepted(request, _):
                self._subscriptions.accepted(connection, request)
                self._check_ready(connection, now)
            case Refused(Request() as request, code, reason):
                self._subscriptions.refused(connection, request, code, reason, now)
                self._check_ready(connection, now)
            case Refused():
                self._log("refused", f"the exchange refuses: {text[:200]}", connection)
            case ServerShutdown():
                self._log("shutdown", "the exchange is about to close the connection", connection)
                if connection is connection.slot.current and connection.phase is Phase.LIVE:
                    self._succession.renew(connection.slot, "the exchange shuts down", now)
                else:
                    connection.renew_at = now  # as soon as that may be
            case UnknownText():
                self._log("unknown_text", f"an answer to no request: {text[:200]}", connection)
        self._pump(now)

    def heard(self, number: int, now: float) -> None:
        """Frames came, or a ping or a pong."""
        connection = self.connections.get(number)
        if connection is not None:
            connection.heard = now

    def came(self, number: int, names: Iterable[str]) -> None:
        """The first events of these streams have come through a connection."""
        connection = self.connections.get(number)
        if connection is not None:
            connection.fresh.difference_update(names)

    def closed(self, number: int, code: int | None, reason: str, now: float) -> None:
        """The connection ended, and we had not asked for it."""
        connection = self.connections.pop(number, None)
        if connection is None:
            return
        slot = connection.slot
        if connection in slot.retiring:
            slot.retiring.remove(connection)
            self._left(connection, RENEWED, whole=code is not None)
            connection.phase = Phase.CLOSED
            return
        lost = ConnectionLost(code, reason)
        self._left(connection, str(lost))
        was_up = connection.phase is Phase.LIVE
        connection.phase = Phase.CLOSED
        if slot.successor is connection:
            slot.successor = None
            self._succession.renew_later(
                slot, f"the connection to renew with was lost ({lost})", now
            )
            return
        if not self.settings.reconnect or not self._started:
            self._fail(lost)
            return
        slot.current = None
        if slot.successor is not None:  # which takes over at once
            slot.current, slot.successor = slot.successor, None
            if slot.current.phase is not Phase.LIVE:
                slot.down_since = now
            self._log("lost", f"{lost}; {slot.current.name} takes over", connection)
            return
        if was_up and now - connection.live_since >= _STEADY:
            slot.backoff.failures = 0
        if code not in _CLEAN or not was_up:
            slot.backoff.failures = max(slot.backoff.failures, 1)
        self._succession.retry(slot, str(lost), now)

    def silent(self, names: Iterable[str], now: float) -> None:
        """Nothing has come of these streams for as long as their kind may be silent."""
        by_slot: dict[int, tuple[Slot, list[str]]] = {}
        for name in names:
            for shard in self.shards:
                if name in shard.names and shard.slots:
                    slot = shard.slots[0]
                    by_slot.setdefault(id(slot), (slot, []))[1].append(name)
        for slot, quiet in by_slot.values():
            few = ", ".join(quiet[:5]) + (", ..." if len(quiet) > 5 else "")
            self._succession.renew(slot, f"nothing comes of {few}", now)

    def awake(self, now: float) -> None:
        """The machine was suspended, or so it seems: every connection has to show that it lives."""
        patience = min(_AWAKE_SECONDS, self.settings.silence_timeout / 2)
        for connection in self.connections.values():
            if connection.phase is not Phase.OPENING:
                latest = now + patience - self.settings.silence_timeout
                connection.heard = min(connection.heard, latest)
                self._ask(connection, now)

    def tick(self, now: float, is_read: bool = True) -> None:
        """What is due. ``is_read`` says whether the sockets were read since the last time.

        While they are not, since the consumer takes nothing, nobody is silent or late.
        """
        if self.closing:
            return
        if not is_read:
            self._wait_along(now, now - (self._ticked or now))
        self._ticked = now
        self._subscriptions.expire(self.connections.values(), now, is_read)
        for connection in list(self.connections.values()):
            self._check(connection, now)
        for slot in self.shards.slots:
            self._succession.check(slot, now)
        self._give_up(now)
        self._pump(now)

    # how it goes on

    def _check(self, connection: Connection, now: float) -> None:
        settings = self.settings
        if connection.phase is Phase.OPENING:
            return  # the transport has its own time-out
        late = [r for r, at in connection.sent.values() if now >= at + settings.reply_timeout]
        if late:
            few = ", ".join(late[0].streams[:5])
            why = f"{late[0].method} {few}: no reply within {settings.reply_timeout:g} s"
            self._subscriptions.tickets.refuse(late[0].method, late[0].streams, FeedError(why))
            self._lose(connection, why, now)
        elif connection.phase is Phase.RETIRING:
            is_silent = now >= connection.heard + settings.settle_timeout
            if is_silent or now >= connection.retired_at + settings.silence_timeout:
                connection.slot.retiring.remove(connection)
                self._drop(connection, RENEWED)
        elif now >= connection.heard + settings.silence_timeout:
            self._lose(connection, f"silent for {now - connection.heard:.0f} s", now)
        elif now >= max(connection.heard, connection.asked_at) + settings.silence_timeout / 2:
            self._ask(connection, now)
        elif connection.phase is Phase.LIVE and now >= connection.renew_at:
            self._succession.renew(connection.slot, "its time is over", now)

    def _ask(self, connection: Connection, now: float) -> None:
        """Asks for a sign of life."""
        connection.asked_at = now
        connection.control.note(now)
        self.actions.append(Ask(connection.number))

    def _wait_along(self, now: float, seconds: float) -> None:
        """Nothing was read for so long: that time does not count."""
        for connection in self.connections.values():
            connection.heard = now
            connection.live_since += seconds
            connection.retired_at += seconds
            connection.sent = {
                number: (request, at + seconds) for number, (request, at) in connection.sent.items()
            }

    def _give_up(self, now: float) -> None:
        limit, seconds = self.settings.give_up_after, self.shards.down_for(now)
        if limit is not None and seconds >= limit:
            self._fail(ConnectionLost(None, f"no connection for {seconds:.0f} s: given up"))

    def _lose(self, connection: Connection, cause: str, now: float) -> None:
        """We end a connection that is of no use, and make another."""
        self.actions.append(Close(connection.number, cause))
        self.closed(connection.number, None, cause, now)

    def _drop(self, connection: Connection, cause: str) -> None:
        """We end a connection that is not needed."""
        self.connections.pop(connection.number, None)
        connection.phase = Phase.CLOSED
        self._left(connection, cause)
        self.actions.append(Close(connection.number, cause))

    def _left(self, connection: Connection, cause: str, whole: bool = False) -> None:
        self.actions.append(Left(connection.number, cause, whole))
        if not self.closing:
            self._subscriptions.ended(connection)

    def _check_ready(self, connection: Connection, now: float) -> None:
        if connection.phase is Phase.SUBSCRIBING and not (connection.to_send or connection.sent):
            self._went_live(connection, now)

    def _went_live(self, connection: Connection, now: float) -> None:
        connection.phase = Phase.LIVE
        connection.live_since = now
        slot = connection.slot
        if slot.successor is not connection:
            if slot.down_since is not None:
                down = now - slot.down_since
                self._log("up", f"up, after {down:.1f} s", connection, seconds=down)
            slot.down_since = None
            slot.attempts = 0
        if not self.shards.cut_off():
            self._started = True

    # streams and their shards

    def _asked(
        self, method: str, names: list[str], places: dict[int, list[str]], now: float
    ) -> int:
        """Asks the connections of these shards for it."""
        if not names:
            raise ValueError(f"{method.lower()} needs at least one stream")
        until = now + self.settings.reply_timeout
        until += len(names) / NAMES_A_REQUEST / CONTROL_FRAMES[0]
        if not self.is_whole:
            until += self.settings.open_timeout
        ticket = self._subscriptions.tickets.add(method, names, until)
        asked = [
            connection
            for connection in self.connections.values()
            if connection.phase in (Phase.SUBSCRIBING, Phase.LIVE)
            and connection.slot.shard.number in places
        ]
        for connection in asked:
            here = places[connection.slot.shard.number]
            self._subscriptions.request(connection, method, here)
        if method == "UNSUBSCRIBE" and not asked:
            self._subscriptions.gone(names)
        self._pump(now)
        return ticket

    def _fail(self, error: FeedError) -> None:
        if self.closing:
            return
        self.closing = True
        for connection in list(self.connections.values()):
            self._drop(connection, str(error))
        self._subscriptions.tickets.fail(error)
        self.actions.append(Failed(error))

    def _pump(self, now: float) -> None:
        for connection in self.connections.values():
            self._subscriptions.pump(connection, now)

    def _tell(self, action: Action) -> None:
        self.actions.append(action)

    def _log(self, event: str, text: str, of: Connection | None = None, **fields: object) -> None:
        self.actions.append(logged(event, text, getattr(of, "name", None), **fields))
