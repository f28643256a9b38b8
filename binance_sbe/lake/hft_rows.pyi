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

_Array = NDArray[Any]

class Trades:
    count: int
    def __new__(
        cls, exch: _Array, local: _Array, px: _Array, qty: _Array, is_sell: _Array
    ) -> Trades: ...

class Diffs:
    count: int
    def __new__(
        cls,
        exch: _Array,
        local: _Array,
        bids: _Array,
        bid_px: _Array,
        bid_qty: _Array,
        asks: _Array,
        ask_px: _Array,
        ask_qty: _Array,
    ) -> Diffs: ...

def merged(trades: Trades, diffs: Diffs, i: int, j: int, stop: int) -> tuple[_Array, int]: ...
