"""The levels of a book as histories against a dict: what is there, and every counter exactly."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_book import diff, rows, snapshot

from binance_sbe import OrderBook


class Model:
    """One side as a dict; prices of asks are negated."""

    def __init__(self, levels: dict[int, int], edge: int | None) -> None:
        self.levels, self.edge = levels, edge
        self.absent = self.pruned = 0

    def set(self, price: int, qty: int) -> None:
        if qty:
            self.levels[price] = qty
        elif self.levels.pop(price, None) is None:
            self.absent += 1

    def prune(self, most: int) -> None:
        if len(self.levels) > most + most // 4:
            kept = sorted(self.levels)[-most:]
            self.pruned += len(self.levels) - most
            self.levels = {price: self.levels[price] for price in kept}
            self.edge = kept[0] if self.edge is None else max(self.edge, kept[0])

    @property
    def best_first(self) -> list[tuple[int, int]]:
        return sorted(self.levels.items(), reverse=True)


def check(book: OrderBook, bids: Model, asks: Model) -> None:
    for side, model, sign in (("bids", bids, 1), ("asks", asks, -1)):
        levels = getattr(book, side)()
        wanted = [(sign * price, qty) for price, qty in model.best_first]
        assert rows(levels) == wanted
        assert rows(getattr(book, side)(3)) == wanted[:3]
        edge = None if model.edge is None else sign * model.edge
        assert getattr(book, f"{side}_known_to") == edge
        assert levels.proven == sum(
            model.edge is None or price >= model.edge for price in model.levels
        )
        best = book.best_bid if sign == 1 else book.best_ask
        assert best == (wanted[0] if wanted else None)
    assert book.absent == bids.absent + asks.absent
    assert book.pruned == bids.pruned + asks.pruned


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0, 3, 70, 300, 1500]),
    st.sampled_from([4, 40, 10_000]),
    st.booleans(),
)
def test_levels_are_those_of_a_dict_and_counters_are_exact(
    seed: int, size: int, max_levels: int, is_whole: bool
) -> None:
    """Prices that come and go at the same places, near the best and far from it."""
    chance = random.Random(seed)
    book = OrderBook("btcusdt", max_levels=max_levels)
    start = [(2 * i + 2, chance.randrange(1, 9)) for i in range(size)]
    middle = 2 * size + 10
    sides = start[::-1], [(2 * middle - price, qty) for price, qty in start[::-1]]
    limit = size + 1 if is_whole else size or None
    book.apply_snapshot(snapshot(0, *sides), limit=limit)
    edge = None if is_whole or not size else 2
    bids = Model(dict(start), edge)
    asks = Model({price - 2 * middle: qty for price, qty in start}, edge and edge - 2 * middle)
    for i in range(1, 31):
        changes: list[list[tuple[int, int]]] = [[], []]
        for _ in range(chance.choice([0, 1, 5, 40, 200])):
            depth = min(int(chance.expovariate(chance.choice([0.3, 0.02]))) + 1, middle - 1)
            qty = chance.choice([0, 0, 0, 1, 2])
            changes[chance.randrange(2)].append((middle - depth, qty))
        changes[1] = [(2 * middle - price, qty) for price, qty in changes[1]]
        assert book.apply(diff(i, i, *changes))
        for price, qty in changes[0]:
            bids.set(price, qty)
        for price, qty in changes[1]:
            asks.set(-price, qty)
        bids.prune(max_levels)
        asks.prune(max_levels)
        check(book, bids, asks)
    assert book.applied == 30
    assert (book.ignored, book.overlaps) == (0, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 66, 127, 128, 1023, 1024, 1025, 1026, 1100])
def test_every_place_of_a_side_is_found(count: int) -> None:
    """However the search is cut: at the ends, on a level, between two, beyond the last."""
    prices = [2 * i + 2 for i in range(count)]
    places = {*range(1, 6), *range(2 * count - 3, 2 * count + 4)}
    for near in (1, 64, 65, 1024, 1025):
        places |= set(range(2 * (count - near), 2 * (count - near) + 5))
    for place in sorted(place for place in places if 1 <= place <= 2 * count + 3):
        book = OrderBook("btcusdt")
        book.apply_snapshot(snapshot(0, [(price, 1) for price in reversed(prices)]), limit=5000)
        assert book.apply(diff(1, 1, [(place, 7)]))
        expected = dict.fromkeys(prices, 1) | {place: 7}
        assert rows(book.bids()) == sorted(expected.items(), reverse=True)
        assert book.apply(diff(2, 2, [(place, 0)]))
        del expected[place]
        assert rows(book.bids()) == sorted(expected.items(), reverse=True)
        assert book.absent == 0
        assert book.apply(diff(3, 3, [(place, 0)]))
        assert book.absent == 1


@pytest.mark.parametrize(("max_levels", "most"), [(1, 1), (3, 3), (4, 5), (8, 10), (100, 125)])
@pytest.mark.parametrize("is_bid", [True, False])
def test_a_quarter_more_than_the_limit_is_kept_and_then_the_best(
    max_levels: int, most: int, is_bid: bool
) -> None:
    book = OrderBook("btcusdt", max_levels=max_levels)
    book.apply_snapshot(snapshot(0))
    sign = 1 if is_bid else -1
    for i in range(1, most + 2):
        level: Any = [(1000 + sign * i, i)]
        assert book.apply(diff(i, i, *((level, ()) if is_bid else ((), level))))
        levels = book.bids() if is_bid else book.asks()
        assert len(levels) == (i if i <= most else max_levels)
    kept = [(1000 + sign * i, i) for i in range(most + 1, most + 1 - max_levels, -1)]
    assert rows(levels) == kept
    assert book.pruned == most + 1 - max_levels
    edge = book.bids_known_to if is_bid else book.asks_known_to
    other = book.asks_known_to if is_bid else book.bids_known_to
    assert (edge, other, levels.proven) == (kept[-1][0], None, max_levels)
