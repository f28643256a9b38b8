from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

class Sampler:
    levels: int
    every: int
    def __new__(cls, symbol: str, levels: int, every: int) -> Sampler: ...
    @property
    def is_known(self) -> bool: ...
    def start(self, given: Any, update_id: int) -> str | None: ...
    def run(
        self,
        first: Array,
        last: Array,
        time: Array,
        arrival: Array,
        price_exponent: Array,
        qty_exponent: Array,
        bids: Array,
        bid_price: Array,
        bid_qty: Array,
        asks: Array,
        ask_price: Array,
        ask_qty: Array,
        at: int,
        stop: int,
        most: int,
    ) -> tuple[int, dict[str, Array]]: ...
    def rest(self) -> dict[str, Array] | None: ...
