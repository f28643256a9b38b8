"""Order books: diffs applied one by one, beside what one would write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from book_data import MIDDLE, day
from book_loops import Frames, MapBook, apply_all
from sortedcontainers import SortedDict

import binance_sbe
from binance_sbe import OrderBook
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Diff

COUNT = 20_000
SNAPSHOT, FRAMES = day(COUNT)
MESSAGES = [binance_sbe.decode(frame) for frame in FRAMES]
PARSED = Frames(FRAMES)
BATCH = binance_sbe.decode_many(FRAMES)
TOP = [
    encode(Diff("BTCUSDT", -2, -8, i, i, i, ((MIDDLE - 1 - i % 5, i),), ()))
    for i in range(1, COUNT + 1)
]
TOP_MESSAGES = [binance_sbe.decode(frame) for frame in TOP]
TOP_PARSED = Frames(TOP)


class SortedBook:
    """Two SortedDicts, the bids by negated price. Given messages, as ours is."""

    def __init__(self, snapshot: Any) -> None:
        self.bids = SortedDict((-price, qty) for price, qty in snapshot.bids.tolist())
        self.asks = SortedDict(snapshot.asks.tolist())
        self.update_id = snapshot.last_update_id

    def apply(self, message: Any) -> bool:
        if message.last_book_update_id <= self.update_id:
            return False
        if message.first_book_update_id > self.update_id + 1:
            raise ValueError("gap")
        bids, asks = self.bids, self.asks
        for price, qty in message.bids.tolist():
            if qty:
                bids[-price] = qty
            else:
                bids.pop(-price, None)
        for price, qty in message.asks.tolist():
            if qty:
                asks[price] = qty
            else:
                asks.pop(price, None)
        self.update_id = message.last_book_update_id
        return True

    def content(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        return [(-price, qty) for price, qty in self.bids.items()], list(self.asks.items())


def ours() -> OrderBook:
    book = OrderBook("btcusdt")
    book.apply_snapshot(SNAPSHOT, limit=5000)
    return book


def each(book: Any, messages: list[Any] = MESSAGES) -> None:
    for message in messages:
        book.apply(message)


WAYS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "OrderBook.apply": (ours, each),
    "OrderBook.apply_many": (ours, lambda book: book.apply_many(BATCH)),
    "apply_frame, Cython": (ours, lambda book: apply_all(book, PARSED)),
    "std::map, C++": (lambda: MapBook(SNAPSHOT), lambda book: book.apply_all(PARSED)),
    "sortedcontainers": (lambda: SortedBook(SNAPSHOT), each),
}


def content(book: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    if isinstance(book, OrderBook):
        return book.bids().tolist(), book.asks().tolist()
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = book.content()
    return found


def test_all_books_are_equal() -> None:
    books = []
    for make, work in WAYS.values():
        book = make()
        work(book)
        books.append(content(book))
    assert len(books[0][0]) > 3000
    assert all(book == books[0] for book in books)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.benchmark(group="an order book: a diff of about 20 levels, 5,000 levels a side")
def test_a_day(benchmark: Any, way: str) -> None:
    make, work = WAYS[way]
    benchmark.extra_info["per"] = COUNT
    benchmark.pedantic(work, setup=lambda: ((make(),), {}), rounds=5)


TOP_WAYS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "OrderBook.apply": (ours, lambda book: each(book, TOP_MESSAGES)),
    "apply_frame, Cython": (ours, lambda book: apply_all(book, TOP_PARSED)),
    "std::map, C++": (lambda: MapBook(SNAPSHOT), lambda book: book.apply_all(TOP_PARSED)),
    "sortedcontainers": (lambda: SortedBook(SNAPSHOT), lambda book: each(book, TOP_MESSAGES)),
}


@pytest.mark.parametrize("way", TOP_WAYS)
@pytest.mark.benchmark(group="an order book: a diff of one level near the top")
def test_the_top(benchmark: Any, way: str) -> None:
    make, work = TOP_WAYS[way]
    benchmark.extra_info["per"] = COUNT
    benchmark.pedantic(work, setup=lambda: ((make(),), {}), rounds=5)
