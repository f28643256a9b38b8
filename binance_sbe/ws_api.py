"""The WebSocket API in SBE, by the names that programs know: `connect` opens a connection."""

from __future__ import annotations

from .api.websocket_api import RateLimit, Reply, unwrap
from .feed.gaps import Gap
from .feed.ws_api.connecting import connect
from .feed.ws_api.connection import Connection

__all__ = ["Connection", "Gap", "RateLimit", "Reply", "connect", "unwrap"]
