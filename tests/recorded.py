"""A local exchange that remembers all it has published: the truth that a feed is held to."""

from __future__ import annotations

import time
from typing import Any

from websockets.asyncio.server import ServerConnection

from binance_sbe.simulator import Exchange


def streams(symbol: str) -> list[str]:
    return [f"{symbol}@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]


STREAMS = streams("btcusdt")


class Recorded(Exchange):
    """An exchange that remembers all it has published."""

    def __init__(self, *symbols: str, **options: Any) -> None:
        super().__init__(symbols or ("btcusdt",), **options)
        self.published: dict[str, list[bytes]] = {
            name: [] for symbol in self.markets for name in streams(symbol)
        }
        self.culled: set[bytes] = set()  # what a connection may have been spared
        self.is_over = False  # nothing is published any more, not even the book at rest

    def send(self, stream: str, frame: bytes) -> None:
        if self.is_over:
            return
        self.published[stream].append(frame)
        now = time.monotonic()
        if any(now < each.wire.culls_until for each in self._connections.values()):
            self.culled.add(frame)
        super().send(stream, frame)

    @property
    def clients(self) -> list[ServerConnection]:
        return list(self._connections)
