"""A local exchange that remembers all it has published: the truth that a feed is held to."""

from __future__ import annotations

import time
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from binance_sbe.simulator import Exchange


def streams(symbol: str) -> list[str]:
    return [f"{symbol}@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]


STREAMS = streams("btcusdt")


def plain(frame: bytes) -> bytes:
    """A frame of version 1 as one of version 0."""
    if frame[6:7] != b"\1":
        return frame
    size = int.from_bytes(frame[:2], "little") - 3
    head = size.to_bytes(2, "little") + frame[2:6] + bytes(2)
    return head + frame[8 : 8 + size] + frame[8 + size + 3 :]


class Recorded(Exchange):
    """An exchange that remembers all it has published."""

    def __init__(self, *symbols: str, **options: Any) -> None:
        super().__init__(symbols or ("btcusdt",), **options)
        self.published: dict[str, list[bytes]] = {
            name: [] for symbol in self.markets for name in streams(symbol)
        }
        self.heads: dict[str, int] = {}  # how many there were when somebody subscribed
        self.known: set[bytes] = set()
        self.damaged = self.newer = 0  # frames that went out so
        self.culled: set[bytes] = set()  # what a connection may have been spared
        self.is_over = False  # nothing is published any more, not even the book at rest

    def send(self, stream: str, frame: bytes) -> None:
        if self.is_over:
            return
        if stream not in self.heads and self.has_subscriber(stream):
            self.heads[stream] = len(self.published[stream])
        self.published[stream].append(frame)
        self.known.add(frame)
        now = time.monotonic()
        if any(now < each.wire.culls_until for each in self._connections.values()):
            self.culled.add(frame)
        super().send(stream, frame)

    def _write(self, receivers: list[ServerConnection], frames: list[bytes]) -> None:
        count = sum(each.state is State.OPEN for each in receivers)
        for frame in frames:
            is_newer = plain(frame) in self.known and frame not in self.known
            self.newer += count * is_newer
            self.damaged += count * (not is_newer and frame not in self.known)
        super()._write(receivers, frames)

    def has_subscriber(self, stream: str) -> bool:
        """Whether a connection that says something has subscribed to it."""
        return any(
            stream in each.streams and not each.wire.is_mute for each in self._connections.values()
        )

    @property
    def clients(self) -> list[ServerConnection]:
        return list(self._connections)
