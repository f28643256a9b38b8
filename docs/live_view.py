"""Draws docs/live_view.svg: what `binance-sbe watch` shows of a local exchange that fails.

python docs/live_view.py
"""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path

from rich.console import Console

from binance_sbe import connect
from binance_sbe.commands.health import open_connections
from binance_sbe.commands.watch import streams_of
from binance_sbe.commands.watchlist import Watchlist
from binance_sbe.simulator import Exchange


async def main() -> None:
    symbols = ["btcusdt", "ethusdt", "solusdt"]
    console = Console(record=True, width=118, force_terminal=True, file=StringIO())
    async with (
        Exchange(symbols, rate=800, faults=["cut", "damage"], fault_seconds=2) as exchange,
        connect(*streams_of(symbols), url=exchange.url, api_key="any", lines=2) as feed,
    ):
        view = Watchlist(feed, "Binance SBE, local exchange")
        ends = asyncio.get_running_loop().time() + 12
        async for batch in feed.batches(max_delay=0.25):
            view.market.update(batch)
            if asyncio.get_running_loop().time() > ends and len(open_connections(feed)) == 2:
                break
        console.print(view.panel(*console.size))
    svg = console.export_svg(title="binance-sbe watch btcusdt ethusdt solusdt --lines 2")
    Path(__file__).with_name("live_view.svg").write_text(svg)


asyncio.run(main())
