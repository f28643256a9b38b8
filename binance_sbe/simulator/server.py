"""The local exchange as it is served: markets and timers, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.datastructures import Headers
from websockets.protocol import State

from ..logs import LOG
from ..serving.clients import Client
from ..serving.rest import Answer
from ..serving.server import Server, streams_of
from ..venue.streams import KINDS, symbol_name
from .encoder import encode
from .events import BestBidAsk, Depth, Diff, Trades
from .faults import Schedule, damaged, finer, newer, unknown
from .market import Market
from .rest import Rest
from .wire import Wire

SYMBOLS = ("btcusdt", "ethusdt", "solusdt", "xrpusdt")
DIFF_SECONDS = 0.020
DEPTH_SECONDS = 0.050
_TICK_SECONDS = 0.002
_BUSY_SECONDS = 0.02
_SHUTDOWN_SECONDS = 1.0  # from its announcement to the close
_SLOW_REPLY_SECONDS = 3.0
_MAX_BACKLOG = 64 * 1024 * 1024
_KIND = {Trades: "trade", BestBidAsk: "bestBidAsk", Depth: "depth20", Diff: "depth"}


class Connected(Client):
    """A client, and what becomes of its frames on their way."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.wire = Wire()


class Exchange(Server):
    """A local exchange: ``async with Exchange() as exchange`` serves until the block ends.

    ``rate`` is the number of orders a second that arrive over all symbols; each makes no, one or
    two events of the real-time streams, and depth events come by the clock. ``api_keys`` are the
    keys let in; with None any key is, but there must be one. Port 0 takes a free one.

    ``faults`` are names of `faults.KINDS`, inflicted every ``fault_seconds`` on average, in an
    order that ``seed`` gives, or with the time when: "cut@2.5"; ``fault_schedule.done`` says which
    were. A client that sends more
    than ``control_limit`` requests within a second loses its connection, and each ends after
    ``lifetime`` seconds. ``weight_limit`` is the weight of REST requests in a minute, and
    ``ban_seconds`` how long those who go on are banned.

    Raises OSError where the port is taken, ValueError for a symbol or a fault that can't be one.
    """

    _usage = "async with Exchange([...]) as exchange:"

    def __init__(
        self,
        symbols: Iterable[str] = SYMBOLS,
        *,
        rate: float = 1000.0,
        seed: int = 0,
        api_keys: Iterable[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        ping_interval: float | None = 20.0,
        faults: Iterable[str] = (),
        fault_seconds: float = 10.0,
        control_limit: int = 5,
        lifetime: float | None = None,
        weight_limit: int = 6000,
        ban_seconds: int = 120,
    ) -> None:
        if not rate > 0:
            raise ValueError(f"rate is a positive number of orders a second, not {rate}")
        if isinstance(symbols, str):
            raise TypeError(f"symbols are given one by one, not as the str '{symbols}'")
        names = [symbol_name(symbol) for symbol in symbols]
        if long := [name for name in names if len(name.upper().encode()) > 255]:
            raise ValueError(f"symbol '{long[0][:20]}...' is over 255 bytes long")
        if not names:
            raise ValueError("an exchange has at least one symbol")
        super().__init__(
            host,
            port,
            api_keys=api_keys,
            needs_key=True,
            ping_interval=ping_interval,
            control_limit=control_limit,
            soft_buffer=_MAX_BACKLOG,
            max_buffer=_MAX_BACKLOG,
        )
        self.markets = {name: Market(name, seed) for name in dict.fromkeys(names)}
        self.rate = rate
        self.orders_skipped = 0
        self.listeners: list[Callable[[Trades | BestBidAsk | Depth | Diff], None]] = []
        self.fault_schedule = Schedule(faults, fault_seconds, seed)
        self.rest = Rest(self.markets, weight_limit, ban_seconds)
        self._lifetime = lifetime
        self._next_reply = ""  # what is wrong with it
        self._finer: set[type] = set()  # kinds of which the next event has another digit
        self._random = random.Random(seed)
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Exchange:
        await self._open()
        self._ticking = asyncio.create_task(self._tick())
        self._ticking.add_done_callback(self._ticked)
        return self

    def _ticked(self, task: asyncio.Task[None]) -> None:
        """A market that fails ends the exchange, so that its clients see it end."""
        if not task.cancelled() and task.exception() is not None:
            LOG.error("the simulated market failed", exc_info=task.exception())
            assert self._server is not None
            self._server.close()

    async def __aexit__(self, *_: object) -> None:
        assert self._ticking is not None
        self._ticking.cancel()
        await self._close()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking  # a market that failed is not hidden

    def exists(self, stream: str) -> bool:
        """Whether there is such a stream here."""
        symbol, _, kind = stream.partition("@")
        return symbol in self.markets and kind in KINDS

    # connections

    async def _rest_answer(self, path: str, headers: Headers) -> Answer | None:
        return self.rest.answer(path, headers, time.time())

    def _new_client(self, connection: ServerConnection, path: str) -> Connected:
        streams, combined = streams_of(path) or [], path.startswith("/stream")
        return Connected(connection, self.exists, streams, combined, _MAX_BACKLOG, _MAX_BACKLOG)

    async def _answered(self, client: Client, text: str) -> str:
        fault, self._next_reply = self._next_reply, ""
        if fault == "slow":
            await asyncio.sleep(_SLOW_REPLY_SECONDS)
        return client.answer(text, fault == "refuse")

    # the market

    async def _tick(self) -> None:
        """Lets as many orders arrive as are due, and sends what they cause, until cancelled."""
        started = time.monotonic()
        steps = 0
        next_diff = next_depth = 0.0
        markets = list(self.markets.values())
        while True:
            elapsed = time.monotonic() - started
            self.fault_schedule.due(elapsed, self.inflict)
            self._look_after_connections(time.monotonic())
            now = time.time_ns() // 1000
            due = int(elapsed * self.rate)
            if due - steps > self.rate:  # the machine was asleep, or is too slow: not caught up
                self._skip(due - steps - int(self.rate))
                steps = due - int(self.rate)
            enough = time.monotonic() + _BUSY_SECONDS  # then others have their turn
            while steps < due and time.monotonic() < enough:
                for event in self._random.choice(markets).step(now):
                    self.publish(event)
                steps += 1
            if elapsed >= next_diff:
                next_diff = elapsed + DIFF_SECONDS
                for market in markets:
                    if diff := market.diff(now):
                        self.publish(diff)
            if elapsed >= next_depth:
                next_depth = elapsed + DEPTH_SECONDS
                for market in markets:
                    self.publish(market.depth(now))
            await asyncio.sleep(_TICK_SECONDS)

    def _look_after_connections(self, now: float) -> None:
        """Frames whose delay is over go out, and connections whose time is over end."""
        for connection, each in list(self._connections.items()):
            if not each.wire.plain:
                self._write([connection], each.wire.due(now))
            if self._lifetime is not None and now >= each.opened + self._lifetime:
                each.opened = float("inf")
                each.wire.is_mute, each.wire.plain = True, False
                self._later(connection.close(1001, "its time is over"))

    def _skip(self, orders: int) -> None:
        """Orders that this machine is too slow for; the first time, it is said."""
        if not self.orders_skipped:
            LOG.warning("%s: this machine is too slow for %g orders a second", self.url, self.rate)
        self.orders_skipped += orders

    def publish(self, event: Trades | BestBidAsk | Depth | Diff) -> None:
        """Sends one event to every connection that has subscribed to its stream.

        ``listeners`` are told of it too, as it is.
        """
        for each in self.listeners:
            each(event)
        stream = f"{event.symbol.lower()}@{_KIND[type(event)]}"
        if type(event) in self._finer:
            self._finer.remove(type(event))
            event = finer(event) if isinstance(event, Diff) else finer(cast("Depth", event))
        self.send(stream, encode(event))

    def send(self, stream: str, frame: bytes) -> None:
        """Sends a frame, whatever its bytes are, to the subscribers of a stream."""
        receivers = []
        now = time.monotonic()
        for connection, each in self._connections.items():
            if stream not in each.streams:
                continue
            if each.wire.plain:
                receivers.append(connection)
            else:
                self._write([connection], each.wire.pass_on(stream, frame, now))
        self._write(receivers, [frame])

    def inflict(self, fault: str) -> bool:
        """Does something wrong to one connection; False where there is none to do it to."""
        usable = [
            (connection, subscriptions)
            for connection, subscriptions in self._connections.items()
            if not subscriptions.wire.is_mute and connection.state is State.OPEN
        ]
        chance = self.fault_schedule.chance
        match fault:
            case "refuse" | "slow":
                if not usable:  # the first request of all is to succeed
                    return False
                self._next_reply = fault
                return True
            case "old":
                self.rest.next_is_old = True
                return True
            case "finer":
                self.rest.next_is_finer = True
                self._finer = {Diff, Depth}
                return True
            case "limit" | "ban":
                self.rest.next_refusal = (429, 1) if fault == "limit" else (418, 2)
                return True
        usable = [each for each in usable if each[1].streams]  # what has something to lose
        if not usable:
            return False
        connection, subscriptions = chance.choice(usable)
        wire = subscriptions.wire
        now = time.monotonic()
        self._flush()  # what was sent before is not touched
        match fault:
            case "cut":
                frame = encode(next(iter(self.markets.values())).best_bid_ask(0))[:100]
                content = bytes([0x82, len(frame)]) + frame
                connection.transport.write(content[: chance.randrange(1, len(content))])
                connection.transport.close()
                wire.is_mute = True
            case "close":
                wire.is_mute = True
                self._later(connection.close(1001, "going away"))
            case "silence":
                wire.is_mute = True
                connection.transport.pause_reading()  # pings are not answered either
            case "shutdown":
                notice = {"e": "serverShutdown", "E": time.time_ns() // 10**6}
                broadcast([connection], json.dumps(notice))
                self._later(self._close_later(connection))
            case "damage":
                wire.change = lambda frame: damaged(frame, chance)
            case "newer":
                wire.change = newer
            case "unknown":
                market = chance.choice(list(self.markets.values()))
                event = market.best_bid_ask(time.time_ns() // 1000)
                broadcast([connection], unknown(encode(event)))
            case "delay":
                wire.late_until = now + chance.uniform(0.2, 2.0)
            case "repeat":
                wire.repeats = True
            case "swap":
                wire.swaps = True
            case "cull":
                wire.culls_until = now + 1.0
        wire.plain = False
        return True

    async def _close_later(self, connection: ServerConnection) -> None:
        await asyncio.sleep(_SHUTDOWN_SECONDS)
        await connection.close(1001, "shutting down")
