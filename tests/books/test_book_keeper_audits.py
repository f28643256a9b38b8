"""Audits of books, what is proven of them, and many at once: the keeper without clock and feed."""

from __future__ import annotations

import pickle

import pytest
from test_book import depth20, diff, snapshot
from test_book_keeper import (
    ASKS,
    BACK,
    BIDS,
    LOST,
    Desk,
    audited,
    fresh,
    gapped,
    live,
    lost,
    unheard,
)

from binance_sbe.books.keeper import UP, Audit, Keeper, Link
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Trade, Trades
from binance_sbe.spot_stream import decode


def test_checks_are_counted_exactly() -> None:
    desk = audited()
    audit = desk.book.audit
    assert audit == Audit()
    desk.take(depth20(100, BIDS[:20], ASKS[:20]))
    assert audit == Audit(40, 40, 1, 0, 0, desk.ns)
    desk.take(depth20(101, BIDS[:20], ASKS[:20]))  # ahead of the book
    desk.take(depth20(102, BIDS[:20], ASKS[:20]))  # in its place
    assert audit.checks == 1
    desk.now += 1
    desk.take(diff(101, 101))
    desk.take(diff(102, 102))
    assert audit == Audit(80, 80, 2, 0, 0, desk.ns)
    desk.take(diff(103, 103))
    assert audit.checks == 2  # once
    desk.now += 1
    desk.give(102)
    assert audit == Audit(140, 140, 3, 1, 0, desk.ns)
    desk.take(depth20(103, [(99, 6), *BIDS[1:20]], ASKS[:20]))
    assert audit == Audit(180, 179, 4, 1, 1, desk.ns)
    desk.take(depth20(103, [(99, 6), *BIDS[1:20]], ASKS[:20]))
    assert audit.checks == 4  # the book does not follow: it shows this
    desk.begin()
    desk.give(103)
    desk.take(depth20(103, [(99, 6), *BIDS[1:20]], ASKS[:20]))
    assert audit == Audit(220, 218, 5, 1, 2, desk.ns)


def test_depth20_that_waits_is_forgotten_with_the_book_that_it_was_for() -> None:
    desk = live()
    desk.take(depth20(108, BIDS[5:25], ASKS[:20]))
    desk.take(diff(105, 106))
    desk.begin()
    desk.give(104)
    assert desk.book.state == "live"
    desk.take(diff(107, 108))
    assert (desk.book.state, desk.book.audit.checks) == ("live", 0)


@pytest.mark.parametrize("seconds", [10.0, 3600.0])
def test_audits_come_in_their_time_after_the_last_one(seconds: float) -> None:
    desk = Desk(audit_seconds=seconds)
    desk.begin()
    desk.now += 7
    desk.give()
    for _ in range(3):
        desk.tick(seconds - 0.05)
        assert desk.keeper.next_symbol(desk.now) is None
        desk.tick(0.05)
        desk.begin()
        desk.now += 3
        desk.give()
        assert desk.book.state == "live"
    assert desk.book.audit.snapshots == desk.book.audit.checks == 3


def test_a_book_that_waits_for_its_link_is_not_audited() -> None:
    desk = Desk(audit_seconds=10)
    desk.begin()
    desk.give()
    desk.link = LOST
    desk.tick(10)
    assert desk.pause is None
    desk.link = UP
    assert desk.pause == 0.0


def test_a_snapshot_from_before_a_second_break_does_not_heal_that() -> None:
    desk = unheard()
    desk.give(103)
    desk.link = Link(True, "lost again", 2)
    desk.take(diff(101, 103))
    assert desk.book.audit.snapshots == 1
    assert (desk.book.state, desk.book.reason) == ("stale", "lost again; no diff has come since")
    desk.link = BACK
    assert desk.book.state == "live"  # that one is healed


@pytest.mark.parametrize(
    ("behind", "state"), [(9_999_999, "live"), (10_000_000, "live"), (10_000_001, "stale")]
)
def test_a_snapshot_that_is_far_behind_says_that_the_exchange_counts_anew(
    behind: int, state: str
) -> None:
    desk = audited()
    at = 50 + behind
    desk.take(diff(101, at))
    desk.give(50)
    assert desk.book.state == state
    if state == "stale":
        assert desk.said == [f"stale: the snapshot 50 is far behind {at}"]
        assert desk.pause == 0.0


def test_a_shadow_that_fails_is_made_again_and_the_book_goes_on() -> None:
    desk = audited()
    desk.take(diff(101, 101))
    desk.take(diff(102, 102, [(99, 7)]))
    desk.give(90)  # the diffs from 91 on are not there
    assert (desk.book.state, desk.book.audit) == ("live", Audit())
    assert 0.1 < desk.pause <= 0.5
    desk.tick(1)
    desk.begin()
    desk.give(103, [(99, 1)], [(100, 1)])
    desk.take(diff(103, 104, [(100, 0)], [(99, 0)]))
    assert desk.book.audit.snapshots == 1


def test_pauses_double_until_a_minute_and_begin_anew_for_an_urgent_need() -> None:
    desk = audited()
    longest = []
    for _ in range(12):
        desk.keeper.failed("BTCUSDT", desk.now)
        pause = desk.pause
        assert pause is not None
        longest.append(pause)
        desk.tick(100)
        desk.begin()
    for i, pause in enumerate(longest):
        assert 0.5 * min(0.3 * 2**i, 60.0) <= pause <= 1.5 * min(0.3 * 2**i, 60.0) + 0.1
    desk.take(diff(200, 201))
    desk.keeper.failed("BTCUSDT", desk.now)
    assert 0.1 < desk.pause <= 0.5


# what is known of the levels


@pytest.mark.parametrize(
    ("removed", "min_proven", "is_thin"),
    [(10, 20, False), (11, 20, True), (0, 30, False), (0, 31, True), (25, 5, False), (26, 5, True)],
)
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_a_side_of_which_little_is_proven_is_noticed_every_64_diffs(
    removed: int, min_proven: int, is_thin: bool, side: str
) -> None:
    desk = Desk(min_proven=min_proven)
    desk.begin()
    desk.give()
    levels = [(price, 0) for price, _ in (BIDS if side == "bids" else ASKS)[:removed]]
    sides = (levels, []) if side == "bids" else ([], levels)
    for i in range(101, 164):
        assert desk.take(diff(i, i, *(sides if i == 101 else ((), ()))))
        assert desk.pause is None
    desk.take(diff(164, 164))
    assert desk.pause == (0.0 if is_thin else None)
    if is_thin:
        desk.begin()
        desk.give(164, [(p - 30, 5) for p, _ in BIDS], [(p + 30, 5) for p, _ in ASKS])
        assert (desk.book.state, desk.book.update_id) == ("live", 164)


def test_a_side_that_is_known_to_its_end_is_never_thin() -> None:
    desk = Desk()
    desk.begin()
    desk.give(100, BIDS[:3], ASKS[:3])  # fewer than were asked for: that is all there is
    for i in range(101, 165):
        desk.take(diff(i, i, [(99, 0)] if i == 101 else []))
    desk.take(diff(165, 165, [(p, 0) for p, _ in BIDS[:3]], [(p, 0) for p, _ in ASKS[:3]]))
    assert (desk.book.state, desk.book.best_bid, desk.pause) == ("live", None, None)


# many books


def test_books_that_wait_come_first_and_of_those_the_busiest() -> None:
    links = dict.fromkeys("ABCDE", UP)
    keeper = Keeper("abcde", links.__getitem__, audit_seconds=5, limit=30)
    keeper.tick(0, 0)
    keeper.begin("E")
    keeper.snapshot("E", snapshot(100, BIDS, ASKS), 0, 0)
    keeper.tick(5, 5)
    for symbol, count in (("B", 2), ("C", 3), ("D", 9)):
        for i in range(count):
            keeper.take(diff(i + 1, i + 1, symbol=symbol), 5, 5)
    links["D"] = LOST
    order = []
    while (symbol := keeper.next_symbol(5)) is not None:
        keeper.begin(symbol)
        order.append(symbol)
    assert order == ["C", "B", "A", "E"]
    links["D"] = UP
    assert keeper.next_symbol(5) == "D"
    assert [change[0] for change in keeper.changes] == ["A", "B", "C", "D", "E", "E"]


def test_what_is_no_business_of_books_changes_nothing() -> None:
    desk = live()
    trades = encode(Trades("BTCUSDT", -2, -8, 1, 1, (Trade(1, 100, 1, True),)))
    assert not desk.take(decode(trades))
    assert (desk.book.state, desk.book.audit, desk.said) == ("live", Audit(), [])


def test_a_copy_is_of_the_moment_and_nobody_keeps_it() -> None:
    for make, state in ((fresh, "syncing"), (live, "live"), (lost, "stale"), (gapped, "stale")):
        desk = make()
        reason = desk.book.reason
        for copied in (desk.book.copy(), pickle.loads(pickle.dumps(desk.book))):
            assert (copied.state, copied.reason) == (state, reason)
            desk.link = UP
            assert (copied.state, copied.reason) == (state, reason)
        assert desk.book.copy().checksum() == desk.book.checksum()
