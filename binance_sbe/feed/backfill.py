"""Trades of holes, fetched by REST."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from sbe_codegen.runtime.errors import SbeError

from ..api.rest import Client
from ..errors import BinanceError, FeedError, RateLimited
from ..logs import LOG
from ..spot_sbe import TradesResponse
from ..venue.streams import TRADE
from .ledger import Hole, Ledger

_LOOK_SECONDS = 0.2  # between two looks for new holes
_ATTEMPTS = 5


@dataclass(frozen=True)
class FilledTrades:
    """Trades that no stream brought, by REST: up to 1,000 of one hole.

    ``trades`` is a structured array over the answer: id, price, qty, quote_qty, time (us),
    is_buyer_maker, is_best_match; prices and quantities are mantissas of the exponents given here.
    ``response`` is the whole answer, which may have trades beyond the hole.
    """

    hole: Hole
    symbol: str
    trades: Any
    price_exponent: int
    qty_exponent: int
    response: TradesResponse

    def __repr__(self) -> str:
        first, last = (int(self.trades["id"][i]) for i in (0, -1))
        return f"<FilledTrades {self.symbol}: {len(self.trades)} trades, ids {first} to {last}>"


async def fill(client: Client, hole: Hole) -> AsyncIterator[FilledTrades]:
    """The trades of one hole of a trade stream, in the order of their ids.

    Waits where the exchange limits requests, and tries again where it does not answer, after pauses
    that grow; after five failures in a row the error is raised. Ends early where the
    exchange has no more of them: ``hole.filled`` says how many there were.
    """
    symbol = hole.stream.partition("@")[0].upper()
    wanted = hole.last_before + 1
    failures = 0
    while wanted < hole.first_after:
        try:
            answer = await client.historical_trades(
                symbol, wanted, min(1000, hole.first_after - wanted)
            )
        except (FeedError, BinanceError, SbeError) as error:
            failures += 1
            if failures >= _ATTEMPTS:
                raise
            limit = error.retry_after if isinstance(error, RateLimited) else 0.0
            pause = max(limit, 0.5 * 2**failures)
            LOG.warning("%s: %s; again in %.1f s", hole.stream, error, pause)
            await asyncio.sleep(pause)
            continue
        failures = 0
        ids = answer.trades["id"]
        trades = answer.trades[(ids >= wanted) & (ids < hole.first_after)]
        if not len(trades):
            return
        hole.filled += len(trades)
        wanted = int(trades["id"][-1]) + 1
        yield FilledTrades(hole, symbol, trades, answer.price_exponent, answer.qty_exponent, answer)


async def fill_all(
    client: Client, ledger: Ledger, is_over: Callable[[], bool]
) -> AsyncIterator[FilledTrades]:
    """The trades of all holes that a ledger has and gets, until the feed is over."""
    seen = 0
    waiting: list[Hole] = []
    while True:
        last_look = is_over()
        waiting += [h for h in ledger.holes_since(seen) if h.stream.endswith(f"@{TRADE}")]
        seen = ledger.holes_count
        ready = [hole for hole in waiting if last_look or not ledger.is_growing(hole)]
        waiting = [hole for hole in waiting if hole not in ready]
        for hole in ready:
            try:
                async for filled in fill(client, hole):
                    yield filled
            except (FeedError, BinanceError, SbeError) as error:
                LOG.warning("%s: not filled: %s", hole.stream, error)
            if hole.filled < hole.ids:
                LOG.warning(
                    "%s: of %d trades from id %d on, REST has given %d",
                    hole.stream, hole.ids, hole.last_before + 1, hole.filled,
                )  # fmt: skip
        if last_look and not ready:
            return
        await asyncio.sleep(_LOOK_SECONDS)
