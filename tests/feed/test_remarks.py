"""What a feed notices of its connections, and says of them: clocks, delay, silence, floods."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import vectors
from intake import intake
from raw_server import BINARY, TEXT, accept, for_ever, scripted, wire

import binance_sbe
from binance_sbe import connect
from binance_sbe.feed import remarks
from binance_sbe.feed.intake.streams import Source
from binance_sbe.simulator import Exchange


def run(work: Callable[[Exchange], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with Exchange(["btcusdt"], **options) as exchange:
            await asyncio.wait_for(work(exchange), 30)

    asyncio.run(main())


class Clock:
    """A wall clock that can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.off = 0.0
        right = time.time
        monkeypatch.setattr(time, "time", lambda: right() + self.off)


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1e9])
def test_a_clock_that_is_set_makes_no_stream_silent_and_no_connection_new(
    step: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(monkeypatch)

    async def work(exchange: Exchange) -> None:
        options: Any = {"url": exchange.url, "api_key": "k", "silence_timeout": 5.0}
        kinds = ("trade", "bestBidAsk", "depth20", "depth")
        timeouts = dict.fromkeys(kinds, 2.0)
        streams = [f"btcusdt@{kind}" for kind in kinds]
        async with connect(*streams, stream_timeout=timeouts, **options) as feed:
            await asyncio.sleep(0.5)
            clock.off = step
            await asyncio.sleep(2.5)
            assert [each.closed_ns for each in feed.ledger.connections] == [None]
            assert (feed.reconnects, feed.ledger.holes) == (0, [])

    with caplog.at_level(logging.INFO, "binance_sbe"):
        run(work, rate=500)
    said = [r.message for r in caplog.records if getattr(r, "event", "") == "clock"]
    assert len(said) == 1
    assert f"has jumped by {step:+.1f} s" in said[0]
    assert not [r for r in caplog.records if getattr(r, "event", "") in ("renewing", "retry")]


def test_after_a_suspension_a_dead_connection_is_found_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr("binance_sbe.feed.protocol.supervisor._AWAKE_SECONDS", 0.5)

    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            for client in exchange._connections:
                client.transport.pause_reading()  # it answers no ping
            exchange.rate = 1e-9
            await asyncio.sleep(0.3)
            assert feed.reconnects == 0
            clock.off = 7200.0
            async with asyncio.timeout(5):
                while feed.ledger.connections_count < 2:
                    await asyncio.sleep(0.05)
            assert "silent" in str(feed.ledger.connections[0].cause)

    run(work, rate=500)


def test_a_link_that_does_not_carry_the_streams_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        for late in (0, 0, 5, 5):
            event_time = int((time.time() - late) * 1e6)
            frame = vectors.TRADES[:8] + event_time.to_bytes(8, "little") + vectors.TRADES[16:]
            writer.write(wire(BINARY, frame))
            await asyncio.sleep(1.1)
        await for_ever()

    async def work() -> None:
        async with scripted(script) as url, connect("btcusdt@trade", url=url, api_key="k"):
            await asyncio.sleep(4.5)

    asyncio.run(asyncio.wait_for(work(), 20))
    said = [r.message for r in caplog.records if getattr(r, "event", "") == "delayed"]
    assert len(said) == 1
    assert "events come 5.0 s late: does the link carry the streams?" in said[0]


def test_log_lines_about_a_flood_are_bounded_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remarks, "_MOST_LINES_LOGGED", (5, 0.5))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        for number in range(3000):
            writer.write(wire(TEXT, b"nonsense %d" % number))
        await asyncio.sleep(1.0)
        writer.write(wire(TEXT, b"the last"))
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k") as feed,
            asyncio.timeout(10),
        ):
            while feed.stats.texts < 3002:
                await asyncio.sleep(0.05)

    asyncio.run(work())
    said = [r.message for r in caplog.records if getattr(r, "event", "") == "unknown_text"]
    assert 6 <= len(said) <= 16
    assert any("such lines before were left out)" in each for each in said)
    assert "nonsense 0" in said[0]


def test_streams_that_nobody_wants_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        for _ in range(20):
            writer.write(wire(BINARY, vectors.next_trade()))
            await asyncio.sleep(0.1)
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("ethusdt@trade", url=url, api_key="k") as feed,
        ):
            for _ in range(20):
                message: Any = await anext(feed)
                assert message.symbol == "BTCUSDT"
            await asyncio.sleep(1.1)
            assert feed.ledger.strays == {"btcusdt@trade": 20}

    asyncio.run(asyncio.wait_for(work(), 20))
    said = [r.message for r in caplog.records if getattr(r, "event", "") == "strays"]
    assert len(said) == 1
    assert "nobody has subscribed to: btcusdt@trade" in said[0]


@pytest.mark.parametrize("bad", [b"short", vectors.TRADES[:-3], bytes(60)], ids=str)
def test_a_flood_of_damaged_frames_costs_about_what_good_ones_do(bad: bytes) -> None:
    """In rows, where good ones are cheapest; and no more than is bounded is kept of them."""

    def seconds(frames: list[bytes]) -> float:
        best = float("inf")
        for _ in range(5):
            line = Source()
            _, backlog = intake(10**6)
            backlog.arbiter.enter(line, ["btcusdt@trade"])
            backlog.gather(10**6)
            started = time.process_time()
            for frame in frames:
                backlog.put(frame, 1, line)
            best = min(best, time.process_time() - started)
        return best

    good = [vectors.next_trade() for _ in range(20_000)]
    assert seconds([bad] * 20_000) < 6 * seconds(good)


def test_counters_of_a_flood_are_exact() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        unknown = vectors.TRADES[:2] + b"\x99\x99" + vectors.TRADES[4:]
        for _ in range(100):
            writer.write(wire(BINARY, b"bad") * 50 + wire(BINARY, unknown) * 20)
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k") as feed,
        ):
            rejected = 0
            async for batch in feed.batches():
                rejected += len(batch.rejected)
                if rejected == 7000:
                    break
            ledger = feed.ledger
            assert ledger.damaged_count == 5000
            assert len(ledger.damaged) == 1000
            assert ledger.unknown_templates == {0x9999: 2000}
            assert isinstance(ledger.damaged[0].error, binance_sbe.TruncatedMessage)
            (line,) = (each.line for each in ledger.connections)
            assert line.damaged == 5000

    asyncio.run(asyncio.wait_for(work(), 20))
