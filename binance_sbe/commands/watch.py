"""`binance-sbe watch` and `demo`: a feed, shown until Ctrl-C, once, or as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sbe_codegen.extras import imported
from sbe_codegen.runtime.errors import MissingPackage
from sbe_codegen.runtime.tables.results import Batch

from ..errors import FeedError
from ..feed.feed import Feed
from ..feed.transport.websocket import arrives
from ..live import connect
from ..outside import complain, note, say, say_json
from ..venue.environments import is_loopback
from ..venue.streams import KINDS, stream_name
from . import health
from .quotes import Market, Rates, decimal, plain_lines, rich_table, status, total, wrapped
from .signals import at_signal
from .summary import next_steps, summary

_REFRESH = 0.25
_ONCE_SECONDS = 15.0
KIND_OF: dict[type, str] = {kind.message: name for name, kind in KINDS.items()}


def streams_of(symbols: Sequence[str], kinds: Iterable[str] = KINDS) -> list[str]:
    return [stream_name(f"{symbol}@{kind}") for symbol in symbols for kind in kinds]


async def show(
    streams: list[str],
    title: str,
    *,
    seconds: float | None = None,
    once: bool = False,
    as_json: bool = False,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    is_demo: bool = False,
    **where: Any,
) -> int:
    """Shows a feed in one of the three ways; ``where`` is for `connect`."""
    async with connect(*streams, **where) as feed, _ended_by(feed, seconds) as ending:
        with metrics_of(feed, metrics_port, metrics_host):
            if once:
                return await _once(feed, as_json)
            if as_json:
                return await _lines(feed)
            return await _view(feed, f"Binance SBE, {title}", ending, is_demo)


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


@contextlib.contextmanager
def metrics_of(feed: Feed, port: int | None, host: str) -> Iterator[None]:
    """Serves them while the block runs, where there is a port, and says where."""
    if port is None:
        yield
        return
    from ..feed.metrics import serve

    with serve(feed, port, host) as taken:
        place = f"[{host}]" if ":" in host else host
        reach = "" if is_loopback(host) else ", open to other machines"
        note(f"metrics at http://{place}:{taken}/metrics{reach}")
        yield


# the live view


async def _view(feed: Feed, title: str, ending: asyncio.Event, is_demo: bool) -> int:
    market, rates = Market(), Rates()
    live = live_display(vanishes=is_demo)

    async def read() -> None:
        async for batch in feed.batches(max_delay=_REFRESH):
            market.update(batch)
        ending.set()

    async def draw() -> None:
        """By the clock, whether anything comes or not."""
        while not await arrives(ending, _REFRESH if live is not None else 1.0):
            text = status(feed.stats, rates.since(feed.stats))
            if live is not None:
                live.update(screen(feed, market, text, title, live.console), refresh=True)
            else:
                lines = plain_lines(market, text, health.old_symbols(feed))
                lines += health.plain_lines(feed)
                say(*wrapped(lines))

    try:
        with live if live is not None else contextlib.nullcontext():
            both = [asyncio.create_task(read()), asyncio.create_task(draw())]
            try:
                await asyncio.gather(*both)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.wait(both)
    finally:
        width = shutil.get_terminal_size((100, 24)).columns
        say(*summary(market, feed.stats, width) if is_demo else [total(market)])
        say(*wrapped([health.ledger_line(feed)]), *(next_steps() if is_demo else ()))
    return 0


def screen(feed: Feed, market: Market, text: str, title: str, console: Any) -> Any:
    from rich.console import Group

    top = rich_table(market, text, title, console.width, health.old_symbols(feed))
    return Group(top, health.rich_panel(feed, console.width))


def live_display(vanishes: bool = False) -> Any:
    """A rich Live on a terminal that can move its cursor where rich is installed, else None.

    ``vanishes``: what it showed is gone in the end, where something else takes its place.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM", "").lower() in ("", "dumb", "unknown"):
        return None
    try:
        Live = imported("rich.live", "a live table", "cli").Live  # noqa: N806
    except MissingPackage as error:
        note(str(error))
        return None
    # nothing else is printed meanwhile, and standard output keeps its encoding
    return Live(auto_refresh=False, redirect_stdout=False, transient=vanishes)


# for pipes


def events_of(batch: Batch) -> list[dict[str, Any]]:
    """The events of a batch in the order of their arrival, in plain objects.

    Times are as they are (us, and ns of arrival), prices and quantities are str.
    """
    numbered = []
    for message, table in batch.tables.items():
        groups = table.groups
        for i, row in enumerate(table.records):
            numbered.append((int(row["frame"]), _event(KIND_OF[message], row, groups, table, i)))
    return [event for _, event in sorted(numbered, key=itemgetter(0))]


def _event(kind: str, row: Any, groups: Any, table: Any, i: int) -> dict[str, Any]:
    symbol = table.symbols[row["symbol"]]
    exponents = {"price": int(row["price_exponent"]), "qty": int(row["qty_exponent"])}
    event: dict[str, Any] = {"stream": f"{symbol.lower()}@{kind}", "symbol": symbol}
    enums = _ENUMS[table.message]
    for name in row.dtype.names:
        if name not in ("frame", "symbol", "price_exponent", "qty_exponent"):
            event[name] = _plain(name, row[name].item(), exponents, enums)
    for name, group in groups.items():
        columns = group.records.dtype.names
        entries = [
            {
                key: _plain(key, value, exponents, enums)
                for key, value in zip(columns, each, strict=True)
            }
            for each in group[i].tolist()
        ]
        event[name] = entries if kind == "trade" else [[*each.values()] for each in entries]
    return event


def _enums_of(message: Any) -> dict[str, dict[int, Any]]:
    """Of each enum of a message: what its numbers are in plain objects, as `to_dict` has them."""
    found: dict[str, dict[int, Any]] = {}
    inner = [e for each in message._ELEMENTS for e in each.facts.get("elements", ())]
    for element in (*message._ELEMENTS, *inner):
        if element.facts.get("kind") == "enum" and "constant" not in element.facts:
            labels = element.facts["labels"]
            is_bool = set(labels.values()) == {"False", "True"}
            plain = {n: name == "True" if is_bool else name for n, name in labels.items()}
            found[element.name] = {**plain, element.facts["null"]: None}
    return found


_ENUMS = {kind.message: _enums_of(kind.message) for kind in KINDS.values()}


def _plain(name: str, value: Any, exponents: dict[str, int], enums: dict[str, Any]) -> Any:
    if name in enums:
        return enums[name].get(value, value)
    exponent = exponents.get(name.rpartition("_")[2])
    return value if exponent is None else decimal(value, exponent)


async def _lines(feed: Feed) -> int:
    """One event a line. If anything was lost, that is said in the end."""
    async for batch in feed.batches(max_delay=0.02):
        say_json(events_of(batch))
    if not health.is_well(feed):
        complain(health.ledger_line(feed))
    return 0


async def _once(feed: Feed, as_json: bool) -> int:
    """The state of each symbol as soon as something has come of every stream; then that is all."""
    wanted = set(feed.streams)
    latest: dict[str, Any] = {}
    market, rates = Market(), Rates()
    missing: set[str] = set()
    try:
        async with asyncio.timeout(_ONCE_SECONDS):
            async for batch in feed.batches(max_delay=0.05):
                market.update(batch)
                latest |= {event["stream"]: event for event in events_of(batch)}
                missing = wanted - set(latest)
                if not missing:
                    break
    except TimeoutError:
        missing = wanted - set(latest)
    if as_json:
        say_json(latest[name] for name in sorted(latest))
    else:
        text = status(feed.stats, rates.since(feed.stats))
        say(*wrapped(plain_lines(market, text) + health.plain_lines(feed)))
    if missing:
        few = ", ".join(sorted(missing)[:5]) + (", ..." if len(missing) > 5 else "")
        raise FeedError(f"nothing came within {_ONCE_SECONDS:g} s of {few}")
    return 0
