"""What a notebook shows of order books: prices as floats, whether they are right, and no markup."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from parsed import Parsed
from test_book import diff
from test_order_book import ASKS, BIDS, book_of

import binance_sbe
from binance_sbe import OrderBook
from binance_sbe.books.html import books_html
from binance_sbe.simulator import Exchange


def shown(found: Any) -> Parsed:
    return Parsed(found._repr_html_())


def test_a_book_shows_both_sides_best_first() -> None:
    found = shown(book_of(BIDS, ASKS[:2]))
    assert found.rows == [
        ["bid quantity", "bid", "ask", "ask quantity"],
        ["5e-08", "0.99", "1.02", "1e-08"],
        ["6e-08", "0.98", "1.03", "2e-08"],
        ["7e-08", "0.95", "", ""],
    ]
    assert found.notes == ["OrderBook BTCUSDT, live, id 100, 3 bids, 2 asks, best 0.99 / 1.02"]


def test_the_repr_of_a_book_has_its_best_prices_as_floats() -> None:
    assert repr(OrderBook("btcusdt")) == "<OrderBook BTCUSDT, syncing, id -1, 0 bids, 0 asks>"
    assert repr(book_of(BIDS, ASKS)).endswith(", id 100, 3 bids, 3 asks, best 0.99 / 1.02>")
    assert repr(book_of(BIDS, [])).endswith(", 3 bids, 0 asks, best 0.99 / None>")


def test_a_book_says_why_it_is_not_right_and_which_levels_are_proven() -> None:
    assert shown(OrderBook("btcusdt")).notes[1] == "syncing: there is no snapshot yet."
    book = book_of(BIDS, ASKS, limit=3)
    book.apply(diff(101, 101, [(50, 1)]))
    assert shown(book).notes[1:] == [
        "Of these bids the first 3 are proven: beyond them levels may be missing."
    ]
    book.mark("the <b>reason</b>")
    assert shown(book).notes[1].startswith("stale: the <b>reason</b>.")


def test_only_so_many_levels_and_books_are_shown() -> None:
    many = [(1000 - i, 1) for i in range(100)]
    book = book_of(many, [(2000 + i, 1) for i in range(100)])
    assert len(shown(book).rows) == 11
    books = {f"<S{i}>": book for i in range(60)}
    found = Parsed(books_html(books))
    assert found.column("symbol") == [f"<S{i}>" for i in range(50)]
    assert found.notes[-1] == "The first 50 of 60 books."


@pytest.mark.parametrize("is_sync", [False, True])
def test_live_books_show_a_row_for_each(is_sync: bool) -> None:
    def check(books: Any) -> None:
        found = shown(books)
        assert found.notes == ["Books: 2, 2 live"]
        assert found.column("symbol") == ["BTCUSDT", "ETHUSDT"]
        assert found.column("state") == ["live", "live"]
        bids, asks = (list(map(float, found.column(side))) for side in ("bid", "ask"))
        assert all(bid < ask for bid, ask in zip(bids, asks, strict=True))
        assert all(not time or time.endswith("Z") for time in found.column("latest event"))
        assert len(shown(books["btcusdt"]).rows) == 11

    def blocking(url: str) -> None:
        with binance_sbe.sync.books("btcusdt", "ethusdt", url=url, api_key="k") as books:
            books.wait(timeout=20)
            check(books)

    async def main() -> None:
        async with Exchange(["btcusdt", "ethusdt"]) as exchange, asyncio.timeout(60):
            if is_sync:
                await asyncio.to_thread(blocking, exchange.url)
                return
            async with binance_sbe.books(
                "btcusdt", "ethusdt", url=exchange.url, api_key="k"
            ) as books:
                await books.wait(timeout=20)
                check(books)

    asyncio.run(main())
