"""What a connection to the WebSocket API is made with, checked once."""

from __future__ import annotations

import os
import ssl as tls
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...api.signing import Signer, check_recv_window, signer_of
from ...api.ws_session import PATH, WsSession
from ...route import Route
from ...venue.environments import ws_api_url
from ..recording import Recorder
from ..settings import check_seconds, checked_key, password_of, private_key_of

_NEEDED = (
    "signed requests need an API key of type Ed25519 with the permissions that they ask for: "
    "register the public half of your private key at "
    "https://www.binance.com/en/my/settings/api-management and set BINANCE_API_KEY to what it gives"
)


@dataclass(frozen=True)
class Settings:
    url: str
    api_key: str | None  # a `Key`, which is not shown
    signer: Signer | None
    route: Route
    open_timeout: float
    reply_timeout: float
    recv_window: float | None
    max_queue: int
    reconnect: bool
    recorder: Callable[[], Recorder] | None  # makes the one that keeps user data

    @property
    def address(self) -> str:
        return self.url + PATH

    def new_session(self) -> WsSession:
        return WsSession(self.api_key, self.signer, self.recv_window)


def checked(
    environment: str,
    url: str | None,
    api_key: str | None,
    private_key: str | Path | bytes | Any | None,
    password: str | bytes | None,
    proxy: str | Literal[True] | None,
    ssl: tls.SSLContext | None,
    local_addr: tuple[str, int] | None,
    open_timeout: float,
    reply_timeout: float,
    recv_window: float | None,
    max_queue: int,
    reconnect: bool,
    recorder: Callable[[], Recorder] | None,
) -> Settings:
    """ValueError, TypeError and MissingKey for what can't be. Keys are needed to sign only."""
    check_seconds("open_timeout", open_timeout)
    check_seconds("reply_timeout", reply_timeout)
    check_recv_window(recv_window)
    if not (isinstance(max_queue, int) and max_queue > 0):
        raise ValueError(f"max_queue is at least 1 event, not {max_queue!r}")
    key = api_key or os.environ.get("BINANCE_API_KEY") or None
    secret = private_key_of(private_key or None)
    return Settings(
        ws_api_url(environment, url),
        None if key is None else checked_key(key, _NEEDED),
        None if secret is None else signer_of(secret, password_of(password)),
        Route(proxy, ssl, local_addr),
        float(open_timeout),
        float(reply_timeout),
        recv_window,
        max_queue,
        reconnect,
        recorder,
    )
