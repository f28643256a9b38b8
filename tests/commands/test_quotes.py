"""What is shown of the market, word for word: lines for a pipe, and the table of a terminal."""

from __future__ import annotations

import io
import re
import sys
import time
from typing import Any

import pytest
from rich.console import Console

from binance_sbe import spot_stream
from binance_sbe.commands import lines as lines_of_text
from binance_sbe.commands import numbers, quotes, screen, summary, watchlist
from binance_sbe.commands.quotes import DIFFS, NOWHERE, SNAPSHOTS, TOP, Market, Quote
from binance_sbe.commands.watchlist import Rates
from binance_sbe.feed.intake.stats import Stats
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def batch_of(*events: Any) -> Any:
    frames = [each if isinstance(each, bytes) else encode(each) for each in events]
    return spot_stream.decode_many(frames, on_error="collect")


def market_of(*events: Any) -> Market:
    """A market that began at 100 s, and has had these in one batch."""
    market = Market(started=100.0)
    market.update(batch_of(*events))
    return market


def trades(*entries: tuple[int, int, bool], symbol: str = "BTCUSDT") -> Trades:
    made = tuple(Trade(1 + i, *entry) for i, entry in enumerate(entries))
    return Trades(symbol, -2, -8, 1, 1, made)


def everything() -> list[Any]:
    return [
        BestBidAsk("BTCUSDT", -2, -8, 1, 1, (9412345, 123456789), (9412399, 25 * 10**6)),
        trades((9412345, 10**8, True), (9412399, 25 * 10**7, False)),
        Diff("ETHUSDT", -2, -8, 1, 1, 1, ((330001, 10**8),), ()),
        Depth("XRPUSDT", -4, -1, 1, 1, ((21834, 100), (1, 1)), ((21840, 12345678901),)),
        b"x",
    ]


STATUS = "the status"


def test_lines_for_a_pipe(clock: Clock) -> None:
    market = market_of(*everything())
    clock.now = 107.25
    lines = [
        "[  7.2 s] the status",
        "  BTCUSDT    bid 1.2345678 at 94123.45, ask 0.2500000 at 94123.99, "
        "last buy 2.5000000 at 94123.99 (2 messages)",
        "  ETHUSDT    bid 1.0000000 at 3300.01, last none yet (1 messages)",
        "  XRPUSDT    bid 10.0 at 2.1834, ask 1234567890 at 2.1840, last none yet (1 messages)",
        watchlist.OF_DIFFS,
    ]
    assert watchlist.plain_lines(market, STATUS) == lines
    lines[2] = lines[2].replace("bid", "(old, of 7 s ago) bid")
    assert watchlist.plain_lines(market, STATUS, {"ETHUSDT"}) == lines
    only_trades = market_of(trades((100, 10**8, True)))
    assert watchlist.plain_lines(only_trades, STATUS)[1:] == [
        "  BTCUSDT    last sell 1.0000000 at 1.00 (1 messages)"
    ]
    assert summary.total(market) == "4 messages in 1 batches, 7.2 s"


TABLE = """\
TITLE
┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━┓
┃ symbol        ┃   bid qty ┃      bid ┃      ask ┃    ask qty ┃ last trade                ┃ messages ┃
┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━┩
│ BTCUSDT       │ 1.2345678 │ 94123.45 │ 94123.99 │  0.2500000 │ buy 2.5000000 at 94123.99 │        2 │
│ ETHUSDT (old) │ 1.0000000 │  3300.01 │          │            │                           │        1 │
│ XRPUSDT       │      10.0 │   2.1834 │   2.1840 │ 1234567890 │                           │        1 │
└───────────────┴───────────┴──────────┴──────────┴────────────┴───────────────────────────┴──────────┘
no connection brings what is marked (old): it is of 7 s ago
(best prices: of the levels that have changed since, as depth alone has no others)
the status
"""  # noqa: E501


def drawn(market: Market, width: int, old: Any = (), styles: bool = False) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=styles)
    console.print(watchlist.rich_panel(market, STATUS, "TITLE", width, old))
    return [line.rstrip() for line in console.export_text(styles=styles).splitlines()]


def test_the_table_of_a_terminal(clock: Clock) -> None:
    market = market_of(*everything())
    clock.now = 107.25
    assert drawn(market, 103, {"ETHUSDT"}) == TABLE.splitlines()


def test_columns_are_left_out_until_the_table_fits(clock: Clock) -> None:
    market = market_of(*everything())
    heads = {}
    for width in range(36, 110):
        lines = drawn(market, width, {"ETHUSDT"})
        assert all(len(line) <= width for line in lines), width
        head = tuple(cell.strip() for cell in lines[2].strip("┃").split("┃"))
        heads.setdefault(head, width)
    assert heads == {
        ("symbol", "bid", "ask"): 36,
        ("symbol", "bid", "ask", "last trade"): 67,
        ("symbol", "bid qty", "bid", "ask", "ask qty", "last trade"): 92,
        ("symbol", "bid qty", "bid", "ask", "ask qty", "last trade", "messages"): 103,
    }


def pairs(*styled: str) -> list[tuple[str, str]]:
    return [(style, text) for style, _, text in (each.partition(" ") for each in styled)]


def test_colors_say_which_side_and_what_is_old(clock: Clock) -> None:
    market = market_of(*everything(), trades((5, 10**8, True), symbol="XRPUSDT"))
    text = "\n".join(drawn(market, 120, {"ETHUSDT"}, styles=True))
    found = re.findall(r"\x1b\[([\d;]+)m *([^\x1b]*?) *\x1b\[0m", text)
    assert found[found.index(("1", "BTCUSDT")) :] == [
        *pairs("1 BTCUSDT", "32 1.2345678", "1;32 94123.45", "1;31 94123.99", "31 0.2500000"),
        *pairs("32 buy 2.5000000 at 94123.99", "2 ETHUSDT (old)", "2 1.0000000", "2 3300.01"),
        *pairs("2 ", "2 ", "2 ", "2 1", "1 XRPUSDT", "32 10.0", "1;32 2.1834", "1;31 2.1840"),
        *pairs("31 1234567890", "31 sell 1.0000000 at 0.05"),
        *(("1;31", note) for note in watchlist.notes(market, {"ETHUSDT"})),
    ]


def test_of_several_that_are_old_the_latest_is_told(clock: Clock) -> None:
    market = market_of(everything()[2])
    clock.now = 130.0
    market.update(batch_of(everything()[3]))
    clock.now = 150.0
    old = {"ETHUSDT", "XRPUSDT", "NOSUCH"}
    assert watchlist.notes(market, old)[0].endswith("it is of 20 s ago")
    assert watchlist.notes(market, {"ETHUSDT"})[0].endswith("it is of 50 s ago")
    assert watchlist.notes(market, {"NOSUCH"}) == [watchlist.OF_DIFFS]


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


def test_the_demo_ends_with_what_came(clock: Clock) -> None:
    market = market_of(*everything())
    clock.now = 110.0
    lines = summary.came(market, Stats(), 60)
    assert lines[0] == "4 messages in 1 batches, 10.0 s, as record arrays (feed.batches):"
    assert [line for line in lines if line.split(":")[0].endswith("Event")] == [
        "TradesStreamEvent: 1 rows of 32 bytes, 2 trades",
        "BestBidAskStreamEvent: 1 rows of 72 bytes",
        "DepthSnapshotStreamEvent: 1 rows of 32 bytes, 2 bids, 1 asks",
        "DepthDiffStreamEvent: 1 rows of 40 bytes, 1 bids, 0 asks",
    ]
    assert lines[-1] == "rejected frames: 1; left-over bytes: 0; decoding one: none yet"
    stats = Stats()
    stats.decoding.add(2000)
    assert summary.came(market, stats)[-1].endswith("; decoding one: median 2.00 us")
    for width in (20, *range(41, 100)):  # narrower than 40 nothing is made
        columns = [each for each in summary.came(market, Stats(), width) if each[:2] == "  "]
        assert max(map(len, columns)) <= max(width - 1, 40)
    columns = summary.came(market, Stats(), 20)[2:4]
    assert columns == [
        "  frame, event_time, transact_time,",
        "  price_exponent, qty_exponent, symbol",
    ]


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


@pytest.mark.parametrize(
    ("mantissa", "exponent", "whole", "cut"),
    [
        (0, -2, "0.00", "0.00"), (5, -2, "0.05", "0.05"), (-5, -2, "-0.05", "-0.05"),
        (12345, -2, "123.45", "123.45"), (-12345, -4, "-1.2345", "-1.2345"), (7, 0, "7", "7"),
        (7, 3, "7000", "7000"), (-7, 1, "-70", "-70"), (99, -2, "0.99", "0.99"),
        (123456789, -8, "1.23456789", "1.2345678"), (1234567891, -2, "12345678.91", "12345678"),
        (123456789, -1, "12345678.9", "12345678"), (123456789, -2, "1234567.89", "1234567.8"),
        (12345678901, -1, "1234567890.1", "1234567890"),
    ],
)  # fmt: skip
def test_numbers_are_shown_in_digits(mantissa: int, exponent: int, whole: str, cut: str) -> None:
    assert numbers.decimal(mantissa, exponent) == whole
    assert numbers.short(mantissa, exponent) == cut


def test_rates_are_between_two_looks(clock: Clock) -> None:
    rates, stats = Rates(), Stats()
    clock.now, stats.frames, stats.bytes = 104.0, 4000, 8_000_000
    assert rates.since(stats) == (1000.0, 2_000_000.0)
    clock.now, stats.frames, stats.bytes = 106.0, 4100, 8_000_500
    assert rates.since(stats) == (50.0, 250.0)
    assert rates.since(stats) == (0.0, 0.0)
    assert watchlist.status(Stats(), (0.0, 0.0)) == (
        "0 messages/s, 0.00 MB/s; decode per message: none yet; 0 frames, 0 rejected"
    )
    stats.rejected = 7
    for ns in (2000, 2000, 9000):
        stats.decoding.add(ns)
    assert watchlist.status(stats, (1234.4, 2_345_000.0)) == (
        "1,234 messages/s, 2.35 MB/s; decode per message: median 2.00 us, p99 "
        f"{stats.decode_ns(99) / 1e3:.2f} us; 4,100 frames, 7 rejected"
    )
    assert stats.decode_ns(99) == pytest.approx(9000, rel=0.02)


def test_lines_are_broken_between_words_and_go_on_indented(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "31")
    assert lines_of_text.wrapped(["  one two three-four five six seven", "", "short"]) == [
        "  one two three-four five six", "      seven", "", "short",
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "30")
    assert lines_of_text.wrapped(["  one two three-four five six"]) == [
        "  one two three-four five six"
    ]
    monkeypatch.setenv("COLUMNS", "5")  # narrower than can be
    assert lines_of_text.wrapped(["one two three four five"]) == ["one two three four", "    five"]


def test_a_cell_is_cut_where_it_is_too_long() -> None:
    text = "word " * 400  # which is no key that another test has used
    assert screen.cell(text).plain == text
    assert screen.cell(f"{text}x").plain == f"{text}... (2,001 characters)"
