"""Who renames the columns of one array renames nobody else's, however the array was made."""

from __future__ import annotations

from typing import Any

import pytest
import vectors

from binance_sbe import decode, spot_stream

TRADES = decode(vectors.TRADES)
NONE = decode(
    spot_stream.TradesStreamEvent.encode(
        event_time=1, transact_time=1, price_exponent=0, qty_exponent=0, trades=[], symbol="X"
    )
)


@pytest.mark.parametrize("message", [TRADES, NONE])
@pytest.mark.parametrize("name", ["trades", "trades_float", "block"])
def test_renamed_columns_are_those_of_one_array(message: Any, name: str) -> None:
    array = getattr(message, name)
    before = array.dtype.names
    array.dtype.names = tuple(f"x{i}" for i in range(len(before)))
    assert getattr(message, name).dtype.names == before
    assert getattr(decode(vectors.TRADES), name).dtype.names == before
