"""`binance-sbe book`: order books, shown until Ctrl-C, once, or as JSON lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..books.keeper import LiveBook
from ..books.live import Books
from ..errors import FeedError
from ..live import books
from ..output import complain, say
from .ladder import line_of, plain_lines, rich_panels, state_lines
from .lines import wrapped
from .screen import REFRESH, Screen
from .serving import metrics_of

_ONCE_SECONDS = 60.0
_AUDIT_SECONDS = 2.0  # that `--once` waits for the first


async def show(
    symbols: Sequence[str],
    *,
    levels: int = 10,
    limit: int = 1000,
    seconds: float | None = None,
    once: bool = False,
    as_json: bool = False,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    **where: Any,
) -> int:
    """Shows books in one of the three ways; ``where`` is for `connect`."""
    async with books(*symbols, limit=limit, **where) as kept:
        with metrics_of(kept.feed, metrics_port, metrics_host):
            view = Ladders(kept, levels, as_json)
            if once:
                await _once(kept)
                say(*view.lines())
            else:
                await _follow(kept, view, seconds)
    return 0


class Ladders:
    """The view of several books. Lines are of those with news, JSON always, else once a second."""

    def __init__(self, kept: Mapping[str, LiveBook], levels: int, as_json: bool = False) -> None:
        self.as_json = as_json
        self._kept = kept
        self._levels = levels
        self._told: dict[str, tuple[object, ...]] = {}
        self._told_at = float("-inf")

    def panel(self, width: int, height: int) -> Any:
        return rich_panels(list(self._kept.values()), self._levels, width, height)

    def lines(self) -> list[str]:
        now = time.monotonic()
        if not self.as_json and now - self._told_at < 1.0:
            return []
        found = []
        for book in self._kept.values():
            news = book.update_id, book.state
            if news != self._told.get(book.symbol):
                self._told[book.symbol], self._told_at = news, now
                found += self._lines_of(book)
        return found

    def _lines_of(self, book: LiveBook) -> list[str]:
        if self.as_json:
            return [line_of(book, self._levels)]
        return wrapped(plain_lines(book, self._levels))


async def _once(kept: Books) -> None:
    """Waits until the books are live, and a little for their first audits."""
    try:
        await kept.wait(timeout=_ONCE_SECONDS)
    except TimeoutError as error:
        raise FeedError(str(error)) from None
    until = time.monotonic() + _AUDIT_SECONDS
    while any(book.audit.last_ns is None for book in kept.values()) and time.monotonic() < until:
        await asyncio.sleep(0.01)


async def _follow(kept: Books, view: Ladders, seconds: float | None) -> None:
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    with Screen(view, has_lines_only=view.as_json) as screen:
        while (now := time.monotonic()) < ends:
            kept.check()
            screen.refresh()
            await asyncio.sleep(min(REFRESH, max(ends - now, 0.0)))
    if view.as_json:
        for book in kept.values():
            if book.state != "live":
                complain(state_lines(book)[0])
