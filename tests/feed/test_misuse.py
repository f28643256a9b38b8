"""What is opened by ``async with``, used in another way: a sentence says what to write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import binance_sbe
from binance_sbe import rest
from binance_sbe.simulator import Exchange

STREAM = "btcusdt@bestBidAsk"
THINGS: dict[str, Any] = {
    "async with connect(...) as feed:": lambda: binance_sbe.connect(STREAM, api_key="k"),
    "async with books(...) as kept:": lambda: binance_sbe.books("btcusdt", api_key="k"),
    "async with rest.Client() as client:": rest.Client,
    "async with Exchange([...]) as exchange:": lambda: Exchange(["btcusdt"]),
}


@pytest.mark.parametrize("usage", THINGS)
def test_with_instead_of_async_with_is_told_what_to_write(usage: str) -> None:
    with pytest.raises(TypeError, match="this needs 'async': write") as caught, THINGS[usage]():
        pass
    assert usage in str(caught.value)


@pytest.mark.parametrize("usage", THINGS)
def test_await_is_told_what_to_write(usage: str) -> None:
    async def work() -> None:
        await THINGS[usage]()

    with pytest.raises(TypeError, match="this is not awaited: write") as caught:
        asyncio.run(work())
    assert usage in str(caught.value)


def test_for_instead_of_async_for_is_told_what_to_write() -> None:
    with pytest.raises(TypeError, match="write 'async for message in feed:'"):
        for _ in binance_sbe.connect(STREAM, api_key="k"):
            pass


async def messages(feed: Any) -> list[Any]:
    return [message async for message in feed]


async def batches(feed: Any) -> list[Any]:
    return [batch async for batch in feed.batches(max_delay=0.01)]


@pytest.mark.parametrize("consume", [messages, batches])
def test_a_feed_that_was_never_opened_is_not_iterated(consume: Any) -> None:
    with pytest.raises(RuntimeError, match="this is not open: write 'async with connect"):
        asyncio.run(consume(binance_sbe.connect(STREAM, api_key="k")))


@pytest.mark.parametrize("consume", [messages, batches])
def test_a_feed_whose_block_was_left_is_not_iterated(consume: Any) -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"], rate=1e-9) as exchange:
            async with binance_sbe.connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
                pass
            with pytest.raises(RuntimeError, match="this is closed, and nothing comes any more"):
                await consume(feed)

    asyncio.run(work())


@pytest.mark.parametrize("consume", [messages, batches])
def test_iteration_after_close_ends_once_and_is_refused_then(consume: Any) -> None:
    """Who closes a feed while another task iterates, or is about to, does not make it fail."""

    async def work() -> None:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect(STREAM, url=exchange.url, api_key="k") as feed,
        ):
            await anext(feed)
            waiting = asyncio.create_task(consume(feed))
            await asyncio.sleep(0.05)
            await feed.close()
            assert await waiting
            with pytest.raises(RuntimeError, match="this is closed"):
                await consume(feed)

    asyncio.run(work())


def test_frames_that_came_before_the_close_are_handed_over_after_it() -> None:
    async def work() -> None:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect(STREAM, url=exchange.url, api_key="k") as feed,
        ):
            while feed.waiting < 3:
                await asyncio.sleep(0.01)
            await feed.close()
            assert len(await messages(feed)) >= 3

    asyncio.run(work())


def test_a_client_that_is_not_open_says_so() -> None:
    async def work() -> None:
        await rest.Client().get("/api/v3/time")

    with pytest.raises(RuntimeError, match="this is not open: write 'async with rest.Client"):
        asyncio.run(work())
