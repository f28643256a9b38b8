"""Events of the simulated market -> SBE frames of schema 1, version 0, by hand and by `struct`.

Shares nothing with the decoders: layouts are those of the published stream schema.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .events import BestBidAsk, Depth, Diff, Level, Trade, Trades

_HEADER = struct.Struct("<HHHH")
_TRADES = struct.Struct("<qqbbHI")
_TRADE = struct.Struct("<qqqB")
_BEST = struct.Struct("<qqbbqqqq")
_DEPTH = struct.Struct("<qqbb")
_DIFF = struct.Struct("<qqqbb")
_LEVELS = struct.Struct("<HH")
_LEVEL = struct.Struct("<qq")


def encode(event: Trades | BestBidAsk | Depth | Diff) -> bytes:
    """The frame of one event: header, root block, groups, symbol."""
    exponents = event.price_exponent, event.qty_exponent
    match event:
        case Trades():
            return b"".join(
                (
                    _HEADER.pack(18, 10000, 1, 0),
                    _TRADES.pack(
                        event.event_time,
                        event.transact_time,
                        *exponents,
                        _TRADE.size,
                        len(event.trades),
                    ),
                    *map(_trade, event.trades),
                    _text(event.symbol),
                )
            )
        case BestBidAsk():
            levels = *event.bid, *event.ask
            body = _BEST.pack(event.event_time, event.update_id, *exponents, *levels)
            return _HEADER.pack(50, 10001, 1, 0) + body + _text(event.symbol)
        case Depth():
            root = _DEPTH.pack(event.event_time, event.update_id, *exponents)
            head = _HEADER.pack(18, 10002, 1, 0) + root
        case Diff():
            root = _DIFF.pack(
                event.event_time, event.first_update_id, event.last_update_id, *exponents
            )
            head = _HEADER.pack(26, 10003, 1, 0) + root
    return head + _levels(event.bids) + _levels(event.asks) + _text(event.symbol)


def _trade(trade: Trade) -> bytes:
    return _TRADE.pack(trade.id, trade.price, trade.qty, trade.is_buyer_maker)


def _levels(levels: Sequence[Level]) -> bytes:
    entries = b"".join(_LEVEL.pack(*level) for level in levels)
    return _LEVELS.pack(_LEVEL.size, len(levels)) + entries


def _text(symbol: str) -> bytes:
    content = symbol.encode()
    return bytes([len(content)]) + content
