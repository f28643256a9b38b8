"""Ways to the socket: thin shells around websockets and picows, which both fill an Inbox."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

from .errors import ConnectionLost, ConnectionRefused, FeedError, Unreachable
from .inbox import Inbox
from .logs import LOG, websocket_logger
from .sequencer import Line

_MAX_FRAME = 16 * 1024 * 1024
_PING_SECONDS = 20
_PONG_SECONDS = 60
_IDLE_SECONDS = 40  # until picows pings, and then for its answer: 80 in all, as above
_CLOSE_SECONDS = 2.0

OnText = Callable[[str], object]
OnSign = Callable[[], object]
OnLost = Callable[[int | None, str], object]


class Transport(Protocol):
    """One connection. What arrives goes to the inbox; it stops reading while that is full.

    ``on_text(text)`` gets text frames, ``on_sign()`` is called at pings, which it answers, and at
    pongs, ``on_lost(code, reason)`` when the connection has ended, whoever ended it.
    """

    def __init__(
        self, inbox: Inbox, line: Line, on_text: OnText, on_sign: OnSign, on_lost: OnLost
    ) -> None: ...

    async def open(self, url: str, key: str, timeout: float) -> None:
        """Raises Unreachable or ConnectionRefused."""

    async def send(self, text: str) -> None:
        """Raises ConnectionLost."""

    def resume(self) -> None:
        """There may be room in the inbox again."""

    async def close(self) -> None:
        """Ends the connection, if there is one; ``on_lost`` has been called when it returns."""


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


def _no_answer(url: str, timeout: float) -> Unreachable:
    return Unreachable(f"{url}: no answer within {timeout:g} s")


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


_SIGNS = (Opcode.PING, Opcode.PONG)


class _Listening(ClientConnection):
    """A connection of websockets that tells of pings and pongs."""

    on_sign: OnSign | None = None

    def process_event(self, event: Frame | Response) -> None:  # type: ignore[override]
        is_sign = isinstance(event, Frame) and event.opcode in _SIGNS
        if is_sign and self.on_sign is not None:
            self.on_sign()
        ClientConnection.process_event(self, event)


def _retry_after(headers: Any) -> float | None:
    """The seconds that a refusal asks to wait, where it does."""
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except (AttributeError, TypeError, ValueError):
        return None


class WebsocketsTransport:
    """By the websockets package; it answers pings."""

    def __init__(
        self, inbox: Inbox, line: Line, on_text: OnText, on_sign: OnSign, on_lost: OnLost
    ) -> None:
        self._inbox = inbox
        self._line = line
        self._on_text = on_text
        self._on_sign = on_sign
        self._on_lost = on_lost
        self._room = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self, url: str, key: str, timeout: float) -> None:
        def listening(*arguments: Any, **options: Any) -> _Listening:
            made = _Listening(*arguments, **options)
            made.on_sign = self._on_sign
            return made

        try:
            opened = await open_websocket(
                url,
                create_connection=listening,  # type: ignore[arg-type]  # any factory will do
                additional_headers={"X-MBX-APIKEY": key},
                compression=None,
                open_timeout=timeout,
                max_size=_MAX_FRAME,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PONG_SECONDS,
                logger=websocket_logger(),
            )
        except websockets.InvalidStatus as error:
            body = error.response.body.decode("utf-8", "replace") if error.response.body else ""
            wait = _retry_after(error.response.headers)
            raise ConnectionRefused(url, error.response.status_code, body, wait) from None
        except TimeoutError:
            raise _no_answer(url, timeout) from None
        except (OSError, websockets.WebSocketException, EOFError, UnicodeError) as error:
            raise unreachable(url, error) from None
        self._socket = opened
        self._reader = asyncio.create_task(self._read(opened))

    async def _read(self, connection: ClientConnection) -> None:
        inbox = self._inbox
        lost: tuple[int | None, str] = (None, "the reader was cancelled")
        try:
            async for message in connection:
                if isinstance(message, str):
                    self._on_text(message)
                    continue
                inbox.put(message, time.time_ns(), self._line)
                while inbox.full:
                    self._room.clear()
                    await self._room.wait()
            lost = (connection.close_code, connection.close_reason or "")
        except websockets.ConnectionClosed as error:
            lost = _why(error)
        except Exception as error:
            LOG.exception("%s: the feed failed", connection.request and connection.request.path)
            lost = (None, f"{type(error).__name__}: {error}")
            await connection.close(1011)
        except asyncio.CancelledError:
            await connection.close()
            raise
        finally:
            self._on_lost(*lost)

    async def send(self, text: str) -> None:
        assert self._socket is not None
        try:
            await self._socket.send(text)
        except websockets.ConnectionClosed as error:
            raise ConnectionLost(*_why(error)) from None

    def resume(self) -> None:
        self._room.set()

    async def close(self) -> None:
        self._room.set()
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)


def _why(error: websockets.ConnectionClosed) -> tuple[int | None, str]:
    if error.rcvd is not None:
        return error.rcvd.code, error.rcvd.reason
    return None, "no close frame came"


class PicowsTransport:
    """By the picows package: frames go from its receive buffer into rows, in C."""

    def __init__(
        self, inbox: Inbox, line: Line, on_text: OnText, on_sign: OnSign, on_lost: OnLost
    ) -> None:
        self._picows, listener = _picows()
        self._lost = asyncio.Event()
        self._on_lost = on_lost
        self._listener = listener(inbox, line, on_text, on_sign, self._note_lost, _MAX_FRAME)
        self._transport: Any = None

    def _note_lost(self, code: int | None, reason: str) -> None:
        self._lost.set()
        self._on_lost(code, reason)

    async def open(self, url: str, key: str, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                self._transport, _ = await self._picows.ws_connect(
                    lambda: self._listener,
                    url,
                    extra_headers={"X-MBX-APIKEY": key},
                    websocket_handshake_timeout=timeout,
                    max_frame_size=_MAX_FRAME,
                    max_redirects=0,
                    enable_auto_pong=False,  # the listener answers, and tells
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=_IDLE_SECONDS,
                    auto_ping_reply_timeout=_IDLE_SECONDS,
                    logger_name=websocket_logger(),
                )
        except self._picows.WSHandshakeError as error:
            response = error.response
            if response is None or int(response.status) == 101:
                raise unreachable(url, error) from None
            body = (error.raw_body or b"").decode("utf-8", "replace")
            wait = _retry_after(response.headers)
            raise ConnectionRefused(url, int(response.status), body, wait) from None
        except TimeoutError:
            raise _no_answer(url, timeout) from None
        except (OSError, self._picows.WSError, EOFError, UnicodeError) as error:
            raise unreachable(url, error) from None
        finally:
            if self._transport is None:
                self._listener.give_up()

    async def send(self, text: str) -> None:
        if self._transport.is_disconnected or self._transport.is_close_frame_sent:
            raise ConnectionLost(None, "the connection has ended")
        self._transport.send(self._picows.WSMsgType.TEXT, text.encode())

    def resume(self) -> None:
        self._listener.resume()

    async def close(self) -> None:
        if self._transport is None or self._lost.is_set():
            return
        self._listener.resume()
        if not self._transport.is_close_frame_sent:
            self._transport.send_close(self._picows.WSCloseCode.OK)
        if not await arrives(self._lost, _CLOSE_SECONDS):
            self._transport.disconnect(graceful=False)
            await self._lost.wait()


def _picows() -> tuple[Any, Any]:
    """picows, and the listener that was compiled for it."""
    try:
        import picows
    except ImportError:
        raise FeedError(
            "transport='picows' needs picows: pip install 'binance-sbe[picows]'"
        ) from None
    try:
        from . import listener
    except (ImportError, ValueError, TypeError) as error:  # none, or for another layout
        raise FeedError(f"this build of binance-sbe has no picows transport: {error}") from None
    version = vars(picows)["__version__"]
    if version != listener.PICOWS:
        raise FeedError(
            f"binance-sbe was compiled for picows {listener.PICOWS}, and {version} is "
            f"installed: install that one, or build binance-sbe anew"
        )
    return picows, listener.Listener


TRANSPORTS: dict[str, type[Transport]] = {
    "websockets": WebsocketsTransport,
    "picows": PicowsTransport,
}
