"""`binance-sbe doctor`: what stands between this machine and its first message, step by step.

Each step is one check, which gives a sentence or raises Trouble. What can't be tried after a
trouble is not. The exit code is that of the first trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from sbe_codegen.extras import imported
from sbe_codegen.runtime.errors import SbeError
from sbe_codegen.version import __version__

from ..api import bodies
from ..errors import (
    ARGUMENTS,
    CLOCK,
    GENERAL,
    NO_ROUTE,
    OUTDATED,
    FeedError,
    MissingKey,
    Unreachable,
    exit_code,
    not_compiled,
)
from ..feed.settings import checked_key
from ..feed.transport.dialing import connected
from ..feed.transport.opening import unreachable
from ..keys import remember_key
from ..live import connect
from ..output import shown
from ..route import Proxy, Route
from ..spot_stream import BestBidAskStreamEvent
from ..venue import environments, lifecycle
from ..venue.streams import BEST_BID_ASK

LIFECYCLE = (
    "https://raw.githubusercontent.com/binance/binance-spot-api-docs/master/sbe/schemas/"
    "sbe_schema_lifecycle_{}.json"
)
MOST_SKEW = 1.0  # seconds
_SECONDS = 10.0  # for each step
_ADDRESS_SECONDS = 3.0  # for each address of the host
_LONGEST_LIFECYCLE = 1 << 20  # bytes


class Trouble(Exception):
    """A step that failed. ``code`` is an exit code; ``is_fatal``: what follows can't be tried."""

    def __init__(self, code: int, text: str, is_fatal: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.is_fatal = is_fatal


class Unknown(Exception):
    """A step that could not find out, which is no trouble."""


@dataclass(frozen=True)
class Finding:
    """``code`` is None where all is well, 0 where nothing could be found out, else an exit code."""

    step: str
    text: str
    code: int | None = None


@dataclass(frozen=True)
class Patient:
    """What is to be examined: see `connect`. ``lifecycle`` is a URL or a file."""

    environment: str = "prod"
    url: str | None = None
    symbols: tuple[str, ...] = ("btcusdt",)
    api_key: str | None = None
    lifecycle: str | None = None
    proxy: str | Literal[True] | None = field(default=True, repr=False)

    def __post_init__(self) -> None:
        if self.api_key is not None:
            object.__setattr__(self, "api_key", remember_key(self.api_key))

    @property
    def route(self) -> Route:
        return Route(self.proxy)

    @property
    def stream_url(self) -> str:
        return environments.stream_url(self.environment, self.url)

    @property
    def rest_url(self) -> str:
        return environments.rest_url(self.environment, self.url)


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """The findings, one after the other."""
    steps: list[tuple[str, Callable[[Patient], Awaitable[str]]]] = [
        ("build", _build),
        ("key", _key),
        ("proxy", _proxy),
        ("host", _host),
        ("TLS", _tls),
        ("clock", _clock),
        ("schema", _schema),
        ("stream", _stream),
    ]
    for name, step in steps:
        try:
            yield Finding(name, await step(patient))
        except Unknown as unknown:
            yield Finding(name, str(unknown), 0)
        except ModuleNotFoundError as error:
            left_out = not_compiled(error)
            if left_out is None:
                raise
            yield Finding(name, f"not tried: {left_out}", 0)
        except Trouble as trouble:
            yield Finding(name, str(trouble), trouble.code)
            if trouble.is_fatal:
                return


async def _build(patient: Patient) -> str:
    return f"binance-sbe {__version__}, Python {platform.python_version()}, numpy {np.__version__}"


async def _key(patient: Patient) -> str:
    try:
        key = checked_key(patient.api_key)
    except MissingKey as error:
        raise Trouble(ARGUMENTS, str(error)) from None
    if not (len(key) == 64 and key.isalnum()) and patient.url is None:
        raise Trouble(
            ARGUMENTS, f"the API key has {len(key)} characters: keys have 64 letters and digits"
        )
    return "there is one; its type shows only to the exchange, which takes Ed25519 only"


def _place_of(patient: Patient) -> tuple[str, int]:
    """Host and port of the streams."""
    place = urlsplit(patient.stream_url)
    assert place.hostname is not None
    return place.hostname, place.port or (443 if place.scheme == "wss" else 80)


def _proxy_of(patient: Patient) -> Proxy | None:
    """What the streams are reached through. Trouble where it can't be one."""
    host, port = _place_of(patient)
    try:
        return patient.route.proxy_for(host, port, patient.stream_url.startswith("wss://"))
    except ValueError as error:
        raise Trouble(ARGUMENTS, f"{error} (HTTPS_PROXY, or --proxy)", is_fatal=True) from None


async def _proxy(patient: Patient) -> str:
    """Tries the proxy, if there is one: a feed goes through it."""
    proxy = _proxy_of(patient)
    if proxy is None:
        given = "neither --proxy nor HTTPS_PROXY names one"
        return "not used" if patient.proxy is None else f"not used: {given}"
    started = time.monotonic()
    try:
        async with asyncio.timeout(_SECONDS):
            (await _connected(patient)).close()
    except (OSError, Unreachable) as error:
        text = str(error) or f"the proxy {proxy} gives no answer within {_SECONDS:g} s"
        raise Trouble(NO_ROUTE, text, is_fatal=True) from None
    took = (time.monotonic() - started) * 1e3
    host, port = _place_of(patient)
    return f"{proxy} connects to {host}, port {port}, in {took:.0f} ms"


async def _connected(patient: Patient) -> socket.socket:
    host, port = _place_of(patient)
    return await connected(host, port, patient.stream_url.startswith("wss://"), patient.route)


def _no_route(patient: Patient, error: BaseException, late: str) -> Trouble:
    """``late`` tells of an answer that did not come in time."""
    text = str(unreachable(patient.stream_url, error))
    if isinstance(error, TimeoutError):
        text = f"{patient.stream_url}: {late}"
    return Trouble(NO_ROUTE, text, is_fatal=True)


async def _host(patient: Patient) -> str:
    """Tries every address of the host: a feed takes the first that answers.

    Where there is a proxy none of them has to: the proxy goes there.
    """
    try:
        return await _addresses(patient)
    except Trouble as trouble:
        if _proxy_of(patient) is None:
            raise
        raise Unknown(f"not without the proxy: {trouble}") from None


async def _addresses(patient: Patient) -> str:
    host, port = _place_of(patient)
    late = f"no answer within {_ADDRESS_SECONDS:g} s: is there a firewall between?"
    try:
        async with asyncio.timeout(_SECONDS):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _no_route(patient, error, f"no address of it within {_SECONDS:g} s") from None
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    outcomes = await asyncio.gather(*(_tried(address, port) for address in addresses))
    errors = [each for each in outcomes if isinstance(each, Exception)]
    if len(errors) == len(outcomes):
        raise _no_route(patient, errors[0], late)
    told = []
    for address, outcome in zip(addresses, outcomes, strict=True):
        if isinstance(outcome, float):
            told.append(f"{address} answers in {outcome * 1e3:.0f} ms")
        else:
            why = "no answer" if isinstance(outcome, TimeoutError) else shown(outcome)
            told.append(f"{address} does not ({why})")
    return f"{host}, port {port}: {', '.join(told)}"


async def _tried(address: str, port: int) -> float | Exception:
    """The seconds until an address answers, or why it does not."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(_ADDRESS_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, EOFError) as error:
        return error
    took = time.monotonic() - started
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return took


async def _tls(patient: Patient) -> str:
    if patient.stream_url.startswith("ws://"):
        return "not used: ws://"
    context = ssl.create_default_context()
    late = f"no TLS handshake within {_SECONDS:g} s: is it a server of TLS?"
    try:
        async with asyncio.timeout(_SECONDS):
            host, _ = _place_of(patient)
            found = await _connected(patient)
            _, writer = await asyncio.open_connection(sock=found, ssl=context, server_hostname=host)
    except Unreachable as error:
        raise Trouble(NO_ROUTE, str(error), is_fatal=True) from None
    except (OSError, EOFError) as error:
        raise _no_route(patient, error, late) from None
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return f"{version}, and the certificate is good"


async def _clock(patient: Patient) -> str:
    from ..api.rest import Client

    try:
        async with Client(url=patient.rest_url, timeout=_SECONDS, proxy=patient.proxy) as client:
            await client.server_time()  # opens the connection
            before = time.time()
            theirs = await client.server_time() / 1e6
            after = time.time()
    except SbeError as error:
        raise Unknown(f"not compared: {error}") from None
    off = (before + after) / 2 - theirs
    margin = (after - before) / 2
    way = "ahead of" if off > 0 else "behind"
    text = f"{abs(off) * 1e3:.0f} ms {way} the exchange's, give or take {margin * 1e3:.0f} ms"
    if abs(off) - margin > MOST_SKEW:
        raise Trouble(CLOCK, f"{text}: times of arrival will be wrong; is NTP running?")
    return text


async def _schema(patient: Patient) -> str:
    from .. import spot_sbe, spot_stream

    streams = f"streams {spot_stream.SCHEMA_ID}:{spot_stream.SCHEMA_VERSION}"
    name = f"{spot_sbe.SCHEMA_ID}:{spot_sbe.SCHEMA_VERSION}"
    where = patient.lifecycle
    if where is None and patient.url is not None:
        return f"{streams}, REST {name}; a local exchange publishes no lifecycle"
    where = where or LIFECYCLE.format("testnet" if patient.environment == "testnet" else "prod")
    try:
        known = lifecycle.parse(await _read(where))
    except (OSError, ValueError, SbeError) as error:
        raise Unknown(f"{streams}, REST {name}; which is current is not known: {error}") from None
    release = known.of(spot_sbe.SCHEMA_ID, spot_sbe.SCHEMA_VERSION)
    newest = known.releases[0]
    if release is None:
        is_latest = (newest.id, newest.version) < (spot_sbe.SCHEMA_ID, spot_sbe.SCHEMA_VERSION)
        state = "no release any more"
    else:
        is_latest = release.state == "latest"
        state = f"{release.state} since {release.retired or release.deprecated}"
    if is_latest:
        return f"{streams}, REST {name}, which is the latest"
    current = f"{newest.id}:{newest.version}"
    raise Trouble(OUTDATED, f"REST {name} is {state}: {current} is current; update binance-sbe")


async def _read(where: str) -> str:
    if not where.startswith(("http://", "https://")):
        return Path(where).read_text(encoding="utf-8")
    aiohttp = imported("aiohttp", "doctor", "rest")
    session = aiohttp.ClientSession(
        headers=bodies.ACCEPTED,
        timeout=aiohttp.ClientTimeout(total=_SECONDS),
        auto_decompress=False,
    )
    try:
        async with session, session.get(where, allow_redirects=False) as answer:
            if answer.status != 200:
                raise FeedError(f"{where}: HTTP {answer.status}")
            return (await bodies.read(answer, where, _LONGEST_LIFECYCLE)).decode()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FeedError(f"{where}: {error or 'no answer'}") from None


async def _stream(patient: Patient) -> str:
    try:
        key = checked_key(patient.api_key)
    except MissingKey:
        raise Unknown("not tried, without a key") from None
    names = [f"{symbol}@{BEST_BID_ASK}" for symbol in patient.symbols]
    started = time.monotonic()
    feed = connect(
        *names, api_key=key, url=patient.stream_url, reconnect=False, proxy=patient.proxy
    )
    told: dict[str, str] = {}
    try:
        async with asyncio.timeout(_SECONDS), feed:
            while len(told) < len(feed.streams):
                message = await anext(feed)
                assert isinstance(message, BestBidAskStreamEvent)
                if message.symbol not in told:
                    took = (time.monotonic() - started) * 1e3
                    top = f"bid {message.bid_price_decimal}, ask {message.ask_price_decimal}"
                    told[message.symbol] = f"after {took:.0f} ms: {message.symbol} {top}"
    except TimeoutError:
        quiet = [name for name in names if name.partition("@")[0].upper() not in told]
        few = ", ".join(quiet[:5])
        raise Trouble(GENERAL, f"{few}: acknowledged, but nothing came within 10 s") from None
    except FeedError as error:
        raise Trouble(exit_code(error), str(error)) from None
    return f"bestBidAsk: the first event {'; '.join(told.values())}"


def code_of(findings: list[Finding]) -> int:
    """The exit code: that of the first trouble."""
    return next((each.code for each in findings if each.code), 0)


def line_of(finding: Finding, width: int = 7) -> str:
    """One finding as a line of text."""
    mark = {None: "ok  ", 0: "?   "}.get(finding.code, "FAIL")
    return f"{mark}  {finding.step:<{width}} {finding.text}"
