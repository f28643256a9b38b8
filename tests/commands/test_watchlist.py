"""What is shown of the market, word for word: lines for a pipe, and the table of a terminal."""

from __future__ import annotations

import asyncio
import io
import re
from io import StringIO
from typing import Any

import pytest
from markets import Clock, batch_of, everything, market_of, trades
from rich.console import Console

import binance_sbe
from binance_sbe.commands import (
    health,
    summary,
    watchlist,
)
from binance_sbe.commands.quotes import Market
from binance_sbe.commands.watch import streams_of
from binance_sbe.commands.watchlist import Rates, Watchlist
from binance_sbe.feed.intake.stats import Stats
from binance_sbe.feed.ledger import Hole
from binance_sbe.simulator import Exchange


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


STATUS = "the status"


def test_lines_for_a_pipe(clock: Clock) -> None:
    market = market_of(*everything())
    clock.now = 107.25
    lines = [
        "[  7.2 s] the status",
        "  BTCUSDT    bid 1.2345678 at 94123.45, ask 0.2500000 at 94123.99, "
        "last buy 2.5000000 at 94123.99 (2 messages)",
        "  ETHUSDT    bid 1.0000000 at 3300.01, last none yet (1 message)",
        "  XRPUSDT    bid 10.0 at 2.1834, ask 1234567890 at 2.1840, last none yet (1 message)",
        watchlist.OF_DIFFS,
    ]
    assert watchlist.plain_lines(market, STATUS) == lines
    lines[2] = lines[2].replace("bid", "(old, of 7 s ago) bid")
    assert watchlist.plain_lines(market, STATUS, {"ETHUSDT"}) == lines
    only_trades = market_of(trades((100, 10**8, True)))
    assert watchlist.plain_lines(only_trades, STATUS)[1:] == [
        "  BTCUSDT    last sell 1.0000000 at 1.00 (1 message)"
    ]
    assert summary.total(market) == "4 messages in 1 batch, 7.2 s"


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


# with a feed


def painted(renderable: Any, width: int = 100, styles: bool = False) -> str:
    console = Console(width=width, record=True, file=StringIO(), force_terminal=True)
    console.print(renderable)
    return console.export_text(styles=styles)


def test_prices_are_dimmed_and_marked_while_no_connection_brings_them() -> None:
    async def work() -> tuple[str, list[str], str, list[str]]:
        exchange = Exchange(["btcusdt", "ethusdt"])
        await exchange.__aenter__()
        streams = streams_of(["btcusdt", "ethusdt"])
        async with binance_sbe.connect(*streams, url=exchange.url, api_key="k") as feed:
            view = Watchlist(feed, "title")
            market = view.market
            async for batch in feed.batches(max_delay=0.3):
                market.update(batch)
                if len(market.quotes) == 2:
                    break
            assert health.old_symbols(feed) == set()
            before = painted(view.panel(100, 24), styles=True)
            lines_before = watchlist.plain_lines(market, "x", health.old_symbols(feed))
            await exchange.__aexit__(None, None, None)
            while health.open_connections(feed):
                await asyncio.sleep(0.01)
            assert health.old_symbols(feed) == {"BTCUSDT", "ETHUSDT"}
            after = painted(view.panel(100, 24), styles=True)
            lines = watchlist.plain_lines(market, "x", health.old_symbols(feed))
            assert any("no connection is open" in line for line in health.plain_lines(feed))
            return before, lines_before, after, lines

    before, lines_before, after, lines = asyncio.run(work())
    assert "(old)" not in before
    assert "\x1b[2m" not in before
    assert not any("old" in line for line in lines_before)
    assert "BTCUSDT (old)" in after
    assert re.search(r"\x1b\[2mBTCUSDT \(old\)", after)
    assert re.search(r"no connection brings what is marked \(old\): it is of \d+ s ago", after)
    assert all(re.search(r"\(old, of \d+ s ago\) bid ", line) for line in lines[1:3])


def test_a_view_without_a_connection_says_so() -> None:
    async def work() -> str:
        exchange = Exchange(["btcusdt"])
        await exchange.__aenter__()
        streams = streams_of(["btcusdt"])
        async with binance_sbe.connect(*streams, url=exchange.url, api_key="k") as feed:
            await exchange.__aexit__(None, None, None)
            while health.open_connections(feed):
                await asyncio.sleep(0.01)
            console = Console(width=100, record=True, file=io.StringIO())
            console.print(Watchlist(feed, "title").panel(*console.size))
            return console.export_text()

    assert "no connection is open: the exchange closed with 1001" in asyncio.run(work())


@pytest.mark.parametrize("width", [60, 90, 140])
def test_the_screen_fits_the_terminal(width: int) -> None:
    async def work() -> str:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect(
                *streams_of(["btcusdt"]), url=exchange.url, api_key="k", lines=2
            ) as feed,
        ):
            view = Watchlist(feed, "title")
            async for batch in feed.batches(max_delay=0.5):
                view.market.update(batch)
                if len(feed.ledger.connections) == 2:
                    break
            feed.ledger._add(Hole("btcusdt@trade", 5, 8, 0, 1, "a test"))
            console = Console(width=width, record=True, file=io.StringIO())
            console.print(view.panel(*console.size))
            return console.export_text()

    text = asyncio.run(work())
    assert all(len(line) <= width for line in text.splitlines())
    for said in ("BTCUSDT", "connection 2 (line 2)", "holes 1", "btcusdt@trade, 2 ids"):
        assert said in " ".join(text.split())
