"""What `binance-sbe watch` and `demo` show: the quotes of a feed, and below them its health."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from sbe_codegen.printing import counted

from ..feed.feed import Feed
from ..feed.intake.stats import Stats
from . import health
from .lines import wrapped
from .numbers import decode_times
from .quotes import DIFFS, Market, Quote
from .screen import cell, fitted

OF_DIFFS = "(best prices: of the levels that have changed since, as depth alone has no others)"
# What is left out, step by step, where the terminal is too narrow for the whole table.
_OMITTED = (
    (),
    ("messages",),
    ("messages", "bid qty", "ask qty"),
    ("messages", "bid qty", "ask qty", "last trade"),
)
_COLUMNS = {
    "symbol": "bold", "bid qty": "green", "bid": "bold green", "ask": "bold red",
    "ask qty": "red", "last trade": "", "messages": "",
}  # fmt: skip


class Watchlist:
    """The view of a feed. What the feed brings is put into ``market``."""

    def __init__(self, feed: Feed, title: str = "") -> None:
        self.feed = feed
        self.title = title
        self.market = Market()
        self._rates = Rates()

    def panel(self, width: int, height: int) -> Any:
        """As many columns as fit; lines that do not are left to the terminal."""
        from rich.console import Group

        old = health.old_symbols(self.feed)
        quotes = rich_panel(self.market, self._status(), self.title, width, old)
        return Group(quotes, health.rich_panel(self.feed, width))

    def lines(self) -> list[str]:
        found = plain_lines(self.market, self._status(), health.old_symbols(self.feed))
        return wrapped(found + health.plain_lines(self.feed))

    def _status(self) -> str:
        return status(self.feed.stats, self._rates.since(self.feed.stats))


class Rates:
    """Messages and bytes a second, between two looks at the counters."""

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.frames = self.bytes = 0

    def since(self, stats: Stats) -> tuple[float, float]:
        now = time.monotonic()
        passed = max(now - self.at, 1e-9)
        rates = (stats.frames - self.frames) / passed, (stats.bytes - self.bytes) / passed
        self.at, self.frames, self.bytes = now, stats.frames, stats.bytes
        return rates


def status(stats: Stats, rates: tuple[float, float]) -> str:
    return (
        f"{rates[0]:,.0f} messages/s, {rates[1] / 1e6:.2f} MB/s; decode per message: "
        f"{decode_times(stats, median=50, p99=99)}; "
        f"{counted(stats.frames, 'frame')}, {stats.rejected} rejected"
    )


def plain_lines(market: Market, text: str, old: Collection[str] = ()) -> list[str]:
    """For a pipe."""
    lines = [f"[{time.monotonic() - market.started:5.1f} s] {text}"]
    for symbol, quote in sorted(market.quotes.items()):
        sides = (("bid", quote.bid_qty, quote.bid), ("ask", quote.ask_qty, quote.ask))
        top = "".join(f"{side} {qty} at {price}, " for side, qty, price in sides if price)
        mark = f"(old, of {_ago(quote)} ago) " if symbol in old else ""
        lines.append(
            f"  {symbol:<10} {mark}{top}"
            f"last {quote.trade or 'none yet'} ({counted(quote.messages, 'message')})"
        )
    return lines + notes(market, ())


def notes(market: Market, old: Collection[str]) -> list[str]:
    """What is to be known of the prices that are shown."""
    found = []
    ages = [quote for symbol, quote in market.quotes.items() if symbol in old]
    if ages:
        latest = min(ages, key=lambda quote: time.monotonic() - quote.seen)
        found.append(f"no connection brings what is marked (old): it is of {_ago(latest)} ago")
    if any(quote.source == DIFFS for quote in market.quotes.values()):
        found.append(OF_DIFFS)
    return found


def _ago(quote: Quote) -> str:
    return f"{time.monotonic() - quote.seen:.0f} s"


def rich_panel(market: Market, text: str, title: str, width: int, old: Collection[str] = ()) -> Any:
    """The same as a rich renderable, with the columns that fit into ``width``.

    ``old`` are symbols whose prices are from before their connection was lost.
    """
    from rich.console import Group

    table = fitted((_table(market, title, omitted, old) for omitted in _OMITTED), width)
    return Group(table, *(cell(each, "bold red") for each in notes(market, old)), cell(text))


def _table(market: Market, title: str, omitted: tuple[str, ...], old: Collection[str]) -> Any:
    from rich.table import Table

    table = Table(title=cell(title), title_justify="left", expand=False)
    names = [name for name in _COLUMNS if name not in omitted]
    for name in names:
        left = name in ("symbol", "last trade")
        justify: Any = "left" if left else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for symbol, quote in sorted(market.quotes.items()):
        cells = {
            "symbol": symbol, "bid qty": quote.bid_qty, "bid": quote.bid, "ask": quote.ask,
            "ask qty": quote.ask_qty, "messages": f"{quote.messages:,}", "last trade": quote.trade,
        }  # fmt: skip
        styles = _COLUMNS | {"last trade": "green" if quote.trade.startswith("buy") else "red"}
        if symbol in old:
            cells["symbol"] += " (old)"
            styles = dict.fromkeys(styles, "dim")
        table.add_row(*(cell(cells[name], styles[name]) for name in names))
    return table
