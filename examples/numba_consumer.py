"""numba over views of a frame and over tables: compiled loops, nothing copied.

    pip install numba
    python examples/numba_consumer.py

numba compiles a function for the dtype of the records that it is given. Hand it structured arrays
(``depth.bids``, ``table.records``) and name the fields inside: a field of packed records by itself
is an unaligned array, which numba takes for an aligned one. Columns (``table.columns()``) are
aligned, and fine by themselves.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

import binance_sbe
from binance_sbe.simulator import Market
from binance_sbe.simulator.encoder import encode


@numba.njit  # type: ignore[untyped-decorator]
def cost_of(levels: Any, qty: int) -> float:
    """What ``qty``, a mantissa, costs at these levels, in mantissas; NaN if they are too few."""
    total = 0.0
    for i in range(len(levels)):
        step = min(qty, levels[i].qty)
        total += float(levels[i].price) * step
        qty -= step
        if qty == 0:
            return total
    return np.nan


@numba.njit  # type: ignore[untyped-decorator]
def imbalances(bids: Any, bid_offsets: Any, asks: Any, ask_offsets: Any) -> Any:
    """(bid - ask) / (bid + ask) of the quantities of each row of a depth table."""
    result = np.empty(len(bid_offsets) - 1)
    for row in range(len(result)):
        bid = 0
        ask = 0
        for i in range(bid_offsets[row], bid_offsets[row + 1]):
            bid += bids[i].qty
        for i in range(ask_offsets[row], ask_offsets[row + 1]):
            ask += asks[i].qty
        result[row] = (bid - ask) / (bid + ask)
    return result


def main() -> None:
    market = Market("btcusdt")
    frames = []
    for i in range(1000):
        market.step(i)
        frames.append(encode(market.depth(i)))
    depth = binance_sbe.decode(frames[-1])
    assert isinstance(depth, binance_sbe.DepthSnapshotStreamEvent)
    qty = int(depth.asks["qty"][:5].sum())
    cost = cost_of(depth.asks, qty)
    average = cost / qty * 10.0**depth.price_exponent
    print(f"{depth.symbol}: the first five asks, taken together, cost {average:.4f} apiece")

    table = binance_sbe.decode_many(frames)[binance_sbe.DepthSnapshotStreamEvent]
    bids, asks = table.groups["bids"], table.groups["asks"]
    found = imbalances(bids.records, bids.offsets, asks.records, asks.offsets)
    print(f"{len(found)} books: imbalance from {found.min():+.3f} to {found.max():+.3f}")


if __name__ == "__main__":
    main()
