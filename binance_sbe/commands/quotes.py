"""What streams say of a market: the last quote of each symbol, and how much has come."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbe_codegen.runtime.tables.results import Batch

from ..api.decimals import decimal
from ..spot_stream import (
    BestBidAskStreamEvent,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
)
from .numbers import short

_MOST_LEVELS = 1000  # of a side that diffs have touched
# Where best prices come from: of a symbol that has several streams, the last of these that came.
NOWHERE, DIFFS, SNAPSHOTS, TOP = range(4)


@dataclass
class Quote:
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

    quotes: dict[str, Quote] = field(default_factory=dict)
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
                quote = self.quotes.setdefault(table.symbols[code], Quote())
                quote.messages += count
                quote.seen = time.monotonic()
        self._diffs(batch)
        self._snapshots(batch)
        self._top(batch)
        self._trades(batch)

    def _quote(self, table: Any, row: Any, source: int) -> Quote | None:
        """The quote of a row, if prices from this source are to be shown in it."""
        quote = self.quotes[table.symbols[row["symbol"]]]
        if source < quote.source:
            return None
        quote.source = source
        return quote

    def _top(self, batch: Batch) -> None:
        table = batch[BestBidAskStreamEvent]
        for row in table.records[_latest(table)]:
            quote = self._quote(table, row, TOP)
            if quote is not None:
                bid, ask = ((row[f"{side}_price"], row[f"{side}_qty"]) for side in ("bid", "ask"))
                quote.show_top(bid, ask, *_exponents(row))

    def _snapshots(self, batch: Batch) -> None:
        table = batch[DepthSnapshotStreamEvent]
        groups = table.groups
        for i in _latest(table):
            row = table.records[i]
            quote = self._quote(table, row, SNAPSHOTS)
            if quote is not None:
                sides = (groups[side][i].tolist() for side in ("bids", "asks"))
                bid, ask = (levels[0] if levels else None for levels in sides)
                quote.show_top(bid, ask, *_exponents(row))

    def _diffs(self, batch: Batch) -> None:
        table = batch[DepthDiffStreamEvent]
        groups = table.groups
        changed: dict[str, Quote] = {}
        for i, row in enumerate(table.records):
            quote = self._quote(table, row, DIFFS)
            if quote is not None:
                symbol = table.symbols[row["symbol"]]
                touched = self.touched.setdefault(symbol, Touched())
                sides = (groups[side][i].tolist() for side in ("bids", "asks"))
                touched.apply(_exponents(row), *sides)
                changed[symbol] = quote
        for symbol, quote in changed.items():
            touched = self.touched[symbol]
            quote.show_top(*touched.best(), *touched.exponents)

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
                self.quotes[table.symbols[row["symbol"]]].trade = f"{side} {qty} at {price}"


def _latest(table: Any) -> list[int]:
    """The last row of each symbol in a table."""
    _, backwards = np.unique(table.records["symbol"][::-1], return_index=True)
    return [int(i) for i in len(table) - 1 - backwards]


def _exponents(row: Any) -> tuple[int, int]:
    return int(row["price_exponent"]), int(row["qty_exponent"])


def _level(level: Any, price: int, qty: int) -> tuple[str, str]:
    return ("", "") if level is None else (decimal(level[0], price), short(level[1], qty))
