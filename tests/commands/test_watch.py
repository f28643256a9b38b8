"""`binance-sbe watch` for pipes and screens, and the metrics of a feed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

import binance_sbe
from binance_sbe.commands import health, numbers, watch
from binance_sbe.commands.watchlist import Watchlist
from binance_sbe.feed.ledger import Hole
from binance_sbe.metrics import serve
from binance_sbe.simulator import Exchange

COMMAND = [sys.executable, "-m", "binance_sbe", "watch"]


@contextlib.contextmanager
def simulated(*arguments: str) -> Iterator[str]:
    """The URL of `binance-sbe simulate` as a process."""
    command = [sys.executable, "-m", "binance_sbe", "simulate", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    with simulated("btcusdt", "ethusdt") as url:
        yield url


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BINANCE_API_KEY": "any"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment, timeout=60,
        check=False,
    )  # fmt: skip


def test_json_is_one_event_a_line_in_the_order_of_arrival(exchange: str) -> None:
    done = run("btcusdt", "ethusdt", "--url", exchange, "--json", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({event["stream"] for event in events}) == 8
    arrived = [event["received_ns"] for event in events]
    assert arrived == sorted(arrived)
    for event in events:
        symbol, kind = event["stream"].split("@")
        assert event["symbol"] == symbol.upper()
        if kind == "bestBidAsk":
            assert float(event["bid_price"]) < float(event["ask_price"])
        elif kind == "trade":
            trade = event["trades"][0]
            assert isinstance(trade["is_buyer_maker"], bool)
            assert isinstance(trade["id"], int)
            assert re.fullmatch(r"\d+\.\d+", trade["price"])
        else:
            assert all(len(level) == 2 for level in event["bids"] + event["asks"])
    assert done.stderr == ""  # all is well, and nothing looks as if it were not


def test_once_shows_each_symbol_and_ends(exchange: str) -> None:
    done = run("btcusdt", "ethusdt", "--url", exchange, "--once")
    assert done.returncode == 0, done.stderr
    for said in ("  BTCUSDT", "  ETHUSDT", "lag: exchange to here p50", "connection 1 (line 1)"):
        assert said in done.stdout
    as_json = run("btcusdt", "--url", exchange, "--once", "--json")
    events = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [event["stream"].split("@")[1] for event in events] == [
        "bestBidAsk", "depth", "depth20", "trade",
    ]  # fmt: skip


def test_once_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(watch, "_ONCE_SECONDS", 0.5)

    async def work() -> None:
        async with Exchange(["btcusdt"], rate=1e-9) as quiet:
            streams = watch.streams_of(["btcusdt"], ["trade", "depth20"])
            await watch.show(streams, "x", once=True, url=quiet.url, api_key="k")

    with pytest.raises(binance_sbe.errors.FeedError, match=r"within 0.5 s of btcusdt@trade$"):
        asyncio.run(work())
    assert "BTCUSDT" in capsys.readouterr().out


def test_the_view_without_a_terminal_has_connections_and_ledger(exchange: str) -> None:
    done = run(
        "btcusdt", "--url", exchange, "--lines", "2", "--seconds", "2.5", "--streams", "trade"
    )
    assert done.returncode == 0, done.stderr
    assert "connection 1 (line 1): age" in done.stdout
    assert "connection 2 (line 2): age" in done.stdout
    assert re.search(r"ledger: .*duplicates \d", done.stdout)
    assert "@depth" not in done.stdout


def test_the_view_goes_on_while_nothing_comes() -> None:
    """By the clock: that is when one looks at it."""

    async def work() -> int | None:
        async with Exchange(["btcusdt"]) as exchange:
            watch = await asyncio.create_subprocess_exec(
                *COMMAND, "btcusdt", "--url", exchange.url, stdout=subprocess.PIPE,
                env=os.environ | {"BINANCE_API_KEY": "any"},
            )  # fmt: skip
            assert watch.stdout is not None

            async def until(pattern: str) -> None:
                assert watch.stdout is not None
                while not re.search(pattern, (await watch.stdout.readline()).decode()):
                    pass

            async with asyncio.timeout(60):
                await until(r"\] [1-9][\d,]* messages/s")
                assert exchange.inflict("silence")
                await until(r"\] 0 messages/s")
                await until(r"last read [\d.]+ s ago")
                watch.terminate()
                await watch.communicate()
            return watch.returncode

    assert asyncio.run(work()) == 0


def test_a_view_that_nobody_reads_any_more_ends_though_nothing_comes() -> None:
    """Nothing but the drawing notices it."""
    with simulated("btcusdt", "--faults", "silence@0.5") as url:
        command = f"{' '.join(COMMAND)} btcusdt --url {url} --seconds 40 | head -1"
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False,
            env=os.environ | {"BINANCE_API_KEY": "any"},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 30


def test_a_view_without_a_connection_says_so() -> None:
    async def work() -> str:
        exchange = Exchange(["btcusdt"])
        await exchange.__aenter__()
        streams = watch.streams_of(["btcusdt"])
        async with binance_sbe.connect(*streams, url=exchange.url, api_key="k") as feed:
            await exchange.__aexit__(None, None, None)
            while health.open_connections(feed):
                await asyncio.sleep(0.01)
            console = Console(width=100, record=True, file=io.StringIO())
            console.print(Watchlist(feed, "title").panel(*console.size))
            return console.export_text()

    assert "no connection is open: the exchange closed with 1001" in asyncio.run(work())


def test_the_metrics_of_a_watch_are_served(exchange: str) -> None:
    done = run("btcusdt", "--url", exchange, "--json", "--metrics-port", "0", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"metrics at http://127\.0\.0\.1:\d+/metrics", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--streams", "trade,kline"), "'kline' is none of trade, bestBidAsk, depth20, depth"),
        (("--renew-at", "25:00"), "'25:00' is not a time of day, such as 04:30"),
        (("--metrics-port", "x"), "'x' is not a port"),
        (("--lines", "4"), "invalid choice: '4'"),
    ],
)
def test_wrong_arguments_are_said_and_exit_2(arguments: tuple[str, ...], said: str) -> None:
    done = run("btcusdt", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("width", [60, 90, 140])
def test_the_screen_fits_the_terminal(width: int) -> None:
    async def work() -> str:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect(
                *watch.streams_of(["btcusdt"]), url=exchange.url, api_key="k", lines=2
            ) as feed,
        ):
            view = Watchlist(feed, "title")
            async for batch in feed.batches(max_delay=0.5):
                view.market.update(batch)
                if len(feed.ledger.connections) == 2:
                    break
            feed.ledger._add(Hole("btcusdt@trade", 5, 8, 0, 1, "a test"))
            console = Console(width=width, record=True, file=io.StringIO())
            console.print(view.panel(*console.size))
            return console.export_text()

    text = asyncio.run(work())
    assert all(len(line) <= width for line in text.splitlines())
    for said in ("BTCUSDT", "connection 2 (line 2)", "holes 1", "btcusdt@trade, 2 ids"):
        assert said in " ".join(text.split())


def test_durations_are_in_units_that_suit() -> None:
    shown = [numbers.duration(each) for each in (2e-7, 8.5e-4, 0.0123, 0.85, 4.2, 150, 90000)]
    assert shown == ["0.2 us", "850 us", "12.3 ms", "850 ms", "4.2 s", "2.5 min", "25.0 h"]


# metrics


def scraped(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_prometheus_gets_the_counters_of_the_feed() -> None:
    async def work() -> None:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect(
                *watch.streams_of(["btcusdt"]), url=exchange.url, api_key="secret"
            ) as feed,
        ):
            with serve(feed, 0) as port:
                async for _ in feed.batches(max_delay=0.5):
                    break
                exchange.rate = 1e-9
                await asyncio.sleep(0.3)
                url = f"http://127.0.0.1:{port}/metrics"
                found = await asyncio.to_thread(scraped, url)
                feed.ledger._add(Hole("btcusdt@trade", 5, 8, 0, 1, "a test"))
                again = await asyncio.to_thread(scraped, url)
            assert found["binance_sbe_connections_open"] == 1
            assert 0 < found["binance_sbe_frames_total"] <= feed.stats.frames
            stream = found['binance_sbe_stream_frames_total{stream="btcusdt@trade"}']
            assert stream == feed.ledger.streams["btcusdt@trade"].frames
            assert found["binance_sbe_holes_total"] == 0
            assert again["binance_sbe_holes_total"] == 1
            stage = 'stage="event_to_received"'
            count = found[f"binance_sbe_latency_seconds_count{{{stage}}}"]
            assert count == feed.stats.event_to_received.count
            p50 = found[f'binance_sbe_latency_seconds{{quantile="0.5",{stage}}}']
            total = found[f"binance_sbe_latency_seconds_sum{{{stage}}}"]
            assert 0 < p50 < 60
            assert total > 0
            assert not any("secret" in each for each in again)

    before = threading.active_count()
    asyncio.run(work())
    assert threading.active_count() <= before + 1  # the loop's own executor


# renewal at a time of day


def test_a_text_is_no_time_of_day() -> None:
    with pytest.raises(ValueError, match=r"renew_at is a datetime\.time, not '04:30'"):
        binance_sbe.connect("btcusdt@trade", renew_at="04:30")  # type: ignore[arg-type]


def test_connections_are_renewed_at_the_time_of_day() -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            soon = (datetime.now(UTC) + timedelta(seconds=1.5)).time()
            async with binance_sbe.connect(
                "btcusdt@trade", url=exchange.url, api_key="k", renew_at=soon
            ) as feed:
                async with asyncio.timeout(20):
                    async for _ in feed:
                        if feed.ledger.connections[0].closed_ns is not None:
                            break
                assert feed.ledger.connections[0].cause == "renewed"
                assert feed.ledger.holes == []

    asyncio.run(work())
