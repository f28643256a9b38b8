"""A local exchange that speaks Binance's SBE market-data protocol, for demos and tests.

``Market`` makes the events (pure, seeded), ``encoder`` turns them into frames, and ``Exchange``
serves them over WebSocket.
"""

from .market import Market
from .server import Exchange

__all__ = ["Exchange", "Market"]
