"""What the page shows of a feed and its books, as one text of JSON: always all of it, as of now.

Nothing is sent as a change to something before, so that a page that was too slow misses nothing
but states that are over.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any

from ...api.decimals import decimal
from ...books.keeper import LiveBook
from ...books.live import Books
from ...output import shown
from ...spot_stream import BestBidAskStreamEvent, TradesStreamEvent
from .. import health, ladder
from ..numbers import duration, percentiles, short
from ..watchlist import Rates

SILENT_SECONDS = 5.0  # after which what was brought before is called old
_TAPE = 30  # trades of a symbol
_RECENT = 30  # seconds of the latency histogram
_STRAYS = 5  # names that are shown
_MS = 10**6
# Upper edges of its bars, in ns.
EDGES = tuple(
    edge * _MS for edge in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
)
Trade = tuple[int, int, str, str, str]  # id, time in ms, side, price, quantity


class Symbol:
    """What streams have brought of one symbol, beside its book."""

    def __init__(self) -> None:
        self.messages = 0
        self.seen: float | None = None  # time.monotonic() of the last event
        self.top: BestBidAskStreamEvent | None = None
        self.trades: deque[Trade] = deque(maxlen=_TAPE)  # the newest first

    def take(self, event: Any, now: float) -> None:
        self.messages += 1
        self.seen = now
        if isinstance(event, BestBidAskStreamEvent):
            self.top = event
        elif isinstance(event, TradesStreamEvent):
            price, qty = event.price_exponent, event.qty_exponent
            at = event.transact_time // 1000
            for each in event.trades[-_TAPE:]:
                side = "sell" if each["is_buyer_maker"] else "buy"
                price_text, qty_text = decimal(each["price"], price), short(each["qty"], qty)
                self.trades.appendleft((int(each["id"]), at, side, price_text, qty_text))

    def silence(self, now: float) -> float | None:
        """Seconds since the last event; None where there was none."""
        return None if self.seen is None else now - self.seen


class State:
    """The books, and what came beside them. ``text`` is for one page, as it is at that moment."""

    def __init__(self, kept: Books, title: str, levels: int) -> None:
        self.kept = kept
        self.title = title
        self.symbols = {symbol: Symbol() for symbol in kept}
        self._levels = levels
        self._rates = Rates()
        self._shown_rates = (0.0, 0.0)
        self._latencies: deque[tuple[float, list[int]]] = deque(maxlen=_RECENT)
        self._texts: dict[str, str] = {}
        self._common: dict[str, Any] | None = None

    def take(self, symbol: str, event: Any) -> None:
        """An event of the feed. What is of no symbol that is shown is in the ledger alone."""
        found = self.symbols.get(symbol)
        if found is not None:
            found.take(event, time.monotonic())

    def turn(self) -> None:
        """Time has passed: what was made before is made anew when it is asked for."""
        self._texts.clear()
        self._common = None

    def text(self, symbol: str) -> str:
        """All that a page shows which looks at this symbol; made once a turn."""
        found = self._texts.get(symbol)
        if found is None:
            if self._common is None:
                self._common = self._made_common()
            book = self.kept[symbol]
            trades = list(self.symbols[symbol].trades)
            whole = self._common | {"book": self._book(book), "trades": trades}
            found = self._texts[symbol] = json.dumps(whole)
        return found

    def _made_common(self) -> dict[str, Any]:
        feed, now = self.kept.feed, time.monotonic()
        self._look(now)
        old = health.old_symbols(feed)
        messages, size = self._shown_rates
        return {
            "title": shown(self.title),
            "time": time.time_ns() // _MS,
            "problem": shown(health.no_connection(feed)),
            "rates": f"{messages:,.0f} messages/s, {size / 1e6:.2f} MB/s",
            "symbols": [self._symbol(book, old, now) for book in self.kept.values()],
            "latency": self._latency(),
            "connections": self._connections(),
            "ledger": self._ledger(),
        }

    def _look(self, now: float) -> None:
        """Once a second: rates, and the counts that the histogram is worked out of."""
        if self._latencies and now - self._latencies[-1][0] < 1.0:
            return
        stats = self.kept.feed.stats
        self._shown_rates = self._rates.since(stats)
        self._latencies.append((now, stats.event_to_received.counts(EDGES)))

    def why_old(self, book: LiveBook, old: set[str], now: float) -> str:
        """Why what is known of a symbol is from before now, or nothing."""
        silence = self.symbols[book.symbol].silence(now)
        ago = "" if silence is None else f"; the last event was {silence:.0f} s ago"
        if book.symbol.upper() in old:
            return f"no connection brings it{ago}"
        if ladder.is_old(book):
            return f"{book.reason}{ago}"
        if silence is not None and silence > SILENT_SECONDS:
            return f"nothing has come for {silence:.0f} s"
        return ""

    def _symbol(self, book: LiveBook, old: set[str], now: float) -> dict[str, Any]:
        seen = self.symbols[book.symbol]
        why, silence = self.why_old(book, old, now), seen.silence(now)
        found: dict[str, Any] = {
            "symbol": shown(book.symbol),
            "state": book.state,
            "why": shown(why),
            "age": "none yet" if silence is None else f"{silence:.1f} s",
            "messages": f"{seen.messages:,}",
            "trade": seen.trades[0] if seen.trades else None,
        }
        return found | _top(book, seen.top)

    def _book(self, book: LiveBook) -> dict[str, Any]:
        texts = ladder.texts_of(book)
        return {
            "symbol": shown(book.symbol),
            "rows": ladder.rows_of(book, self._levels),
            "between": ladder.between(book),
            "lines": [shown(text) for text in texts[1:]],
        }

    def _latency(self) -> dict[str, Any]:
        whole = self.kept.feed.stats.event_to_received
        first, last = self._latencies[0][1], self._latencies[-1][1]
        # the first look shows all there is; later ones what came since the oldest that is kept
        recent = last if len(self._latencies) < _RECENT else _less(last, first)
        labels = [f"up to {duration(edge / 1e9)}" for edge in EDGES]
        return {
            "bars": list(zip([*labels, "more"], recent, strict=True)),
            "text": percentiles(whole),
            "negative": whole.negative,
        }

    def _connections(self) -> dict[str, Any]:
        now = self.kept.feed.now_ns
        opened = health.open_connections(self.kept.feed)
        rows = []
        for each in opened:
            silence = (now - each.source.received) / 1e9 if each.source.received else 0.0
            cells = [shown(cell) for cell in health.connection_cells(each, now)]
            rows.append({"cells": cells, "is_silent": silence > SILENT_SECONDS})
        return {"columns": health.COLUMNS, "rows": rows}

    def _ledger(self) -> dict[str, Any]:
        feed = self.kept.feed
        counts = health.counts(feed)
        strays = [shown(name, 100) for name in list(feed.ledger.strays)[:_STRAYS]]
        return {
            "counts": [
                (name, f"{number:,}", name not in health.HARMLESS)
                for name, number in counts.items()
                if number
            ],
            "is_well": health.is_well(feed),
            "latest": shown(health.latest_hole(feed)),
            "strays": strays,
        }


def _top(book: LiveBook, top: BestBidAskStreamEvent | None) -> dict[str, str]:
    """The best prices, of the stream that has them; those of the book before it has come."""
    bid: tuple[int, int] | None
    ask: tuple[int, int] | None
    if top is None:
        price, qty, bid, ask = book.price_exponent, book.qty_exponent, book.best_bid, book.best_ask
    else:
        price, qty = top.price_exponent, top.qty_exponent
        bid, ask = (top.bid_price, top.bid_qty), (top.ask_price, top.ask_qty)
    return {
        "bid": decimal(bid[0], price) if bid else "",
        "bid_qty": short(bid[1], qty) if bid else "",
        "ask": decimal(ask[0], price) if ask else "",
        "ask_qty": short(ask[1], qty) if ask else "",
        "spread": decimal(ask[0] - bid[0], price) if bid and ask else "",
    }


def _less(last: list[int], first: list[int]) -> list[int]:
    return [a - b for a, b in zip(last, first, strict=True)]
