"""Quotes for the tests of what is shown of them, and a clock that stands still."""

from __future__ import annotations

import time
from typing import Any

import pytest

from binance_sbe import spot_stream
from binance_sbe.commands.quotes import Market
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades


class Clock:
    """`time.monotonic`, which stands still until ``now`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def batch_of(*events: Any) -> Any:
    frames = [each if isinstance(each, bytes) else encode(each) for each in events]
    return spot_stream.decode_many(frames, on_error="collect")


def market_of(*events: Any) -> Market:
    """A market that began at 100 s, and has had these in one batch."""
    market = Market(started=100.0)
    market.update(batch_of(*events))
    return market


def trades(*entries: tuple[int, int, bool], symbol: str = "BTCUSDT") -> Trades:
    made = tuple(Trade(1 + i, *entry) for i, entry in enumerate(entries))
    return Trades(symbol, -2, -8, 1, 1, made)


def everything() -> list[Any]:
    return [
        BestBidAsk("BTCUSDT", -2, -8, 1, 1, (9412345, 123456789), (9412399, 25 * 10**6)),
        trades((9412345, 10**8, True), (9412399, 25 * 10**7, False)),
        Diff("ETHUSDT", -2, -8, 1, 1, 1, ((330001, 10**8),), ()),
        Depth("XRPUSDT", -4, -1, 1, 1, ((21834, 100), (1, 1)), ((21840, 12345678901),)),
        b"x",
    ]
