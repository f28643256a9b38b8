"""Books of snapshots and increments over FIX: which are stale, and for how long."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from binance_sbe import fix_sbe
from binance_sbe.books.fix import FixBooks
from binance_sbe.feed.ledger import Gap, Ledger

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


class Feigned:
    """What books have to know of a session: whether it lives, and its gaps."""

    def __init__(self) -> None:
        self.is_live = True
        self.ledger = Ledger()
        self.refused: set[str] = set()

    def is_subscribed(self, symbol: str, kind: str) -> bool:
        return kind == "depth" and symbol not in self.refused

    def lost(self) -> None:
        self.is_live = False

    def follows(self, ended_ns: int) -> None:
        """A new session, from ``ended_ns`` on."""
        self.is_live = True
        self.ledger.gaps.append(Gap(ended_ns - 5, ended_ns, "it was cut"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of time.monotonic(), which go on by themselves nowhere."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_book_that_missed_an_increment_is_subscribed_to_anew(clock: list[float]) -> None:
    books = FixBooks(Feigned(), "btcusdt", "ETHUSDT")
    assert list(books) == ["BTCUSDT", "ETHUSDT"]
    assert books.take(snapshot(10, "ETHUSDT"), 1) is books["ethusdt"]
    assert books.take(snapshot(10), 1) is books["BTCUSDT"]
    assert books.take(increment(11, 12), 2) is books["btcusdt"]
    clock[0] += 1
    assert books.next_symbol() is None
    books.take(increment(14, 15), 3)  # 13 is missing
    assert books["btcusdt"].state == "stale"
    clock[0] += 1
    assert books.next_symbol() == "BTCUSDT"
    for number in range(17, 20):  # what comes until the snapshot does asks for no other one
        clock[0] += 1
        assert books.take(increment(number, number), number) is None
        assert books.next_symbol() is None
    assert books.take(snapshot(19), 20) is books["btcusdt"]
    assert (books["btcusdt"].state, books["btcusdt"].update_id) == ("live", 19)
    books.take(increment(30, 30), 21)  # another gap is told again
    clock[0] += 1
    assert books.next_symbol() == "BTCUSDT"


def test_where_no_snapshot_comes_it_is_asked_for_again_after_longer_pauses(
    clock: list[float],
) -> None:
    books = FixBooks(Feigned(), "btcusdt")
    books.take(snapshot(10), 1)
    books.take(increment(30, 30), 2)
    asked = []
    for _ in range(3000):
        clock[0] += 0.1
        if books.next_symbol() is not None:
            asked.append(clock[0])
            books.failed("BTCUSDT")
    pauses = [b - a for a, b in itertools.pairwise(asked)]
    assert 5 <= len(asked) <= 14
    assert pauses[0] < 1 < 20 < max(pauses)


def test_books_are_stale_while_there_is_no_session(clock: list[float]) -> None:
    session = Feigned()
    books = FixBooks(session, "btcusdt", "ethusdt")
    btc, eth = books.values()
    for symbol in books:
        books.take(snapshot(10, symbol), 100)
    session.lost()
    assert (btc.state, btc.reason) == ("stale", "there is no session; no diff has come since")
    books.take(increment(11, 11), 101)  # which had come before
    assert (btc.state, btc.update_id) == ("stale", 11)
    clock[0] += 60
    assert books.next_symbol() is None  # whom should it ask
    session.follows(500)
    assert btc.state == "stale"
    books.take(increment(12, 12), 102)  # so had this, it was only taken late
    assert (btc.state, btc.update_id) == ("stale", 12)
    assert books.next_symbol() is None  # snapshots are on their way
    assert books.take(snapshot(40), 501) is btc
    assert (btc.state, btc.update_id, eth.state) == ("live", 40, "stale")
    assert books.take(snapshot(10, "ETHUSDT"), 502) is None  # nothing was missed
    assert (eth.state, eth.audit.snapshots, eth.audit.failures) == ("live", 1, 0)
    assert eth.audit.levels == eth.audit.agreed == 1


def test_a_snapshot_of_a_new_session_that_does_not_come_is_asked_for(clock: list[float]) -> None:
    session = Feigned()
    books = FixBooks(session, "btcusdt", "ethusdt")
    for symbol in books:
        books.take(snapshot(10, symbol), 100)
    session.follows(500)
    books.take(snapshot(11), 501)
    clock[0] += 5
    assert books.next_symbol() is None
    clock[0] += 5
    books.take(increment(12, 12), 11 * 10**9)
    assert books.next_symbol() == "ETHUSDT"
    clock[0] += 29
    assert books.next_symbol() is None
    clock[0] += 1
    assert books.next_symbol() is None  # the first pause after one that did not come
    clock[0] += 1
    assert books.next_symbol() == "ETHUSDT"
    books.take(snapshot(9, "ETHUSDT"), 12 * 10**9)  # of a server that is behind
    assert (books["ethusdt"].state, books["ethusdt"].update_id) == ("live", 10)
    clock[0] += 1
    assert books.next_symbol() is None
    for number in (10, 11):
        books.take(increment(number, number, 5, symbol="ETHUSDT"), 13 * 10**9)
    assert (books["ethusdt"].update_id, books["ethusdt"].audit.snapshots) == (11, 1)
    clock[0] += 100
    assert books.next_symbol() is None
    session.refused.add("ETHUSDT")
    assert books["ethusdt"].reason == "its depth is not subscribed to; no diff has come since"
    assert books.take(snapshot(11, "ETHUSDT"), 14 * 10**9) is None  # it was on its way
    assert books["ethusdt"].state == "stale"
    clock[0] += 100
    assert books.next_symbol() is None  # since when it is so is counted from now on
    clock[0] += 3
    assert books.next_symbol() == "ETHUSDT"


def test_a_snapshot_that_disagrees_makes_the_book_anew(clock: list[float]) -> None:
    session = Feigned()
    books = FixBooks(session, "btcusdt")
    book = books["btcusdt"]
    books.take(snapshot(10), 1)
    books.take(increment(11, 11, 9), 2)
    books.take(snapshot(9), 3)  # of a session that was opened before its predecessor ended
    assert (book.update_id, book.audit.checks) == (11, 0)
    clock[0] += 100
    assert books.next_symbol() is None
    books.take(snapshot(11), 4)  # which says 5
    assert (book.audit.checks, book.audit.failures) == (1, 1)
    assert (book.state, book.bids()["qty"].tolist()) == ("live", [5])


def test_an_increment_has_the_time_at_which_it_was_sent() -> None:
    books = FixBooks(Feigned(), "btcusdt")
    books.take(snapshot(10), 1)
    message = increment(11, 11)
    frame = bytearray(bytes(message))
    frame[12:20] = (1_700_000_000_000_001).to_bytes(8, "little")  # sendingTime
    book = books.take(message.decode(bytes(frame)), 2)
    assert book is not None
    assert book.event_time == 1_700_000_000_000_001


def test_what_is_of_no_book_changes_none() -> None:
    books = FixBooks(Feigned(), "btcusdt")
    assert books.take(snapshot(10, "ETHUSDT"), 1) is None
    assert books.take(increment(11, 11, symbol="ETHUSDT"), 1) is None
    assert books.take(snapshot(None), 1) is None
    assert books["btcusdt"].state == "syncing"
    with pytest.raises(ValueError, match="at least one symbol"):
        FixBooks(Feigned())


def test_a_level_without_a_quantity_is_gone() -> None:
    books = FixBooks(Feigned(), "btcusdt")
    book = books.take(snapshot(10), 1)
    assert book is not None
    assert book.bids()["qty"].tolist() == [5]
    books.take(increment(11, 11, None), 2)
    assert book.bids()["qty"].tolist() == []


def test_what_can_not_be_in_a_book_makes_it_stale(clock: list[float]) -> None:
    books = FixBooks(Feigned(), "btcusdt", "ethusdt")
    for symbol in books:
        books.take(snapshot(10, symbol), 1)
    odd = bytearray(bytes(increment(11, 11)))
    at = odd.index((100).to_bytes(8, "little"))
    odd[at : at + 8] = (-(2**63)).to_bytes(8, "little", signed=True)  # a price that is null
    assert books.take(fix_sbe.MarketDataIncrementalDepth.decode(bytes(odd)), 2) is None
    assert books["btcusdt"].state == "stale"
    assert "bids[0].price" in str(books["btcusdt"].reason)
    assert books["ethusdt"].state == "live"
    clock[0] += 1
    assert books.next_symbol() == "BTCUSDT"


def test_a_clock_that_is_set_back_keeps_no_book_stale(clock: list[float]) -> None:
    session = Feigned()
    books = FixBooks(session, "btcusdt")
    books.take(snapshot(10), 4000 * 10**9)
    session.follows(4001 * 10**9)
    assert books.take(snapshot(20), 401 * 10**9) is books["btcusdt"]
    assert books["btcusdt"].state == "live"


def test_what_is_no_symbol_is_in_no_mapping() -> None:
    books = FixBooks(Feigned(), "btcusdt")
    assert "BtcUsdt" in books
    assert 5 not in books
    assert None not in books
