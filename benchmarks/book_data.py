"""A realistic day of one book: a snapshot of 5,000 levels a side, and diffs near its top."""

from __future__ import annotations

import random
from typing import Any

from binance_sbe.rest import decode_response
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Depth, Diff
from binance_sbe.simulator.rest import depth_response

LEVELS = 5_000
MIDDLE = 9_400_000


def distance(chance: random.Random) -> int:
    """Ticks from the best price: mostly few, sometimes anywhere in the book."""
    kind = chance.random()
    if kind < 0.70:
        return int(chance.expovariate(1 / 10))
    if kind < 0.95:
        return int(chance.expovariate(1 / 300))
    return chance.randrange(LEVELS)


def day(count: int, seed: int = 1, per_side: int = 12) -> tuple[Any, list[bytes]]:
    """The DepthResponse, and ``count`` frames of diffs with about so many levels on each side."""
    chance = random.Random(seed)
    bids = {MIDDLE - 1 - i: chance.randrange(1, 10**9) for i in range(LEVELS)}
    asks = {MIDDLE + 1 + i: chance.randrange(1, 10**9) for i in range(LEVELS)}
    start = Depth("", -2, -8, 0, 0, tuple(sorted(bids.items(), reverse=True)), tuple(asks.items()))
    best_bid, best_ask = MIDDLE - 1, MIDDLE + 1
    frames = []
    for number in range(1, count + 1):
        move = chance.choice((-1, 0, 0, 0, 1))
        changed: tuple[dict[int, int], dict[int, int]] = {}, {}
        if move > 0 and best_ask in asks:  # the best ask is taken, a bid comes nearer
            del asks[best_ask]
            changed[1][best_ask] = 0
        elif move < 0 and best_bid in bids:
            del bids[best_bid]
            changed[0][best_bid] = 0
        best_bid, best_ask = max(bids), min(asks)
        for place, side in enumerate((bids, asks)):
            for _ in range(1 + int(chance.expovariate(1 / per_side))):
                price = best_bid - distance(chance) if place == 0 else best_ask + distance(chance)
                qty = 0 if chance.random() < 0.3 else chance.randrange(1, 10**9)
                if qty == 0 and len(side) < LEVELS // 2:
                    continue
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)
                changed[place][price] = qty
        best_bid, best_ask = max(bids), min(asks)
        if best_ask - best_bid > 2:  # somebody closes the spread
            price = best_bid + 1
            bids[price] = changed[0][price] = chance.randrange(1, 10**9)
            best_bid = price
        diff = Diff(
            "BTCUSDT", -2, -8, number, number, number,
            tuple(sorted(changed[0].items(), reverse=True)), tuple(sorted(changed[1].items())),
        )  # fmt: skip
        frames.append(encode(diff))
    return decode_response("application/sbe", depth_response(start)), frames
