"""Frames of the local exchange are those that an encoder of another make gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oracle import Schema

from binance_sbe.simulator import Market
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trades

SCHEMA = Schema(Path(__file__).parent.parent.parent / "schemas" / "stream_1_0.xml")


def by_oracle(event: Any) -> bytes:
    values = event._asdict()
    match event:
        case Trades():
            name = "TradesStreamEvent"
            values["trades"] = [trade._asdict() for trade in event.trades]
        case BestBidAsk():
            name = "BestBidAskStreamEvent"
            values["book_update_id"] = event.update_id
            for side in ("bid", "ask"):
                values[f"{side}_price"], values[f"{side}_qty"] = values[side]
        case Depth() | Diff():
            name = f"Depth{'Snapshot' if isinstance(event, Depth) else 'Diff'}StreamEvent"
            for old in ("update_id", "first_update_id", "last_update_id"):
                new = old.replace("update_id", "book_update_id")
                values[new] = values.get(old)
            for side in ("bids", "asks"):
                values[side] = [{"price": p, "qty": q} for p, q in values[side]]
    return SCHEMA.encode(name, values)


@pytest.mark.parametrize("symbol", ["btcusdt", "pepeusdt", "unknown123"])
def test_frames_of_a_market(symbol: str) -> None:
    market = Market(symbol, 3)
    events: list[Any] = [market.depth(0, 1000)]
    for now in range(1, 400):
        events += market.step(now)
        if now % 20 == 0 and (diff := market.diff(now)):
            events += [diff, market.depth(now)]
    assert {type(event) for event in events} == {Trades, BestBidAsk, Depth, Diff}
    for event in events:
        assert encode(event) == by_oracle(event)
