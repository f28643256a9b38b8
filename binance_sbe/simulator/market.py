"""A seeded random-walk market of one symbol, whose events all come from one order book.

Orders arrive around the middle, rest in the book or trade against it; every change of the book has
an update id. Trades, best bid and ask, snapshots and diffs are four ways of looking at that. Pure:
the caller gives the time, and the same seed and times give the same events.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque

from .events import BestBidAsk, Depth, Diff, Level, Trade, Trades

_SIDE_LEVELS = 60
_HISTORY = 100_000  # trades that are remembered
_PRICES = {
    "btcusdt": 94_123.45, "ethusdt": 3_312.08, "bnbusdt": 702.41, "solusdt": 189.77,
    "xrpusdt": 2.1834, "dogeusdt": 0.31562, "pepeusdt": 0.00001874,
}  # fmt: skip


class Market:
    """One symbol's book. ``symbol`` may be in any case; events have it in upper case."""

    def __init__(self, symbol: str, seed: int = 0) -> None:
        self.symbol = symbol.upper()
        self.random = random.Random(f"{symbol.lower()}/{seed}")
        start = _PRICES.get(symbol.lower()) or self.random.uniform(0.5, 500.0)
        self.price_exponent = -2 if start >= 100 else (-5 if start >= 0.1 else -10)
        self.qty_exponent = -8
        self.update_id = self.random.randrange(10**6, 10**9)
        self.trade_id = self.random.randrange(10**5, 10**8)
        self._unit = max(1, round(10**8 * 2_000 / start))  # an order of about 2000 in quote terms
        self._anchor = round(start * 10**-self.price_exponent)
        self._spread: int = max(1, self._anchor // 40_000)
        self._range = self._anchor // 10
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        for depth in range(_SIDE_LEVELS):
            self.bids[self._anchor - self._spread * (depth + 1)] = self._quantity()
            self.asks[self._anchor + self._spread * (depth + 1)] = self._quantity()
        self.history: deque[tuple[int, Trade]] = deque(maxlen=_HISTORY)  # us, and the trade
        self._changed_bids: set[int] = set()
        self._changed_asks: set[int] = set()
        self._diffed_id = self.update_id

    def _quantity(self) -> int:
        return max(1, int(self._unit * self.random.lognormvariate(0.0, 1.0)))

    @property
    def best_bid(self) -> int:
        """The highest price of the bids, a mantissa."""
        return max(self.bids)

    @property
    def best_ask(self) -> int:
        """The lowest price of the asks, a mantissa."""
        return min(self.asks)

    def step(self, now: int) -> list[Trades | BestBidAsk]:
        """One order arrives at ``now``: the events of the real-time streams that it causes."""
        top = self._top()
        events: list[Trades | BestBidAsk] = []
        chance = self.random.random()
        if chance < 0.25:
            events.append(self._take(now))
        elif chance < 0.65:
            self._rest()
        else:
            self._cancel()
        self._refill()
        if self._top() != top:
            events.append(self.best_bid_ask(now))
        return events

    def _top(self) -> tuple[Level, Level]:
        bid, ask = self.best_bid, self.best_ask
        return (bid, self.bids[bid]), (ask, self.asks[ask])

    def _set(self, is_bid: bool, price: int, qty: int) -> None:
        """One change of the book: the level has this quantity from now on."""
        side, changed = (
            (self.bids, self._changed_bids) if is_bid else (self.asks, self._changed_asks)
        )
        if qty:
            side[price] = qty
        else:
            del side[price]
        changed.add(price)
        self.update_id += 1

    def _take(self, now: int) -> Trades:
        """A market order eats into one side, more often the one that leads back to the start."""
        away = (self.best_bid - self._anchor) / self._range
        is_buy = self.random.random() < 0.5 - 0.4 * max(-1.0, min(1.0, away))
        side = self.asks if is_buy else self.bids
        left = int(self._quantity() * self.random.uniform(0.1, 2.5)) + 1
        trades = []
        for price in sorted(side, reverse=not is_buy)[:4]:
            qty = min(left, side[price])
            self._set(not is_buy, price, side[price] - qty)
            self.trade_id += 1
            trades.append(Trade(self.trade_id, price, qty, not is_buy))
            left -= qty
            if left <= 0:
                break
        delay = self.random.randrange(200, 900)
        self.history.extend((now - delay, trade) for trade in trades)
        return Trades(
            self.symbol, self.price_exponent, self.qty_exponent, now, now - delay, tuple(trades)
        )

    def _rest(self) -> None:
        """A limit order rests at, inside or behind the best price of its side."""
        is_bid = self.random.random() < 0.5
        bid, ask = self.best_bid, self.best_ask
        if ask - bid > self._spread and self.random.random() < 0.7:
            # A wide spread is closed from both sides, near the best prices more often than not.
            step = max(1, int((ask - bid) * min(self.random.random(), self.random.random())))
            price = min(ask - 1, bid + step) if is_bid else max(bid + 1, ask - step)
        else:
            away = int(self.random.expovariate(0.2)) * self._spread
            price = bid - away if is_bid else ask + away
        side = self.bids if is_bid else self.asks
        if price > 0:
            self._set(is_bid, price, side.get(price, 0) + self._quantity())

    def _cancel(self) -> None:
        is_bid = self.random.random() < 0.5
        side = self.bids if is_bid else self.asks
        near = sorted(side, reverse=is_bid)[: _SIDE_LEVELS // 2]
        price = self.random.choice(near)
        qty = side[price]
        self._set(is_bid, price, 0 if self.random.random() < 0.5 else qty - qty // 2)

    def _refill(self) -> None:
        """Keeps both sides between half and twice their usual depth, and near the middle."""
        middle = self._middle()
        for is_bid, side in ((True, self.bids), (False, self.asks)):
            step = -self._spread if is_bid else self._spread
            near = (max(side) if is_bid else min(side)) if side else middle + step
            price = near + step
            while len(side) < _SIDE_LEVELS // 2 and price > 0:
                if price not in side:
                    self._set(is_bid, price, self._quantity())
                price += step
            while len(side) > _SIDE_LEVELS * 2:
                self._set(is_bid, min(side) if is_bid else max(side), 0)

    def _middle(self) -> int:
        """Between the best prices; where a side is empty, beside the other's."""
        if self.bids and self.asks:
            return (self.best_bid + self.best_ask) // 2
        return self.best_bid + self._spread if self.bids else self.best_ask - self._spread

    def trades_from(self, trade_id: int, limit: int) -> list[tuple[int, Trade]]:
        """Up to ``limit`` trades from an id on, with their times; older ones are forgotten."""
        begin = bisect_left(self.history, trade_id, key=lambda entry: entry[1].id)
        return [self.history[i] for i in range(begin, min(begin + limit, len(self.history)))]

    # the streams

    def best_bid_ask(self, now: int) -> BestBidAsk:
        """The event of the best prices as they are; ``now`` is in microseconds since 1970."""
        bid, ask = self._top()
        return BestBidAsk(
            self.symbol, self.price_exponent, self.qty_exponent, now, self.update_id, bid, ask
        )

    def depth(self, now: int, levels: int = 20) -> Depth:
        """The best levels as they are now."""
        return Depth(
            self.symbol,
            self.price_exponent,
            self.qty_exponent,
            now,
            self.update_id,
            tuple(sorted(self.bids.items(), reverse=True)[:levels]),
            tuple(sorted(self.asks.items())[:levels]),
        )

    def diff(self, now: int) -> Diff | None:
        """What has changed since the last diff, or None."""
        if self.update_id == self._diffed_id:
            return None
        event = Diff(
            self.symbol,
            self.price_exponent,
            self.qty_exponent,
            now,
            self._diffed_id + 1,
            self.update_id,
            tuple((p, self.bids.get(p, 0)) for p in sorted(self._changed_bids, reverse=True)),
            tuple((p, self.asks.get(p, 0)) for p in sorted(self._changed_asks)),
        )
        self._diffed_id = self.update_id
        self._changed_bids.clear()
        self._changed_asks.clear()
        return event
