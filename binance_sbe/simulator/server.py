"""The WebSocket server: connections, timers and sockets around `Market` and `Subscriptions`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Coroutine, Iterable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from ..asynchronous import Asynchronous
from ..logs import LOG, websocket_logger
from ..venue.streams import KINDS, symbol_name
from .control import Subscriptions
from .encoder import encode
from .events import BestBidAsk, Depth, Diff, Trades
from .faults import Schedule, damaged, finer, newer, unknown
from .market import Market
from .rest import Rest

SYMBOLS = ("btcusdt", "ethusdt", "solusdt", "xrpusdt")
DIFF_SECONDS = 0.020
DEPTH_SECONDS = 0.050
_TICK_SECONDS = 0.002
_BUSY_SECONDS = 0.02
_SHUTDOWN_SECONDS = 1.0  # from its announcement to the close
_SLOW_REPLY_SECONDS = 3.0
_MAX_BACKLOG = 64 * 1024 * 1024
_KIND = {Trades: "trade", BestBidAsk: "bestBidAsk", Depth: "depth20", Diff: "depth"}


class Exchange(Asynchronous):
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
        if not (host and isinstance(host, str)):
            raise ValueError(f"host is the address to serve on, not {host!r}")
        self.markets = {name: Market(name, seed) for name in dict.fromkeys(names)}
        self.rate = rate
        self.api_keys = None if api_keys is None else frozenset(api_keys)
        self.host = host
        self.port = port
        self.events_sent = 0
        self.orders_skipped = 0
        self.fault_schedule = Schedule(faults, fault_seconds, seed)
        self.rest = Rest(self.markets, weight_limit, ban_seconds)
        self._control_limit = control_limit
        self._lifetime = lifetime
        self._next_reply = ""  # what is wrong with it
        self._finer: set[type] = set()  # kinds of which the next event has another digit
        self._ping_interval = ping_interval
        self._random = random.Random(seed)
        self._connections: dict[ServerConnection, Subscriptions] = {}
        self._server: Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What to give to ``connect(url=...)``, once the exchange is open."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"

    async def __aenter__(self) -> Exchange:
        self._server = await serve(
            self._serve_connection,
            self.host,
            self.port,
            process_request=self._check_request,
            compression=None,
            logger=websocket_logger(),
            ping_interval=self._ping_interval,
            ping_timeout=60.0,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
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
        assert self._server is not None
        assert self._ticking is not None
        self._ticking.cancel()
        for task in self._tasks:
            task.cancel()
        self._server.close()
        await self._server.wait_closed()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking  # a market that failed is not hidden

    def exists(self, stream: str) -> bool:
        """Whether there is such a stream here."""
        symbol, _, kind = stream.partition("@")
        return symbol in self.markets and kind in KINDS

    # connections

    def _check_request(self, connection: ServerConnection, request: Request) -> Response | None:
        answer = self.rest.answer(request.path, request.headers, time.time())
        if answer is not None:
            headers = Headers(answer.headers | {"Content-Length": str(len(answer.body))})
            headers["Connection"] = "close"
            return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)
        key = request.headers.get("X-MBX-APIKEY")
        if not key or (self.api_keys is not None and key not in self.api_keys):
            body = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
            return connection.respond(HTTPStatus.UNAUTHORIZED, json.dumps(body))
        streams = _streams_of(request.path)
        if streams is None:
            return connection.respond(HTTPStatus.NOT_FOUND, f"no such path: {request.path}\n")
        for stream in streams:
            if not self.exists(stream):
                body = {"code": 2, "msg": f"Invalid request: no stream `{stream}`"}
                return connection.respond(HTTPStatus.BAD_REQUEST, json.dumps(body))
        return None

    async def _serve_connection(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path
        subscriptions = Subscriptions(
            self.exists, _streams_of(path) or [], path.startswith("/stream")
        )
        subscriptions.opened = time.monotonic()
        self._connections[connection] = subscriptions
        try:
            async for message in connection:
                if not subscriptions.count_control(time.monotonic(), self._control_limit):
                    await connection.close(1008, "too many requests")
                elif isinstance(message, bytes):
                    await connection.close(1003, "requests are JSON text")
                else:
                    fault, self._next_reply = self._next_reply, ""
                    if fault == "slow":
                        await asyncio.sleep(_SLOW_REPLY_SECONDS)
                    await connection.send(subscriptions.answer(message, fault == "refuse"))
        except ConnectionClosed:
            pass
        finally:
            del self._connections[connection]

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
        """Sends one event to every connection that has subscribed to its stream."""
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

    def _write(self, receivers: list[ServerConnection], frames: list[bytes]) -> None:
        for frame in frames:
            for connection in receivers:
                if connection.transport.get_write_buffer_size() > _MAX_BACKLOG:
                    connection.transport.abort()  # it does not read: as the exchange would do
            broadcast(receivers, frame)
            self.events_sent += len(receivers)

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

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send_text(self, message: Any) -> None:
        """Sends a JSON text frame, such as serverShutdown, to every connection."""
        broadcast(list(self._connections), json.dumps(message))


def _streams_of(path: str) -> list[str] | None:
    """The streams that a path asks for, or None where there is no such path."""
    parts = urlsplit(path)
    if parts.path in ("/ws", "/ws/"):
        return []
    if parts.path.startswith("/ws/"):
        return [unquote(name) for name in parts.path[4:].split("/")]
    if parts.path in ("/stream", "/stream/"):
        given = parse_qs(parts.query).get("streams", [""])[0]
        return [name for name in given.split("/") if name]
    return None
