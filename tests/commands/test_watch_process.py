"""`binance-sbe watch` as a process, with a local exchange."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import binance_sbe
from binance_sbe.commands import (
    watch,
)
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


def test_the_metrics_of_a_watch_are_served(exchange: str) -> None:
    done = run("btcusdt", "--url", exchange, "--json", "--metrics-port", "0", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"metrics at http://127\.0\.0\.1:\d+/metrics", done.stderr)


def test_a_watch_of_depth_shows_prices() -> None:
    done = subprocess.run(
        [*COMMAND, "btcusdt", "--simulate", "--streams", "depth", "--seconds", "2.5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert re.search(r"  BTCUSDT +bid [\d.]+ at \d+\.\d\d, ask [\d.]+ at \d+\.\d\d", done.stdout)


def test_a_lost_connection_is_told_in_plain_words() -> None:
    """On the screen of a watch; which of several it is, where there are several."""
    with simulated("btcusdt") as url:
        child = subprocess.Popen(
            [*COMMAND, "btcusdt", "--url", url, "--give-up", "1", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"BINANCE_API_KEY": "any"},
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()  # it is connected
    _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert re.search(r"connection lost, trying again in \d+\.\d s \(attempt 1\): ", err), err
    assert "shard" not in err


@pytest.mark.parametrize("fault", [None, "cut@0.7"])
def test_a_json_run_ends_with_a_line_only_if_something_was_lost(fault: str | None) -> None:
    with simulated("btcusdt", *(["--faults", fault] if fault else [])) as url:
        done = subprocess.run(
            [*COMMAND, "btcusdt", "--url", url, "--json", "--seconds", "3"],
            capture_output=True, text=True, timeout=60,
            env=os.environ | {"BINANCE_API_KEY": "any"},
        )  # fmt: skip
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["symbol"] == "BTCUSDT"
    last = done.stderr.splitlines()[-1:]
    assert last == [] if fault is None else last[0].startswith("binance-sbe: ledger: ")


def test_streams_that_are_given_twice_add_up() -> None:
    done = subprocess.run(
        [*COMMAND, "btcusdt", "--simulate", "--once", "--json", "--streams", "depth",
         "--streams", "trade,depth"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["stream"] for event in events} == {"btcusdt@depth", "btcusdt@trade"}
