"""What the simulated market answers by REST."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..serving import rest
from ..serving.rest import Answer, Asked, BaseRest, Refusal, number
from .events import Depth
from .faults import finer
from .market import Market

SBE = rest.SBE
error_response = rest.error_response
_PATIENCE = 10  # requests that are refused before their sender is banned


class Rest(BaseRest):
    """What is asked of these markets. ``weight_limit`` is what a minute's requests may weigh.

    ``next_refusal``, (status, seconds), is what the next request gets instead of its answer.
    """

    def __init__(self, markets: Mapping[str, Market], weight_limit: int, ban_seconds: int) -> None:
        super().__init__()
        self.markets = markets
        self.weight_limit = weight_limit
        self.ban_seconds = ban_seconds
        self.next_refusal: tuple[int, int] | None = None
        self.next_is_old = self.next_is_finer = False
        self._before = {m.symbol: m.depth(0, 5000) for m in markets.values()}  # the last snapshots
        self.refused = 0
        self._minute = -1
        self._banned_until = 0.0
        self.paths["/api/v3/depth"] = rest.depth_weight, self._depth
        self.paths["/api/v3/historicalTrades"] = (lambda _: 25), self._trades
        self.paths["/api/v3/exchangeInfo"] = (lambda _: 20), self._exchange_info

    def limited(self, now: float) -> Answer | None:
        """The refusal of a request that comes too soon."""
        if int(now // 60) != self._minute:
            self._minute = int(now // 60)
            self.used = self.refused = 0
        if self.next_refusal is not None:
            (status, seconds), self.next_refusal = self.next_refusal, None
            return rest.refused(status, seconds)
        if now < self._banned_until:
            return rest.refused(418, int(self._banned_until - now) + 1)
        if self.used < self.weight_limit:
            return None
        self.refused += 1
        if self.refused > _PATIENCE:
            self._banned_until = now + self.ban_seconds
            return rest.refused(418, self.ban_seconds)
        return rest.refused(429, 60 - int(now % 60))

    def _market(self, asked: Asked) -> Market:
        market = self.markets.get(asked.get("symbol", "").lower())
        if market is None:
            raise Refusal(-1121, "Invalid symbol.")
        return market

    def _depth(self, asked: Asked, now: float) -> bytes:
        market = self._market(asked)
        limit = number(asked, "limit", 100)
        depth = market.depth(0, 5000)
        before, self._before[market.symbol] = self._before.get(market.symbol, depth), depth
        if self.next_is_old:
            self.next_is_old, depth = False, before
        depth = depth._replace(bids=depth.bids[:limit], asks=depth.asks[:limit])
        if self.next_is_finer:
            self.next_is_finer, depth = False, finer(depth)
        return depth_response(depth)

    def _exchange_info(self, asked: Asked, now: float) -> bytes:
        from .exchange_info import exchange_info  # needs the decoders of REST

        if "symbol" in asked:
            return exchange_info([self._market(asked)])
        return exchange_info(self.markets.values())

    def _trades(self, asked: Asked, now: float) -> bytes:
        market = self._market(asked)
        limit = min(number(asked, "limit", 500), 1000)
        begin = number(asked, "fromId", market.trade_id - limit + 1)
        found = market.trades_from(begin, limit)
        one = 10**-market.qty_exponent
        entries = [
            (t.id, t.price, t.qty, t.price * t.qty // one, at, t.is_buyer_maker, 1)
            for at, t in found
        ]
        from .. import spot_sbe  # see `serving.rest`

        return spot_sbe.TradesResponse.encode(
            price_exponent=market.price_exponent,
            qty_exponent=market.qty_exponent,
            trades=np.array(entries, spot_sbe.TradesResponse.TRADES_DTYPE),
        )


def depth_response(depth: Depth) -> bytes:
    """A DepthResponse."""
    exponents = depth.price_exponent, depth.qty_exponent
    return rest.depth_response(depth.update_id, exponents, depth.bids, depth.asks)
