"""Records a local exchange for ten seconds, plays the tape again, and draws spread and trades.

    python examples/record_and_replay.py tape picture.svg

With a key in BINANCE_API_KEY, leave out `Exchange` and `url=`: the rest stays as it is.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

import binance_sbe
from binance_sbe import BestBidAskStreamEvent, TradesStreamEvent, sync
from binance_sbe.simulator import Exchange
from binance_sbe.tape import Tape

STREAMS = ("btcusdt@trade", "btcusdt@bestBidAsk")


async def record(path: str, seconds: float) -> None:
    async with (
        Exchange(["btcusdt"], rate=500) as exchange,
        binance_sbe.connect(*STREAMS, url=exchange.url, api_key="any", record=path),
    ):
        await asyncio.sleep(seconds)  # the feed is recorded whether or not anybody reads it


def play(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) and spreads; times, prices and sides of trades: the same each time it is played."""
    spreads, trades = [], []
    with sync.replay(path) as feed:
        for message in feed:
            at = message.event_time / 1e6
            match message:
                case BestBidAskStreamEvent():
                    spreads.append((at, message.ask_price_float - message.bid_price_float))
                case TradesStreamEvent():
                    for trade in message.trades_float:
                        trades.append((at, trade["price"], trade["is_buyer_maker"]))
        print(feed.ledger)
    return np.array(spreads), np.array(trades, float)


def draw(spreads: np.ndarray, trades: np.ndarray, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 5), layout="constrained")
    begin = min(spreads[0, 0], trades[0, 0])
    for is_sold, color, name in ((0, "tab:green", "buyers took"), (1, "tab:red", "sellers took")):
        some = trades[trades[:, 2] == is_sold]
        above.plot(some[:, 0] - begin, some[:, 1], ".", color=color, markersize=2, label=name)
    above.set_ylabel("price of trades")
    above.legend(loc="upper left")
    below.step(spreads[:, 0] - begin, spreads[:, 1], linewidth=0.5, where="post")
    below.set_ylabel("spread")
    below.set_xlabel("seconds")
    figure.savefig(path)


def main(tape: str, picture: str, seconds: float = 10.0) -> None:
    asyncio.run(record(tape, seconds))
    print(Tape(tape).verify())
    draw(*play(tape), Path(picture))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(float, sys.argv[3:]))
