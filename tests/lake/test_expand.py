"""What is compiled, against plain Python."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe.api.decimals import decimal
from binance_sbe.lake import expand

LEVEL = np.dtype([("price", np.int64), ("qty", np.int64)])
int64s = st.integers(-(2**63), 2**63 - 1)
sides = st.lists(st.lists(st.tuples(int64s, int64s), max_size=4), min_size=1, max_size=6)


def group(entries: Any) -> tuple[Any, Any]:
    offsets = np.cumsum([0, *map(len, entries)]).astype(np.int64)
    return np.array([x for each in entries for x in each], LEVEL), offsets


@given(sides, st.data())
def test_levels_are_those_of_the_events_in_the_order_given(bids: Any, data: Any) -> None:
    asks = data.draw(st.lists(st.lists(st.tuples(int64s, int64s), max_size=4),
                              min_size=len(bids), max_size=len(bids)))  # fmt: skip
    order = data.draw(st.lists(st.integers(0, len(bids) - 1), max_size=8))
    events = np.array(order, np.int64)
    (bid_rows, bid_ends), (ask_rows, ask_ends) = group(bids), group(asks)
    expected = []
    for i in order:
        rows = [(*x, 0, k, 0) for k, x in enumerate(bids[i])]
        rows += [(*x, 1, k, 0) for k, x in enumerate(asks[i])]
        rows = rows or [(0, 0, 2, 0, 0)]
        rows[-1] = (*rows[-1][:4], 1)
        expected += rows
    counts = expand.counts(events, bid_ends, ask_ends)
    assert counts.sum() == len(expected)
    found = expand.levels(events, bid_rows, bid_ends, ask_rows, ask_ends, len(expected))
    assert list(zip(*(each.tolist() for each in found), strict=True)) == expected
    with pytest.raises(ValueError, match="rows are not what these events have"):
        expand.levels(events, bid_rows, bid_ends, ask_rows, ask_ends, len(expected) + 1)
    ends, price, qty = expand.gathered(events, bid_rows, bid_ends)
    assert ends.tolist() == np.cumsum([0, *(len(bids[i]) for i in order)]).tolist()
    assert list(zip(price.tolist(), qty.tolist(), strict=True)) == [
        x for i in order for x in bids[i]
    ]


@pytest.mark.parametrize("event", [-1, 2, 2**62])
def test_an_event_that_is_not_there_is_refused(event: int) -> None:
    rows, ends = group([[(1, 2)], [(3, 4)]])
    events = np.array([event], np.int64)
    for call in (
        lambda: expand.counts(events, ends, ends),
        lambda: expand.levels(events, rows, ends, rows, ends, 2),
        lambda: expand.gathered(events, rows, ends),
    ):
        with pytest.raises(ValueError, match=f"event {event} of 2"):
            call()


@pytest.mark.parametrize("ends", [[0, 1, 9], [0, -1, 2], [5, 1, 2]])
def test_levels_that_are_not_there_are_refused(ends: list[int]) -> None:
    rows, good = group([[(1, 2)], [(3, 4)]])
    bad = np.array(ends, np.int64)
    events = np.arange(2)
    for first, second in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="the levels of event"):
            expand.levels(events, rows, first, rows, second, 4)
    with pytest.raises(ValueError, match="the levels of event"):
        expand.gathered(events, rows, bad)


@given(st.lists(st.tuples(int64s, st.integers(-128, 127)), max_size=20))
def test_floats_are_correctly_rounded(values: Any) -> None:
    mantissas = np.array([m for m, _ in values], np.int64)
    exponents = np.array([e for _, e in values], np.int8)
    expected = [float(Decimal(m).scaleb(e)) for m, e in values]
    assert expand.scaled(mantissas, exponents).tolist() == expected
    once = np.ones(len(values), np.int64)
    assert expand.scaled(mantissas, exponents, once).tolist() == expected


@pytest.mark.parametrize("repeats", [[1], [3], [-1, 3], [2, 2]])
def test_repeats_that_do_not_fit_are_refused(repeats: list[int]) -> None:
    exponents = np.zeros(len(repeats), np.int8)
    with pytest.raises(ValueError, match="repeats"):
        expand.scaled(np.zeros(2, np.int64), exponents, np.array(repeats, np.int64))


@given(int64s, st.integers(-128, 19), st.integers(0, 16))
def test_fixed_numbers_are_exact_or_refused(mantissa: int, exponent: int, places: int) -> None:
    value = Decimal(mantissa).scaleb(exponent + places)
    given_ = np.array([mantissa], np.int64), np.array([exponent], np.int8), places
    is_whole = value == value.to_integral_value()
    if is_whole and (exponent + places <= 19 or not mantissa):
        low, high = expand.fixed(*given_)[0].tolist()
        assert (high << 64) + (low % 2**64) == int(value)
    else:
        with pytest.raises(ValueError, match="digits after the point"):
            expand.fixed(*given_)


@given(st.lists(st.tuples(int64s, st.integers(-128, 127)), max_size=20))
def test_texts_are_exact(values: Any) -> None:
    mantissas = np.array([m for m, _ in values], np.int64)
    exponents = np.array([e for _, e in values], np.int8)
    ends, content = expand.texts(mantissas, exponents)
    found = [content[a:b].tobytes().decode() for a, b in pairwise(ends)]
    assert found == [decimal(m, e) if m or e <= 0 else "0" for m, e in values]
