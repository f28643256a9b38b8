"""The REST side of a server, without I/O: a request in, an SBE answer out.

The messages of REST are loaded with the first request: a server of streams alone does without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import numpy as np

SBE = {"Content-Type": "application/sbe"}
_LONGEST_PATH = 4096
_LONGEST_ERROR = 1000

Asked = dict[str, str]


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


class BaseRest:
    """``paths`` has what answers: what a request weighs, and its body."""

    def __init__(self) -> None:
        self.used = 0  # of the weight of this minute
        self.paths: dict[str, tuple[Callable[[Asked], int], Callable[[Asked, float], bytes]]] = {
            "/api/v3/ping": (lambda _: 1, self._ping),
            "/api/v3/time": (lambda _: 1, self._time),
        }

    def limited(self, now: float) -> Answer | None:
        """The refusal of a request that comes too soon."""
        return None

    def answer(self, path: str, headers: Mapping[str, str], now: float) -> Answer | None:
        """The answer at ``now``, seconds since 1970; None where this is no path of the REST API."""
        try:
            parts = urlsplit(path[:_LONGEST_PATH])
        except ValueError:  # brackets that are no address, say
            return None
        if not parts.path.startswith("/api/"):
            return None
        limited = self.limited(now)
        if limited is not None:
            return limited
        if "application/sbe" not in headers.get("Accept", ""):
            return Answer(406, {"Content-Type": "text/plain"}, b"Accept: application/sbe\n")
        asked = asked_of(path)
        try:
            _check_schema(headers.get("X-MBX-SBE", ""))
            if parts.path not in self.paths:
                raise Refusal(-1000, f"no such path: {parts.path}", 404)
            weight, make = self.paths[parts.path]
            self.used += weight(asked)
            body, status = make(asked, now), 200
        except Refusal as refusal:
            body, status = error_response(refusal.code, str(refusal)), refusal.status
        return Answer(status, SBE | {"X-MBX-USED-WEIGHT-1M": str(self.used)}, body)

    def _ping(self, asked: Asked, now: float) -> bytes:
        frame: bytes = _messages().PingResponse.encode()
        return frame

    def _time(self, asked: Asked, now: float) -> bytes:
        frame: bytes = _messages().ServerTimeResponse.encode(server_time=int(now * 1e6))
        return frame


def _messages() -> Any:
    from .. import spot_sbe

    return spot_sbe


def asked_of(path: str) -> Asked:
    """What follows the question mark."""
    query = parse_qs(urlsplit(path[:_LONGEST_PATH]).query)
    return {name: values[-1] for name, values in query.items()}


def depth_weight(asked: Asked) -> int:
    limit = number(asked, "limit", 100)
    return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def number(asked: Asked, name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def _check_schema(text: str) -> None:
    given, _, version = text.partition(":")
    if not (_is_number(given) and _is_number(version)):
        raise Refusal(-1152, "Invalid X-MBX-SBE header; expected <SCHEMA_ID>:<VERSION>.")
    known = _messages()
    if int(given) != known.SCHEMA_ID or int(version) > known.SCHEMA_VERSION:
        raise Refusal(-1153, "Unsupported SBE schema ID or version.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def refused(status: int, seconds: int) -> Answer:
    body = {"code": -1003, "msg": "Too much request weight used."}
    headers = {"Content-Type": "application/json", "Retry-After": str(seconds)}
    return Answer(status, headers, json.dumps(body).encode())


def depth_response(
    update_id: int,
    exponents: tuple[int, int],
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
) -> bytes:
    """A DepthResponse; exponents of price and quantity, levels as mantissas."""
    response = _messages().DepthResponse
    price_exponent, qty_exponent = exponents
    frame: bytes = response.encode(
        last_update_id=update_id,
        price_exponent=price_exponent,
        qty_exponent=qty_exponent,
        bids=np.array(list(bids), response.BIDS_DTYPE),
        asks=np.array(list(asks), response.ASKS_DTYPE),
    )
    return frame


def error_response(code: int, text: str) -> bytes:
    """An ErrorResponse of the exchange, without times or data."""
    content = text.encode(errors="replace")[:_LONGEST_ERROR].decode(errors="ignore")
    frame: bytes = _messages().ErrorResponse.encode(code=code, msg=content)
    return frame
