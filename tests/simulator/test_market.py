"""The market of the local exchange: one seed, one market; and what each kind of order does."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from test_simulator import history

from binance_sbe.simulator import Market
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades


@pytest.mark.parametrize(
    ("symbol", "seed", "events", "digest"),
    [
        ("btcusdt", 0, 1519, "e2d25909966d8cc8"),
        ("pepeusdt", 3, 1493, "e12ff934e34b6924"),
        ("other", 5, 1613, "1165694da2b9fcce"),
    ],
)
def test_a_seed_is_the_same_market_for_ever(
    symbol: str, seed: int, events: int, digest: str
) -> None:
    """A run is told by its seed: who changes the market on purpose writes down the new ones."""
    found = history(symbol, seed, 2000)
    assert len(found) == events
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("symbol", "exponent", "price"),
    [
        ("btcusdt", -2, 94_123.45), ("BTCUSDT", -2, 94_123.45), ("bnbusdt", -2, 702.41),
        ("xrpusdt", -5, 2.1834), ("dogeusdt", -5, 0.31562), ("pepeusdt", -10, 0.00001874),
    ],
)  # fmt: skip
def test_a_market_starts_where_it_is_said_to(symbol: str, exponent: int, price: float) -> None:
    market = Market(symbol)
    assert market.symbol == symbol.upper()
    assert (market.price_exponent, market.qty_exponent) == (exponent, -8)
    middle = (market.best_bid + market.best_ask) / 2
    assert middle * 10.0**exponent == pytest.approx(price, rel=1e-4)
    assert (len(market.bids), len(market.asks)) == (60, 60)
    steps = {after - before for before, after in zip(sorted(market.asks), sorted(market.asks)[1:],
                                                     strict=False)}  # fmt: skip
    assert steps == {max(1, round(price * 10.0**-exponent) // 40_000)}
    assert market.best_ask - market.best_bid == 2 * steps.pop()


def test_another_symbol_starts_anywhere() -> None:
    starts = {Market(f"s{n}").best_bid for n in range(20)}
    assert len(starts) == 20
    kinds = {Market(f"s{n}").price_exponent for n in range(100)}
    assert kinds == {-2, -5}


def small() -> Market:
    """A market with few levels, whose steps are told in whole numbers."""
    market = Market("btcusdt", 1)
    market.bids, market.asks = {99: 10, 98: 20, 97: 30, 96: 40, 95: 50}, {101: 10, 102: 20, 103: 30}
    market._spread = 1
    market.diff(0)
    market.random = random.Random(1)
    return market


def state(market: Market) -> Any:
    return dict(market.bids), dict(market.asks), market.update_id


def test_a_trade_takes_the_best_levels_first_and_leaves_the_rest() -> None:
    seen = set()
    for seed in range(300):
        market = small()
        market.random = random.Random(seed)
        market._unit = 30
        market._anchor, market._range = 99, 10
        before, first_id = state(market), market.trade_id
        event = market._take(5000)
        is_sell = event.trades[0].is_buyer_maker
        side = before[0] if is_sell else before[1]
        prices = sorted(side, reverse=is_sell)[: len(event.trades)]
        assert [trade.price for trade in event.trades] == prices
        assert [trade.id for trade in event.trades] == list(
            range(first_id + 1, first_id + 1 + len(event.trades))
        )
        *whole, last = event.trades
        assert all(trade.qty == side[trade.price] for trade in whole)
        assert 0 < last.qty <= side[last.price]
        assert len(event.trades) <= 4
        left = market.bids if is_sell else market.asks
        expected = {price: qty for price, qty in side.items() if price not in prices}
        if last.qty < side[last.price]:
            expected[last.price] = side[last.price] - last.qty
        assert left == expected
        assert market.update_id == before[2] + len(event.trades)
        assert 200 <= event.event_time - event.transact_time < 900
        assert event.event_time == 5000
        assert list(market.history)[-len(event.trades):] == [
            (event.transact_time, trade) for trade in event.trades
        ]  # fmt: skip
        seen.add((is_sell, len(event.trades)))
    assert {(True, 1), (False, 1), (True, 4), (False, 3)} <= seen


@pytest.mark.parametrize(("anchor", "sells"), [(99 + 50, 0.1), (99, 0.5), (99 - 50, 0.9)])
def test_trades_lead_back_to_where_the_market_began(anchor: int, sells: float) -> None:
    market = small()
    market._anchor, market._range = anchor, 10
    made = 0
    for _ in range(2000):
        market.bids, market.asks = {99: 10**15}, {101: 10**15}
        made += market._take(0).trades[0].is_buyer_maker
    assert made / 2000 == pytest.approx(sells, abs=0.04)


def test_an_order_rests_at_inside_or_behind_the_best_price() -> None:
    places = set()
    for seed in range(500):
        market = small()
        market.random = random.Random(seed)
        before = state(market)
        market._rest()
        changed = [
            (is_bid, price, side[price] - old.get(price, 0))
            for is_bid, side in ((True, market.bids), (False, market.asks))
            for old in [before[0 if is_bid else 1]]
            for price in side
            if side[price] != old.get(price, 0)
        ]  # fmt: skip
        ((is_bid, price, added),) = changed
        assert added > 0
        assert market.best_bid < market.best_ask
        assert market.update_id == before[2] + 1
        places.add((is_bid, price))
    assert {(True, 100), (True, 99), (True, 90), (False, 100), (False, 101), (False, 105)} <= places


def test_a_cancelled_order_leaves_half_or_nothing() -> None:
    seen = set()
    for seed in range(300):
        market = small()
        market.random = random.Random(seed)
        before = state(market)
        market._cancel()
        for side, old in ((market.bids, before[0]), (market.asks, before[1])):
            for price, qty in old.items():
                if side.get(price) != qty:
                    assert side.get(price, 0) in (0, qty // 2)
                    seen.add((price, side.get(price, 0)))
        assert market.update_id == before[2] + 1
    assert {(99, 0), (99, 5), (95, 0), (95, 25), (101, 0), (103, 15)} <= seen


def test_both_sides_are_kept_between_half_and_twice_their_depth() -> None:
    market = small()
    market._refill()
    assert (len(market.bids), len(market.asks)) == (30, 30)
    assert sorted(market.asks)[3:] == list(range(104, 131))
    for n in range(200):
        market._set(True, 50 - n, 1)
        market._set(False, 200 + n, 1)
    market._refill()
    assert (len(market.bids), len(market.asks)) == (120, 120)
    assert (min(market.bids), max(market.asks)) == (-39, 289)
    market.bids.clear()
    market._refill()
    assert (market.best_bid, len(market.bids)) == (98, 30)
    market.asks.clear()
    market._refill()
    assert (market.best_ask, len(market.asks)) == (101, 30)


def test_a_step_tells_of_a_new_best_price_or_quantity() -> None:
    market = Market("btcusdt", 4)
    told = 0
    for now in range(2000):
        top = market._top()
        events = market.step(now)
        bests = [each for each in events if isinstance(each, BestBidAsk)]
        assert len(bests) == (market._top() != top)
        if bests:
            ((bid, ask),) = ((each.bid, each.ask) for each in bests)
            assert (bid, ask) == market._top()
            assert bests == [events[-1]]
            assert (bests[0].event_time, bests[0].update_id) == (now, market.update_id)
            told += 1
    assert 500 < told < 1700


def test_a_diff_has_every_change_since_the_last_once() -> None:
    market = small()
    market._set(True, 99, 11)
    market._set(True, 98, 0)
    market._set(False, 104, 7)
    market._set(True, 99, 12)
    diff = market.diff(77)
    assert diff is not None
    assert diff == Diff("BTCUSDT", -2, -8, 77, market.update_id - 3, market.update_id,
                        ((99, 12), (98, 0)), ((104, 7),))  # fmt: skip
    assert market.diff(78) is None
    market._set(False, 101, 1)
    market._set(False, 104, 0)
    assert market.diff(79) == Diff("BTCUSDT", -2, -8, 79, diff.last_update_id + 1,
                                   diff.last_update_id + 2, (), ((101, 1), (104, 0)))  # fmt: skip


def test_a_snapshot_has_the_best_levels() -> None:
    market = small()
    assert market.depth(5, 2) == Depth(
        "BTCUSDT", -2, -8, 5, market.update_id, ((99, 10), (98, 20)), ((101, 10), (102, 20))
    )
    assert len(Market("btcusdt").depth(5).bids) == 20


def test_trades_are_found_by_their_id() -> None:
    market = small()
    market.history.extend((n, Trade(n, 1, 1, True)) for n in range(10, 20))
    for asked, limit, found in (
        (10, 3, [10, 11, 12]), (15, 9, [15, 16, 17, 18, 19]), (0, 2, [10, 11]), (19, 1, [19]),
        (20, 5, []), (12, 0, []),
    ):  # fmt: skip
        assert [trade.id for _, trade in market.trades_from(asked, limit)] == found


# frames, byte by byte

HEAD = "{:02x}00{:02x}2701000000"
TIMES = "0500000000000000"


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (
            BestBidAsk("AB", -2, -8, 5, 7, (1, 2), (3, 4)),
            HEAD.format(50, 0x11) + TIMES + "0700000000000000" + "fef8" + "0100000000000000"
            "0200000000000000" "0300000000000000" "0400000000000000" + "024142",
        ),
        (
            Trades("A", -2, -8, 5, 6, (Trade(1, 2, 3, True), Trade(4, 5, 6, False))),
            HEAD.format(18, 0x10) + TIMES + "0600000000000000" + "fef8" + "1900" "02000000"
            "0100000000000000" "0200000000000000" "0300000000000000" "01"
            "0400000000000000" "0500000000000000" "0600000000000000" "00" + "0141",
        ),
        (
            Depth("A", -2, -8, 5, 7, ((1, 2),), ()),
            HEAD.format(18, 0x12) + TIMES + "0700000000000000" + "fef8" + "10000100"
            "0100000000000000" "0200000000000000" "10000000" + "0141",
        ),
        (
            Diff("A", -2, -8, 5, 7, 8, (), ((1, 0),)),
            HEAD.format(26, 0x13) + TIMES + "0700000000000000" "0800000000000000" + "fef8"
            "10000000" "10000100" "0100000000000000" "0000000000000000" + "0141",
        ),
    ],
)  # fmt: skip
def test_events_are_written_byte_by_byte(event: Any, frame: str) -> None:
    assert encode(event).hex() == frame.replace(" ", "")
