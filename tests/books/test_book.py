"""Order books, held against a model that is two dicts of exact numbers."""

from __future__ import annotations

import copy
import os
import pickle
import random
import sys
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rss import memory

import binance_sbe
from binance_sbe import BookError, OrderBook
from binance_sbe.rest import decode_response
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Depth, Diff
from binance_sbe.simulator.rest import depth_response

Levels = dict[Fraction, Fraction]


def ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def diff(
    first: int, last: int, bids: Any = (), asks: Any = (), exponents: tuple[int, int] = (-2, -8),
    symbol: str = "BTCUSDT",
) -> Any:  # fmt: skip
    return binance_sbe.decode(
        encode(Diff(symbol, *exponents, 7_000 + last, first, last, tuple(bids), tuple(asks)))
    )


def snapshot(
    update_id: int, bids: Any = (), asks: Any = (), exponents: tuple[int, int] = (-2, -8)
) -> Any:
    body = depth_response(Depth("", *exponents, 0, update_id, tuple(bids), tuple(asks)))
    return decode_response("application/sbe", body)


def depth20(
    update_id: int, bids: Any = (), asks: Any = (), exponents: tuple[int, int] = (-2, -8)
) -> Any:
    event = Depth("BTCUSDT", *exponents, 7_000, update_id, tuple(bids), tuple(asks))
    return binance_sbe.decode(encode(event))


def live(**options: Any) -> OrderBook:
    """A book at id 100 with three levels a side."""
    book = OrderBook("btcusdt", **options)
    assert book.apply_snapshot(
        snapshot(100, [(99, 5), (98, 6), (95, 7)], [(101, 1), (102, 2), (110, 3)])
    )
    return book


def rows(levels: Any) -> list[tuple[int, int]]:
    return [tuple(level) for level in levels.tolist()]


# by hand


def test_a_book_begins_with_a_snapshot_and_what_waited() -> None:
    book = OrderBook("btcusdt")
    assert (book.state, book.reason, book.update_id) == ("syncing", "there is no snapshot yet", -1)
    assert (book.best_bid, book.best_ask, book.mid, book.spread, book.mid_float) == (None,) * 5
    assert not book.apply(diff(90, 99, [(99, 1)]))
    assert not book.apply(diff(100, 104, [(99, 4)]))
    assert not book.apply(diff(105, 105, [], [(101, 0)]))
    assert book.buffered == 3
    assert book.apply_snapshot(snapshot(101, [(99, 5), (98, 6)], [(101, 1), (102, 2)]))
    assert (book.state, book.reason, book.update_id, book.buffered) == ("live", None, 105, 0)
    assert rows(book.bids()) == [(99, 4), (98, 6)]
    assert rows(book.asks()) == [(102, 2)]
    assert (book.applied, book.overlaps, book.snapshots, book.event_time) == (2, 1, 1, 7105)


def test_the_first_diff_may_begin_right_after_the_snapshot() -> None:
    """The procedure says that it straddles the snapshot's id; the rule for gaps says otherwise."""
    for first, is_live in ((101, True), (102, False)):
        book = OrderBook("btcusdt", on_error="mark")
        book.apply(diff(first, 110, [(99, 1)]))
        assert book.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1)])) is is_live
        assert (book.state == "live") is is_live
        if not is_live:
            assert "older than the diffs that wait, which begin at 102" in str(book.reason)
            assert book.buffered == 1
            assert book.apply_snapshot(snapshot(101, [(99, 5)], [(101, 1)]))
            assert book.update_id == 110


def test_a_gap_makes_the_book_stale_until_the_next_snapshot() -> None:
    book = live()
    assert book.apply(diff(101, 101, [(98, 0)]))
    with pytest.raises(BookError, match="BTCUSDT: updates 102 to 104 are missing before") as caught:
        book.apply(diff(105, 106, [(97, 1)]))
    assert (caught.value.symbol, book.state) == ("BTCUSDT", "stale")
    assert str(book.reason) == caught.value.reason
    assert rows(book.bids()) == [(99, 5), (95, 7)]
    assert not book.apply(diff(107, 107, [(96, 1)]))
    with pytest.raises(BookError, match="the snapshot 103 is older than the diffs that wait"):
        book.apply_snapshot(snapshot(103, [(99, 5)], [(101, 1)]))
    assert book.apply_snapshot(snapshot(104, [(99, 5)], [(101, 1)]))
    assert rows(book.bids()) == [(99, 5), (97, 1), (96, 1)]
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason


def test_a_gap_in_what_waits_makes_what_was_before_it_useless() -> None:
    book = OrderBook("btcusdt", max_buffer=3)
    for first in (1, 2, 10, 11, 11, 12, 13):
        book.apply(diff(first, first, [(first, 1)]))
    assert (book.buffered, book.not_buffered, book.ignored) == (3, 3, 1)
    with pytest.raises(BookError, match="older"):
        book.apply_snapshot(snapshot(9))
    assert book.apply_snapshot(snapshot(10))
    assert rows(book.bids()) == [(13, 1), (12, 1), (11, 1)]


def test_old_and_overlapping_diffs_are_counted() -> None:
    book = live()
    assert not book.apply(diff(99, 100, [(99, 1)]))
    assert book.apply(diff(98, 102, [(99, 2)]))
    assert (book.ignored, book.overlaps, book.update_id) == (1, 1, 102)
    assert book.best_bid == (99, 2)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (diff(101, 101, [(101, 1)]), r"crossed at id 101: the best bid is 101, the best ask 101"),
        (diff(101, 101, [(97, -4)]), "a bid at 97 has the quantity -4"),
        (diff(101, 101, [], [(0, 4)]), "an ask has the price 0"),
        (diff(101, 101, [(-3, 4)]), "a bid has the price -3"),
        (diff(102, 101), "a diff has the ids 102 to 101"),
        (diff(101, 101, [(2**62, 1)], exponents=(0, -8)), "beyond 64 bits"),
        (diff(101, 101, [(1, 1)], exponents=(-2, -40)), "beyond 64 bits"),
        (diff(101, 101, [(1, 1)], exponents=(100, -8)), "beyond 64 bits"),
    ],
)  # fmt: skip
def test_what_can_not_be_right_is_never_applied(event: Any, reason: str) -> None:
    book = live()
    before = rows(book.bids()), rows(book.asks()), book.price_exponent
    with pytest.raises(BookError, match=reason):
        book.apply(event)
    assert book.state == "stale"
    if "crossed" not in reason:
        assert (rows(book.bids()), rows(book.asks()), book.price_exponent) == before
    marked = live(on_error="mark")
    assert marked.apply(event) is False
    assert (marked.state, marked.buffered) == ("stale", 0)
    assert marked.reason == book.reason
    assert marked.apply_snapshot(snapshot(200, [(99, 5)], [(101, 1)]))
    assert marked.apply(diff(201, 201))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (snapshot(200, [(98, 1), (99, 1)]), "the bids are not in order"),
        (snapshot(200, [(98, 1), (98, 1)]), "the bids are not in order"),
        (snapshot(200, [(9, 1)], [(99, 1), (98, 1)]), "the asks are not in order"),
        (snapshot(200, [(98, 0)]), "a quantity is not above 0"),
        (snapshot(200, [(98, 1)], [(0, 1)]), "a price is not above 0"),
        (snapshot(200, [(98, 1)], [(98, 1)]), "the best bid is not below the best ask"),
        (snapshot(99, [(98, 1)]), "older than the book"),
    ],
)
def test_a_snapshot_that_can_not_be_right_changes_nothing(given: Any, reason: str) -> None:
    book = live()
    with pytest.raises(BookError, match=reason):
        book.apply_snapshot(given)
    assert (book.state, book.update_id, book.best_bid) == ("live", 100, (99, 5))
    marked = live(on_error="mark")
    assert marked.apply_snapshot(given) is False
    assert marked.apply(diff(101, 101, [(99, 8)]))


def test_absent_levels_are_no_matter_but_are_counted() -> None:
    book = live()
    assert book.apply(diff(101, 101, [(50, 0), (99, 0)], [(105, 0)]))
    assert book.absent == 2
    assert rows(book.bids()) == [(98, 6), (95, 7)]


def test_exponents_may_differ_and_nothing_is_rounded() -> None:
    book = live()
    assert book.apply(diff(101, 101, [(9, 5)], exponents=(-1, -8)))  # coarser: 0.9 is 90
    assert rows(book.bids()) == [(99, 5), (98, 6), (95, 7), (90, 5)]
    assert book.apply(diff(102, 102, [(9_800, 600)], exponents=(-4, -10)))  # finer, but exact
    assert (book.price_exponent, book.qty_exponent) == (-2, -8)
    assert book.apply(diff(103, 103, [(98_001, 5)], exponents=(-5, -8)))
    assert (book.price_exponent, book.qty_exponent) == (-5, -8)
    assert rows(book.bids(3)) == [(99_000, 5), (98_001, 5), (98_000, 6)]
    assert rows(book.asks(1)) == [(101_000, 1)]
    assert book.asks_known_to == 110_000
    assert book.apply(diff(104, 104, [(97_000, 51)], exponents=(-5, -9)))
    assert book.qty_exponent == -9
    assert book.best_bid == (99_000, 50)
    assert book.best_bid_float == (0.99, 5e-8)
    assert book.bids_float(1)["price"][0] == 0.99


def test_levels_that_the_snapshot_did_not_reach_are_unproven() -> None:
    book = live()
    assert (book.bids_known_to, book.asks_known_to) == (95, 110)
    assert book.bids().proven == 3
    book.apply(diff(101, 101, [(90, 1), (96, 1)], [(120, 4)]))
    assert (book.bids().proven, len(book.bids())) == (4, 5)
    assert book.bids(2).proven == 2
    assert book.bids()[:2].proven is None
    assert book.volume_to(95) == 5 + 6 + 1 + 7
    with pytest.raises(
        BookError, match="not all levels up to 94 are known: of the bids those down to 95"
    ):
        book.volume_to(94)
    assert book.volume_to(110) == 6
    with pytest.raises(
        BookError, match="not all levels up to 115 are known: .* asks those up to 110"
    ):
        book.volume_to(115)
    whole = OrderBook("btcusdt")
    whole.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1)]), limit=5)
    whole.apply(diff(101, 101, [(3, 2)]))
    assert whole.bids().proven == 2
    assert whole.volume_to(1) == 7
    assert whole.bids_known_to is None


def test_the_worst_levels_are_pruned() -> None:
    book = OrderBook("btcusdt", max_levels=8)
    book.apply_snapshot(snapshot(0, [], [(10_000, 1)]), limit=5000)
    for i in range(1, 100):
        book.apply(diff(i, i, [(i, i)]))
        assert len(book.bids()) <= 10
        assert book.bids().proven == len(book.bids())
        assert book.best_bid == (i, i)
    assert (book.pruned, len(book.bids()), book.bids_known_to) == (90, 9, 91)
    assert book.asks_known_to is None  # the snapshot had them all, and none was pruned


def test_volumes_and_sweeps() -> None:
    book = live()
    assert [book.volume_to(price) for price in (101, 105, 100, 99, 98, 97)] == [1, 3, 0, 5, 11, 11]
    assert book.sweep(1) == 101.0
    assert book.sweep(3) == (101 + 2 * 102) / 3
    assert book.sweep(5, "sell") == 99.0
    assert book.sweep(8, side="sell") == (5 * 99 + 3 * 98) / 8
    assert book.sweep_float(3e-8) == 305 / 300
    assert book.sweep_float(1.5e-8) == float(
        (Fraction(101) + Fraction(102, 2)) / Fraction(3, 2) / 100
    )
    assert book.volume_to_float(1.02) == 3e-8
    assert book.volume_to_float(1.019) == 1e-8
    assert book.volume_to_float(0.981) == 5e-8
    with pytest.raises(BookError, match="the 3 levels with none missing between have 6, not 7"):
        book.sweep(7)
    with pytest.raises(ValueError, match="side is 'buy' or 'sell', not 'up'"):
        book.sweep(1, "up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than nothing"):
        book.sweep(0)
    assert (book.mid, book.mid_float, book.spread, book.spread_float) == (100.0, 1.0, 2, 0.02)


def test_depth20_is_shown_while_there_is_no_snapshot() -> None:
    book = OrderBook("btcusdt")
    assert book.show(depth20(50, [(9, 1), (8, 1)], [(11, 2)]))
    assert (book.state, book.update_id, rows(book.bids())) == ("syncing", 50, [(9, 1), (8, 1)])
    assert book.bids(1).proven == 1
    assert not book.apply(diff(51, 52, [(9, 3)]))
    assert book.apply_snapshot(snapshot(51, [(9, 2)], [(12, 2)]))
    assert (book.best_bid, book.best_ask) == ((9, 3), (12, 2))
    assert not book.show(depth20(60, [(1, 1)], []))
    assert book.best_bid == (9, 3)
    with pytest.raises(BookError, match="depth20 70: the bids are not in order"):
        OrderBook("btcusdt").show(depth20(70, [(1, 1), (2, 2)]))


def test_a_book_is_compared_with_depth20_of_the_same_moment() -> None:
    book = live()
    bids, asks = [(99, 5), (98, 6), (95, 7)], [(101, 1), (102, 2), (110, 3)]
    assert book.compare(depth20(101, bids, asks)) is None
    assert book.compare(depth20(100, bids, asks)) == (6, 6)
    assert book.compare(depth20(100, bids, [(101, 1), (102, 3), (110, 3)])) == (6, 5)
    assert book.compare(depth20(100, [(99, 5), (96, 1), (95, 7)], asks)) == (7, 5)
    # a side of fewer than 20 levels says that there are no others
    assert book.compare(depth20(100, bids[:2], asks)) == (6, 5)
    assert book.compare(depth20(100)) == (6, 0)
    # what is beyond the snapshot is left out
    assert book.compare(depth20(100, [*bids, (94, 5)], [*asks, (111, 1)])) == (6, 6)
    assert book.copy().compare(depth20(100, bids, [*asks, (2**62, 1)])) == (6, 6)
    # exponents: the book takes those that say more
    fine = [[(p * 10, q * 10) for p, q in side] for side in (bids, asks)]
    assert book.compare(depth20(100, *fine, (-3, -9))) == (6, 6)
    assert (book.price_exponent, book.qty_exponent) == (-3, -9)
    assert book.compare(depth20(100, [(9901, 5), *[(p * 100, q) for p, q in bids]], [], (-4, -8)))
    assert live().compare(depth20(100, bids, asks, (-30, -8))) is None
    assert live().compare(depth20(100, [(2**62, 1)], [], (0, 0))) is None
    # amid a diff what it touched is left out
    book = live()
    book.apply(diff(101, 104, [(98, 1), (97, 4)], [(101, 0)]))
    assert book.compare(depth20(100, bids, asks)) is None
    amid = depth20(102, [(99, 5), (98, 3), (95, 7)], asks)
    assert book.compare(amid) == (4, 4)
    assert book.compare(depth20(102, [(99, 4), (95, 7)], [(102, 2), (103, 1), (110, 3)])) == (5, 3)
    with pytest.raises(ValueError, match="of BTCUSDT, and the book is of ETHUSDT"):
        OrderBook("ethusdt").apply(diff(1, 2))


def test_a_snapshot_that_is_refused_leaves_the_book_as_it_was() -> None:
    book = live(on_error="mark")
    book.apply(diff(101, 105, [(99, 50)]))
    event = depth20(103, [(99, 5), (98, 6), (95, 7)], [(101, 1), (102, 2), (110, 3)])
    assert book.compare(event) == (5, 5)
    assert not book.apply_snapshot(snapshot(106, [(200, 50)], [(101, 1)]))
    assert book.compare(event) in (None, (5, 5))
    assert (book.state, book.best_bid) == ("live", (99, 50))


def test_an_exchange_that_counts_anew_is_noticed() -> None:
    book = live(on_error="mark")
    book.apply(diff(101, 105))
    assert not book.apply(diff(99, 99))  # old: an earlier time
    assert book.state == "live"
    event = Diff("BTCUSDT", -2, -8, 9_000_000, 1, 2, ((50, 1),), ())
    assert not book.apply(binance_sbe.decode(encode(event)))
    assert (book.state, book.buffered) == ("stale", 1)
    assert book.reason == (
        "the ids went back from 105 to 2, at a later time: the exchange counts anew"
    )
    assert book.apply_snapshot(snapshot(0, [(49, 1)]))
    assert (book.update_id, book.best_bid) == (2, (50, 1))
    waiting = OrderBook("btcusdt")
    waiting.apply(diff(200, 201))
    waiting.apply(binance_sbe.decode(encode(event)))
    assert (waiting.buffered, waiting.not_buffered) == (1, 1)
    assert waiting.apply_snapshot(snapshot(0))


def test_what_comes_after_a_failure_waits_for_the_next_snapshot() -> None:
    frames = [bytes(diff(i, i, [(i - 50, 1)])) for i in (101, 105, 106, 107)]
    book = live()
    with pytest.raises(BookError, match="updates 102 to 104 are missing"):
        book.apply_many(binance_sbe.decode_many(frames))
    assert (book.update_id, book.buffered) == (101, 3)
    assert book.apply_snapshot(snapshot(104, [(1, 1)]))
    assert book.update_id == 107
    for on_error in ("mark", "raise"):
        book = OrderBook("btcusdt", on_error=on_error)
        for i in range(101, 110):
            book.apply(diff(i, i, [(300 if i == 103 else 50, 1)]))
        if on_error == "mark":
            assert not book.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1)]))
        else:
            with pytest.raises(BookError, match="crossed at id 103"):
                book.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1)]))
        assert (book.state, book.buffered, book.not_buffered) == ("stale", 6, 0)
        assert "300, the best ask 101 (x 10^-2)" in str(book.reason)
        book.show(depth20(1, [(5, 1)], [], (-9, -8)))
        assert "300, the best ask 101 (x 10^-2)" in str(book.reason)


def test_volumes_are_not_guessed_where_nothing_is_known() -> None:
    book = OrderBook("btcusdt")
    with pytest.raises(BookError, match="there is no snapshot yet"):
        book.volume_to(1)
    book.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1), (102, 2), (103, 3)]))
    book.apply(diff(101, 101, [], [(101, 0), (102, 0), (103, 0)]))
    assert book.volume_to(103) == 0  # all of them are known to be gone
    for price in (104, 500, 98):
        with pytest.raises(BookError, match=f"not all levels up to {price} are known"):
            book.volume_to(price)
    book.apply(diff(102, 102, [(50, 1), (99, 0)], [(300, 1)]))
    for price in (300, 200, 60, 50):
        with pytest.raises(BookError, match="not all levels"):
            book.volume_to(price)
    assert live().volume_to_float(1.005) == live().volume_to_float(0.995) == 0.0
    assert live().volume_to_float(1.01) == 1e-8
    for call in (lambda: live().volume_to(99.5), lambda: live().sweep(1.5)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a mantissa is an int, not"):
            call()
    for odd in (float("nan"), "much"):
        with pytest.raises(ValueError, match="is not a number"):
            live().sweep_float(odd)  # type: ignore[arg-type]


def test_levels_that_are_gone_are_not_in_the_way() -> None:
    book = OrderBook("btcusdt")
    book.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1), (9 * 10**18, 2)]))
    book.apply(diff(101, 101, [], [(9 * 10**18, 0)]))
    with pytest.raises(BookError, match="64 bits"):  # the snapshot said where it ends
        book.apply(diff(102, 102, [(985, 1)], exponents=(-3, -8)))
    whole = OrderBook("btcusdt")
    whole.apply_snapshot(snapshot(100, [(99, 5)], [(101, 1), (9 * 10**18, 2)]), limit=5)
    whole.apply(diff(101, 101, [], [(9 * 10**18, 0)]))
    assert whole.apply(diff(102, 102, [(985, 1)], exponents=(-3, -8)))
    high = OrderBook("btcusdt")
    high.apply_snapshot(snapshot(100, [(10, 5)], [], (127, 0)))
    assert isinstance(high.checksum(), int)


def test_content_that_no_book_has_is_refused() -> None:
    book = live()
    (numbers, sides, touched, bids), own = book.content()
    (edge, levels), asks = sides
    for content in (
        (numbers, sides, b"x" * 15, 0),
        (numbers, sides, b"x" * 16, 2),
        (numbers, sides, b"", -1),
        (numbers, [(edge, levels[:31]), asks], touched, bids),
        (numbers, [(edge, levels[16:] + levels[:16]), asks], touched, bids),
        (numbers, [(edge, levels[:8] + bytes(8)), asks], touched, bids),
        ((*numbers[:4], 7, *numbers[5:]), sides, touched, bids),
        ((*numbers[:5], 99, *numbers[6:]), sides, touched, bids),
    ):
        with pytest.raises(ValueError, match="not the content of a book"):
            OrderBook("btcusdt").restore((content, own))
    with pytest.raises(TypeError):
        OrderBook("btcusdt").restore(((numbers, sides, bytearray(16), 0), own))

    odd: Any = SimpleNamespace(
        last_update_id=1,
        price_exponent=0,
        qty_exponent=0,
        asks={"price": np.empty(0, "i8"), "qty": np.empty(0, "i8")},
        bids={"price": np.arange(1000, 0, -1), "qty": np.ones(999, "i8")},
    )
    with pytest.raises(ValueError, match="as many prices as quantities"):
        OrderBook("btcusdt").apply_snapshot(odd)
    odd.bids["qty"] = np.ones(1000, "i8")
    whole = OrderBook("btcusdt")
    assert whole.apply_snapshot(odd)
    assert len(whole.bids()) == 1000


def test_copies_are_independent_and_equal() -> None:
    book = live()
    book.apply(diff(101, 103, [(97, 1)], [(101, 0)]))
    stale = live(on_error="mark")
    stale.apply(diff(200, 201, [(50, 1)]))
    for one in (book, stale, OrderBook("btcusdt", max_buffer=7)):
        for other in (
            one.copy(),
            copy.copy(one),
            copy.deepcopy(one),
            pickle.loads(pickle.dumps(one)),
        ):
            assert repr(other) == repr(one)
            assert (other.reason, other.buffered) == (one.reason, one.buffered)
            assert other.checksum() == one.checksum()
            assert (other.max_buffer, other.on_error) == (one.max_buffer, one.on_error)
    other = book.copy()
    assert other.apply(diff(104, 104, [(99, 0)]))
    assert book.best_bid == (99, 5)
    assert book.compare_book(other) is None
    assert book.apply(diff(104, 104, [(99, 1)]))
    assert book.compare_book(other) == (6, 5)
    assert book.checksum() != other.checksum()
    assert book.compare(depth20(103, [(99, 5)])) is None


def test_a_checksum_is_of_what_levels_are_worth() -> None:
    one = live()
    other = OrderBook("btcusdt")
    other.apply_snapshot(
        snapshot(100, [(9900, 50), (9800, 60), (9500, 70)], [(10100, 10), (10200, 20), (11000, 30)],
                 (-4, -9))
    )  # fmt: skip
    assert one.checksum() == other.checksum()
    assert one.compare_book(other) == (6, 6)
    assert one.checksum(1) == other.checksum(1) != one.checksum()
    assert live().checksum(0) == OrderBook("x").checksum()


def test_batches_are_applied_in_order_and_other_symbols_left_out() -> None:
    frames = [
        bytes(diff(99, 100, [(99, 9)])),
        bytes(diff(101, 102, [(99, 9)], [(103, 4), (104, 4)])),
        bytes(diff(101, 102, [(99, 7)], symbol="ETHUSDT")),
        bytes(diff(103, 103, [(98, 0), (97, 2)], exponents=(-2, -8))),
    ]
    book = live()
    assert book.apply_many(binance_sbe.decode_many(frames)) == 2
    one = live()
    for frame in (frames[0], frames[1], frames[3]):
        one.apply(binance_sbe.decode(frame))
    assert repr(one) == repr(book)
    assert one.checksum() == book.checksum()
    waiting = OrderBook("btcusdt")
    assert waiting.apply_many(binance_sbe.decode_many(frames)) == 0
    assert waiting.buffered == 3
    waiting.apply_snapshot(
        snapshot(100, [(99, 5), (98, 6), (95, 7)], [(101, 1), (102, 2), (110, 3)])
    )
    assert waiting.checksum() == book.checksum()
    with pytest.raises(BookError, match="updates 104 to 104 are missing"):
        book.apply_many(binance_sbe.decode_many([bytes(diff(105, 105, [(1, 1)]))]))
    assert book.buffered == 1
    assert OrderBook("solusdt").apply_many(binance_sbe.decode_many(frames)) == 0


def test_wrong_arguments_are_refused() -> None:
    for options in ({"on_error": "ignore"}, {"max_levels": 0}, {"max_buffer": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            OrderBook("btcusdt", **options)
    with pytest.raises(ValueError, match="symbol"):
        OrderBook("")
    with pytest.raises(TypeError):
        OrderBook(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="DepthDiffStreamEvent"):
        OrderBook("btcusdt").apply(depth20(1))
    unmade = binance_sbe.DepthDiffStreamEvent.__new__(binance_sbe.DepthDiffStreamEvent)
    with pytest.raises(TypeError, match="was not made by decode"):
        OrderBook("btcusdt").apply(unmade)
    with pytest.raises(ValueError, match="limit"):
        live().apply_snapshot(snapshot(200), limit=0)
    with pytest.raises(ValueError, match="n is a number"):
        live().bids(-1)
    with pytest.raises(TypeError, match="a snapshot is a DepthResponse, not DepthSnapshotStream"):
        live().apply_snapshot(depth20(1))


def test_levels_are_copies() -> None:
    book = live()
    levels = book.bids()
    levels["qty"] = 0
    assert book.best_bid == (99, 5)
    assert live().bids(0).shape == (0,)
    del book
    assert levels["price"].tolist() == [99, 98, 95]


# histories


class History(NamedTuple):
    """A true market: the changes that ids stand for, and the book after each."""

    begin: int
    changes: list[tuple[bool, Fraction, Fraction]]
    books: list[tuple[Levels, Levels]]


def history(chance: random.Random, count: int) -> History:
    bids = {Fraction(100 - i, 100): Fraction(chance.randrange(1, 50)) for i in range(12)}
    asks = {Fraction(101 + i, 100): Fraction(chance.randrange(1, 50)) for i in range(12)}
    changes, books = [], [(dict(bids), dict(asks))]
    while len(changes) < count:
        is_bid = chance.random() < 0.5
        side, other = (bids, asks) if is_bid else (asks, bids)
        price = Fraction(chance.randrange(80_000, 121_000) // 100, 1000)
        if chance.random() < 0.6 and side:
            price = chance.choice(list(side))
        qty = Fraction(chance.choice((0, 0, 1, 7, 10, 25, 300)), chance.choice((1, 10)))
        if qty and other and (price >= min(other) if is_bid else price <= max(other)):
            continue
        if qty:
            side[price] = qty
        else:
            side.pop(price, None)
        changes.append((is_bid, price, qty))
        books.append((dict(bids), dict(asks)))
    return History(1000, changes, books)


def encoded(levels: Levels, exponents: tuple[int, int], best_first: int) -> list[tuple[int, int]]:
    found = []
    for price in sorted(levels, reverse=best_first < 0):
        pair = price / ten(exponents[0]), levels[price] / ten(exponents[1])
        assert all(number.denominator == 1 for number in pair)
        found.append((int(pair[0]), int(pair[1])))
    return found


def exponents_of(chance: random.Random) -> tuple[int, int]:
    return chance.choice((-3, -3, -4, -8)), chance.choice((-1, -1, -2, -8))


def diff_of(past: History, chance: random.Random, first: int, last: int) -> Any:
    """The changes with ids from ``first`` to ``last`` as a diff: levels as they are at the end."""
    bids: Levels = {}
    asks: Levels = {}
    for is_bid, price, qty in past.changes[first - past.begin - 1 : last - past.begin]:
        (bids if is_bid else asks)[price] = qty
    exponents = exponents_of(chance)
    sides = encoded(bids, exponents, -1), encoded(asks, exponents, 1)
    for side in sides:
        if chance.random() < 0.2:
            chance.shuffle(side)
    return diff(first, last, *sides, exponents)


def check_true(book: OrderBook, past: History) -> None:
    """All that is proven is the truth and all of it; what else is there is true as well."""
    truth = past.books[book.update_id - past.begin]
    sides = (book.bids(), book.bids_known_to, 1), (book.asks(), book.asks_known_to, -1)
    for (levels, known_to, sign), true in zip(sides, truth, strict=True):
        got = {
            price * ten(book.price_exponent): qty * ten(book.qty_exponent)
            for price, qty in levels.tolist()
        }
        assert len(got) == len(levels)
        assert list(got) == sorted(got, reverse=sign > 0)
        assert got.items() <= true.items()
        edge = None if known_to is None else known_to * ten(book.price_exponent)
        known = {p: q for p, q in true.items() if edge is None or p * sign >= edge * sign}
        assert {p: q for p, q in got.items() if p in known} == known
        assert levels.proven == len(known)


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([None, 3, 8, 1000]))
def test_a_book_is_true_after_every_event_or_says_that_it_is_not(
    seed: int, count: int, limit: int | None
) -> None:
    chance = random.Random(seed)
    past = history(chance, count)
    end = past.begin + count
    book = OrderBook("btcusdt", on_error="mark", max_levels=chance.choice((5, 10_000)))
    last = past.begin + chance.randrange(count + 1)
    while last < end or book.state != "live":
        if (book.state != "live" and chance.random() < 0.4) or last == end:
            at = chance.randrange(max(past.begin, last - 15), min(end, last + 3) + 1)
            most = limit or 4
            exponents = exponents_of(chance)
            sides = [
                encoded(side, exponents, way)[:most]
                for side, way in zip(past.books[at - past.begin], (-1, 1), strict=True)
            ]
            before = book.state, book.update_id
            if not book.apply_snapshot(snapshot(at, *sides, exponents), limit):
                assert (book.state, book.update_id) == before
                assert before[0] != "live"
                if last == end and at < end:
                    continue
        if last < end:
            first = last + 1
            if chance.random() < 0.15:
                first = chance.randrange(past.begin + 1, last + 2)  # what came before, again
            elif chance.random() < 0.1:
                first = chance.randrange(last + 1, end + 1)  # a gap
            last = max(last, chance.randrange(first, min(end, first + 12) + 1))
            event = diff_of(past, chance, first, max(first, last))
            state = book.state
            at = book.update_id
            applied = book.apply(event)
            if state == "live":
                assert (book.state == "stale") == (first > at + 1)
                assert applied == (at < event.last_book_update_id and first <= at + 1)
        if book.state == "live":
            check_true(book, past)
            assert pickle.loads(pickle.dumps(book)).checksum() == book.checksum()
    check_true(book, past)


@given(st.integers(0, 2**32))
def test_a_book_agrees_with_every_depth20_of_its_market(seed: int) -> None:
    chance = random.Random(seed)
    past = history(chance, 40)
    book = OrderBook("btcusdt")
    exponents = (-3, -1)
    start = [
        encoded(side, exponents, way) for side, way in zip(past.books[0], (-1, 1), strict=True)
    ]
    book.apply_snapshot(snapshot(past.begin, *start, exponents), limit=1000)
    while book.update_id < past.begin + 40:
        first = book.update_id + 1
        last = min(past.begin + 40, first + chance.randrange(8))
        book.apply(diff_of(past, chance, first, last))
        for at in range(first, last + 1):
            sides = [
                encoded(side, exponents, way)[:20]
                for side, way in zip(past.books[at - past.begin], (-1, 1), strict=True)
            ]
            found = book.compare(depth20(at, *sides, exponents))
            assert found is not None
            assert found.levels == found.agreed
            if at == last:
                assert found.levels == len(sides[0]) + len(sides[1])


def test_large_books_are_what_a_dict_is() -> None:
    chance = random.Random(5)
    book = OrderBook("btcusdt")
    bids = {price: chance.randrange(1, 99) for price in range(1, 5001)}
    book.apply_snapshot(snapshot(0, sorted(bids.items(), reverse=True), [(10_000, 1)]), limit=9999)
    for i in range(1, 400):
        changed = [
            (min(9_999, max(1, int(5000 - chance.expovariate(0.01)))), chance.randrange(3))
            for _ in range(chance.randrange(60))
        ]
        book.apply(diff(i, i, changed))
        for price, qty in changed:
            bids[price] = qty
            if not qty:
                del bids[price]
    assert rows(book.bids()) == sorted(bids.items(), reverse=True)
    assert np.array_equal(book.bids(7), book.bids()[:7])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(
    "sanitize" in os.environ.get("SBE_BUILD", ""), reason="the sanitizer keeps what was given back"
)
def test_memory_stays_as_it_is_while_the_market_moves() -> None:
    """Prices rise by a tick a diff, so that every level is new, and none comes again."""
    book = OrderBook("btcusdt", max_levels=500)
    book.apply_snapshot(snapshot(0, [(1000, 1)], [(1002, 1)]), limit=5000)
    sizes = []
    for i in range(1, 60_001):
        ask = 1002 + i
        book.apply(diff(i, i, [(1000 + i, i), (1000 + i - 700, 0)], [(ask, 1), (ask - 1, 0)]))
        if i % 20_000 == 0:
            sizes.append(memory())
            assert len(book.bids()) <= 625
            assert book.best_ask == (ask, 1)
    assert book.pruned > 50_000
    assert sizes[-1] - sizes[0] < 2 * 2**20
