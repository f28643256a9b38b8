"""What is worked out of a book's levels: volumes, sweeps, checksums, comparisons, floats."""

from __future__ import annotations

import random
import struct
import zlib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_book import diff, live, rows, snapshot

from binance_sbe import BookError, OrderBook


def book_of(bids: Any, asks: Any, limit: int | None = None, exponents: Any = (-2, -8)) -> OrderBook:
    book = OrderBook("btcusdt")
    book.apply_snapshot(snapshot(100, bids, asks, exponents), limit=limit)
    return book


BIDS, ASKS = [(99, 5), (98, 6), (95, 7)], [(102, 1), (103, 2), (110, 3)]


@pytest.mark.parametrize(
    ("bids", "asks", "spread", "mid", "mid_float"),
    [
        (BIDS, ASKS, 3, 100.5, 1.005),
        ([(100, 1)], [(102, 1)], 2, 101.0, 1.01),
        ([], ASKS, None, None, None),
        (BIDS, [], None, None, None),
        ([], [], None, None, None),
        ([(2**62, 1)], [(2**62 + 2, 1)], 2, float(2**62 + 1), (2**62 + 1) / 100),
    ],
)
def test_the_middle_is_between_two_sides(
    bids: Any, asks: Any, spread: Any, mid: Any, mid_float: Any
) -> None:
    book = book_of(bids, asks)
    assert (book.spread, book.mid, book.mid_float) == (spread, mid, mid_float)
    assert book.spread_float == (None if spread is None else spread / 100)
    assert book.best_bid_float == (None if not bids else (bids[0][0] / 100, bids[0][1] / 1e8))
    assert book.best_ask_float == (None if not asks else (asks[0][0] / 100, asks[0][1] / 1e8))


def test_levels_in_float64_are_the_same_levels() -> None:
    book = book_of(BIDS, ASKS)
    book.apply(diff(101, 101, [(50, 1)]))
    for floats, levels in ((book.bids_float, book.bids), (book.asks_float, book.asks)):
        for n in (None, 0, 2, 9):
            found: Any = floats(n)
            assert found.tolist() == [(p / 100, q / 1e8) for p, q in levels(n).tolist()]
            assert found.proven == levels(n).proven
            assert found["price"].dtype == "<f8"
    assert (book.bids().price_exponent, book.bids().qty_exponent) == (-2, -8)
    assert (book.bids().proven, len(book.bids_float())) == (3, 4)


UNKNOWN = "unknown"


@pytest.mark.parametrize(
    ("bids", "asks", "limit", "volumes"),
    [
        # prices, and the volume up to each
        (BIDS, ASKS, None, {94: UNKNOWN, 95: 18, 96: 11, 98: 11, 99: 5, 100: 0, 101: 0, 102: 1,
                            103: 3, 109: 3, 110: 6, 111: UNKNOWN}),
        (BIDS, ASKS, 4, {1: 18, 94: 18, 95: 18, 100: 0, 110: 6, 111: 6, 10**6: 6}),
        (BIDS, [], 4, {1: 18, 99: 5, 100: 0, 10**6: 0}),
        ([], ASKS, 4, {1: 0, 101: 0, 102: 1, 10**6: 6}),
        ([], [], 4, {1: 0, 100: 0}),
        (BIDS, [], 3, {94: UNKNOWN, 95: 18, 100: 0, 10**6: 0}),
        ([], ASKS, 3, {1: 0, 101: 0, 110: 6, 111: UNKNOWN}),
    ],
)  # fmt: skip
def test_the_volume_to_a_price_is_known_or_refused(
    bids: Any, asks: Any, limit: int | None, volumes: dict[int, Any]
) -> None:
    book = book_of(bids, asks, limit)
    for price, volume in volumes.items():
        if volume == UNKNOWN:
            with pytest.raises(BookError, match=f"not all levels up to {price} are known"):
                book.volume_to(price)
            with pytest.raises(BookError, match=f"not all levels up to {price} are known"):
                book.volume_to_float(price / 100)
        else:
            assert book.volume_to(price) == volume
            assert book.volume_to_float(price / 100) == volume / 1e8


def test_what_is_not_known_is_said_with_what_is() -> None:
    book = book_of(BIDS, ASKS)
    said = "of the bids those down to 95, of the asks those up to 110"
    for price in (94, 111):
        with pytest.raises(BookError, match=f"up to {price} are known: {said}"):
            book.volume_to(price)
    book = book_of(BIDS, ASKS[:2], 3)
    with pytest.raises(BookError, match="down to 95, of the asks those up to any price"):
        book.volume_to(94)
    book = book_of(BIDS[:2], ASKS, 3)
    with pytest.raises(BookError, match="down to 0, of the asks those up to 110"):
        book.volume_to(111)


@pytest.mark.parametrize(
    ("price", "volume"),
    [
        (0.985, 5), (0.98, 11), (0.99, 5), (0.9900001, 0), (1.0, 0), (1.019, 0), (1.02, 1),
        (1.0299, 1), (1.03, 3), (1.031, 3), (0.955, 11), (0.95, 18),
    ],
)  # fmt: skip
def test_prices_between_two_ticks_reach_what_is_no_worse(price: float, volume: int) -> None:
    assert book_of(BIDS, ASKS).volume_to_float(price) == volume / 1e8


@given(st.integers(0, 2**32))
def test_a_sweep_costs_what_an_order_pays(seed: int) -> None:
    """Over levels that are more than what is looked at first."""
    chance = random.Random(seed)
    count = chance.choice([1, 15, 16, 17, 127, 128, 129, 300])
    asks = [(1000 + 3 * i, chance.randrange(1, 9)) for i in range(count)]
    bids = [(999 - 3 * i, chance.randrange(1, 9)) for i in range(count)]
    book = book_of(bids, asks)
    for side, levels in (("buy", asks), ("sell", bids)):
        whole: Any = side
        total = sum(qty for _, qty in levels)
        for qty in {1, total, chance.randrange(1, total + 1)}:
            left, cost = qty, 0
            for price, there in levels:
                cost += min(left, there) * price
                left -= min(left, there)
            assert book.sweep(qty, whole) == float(Fraction(cost, qty))
            assert book.sweep_float(qty / 1e8, whole) == float(Fraction(cost, qty) / 100)
        refusal = f"the {count} levels with none missing between have {total}, not {total + 1}"
        with pytest.raises(BookError, match=refusal):
            book.sweep(total + 1, whole)


def test_a_sweep_counts_on_proven_levels_alone() -> None:
    book = book_of([(99 - i, 1) for i in range(20)], [(101, 1)])
    book.apply(diff(101, 101, [(50, 100)], [(200, 100)]))
    assert book.sweep(20, "sell") == sum(99 - i for i in range(20)) / 20
    for qty, side, count, found in ((21, "sell", 20, 20), (2, "buy", 1, 1)):
        whole: Any = side
        with pytest.raises(BookError, match=f"the {count} levels .* have {found}, not {qty}"):
            book.sweep(qty, whole)
    with pytest.raises(BookError, match="there is no snapshot yet"):
        OrderBook("btcusdt").sweep(1)
    with pytest.raises(ValueError, match="more than nothing, not for -1"):
        book.sweep(-1)


# whether two books are the same


def test_a_checksum_tells_every_level_and_side() -> None:
    one = book_of(BIDS, ASKS)
    assert one.checksum() == book_of(BIDS, ASKS, 9).checksum()
    others = [
        book_of(BIDS[:2], ASKS), book_of(BIDS, ASKS[:2]), book_of([(99, 6), *BIDS[1:]], ASKS),
        book_of(BIDS, [*ASKS[:2], (111, 3)]), book_of(BIDS, ASKS, None, (-3, -8)),
        book_of(BIDS, ASKS, None, (-2, -7)), book_of([], [*ASKS]), book_of(BIDS, []),
    ]  # fmt: skip
    sums = [each.checksum() for each in (one, *others)]
    assert len(set(sums)) == len(sums)
    assert one.checksum(2) == book_of(BIDS[:2], ASKS[:2]).checksum()
    assert one.checksum(1) != one.checksum(2)
    fine = [[(p * 10**3, q * 10**4) for p, q in side] for side in (BIDS, ASKS)]
    assert one.checksum() == book_of(*fine, None, (-5, -12)).checksum()
    # What it is of: the number of levels of a side, and its prices and quantities without zeros.
    sides = [
        struct.pack("<I", len(levels))
        + b"".join(struct.pack("<qhqh", p, -2, q, -8) for p, q in levels)
        for levels in (BIDS, [ASKS[0], ASKS[1]])
    ]
    assert book_of(BIDS, ASKS[:2]).checksum() == zlib.crc32(b"".join(sides))


def test_books_that_differ_beyond_what_a_float_holds_are_different() -> None:
    large = 2**53 + 1
    one, other = book_of([(large, 1)], []), book_of([(large * 10 + 1, 10)], [], None, (-3, -9))
    assert one.compare_book(other) == other.compare_book(one) == (1, 0)
    same = book_of([(large * 10, 10)], [], None, (-3, -9))
    assert one.compare_book(same) == same.compare_book(one) == (1, 1)


@pytest.mark.parametrize(
    ("bids", "asks", "limit", "found"),
    [
        (BIDS, ASKS, None, (6, 6)),
        ([(99, 5), (98, 6)], ASKS, None, (5, 5)),  # it is known from 98 on
        ([(99, 5), (98, 6)], ASKS, 4, (6, 5)),  # it has no others
        ([(99, 5), (98, 6), (97, 1)], ASKS, None, (6, 5)),
        ([(99, 5), (98, 7), (95, 7)], ASKS, None, (6, 5)),
        (BIDS, [(102, 1), (103, 3), (110, 3)], None, (6, 5)),
        (BIDS, [(102, 1), (103, 2)], None, (5, 5)),
        (BIDS, [(102, 1), (103, 2)], 4, (6, 5)),
        ([*BIDS, (94, 1)], [*ASKS, (111, 1)], None, (6, 6)),  # beyond what the other knows
        ([], [], 1, (6, 0)),
    ],
)
def test_books_are_compared_as_far_as_both_are_known(
    bids: Any, asks: Any, limit: int | None, found: tuple[int, int]
) -> None:
    one = book_of(BIDS, ASKS)
    for exponents in ((-2, -8), (-4, -8), (-2, -9)):
        up, up_qty = 10 ** (-2 - exponents[0]), 10 ** (-8 - exponents[1])
        sides = [[(p * up, q * up_qty) for p, q in side] for side in (bids, asks)]
        other = book_of(*sides, limit, exponents)
        assert one.compare_book(other) == other.compare_book(one) == found
        assert one.compare_levels(other) == other.compare_levels(one) == found


def test_books_that_are_not_at_the_same_update_are_not_compared() -> None:
    one, other = book_of(BIDS, ASKS), book_of(BIDS, ASKS)
    other.apply(diff(101, 101))
    assert one.compare_book(other) is None
    assert one.compare_levels(other) == (6, 6)
    other = book_of(BIDS, ASKS)
    other.mark("stale")
    assert one.compare_book(other) is other.compare_book(one) is None
    with pytest.raises(ValueError, match="a book of ETHUSDT, and this one is of BTCUSDT"):
        one.compare_book(OrderBook("ethusdt"))


def test_the_best_levels_of_a_side_are_counted_off() -> None:
    book = live()
    book.apply(diff(101, 101, [(98, 0), (97, 2)]))
    for n in (0, 1, 2, 3, 4, None):
        assert rows(book.bids(n)) == [(99, 5), (97, 2), (95, 7)][:n]
        assert rows(book.asks(n)) == [(101, 1), (102, 2), (110, 3)][:n]
