"""The WebSocket of one connection, with the sockets of asyncio or of another event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import websockets
from websockets.client import ClientProtocol

from ...errors import Unreachable
from ...route import Route
from .conversation import CLOSE_SECONDS, Conversation, Socket, Timer
from .dialing import connected
from .upgrade import Upgrade


async def arrives(event: asyncio.Event, seconds: float) -> bool:
    """Waits for an event, and says whether it came in time.

    Unlike `asyncio.wait_for` before Python 3.12, which forgets that it is cancelled where the event
    comes at the same time.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


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


class Opening(asyncio.Protocol):
    """The protocol of a socket until the exchange has agreed to a WebSocket; ``agreed`` is done."""

    def __init__(self, owner: Conversation, upgrade: Upgrade) -> None:
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._upgrade = upgrade
        self._socket: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport
        if self.agreed.cancelled():
            self._socket.abort()
            return
        self._socket.write(self._upgrade.request())

    def data_received(self, data: bytes) -> None:
        if self.agreed.done():
            return
        try:
            rest = self._upgrade.receive(data)
            if rest is not None:
                self._owner.take_over(self._upgrade.protocol, self._socket, rest)
                self.agreed.set_result(None)
        except Exception as error:
            self._fail(error)

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.agreed.done():
            return
        try:
            if exc is not None:
                raise exc
            self._upgrade.end()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.agreed.set_exception(error)
        self.agreed.exception()  # who waits for it may have been cancelled
        self._socket.abort()

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        self.agreed.cancel()
        if self._socket is not None:
            self._socket.abort()


class Transport(Conversation):
    """A `Conversation` that opens its own connection, and ends it."""

    _opening: Opening | None = None  # once the event loop has the socket
    _ended: asyncio.Event

    async def open(self, url: str, key: str, timeout: float, route: Route | None = None) -> None:
        """Raises Unreachable or ConnectionRefused. No redirect is followed."""
        self._url = url
        route = route or Route()
        host, port, is_secure = place_of(url)
        found: socket.socket | None = None
        is_open = False

        def begin() -> Opening:
            self._opening = Opening(self, Upgrade(url, key))
            return self._opening

        try:
            with reaching(url, timeout):
                async with asyncio.timeout(timeout):
                    found = await connected(host, port, is_secure, route)
                    tls = {"ssl": route.context(), "server_hostname": host} if is_secure else {}
                    _, made = await fastest()(begin, sock=found, **tls)
                    await made.agreed
                    is_open = True
        finally:
            opening, self._opening = self._opening, None
            if not is_open:
                self._give_up()
                if opening is not None:
                    opening.give_up()
                elif found is not None:
                    found.close()

    def take_over(self, protocol: ClientProtocol, socket: Socket, rest: bytes) -> None:
        self._ended = asyncio.Event()
        retry = getattr(socket, "_retry_ssl_read", None)
        super().take_over(protocol, socket if retry is None else Retrying(socket, retry), rest)

    def _later(self, seconds: float, function: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, function)

    def socket_lost(self, error: BaseException | None) -> None:
        self._ended.set()
        super().socket_lost(error)

    async def close(self) -> None:
        """Ends the connection, if there is one; ``on_lost`` has been called when it returns."""
        if self._reader is None:
            return
        if self._is_lost:
            self._reader.stop()
            return
        reader, self._reader.discards = self._reader, True
        try:
            self.finish()
            reader.resume()
            if await arrives(self._ended, CLOSE_SECONDS):
                return
            self._socket.abort()
            await arrives(self._ended, CLOSE_SECONDS)
        finally:
            if not self._is_lost:
                self._socket.abort()
            reader.stop()


class Retrying:
    """A transport of aiofastnet's for TLS, without its fault (1.2.0).

    After `resume_reading` it gives what it has read before only when more comes from the socket;
    and it reads the socket first, which is an error where it has no room. What it has read comes
    first here.
    """

    def __init__(self, socket: Any, retry: Callable[[], object]) -> None:
        self._socket = socket
        self._retry = retry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def resume_reading(self) -> None:
        asyncio.get_running_loop().call_soon(self._retry)
        self._socket.resume_reading()  # which has the socket read right after that


def fastest() -> Callable[..., Any]:
    """The way to give a socket to the running event loop: aiofastnet's where it is installed."""
    loop = asyncio.get_running_loop()
    try:
        import aiofastnet
    except ImportError:
        return loop.create_connection
    return partial(aiofastnet.create_connection, loop)
