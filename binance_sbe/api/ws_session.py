"""Requests of the WebSocket API as they go out, and what its frames bring. No I/O and no clock.

Requests are JSON text with an id, replies are SBE in an envelope that repeats it (`unwrap`), and
events of user data come bare. Signed requests are those of an Ed25519 key.
"""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from enum import Enum
from numbers import Integral
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sbe_codegen.runtime.errors import DecodeError

from .. import spot_sbe
from ..keys import Key, remember_key
from .signing import Signer
from .websocket_api import RateLimit, Reply, unwrap

PATH = "/ws-api/v3?" + urlencode(
    {
        "responseFormat": "sbe",
        "sbeSchemaId": spot_sbe.SCHEMA_ID,
        "sbeSchemaVersion": spot_sbe.SCHEMA_VERSION,
    }
)
Params = dict[str, Any]


class Answered(NamedTuple):
    """A reply to the request with this id."""

    id: str
    reply: Reply


class Happened(NamedTuple):
    """An event of user data, or another message that nobody asked for."""

    message: Any


class Undecodable(NamedTuple):
    """A frame that is no message of the schema."""

    error: DecodeError
    frame: bytes


class WsSession:
    """One connection's requests. ``rate_limits`` are those of the latest reply that had some."""

    def __init__(
        self, api_key: str | None, signer: Signer | None, recv_window: float | None = None
    ) -> None:
        self.is_logged_on = False
        self.is_deprecated = False
        self.rate_limits: tuple[RateLimit, ...] = ()
        self._key: Key | None = None if api_key is None else remember_key(api_key)
        self._signer = signer
        self._recv_window = recv_window
        self._ids = itertools.count(1)

    def request(self, method: str, params: Params) -> tuple[str, str]:
        """The id and the text of a request; parameters that are None are left out.

        TypeError, which names the parameter, for what JSON does not have.
        """
        identity = f"r{next(self._ids)}"
        given = _json_values(params)
        request = {"id": identity, "method": method, "params": given}
        try:
            return identity, json.dumps(request)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{_no_json(given) or 'method'}: {error}") from None

    def signed(self, params: Params, millis: int, *, with_key: bool = True) -> Params:
        """The parameters with key, time and signature; a session that is logged on needs no key.

        The signature is of ``name=value`` pairs in the order of names (Ed25519, base64).
        """
        assert self._key is not None
        assert self._signer is not None
        made = _json_values(params)
        made["timestamp"] = millis
        if self._recv_window is not None and "recvWindow" not in made:
            made["recvWindow"] = round(self._recv_window * 1000)
        if self.is_logged_on and not with_key:
            return made
        made["apiKey"] = str(self._key)
        text = "&".join(f"{name}={_text(made[name])}" for name in sorted(made))
        return made | {"signature": self._signer.sign(text.encode())}

    @property
    def can_sign(self) -> bool:
        return self._key is not None and self._signer is not None

    def take(self, frame: bytes) -> Answered | Happened | Undecodable:
        """What a binary frame says."""
        try:
            reply = unwrap(frame)
        except DecodeError as error:
            return Undecodable(error, frame)
        if reply.status is None:
            return Happened(reply.message)
        self.is_deprecated |= reply.deprecated
        if reply.rate_limits:
            self.rate_limits = reply.rate_limits
        return Answered(reply.id or "", reply)


def _json_values(params: Params) -> Params:
    """What is not None."""
    made = {}
    for name, value in params.items():
        try:
            if value is not None:
                made[name] = _json_value(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return made


def _no_json(given: Params) -> str | None:
    """The first of the parameters that JSON does not have."""
    for name, value in given.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            return name
    return None


def _json_value(value: Any) -> Any:
    """As it is sent, and as it is signed.

    Numbers that are not whole go out as their digits: JSON's floats would round them. Members of
    enums are their values. ValueError for what is no number.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float):  # numpy's as well
        value = Decimal(repr(float(value)))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no number that JSON has")
        return format(value, "f")
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple | list):
        return [_json_value(each) for each in value]
    return str(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    """A parameter as the signature has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"))
    return str(value)
