from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

class Sampler:
    levels: int
    every: int
    def __new__(cls, symbol: str, levels: int, every: int) -> Sampler: ...
    @property
    def is_known(self) -> bool: ...
    def start(self, given: Any, update_id: int) -> str | None: ...
    def run(
        self,
        first: _Array,
        last: _Array,
        time: _Array,
        arrival: _Array,
        price_exponent: _Array,
        qty_exponent: _Array,
        bids: _Array,
        bid_price: _Array,
        bid_qty: _Array,
        asks: _Array,
        ask_price: _Array,
        ask_qty: _Array,
        at: int,
        stop: int,
        most: int,
    ) -> tuple[int, dict[str, _Array]]: ...
    def rest(self) -> dict[str, _Array] | None: ...
