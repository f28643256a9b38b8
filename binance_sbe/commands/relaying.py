"""`binance-sbe relay`: a feed, or a tape, for as many programs of this machine as want it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..feed.feed import Feed
from ..live import connect
from ..output import say, shown
from ..serving.relay import Relay
from . import health
from .lines import say_wrapped
from .screen import REFRESH, Screen, cell
from .serving import metrics_of, opened
from .signals import at_signal

_LINE_SECONDS = 10.0  # between two lines where there is no terminal


async def live(streams: Sequence[str], title: str, serving: dict[str, Any], **where: Any) -> int:
    """Relays an exchange, with these streams from the beginning; ``where`` is for `connect`."""
    shown_by = {name: where.pop(name) for name in ("metrics_port", "metrics_host", "seconds")}
    return await _serve(connect(*streams, on_error="collect", **where), title, serving, **shown_by)


async def tape(
    paths: Sequence[Path],
    *,
    speed: float | None,
    start: int | None,
    end: int | None,
    serving: dict[str, Any],
    **shown_by: Any,
) -> int:
    """Plays a tape to its clients; ends with it."""
    from .tapes import to_play

    feed = to_play(paths, speed, start, end)
    return await _serve(feed, ", ".join(map(shown, paths)), serving, **shown_by)


async def _serve(
    feed: Feed,
    title: str,
    serving: dict[str, Any],
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    seconds: float | None = None,
) -> int:
    relay = Relay(feed, **serving)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(opened(relay))
        say(f"relaying {title} on {relay.url}")
        stack.enter_context(metrics_of(feed, metrics_port, metrics_host))
        ending = asyncio.Event()
        stack.enter_context(at_signal(ending.set))
        view = Clients(relay, title)
        try:
            await _follow(relay, view, ending, seconds)
        finally:
            say_wrapped([view.text(), health.ledger_line(feed)])
    return 0


async def _follow(
    relay: Relay, view: Clients, ending: asyncio.Event, seconds: float | None
) -> None:
    """Until a signal, the end of the time, or that of the feed; raises what that ended with."""
    waits = [asyncio.create_task(relay.wait()), asyncio.create_task(ending.wait())]
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    try:
        with Screen(view) as screen:
            while (left := ends - time.monotonic()) > 0:
                done, _ = await asyncio.wait(
                    waits, timeout=min(left, REFRESH), return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    break
                screen.refresh()
        if waits[0].done():
            waits[0].result()
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)


class Clients:
    """The view of a relay: one line."""

    def __init__(self, relay: Relay, title: str) -> None:
        self._relay, self._title = relay, title
        self._told_at = time.monotonic()

    def text(self) -> str:
        relay = self._relay
        parts = [
            f"{relay.clients_count:,} clients",
            f"{relay.passed:,} messages came",
            f"{relay.events_sent:,} went out",
        ]
        for number, what in (
            (relay.conflated, "replaced by newer ones for slow clients"),
            (relay.clients_cut, "clients cut off, since they were too slow"),
            (relay.unreadable, "no message of a stream"),
        ):
            if number:
                parts.append(f"{number:,} {what}")
        return ", ".join(parts)

    def panel(self, width: int, height: int) -> Any:
        from rich.console import Group

        feed = self._relay.feed
        return Group(
            cell(f"{self._title} on {self._relay.url}", "bold"),
            cell(self.text()),
            cell(health.ledger_line(feed), "yellow" if feed.ledger.holes_count else ""),
        )

    def lines(self) -> list[str]:
        now = time.monotonic()
        if now - self._told_at < _LINE_SECONDS:
            return []
        self._told_at = now
        return [self.text()]
