"""What `binance-sbe demo` and `watch` show: a live table, or plain lines, and a summary."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbe_codegen.printing import fitting
from sbe_codegen.runtime.results import Batch

from .outside import shown
from .spot_stream import (
    MESSAGES,
    BestBidAskStreamEvent,
    TradesStreamEvent,
)
from .stats import Stats

_LONGEST_CELL = 2000  # characters


@dataclass
class Line:
    """One symbol as last seen."""

    bid: str = ""
    bid_qty: str = ""
    ask: str = ""
    ask_qty: str = ""
    trade: str = ""
    messages: int = 0


@dataclass
class Market:
    """The last state of every symbol, and the first table and the rows of every class."""

    lines: dict[str, Line] = field(default_factory=dict)
    first: dict[type, Any] = field(default_factory=dict)
    rows: Counter[type] = field(default_factory=Counter)
    entries: Counter[tuple[type, str]] = field(default_factory=Counter)
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
                self.lines.setdefault(table.symbols[code], Line()).messages += count
        self._top(batch)
        self._trades(batch)

    def _top(self, batch: Batch) -> None:
        table = batch[BestBidAskStreamEvent]
        for code, row in _latest(table):
            line = self.lines[table.symbols[code]]
            price, qty = int(row["price_exponent"]), int(row["qty_exponent"])
            line.bid, line.bid_qty = decimal(row["bid_price"], price), short(row["bid_qty"], qty)
            line.ask, line.ask_qty = decimal(row["ask_price"], price), short(row["ask_qty"], qty)

    def _trades(self, batch: Batch) -> None:
        table = batch[TradesStreamEvent]
        trades = table.groups["trades"]
        for code, row in _latest(table):
            entries = trades[int(np.flatnonzero(table.records["symbol"] == code)[-1])]
            if len(entries):
                last = entries[-1]
                side = "sell" if last["is_buyer_maker"] else "buy"
                price = decimal(last["price"], int(row["price_exponent"]))
                qty = short(last["qty"], int(row["qty_exponent"]))
                self.lines[table.symbols[code]].trade = f"{side} {qty} at {price}"


def _latest(table: Any) -> list[tuple[int, Any]]:
    """(code, last row) of each symbol in a table."""
    codes, backwards = np.unique(table.records["symbol"][::-1], return_index=True)
    last = len(table) - 1 - backwards
    return [(int(code), table.records[i]) for code, i in zip(codes, last, strict=True)]


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


def status(stats: Stats, rates: tuple[float, float]) -> str:
    return (
        f"{rates[0]:,.0f} messages/s, {rates[1] / 1e6:.2f} MB/s; decode per message: "
        f"median {stats.decode_ns(50) / 1e3:.2f} us, p99 {stats.decode_ns(99) / 1e3:.2f} us; "
        f"{stats.frames:,} frames, {stats.rejected} rejected"
    )


def plain_lines(market: Market, text: str) -> list[str]:
    """The same as `rich_table`, for a pipe."""
    lines = [f"[{time.monotonic() - market.started:5.1f} s] {text}"]
    for symbol, line in sorted(market.lines.items()):
        top = f"bid {line.bid_qty} at {line.bid}, ask {line.ask_qty} at {line.ask}, "
        lines.append(
            f"  {symbol:<10} {top if line.bid else ''}"
            f"last {line.trade or 'none yet'} ({line.messages:,} messages)"
        )
    return lines


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


def rich_table(market: Market, text: str, title: str, width: int) -> Any:
    """The live view as a rich renderable, with the columns that fit into ``width``."""
    from rich.console import Console, Group

    console = Console(width=10_000)
    for omitted in _OMITTED:
        table = _table(market, title, omitted)
        if console.measure(table).maximum <= width:
            break
    return Group(table, cell(text))


def _table(market: Market, title: str, omitted: tuple[str, ...]) -> Any:
    from rich.table import Table

    table = Table(title=cell(title), title_justify="left", expand=False)
    for name, style in _COLUMNS.items():
        if name not in omitted:
            left = name in ("symbol", "last trade")
            justify: Any = "left" if left else "right"
            table.add_column(name, style=style, justify=justify, no_wrap=True)
    for symbol, line in sorted(market.lines.items()):
        color = "green" if line.trade.startswith("buy") else "red"
        cells = {
            "symbol": symbol, "bid qty": line.bid_qty, "bid": line.bid, "ask": line.ask,
            "ask qty": line.ask_qty, "messages": f"{line.messages:,}", "last trade": line.trade,
        }  # fmt: skip
        styles = {"last trade": color}
        table.add_row(*(cell(cells[n], styles.get(n, "")) for n in _COLUMNS if n not in omitted))
    return table


def total(market: Market) -> str:
    passed = time.monotonic() - market.started
    rows = sum(market.rows.values())
    return f"{rows:,} messages in {market.batches:,} batches, {passed:.1f} s"


def summary(market: Market, stats: Stats, width: int = 100) -> list[str]:
    """Lines of what arrived, as record arrays show it: the first batch, and the rows of all."""
    out = [f"{total(market)}; as record arrays:"]
    for message in MESSAGES.values():
        first = market.first.get(message)
        if first is None:
            out += ["", f"{message.__name__}: none arrived"]
            continue
        rows, size = market.rows[message], first.records.itemsize
        out += ["", f"{message.__name__}: {rows:,} rows of {size} bytes"]
        out += _folded("  dtype   ", _dtype(first.records.dtype), width)
        for row in first.records[:2].tolist():
            out += _folded("  row     ", ", ".join(map(str, row)), width)
        symbols = ", ".join(f"{code} {shown(text)}" for code, text in enumerate(first.symbols))
        out += _folded("  symbol  ", symbols, width)
        for name, group in first.groups.items():
            out.append(f"  {name}: {market.entries[message, name]:,} entries")
            out += _folded("    dtype ", _dtype(group.records.dtype), width)
            for entry in group.records[:2].tolist():
                out += _folded("    entry ", ", ".join(map(str, entry)), width)
    out += [
        "",
        f"rejected frames: {market.rejected}; left-over bytes: {stats.left_over_bytes}",
        f"decode per message: median {stats.decode_ns(50) / 1e3:.2f} us, "
        f"p99 {stats.decode_ns(99) / 1e3:.2f} us",
    ]
    return out


def _folded(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width - 1, 40), initial_indent=label, subsequent_indent=" " * len(label)
    )


def _dtype(dtype: np.dtype[Any]) -> str:
    assert dtype.names is not None
    return ", ".join(f"{name} {dtype[name].str.lstrip('|<')}" for name in dtype.names)
