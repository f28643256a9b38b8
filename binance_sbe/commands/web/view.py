"""`binance-sbe watch --web`: the live view and the ladders in a browser, until Ctrl-C."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from sbe_codegen.printing import counted

from ...books.live import Books
from ...feed.transport.websocket import arrives
from ...live import books
from ...output import note, say
from ...venue.environments import is_loopback
from .. import health
from ..lines import say_wrapped
from ..serving import metrics_of
from ..signals import at_signal
from .server import serving
from .state import State

LEVELS = 12  # of each side
_LOOK_SECONDS = 0.25
_BREATH = 500  # events, after which others have their turn


async def show(
    streams: Sequence[str],
    title: str,
    *,
    port: int,
    host: str = "127.0.0.1",
    seconds: float | None = None,
    metrics_port: int | None = None,
    **where: Any,
) -> int:
    """Serves the page while the feed is open; ``where`` is for `connect`."""
    symbols = dict.fromkeys(name.partition("@")[0] for name in streams)
    async with books(*symbols, **where) as kept:
        await kept.feed.subscribe(*streams)
        state = State(kept, title, LEVELS)
        ending = asyncio.Event()
        with metrics_of(kept.feed, metrics_port, host), at_signal(ending.set):
            async with serving(state, host, port) as taken:
                _tell(host, taken)
                await _follow(kept, state, ending, seconds)
        stats = kept.feed.stats
        say(f"{counted(stats.frames, 'message')}, {stats.rejected:,} rejected")
        say_wrapped([health.ledger_line(kept.feed)])
    return 0


def _tell(host: str, port: int) -> None:
    if not is_loopback(host):
        note(f"open to other machines, and to whoever is on them: --host {host}")
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    say(f"watch it at http://{f'[{own}]' if ':' in own else own}:{port}/ until Ctrl-C")


async def _follow(kept: Books, state: State, ending: asyncio.Event, seconds: float | None) -> None:
    """Until a signal, or until the feed ends."""
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    reading = asyncio.create_task(_read(kept, state))
    try:
        while not reading.done() and (left := ends - time.monotonic()) > 0:
            if await arrives(ending, min(left, _LOOK_SECONDS)):
                break
            kept.check()
        if reading.done():
            reading.result()
    finally:
        reading.cancel()
        await asyncio.wait([reading])


async def _read(kept: Books, state: State) -> None:
    taken = 0
    async for symbol, _, event in kept:
        state.take(symbol, event)
        taken += 1
        if taken % _BREATH == 0:
            await asyncio.sleep(0)
