"""A recorded run against an exchange that fails, and the same played again: what both have told."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorded import streams
from told import batch_frames, book_line, ledger_lines, stats_lines

import binance_sbe
from binance_sbe import sync
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.faults import KINDS

SYMBOLS = ("btcusdt", "ethusdt")
STREAMS = [name for symbol in SYMBOLS for name in streams(symbol)]
FAULTS = [name for name in KINDS if name != "silence"]


@dataclass
class Told:
    """``lines`` are the messages, or the events with the book after each."""

    lines: list[str]
    ledger: list[str]
    stats: list[str]
    streams: list[str]

    @classmethod
    def of(cls, lines: list[str], feed: Any) -> Told:
        return cls(lines, ledger_lines(feed.ledger), stats_lines(feed.stats), feed.streams)


def event_line(taken: tuple[str, Any, Any]) -> str:
    _, book, event = taken
    return f"{bytes(event).hex()} {'' if book is None else book_line(book)}"


def exchange(seed: int, **options: Any) -> Exchange:
    given = {"rate": 500, "faults": FAULTS, "fault_seconds": 0.25, "lifetime": 3.0} | options
    return Exchange(SYMBOLS, seed=seed, **given)


def options(url: str, tape: Path) -> dict[str, Any]:
    return {
        "url": url, "api_key": "k", "lines": 2, "on_error": "collect", "renew_after": 2.0,
        "reply_timeout": 1.0, "max_queue": 2000, "record": tape,
    }  # fmt: skip


def live(tape: Path, seed: int, seconds: float) -> Told:
    """Messages of a run with asyncio."""
    lines: list[str] = []

    async def work() -> Told:
        async with exchange(seed) as made:
            feed = binance_sbe.connect(*STREAMS, **options(made.url, tape))

            async def take() -> None:
                async for message in feed:
                    lines.append(bytes(message).hex())

            async with feed:
                task = asyncio.create_task(take())
                await asyncio.sleep(seconds)
                await feed.close()
                await task
        return Told.of(lines, feed)

    return asyncio.run(work())


def live_books(tape: Path, seed: int, seconds: float, **faults: Any) -> Told:
    """Events and books of a run with asyncio."""
    lines: list[str] = []

    async def work() -> Told:
        async with exchange(seed, **faults) as made:
            kept = binance_sbe.books(
                *SYMBOLS, audit_seconds=0.7, **options(made.url, tape) | {"on_error": "collect"}
            )
            async with kept:
                await kept.feed.subscribe(*STREAMS)
                end = time.monotonic() + seconds
                async for taken in kept:
                    lines.append(event_line(taken))
                    if time.monotonic() > end:
                        break
                await kept.feed.close()
        return Told.of(lines, kept.feed)

    return asyncio.run(work())


def sync_live_books(tape: Path, url: str, seconds: float) -> Told:
    """The same without asyncio, of an exchange beside."""
    lines: list[str] = []
    with sync.books(*SYMBOLS, audit_seconds=0.7, **options(url, tape)) as kept:
        end = time.monotonic() + seconds
        for taken in kept.events():
            lines.append(event_line(taken))
            if time.monotonic() > end:
                break
        kept.feed.close()
    return Told.of(lines, kept.feed)


# the same again


def played(tape: Path, speed: float | None, **options: Any) -> Told:
    lines: list[str] = []

    async def work() -> Told:
        async with binance_sbe.replay(tape, speed, on_error="collect", **options) as feed:
            async for message in feed:
                lines.append(bytes(message).hex())
        return Told.of(lines, feed)

    return asyncio.run(work())


def sync_played(tape: Path, speed: float | None, **options: Any) -> Told:
    with sync.replay(tape, speed, on_error="collect", **options) as feed:
        lines = [bytes(message).hex() for message in feed]
    return Told.of(lines, feed)


def run_played(tape: Path, speed: float | None, **options: Any) -> Told:
    lines: list[str] = []

    async def work() -> Told:
        async with binance_sbe.replay(tape, speed, on_error="collect", **options) as feed:
            await feed.run(lambda message: lines.append(bytes(message).hex()))
        return Told.of(lines, feed)

    return asyncio.run(work())


def sync_run_played(tape: Path, speed: float | None, **options: Any) -> Told:
    lines: list[str] = []
    with sync.replay(tape, speed, on_error="collect", **options) as feed:
        feed.run(lambda message: lines.append(bytes(message).hex()), reuse=True)
    return Told.of(lines, feed)


def played_books(tape: Path, speed: float | None) -> Told:
    async def work() -> Told:
        lines: list[str] = []
        async with (
            binance_sbe.replay(tape, speed, on_error="collect") as feed,
            feed.books(*SYMBOLS) as kept,
        ):
            async for taken in kept:
                lines.append(event_line(taken))
        return Told.of(lines, feed)

    return asyncio.run(work())


def sync_played_books(tape: Path, speed: float | None) -> Told:
    with (
        sync.replay(tape, speed, on_error="collect") as feed,
        feed.books(*SYMBOLS) as kept,
    ):
        lines = [event_line(taken) for taken in kept.events()]
    return Told.of(lines, feed)


def played_batches(tape: Path, speed: float | None, size: int, delay: float) -> Told:
    async def work() -> Told:
        lines: list[str] = []
        async with binance_sbe.replay(tape, speed) as feed:
            async for batch in feed.batches(size, delay):
                lines.append(f"{batch.frame_count} {batch_frames(batch).hex()}")
        return Told.of(lines, feed)

    return asyncio.run(work())


def sync_played_batches(tape: Path, speed: float | None, size: int, delay: float) -> Told:
    lines: list[str] = []
    with sync.replay(tape, speed) as feed:
        for batch in feed.batches(size, delay):
            lines.append(f"{batch.frame_count} {batch_frames(batch).hex()}")
    return Told.of(lines, feed)
