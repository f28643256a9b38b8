"""`binance-sbe record`: a feed to a tape, until a signal or for a while."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from sbe_codegen.printing import counted

from ..errors import GENERAL
from ..feed.feed import Feed
from ..feed.intake.handlers import Ignoring
from ..feed.transport.websocket import arrives
from ..live import books, connect
from ..output import complain, shown
from ..tape.recorder import Recorder
from ..tape.settings import Recording
from ..venue.streams import stream_name
from . import health
from .lines import say_wrapped
from .numbers import duration
from .screen import REFRESH, Screen, cell
from .serving import metrics_of
from .signals import at_signal

_LINE_SECONDS = 10.0  # between two lines where there is no terminal


async def record(
    symbols: Sequence[str],
    kinds: Sequence[str],
    settings: Recording,
    title: str,
    *,
    with_books: bool = False,
    seconds: float | None = None,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    **where: Any,
) -> int:
    """Records; ``where`` is for `connect`. The code is 1 where the disk did not take all of it."""
    streams = [stream_name(f"{symbol}@{kind}") for symbol in symbols for kind in kinds]
    recorder: Recorder | None = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            check: Callable[[], object] = bool
            if with_books:
                kept = await stack.enter_async_context(books(*symbols, record=settings, **where))
                feed, check = kept.feed, kept.check
                await feed.subscribe(*streams)
            else:
                opened = connect(*streams, record=settings, on_error="collect", **where)
                feed = await stack.enter_async_context(opened)
            assert isinstance(feed.recorder, Recorder)
            recorder = feed.recorder
            stack.enter_context(metrics_of(feed, metrics_port, metrics_host))
            view = Progress(feed, recorder, title)
            await _follow(feed, view, seconds, check, is_read=with_books)
    finally:
        if recorder is not None:
            say_wrapped(_account(feed, recorder))
    if recorder.lost_frames or recorder.failure:
        why = f": {recorder.failure}" if recorder.failure else ""
        complain(f"{recorder.lost_frames:,} frames came and are not on the tape{why}")
        return GENERAL
    return 0


async def _follow(
    feed: Feed,
    view: Progress,
    seconds: float | None,
    check: Callable[[], object],
    is_read: bool,
) -> None:
    """Until a signal, the end of the time, or that of the feed."""
    ending = asyncio.Event()
    reading = None if is_read else asyncio.create_task(feed.run(Ignoring()))
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    try:
        with at_signal(ending.set), Screen(view) as screen:
            while (left := ends - time.monotonic()) > 0:
                if await arrives(ending, min(left, REFRESH)):
                    break
                check()
                if reading is not None and reading.done():
                    reading.result()
                    break
                screen.refresh()
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])


class Progress:
    """The view of a recording: one line."""

    def __init__(self, feed: Feed, recorder: Recorder, title: str) -> None:
        self._feed, self._recorder, self._title = feed, recorder, title
        self._told_at = time.monotonic() - _LINE_SECONDS + 1.0  # the first soon
        self._before = (time.monotonic(), recorder.frames)
        self._rate = 0.0

    def text(self) -> str:
        recorder, now = self._recorder, time.monotonic()
        at, frames = self._before
        if now - at >= 1.0:
            self._rate = (recorder.frames - frames) / (now - at)
            self._before = now, recorder.frames
        parts = [
            counted(recorder.frames, "frame"),
            f"{recorder.written_bytes / 1e6:.1f} MB",
            f"{self._rate:,.0f} frames/s",
            f"disk {duration(recorder.lag_ns / 1e9)} behind",
            f"holes {self._feed.ledger.holes_count:,}",
        ]
        if recorder.lost_frames:
            parts.append(f"{recorder.lost_frames:,} lost by the disk")
        if recorder.failure:
            parts.append(f"not written now: {recorder.failure}")
        return ", ".join(parts)

    def panel(self, width: int, height: int) -> Any:
        from rich.console import Group

        recorder = self._recorder
        is_bad = recorder.failure or recorder.lost_frames
        lost = health.no_connection(self._feed)
        return Group(
            cell(f"{self._title} to {recorder.path}", "bold"),
            cell(self.text(), "bold red" if is_bad else ""),
            cell(lost, "bold red") if lost else cell(health.ledger_line(self._feed)),
        )

    def lines(self) -> list[str]:
        now = time.monotonic()
        if now - self._told_at < _LINE_SECONDS:
            return []
        self._told_at = now
        lost = health.no_connection(self._feed)
        return [self.text(), *([lost] if lost else [])]


def _account(feed: Feed, recorder: Recorder) -> list[str]:
    """What is said in the end, when the tape is closed."""
    files = counted(recorder.files, "file")
    return [
        f"{shown(recorder.path)}: {counted(recorder.written_frames, 'frame')}, "
        f"{recorder.written_bytes / 1e6:.1f} MB in {files}",
        health.ledger_line(feed),
    ]
