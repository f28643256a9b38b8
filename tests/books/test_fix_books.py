"""Books of snapshots and increments over FIX: which are broken, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from binance_sbe import fix_sbe
from binance_sbe.books.fix import FixBooks

EXPONENTS = {"price_exponent": -2, "qty_exponent": -8}


def made(kind: Any, **values: Any) -> Any:
    return kind.decode(kind.encode(**EXPONENTS, **values))


def snapshot(update_id: int | None, symbol: str = "BTCUSDT") -> Any:
    side = [{"md_entry_px": 100, "md_entry_size": 5}]
    return made(
        fix_sbe.MarketDataSnapshot, last_book_update_id=update_id, symbol=symbol,
        md_entries_bids=side, md_entries_asks=[],
    )  # fmt: skip


def increment(first: int, last: int, size: int | None = 7, symbol: str = "BTCUSDT") -> Any:
    bid: dict[str, Any] = {"md_entry_px": 100, "md_entry_size": size}
    return made(
        fix_sbe.MarketDataIncrementalDepth, first_book_update_id=first, last_book_update_id=last,
        symbol=symbol, md_entries_bids=[bid], md_entries_asks=[],
    )  # fmt: skip


def test_a_book_that_missed_an_increment_is_broken_until_a_snapshot_is_asked_for() -> None:
    books = FixBooks("btcusdt", "ETHUSDT")
    assert list(books) == ["btcusdt", "ethusdt"]
    assert books.take(snapshot(10)) is books["BTCUSDT"]
    assert books.take(increment(11, 12)) is books["btcusdt"]
    assert not books.broken
    books.take(increment(14, 15))  # 13 is missing
    assert books.broken == {"btcusdt"}
    assert books["btcusdt"].state == "stale"
    books.take(increment(16, 16))
    assert books.broken == {"btcusdt"}
    books.asked("btcusdt")
    for number in range(17, 20):  # what comes until the snapshot does asks for no other one
        books.take(increment(number, number))
        assert not books.broken
    assert books.take(snapshot(19)) is books["btcusdt"]
    assert books["btcusdt"].state == "live"
    books.take(increment(30, 30))  # another gap is told again
    assert books.broken == {"btcusdt"}


def test_what_is_of_no_book_changes_none() -> None:
    books = FixBooks("btcusdt")
    assert books.take(snapshot(10, "ETHUSDT")) is None
    assert books.take(increment(11, 11, symbol="ETHUSDT")) is None
    assert books.take(snapshot(None)) is None
    assert not books.broken
    with pytest.raises(ValueError, match="at least one symbol"):
        FixBooks()


def test_a_level_without_a_quantity_is_gone() -> None:
    books = FixBooks("btcusdt")
    book = books.take(snapshot(10))
    assert book is not None
    assert book.bids()["qty"].tolist() == [5]
    books.take(increment(11, 11, None))
    assert book.bids()["qty"].tolist() == []
