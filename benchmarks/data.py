"""Frames of the simulated market, and the JSON that says the same."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import binance_sbe
from binance_sbe.simulator import Market
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Diff, Trades

START = 1_735_689_600_000_000


def best_bid_ask_frames(count: int, symbols: int = 1) -> list[bytes]:
    """Consecutive best bids and asks, symbols in random order."""
    rng = random.Random(1)
    names = ["btcusdt"] if symbols == 1 else [f"sym{i}usdt" for i in range(symbols)]
    markets = [Market(name) for name in names]
    frames: list[bytes] = []
    while len(frames) < count:
        events = rng.choice(markets).step(START + len(frames))
        frames += [encode(event) for event in events if isinstance(event, BestBidAsk)]
    return frames[:count]


def depth20_frames(count: int) -> list[bytes]:
    market = Market("btcusdt")
    frames = []
    for i in range(count):
        market.step(START + i)
        frames.append(encode(market.depth(START + i)))
    return frames


def big_diff_frame(levels: int) -> bytes:
    rng = random.Random(2)

    def side() -> tuple[tuple[int, int], ...]:
        return tuple((rng.randrange(9_300_000, 9_500_000), rng.randrange(10**9))
                     for _ in range(levels))  # fmt: skip

    return encode(Diff("BTCUSDT", -2, -8, START, 157, 160, side(), side()))


def text_of(mantissa: int, exponent: int) -> str:
    """As the exchange's JSON writes numbers: eight decimals."""
    return f"{Decimal(int(mantissa)).scaleb(exponent):.8f}"


def book_ticker_json(frame: bytes) -> bytes:
    m: Any = binance_sbe.decode(frame)
    price, qty = m.price_exponent, m.qty_exponent
    fields = {
        "u": m.book_update_id, "s": m.symbol,
        "b": text_of(m.bid_price, price), "B": text_of(m.bid_qty, qty),
        "a": text_of(m.ask_price, price), "A": text_of(m.ask_qty, qty),
    }  # fmt: skip
    return json.dumps(fields, separators=(",", ":")).encode()


def levels_json(frame: bytes) -> bytes:
    """A diff as depthUpdate, a snapshot as depth20 has it."""
    m: Any = binance_sbe.decode(frame)

    def side(levels: Any) -> list[list[str]]:
        return [[text_of(p, m.price_exponent), text_of(q, m.qty_exponent)] for p, q in levels]

    if isinstance(m, binance_sbe.DepthSnapshotStreamEvent):
        fields = {"lastUpdateId": m.book_update_id}
    else:
        fields = {
            "e": "depthUpdate", "E": m.event_time // 1000, "s": m.symbol,
            "U": m.first_book_update_id, "u": m.last_book_update_id,
        }  # fmt: skip
    fields |= {"b": side(m.bids.tolist()), "a": side(m.asks.tolist())}
    return json.dumps(fields, separators=(",", ":")).encode()


def single_trade_frames(count: int) -> list[bytes]:
    """Events of one trade each."""
    market = Market("btcusdt")
    frames: list[bytes] = []
    at = START
    while len(frames) < count:
        at += 1
        events = (event for event in market.step(at) if isinstance(event, Trades))
        frames += [encode(event) for event in events if len(event.trades) == 1]
    return frames[:count]
