"""The counters of a feed for Prometheus, each with its value; and the server that tells them."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from feeds import NOW, Hand, best, trade
from prometheus_client import CollectorRegistry, generate_latest

import binance_sbe
from binance_sbe.commands import watch
from binance_sbe.errors import FeedError
from binance_sbe.feed import metrics
from binance_sbe.feed.ledger import Hole
from binance_sbe.metrics import serve
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.faults import newer, unknown

MS = 10**6


def told(text: str) -> dict[str, float]:
    """What the counters are, without the words "binance_sbe_" and "_total"."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#"]
    return {
        name.removeprefix("binance_sbe_").replace("_total", ""): float(value)
        for name, _, value in lines
    }


def collected(hand: Hand) -> tuple[dict[str, float], str]:
    registry = CollectorRegistry()
    collector: Any = metrics.FeedCollector(hand.feed)
    registry.register(collector)
    text = generate_latest(registry).decode()
    return told(text), text


def test_every_counter_has_its_value() -> None:
    hand = Hand(lines=2)
    for frame, at, number in (
        (trade(1), 0, 1), (trade(1), 3 * MS, 2), (trade(2), 0, 1), (trade(1), 0, 1),
        (best(7), 0, 1), (best(9), 0, 1), (b"xx", 0, 1), (newer(best(10)), 0, 1),
        (newer(best(11)), 0, 1), (unknown(best(3)), 0, 1),
    ):  # fmt: skip
        hand.put(frame, NOW + at, number)
    sizes = len(trade(1)) * 4 + len(best(1)) * 5 + 2 * 3 + 2
    ledger, stats = hand.feed.ledger, hand.feed.stats
    holes = ledger.holes_count
    ledger._add(Hole("btcusdt@trade", 5, 8, 0, 1, "a test"))
    ledger.note_dropped(hand.feed._backlog.arbiter.directory.stream("btcusdt@trade"), 3, 3, NOW)
    hand.end(2, "gone")
    stats.rejected, stats.left_over_bytes = 5, 6
    hand.feed._connections.engine.supervisor._succession.reconnects = 4
    found, _ = collected(hand)
    plain = {name: value for name, value in found.items() if "{" not in name}
    assert plain == {
        "frames": 10, "bytes": sizes, "rejected": 5, "left_over_bytes": 6, "holes": holes + 2,
        "damaged": 1, "stray": 0, "connections": 2, "reconnects": 4, "connections_open": 1,
        "waiting": hand.feed.waiting,
    }  # fmt: skip
    assert hand.feed.waiting == 8
    labelled = {name: value for name, value in found.items() if "{" in name and value}
    t, b = '{stream="btcusdt@trade"}', '{stream="btcusdt@bestBidAsk"}'
    assert labelled == {
        'unknown_template{template="29999"}': 1, 'unknown_version{version="1"}': 2,
        f"stream_frames{t}": 2, f"stream_frames{b}": 4, f"stream_duplicates{t}": 1,
        f"stream_out_of_order{t}": 1, f"stream_dropped{t}": 1, f"stream_culled{b}": 1,
    }  # fmt: skip
    for name in metrics._STREAM_COUNTERS:
        for stream in ledger.streams.values():
            label = f'{{stream="{stream.name}"}}'
            assert found[f"stream_{name}{label}"] == getattr(stream, name)


def test_strays_are_counted() -> None:
    hand = Hand("btcusdt@trade")
    hand.put(best(3))
    found, _ = collected(hand)
    assert found["stray"] == hand.feed.ledger.strays_count == 1


@pytest.mark.parametrize("stage", metrics._STAGES)
def test_each_stage_has_its_times(stage: str) -> None:
    hand = Hand()
    found, _ = collected(hand)
    assert [value for name, value in found.items() if stage in name] == [0, 0]
    histogram = getattr(hand.feed.stats, stage)
    for ns, times in ((2 * MS, 980), (40 * MS, 15), (700 * MS, 5)):
        histogram.add(ns, times)
    found, text = collected(hand)
    label = f'stage="{stage}"'
    assert found[f"latency_seconds_count{{{label}}}"] == 1000
    assert found[f"latency_seconds_sum{{{label}}}"] == pytest.approx(6.06)
    for quantile, seconds in (("0.5", 0.002), ("0.99", 0.04), ("0.999", 0.7)):
        name = f'latency_seconds{{quantile="{quantile}",{label}}}'
        assert found[name] == pytest.approx(seconds, rel=0.02)
    (words,) = (line for line in text.splitlines() if "HELP binance_sbe_latency" in line)
    assert words.partition(": ")[0].endswith(" event_to_received")
    assert f"{stage}: {metrics._STAGES[stage]}" in words


def test_everything_is_told_in_words() -> None:
    _, text = collected(Hand())
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    assert len(names) == len(set(names)) == 9 + 2 + 2 + len(metrics._STREAM_COUNTERS) + 1
    assert all(len(line.split()) > 4 for line in text.splitlines() if line.startswith("# HELP"))


@pytest.mark.parametrize(
    ("name", "label"),
    [("a@trade", "a@trade"), ("a\n", "a\\n"), ("a\\n", "a\\\\n"), ("币", "币")],
)
def test_labels_of_streams_that_differ_differ(name: str, label: str) -> None:
    assert metrics.label_of(name) == label


def test_metrics_are_served_while_the_block_runs() -> None:
    hand = Hand()
    with metrics.serve(hand.feed, 0) as port:
        assert 0 < port < 65536
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert told(answer.read().decode())["connections"] == 1
        said = f"metrics can't be served on 127.0.0.1:{port}: Address already in use"
        with pytest.raises(FeedError, match=said), metrics.serve(hand.feed, port):
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=10)
    with metrics.serve(hand.feed, port) as again:
        assert again == port


@pytest.mark.parametrize("port", [-1, 65536, "80", None])
def test_what_is_no_port_is_refused(port: Any) -> None:
    with (
        pytest.raises(ValueError, match=f"port is 0 to 65535, not {port!r}"),
        metrics.serve(Hand().feed, port),
    ):
        pass


@pytest.mark.parametrize("host", ["", None, 5])
def test_what_is_no_host_is_refused(host: Any) -> None:
    with (
        pytest.raises(ValueError, match=f"host is the address to serve on, not {host!r}"),
        metrics.serve(Hand().feed, 0, host),
    ):
        pass


def test_the_largest_port_is_one() -> None:
    async def work() -> None:
        with metrics.serve(Hand().feed, 65535) as port:
            assert port == 65535

    asyncio.run(work())


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
