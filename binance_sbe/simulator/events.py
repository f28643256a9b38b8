"""What a simulated market does. Prices and quantities are mantissas; times are microseconds."""

from __future__ import annotations

from typing import NamedTuple

Level = tuple[int, int]  # price, quantity; in a diff, quantity 0 removes the level


class Trade(NamedTuple):
    id: int
    price: int
    qty: int
    is_buyer_maker: bool


class Trades(NamedTuple):
    symbol: str
    price_exponent: int
    qty_exponent: int
    event_time: int
    transact_time: int
    trades: tuple[Trade, ...]


class BestBidAsk(NamedTuple):
    symbol: str
    price_exponent: int
    qty_exponent: int
    event_time: int
    update_id: int
    bid: Level
    ask: Level


class Depth(NamedTuple):
    """The best levels of each side, best first."""

    symbol: str
    price_exponent: int
    qty_exponent: int
    event_time: int
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class Diff(NamedTuple):
    """The levels that changed from ``first_update_id`` to ``last_update_id``, as they are now."""

    symbol: str
    price_exponent: int
    qty_exponent: int
    event_time: int
    first_update_id: int
    last_update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
