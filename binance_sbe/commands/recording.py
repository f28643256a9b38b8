"""A short while of one symbol, kept in memory to be drawn: within bounds, whatever comes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..books.keeper import LiveBook
from ..feed.feed import Feed
from ..spot_stream import BestBidAskStreamEvent, TradesStreamEvent
from . import health

MOST = 50_000  # points of one kind
SAMPLE_SECONDS = 0.1  # between two looks at the book
NEAR = 0.0005  # of the mid: how far from it depth is counted
LATENCY_EDGES = np.geomspace(1e4, 1e11, 71)  # ns


class Series:
    """Points in their order. Of too many every other one goes, then and from then on."""

    def __init__(self, most: int = MOST) -> None:
        self.every = 1  # of so many that came one is kept
        self._most = most
        self._came = 0
        self._points: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        return len(self._points)

    def add(self, *point: float) -> None:
        if self._came % self.every == 0:
            self._points.append(point)
            if len(self._points) > self._most:
                del self._points[1::2]
                self.every *= 2
        self._came += 1

    def columns(self) -> NDArray[np.float64]:
        """One row for each of the values of a point."""
        if not self._points:
            return np.empty((3, 0))
        return np.array(self._points, np.float64).T


class Recording:
    """What came of a symbol. Times are seconds since the beginning, by the exchange's clock."""

    def __init__(self, symbol: str, feed: Feed, book: LiveBook) -> None:
        self.symbol = symbol
        self.began = time.time()
        self.seconds = 0.0
        self.tops = Series()  # time, bid, ask
        self.trades = Series()  # time, price, quantity, 1 where the buyer took, else 0
        self.depths = Series()  # time by our clock, quantity of bids and of asks near the mid
        self.latencies: list[int] = []
        self.percentiles: dict[str, float] = {}  # ns
        self.messages = 0
        self.account = ""
        self._feed, self._book = feed, book

    def take(self, event: Any) -> None:
        self.messages += 1
        if isinstance(event, BestBidAskStreamEvent):
            at = event.event_time / 1e6 - self.began
            self.tops.add(at, event.bid_price_float, event.ask_price_float)
        elif isinstance(event, TradesStreamEvent):
            at = event.transact_time / 1e6 - self.began
            for each in event.trades_float.tolist():
                _, price, qty, is_buyer_maker = each[:4]
                self.trades.add(at, price, qty, not is_buyer_maker)

    def sample(self) -> None:
        """Looks at the book. What is not live has no depth, so that a gap is seen."""
        book = self._book
        bid = ask = float("nan")
        mid = book.mid if book.state == "live" else None
        if mid is not None:
            unit = 10.0**book.qty_exponent
            bids, asks = book.bids(), book.asks()
            bids, asks = bids[: bids.proven], asks[: asks.proven]
            bid = float(bids["qty"][bids["price"] >= mid * (1 - NEAR)].sum() * unit)
            ask = float(asks["qty"][asks["price"] <= mid * (1 + NEAR)].sum() * unit)
        self.depths.add(time.time() - self.began, bid, ask)

    def breaks(self) -> list[tuple[float, float]]:
        """From when to when the book was not live, once it had been."""
        found: list[tuple[float, float]] = []
        since: float | None = None
        was_live = False
        for at, bid, _ in self.depths.columns().T.tolist():
            is_live = bid == bid  # no NaN
            if not is_live and was_live and since is None:
                since = at
            elif is_live and since is not None:
                found.append((since, at))
                since = None
            was_live = was_live or is_live
        return found if since is None else [*found, (since, self.seconds)]

    def end(self) -> None:
        """No more is to come: what the feed has counted is kept."""
        self.seconds = time.time() - self.began
        found = self._feed.stats.event_to_received
        self.latencies = found.counts(LATENCY_EDGES.tolist())
        if found.count:
            self.percentiles = {"p50": found.p50, "p99": found.p99, "p99.9": found.p999}
        self.account = health.ledger_line(self._feed)
