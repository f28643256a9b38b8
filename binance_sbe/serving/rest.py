"""The REST side of a server, without I/O: a request in, an SBE answer out.

Encoded by hand, so that it can judge the decoders: schema 3, version 5.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

SBE = {"Content-Type": "application/sbe"}
SCHEMA = 3, 5
HEADER = struct.Struct("<HHHH")
LEVELS = struct.Struct("<HI")
_NO_TIME = -(2**63)
_LONGEST_PATH = 4096

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
        parts = urlsplit(path[:_LONGEST_PATH])
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
        return HEADER.pack(0, 101, *SCHEMA)

    def _time(self, asked: Asked, now: float) -> bytes:
        return HEADER.pack(8, 102, *SCHEMA) + struct.pack("<q", int(now * 1e6))


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
    if int(given) != SCHEMA[0] or int(version) > SCHEMA[1]:
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
    bids: Sequence[Sequence[int]],
    asks: Sequence[Sequence[int]],
) -> bytes:
    """A DepthResponse, template 200; exponents of price and quantity, levels as mantissas."""
    root = struct.pack("<qbb", update_id, *exponents)
    return HEADER.pack(10, 200, *SCHEMA) + root + _levels(bids) + _levels(asks)


def _levels(levels: Sequence[Sequence[int]]) -> bytes:
    return LEVELS.pack(16, len(levels)) + b"".join(struct.pack("<qq", *each) for each in levels)


def error_response(code: int, text: str) -> bytes:
    """An ErrorResponse, template 100, without times or data."""
    content = text.encode(errors="replace")[:1000]
    root = struct.pack("<hqq", code, _NO_TIME, _NO_TIME)
    lengths = struct.pack("<H", len(content)) + content + struct.pack("<I", 0)
    return HEADER.pack(len(root), 100, *SCHEMA) + root + lengths
