"""A local WebSocket API, and who works with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from binance_sbe.simulator import Exchange
from binance_sbe.simulator.ws_api import WsApi

KEY = "key-of-the-tests-0123456789"
Work = Callable[[WsApi, dict[str, Any]], Awaitable[None]]


def run(work: Work, **options: Any) -> None:
    """``work(server, options)``: the latter are what `ws_api.connect` needs for that server."""

    async def main() -> None:
        async with Exchange(["btcusdt"], rate=500) as exchange, WsApi(exchange, **options) as api:
            await work(api, {"url": api.url, "api_key": KEY, "private_key": api.key})

    asyncio.run(asyncio.wait_for(main(), 40))
