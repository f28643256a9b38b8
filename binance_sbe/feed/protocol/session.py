"""One connection's protocol, without sockets and without a clock.

The shell gives it what arrives; it says what to send and what the text frames mean, and it counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from ...venue.streams import stream_names

MAX_STREAMS = 1024


@dataclass(frozen=True)
class Request:
    """A control request: ``text`` is to be sent; its reply will carry ``id``."""

    id: int
    method: str
    streams: list[str]
    text: str


@dataclass(frozen=True)
class Accepted:
    """The exchange did what a request asked."""

    request: Request
    result: Any


@dataclass(frozen=True)
class Refused:
    """The exchange refused a request; ``request`` is None where the reply names none."""

    request: Request | None
    code: int | None
    reason: str


@dataclass(frozen=True)
class ServerShutdown:
    """The exchange is about to close the connection; ``event_time`` as it sent it."""

    event_time: int | None


@dataclass(frozen=True)
class UnknownText:
    """A text frame that is none of these."""

    text: str


class Session:
    def __init__(self) -> None:
        self._ids = count(1)
        self._pending: dict[int, Request] = {}
        self._streams: dict[str, None] = {}
        self._leaving: set[str] = set()  # asked to leave: what comes after that has their room

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged, in the order they were asked for."""
        return list(self._streams)

    def subscribe(self, streams: Iterable[str]) -> Request:
        """Raises ValueError for a stream that can't exist, and for more than a connection takes."""
        names = stream_names(streams)
        self._leaving.difference_update(names)
        total = len((self._streams.keys() - self._leaving).union(names))
        if total > MAX_STREAMS:
            raise ValueError(f"{total} streams: a connection takes {MAX_STREAMS}")
        return self._request("SUBSCRIBE", names)

    def unsubscribe(self, streams: Iterable[str]) -> Request:
        names = stream_names(streams)
        request = self._request("UNSUBSCRIBE", names)
        self._leaving.update(names)
        return request

    def _request(self, method: str, streams: list[str]) -> Request:
        if not streams:
            raise ValueError(f"{method.lower()} needs at least one stream")
        identity = next(self._ids)
        body = {"method": method, "params": streams, "id": identity}
        request = Request(identity, method, streams, json.dumps(body))
        self._pending[identity] = request
        return request

    def forget(self, request: Request) -> None:
        """No reply to this request is waited for any more."""
        self._pending.pop(request.id, None)

    def receive_text(self, text: str) -> Accepted | Refused | ServerShutdown | UnknownText:
        """What a text frame says. Lenient about shape: replies differ in what they carry."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return UnknownText(text)
        if isinstance(body, dict) and isinstance(body.get("data"), dict):
            body = body["data"]  # combined streams wrap notices
        if not isinstance(body, dict):
            return UnknownText(text)
        if body.get("e") == "serverShutdown":
            return ServerShutdown(body.get("E"))
        error = body.get("error") if isinstance(body.get("error"), dict) else body
        assert isinstance(error, dict)
        if "code" in error:
            return Refused(self._answered(body), error["code"], str(error.get("msg", "")))
        if "result" in body and (request := self._answered(body)):
            self._apply(request)
            return Accepted(request, body["result"])
        return UnknownText(text)

    def _answered(self, body: dict[str, Any]) -> Request | None:
        """The request that a reply belongs to: by id, or the only one there is."""
        identity = body.get("id")
        if identity is None and len(self._pending) == 1:
            identity = next(iter(self._pending))
        return self._pending.pop(identity, None) if isinstance(identity, int) else None

    def _apply(self, request: Request) -> None:
        for stream in request.streams:
            if request.method == "SUBSCRIBE":
                self._streams[stream] = None
            else:
                self._streams.pop(stream, None)
                self._leaving.discard(stream)
