"""A local WebSocket API in SBE: market data of a local exchange, logons, and events of user data.

``async with Exchange() as exchange, WsApi(exchange) as api`` serves until the block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from .. import spot_sbe
from ..serving.rest import Refusal, error_response
from .beside import Beside
from .exchange_info import exchange_info
from .fix_keys import is_signed
from .market import Market
from .server import Exchange

FAULTS = ("cut", "close", "silence", "shutdown", "damage", "text")
_WINDOW_MILLIS = 5000
_SHUTDOWN_SECONDS = 1.0
_WEIGHTS = {"depth": 5, "trades.recent": 25, "klines": 2, "exchangeInfo": 20}
_BAR_MICROS = 60_000_000
_INTERVALS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w",
    "1M",
)  # fmt: skip
Params = dict[str, Any]


class _Client:
    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.is_logged_on = False
        self.is_mute = False
        self.subscriptions: set[int] = set()


class WsApi(Beside):
    """The WebSocket API for the markets of ``exchange``, on a port of its own.

    For the options see `Beside`. `emit` sends an event of user data to those who have subscribed,
    which is also done each ``event_seconds``, and `inflict` does something wrong to all of them.
    """

    _usage = "async with WsApi(exchange) as api:"

    def __init__(
        self, exchange: Exchange, *, event_seconds: float | None = None, **options: Any
    ) -> None:
        super().__init__(exchange, **options)
        self._event_seconds = event_seconds
        self.asked: list[tuple[str, Params]] = []  # method and parameters of each request
        self.weight: Counter[int] = Counter()  # by minute
        self._clients: set[_Client] = set()
        self._next_subscription = 0
        self._server: Server | None = None

    async def __aenter__(self) -> WsApi:
        self._server = await serve(
            self._serve, self._host, self._port, process_request=self._checked, compression=None
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://{self._place}:{port}"
        if self._event_seconds is not None:
            self._later(self._emit_each(self._event_seconds))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for client in list(self._clients):
            client.socket.transport.abort()
        await self._end_tasks()
        self._server.close()
        await self._server.wait_closed()

    def _checked(self, connection: ServerConnection, request: Request) -> Response | None:
        """A refusal by HTTP, as the exchange has it, of what does not ask for SBE as it should."""
        parts = urlsplit(request.path)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        wanted = {
            "responseFormat": "sbe", "sbeSchemaId": str(spot_sbe.SCHEMA_ID),
            "sbeSchemaVersion": str(spot_sbe.SCHEMA_VERSION),
        }  # fmt: skip
        if parts.path == "/ws-api/v3" and asked == wanted:
            return None
        text = json.dumps({"code": -1153, "msg": "Unsupported SBE schema ID or version."})
        return connection.respond(400 if parts.path == "/ws-api/v3" else 404, text)

    async def _serve(self, socket: ServerConnection) -> None:
        client = _Client(socket)
        self._clients.add(client)
        try:
            async for text in socket:
                if not client.is_mute:
                    await socket.send(self._answer(client, text))
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)

    # requests

    def _answer(self, client: _Client, text: str | bytes) -> bytes:
        identity, status = "", 200
        try:
            try:
                request = json.loads(text)
                identity = str(request.get("id") or "")
                method, params = request["method"], request.get("params") or {}
                if not (isinstance(method, str) and isinstance(params, dict)):
                    raise ValueError
            except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                raise Refusal(-1100, "Malformed request.") from None
            self.asked.append((method, params))
            self.weight[int(time.time() // 60)] += _WEIGHTS.get(method, 1)
            result = self._result(client, method, params)
        except Refusal as refusal:
            result, status = error_response(refusal.code, str(refusal)), refusal.status
        limit = {
            "rate_limit_type": "RequestWeight", "interval": "Minute", "interval_num": 1,
            "rate_limit": 6000, "current": self.weight[int(time.time() // 60)],
        }  # fmt: skip
        return spot_sbe.WebSocketResponse.encode(
            sbe_schema_id_version_deprecated=self._is_deprecated,
            status=status,
            rate_limits=[limit],
            id=identity,
            result=result,
        )

    def _result(self, client: _Client, method: str, params: Params) -> bytes:
        match method:
            case "ping":
                return spot_sbe.PingResponse.encode()
            case "time":
                return spot_sbe.ServerTimeResponse.encode(server_time=time.time_ns() // 1000)
            case "depth" | "trades.recent":
                return self._of_rest(method, params)
            case "klines":
                market = self._market(params)
                if params.get("interval") not in _INTERVALS:
                    raise Refusal(-1120, "Invalid interval.")
                return klines(market)
            case "exchangeInfo":
                return exchange_info(self._exchange.markets.values())
            case "session.logon":
                self._check_signature(params)
                client.is_logged_on = True
                return self._session(params.get("apiKey"))
            case "session.logout":
                client.is_logged_on = False
                return spot_sbe.WebSocketSessionLogoutResponse.encode(
                    connected_since=0,
                    return_rate_limits=True,
                    server_time=0,
                    user_data_stream=False,
                )
            case "userDataStream.subscribe":
                if not client.is_logged_on:
                    raise Refusal(-2015, "Not logged on.", 401)
                return self._subscribed(client)
            case "userDataStream.subscribe.signature":
                self._check_signature(params)
                return self._subscribed(client)
            case "userDataStream.unsubscribe":
                kept = set()
                if params.get("subscriptionId") is not None:
                    kept = client.subscriptions - {_number(params, "subscriptionId")}
                client.subscriptions = kept
                return spot_sbe.UserDataStreamUnsubscribeResponse.encode()
            case "account.status":
                if not client.is_logged_on:
                    self._check_signature(params)
                return spot_sbe.PingResponse.encode()
        raise Refusal(-1000, f"no such method: {method[:60]}", 404)

    def _market(self, params: Params) -> Market:
        market = self._exchange.markets.get(str(params.get("symbol", "")).lower())
        if market is None:
            raise Refusal(-1121, "Invalid symbol.")
        return market

    def _of_rest(self, method: str, params: Params) -> bytes:
        """The same answer as REST has."""
        market = self._market(params)
        rest = self._exchange.rest
        asked = {"symbol": market.symbol, "limit": str(params.get("limit", 100))}
        return rest._depth(asked, 0.0) if method == "depth" else rest._trades(asked, 0.0)

    def _session(self, api_key: Any) -> bytes:
        now = time.time_ns() // 1000
        return spot_sbe.WebSocketSessionLogonResponse.encode(
            authorized_since=now, connected_since=now, return_rate_limits=True, server_time=now,
            user_data_stream=False, logged_on_api_key=str(api_key),
        )  # fmt: skip

    def _check_signature(self, params: Params) -> None:
        given = dict(params)
        signature = str(given.pop("signature", ""))
        if self._api_keys is not None and str(given.get("apiKey")) not in self._api_keys:
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        window = _number(given, "recvWindow", _WINDOW_MILLIS)
        late = time.time() * 1000 - _number(given, "timestamp")
        if not -1000 <= late <= window:
            raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
        text = "&".join(f"{name}={given[name]}" for name in sorted(given))
        if not is_signed(self._public, signature, text.encode()):
            raise Refusal(-1022, "Signature for this request is not valid.")

    def _subscribed(self, client: _Client) -> bytes:
        identity = self._next_subscription
        self._next_subscription += 1
        client.subscriptions.add(identity)
        return spot_sbe.UserDataStreamSubscribeResponse.encode(subscription_id=identity)

    # events, and what goes wrong

    @property
    def subscriptions(self) -> list[int]:
        """Ids of all subscriptions to user data of clients that are served."""
        served = [client for client in self._clients if not client.is_mute]
        return sorted(each for client in served for each in client.subscriptions)

    async def emit(self, asset: str, delta: int) -> None:
        """A BalanceUpdateEvent for each subscription; ``delta`` is in units of 10^-8."""
        now = time.time_ns() // 1000
        for client in list(self._clients):
            for identity in sorted(client.subscriptions):
                event = spot_sbe.BalanceUpdateEvent.encode(
                    event_time=now, clear_time=now, qty_exponent=-8, free_qty_delta=delta,
                    subscription_id=identity, asset=asset,
                )  # fmt: skip
                await self._send(client, event)

    async def _emit_each(self, seconds: float) -> None:
        """A balance that goes up and down."""
        delta = 100_000_000
        while True:
            await asyncio.sleep(seconds)
            await self.emit("USDT", delta)
            delta = -delta

    async def _send(self, client: _Client, frame: bytes | str) -> None:
        if not client.is_mute:
            with contextlib.suppress(Exception):
                await client.socket.send(frame)

    async def inflict(self, fault: str) -> None:
        """One of `FAULTS`, for every client."""
        if fault not in FAULTS:
            raise ValueError(f"there is no fault {fault!r}; there are {', '.join(FAULTS)}")
        for client in list(self._clients):
            match fault:
                case "cut":
                    client.socket.transport.abort()
                case "close":
                    await client.socket.close(1001, "going away")
                case "silence":
                    client.is_mute = True
                    client.socket.transport.pause_reading()  # pings are not answered either
                case "shutdown":
                    event = spot_sbe.ServerShutdownEvent.encode(event_time=time.time_ns() // 1000)
                    await self._send(client, event)
                    self._later(self._close_later(client))
                case "damage":
                    await self._send(client, spot_sbe.ServerTimeResponse.encode(server_time=1)[:9])
                case "text":
                    await self._send(client, '{"error": "\\u001b[2J"}')

    async def _close_later(self, client: _Client) -> None:
        await asyncio.sleep(_SHUTDOWN_SECONDS)
        await client.socket.close(1001, "shutting down")


def _number(params: Params, name: str, default: float = 0.0) -> float:
    try:
        return float(str(params.get(name, default)))
    except ValueError:
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.") from None


def klines(market: Market) -> bytes:
    """A KlinesResponse: one bar, of the trades that the market remembers."""
    prices = [trade.price for _, trade in market.history] or [market.best_bid]
    qty = sum(trade.qty for _, trade in market.history)
    start = time.time_ns() // 1000 // _BAR_MICROS * _BAR_MICROS
    bar = {
        "open_time": start, "close_time": start + _BAR_MICROS - 1, "open_price": prices[0],
        "high_price": max(prices), "low_price": min(prices), "close_price": prices[-1],
        "num_trades": len(market.history), "volume": qty, "quote_volume": 0,
        "taker_buy_base_volume": 0, "taker_buy_quote_volume": 0,
    }  # fmt: skip
    return spot_sbe.KlinesResponse.encode(
        price_exponent=market.price_exponent, qty_exponent=market.qty_exponent, klines=[bar]
    )
