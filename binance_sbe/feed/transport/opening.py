"""Opens a WebSocket in a thread of its own, so that the thread of a feed does not wait for it.

A look at a name server can't be made without waiting, and addresses are tried beside each other: an
event loop of the opening's own does that, for the while. What it hands over is a plain socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from websockets.client import ClientProtocol

from ...errors import FeedError, Unreachable, bare
from ...logs import LOG
from ...route import Route
from .dialing import Place, connected
from .upgrade import Upgrade
from .websocket import place_of, reaching

_RECORDS = 64 * 1024  # bytes of one read


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


async def _resolved_here(host: str, port: int) -> Sequence[Place]:
    """The addresses of a host, looked for by this thread: it has nothing else to do.

    A thread of the event loop's would keep the interpreter from ending while it waits.
    """
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def opened(url: str, key: str, timeout: float, route: Route) -> Opened:
    """Raises Unreachable or ConnectionRefused. No redirect is followed."""
    host, port, is_secure = place_of(url)
    found: socket.socket | None = None
    made: Opened | None = None
    try:
        with reaching(url, timeout):
            async with asyncio.timeout(timeout):
                found = await connected(host, port, is_secure, route, _resolved_here)
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


class Opening:
    """``done(opening)`` is called by its thread once it is over, with ``result``: or ``error``."""

    def __init__(
        self, url: str, key: str, timeout: float, route: Route, done: Callable[[Opening], object]
    ) -> None:
        self.result: Opened | None = None
        self.error: FeedError | None = None
        self.cpus: set[int] | None = None  # that its thread may use, where the feed's is pinned
        self._asked = url, key, timeout, route
        self._done = done
        self._lock = threading.Lock()
        self._task: asyncio.Task[Opened] | None = None
        self._is_cancelled = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="binance-sbe opening", daemon=True).start()

    def cancel(self) -> None:
        """Nobody waits for it any more: what it gives is to be thrown away."""
        with self._lock:
            self._is_cancelled = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        url = self._asked[0]
        if self.cpus is not None:
            with contextlib.suppress(OSError):  # the process may use none of them any more
                os.sched_setaffinity(0, self.cpus)
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                self.result = runner.run(self._work())
        except asyncio.CancelledError:
            self.error = Unreachable(f"{url}: nobody waits for it")
        except FeedError as error:
            self.error = bare(error)
        except Exception as error:
            LOG.error("%s: no connection", url, exc_info=error)
            self.error = Unreachable(f"{url}: {type(error).__name__}: {error}")
        self._done(self)

    async def _work(self) -> Opened:
        task = asyncio.ensure_future(opened(*self._asked))
        with self._lock:
            if self._is_cancelled:
                task.cancel()
            self._task = task
        try:
            return await task
        finally:
            with self._lock:
                self._task = None
