"""The REST side of the local exchange, without I/O: a request in, an SBE answer out."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from .events import Depth, Level
from .faults import finer
from .market import Market

SBE = {"Content-Type": "application/sbe"}
_SCHEMA = 3, 5
_HEADER = struct.Struct("<HHHH")
_LEVELS = struct.Struct("<HI")
_TRADE = struct.Struct("<qqqqqBB")
_NO_TIME = -(2**63)
_PATIENCE = 10  # requests that are refused before their sender is banned


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Refusal(Exception):
    """An error of the exchange's: an ErrorResponse with this code."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


class Rest:
    """What is asked of these markets. ``weight_limit`` is what a minute's requests may weigh.

    ``next_refusal``, (status, seconds), is what the next request gets instead of its answer.
    """

    def __init__(self, markets: Mapping[str, Market], weight_limit: int, ban_seconds: int) -> None:
        self.markets = markets
        self.weight_limit = weight_limit
        self.ban_seconds = ban_seconds
        self.next_refusal: tuple[int, int] | None = None
        self.next_is_old = self.next_is_finer = False
        self._before = {m.symbol: m.depth(0, 5000) for m in markets.values()}  # the last snapshots
        self.refused = 0
        self._minute = -1
        self._used = 0
        self._banned_until = 0.0
        self._paths: dict[str, tuple[Callable[[dict[str, str]], int], Callable[..., bytes]]] = {
            "/api/v3/ping": (lambda _: 1, self._ping),
            "/api/v3/time": (lambda _: 1, self._time),
            "/api/v3/depth": (_depth_weight, self._depth),
            "/api/v3/historicalTrades": (lambda _: 25, self._trades),
        }

    def answer(self, path: str, headers: Mapping[str, str], now: float) -> Answer | None:
        """The answer at ``now``, seconds since 1970; None where this is no path of the REST API."""
        parts = urlsplit(path)
        if not parts.path.startswith("/api/"):
            return None
        limited = self._limited(now)
        if limited is not None:
            return limited
        if "application/sbe" not in headers.get("Accept", ""):
            return Answer(406, {"Content-Type": "text/plain"}, b"Accept: application/sbe\n")
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            _check_schema(headers.get("X-MBX-SBE", ""))
            if parts.path not in self._paths:
                raise Refusal(-1000, f"no such path: {parts.path}", 404)
            weight, make = self._paths[parts.path]
            self._used += weight(asked)
            body, status = make(asked, now), 200
        except Refusal as refusal:
            body, status = error_response(refusal.code, str(refusal)), refusal.status
        return Answer(status, SBE | {"X-MBX-USED-WEIGHT-1M": str(self._used)}, body)

    def _limited(self, now: float) -> Answer | None:
        """The refusal of a request that comes too soon."""
        if int(now // 60) != self._minute:
            self._minute = int(now // 60)
            self._used = self.refused = 0
        if self.next_refusal is not None:
            (status, seconds), self.next_refusal = self.next_refusal, None
            return _refused(status, seconds)
        if now < self._banned_until:
            return _refused(418, int(self._banned_until - now) + 1)
        if self._used < self.weight_limit:
            return None
        self.refused += 1
        if self.refused > _PATIENCE:
            self._banned_until = now + self.ban_seconds
            return _refused(418, self.ban_seconds)
        return _refused(429, 60 - int(now % 60))

    def _market(self, asked: dict[str, str]) -> Market:
        market = self.markets.get(asked.get("symbol", "").lower())
        if market is None:
            raise Refusal(-1121, "Invalid symbol.")
        return market

    def _ping(self, asked: dict[str, str], now: float) -> bytes:
        return _HEADER.pack(0, 101, *_SCHEMA)

    def _time(self, asked: dict[str, str], now: float) -> bytes:
        return _HEADER.pack(8, 102, *_SCHEMA) + struct.pack("<q", int(now * 1e6))

    def _depth(self, asked: dict[str, str], now: float) -> bytes:
        market = self._market(asked)
        limit = _number(asked, "limit", 100)
        depth = market.depth(0, 5000)
        before, self._before[market.symbol] = self._before.get(market.symbol, depth), depth
        if self.next_is_old:
            self.next_is_old, depth = False, before
        depth = depth._replace(bids=depth.bids[:limit], asks=depth.asks[:limit])
        if self.next_is_finer:
            self.next_is_finer, depth = False, finer(depth)
        return depth_response(depth)

    def _trades(self, asked: dict[str, str], now: float) -> bytes:
        market = self._market(asked)
        limit = min(_number(asked, "limit", 500), 1000)
        begin = _number(asked, "fromId", market.trade_id - limit + 1)
        found = market.trades_from(begin, limit)
        one = 10**-market.qty_exponent
        entries = b"".join(
            _TRADE.pack(t.id, t.price, t.qty, t.price * t.qty // one, at, t.is_buyer_maker, 1)
            for at, t in found
        )
        root = struct.pack("<bb", market.price_exponent, market.qty_exponent)
        head = _HEADER.pack(2, 201, *_SCHEMA) + root + _LEVELS.pack(_TRADE.size, len(found))
        return head + entries


def _depth_weight(asked: dict[str, str]) -> int:
    limit = _number(asked, "limit", 100)
    return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _number(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def _check_schema(text: str) -> None:
    number, _, version = text.partition(":")
    if not (number.isdigit() and version.isdigit()):
        raise Refusal(-1152, "Invalid X-MBX-SBE header; expected <SCHEMA_ID>:<VERSION>.")
    if int(number) != _SCHEMA[0] or int(version) > _SCHEMA[1]:
        raise Refusal(-1153, "Unsupported SBE schema ID or version.")


def _refused(status: int, seconds: int) -> Answer:
    body = {"code": -1003, "msg": "Too much request weight used."}
    headers = {"Content-Type": "application/json", "Retry-After": str(seconds)}
    return Answer(status, headers, json.dumps(body).encode())


def depth_response(depth: Depth) -> bytes:
    """A DepthResponse, template 200."""
    root = struct.pack("<qbb", depth.update_id, depth.price_exponent, depth.qty_exponent)
    return _HEADER.pack(10, 200, *_SCHEMA) + root + _levels(depth.bids) + _levels(depth.asks)


def _levels(levels: tuple[Level, ...]) -> bytes:
    return _LEVELS.pack(16, len(levels)) + b"".join(struct.pack("<qq", *each) for each in levels)


def error_response(code: int, text: str) -> bytes:
    """An ErrorResponse, template 100, without times or data."""
    content = text.encode()
    root = struct.pack("<hqq", code, _NO_TIME, _NO_TIME)
    lengths = struct.pack("<H", len(content)) + content + struct.pack("<I", 0)
    return _HEADER.pack(len(root), 100, *_SCHEMA) + root + lengths
