"""From a URL to a WebSocket, on an event loop. What is handed over is a plain socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import websockets
from websockets.client import ClientProtocol

from ...errors import Unreachable
from ...route import Route
from .dialing import Resolve, connected, resolved
from .upgrade import Upgrade

_RECORDS = 64 * 1024  # bytes of one read


def unreachable(url: str, error: BaseException) -> Unreachable:
    """The same error, with what it most likely means."""
    said = str(error)
    match error:
        case ssl.SSLCertVerificationError():
            meaning = "the certificate is not good: is the clock of this machine right, or is "
            meaning += "there a proxy between?"
        case ssl.SSLError():
            meaning = "the other side does not speak TLS: is it ws:// rather than wss://?"
        case socket.gaierror():
            meaning = "there is no such name: is the host right, and does this machine have DNS?"
        case ConnectionRefusedError():
            meaning = "nothing listens there: are host and port right?"
        case ConnectionResetError() | EOFError():
            meaning = "the other side hung up: is it a wss:// server?"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            meaning = "there is no route to it: is this machine on the network?"
        case _:
            meaning = "" if said else "the other side hung up: is it a wss:// server?"
    return Unreachable(f"{url}: " + ": ".join(filter(None, (said, meaning))))


def place_of(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is spoken there."""
    place = urlsplit(url)
    is_secure = place.scheme == "wss"
    return str(place.hostname), place.port or (443 if is_secure else 80), is_secure


@contextlib.contextmanager
def reaching(url: str, timeout: float) -> Iterator[None]:
    """Whatever keeps a connection from being made is Unreachable, and says what it most likely is.

    A TimeoutError is that of the opening, which had ``timeout`` seconds.
    """
    try:
        yield
    except TimeoutError:
        raise Unreachable(f"{url}: no answer within {timeout:g} s") from None
    except Unreachable as error:
        raise Unreachable(f"{url}: {error}") from None
    except (OSError, websockets.WebSocketException, EOFError, ValueError) as error:
        raise unreachable(url, error) from None


@dataclass
class Tls:
    """One side of TLS, between two buffers of what is on the wire. Its handshake is over."""

    object: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


@dataclass
class Opened:
    """A WebSocket whose handshake is over; ``rest`` is what came behind it."""

    socket: socket.socket
    tls: Tls | None
    protocol: ClientProtocol
    rest: bytes


async def opened(
    url: str, key: str, timeout: float, route: Route, resolve: Resolve = resolved
) -> Opened:
    """Raises Unreachable or ConnectionRefused. No redirect is followed."""
    host, port, is_secure = place_of(url)
    found: socket.socket | None = None
    made: Opened | None = None
    try:
        with reaching(url, timeout):
            async with asyncio.timeout(timeout):
                found = await connected(host, port, is_secure, route, resolve)
                tls = await _secured(found, route.context(), host) if is_secure else None
                made = await _upgraded(found, tls, Upgrade(url, key))
        return made
    finally:
        if made is None and found is not None:
            found.close()


async def _secured(found: socket.socket, context: ssl.SSLContext, host: str) -> Tls:
    """TLS over a socket (its handshake)."""
    loop = asyncio.get_running_loop()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    while True:
        try:
            tls.do_handshake()
            is_over = True
        except ssl.SSLWantReadError:
            is_over = False
        if outgoing.pending:
            await loop.sock_sendall(found, outgoing.read())
        if is_over:
            return Tls(tls, incoming, outgoing)
        part = await loop.sock_recv(found, _RECORDS)
        if not part:
            raise EOFError
        incoming.write(part)


async def _upgraded(found: socket.socket, tls: Tls | None, upgrade: Upgrade) -> Opened:
    loop = asyncio.get_running_loop()
    request = upgrade.request()
    if tls is not None:
        tls.object.write(request)
        request = tls.outgoing.read()
    await loop.sock_sendall(found, request)
    while True:
        part = await loop.sock_recv(found, _RECORDS)
        if not part:
            upgrade.end()
        for data in [part] if tls is None else _decrypted(tls, part):
            rest = upgrade.receive(data)
            if rest is not None:
                return Opened(found, tls, upgrade.protocol, rest)


def _decrypted(tls: Tls, records: bytes) -> Iterator[bytes]:
    """What is in these records, each when it is asked for: the others are left to the wire."""
    tls.incoming.write(records)
    with contextlib.suppress(ssl.SSLWantReadError):
        while data := tls.object.read(_RECORDS):
            yield data
