"""The clients that RFC 6455's table is tried with, and what they saw of a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from binance_sbe import TradesStreamEvent, connect
from binance_sbe.feed.feed import Feed


class Seen(NamedTuple):
    trades: list[int]  # their ids, in order
    damaged: int  # messages that are no SBE
    texts: int  # without the acknowledgements of subscriptions
    causes: list[str]  # why connections ended, in order, of all but the last


class _Enough(Exception):
    pass


async def _messages(feed: Feed, last: int, trades: list[int]) -> int:
    async for message in feed:
        assert isinstance(message, TradesStreamEvent)
        trades += message.trades["id"].tolist()
        if trades[-1] == last:
            break
    return len(feed.errors)


async def _batches(feed: Feed, last: int, trades: list[int]) -> int:
    damaged = 0
    async for batch in feed.batches(max_delay=0.01):
        damaged += len(batch.rejected)
        trades += batch[TradesStreamEvent].groups["trades"].records["id"].tolist()
        if trades and trades[-1] == last:
            break
    return damaged


async def _handler(feed: Feed, last: int, trades: list[int]) -> int:
    def take(message: TradesStreamEvent) -> None:
        trades.extend(message.trades["id"].tolist())
        if trades[-1] == last:
            raise _Enough

    with contextlib.suppress(_Enough):
        await feed.run(take)
    return len(feed.errors)


CONSUMERS: dict[str, Callable[[Feed, int, list[int]], Awaitable[int]]] = {
    "messages": _messages,
    "batches": _batches,
    "handler": _handler,
}


async def seen(url: str, consumer: str, last: int, seconds: float = 30.0) -> Seen:
    """Opens a feed of one stream, takes what comes until the trade ``last``, and closes it."""
    trades: list[int] = []
    async with (
        asyncio.timeout(seconds),
        connect("btcusdt@trade", url=url, api_key="k", on_error="collect") as feed,
    ):
        damaged = await CONSUMERS[consumer](feed, last, trades)
        connections = feed.ledger.connections
        texts = feed.stats.texts - len(connections)
        causes = [str(each.cause) for each in connections[:-1]]
    return Seen(trades, damaged, texts, causes)
