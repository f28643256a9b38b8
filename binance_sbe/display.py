"""What `binance-sbe demo` and `watch` show: a live table, or plain lines, and a summary."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbe_codegen.runtime.results import Batch

from .session import Stats
from .spot_stream import (
    MESSAGES,
    BestBidAskStreamEvent,
    TradesStreamEvent,
)

_KEPT_ROWS = 1_000_000


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
    """The last state of every symbol, and the record arrays that it came from."""

    lines: dict[str, Line] = field(default_factory=dict)
    kept: dict[type, list[Any]] = field(default_factory=dict)
    rows: dict[type, int] = field(default_factory=dict)
    batches: int = 0
    rejected: int = 0
    started: float = field(default_factory=time.monotonic)

    def update(self, batch: Batch) -> None:
        self.batches += 1
        self.rejected += len(batch.rejected)
        for message, table in batch.tables.items():
            if not len(table):
                continue
            self.rows[message] = self.rows.get(message, 0) + len(table)
            if self.rows[message] <= _KEPT_ROWS:
                self.kept.setdefault(message, []).append(table)
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
            line.bid, line.bid_qty = decimal(row["bid_price"], price), decimal(row["bid_qty"], qty)
            line.ask, line.ask_qty = decimal(row["ask_price"], price), decimal(row["ask_qty"], qty)

    def _trades(self, batch: Batch) -> None:
        table = batch[TradesStreamEvent]
        trades = table.groups["trades"]
        for code, row in _latest(table):
            entries = trades[int(np.flatnonzero(table.records["symbol"] == code)[-1])]
            if len(entries):
                last = entries[-1]
                side = "sell" if last["is_buyer_maker"] else "buy"
                price = decimal(last["price"], int(row["price_exponent"]))
                qty = decimal(last["qty"], int(row["qty_exponent"]))
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
        f"{stats.frames:,} messages, {stats.rejected} rejected"
    )


def plain_lines(market: Market, text: str) -> list[str]:
    """The same as `rich_table`, for a pipe."""
    lines = [f"[{time.monotonic() - market.started:5.1f} s] {text}"]
    for symbol, line in sorted(market.lines.items()):
        lines.append(
            f"  {symbol:<10} bid {line.bid_qty} at {line.bid}, ask {line.ask_qty} at {line.ask}, "
            f"last {line.trade or 'none yet'} ({line.messages:,} messages)"
        )
    return lines


def rich_table(market: Market, text: str, title: str) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", expand=False)
    table.add_column("symbol", style="bold")
    for name, style in (("bid qty", "green"), ("bid", "bold green"), ("ask", "bold red"),
                        ("ask qty", "red")):  # fmt: skip
        table.add_column(name, style=style, justify="right", no_wrap=True)
    table.add_column("last trade", no_wrap=True)
    table.add_column("messages", justify="right")
    for symbol, line in sorted(market.lines.items()):
        style = "green" if line.trade.startswith("buy") else "red"
        table.add_row(
            symbol, line.bid_qty, line.bid, line.ask, line.ask_qty,
            Text(line.trade, style=style), f"{line.messages:,}",
        )  # fmt: skip
    return Group(table, Text(text))


def summary(market: Market, stats: Stats) -> str:
    """What arrived, as the record arrays show it."""
    rows = sum(market.rows.values())
    passed = time.monotonic() - market.started
    out = [f"{rows:,} messages in {market.batches} batches, {passed:.1f} s; as record arrays:"]
    for message in MESSAGES.values():
        tables = market.kept.get(message)
        if not tables:
            out.append(f"\n{message.__name__}: none arrived")
            continue
        records = np.concatenate([table.records for table in tables])
        out.append(f"\n{message.__name__}: shape {records.shape}, {records.itemsize} bytes a row")
        out.append(f"  dtype {_dtype(records.dtype)}")
        first = tables[0]
        for row in first.records[:2].tolist():
            out.append(f"  row   {row}")
        out.append(f"        symbol codes: {dict(enumerate(first.symbols))}")
        for name in first.groups:
            entries = np.concatenate([table.groups[name].records for table in tables])
            out.append(f"  {name}: shape {entries.shape}, dtype {_dtype(entries.dtype)}")
            for entry in entries[:2].tolist():
                out.append(f"        {entry}")
    out.append(
        f"\nrejected frames: {market.rejected}; left-over bytes: {stats.left_over_bytes}; decode "
        f"per message: median {stats.decode_ns(50) / 1e3:.2f} us, "
        f"p99 {stats.decode_ns(99) / 1e3:.2f} us"
    )
    return "\n".join(out)


def _dtype(dtype: np.dtype[Any]) -> str:
    assert dtype.names is not None
    return ", ".join(f"{name} {dtype[name].str.lstrip('|<')}" for name in dtype.names)
