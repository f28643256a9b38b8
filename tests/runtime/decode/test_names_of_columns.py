"""Who renames the columns of one array renames nobody else's, however the array was made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vectors
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

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


NAMES = ("trades", "trades_float", "block")


def test_a_dtype_that_was_given_another_state_serves_nobody_else() -> None:
    for _ in range(3):
        dtype = TRADES.trades.dtype
        names, fields = dtype.__reduce__()[2][3:5]
        dtype.__setstate__((3, ">", None, names, fields, dtype.itemsize, 16, 127))
        del dtype
    found = TRADES.trades.dtype
    assert (found.alignment, found.flags, found.byteorder) == (1, 16, "|")


EXPECTED = {name: getattr(TRADES, name).dtype.descr for name in NAMES}


class Columns(RuleBasedStateMachine):
    """dtypes are used again when their arrays are gone: never one that anybody has, or changed."""

    def __init__(self) -> None:
        super().__init__()
        self.arrays: list[tuple[Any, tuple[str, ...]]] = []
        self.dtypes: list[tuple[Any, tuple[str, ...]]] = []

    @rule(name=st.sampled_from(NAMES), again=st.booleans())
    def read(self, name: str, again: bool) -> None:
        array = getattr(decode(vectors.TRADES) if again else TRADES, name)
        assert array.dtype.descr == EXPECTED[name]
        self.arrays.append((array, array.dtype.names))

    @rule(chosen=st.integers(0, 9))
    def drop(self, chosen: int) -> None:
        if self.arrays:
            self.arrays.pop(chosen % len(self.arrays))

    @rule(chosen=st.integers(0, 9), keeps=st.booleans())
    def keep_the_dtype_alone(self, chosen: int, keeps: bool) -> None:
        if self.arrays:
            array, names = self.arrays.pop(chosen % len(self.arrays))
            if keeps:
                self.dtypes.append((array.dtype, names))
            else:
                self.arrays.append((np.zeros(2, array.dtype), names))

    @rule(chosen=st.integers(0, 9), number=st.integers(0, 3), of_array=st.booleans())
    def rename(self, chosen: int, number: int, of_array: bool) -> None:
        of = self.arrays if of_array else self.dtypes
        if of:
            i = chosen % len(of)
            names = tuple(f"{'xyzw'[number]}{j}" for j in range(len(of[i][1])))
            dtype = of[i][0].dtype if of_array else of[i][0]
            dtype.names = names
            for each in (self.arrays, self.dtypes):  # what has the same dtype, has its names
                each[:] = [
                    (thing, names if getattr(thing, "dtype", thing) is dtype else before)
                    for thing, before in each
                ]

    @invariant()
    def all_have_their_own_names(self) -> None:
        for array, names in self.arrays:
            assert array.dtype.names == names
        for dtype, names in self.dtypes:
            assert dtype.names == names


test_dtypes_serve_again_unseen = Columns.TestCase
