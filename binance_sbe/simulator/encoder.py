"""Events of the simulated market -> SBE frames of schema 1, version 0, as Binance sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from binance_sbe import spot_stream

from .events import BestBidAsk, Depth, Diff, Level, Trades

_LEVELS = spot_stream.DepthDiffStreamEvent.BIDS_DTYPE  # those of snapshots are laid out alike
_Array = np.ndarray[Any, Any]


def encode(event: Trades | BestBidAsk | Depth | Diff) -> bytes:
    """The frame of one event: header, root block, groups, symbol."""
    match event:
        case Trades():
            return spot_stream.TradesStreamEvent.encode(
                event_time=event.event_time,
                transact_time=event.transact_time,
                price_exponent=event.price_exponent,
                qty_exponent=event.qty_exponent,
                trades=[trade._asdict() for trade in event.trades],
                symbol=event.symbol,
            )
        case BestBidAsk():
            (bid_price, bid_qty), (ask_price, ask_qty) = event.bid, event.ask
            return spot_stream.BestBidAskStreamEvent.encode(
                event_time=event.event_time,
                book_update_id=event.update_id,
                price_exponent=event.price_exponent,
                qty_exponent=event.qty_exponent,
                bid_price=bid_price,
                bid_qty=bid_qty,
                ask_price=ask_price,
                ask_qty=ask_qty,
                symbol=event.symbol,
            )
        case Depth():
            return spot_stream.DepthSnapshotStreamEvent.encode(
                event_time=event.event_time,
                book_update_id=event.update_id,
                price_exponent=event.price_exponent,
                qty_exponent=event.qty_exponent,
                bids=_levels(event.bids),
                asks=_levels(event.asks),
                symbol=event.symbol,
            )
        case Diff():
            return spot_stream.DepthDiffStreamEvent.encode(
                event_time=event.event_time,
                first_book_update_id=event.first_update_id,
                last_book_update_id=event.last_update_id,
                price_exponent=event.price_exponent,
                qty_exponent=event.qty_exponent,
                bids=_levels(event.bids),
                asks=_levels(event.asks),
                symbol=event.symbol,
            )


def _levels(levels: Sequence[Level]) -> _Array:
    return np.array(list(levels), _LEVELS)
