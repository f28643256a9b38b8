"""The control protocol of a server of streams, without I/O: JSON text in, JSON text out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MAX_STREAMS = 1024

UNKNOWN_PROPERTY = 0
NOT_BOOLEAN = 1
INVALID_REQUEST = 2
INVALID_JSON = 3


class ControlError(Exception):
    """A request that gets an error reply with this code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Subscriptions:
    """The streams of one connection. ``exists`` says whether the exchange has a stream."""

    def __init__(self, exists: Callable[[str], bool], streams: list[str], combined: bool) -> None:
        self.exists = exists
        self.streams = dict.fromkeys(streams)
        self.combined = combined
        self._control_times: list[float] = []

    def count_control(self, now: float, limit: int) -> bool:
        """Whether one more frame of the client's, at ``now``, is within the limit of a second."""
        self._control_times = [t for t in self._control_times if t > now - 1.0] + [now]
        return len(self._control_times) <= limit

    def answer(self, text: str, refuses: bool = False) -> str:
        """The reply to one text frame; ``refuses`` makes it an error, whatever is asked."""
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return json.dumps({"code": INVALID_JSON, "msg": "Invalid JSON: expected a request"})
        identity = request.get("id") if isinstance(request, dict) else None
        try:
            if refuses:
                raise ControlError(INVALID_REQUEST, "Invalid request: not now")
            reply: dict[str, Any] = {"result": self._result(request)}
        except ControlError as error:
            reply = {"code": error.code, "msg": str(error)}
        return json.dumps(reply | {"id": identity})

    def _result(self, request: Any) -> Any:
        if not isinstance(request, dict) or "method" not in request:
            raise ControlError(INVALID_REQUEST, "Invalid request: missing field `method`")
        params = request.get("params", [])
        if not isinstance(params, list):
            raise ControlError(INVALID_REQUEST, "Invalid request: `params` is not a list")
        match request["method"]:
            case "SUBSCRIBE":
                self._subscribe(self._checked(params))
                return None
            case "UNSUBSCRIBE":
                for stream in self._checked(params):
                    self.streams.pop(stream, None)
                return None
            case "LIST_SUBSCRIPTIONS":
                return list(self.streams)
            case "SET_PROPERTY":
                self._property(params[:1])
                if len(params) != 2 or not isinstance(params[1], bool):
                    raise ControlError(NOT_BOOLEAN, "Invalid value type: expected Boolean")
                self.combined = params[1]
                return None
            case "GET_PROPERTY":
                self._property(params)
                return self.combined
            case other:
                raise ControlError(INVALID_REQUEST, f"Invalid request: unknown variant `{other}`")

    def _checked(self, params: list[Any]) -> list[str]:
        for stream in params:
            if not isinstance(stream, str) or not self.exists(stream):
                raise ControlError(INVALID_REQUEST, f"Invalid request: no stream `{stream}`")
        return params

    def _subscribe(self, streams: list[str]) -> None:
        together = self.streams | dict.fromkeys(streams)
        if len(together) > MAX_STREAMS:
            raise ControlError(INVALID_REQUEST, f"Invalid request: over {MAX_STREAMS} streams")
        self.streams = together

    def _property(self, params: list[Any]) -> None:
        if params != ["combined"]:
            raise ControlError(UNKNOWN_PROPERTY, "Unknown property: expected `combined`")
