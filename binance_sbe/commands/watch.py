"""`binance-sbe watch`, `demo` and `replay`: a feed, shown until Ctrl-C, once, or as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

from sbe_codegen.runtime.errors import DecodeError

from ..api.json_stream import combined, stream_events
from ..errors import FeedError
from ..feed.feed import Feed
from ..feed.transport.websocket import arrives
from ..live import connect
from ..output import complain, say, say_json, shown
from ..venue.streams import KINDS, stream_name
from . import health, summary
from .events import KIND_OF, events_of
from .lines import columns, say_wrapped
from .screen import REFRESH, Screen
from .serving import metrics_of
from .signals import at_signal
from .watchlist import Watchlist

_ONCE_SECONDS = 15.0


def streams_of(symbols: Sequence[str], kinds: Iterable[str] = KINDS) -> list[str]:
    return [stream_name(f"{symbol}@{kind}") for symbol in symbols for kind in kinds]


async def show(
    streams: list[str],
    title: str,
    *,
    seconds: float | None = None,
    once: bool = False,
    form: str | None = None,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    is_demo: bool = False,
    **where: Any,
) -> int:
    """Shows a feed in one of the three ways; ``where`` is for `connect`.

    ``form`` is that of the JSON events (`options.FORMS`), and None where none are to be printed.
    """
    async with connect(*streams, **where) as feed, _ended_by(feed, seconds) as ending:
        with metrics_of(feed, metrics_port, metrics_host):
            if once:
                return await _once(feed, form)
            if form is not None:
                return await _lines(feed, form)
            return await _follow(feed, f"Binance SBE, {title}", ending, is_demo)


async def played(
    paths: Sequence[Path],
    *,
    speed: float | None,
    start: int | None,
    end: int | None,
    streams: Sequence[str] | None,
    seconds: float | None,
    as_json: bool,
) -> int:
    """Plays a tape: the same view, or the same lines."""
    from .tapes import to_play

    title = ", ".join(map(shown, paths))
    feed = to_play(paths, speed, start, end, streams)
    async with feed, _ended_by(feed, seconds) as ending:
        return await (
            _lines(feed, "own") if as_json else _follow(feed, title, ending, is_demo=False)
        )


@contextlib.asynccontextmanager
async def _ended_by(feed: Feed, seconds: float | None) -> AsyncIterator[asyncio.Event]:
    """Closes the feed at a signal, or when the time is over, and sets the event before."""
    loop = asyncio.get_running_loop()
    closing: list[asyncio.Task[None]] = []
    ending = asyncio.Event()

    def stop() -> None:
        ending.set()
        closing.append(loop.create_task(feed.close()))

    timer = None if seconds is None else loop.call_later(seconds, stop)
    try:
        with at_signal(stop):
            yield ending
    finally:
        if timer is not None:
            timer.cancel()
        await asyncio.gather(*closing)


async def _follow(feed: Feed, title: str, ending: asyncio.Event, is_demo: bool) -> int:
    """The view, until the feed ends."""
    view = Watchlist(feed, title)

    async def read() -> None:
        async for batch in feed.batches(max_delay=REFRESH):
            view.market.update(batch)
        ending.set()

    async def draw() -> None:
        """By the clock, whether anything comes or not."""
        while not await arrives(ending, REFRESH if screen.is_live else 1.0):
            screen.refresh()

    try:
        with Screen(view, vanishes=is_demo) as screen:
            both = [asyncio.create_task(read()), asyncio.create_task(draw())]
            try:
                await asyncio.gather(*both)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.wait(both)
    finally:
        market = view.market
        say(*summary.came(market, feed.stats, columns()) if is_demo else [summary.total(market)])
        say_wrapped([health.ledger_line(feed)])
        say(*summary.next_steps() if is_demo else ())
    return 0


async def _events(feed: Feed, form: str, delay: float) -> AsyncIterator[list[tuple[str, Any]]]:
    """Events of the feed as they come, each with the name of its stream, in one of the forms."""
    if form == "own":
        async for batch in feed.batches(max_delay=delay):
            yield [(event["stream"], event) for event in events_of(batch)]
        return
    async for message in feed:
        try:
            name = f"{message.symbol.lower()}@{KIND_OF[type(message)]}"
            events = stream_events(message)
        except DecodeError as error:  # a symbol that is not UTF-8, which JSON can't have
            complain(str(error))
            continue
        if form == "combined":
            events = [combined(message, event) for event in events]
        yield [(name, event) for event in events]


async def _lines(feed: Feed, form: str = "own") -> int:
    """One event a line. If anything was lost, that is said in the end."""
    async for events in _events(feed, form, 0.02):
        say_json(event for _, event in events)
    if not health.is_well(feed):
        complain(health.ledger_line(feed))
    return 0


async def _once(feed: Feed, form: str | None) -> int:
    """The state of each symbol as soon as something has come of every stream; then that is all."""
    wanted = set(feed.streams)
    latest: dict[str, Any] = {}
    missing = wanted
    view = Watchlist(feed)
    try:
        async with asyncio.timeout(_ONCE_SECONDS):
            if form is None:
                async for batch in feed.batches(max_delay=0.05):
                    view.market.update(batch)
                    missing = missing - {event["stream"] for event in events_of(batch)}
                    if not missing:
                        break
            else:
                async for events in _events(feed, form, 0.05):
                    latest |= dict(events)
                    missing = wanted - set(latest)
                    if not missing:
                        break
    except TimeoutError:
        pass
    if form is None:
        say(*view.lines())
    else:
        say_json(latest[name] for name in sorted(latest))
    if missing:
        few = ", ".join(sorted(missing)[:5]) + (", ..." if len(missing) > 5 else "")
        raise FeedError(f"nothing came within {_ONCE_SECONDS:g} s of {few}")
    return 0
