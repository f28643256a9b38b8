from typing import Any

from numpy.typing import NDArray

BID: int
ASK: int
NO_SIDE: int

_Array = NDArray[Any]

def counts(events: _Array, bids: _Array, asks: _Array) -> _Array: ...
def levels(
    events: _Array,
    bid_records: _Array,
    bids: _Array,
    ask_records: _Array,
    asks: _Array,
    total: int,
) -> tuple[_Array, _Array, _Array, _Array, _Array]: ...
def gathered(events: _Array, records: _Array, offsets: _Array) -> tuple[_Array, _Array, _Array]: ...
def scaled(mantissas: _Array, exponents: _Array, repeats: _Array | None = None) -> _Array: ...
def fixed(mantissas: _Array, exponents: _Array, places: int) -> _Array: ...
def texts(mantissas: _Array, exponents: _Array) -> tuple[_Array, _Array]: ...
