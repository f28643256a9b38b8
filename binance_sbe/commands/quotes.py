"""What `binance-sbe demo` and `watch` show of the market: a live table, or plain lines."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbe_codegen.printing import fitting
from sbe_codegen.runtime.tables.results import Batch

from ..feed.intake.stats import Stats
from ..outside import shown
from ..spot_stream import (
    BestBidAskStreamEvent,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
)

_LONGEST_CELL = 2000  # characters
_MOST_LEVELS = 1000  # of a side that diffs have touched
# Where best prices come from: of a symbol that has several streams, the last of these that came.
NOWHERE, DIFFS, SNAPSHOTS, TOP = range(4)
OF_DIFFS = "(best prices: of the levels that have changed since, as depth alone has no others)"


@dataclass
class Line:
    """One symbol as last seen."""

    bid: str = ""
    bid_qty: str = ""
    ask: str = ""
    ask_qty: str = ""
    trade: str = ""
    messages: int = 0
    source: int = NOWHERE  # of bid and ask
    seen: float = 0.0  # time.monotonic() of the last event

    def show_top(self, bid: Any, ask: Any, price: int, qty: int) -> None:
        """The best level of each side, or None where a side has none."""
        self.bid, self.bid_qty = _level(bid, price, qty)
        self.ask, self.ask_qty = _level(ask, price, qty)


class Touched:
    """The levels of a book that diffs have told of, which is not the whole of it."""

    def __init__(self) -> None:
        self.exponents = (0, 0)
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def apply(self, exponents: tuple[int, int], bids: Any, asks: Any) -> None:
        if exponents != self.exponents:
            self.bids, self.asks, self.exponents = {}, {}, exponents
        self._put(bids, asks)
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            self.bids, self.asks = {}, {}  # some of it is from before a gap
            self._put(bids, asks)

    def _put(self, bids: Any, asks: Any) -> None:
        for held, levels in ((self.bids, bids), (self.asks, asks)):
            for price, qty in levels:
                if qty:
                    held[price] = qty
                else:
                    held.pop(price, None)
        if len(self.bids) > 2 * _MOST_LEVELS:
            self.bids = dict(sorted(self.bids.items(), reverse=True)[:_MOST_LEVELS])
        if len(self.asks) > 2 * _MOST_LEVELS:
            self.asks = dict(sorted(self.asks.items())[:_MOST_LEVELS])

    def best(self) -> tuple[Any, Any]:
        bid = max(self.bids.items(), default=None)
        return bid, min(self.asks.items(), default=None)


@dataclass
class Market:
    """The last state of every symbol, and the first table and the rows of every class."""

    lines: dict[str, Line] = field(default_factory=dict)
    first: dict[type, Any] = field(default_factory=dict)
    rows: Counter[type] = field(default_factory=Counter)
    entries: Counter[tuple[type, str]] = field(default_factory=Counter)
    touched: dict[str, Touched] = field(default_factory=dict)
    batches: int = 0
    rejected: int = 0
    started: float = field(default_factory=time.monotonic)

    def update(self, batch: Batch) -> None:
        self.batches += 1
        self.rejected += len(batch.rejected)
        for message, table in batch.tables.items():
            if not len(table):
                continue
            self.first.setdefault(message, table)
            self.rows[message] += len(table)
            for name, group in table.groups.items():
                self.entries[message, name] += len(group.records)
            codes, counts = np.unique(table.records["symbol"], return_counts=True)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                line = self.lines.setdefault(table.symbols[code], Line())
                line.messages += count
                line.seen = time.monotonic()
        self._diffs(batch)
        self._snapshots(batch)
        self._top(batch)
        self._trades(batch)

    def _line(self, table: Any, row: Any, source: int) -> Line | None:
        """The line of a row, if prices from this source are to be shown in it."""
        line = self.lines[table.symbols[row["symbol"]]]
        if source < line.source:
            return None
        line.source = source
        return line

    def _top(self, batch: Batch) -> None:
        table = batch[BestBidAskStreamEvent]
        for row in table.records[_latest(table)]:
            line = self._line(table, row, TOP)
            if line is not None:
                bid, ask = ((row[f"{side}_price"], row[f"{side}_qty"]) for side in ("bid", "ask"))
                line.show_top(bid, ask, *_exponents(row))

    def _snapshots(self, batch: Batch) -> None:
        table = batch[DepthSnapshotStreamEvent]
        groups = table.groups
        for i in _latest(table):
            row = table.records[i]
            line = self._line(table, row, SNAPSHOTS)
            if line is not None:
                sides = (groups[side][i].tolist() for side in ("bids", "asks"))
                bid, ask = (levels[0] if levels else None for levels in sides)
                line.show_top(bid, ask, *_exponents(row))

    def _diffs(self, batch: Batch) -> None:
        table = batch[DepthDiffStreamEvent]
        groups = table.groups
        changed: dict[str, Line] = {}
        for i, row in enumerate(table.records):
            line = self._line(table, row, DIFFS)
            if line is not None:
                symbol = table.symbols[row["symbol"]]
                touched = self.touched.setdefault(symbol, Touched())
                sides = (groups[side][i].tolist() for side in ("bids", "asks"))
                touched.apply(_exponents(row), *sides)
                changed[symbol] = line
        for symbol, line in changed.items():
            touched = self.touched[symbol]
            line.show_top(*touched.best(), *touched.exponents)

    def _trades(self, batch: Batch) -> None:
        table = batch[TradesStreamEvent]
        groups = table.groups
        for i in _latest(table):
            row, entries = table.records[i], groups["trades"][i]
            if len(entries):
                last = entries[-1]
                side = "sell" if last["is_buyer_maker"] else "buy"
                price = decimal(last["price"], int(row["price_exponent"]))
                qty = short(last["qty"], int(row["qty_exponent"]))
                self.lines[table.symbols[row["symbol"]]].trade = f"{side} {qty} at {price}"


def _latest(table: Any) -> list[int]:
    """The last row of each symbol in a table."""
    _, backwards = np.unique(table.records["symbol"][::-1], return_index=True)
    return [int(i) for i in len(table) - 1 - backwards]


def _exponents(row: Any) -> tuple[int, int]:
    return int(row["price_exponent"]), int(row["qty_exponent"])


def _level(level: Any, price: int, qty: int) -> tuple[str, str]:
    return ("", "") if level is None else (decimal(level[0], price), short(level[1], qty))


def decimal(mantissa: Any, exponent: int) -> str:
    """mantissa x 10^exponent in plain digits, at least as many places as the exponent has."""
    if exponent >= 0:
        return str(int(mantissa) * 10**exponent)
    digits = str(abs(int(mantissa))).rjust(1 - exponent, "0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


def short(mantissa: Any, exponent: int) -> str:
    """The same with at most eight digits, but never without the whole ones: for looking at."""
    whole, _, places = decimal(mantissa, exponent).partition(".")
    places = places[: max(0, 8 - len(whole))]
    return f"{whole}.{places}" if places else whole


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


def decode_times(stats: Stats, **percents: float) -> str:
    """How long decoding one took, such as "median 0.50 us"; each name with its percentile."""
    if not stats.decoding.count:
        return "none yet"
    times = (f"{name} {stats.decode_ns(p) / 1e3:.2f} us" for name, p in percents.items())
    return ", ".join(times)


def status(stats: Stats, rates: tuple[float, float]) -> str:
    return (
        f"{rates[0]:,.0f} messages/s, {rates[1] / 1e6:.2f} MB/s; decode per message: "
        f"{decode_times(stats, median=50, p99=99)}; "
        f"{stats.frames:,} frames, {stats.rejected} rejected"
    )


def plain_lines(market: Market, text: str, old: Collection[str] = ()) -> list[str]:
    """The same as `rich_table`, for a pipe."""
    lines = [f"[{time.monotonic() - market.started:5.1f} s] {text}"]
    for symbol, line in sorted(market.lines.items()):
        sides = (("bid", line.bid_qty, line.bid), ("ask", line.ask_qty, line.ask))
        top = "".join(f"{side} {qty} at {price}, " for side, qty, price in sides if price)
        mark = f"(old, of {_ago(line)} ago) " if symbol in old else ""
        lines.append(
            f"  {symbol:<10} {mark}{top}"
            f"last {line.trade or 'none yet'} ({line.messages:,} messages)"
        )
    return lines + notes(market, ())


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines that a terminal would break in the middle of a number, broken between words.

    For one that is written to like a pipe; where standard output is none, they stay as they are.
    """
    if not sys.stdout.isatty():
        return list(lines)
    width = max(shutil.get_terminal_size((100, 24)).columns - 1, 20)
    made: list[str] = []
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        made += textwrap.wrap(
            line, width, subsequent_indent=f"{indent}    ", break_on_hyphens=False
        ) or [line]
    return made


def notes(market: Market, old: Collection[str]) -> list[str]:
    """What is to be known of the prices that are shown."""
    found = []
    ages = [line for symbol, line in market.lines.items() if symbol in old]
    if ages:
        latest = min(ages, key=lambda line: time.monotonic() - line.seen)
        found.append(f"no connection brings what is marked (old): it is of {_ago(latest)} ago")
    if any(line.source == DIFFS for line in market.lines.values()):
        found.append(OF_DIFFS)
    return found


def _ago(line: Line) -> str:
    return f"{time.monotonic() - line.seen:.0f} s"


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


def cell(text: str, style: str = "") -> Any:
    """Text for rich as it is: nothing of it is markup, or anything but signs of the terminal's.

    Whatever is shown by rich goes through here.
    """
    from rich.text import Text

    return Text(fitting(shown(text, _LONGEST_CELL)), style)


def rich_table(market: Market, text: str, title: str, width: int, old: Collection[str] = ()) -> Any:
    """The live view as a rich renderable, with the columns that fit into ``width``.

    ``old`` are symbols whose prices are from before their connection was lost.
    """
    from rich.console import Console, Group

    console = Console(width=10_000)
    for omitted in _OMITTED:
        table = _table(market, title, omitted, old)
        if console.measure(table).maximum <= width:
            break
    return Group(table, *(cell(each, "bold red") for each in notes(market, old)), cell(text))


def _table(market: Market, title: str, omitted: tuple[str, ...], old: Collection[str]) -> Any:
    from rich.table import Table

    table = Table(title=cell(title), title_justify="left", expand=False)
    names = [name for name in _COLUMNS if name not in omitted]
    for name in names:
        left = name in ("symbol", "last trade")
        justify: Any = "left" if left else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for symbol, line in sorted(market.lines.items()):
        cells = {
            "symbol": symbol, "bid qty": line.bid_qty, "bid": line.bid, "ask": line.ask,
            "ask qty": line.ask_qty, "messages": f"{line.messages:,}", "last trade": line.trade,
        }  # fmt: skip
        styles = _COLUMNS | {"last trade": "green" if line.trade.startswith("buy") else "red"}
        if symbol in old:
            cells["symbol"] += " (old)"
            styles = dict.fromkeys(styles, "dim")
        table.add_row(*(cell(cells[name], styles[name]) for name in names))
    return table


def total(market: Market) -> str:
    passed = time.monotonic() - market.started
    rows = sum(market.rows.values())
    return f"{rows:,} messages in {market.batches:,} batches, {passed:.1f} s"
