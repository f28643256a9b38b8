"""What an installed wheel is tried with, where there is neither a checkout nor an extra.

    python -W error tests/wheel.py

Decodes a frame of each schema, makes tables, and runs a feed over a socket of this machine.
"""

from __future__ import annotations

import asyncio
import importlib.util

import binance_sbe
from binance_sbe import fix_sbe, spot_sbe, sync
from binance_sbe.simulator import Exchange

FRAME = bytes.fromhex(
    "32001127010000007b600cba992a06007940e51700000000fef8f99e8f0000000000103adc0100000000"
    "fa9e8f0000000000206c6c02000000000742544355534454"
)


def consume(url: str) -> int:
    """Messages of a feed without asyncio, one after the other."""
    with sync.connect("btcusdt@bestBidAsk", url=url, api_key="k", timeout=20) as feed:
        return sum(next(feed).symbol == "BTCUSDT" for _ in range(20))


async def live() -> tuple[int, int]:
    async with Exchange(["btcusdt"]) as exchange:
        async with binance_sbe.connect("btcusdt@bestBidAsk", url=exchange.url, api_key="k") as feed:
            batch = await anext(feed.batches(max_messages=20))
        return len(batch), await asyncio.to_thread(consume, exchange.url)


def main() -> None:
    for extra in ("Cython", "lxml", "jinja2", "aiohttp"):
        assert importlib.util.find_spec(extra) is None, f"{extra} is here: nothing is proved"
    assert binance_sbe.decode(FRAME).bid_price_float == 94123.45
    table = binance_sbe.decode_many([FRAME] * 3)[binance_sbe.BestBidAskStreamEvent]
    assert table.records["bid_price"].tolist() == [9412345] * 3
    assert (len(spot_sbe.MESSAGES), len(fix_sbe.MESSAGES)) == (92, 29)
    rows, messages = asyncio.run(live())
    assert rows > 0
    assert messages == 20
    print(f"binance-sbe {binance_sbe.__version__} decodes and connects")


if __name__ == "__main__":
    main()
