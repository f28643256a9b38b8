"""`binance_sbe.api.websocket_api`, by the name that programs know."""

from .api.websocket_api import RateLimit, Reply, unwrap

__all__ = ["RateLimit", "Reply", "unwrap"]
