"""What a book does with a diff and a snapshot, as tables: every code, counter and bound."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from test_book import depth20, diff, live, rows, snapshot

import binance_sbe
from binance_sbe import OrderBook
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Diff

COUNTERS = (
    "applied", "ignored", "overlaps", "absent", "pruned", "snapshots", "not_buffered", "buffered",
)  # fmt: skip


def counters(book: OrderBook) -> dict[str, int]:
    """Those that are not 0."""
    return {name: getattr(book, name) for name in COUNTERS if getattr(book, name)}


def at(time: int, first: int, last: int, bids: Any = ()) -> Any:
    """A diff of that event time."""
    event = Diff("BTCUSDT", -2, -8, time, first, last, tuple(bids), ())
    return binance_sbe.decode(encode(event))


GAP = "updates 106 to {} are missing before the diff {} to {}"
ANEW = "the ids went back from 105 to {}, at a later time: the exchange counts anew"


@pytest.mark.parametrize(
    ("event", "reason", "counted"),
    [
        (at(7200, 106, 106), None, {"applied": 2}),
        (at(7200, 105, 106), None, {"applied": 2, "overlaps": 1}),
        (at(7200, 1, 110), None, {"applied": 2, "overlaps": 1}),
        (at(1, 106, 106), None, {"applied": 2}),  # clocks may step back
        (at(7200, 105, 105), None, {"applied": 1, "ignored": 1}),
        (at(7200, 101, 105), None, {"applied": 1, "ignored": 1}),
        (at(7105, 103, 104), None, {"applied": 1, "ignored": 1}),
        (at(7106, 103, 104), ANEW.format(104), {"applied": 1, "buffered": 1}),
        (at(7104, 103, 104), None, {"applied": 1, "ignored": 1}),
        (at(7106, 0, 0), ANEW.format(0), {"applied": 1, "buffered": 1}),
        (at(7200, 107, 108), GAP.format(106, 107, 108), {"applied": 1, "buffered": 1}),
        (at(7200, 109, 109), GAP.format(108, 109, 109), {"applied": 1, "buffered": 1}),
        (at(7200, 107, 106), "a diff has the ids 107 to 106", {"applied": 1}),
        (at(7200, 106, 105), "a diff has the ids 106 to 105", {"applied": 1}),
        (at(7200, 106, 106, [(99, -1)]), "a bid at 99 has the quantity -1", {"applied": 1}),
        (at(7200, 106, 106, [(101, 1)]), "crossed at id 106: the best bid is 101, the best ask 101"
         " (x 10^-2)", {"applied": 2}),
        (at(7200, 106, 106, [(100, 1)]), None, {"applied": 2}),
        (at(7200, 106, 106, [(101, 0)]), None, {"applied": 2, "absent": 1}),
    ],
)  # fmt: skip
def test_what_a_diff_does_to_a_book_at_id_105_and_time_7105(
    event: Any, reason: str | None, counted: dict[str, int]
) -> None:
    """One by one and in a batch."""
    for in_batch in (False, True):
        book = live(on_error="mark")
        assert book.apply(at(7105, 101, 105))
        if in_batch:
            applied: Any = book.apply_many(binance_sbe.decode_many([bytes(event)]))
        else:
            applied = book.apply(event)
        assert applied == (reason is None and "ignored" not in counted)
        assert (book.state, book.reason) == ("stale" if reason else "live", reason)
        assert counters(book) == {"snapshots": 1, **counted}
        if applied:
            assert book.update_id == event.last_book_update_id
            assert book.event_time == event.event_time


def test_after_a_snapshot_an_old_diff_of_a_later_time_is_just_old() -> None:
    """The snapshot has no time: that of the diff before it says nothing of it."""
    book = live()
    assert book.apply(at(7101, 101, 101))
    assert book.apply_snapshot(snapshot(200, [(99, 5)], [(101, 1)]))
    assert book.event_time is None
    assert not book.apply(at(7150, 150, 150))
    assert (book.state, book.ignored) == ("live", 1)
    assert book.apply(at(7201, 201, 201))
    assert book.event_time == 7201


# what waits for a snapshot


@pytest.mark.parametrize(
    ("events", "waiting", "counted"),
    [
        ([at(1, 5, 6)], [(5, 6)], {"buffered": 1}),
        ([at(1, 5, 6), at(2, 7, 7)], [(5, 6), (7, 7)], {"buffered": 2}),
        ([at(1, 5, 6), at(2, 6, 7)], [(5, 6), (6, 7)], {"buffered": 2}),
        ([at(1, 5, 6), at(1, 5, 6)], [(5, 6)], {"buffered": 1, "ignored": 1}),
        ([at(1, 5, 6), at(2, 5, 6)], [(5, 6)], {"buffered": 1, "ignored": 1}),
        ([at(2, 5, 6), at(2, 4, 5)], [(5, 6)], {"buffered": 1, "ignored": 1}),
        ([at(2, 5, 6), at(3, 4, 5)], [(4, 5)], {"buffered": 1, "not_buffered": 1}),
        ([at(1, 5, 6), at(2, 7, 7), at(3, 9, 9)], [(9, 9)], {"buffered": 1, "not_buffered": 2}),
        ([at(i, i, i) for i in range(1, 5)], [(2, 2), (3, 3), (4, 4)],
         {"buffered": 3, "not_buffered": 1}),
    ],
)  # fmt: skip
def test_which_diffs_wait(
    events: list[Any], waiting: list[tuple[int, int]], counted: dict[str, int]
) -> None:
    book = OrderBook("btcusdt", max_buffer=3)
    assert not any(book.apply(event) for event in events)
    assert (counters(book), book.state) == (counted, "syncing")
    assert [held[:2] for held in book.content()[-1][-1]] == waiting
    first, last = waiting[0][0], waiting[-1][1]
    for update_id in (first - 1, last):
        other = book.copy()
        assert other.apply_snapshot(snapshot(update_id))
        assert (other.update_id, other.buffered) == (max(last, update_id), 0)
        assert other.applied == (len(waiting) if update_id < first else 0)
    other = OrderBook("btcusdt", max_buffer=3, on_error="mark")
    other.restore(book.content())
    assert not other.apply_snapshot(snapshot(first - 2))
    assert (other.state, other.buffered, other.snapshots) == ("syncing", len(waiting), 0)


def test_a_diff_that_fails_among_those_that_wait_is_gone_and_the_rest_waits_on() -> None:
    book = OrderBook("btcusdt", on_error="mark")
    for i in range(101, 106):
        book.apply(at(i, i, i, [(300 if i == 103 else 50, i)]))
    assert not book.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1)]))
    assert [held[0] for held in book.content()[-1][-1]] == [104, 105]
    assert counters(book) == {"applied": 3, "snapshots": 1, "buffered": 2}
    assert book.apply_snapshot(snapshot(103, [(98, 1)], [(101, 1)]))
    assert (book.update_id, rows(book.bids()), book.event_time) == (105, [(98, 1), (50, 105)], 105)
    assert counters(book) == {"applied": 5, "snapshots": 2}


# snapshots

ROOM = [(90 - i, 5) for i in range(5)], [(100 + i, 5) for i in range(5)]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda price, qty: (0, qty), "a price is not above 0"),
        (lambda price, qty: (-5, qty), "a price is not above 0"),
        (lambda price, qty: (price, 0), "a quantity is not above 0"),
        (lambda price, qty: (price, -1), "a quantity is not above 0"),
    ],
)
def test_every_level_of_a_snapshot_is_checked(
    side: int, place: int, change: Any, reason: str
) -> None:
    sides = [list(each) for each in ROOM]
    sides[side][place] = change(*sides[side][place])
    book = OrderBook("btcusdt", on_error="mark")
    assert not book.apply_snapshot(snapshot(7, *sides))
    assert (book.state, book.reason) == ("syncing", f"the snapshot 7: {reason}")
    assert (len(book.bids()), len(book.asks()), book.snapshots) == (0, 0, 0)


@pytest.mark.parametrize("place", range(1, 5))
@pytest.mark.parametrize("step", [0, 1])
def test_every_pair_of_levels_of_a_snapshot_is_in_order(place: int, step: int) -> None:
    bids, asks = ROOM
    wrong = [*bids[:place], (bids[place - 1][0] + step, 1), *bids[place + 1 :]]
    book = OrderBook("btcusdt", on_error="mark")
    assert not book.apply_snapshot(snapshot(7, wrong, asks))
    assert book.reason == "the snapshot 7: the bids are not in order"
    wrong = [*asks[:place], (asks[place - 1][0] - step, 1), *asks[place + 1 :]]
    assert not book.apply_snapshot(snapshot(7, bids, wrong))
    assert book.reason == "the snapshot 7: the asks are not in order"
    assert book.apply_snapshot(snapshot(7, *ROOM))


@pytest.mark.parametrize(
    ("bids", "asks", "is_good"),
    [
        ([(99, 1)], [(100, 1)], True),
        ([(100, 1)], [(100, 1)], False),
        ([(101, 1)], [(100, 1)], False),
        ([(101, 1)], [], True),
        ([], [(1, 1)], True),
        ([], [], True),
    ],
)
def test_a_snapshot_may_not_cross(bids: Any, asks: Any, is_good: bool) -> None:
    book = OrderBook("btcusdt", on_error="mark")
    assert book.apply_snapshot(snapshot(7, bids, asks)) is is_good
    if is_good:
        assert (rows(book.bids()), rows(book.asks()), book.update_id) == (bids, asks, 7)
    else:
        assert book.reason == "the snapshot 7: the best bid is not below the best ask"


@pytest.mark.parametrize(
    ("limit", "bids", "asks"),
    [(None, 86, 104), (1, 86, 104), (4, 86, 104), (5, 86, 104), (6, None, None), (99, None, None)],
)
def test_a_side_with_fewer_levels_than_were_asked_for_is_whole(
    limit: int | None, bids: int | None, asks: int | None
) -> None:
    book = OrderBook("btcusdt")
    assert book.apply_snapshot(snapshot(7, *ROOM), limit)
    assert (book.bids_known_to, book.asks_known_to) == (bids, asks)
    uneven = OrderBook("btcusdt")
    uneven.apply_snapshot(snapshot(7, ROOM[0], ROOM[1][:4]), 5)
    assert (uneven.bids_known_to, uneven.asks_known_to) == (86, None)


# exponents

LARGE = 9 * 10**18


@pytest.mark.parametrize(
    ("level", "exponents", "found", "left"),
    [
        ((9, 5), (-1, -8), (90, 5), (-2, -8)),  # coarser
        ((9, 5), (-2, -7), (9, 50), (-2, -8)),
        ((9, 5), (-3, -8), (9, 5), (-3, -8)),  # finer, and not said by the book's
        ((90, 5), (-3, -8), (9, 5), (-2, -8)),  # finer, but said
        ((9, 50), (-2, -9), (9, 5), (-2, -8)),
        ((9, 51), (-2, -9), (9, 51), (-2, -9)),
        ((90, 51), (-3, -9), (9, 51), (-2, -9)),
        ((LARGE, 5), (-20, -8), (9, 5), (-2, -8)),  # 18 digits
        ((LARGE, 5), (-21, -8), None, (-2, -8)),  # 19
        ((9, LARGE), (-2, -26), (9, 9), (-2, -8)),
        ((9, LARGE), (-2, -27), None, (-2, -8)),
        ((9, 0), (-2, -120), None, (-2, -8)),  # a removal, at a quantity of no digits
        ((9, 4), (-2, 10), (9, 4 * 10**18), (-2, -8)),
        ((9, 9), (-2, 10), (9, LARGE), (-2, -8)),
        ((9, 10), (-2, 10), None, (-2, -8)),
        ((9, 1), (-2, 11), None, (-2, -8)),
        ((9, 1), (0, 10), (900, 10**18), None),  # crosses
    ],
)
def test_levels_come_to_the_exponents_of_the_book_or_it_to_theirs(
    level: tuple[int, int], exponents: tuple[int, int], found: Any, left: Any
) -> None:
    book = live(on_error="mark")
    before = rows(book.bids()), rows(book.asks())
    applied = book.apply(diff(101, 101, [level], [], exponents))
    if left is None:
        assert "crossed at id 101: the best bid is 900" in str(book.reason)
        assert book.best_bid == found
        return
    assert (book.price_exponent, book.qty_exponent) == left
    up, up_qty = 10 ** (-2 - left[0]), 10 ** (-8 - left[1])
    bids, asks = ([(price * up, qty * up_qty) for price, qty in side] for side in before)
    if level[1] == 0:
        assert (applied, book.absent) == (True, 1)
    elif found is None:
        assert not applied
        assert "beyond 64 bits at the exponents that others need" in str(book.reason)
    else:
        assert applied
        bids.append(found)
    assert (rows(book.bids()), rows(book.asks())) == (bids, asks)
    assert (book.bids_known_to, book.asks_known_to) == (95 * up, 110 * up)


def test_a_book_of_nothing_takes_the_exponents_of_what_comes() -> None:
    book = OrderBook("btcusdt")
    book.apply_snapshot(snapshot(0, exponents=(-2, -8)), 5)
    assert book.apply(diff(1, 1, [(5, 6)], [(7, 8)], (-100, 100)))
    assert (book.price_exponent, book.qty_exponent) == (-100, 100)
    assert (rows(book.bids()), rows(book.asks())) == ([(5, 6)], [(7, 8)])
    for sides in (([(5, 6)], []), ([], [(7, 8)])):
        book = OrderBook("btcusdt", on_error="mark")
        book.apply_snapshot(snapshot(0, *sides), 5)
        assert not book.apply(diff(1, 1, [(5, 6)], [(7, 8)], (-100, 100)))


def test_what_is_beyond_the_digits_of_a_comparison_is_not_taken_for_another_level() -> None:
    """A level that the last diff removed: brought to more digits it would be 1004, wrapped."""
    far = (1004 + 2**64) // 10
    for price, counted in ((far, (7, 6)), (98, (6, 5))):
        book = live()
        assert book.apply(diff(101, 104, [(price, 0)]))
        bids = [(990, 5), (980, 6), (950, 7)]
        asks = [(1010, 1), (1020, 2), (1100, 3)]
        event = depth20(102, [(1004, 1), *bids], asks, (-3, -8))
        assert book.compare(event) == counted


# copies


def busy() -> OrderBook:
    """A book that has counted something of everything."""
    book = OrderBook("btcusdt", on_error="mark", max_levels=3, max_buffer=2)
    for i in range(98, 102):
        book.apply(diff(i, i, [(50, i)]))
    book.apply_snapshot(snapshot(100, [(99, 5), (98, 6)], [(101, 1), (102, 2)]), limit=5)
    book.apply(diff(101, 101))
    book.apply(diff(102, 103, [(97, 0), (96, 1), (95, 1)], [(103, 1)]))
    book.apply(diff(103, 104, [(96, 2)]))
    book.apply(diff(110, 111, [(96, 2)]))
    return book


def test_a_copy_has_every_counter_and_goes_on_alike() -> None:
    book = busy()
    assert counters(book) == {
        "applied": 3, "ignored": 1, "overlaps": 1, "absent": 1, "pruned": 2, "snapshots": 1,
        "not_buffered": 2, "buffered": 1,
    }  # fmt: skip
    for other in (book.copy(), pickle.loads(pickle.dumps(book))):
        assert other.content() == book.content()
        assert counters(other) == counters(book)
        assert (other.reason, other.event_time) == (book.reason, book.event_time)
        assert (other.max_levels, other.max_buffer, other.on_error) == (3, 2, "mark")
        assert other.apply_snapshot(snapshot(110, [(9, 1)]))
        assert other.update_id == 111
    assert book.state == "stale"


def test_a_copy_knows_what_the_last_diff_touched() -> None:
    book = live()
    book.apply(diff(101, 104, [(98, 1)], [(101, 0)]))
    amid = depth20(102, [(99, 5), (98, 3), (95, 7)], [(101, 1), (102, 2), (110, 3)])
    assert book.compare(amid) == book.copy().compare(amid) == (4, 4)
    book.adopt(live())
    assert book.compare(amid) is None


def test_what_is_adopted_is_the_content_and_no_counter() -> None:
    book, other = live(on_error="mark"), busy()
    before = counters(book)
    book.adopt(other)
    assert counters(book) == {**before, "buffered": 1}
    assert (book.state, book.reason, book.update_id) == ("stale", other.reason, 104)
    assert (book.checksum(), book.event_time) == (other.checksum(), other.event_time)
    assert (book.bids_known_to, book.asks_known_to) == (other.bids_known_to, other.asks_known_to)
    other.apply(diff(112, 112))
    assert book.buffered == 1
    marked = live()
    marked.mark("somebody says so")
    book.adopt(marked)
    assert (book.state, book.reason, book.buffered) == ("stale", "somebody says so", 0)
    with pytest.raises(ValueError, match="a book of ETHUSDT, and this one is of BTCUSDT"):
        book.adopt(OrderBook("ethusdt"))


def test_a_mark_stays_until_a_snapshot() -> None:
    book = live()
    book.mark("somebody says so")
    assert (book.state, book.reason, book.best_bid) == ("stale", "somebody says so", (99, 5))
    assert not book.apply(diff(101, 101, [(99, 6)]))
    assert book.apply_snapshot(snapshot(100, [(99, 5)]))
    assert (book.state, book.reason, book.best_bid) == ("live", None, (99, 6))


def test_depth20_that_is_shown_has_its_id_and_time() -> None:
    book = OrderBook("btcusdt", on_error="mark")
    assert book.show(depth20(50, [(9, 1)], [(11, 2)], (-3, -7)))
    assert (book.update_id, book.event_time) == (50, 7000)
    assert (book.price_exponent, book.qty_exponent) == (-3, -7)
    assert not book.show(depth20(51, [(9, 1)], [(9, 2)]))
    assert book.reason == "depth20 51: the best bid is not below the best ask"
    assert (book.update_id, book.state, book.best_bid) == (50, "syncing", (9, 1))
    for name in ("show", "compare"):
        with pytest.raises(ValueError, match="of BTCUSDT, and the book is of ETHUSDT"):
            getattr(OrderBook("ethusdt"), name)(depth20(1))
