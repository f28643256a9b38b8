"""Messages of the SBE streams as the JSON streams send the same events.

Keys, and their order, are those of the payloads that Binance documents for ``<symbol>@trade``,
``<symbol>@bookTicker``, ``<symbol>@depth20`` and ``<symbol>@depth``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import index
from typing import Any

from ..spot_stream import (
    BestBidAskStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
)
from ..venue.streams import KIND_OF
from .decimals import decimal, decimal_of

Digits = int | tuple[int, int] | Mapping[str, int | tuple[int, int]] | None
_Text = Callable[[Any], str]


def stream_events(message: Any, *, time_unit: str = "ms", digits: Digits = None) -> list[Any]:
    """The JSON events of one stream message, as dicts: one for each of its trades, else one."""
    if time_unit not in ("ms", "us"):
        raise ValueError(f"time_unit is 'ms' or 'us', not {time_unit!r}")
    step = 1000 if time_unit == "ms" else 1
    price, qty = _texts(message, digits)
    match message:
        case TradesStreamEvent():
            return _trades(message, step, price, qty)
        case BestBidAskStreamEvent():
            return [
                {
                    "u": message.book_update_id,
                    "s": message.symbol,
                    "b": price(message.bid_price),
                    "B": qty(message.bid_qty),
                    "a": price(message.ask_price),
                    "A": qty(message.ask_qty),
                }
            ]
        case DepthSnapshotStreamEvent():
            return [
                {
                    "lastUpdateId": message.book_update_id,
                    "bids": _levels(message.bids, price, qty),
                    "asks": _levels(message.asks, price, qty),
                }
            ]
    return [
        {
            "e": "depthUpdate",
            "E": message.event_time // step,
            "s": message.symbol,
            "U": message.first_book_update_id,
            "u": message.last_book_update_id,
            "b": _levels(message.bids, price, qty),
            "a": _levels(message.asks, price, qty),
        }
    ]


def combined(message: Any, event: Any) -> dict[str, Any]:
    """The event as combined streams (``/stream?streams=``) send it: with the name of its stream."""
    return {"stream": f"{message.symbol.lower()}@{KIND_OF[type(message)].json_name}", "data": event}


def _trades(message: TradesStreamEvent, step: int, price: _Text, qty: _Text) -> list[Any]:
    symbol = message.symbol
    event_time, trade_time = message.event_time // step, message.transact_time // step
    return [
        {
            "e": "trade",
            "E": event_time,
            "s": symbol,
            "t": trade_id,
            "p": price(trade_price),
            "q": qty(trade_qty),
            "T": trade_time,
            "m": _BOOL.get(is_maker, is_maker),
            "M": True,  # isBestMatch: a constant of the schema, which JSON says to ignore
        }
        for trade_id, trade_price, trade_qty, is_maker in message.trades.tolist()
    ]


_BOOL: Mapping[int, bool | None] = {0: False, 1: True, 255: None}  # 255 is null; others stay


def _levels(group: Any, price: _Text, qty: _Text) -> list[list[str]]:
    return [[price(each), qty(amount)] for each, amount in group.tolist()]


def _texts(message: Any, digits: Digits) -> tuple[_Text, _Text]:
    """How prices and quantities of this message are written."""
    exponents = message.price_exponent, message.qty_exponent
    places = digits.get(message.symbol) if isinstance(digits, Mapping) else digits
    if places is None:
        first, second = (partial(decimal, exponent=each) for each in exponents)
        return first, second
    pair = places if isinstance(places, tuple | list) else (places, places)
    if len(pair) != 2 or not all(0 <= index(each) <= 38 for each in pair):
        raise ValueError(f"digits are one or two numbers from 0 to 38, not {places!r}")
    first, second = (
        partial(decimal_of, exponent=exponent, places=each)
        for exponent, each in zip(exponents, pair, strict=True)
    )
    return first, second
