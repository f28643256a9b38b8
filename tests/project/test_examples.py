"""The examples are built and run, and give what the decoders of Python give."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors

import binance_sbe
from binance_sbe.simulator import Exchange, Market
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.rest import depth_response

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(name: str, directory: Path) -> Any:
    """An example in Cython, as its users build it."""
    shutil.copy(EXAMPLES / f"{name}.pyx", directory)
    done = subprocess.run(
        [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-q", f"{name}.pyx"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)},  # where the .pxd files are
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (library,) = directory.glob(f"{name}*.so")
    return load(name, library)


@pytest.fixture(scope="module")
def feed_handler(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return built("feed_handler", tmp_path_factory.mktemp("examples"))


def test_the_cython_book_is_what_the_python_book_is(tmp_path: Path) -> None:
    follow = built("book_handler", tmp_path).follow
    market = Market("btcusdt", 3)
    start = market.depth(0, 5000)
    response = binance_sbe.rest.decode_response("application/sbe", depth_response(start))
    frames = []
    for now in range(3000):
        market.step(now)
        if now % 5 == 0 and (diff := market.diff(now)):
            frames.append(encode(diff))
    one, other = (binance_sbe.OrderBook("btcusdt", on_error="mark") for _ in range(2))
    for book in (one, other):
        book.apply_snapshot(response, limit=5000)
    spreads = []
    for frame in frames:
        message = binance_sbe.decode(frame)
        assert isinstance(message, binance_sbe.DepthDiffStreamEvent)
        assert one.apply(message)
        spreads.append(one.spread)
    assert follow(other, [frames[0], frames[0], b"no message", *frames[1:]]) == spreads
    assert (other.checksum(), other.update_id) == (one.checksum(), one.update_id)
    assert other.ignored == 1
    for now in range(50):
        market.step(now)
    gap = market.diff(50)
    assert gap is not None
    late = encode(gap._replace(first_update_id=gap.first_update_id + 1))
    assert follow(other, [late]) == []
    assert (other.state, other.buffered) == ("stale", 1)


def test_the_cython_feed_handler_sees_what_decode_sees(feed_handler: Any) -> None:
    market = Market("btcusdt")
    frames = [encode(event) for i in range(300) for event in market.step(i)]
    diff = market.diff(1)
    assert diff is not None
    frames += [encode(diff), encode(market.depth(2)), b"", b"x" * 20, frames[0][:-1]]
    offsets = np.cumsum([0, *map(len, frames)], dtype=np.int64)
    seen = feed_handler.run(b"".join(frames), offsets)
    batch = binance_sbe.decode_many(frames, on_error="collect")
    best = batch[binance_sbe.BestBidAskStreamEvent].records[-1]
    trades = batch[binance_sbe.TradesStreamEvent].groups["trades"].records
    changed = batch[binance_sbe.DepthDiffStreamEvent].groups
    assert (seen["bid"], seen["ask"]) == (best["bid_price"], best["ask_price"])
    assert seen["traded"] == trades["qty"].sum()
    assert seen["levels"] == sum(len(each.records) for each in changed.values())
    assert seen["others"] == 1
    codes = np.bincount(batch.rejected["code"], minlength=8).tolist()
    assert seen["refused"] == codes
    assert sum(codes) == 3


@pytest.mark.parametrize("offsets", [[], [5, 0], [0, 10**6], [-1, 3]])
def test_the_cython_feed_handler_refuses_wrong_offsets(feed_handler: Any, offsets: Any) -> None:
    with pytest.raises(ValueError, match="offsets"):
        feed_handler.run(vectors.TRADES, np.array(offsets, np.int64))


def test_the_numba_consumer_runs() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "numba_consumer.py"], capture_output=True, text=True, check=True
    )
    assert "BTCUSDT: the first five asks, taken together, cost" in done.stdout
    assert "1000 books: imbalance from" in done.stdout


def test_numba_reads_views_and_tables_as_numpy_does() -> None:
    example = load("numba_consumer", EXAMPLES / "numba_consumer.py")
    market = Market("btcusdt")
    frames = []
    for i in range(50):
        market.step(i)
        frames.append(encode(market.depth(i)))
    for shift in range(4):  # records at odd addresses
        depth: Any = binance_sbe.decode(b"?" * shift + frames[-1], shift)
        qty = int(depth.asks["qty"][:7].sum())
        prices, each = depth.asks["price"][:7].astype(float), depth.asks["qty"][:7]
        assert np.isclose(example.cost_of(depth.asks, qty), (prices * each).sum())
        assert np.isnan(example.cost_of(depth.asks, int(depth.asks["qty"].sum()) + 1))
    table = binance_sbe.decode_many(frames)[binance_sbe.DepthSnapshotStreamEvent]
    bids, asks = table.groups["bids"], table.groups["asks"]
    found = example.imbalances(bids.records, bids.offsets, asks.records, asks.offsets)
    for i in range(50):
        bid, ask = bids[i]["qty"].sum(), asks[i]["qty"].sum()
        assert found[i] == (bid - ask) / (bid + ask)


def test_a_handler_in_c_gets_every_event_where_it_is_read(tmp_path: Path) -> None:
    best_prices = built("run_handler", tmp_path).BestPrices

    async def work() -> None:
        async with Exchange(["btcusdt"], rate=500) as exchange:
            last: list[bytes] = []
            right = exchange.send

            def send(stream: str, frame: bytes) -> None:
                if stream.endswith("@bestBidAsk"):
                    last.append(frame)
                right(stream, frame)

            exchange.send = send  # type: ignore[method-assign]
            streams = ("btcusdt@bestBidAsk", "btcusdt@trade")
            async with binance_sbe.connect(*streams, url=exchange.url, api_key="k") as feed:
                first = await anext(feed)
                while not isinstance(first, binance_sbe.BestBidAskStreamEvent):
                    first = await anext(feed)
                begin = last.index(bytes(first)) + 1
                prices = best_prices(100)
                async with asyncio.timeout(20):
                    await feed.run(prices)  # it says itself when it has had enough
                assert (prices.events, prices.others > 0) == (100, True)
                message: Any = binance_sbe.decode(last[begin + 99])
                assert (prices.bid, prices.ask) == (message.bid_price, message.ask_price)
                assert abs(prices.received_ns - time.time_ns()) < 20e9
                while not isinstance(after := await anext(feed), binance_sbe.BestBidAskStreamEvent):
                    pass
                assert bytes(after) == last[begin + 100]

    asyncio.run(work())
