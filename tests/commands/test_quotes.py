"""What streams say of a market: best prices by their source, last trades, and counts."""

from __future__ import annotations

from typing import Any

import pytest
from markets import batch_of, everything, market_of, trades

from binance_sbe import spot_stream
from binance_sbe.commands import (
    quotes,
    watchlist,
)
from binance_sbe.commands.quotes import DIFFS, NOWHERE, SNAPSHOTS, TOP, Market, Quote
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff


def test_what_came_is_counted() -> None:
    market = market_of(*everything(), *everything())
    market.update(batch_of(everything()[1]))
    market.update(batch_of())
    assert (market.batches, market.rejected) == (3, 2)
    assert {kind.__name__: n for kind, n in market.rows.items()} == {
        "BestBidAskStreamEvent": 2, "TradesStreamEvent": 3,
        "DepthDiffStreamEvent": 2, "DepthSnapshotStreamEvent": 2,
    }  # fmt: skip
    assert {name: n for (_, name), n in market.entries.items() if name == "trades"} == {"trades": 6}
    assert {symbol: line.messages for symbol, line in market.quotes.items()} == {
        "BTCUSDT": 5, "ETHUSDT": 2, "XRPUSDT": 2,
    }  # fmt: skip
    first = market.first[spot_stream.TradesStreamEvent]
    assert len(first) == 2


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        # the last trade of a message, the last message of a batch; none of an empty one
        ([trades((1, 10**8, True), (2, 10**8, False))], ("", "", "buy 1.0000000 at 0.02")),
        ([trades((1, 10**8, False)), trades((3, 10**8, True))], ("", "", "sell 1.0000000 at 0.03")),
        ([trades((1, 10**8, False)), trades()], ("", "", "")),
        # the best level of a snapshot, and nothing where a side has none
        ([Depth("BTCUSDT", -2, -8, 1, 1, ((9, 1), (8, 1)), ((11, 1), (12, 1)))],
         ("0.09", "0.11", "")),
        ([Depth("BTCUSDT", -2, -8, 1, 1, (), ((11, 1),))], ("", "0.11", "")),
        ([Depth("BTCUSDT", -2, -8, 1, 1, ((9, 1),), ()), Depth("BTCUSDT", -2, -8, 1, 2, (), ())],
         ("", "", "")),
        # the last of several
        ([BestBidAsk("BTCUSDT", -2, -8, 1, 1, (9, 1), (11, 1)),
          BestBidAsk("BTCUSDT", -3, -8, 1, 2, (91, 1), (111, 1))], ("0.091", "0.111", "")),
        # every diff of a batch; the same price anew, and what takes a level away
        ([Diff("BTCUSDT", -2, -8, 1, 1, 1, ((9, 1), (8, 2)), ((11, 1), (12, 1))),
          Diff("BTCUSDT", -2, -8, 1, 2, 2, ((9, 0),), ((11, 0), (13, 0)))], ("0.08", "0.12", "")),
        ([Diff("BTCUSDT", -2, -8, 1, 1, 1, ((9, 1),), ((11, 1),)),
          Diff("BTCUSDT", -2, -7, 1, 2, 2, ((8, 1),), ())], ("0.08", "", "")),
        # what would cross is of before a gap; at the same price, too
        ([Diff("BTCUSDT", -2, -8, 1, 1, 1, ((9, 1),), ((11, 1),)),
          Diff("BTCUSDT", -2, -8, 1, 9, 9, ((11, 1),), ())], ("0.11", "", "")),
        ([Diff("BTCUSDT", -2, -8, 1, 1, 1, ((9, 1),), ((11, 1),)),
          Diff("BTCUSDT", -2, -8, 1, 2, 2, ((10, 1),), ())], ("0.10", "0.11", "")),
    ],
)  # fmt: skip
def test_a_line_shows_the_last_of_what_came(events: list[Any], shown: tuple[str, ...]) -> None:
    line = market_of(*events).quotes["BTCUSDT"]
    assert (line.bid, line.ask, line.trade) == shown
    assert (bool(line.bid_qty), bool(line.ask_qty)) == (bool(line.bid), bool(line.ask))


@pytest.mark.parametrize("held", [NOWHERE, DIFFS, SNAPSHOTS, TOP])
@pytest.mark.parametrize("source", [DIFFS, SNAPSHOTS, TOP])
def test_a_source_gives_way_to_a_better_one_alone(held: int, source: int) -> None:
    event: Any = {
        DIFFS: Diff("BTCUSDT", -2, -8, 1, 1, 1, ((9, 1),), ((11, 1),)),
        SNAPSHOTS: Depth("BTCUSDT", -2, -8, 1, 1, ((9, 1),), ((11, 1),)),
        TOP: BestBidAsk("BTCUSDT", -2, -8, 1, 1, (9, 1), (11, 1)),
    }[source]
    market = Market()
    market.quotes["BTCUSDT"] = Quote(bid="1", ask="2", source=held)
    market.update(batch_of(event))
    line = market.quotes["BTCUSDT"]
    is_taken = source >= held
    assert (line.bid, line.source) == (("0.09", source) if is_taken else ("1", held))


def test_the_levels_that_are_kept_are_the_best() -> None:
    touched = quotes.Touched()
    bids, asks = [(n, 1) for n in range(1, 2001)], [(n, 1) for n in range(5001, 7001)]
    touched.apply((-2, -8), bids, asks)
    assert (len(touched.bids), len(touched.asks)) == (2000, 2000)
    touched.apply((-2, -8), [(2001, 1)], [(4000, 1)])
    assert sorted(touched.bids) == list(range(1002, 2002))
    assert sorted(touched.asks) == [4000, *range(5001, 6000)]
    assert touched.best() == ((2001, 1), (4000, 1))


def fed(*events: Any) -> Market:
    market = Market()
    for event in events:
        market.update(spot_stream.decode_many([encode(event)]))
    return market


def change(first: int, bids: Any = (), asks: Any = (), exponent: int = -2) -> Diff:
    return Diff("BTCUSDT", exponent, -8, 1, first, first, bids=bids, asks=asks)


def test_diffs_alone_have_best_prices() -> None:
    market = fed(
        change(1, bids=((100, 5), (99, 6)), asks=((103, 7), (102, 8))),
        change(2, bids=((100, 0),), asks=((102, 0), (104, 1))),
    )
    line = market.quotes["BTCUSDT"]
    assert (line.bid, line.ask, line.source) == ("0.99", "1.03", DIFFS)
    assert (line.bid_qty, line.ask_qty) == ("0.0000000", "0.0000000")
    assert watchlist.plain_lines(market, "x")[-1] == watchlist.OF_DIFFS
    assert watchlist.OF_DIFFS in watchlist.notes(market, ())


def test_levels_of_before_a_gap_do_not_cross() -> None:
    market = fed(
        change(1, bids=((100, 5),), asks=((103, 7),)),
        change(9, bids=((110, 5),)),
        change(10, asks=((112, 5),)),
    )
    line = market.quotes["BTCUSDT"]
    assert (line.bid, line.ask) == ("1.10", "1.12")


def test_levels_of_other_exponents_are_not_mixed() -> None:
    market = fed(change(1, bids=((100, 5),)), change(2, bids=((900, 5),), exponent=-3))
    assert market.quotes["BTCUSDT"].bid == "0.900"


def test_levels_that_are_kept_are_bounded() -> None:
    touched = quotes.Touched()
    for i in range(10):
        levels = [(1000 * i + n, 1) for n in range(1000)]
        touched.apply((-2, -8), levels, [(10**6 - price, 1) for price, _ in levels])
    assert max(len(touched.bids), len(touched.asks)) <= 2000
    assert touched.best() == ((9999, 1), (10**6 - 9999, 1))


def test_the_better_source_is_shown() -> None:
    levels: Any = (((97, 1),), ((103, 1),))
    events = [
        change(1, bids=((90, 1),), asks=((110, 1),)),
        Depth("BTCUSDT", -2, -8, 1, 2, *levels),
        change(3, bids=((91, 1),)),
        BestBidAsk("BTCUSDT", -2, -8, 1, 3, (98, 1), (102, 1)),
        Depth("BTCUSDT", -2, -8, 1, 4, *levels),
    ]
    shown = [fed(*events[:n]).quotes["BTCUSDT"] for n in range(1, 6)]
    assert [line.bid for line in shown] == ["0.90", "0.97", "0.97", "0.98", "0.98"]
    assert [line.source for line in shown] == [DIFFS, SNAPSHOTS, SNAPSHOTS, TOP, TOP]
