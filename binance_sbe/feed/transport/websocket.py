"""The socket of one connection: opened by websockets, and read by our own reader in C."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.client import ClientProtocol
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State

from ...errors import ConnectionLost, ConnectionRefused, Unreachable
from ...headers import retry_after
from ...logs import LOG, websocket_logger
from ..intake.backlog import Backlog
from ..intake.streams import Source
from .dialing import dialed, has_proxy
from .reader import FrameReader

_MAX_FRAME = 16 * 1024 * 1024
_MOST_FRAGMENTS = 16_384  # of one message
_MOST_UNSENT = 256 * 1024  # bytes of pongs and requests that the other side does not read
_CLOSE_SECONDS = 2.0
_END_OF_HEAD = b"\r\n\r\n"

OnText = Callable[[str], object]
OnSign = Callable[[], object]
OnLost = Callable[[int | None, str], object]


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


class _Handshake(ClientConnection):
    """websockets' connection until the exchange has agreed; from then on the socket is ours."""

    owner: Transport | None = None
    _is_answered = False
    _end = b""  # of the answer's head, as far as it has come

    async def handshake(self, *arguments: Any, **options: Any) -> None:
        try:
            await super().handshake(*arguments, **options)
        except websockets.InvalidStatus as error:
            # An error of ours, so that websockets follows no redirect: the key is for one host.
            assert self.owner is not None
            raise self.owner.refusal(error.response) from None

    def data_received(self, data: bytes) -> None:
        if self._is_answered:
            super().data_received(data)
            return
        known = self._end + data
        end = known.find(_END_OF_HEAD)
        if end < 0:
            self._end = known[1 - len(_END_OF_HEAD) :]
            super().data_received(data)
            return
        self._is_answered = True
        end += len(_END_OF_HEAD) - len(self._end)
        super().data_received(data[:end])
        if self.protocol.state is State.OPEN:
            assert self.owner is not None
            self.owner.take_over(self.protocol, self.transport, data[end:])
        elif end < len(data):
            super().data_received(data[end:])


class Transport:
    """One connection. What arrives goes to the backlog; it stops reading while that is full.

    ``on_text(text)`` gets text frames, ``on_sign()`` is called at pings, which are answered, and at
    pongs, ``on_lost(code, reason)`` when the connection has ended, whoever ended it, and
    ``on_drained()`` when after that all that it had brought has gone to the backlog.
    """

    def __init__(
        self,
        backlog: Backlog,
        line: Source,
        on_text: OnText,
        on_sign: OnSign,
        on_lost: OnLost,
        on_drained: Callable[[], object] = lambda: None,
    ) -> None:
        self._backlog = backlog
        self._line = line
        self._on_text = on_text
        self._on_sign = on_sign
        self._on_lost = on_lost
        self._on_drained = on_drained
        self._url = ""
        self._reader: FrameReader | None = None
        self._protocol: ClientProtocol | None = None
        self._socket: Any = None  # asyncio's transport
        self._lost = asyncio.Event()
        self._failure: str | None = None  # why we ended it, where we did
        self._is_given_up = False
        self._has_begun = False  # asyncio has the socket
        self._parts = bytearray()  # of a message in several frames
        self._fragments = 0
        self._kind: Opcode | None = None
        self._ending: asyncio.TimerHandle | None = None

    @property
    def is_drained(self) -> bool:
        """Whether nothing that came waits for room in the backlog."""
        return self._reader is None or not self._reader.blocked

    @property
    def is_whole(self) -> bool:
        """Whether all has come up to the end that both sides have agreed on."""
        protocol = self._protocol
        return protocol is not None and protocol.close_rcvd is not None and self._failure is None

    # opening

    async def open(self, url: str, key: str, timeout: float) -> None:
        """Raises Unreachable or ConnectionRefused. No redirect is followed."""
        self._url = url

        def handshake(*arguments: Any, **options: Any) -> _Handshake:
            made = _Handshake(*arguments, **options)
            made.owner = self
            self._has_begun = True
            return made

        place = urlsplit(url)
        host, port = str(place.hostname), place.port or (443 if place.scheme == "wss" else 80)
        is_open = False
        found: socket.socket | None = None
        options: dict[str, Any] = {}
        try:
            async with asyncio.timeout(timeout):
                if not has_proxy(host, port, place.scheme == "wss"):
                    found = options["sock"] = await dialed(host, port)
                await open_websocket(
                    url,
                    create_connection=handshake,  # type: ignore[arg-type]  # any factory will do
                    additional_headers={"X-MBX-APIKEY": key},
                    compression=None,
                    open_timeout=None,
                    max_size=_MAX_FRAME,
                    ping_interval=None,  # the supervisor asks for signs of life
                    logger=websocket_logger(),
                    **options,
                )
                is_open = True
        except TimeoutError:
            raise Unreachable(f"{url}: no answer within {timeout:g} s") from None
        except (OSError, websockets.WebSocketException, EOFError, UnicodeError) as error:
            raise unreachable(url, error) from None
        finally:
            if not is_open:
                self._give_up()
                if found is not None and not self._has_begun:  # else asyncio closes it
                    found.close()

    def refusal(self, response: Any) -> ConnectionRefused:
        """The error for an answer that is no agreement."""
        body = (response.body or b"").decode("utf-8", "replace")
        headers = response.headers
        wait = retry_after(headers.get("Retry-After"))
        location = headers.get("Location")
        return ConnectionRefused(self._url, response.status_code, body, wait, location)

    def take_over(self, protocol: ClientProtocol, transport: Any, rest: bytes) -> None:
        """The handshake is over: from here on the reader has the socket."""
        self._protocol = protocol
        protocol.logger = websocket_logger()  # its own refers to the connection that we replace
        self._socket = transport
        if self._is_given_up:
            transport.abort()
            return
        self._reader = FrameReader(self._backlog, self._line, self, transport)
        transport.set_protocol(self._reader)
        if rest:
            self._reader.feed(rest)

    def _give_up(self) -> None:
        """Nobody waits for this connection any more: where there is one, or will be, it ends."""
        self._is_given_up = True
        if self._reader is not None:
            self._reader.stop()
        if self._socket is not None:
            self._socket.abort()

    # frames that the reader leaves to us

    def take(self, data: bytes) -> None:
        """Frames, or parts of them, as they came."""
        protocol, reader = self._protocol, self._reader
        assert protocol is not None
        assert reader is not None
        protocol.receive_data(data)
        for event in protocol.events_received():
            if not reader.over:
                self._hear(event)
        if protocol.parser_exc is not None:
            self._failure = self._failure or str(protocol.parser_exc)
        if protocol.parser_exc is not None or protocol.close_rcvd is not None:
            reader.over = True
            self._end_soon()
        self._write()

    def _hear(self, frame: Any) -> None:
        assert isinstance(frame, Frame)
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            self._on_sign()
            return
        if frame.opcode is Opcode.CLOSE:
            return
        if frame.opcode is not Opcode.CONT:
            self._kind = frame.opcode
        self._parts += frame.data
        self._fragments += 1
        if not frame.fin:
            if self._fragments >= _MOST_FRAGMENTS:
                why = f"a message in more than {_MOST_FRAGMENTS:,} fragments"
                self.refuse(CloseCode.MESSAGE_TOO_BIG, why)
            return
        message, kind = bytes(self._parts), self._kind
        self._parts.clear()
        self._fragments = 0
        assert self._reader is not None
        if kind is Opcode.BINARY:
            self._reader.put(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.refuse(CloseCode.INVALID_DATA, "text that is not UTF-8")
            return
        self._on_text(text)

    def refuse(self, code: int, reason: str) -> None:
        """Ends the connection, since the other side breaks the rules (RFC 6455, 7.1.7)."""
        assert self._protocol is not None
        self._failure = self._failure or reason
        self._protocol.fail(code, reason)
        if self._reader is not None:
            self._reader.over = True
        self._end_soon()
        self._write()

    def fail(self, error: BaseException) -> None:
        """An error of ours, or of what we have called, ends the connection."""
        LOG.error("%s: the connection failed", self._url, exc_info=error)
        self._failure = self._failure or f"{type(error).__name__}: {error}"
        # What went wrong here is nobody else's, and may be longer than a close frame holds.
        self.refuse(CloseCode.INTERNAL_ERROR, "an error of the client's")

    # the end

    def socket_lost(self, error: BaseException | None) -> None:
        """The socket has ended; what it brought may still wait in the reader."""
        assert self._protocol is not None
        assert self._reader is not None
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._lost.set()
        if self._is_given_up:
            return
        close = self._protocol.close_rcvd
        if close is None and self._reader.last_words is not None:
            try:
                close = Close.parse(self._reader.last_words)
            except (websockets.ProtocolError, UnicodeDecodeError) as broken:
                self._failure = self._failure or str(broken)
        code: int | None = None
        reason = self._failure or "no close frame came"
        if self._failure is None and close is not None:
            code, reason = int(close.code), close.reason
        self._on_lost(code, reason)

    def drained(self) -> None:
        """All that came before the end has been taken."""
        self._reader = None
        if not self._is_given_up:
            self._on_drained()

    def _end_soon(self) -> None:
        """The other side has to end the socket (RFC 6455, 7.1.1): where it does not, we do."""
        if self._ending is None and not self._lost.is_set():
            loop = asyncio.get_running_loop()
            self._ending = loop.call_later(_CLOSE_SECONDS, self._socket.abort)

    def finish(self) -> None:
        """Asks for the end; what was on its way until then still comes."""
        if self._protocol is not None and self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._write()

    async def close(self) -> None:
        """Ends the connection, if there is one; ``on_lost`` has been called when it returns."""
        if self._reader is None:
            return
        if self._lost.is_set():
            self._reader.stop()
            return
        reader, self._reader.discards = self._reader, True
        try:
            self.finish()
            reader.resume()
            if await arrives(self._lost, _CLOSE_SECONDS):
                return
            self._socket.abort()
            await arrives(self._lost, _CLOSE_SECONDS)
        finally:
            if not self._lost.is_set():
                self._socket.abort()
            reader.stop()

    # sending

    def send(self, text: str) -> None:
        """Raises ConnectionLost."""
        if self._protocol is None or self._protocol.state is not State.OPEN or self._lost.is_set():
            raise ConnectionLost(None, "the connection has ended")
        self._protocol.send_text(text.encode())
        self._write()

    def ping(self) -> None:
        """Asks for a sign of life."""
        if self._protocol is not None and self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._write()

    def resume(self) -> None:
        """There may be room in the backlog again."""
        if self._reader is not None:
            self._reader.resume()

    def _write(self) -> None:
        assert self._protocol is not None
        data = b"".join(self._protocol.data_to_send())
        if not data or self._lost.is_set():
            return
        self._socket.write(data)
        if self._socket.get_write_buffer_size() > _MOST_UNSENT:
            self._failure = self._failure or "the other side does not read what it is sent"
            assert self._reader is not None
            self._reader.over = True
            self._socket.abort()
