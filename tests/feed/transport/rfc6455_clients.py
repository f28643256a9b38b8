"""The clients that RFC 6455's table is tried with, and what they saw of a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from binance_sbe import TradesStreamEvent, connect, sync
from binance_sbe.feed.base import BaseFeed
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


def _sync_messages(feed: sync.Feed, last: int, trades: list[int]) -> int:
    for message in feed:
        assert isinstance(message, TradesStreamEvent)
        trades += message.trades["id"].tolist()
        if trades[-1] == last:
            break
    return len(feed.errors)


def _sync_batches(feed: sync.Feed, last: int, trades: list[int]) -> int:
    damaged = 0
    for batch in feed.batches(max_delay=0.0):
        damaged += len(batch.rejected)
        trades += batch[TradesStreamEvent].groups["trades"].records["id"].tolist()
        if trades and trades[-1] == last:
            break
    return damaged


def _sync_handler(feed: sync.Feed, last: int, trades: list[int]) -> int:
    def take(message: TradesStreamEvent) -> None:
        trades.extend(message.trades["id"].tolist())
        if trades[-1] == last:
            raise _Enough

    with contextlib.suppress(_Enough):
        feed.run(take, reuse=True)
    return len(feed.errors)


ASYNCIO: dict[str, Callable[[Feed, int, list[int]], Awaitable[int]]] = {
    "messages": _messages,
    "batches": _batches,
    "handler": _handler,
}
THREADS: dict[str, Callable[[sync.Feed, int, list[int]], int]] = {
    "messages, in a thread": _sync_messages,
    "batches, in a thread": _sync_batches,
    "handler, in a thread": _sync_handler,
}
CONSUMERS = (*ASYNCIO, *THREADS)
STREAM = "btcusdt@trade"


def _told(feed: BaseFeed, trades: list[int], damaged: int) -> Seen:
    connections = feed.ledger.connections
    texts = feed.stats.texts - len(connections)
    return Seen(trades, damaged, texts, [str(each.cause) for each in connections[:-1]])


async def seen(url: str, consumer: str, last: int, seconds: float = 30.0) -> Seen:
    """Opens a feed of one stream, takes what comes until the trade ``last``, and closes it."""
    trades: list[int] = []
    if consumer in THREADS:

        def work() -> Seen:
            with sync.connect(
                STREAM, url=url, api_key="k", on_error="collect", timeout=seconds
            ) as feed:
                damaged = THREADS[consumer](feed, last, trades)
                return _told(feed, trades, damaged)

        with ThreadPoolExecutor(1) as threads:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
    async with (
        asyncio.timeout(seconds),
        connect(STREAM, url=url, api_key="k", on_error="collect") as feed,
    ):
        damaged = await ASYNCIO[consumer](feed, last, trades)
        return _told(feed, trades, damaged)
