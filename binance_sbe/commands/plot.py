"""`binance-sbe plot`: a short while of one symbol, recorded in memory and drawn to a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..books.live import Books
from ..errors import FeedError
from ..feed.transport.websocket import arrives
from ..live import books
from ..output import note, say, shown
from ..venue.streams import KINDS
from . import drawing
from .recording import SAMPLE_SECONDS, Recording
from .signals import at_signal

_BREATH = 500  # events, after which others have their turn


async def show(symbol: str, title: str, *, seconds: float, out: Path, **where: Any) -> int:
    """Records, until the time is over or a signal comes, and draws; ``where`` is for `connect`."""
    drawing.check()
    with whole_file(out) as file:
        async with books(symbol, **where) as kept:
            await kept.feed.subscribe(*(f"{symbol}@{kind}" for kind in KINDS))
            ending = asyncio.Event()
            with at_signal(ending.set):
                note(f"recording {symbol} for {seconds:g} s; Ctrl-C draws what there is by then")
                recording = await _recorded(symbol, kept, ending, seconds)
        if not recording.messages:
            raise FeedError(f"nothing came of {symbol} within {recording.seconds:.1f} s")
        file.write(drawing.drawn(recording, title, out.suffix[1:].lower()))
    say(
        f"{shown(out)}: {recording.messages:,} messages in {recording.seconds:.1f} s",
        recording.account,
    )
    return 0


async def _recorded(symbol: str, kept: Books, ending: asyncio.Event, seconds: float) -> Recording:
    recording = Recording(symbol.upper(), kept.feed, kept[symbol])
    reading = asyncio.create_task(_read(kept, recording))
    ends = time.monotonic() + seconds
    try:
        while not reading.done() and (left := ends - time.monotonic()) > 0:
            if await arrives(ending, min(left, SAMPLE_SECONDS)):
                break
            recording.sample()
            kept.check()
        if reading.done():
            reading.result()
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    recording.end()
    return recording


async def _read(kept: Books, recording: Recording) -> None:
    async for symbol, _, event in kept:
        if symbol == recording.symbol:
            recording.take(event)
        if recording.messages % _BREATH == 0:
            await asyncio.sleep(0)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there once all of it is written; until then what was there before stays.

    OSError at the beginning where nothing can be written there.
    """
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    with beside.open("xb") as file:
        try:
            yield file
            file.flush()
            beside.replace(path)
        except BaseException:
            beside.unlink()
            raise
