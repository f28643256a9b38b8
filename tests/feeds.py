"""A feed that is not open, and to which frames come by hand: for what is said of feeds."""

from __future__ import annotations

from typing import Any

import binance_sbe
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.ledger import ConnectionRecord
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

SECOND = 10**9
NOW = 1_800_000_000 * SECOND  # ns since 1970
STREAMS = ("btcusdt@trade", "btcusdt@bestBidAsk")


def trade(number: int, price: int = 100, sold: bool = False, at: int = NOW) -> bytes:
    """A frame with one trade, made by the exchange 5 ms before ``at``."""
    when = at // 1000 - 5000
    return encode(Trades("BTCUSDT", -2, -8, when, when, (Trade(number, price, 5 * 10**7, sold),)))


def best(update_id: int, bid: int = 99, ask: int = 101, at: int = NOW) -> bytes:
    when = at // 1000 - 5000
    return encode(BestBidAsk("BTCUSDT", -2, -8, when, update_id, (bid, 10**8), (ask, 2 * 10**8)))


class Hand:
    """The feed, and connections of it by number: "connection 1 (line 1)" and so on."""

    def __init__(self, *streams: str, lines: int = 1) -> None:
        self.names = streams or STREAMS
        self.feed: Any = binance_sbe.connect(
            *self.names, url="ws://h:1", api_key="a key", lines=lines
        )
        self.connections: list[ConnectionRecord] = []
        for number in range(1, lines + 1):
            self.open(number)

    def open(self, number: int, at: int = NOW - 90 * SECOND) -> ConnectionRecord:
        name = f"connection {len(self.connections) + 1} (line {number})"
        connection = ConnectionRecord(name, Source(number - 1, name), at)
        self.feed.ledger.note_connection(connection)
        self.feed._backlog.arbiter.enter(connection.line, list(self.names))
        self.connections.append(connection)
        return connection

    def put(self, frame: bytes, at: int = NOW, number: int = 1) -> None:
        """A frame that comes by the connection of that number."""
        self.feed._backlog.put(frame, at, self.connections[number - 1].line)

    def end(self, number: int, cause: str, at: int = NOW) -> None:
        connection = self.connections[number - 1]
        self.feed._backlog.arbiter.leave(connection.line, cause)
        self.feed.ledger.note_end(connection, at, cause)
