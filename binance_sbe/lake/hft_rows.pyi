from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPE: np.dtype[np.void]
DEPTH: int
TRADE: int
DEPTH_CLEAR: int
DEPTH_SNAPSHOT: int
EXCH: int
LOCAL: int
BUY: int
SELL: int

Array = NDArray[Any]

class Trades:
    count: int
    def __new__(
        cls, exch: Array, local: Array, px: Array, qty: Array, is_sell: Array
    ) -> Trades: ...

class Diffs:
    count: int
    def __new__(
        cls,
        exch: Array,
        local: Array,
        bids: Array,
        bid_px: Array,
        bid_qty: Array,
        asks: Array,
        ask_px: Array,
        ask_qty: Array,
    ) -> Diffs: ...

def merged(trades: Trades, diffs: Diffs, i: int, j: int, stop: int) -> tuple[Array, int]: ...
