"""The WebSocket API in SBE, by the names that programs know: `connect` opens a connection."""

from __future__ import annotations

import os
import ssl as tls
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .api.websocket_api import RateLimit, Reply, unwrap
from .feed.ledger import Gap
from .feed.ws_api.connection import Connection
from .feed.ws_api.settings import checked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from .tape.recorder import Recorder
    from .tape.settings import Recording

__all__ = ["Connection", "Gap", "RateLimit", "Reply", "connect", "unwrap"]


def connect(
    *,
    environment: str = "prod",
    url: str | None = None,
    api_key: str | None = None,
    private_key: str | Path | bytes | Ed25519PrivateKey | None = None,
    password: str | bytes | None = None,
    proxy: str | Literal[True] | None = True,
    ssl: tls.SSLContext | None = None,
    local_addr: tuple[str, int] | None = None,
    open_timeout: float = 10.0,
    reply_timeout: float = 10.0,
    recv_window: float | None = None,
    max_queue: int = 100_000,
    reconnect: bool = True,
    record: str | os.PathLike[str] | Recording | None = None,
) -> Connection:
    """The WebSocket API in SBE, to be used as ``async with ws_api.connect() as api``.

    Market data need no key. What is signed needs ``api_key`` (None reads BINANCE_API_KEY) and its
    Ed25519 ``private_key`` (None reads the path in BINANCE_PRIVATE_KEY), as `fix.connect` takes
    them, and the extra ``fix``. ``environment``, ``url``, ``proxy``, ``ssl`` and ``local_addr`` are
    as for `binance_sbe.connect`. ``open_timeout`` and ``reply_timeout`` are in seconds, as is
    ``recv_window``, how long after its time a signed request is still taken (the exchange's own
    default is 5). ``max_queue`` events may wait for the consumer; with more, SlowConsumer is
    raised.

    ``record`` is a directory, or a `tape.Recording`, into which the events of user data go as they
    come, and never a request or its reply: a private tape, which `Tape.messages` reads. It needs
    the extra ``tape``.

    Raises MissingKey for keys that are none, and ValueError or TypeError for other arguments that
    can't be. Entering the block raises Unreachable, ConnectionRefused and
    RecordingError.
    """
    return Connection(
        checked(
            environment,
            url,
            api_key,
            private_key,
            password,
            proxy,
            ssl,
            local_addr,
            open_timeout,
            reply_timeout,
            recv_window,
            max_queue,
            reconnect,
            None if record is None else _recorded_to(record),
        )
    )


def _recorded_to(path: str | os.PathLike[str] | Recording) -> Callable[[], Recorder]:
    from .tape.recorder import PrivateRecorder, recorded_to

    return recorded_to(path, PrivateRecorder)
