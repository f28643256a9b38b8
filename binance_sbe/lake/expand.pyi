from typing import Any

from numpy.typing import NDArray

BID: int
ASK: int
NO_SIDE: int

Array = NDArray[Any]

def counts(events: Array, bids: Array, asks: Array) -> Array: ...
def levels(
    events: Array,
    bid_records: Array,
    bids: Array,
    ask_records: Array,
    asks: Array,
    total: int,
) -> tuple[Array, Array, Array, Array, Array]: ...
def gathered(events: Array, records: Array, offsets: Array) -> tuple[Array, Array, Array]: ...
def scaled(mantissas: Array, exponents: Array, repeats: Array | None = None) -> Array: ...
def fixed(mantissas: Array, exponents: Array, places: int) -> Array: ...
def texts(mantissas: Array, exponents: Array) -> tuple[Array, Array]: ...
