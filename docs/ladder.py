"""Draws docs/ladder.svg: what `binance-sbe book` shows of a local exchange.

python docs/ladder.py
"""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path

from rich.console import Console

import binance_sbe
from binance_sbe.commands.ladder import rich_panel
from binance_sbe.simulator import Exchange


async def main() -> None:
    console = Console(record=True, width=100, force_terminal=True, file=StringIO())
    async with (
        Exchange(["btcusdt"], rate=800) as exchange,
        binance_sbe.books(
            "btcusdt", url=exchange.url, api_key="any", limit=20, audit_seconds=3
        ) as books,
    ):
        await books.wait()
        await asyncio.sleep(8.0)
        console.print(rich_panel(books["btcusdt"], 8))
    svg = console.export_svg(title="binance-sbe book btcusdt --levels 8 --limit 20")
    Path(__file__).with_name("ladder.svg").write_text(svg)


asyncio.run(main())
