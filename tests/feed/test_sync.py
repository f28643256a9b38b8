"""Feeds without asyncio: the three ways to consume, and how long a consumer waits."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, Enough, connect, publish

import binance_sbe
from binance_sbe import sync
from binance_sbe.simulator import Exchange

pytestmark = pytest.mark.usefixtures("leaves_nothing")

STREAMS = [f"btcusdt@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]


def test_iteration_batches_and_a_handler_take_turns(quiet: Beside[Exchange]) -> None:
    with connect(quiet) as feed:
        assert iter(feed) is feed
        frames = publish(quiet, 200)
        got = [bytes(next(feed)) for _ in range(100)]
        batches = feed.batches(max_messages=7, max_delay=0.05)
        rows = [batch.frame_count for batch in (next(batches) for _ in range(10))]
        assert set(rows) <= set(range(1, 8))
        batches.close()
        left = feed._backlog.batches.rows  # of what was gathered, for the next batches
        skipped = sum(rows) + left
        frames += publish(quiet, 100)

        def handler(message: Any) -> None:
            got.append(bytes(message))
            if len(got) == 300 - skipped:
                raise Enough

        with pytest.raises(Enough):
            feed.run(handler, reuse=True)
        assert got == frames[:100] + frames[100 + skipped :]
        assert sum(len(batch) for batch in _some(feed, left)) == left
        assert (feed.waiting, feed.ledger.holes, feed.stats.frames) == (0, [], 300)


def _some(feed: sync.Feed, rows: int) -> Iterator[Any]:
    for batch in feed.batches(max_messages=13, max_delay=0.01) if rows else ():
        yield batch
        rows -= len(batch)
        if rows == 0:
            return


def test_every_kind_comes_in_the_order_in_which_it_was_sent(exchange: Beside[Exchange]) -> None:
    with connect(exchange, *STREAMS) as feed:
        assert feed.streams == STREAMS
        seen = set()
        ids: list[int] = []
        for message in feed:
            seen.add(type(message).__name__)
            if isinstance(message, binance_sbe.TradesStreamEvent):
                ids += [int(i) for i in message.trades["id"]]
            if len(seen) == 4 and len(ids) > 100:
                break
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert repr(feed).startswith(f"<Feed {exchange.made.url}, open, 4 streams, ")
    assert repr(feed).startswith(f"<Feed {exchange.made.url}, closed, ")


@pytest.mark.parametrize("reuse", [False, True])
def test_messages_may_be_kept_unless_they_are_reused(
    exchange: Beside[Exchange], reuse: bool
) -> None:
    messages, frames = [], []

    def handler(message: Any) -> None:
        messages.append(message)
        frames.append(bytes(message))
        if len(frames) == 300:
            raise Enough

    with connect(exchange, *STREAMS) as feed, pytest.raises(Enough):
        feed.run(handler, reuse=reuse)
    assert len(set(frames)) == 300
    assert len({id(message) for message in messages}) == (4 if reuse else 300)
    if not reuse:
        assert [bytes(message) for message in messages] == frames


@pytest.fixture(scope="session")
def best_prices(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The class of examples/run_handler.pyx."""
    source = Path(__file__).parents[2] / "examples" / "run_handler.pyx"
    here = tmp_path_factory.mktemp("examples")
    (here / source.name).write_text(source.read_text())
    environment = {**os.environ, "PYTHONPATH": str(source.parents[1])}
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-q", source.name]
    subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True)
    (built,) = here.glob("run_handler*.so")
    spec = importlib.util.spec_from_file_location("run_handler", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BestPrices


def test_a_handler_in_c_ends_when_it_has_had_enough(
    exchange: Beside[Exchange], best_prices: Any
) -> None:
    with connect(exchange, *STREAMS) as feed:
        for count in (50, 1, 200):
            prices = best_prices(count)
            feed.run(prices)
            assert prices.events == count
            assert 0 < prices.bid < prices.ask
        assert prices.others > 0
        assert next(feed)


def test_small_queues_and_batches_of_other_sizes_lose_nothing(quiet: Beside[Exchange]) -> None:
    with connect(quiet, max_queue=3) as feed:
        frames = publish(quiet, 500)
        time.sleep(0.1)
        got = [bytes(next(feed)) for _ in range(50)]
        rows = 0
        for size in (1, 2, 3, 1000, 1, 5):
            batches = feed.batches(max_messages=size, max_delay=0.0)
            for _ in range(20):
                batch = next(batches)
                assert 1 <= batch.frame_count <= min(size, 3)
                rows += batch.frame_count
            batches.close()
        rows += feed._backlog.batches.rows
        while len(got) + rows < 500:
            got.append(bytes(next(feed)))
        assert got == frames[:50] + frames[50 + rows :]
        assert feed.ledger.holes == []


# waiting, and its end


@pytest.mark.parametrize("spin", [False, True])
def test_a_time_out_leaves_the_feed_open(quiet: Beside[Exchange], spin: bool) -> None:
    with connect(quiet, timeout=0.2, spin=spin) as feed:
        for wait in (
            lambda: next(feed), lambda: next(feed.batches()), lambda: feed.run(print),
        ):  # fmt: skip
            started = time.monotonic()
            with pytest.raises(TimeoutError, match=r"nothing came for 0.2 s"):
                wait()
            assert 0.15 < time.monotonic() - started < 3
        feed.timeout = None
        frames = publish(quiet, 1)
        assert bytes(next(feed)) == frames[0]


@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize("way", ["run", "for", "batches"])
def test_a_time_out_begins_anew_at_each_message(
    quiet: Beside[Exchange], way: str, spin: bool
) -> None:
    came: list[float] = []

    def consume() -> None:
        def note(_: object) -> None:
            came.append(time.monotonic())

        if way == "run":
            feed.run(note)
        for each in feed if way == "for" else feed.batches(max_delay=0):
            note(each)

    with connect(quiet, timeout=1.0, spin=spin) as feed:
        timers = [threading.Timer(0.4 * i, publish, (quiet, 1)) for i in range(1, 6)]
        for timer in timers:
            timer.start()
        with pytest.raises(TimeoutError, match="nothing came for 1 s"):
            consume()
        over = time.monotonic()
        for timer in timers:
            timer.join()
    assert len(came) == 5
    assert 0.95 < over - came[-1] < 1.9


def test_a_slow_handler_is_no_time_out(quiet: Beside[Exchange]) -> None:
    """What came meanwhile lies in the socket, and is looked at first."""
    seen: list[bytes] = []

    def slow(message: Any) -> None:
        seen.append(bytes(message))
        if len(seen) == 1:
            frames.extend(publish(quiet, 1))
            time.sleep(1.2)
        else:
            feed.close()

    with connect(quiet, timeout=0.6) as feed:
        frames = publish(quiet, 1)
        feed.run(slow)
    assert seen == frames


def test_no_time_out_waits_without_end_and_without_haste(
    quiet: Beside[Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    from binance_sbe.feed import blocking

    monkeypatch.setattr(blocking, "LONGEST_WAIT", 0.3)
    with connect(quiet, timeout=None) as feed:
        used = time.process_time()
        timer = threading.Timer(1.5, publish, (quiet, 1))
        timer.start()
        next(feed)
        timer.join()
        assert time.process_time() - used < 1.0  # of all threads


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_frames_that_are_no_messages_raise_or_are_kept(
    quiet: Beside[Exchange], on_error: Any
) -> None:
    with connect(quiet, on_error=on_error, timeout=1) as feed:
        quiet.call(quiet.made.send, "btcusdt@trade", b"damaged")
        frames = publish(quiet, 2)
        if on_error == "raise":
            with pytest.raises(binance_sbe.DecodeError):
                next(feed)
        assert [bytes(next(feed)) for _ in range(2)] == frames
        quiet.call(quiet.made.send, "btcusdt@trade", b"damaged")
        (frame,) = publish(quiet, 1)
        got: list[bytes] = []
        with contextlib.suppress(TimeoutError):
            try:
                feed.run(lambda message: got.append(bytes(message)))
            except binance_sbe.DecodeError:
                assert (on_error, got) == ("raise", [])
                feed.run(lambda message: got.append(bytes(message)))
        assert got == [frame]
        assert len(feed.errors) == (2 if on_error == "collect" else 0)
        assert (feed.ledger.damaged_count, feed.stats.rejected) == (2, 2)
