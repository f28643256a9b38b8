"""`binance-sbe fix`: market data over FIX, shown or as JSON lines, and what is wrong with a key."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sbe_codegen.extras import imported
from sbe_codegen.runtime.errors import DecodeError

from .. import fix_sbe
from ..api.decimals import decimal
from ..api.signing import signer_of
from ..errors import ARGUMENTS, NO_ROUTE, FeedError, LogonRefused, exit_code
from ..feed.fix.account import KINDS
from ..feed.fix.connecting import connect
from ..feed.fix.connection import Connection
from ..feed.settings import password_of, private_key_of
from ..output import complain, say, say_json
from ..venue.environments import fix_address
from .screen import REFRESH, Screen, cell, fitted
from .signals import at_signal

_CLOCK_MICROS = 1_000_000


@contextlib.asynccontextmanager
async def _where(options: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    """For `connect`; a local exchange serves meanwhile if that was asked for."""
    if not options.simulate:
        yield {
            "url": options.url, "environment": options.environment,
            "private_key": options.private_key,
        }  # fmt: skip
        return
    imported("cryptography", "the local FIX acceptor", "fix")
    from ..simulator.fix import FixAcceptor
    from ..simulator.server import Exchange

    async with Exchange(options.symbols) as exchange, FixAcceptor(exchange) as acceptor:
        yield {
            "url": acceptor.url, "api_key": "any", "private_key": acceptor.key,
            "ssl": acceptor.tls.client,
        }  # fmt: skip


@dataclass
class _Row:
    bid: str = ""
    ask: str = ""
    last: str = ""
    counts: Counter[str] = field(default_factory=Counter)


class _Market:
    """What came, by symbol: a `screen.View`."""

    def __init__(self, symbols: list[str], title: str, session: Connection) -> None:
        self._rows = {symbol.upper(): _Row() for symbol in symbols}
        self._title = title
        self._session = session

    def update(self, message: Any) -> None:
        row = self._rows.get(getattr(message, "symbol", ""))
        if row is None:
            return
        exponent = message.price_exponent
        match message:
            case fix_sbe.MarketDataIncrementalTrade():
                row.counts["trade"] += len(message.md_entries)
                if len(message.md_entries):
                    row.last = decimal(int(message.md_entries["md_entry_px"][-1]), exponent)
            case fix_sbe.MarketDataIncrementalBookTicker():
                row.counts["book_ticker"] += 1
                row.bid = _best(message.md_entries_bids, exponent) or row.bid
                row.ask = _best(message.md_entries_asks, exponent) or row.ask
            case fix_sbe.MarketDataIncrementalDepth():
                row.counts["depth"] += 1

    def _cells(self) -> list[list[str]]:
        return [
            [symbol, row.bid or "-", row.ask or "-", row.last or "-",
             *(f"{row.counts[kind]:,}" for kind in KINDS)]
            for symbol, row in self._rows.items()
        ]  # fmt: skip

    def _state(self) -> str:
        holes = self._session.ledger.holes_count
        sessions = self._session.sessions_count
        repeated = self._session.repeated
        return f"sessions: {sessions}, holes: {holes}, came twice: {repeated}"

    def panel(self, width: int, height: int) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(title=cell(self._title), title_justify="left")
        for name in ("symbol", "bid", "ask", "last", "trades", "tickers", "depth"):
            table.add_column(name, justify="left" if name == "symbol" else "right")
        for row in self._cells()[: max(1, height - 7)]:
            table.add_row(*map(cell, row))
        return Group(fitted([table], width), cell(self._state()))

    def lines(self) -> list[str]:
        return [
            f"{symbol}: bid {bid}, ask {ask}, last {last}; {trades} trades, {tickers} tickers, "
            f"{depth} of depth; {self._state()}"
            for symbol, bid, ask, last, trades, tickers, depth in self._cells()
        ]


def _best(side: Any, exponent: int) -> str:
    return decimal(int(side["md_entry_px"][0]), exponent) if len(side) else ""


async def watch(options: argparse.Namespace, title: str) -> int:
    """Until Ctrl-C, or for so many seconds."""
    kinds = list(dict.fromkeys(options.kinds or KINDS))
    async with _where(options) as where, connect(**where) as session:
        ending = asyncio.Event()
        timer = asyncio.get_running_loop()
        if options.seconds is not None:
            timer.call_later(options.seconds, ending.set)
        with at_signal(ending.set):
            reading = asyncio.create_task(_read(session, options, kinds, title))
            waiting = asyncio.create_task(ending.wait())
            try:
                await asyncio.wait([reading, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                reading.cancel()
                found = await asyncio.gather(reading, return_exceptions=True)
        if isinstance(found[0], Exception):
            raise found[0]
    return 0


async def _read(
    session: Connection, options: argparse.Namespace, kinds: list[str], title: str
) -> None:
    await session.subscribe(*options.symbols, kinds=kinds)
    if options.json:
        await _print_lines(session)
    else:
        await _show(session, _Market(list(options.symbols), title, session))


async def _print_lines(session: Connection) -> None:
    async for message in session:
        try:
            say_json([{"message": type(message).__name__} | message.to_dict()])
        except DecodeError as error:
            complain(str(error))


async def _show(session: Connection, market: _Market) -> None:
    loop = asyncio.get_running_loop()
    with Screen(market) as screen:
        pause = REFRESH if screen.is_live else 1.0
        due = loop.time() + pause
        try:
            async for message in session:
                market.update(message)
                if loop.time() >= due:
                    screen.refresh()
                    due = loop.time() + pause
        finally:
            screen.refresh()


async def doctor(options: argparse.Namespace) -> int:
    """The steps to a first snapshot over FIX, each with what is wrong."""
    symbol = options.symbols[0]
    async with _where(options) as where:
        host, port, is_secure = fix_address(
            where.get("environment", "prod"), "market_data", where["url"]
        )
        try:
            signer_of(private_key_of(where["private_key"]), password_of(None))
            say("key: an Ed25519 private key")
            async with connect(**where, reconnect=False) as session:
                say(f"host: {host}, port {port}{', TLS' if is_secure else ''}")
                offset = session.clock_offset
                say(f"logon: taken; clock {_offset(offset)}")
                if session.is_deprecated:
                    complain("schema: the exchange will give it up: update binance-sbe")
                await session.subscribe(symbol, kinds="book_ticker")
                say(f"stream: a snapshot of {symbol}")
        except LogonRefused as error:
            complain(f"logon: {error}")
            return exit_code(error)
        except FeedError as error:
            code = exit_code(error)
            step = {ARGUMENTS: "key", NO_ROUTE: "host"}.get(code, "stream")
            complain(f"{step}: {error}")
            return code
    return 0


def _offset(offset: int | None) -> str:
    if offset is None:
        return "not compared"
    way = "behind" if offset > 0 else "ahead of"
    text = f"{abs(offset) / 1000:.0f} ms {way} the exchange's"
    return f"{text}: is NTP running?" if abs(offset) > _CLOCK_MICROS else text
