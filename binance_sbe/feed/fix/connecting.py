"""`fix.connect`, and the same without asyncio."""

from __future__ import annotations

import ssl as tls
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .blocking import BlockingConnection
from .connection import Connection
from .settings import Settings, checked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class FixOptions(TypedDict, total=False):
    """See `connect`."""

    environment: str
    url: str | None
    api_key: str | None
    private_key: str | Path | bytes | Ed25519PrivateKey | None
    password: str | bytes | None
    ssl: tls.SSLContext | None
    local_addr: tuple[str, int] | None
    open_timeout: float
    reply_timeout: float
    max_queue: int
    reconnect: bool | None
    sender: str | None
    heartbeat: int
    recv_window: float | None
    sequential: bool
    only_acks: bool
    messages: int


_DEFAULTS: FixOptions = {
    "environment": "prod", "url": None, "api_key": None, "private_key": None, "password": None,
    "ssl": None, "local_addr": None, "open_timeout": 10.0, "reply_timeout": 10.0,
    "max_queue": 100_000, "reconnect": None,
}  # fmt: skip
_SESSION = ("sender", "heartbeat", "recv_window", "sequential", "only_acks", "messages")


def _settings(function: str, role: str, options: dict[str, Any]) -> Settings:
    session = {name: options.pop(name) for name in _SESSION if name in options}
    for name in options:
        if name not in _DEFAULTS:
            raise TypeError(f"{function} has no option {name!r}")
    given: dict[str, Any] = dict(_DEFAULTS) | options
    return checked(role, session=session, **given)


def connect(
    role: Literal["market_data", "order_entry", "drop_copy"] = "market_data",
    **options: Unpack[FixOptions],
) -> Connection:
    """A FIX session in SBE, to be used as ``async with fix.connect() as session``.

    ``api_key`` is the id of an Ed25519 key with the permission FIX_API (FIX_API_READ_ONLY for
    market data and drop copies); None reads BINANCE_API_KEY. ``private_key`` is the other half: the
    path of a PEM file, its content, or a key of the package cryptography; None reads the path in
    BINANCE_PRIVATE_KEY. ``password`` is that of an encrypted file. Neither is shown anywhere.

    ``url`` (tcp+tls://host:port, or tcp:// for what makes TLS on this machine) overrides
    ``environment``, "prod" (the default), "testnet" or "demo". ``ssl`` and ``local_addr`` are as
    for `binance_sbe.connect`; there is no proxy. ``open_timeout`` and ``reply_timeout`` are in
    seconds (10). ``max_queue`` messages (100,000) may wait for the consumer; with more the session
    ends with SlowConsumer. With ``reconnect`` (None: for market data) a session that was lost is
    opened and subscribed anew. ``sender``, ``heartbeat``, ``recv_window``, ``sequential``,
    ``only_acks`` and ``messages`` are those of `Session`; with a ``sender`` of your own only one
    session can be there at a time, so leave it out where sessions are to take over from each other.

    Raises MissingKey for keys that are none, and ValueError or TypeError for other arguments that
    can't be. Entering the block raises Unreachable and LogonRefused.
    """
    return Connection(_settings("fix.connect", role, dict(options)))


def blocking_connect(
    role: Literal["market_data", "order_entry", "drop_copy"] = "market_data",
    *,
    timeout: float | None = None,
    **options: Unpack[FixOptions],
) -> BlockingConnection:
    """`sync.fix_connect`, which says what it does."""
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout is a positive number of seconds, or None, not {timeout!r}")
    return BlockingConnection(_settings("sync.fix_connect", role, dict(options)), timeout)
