"""One WebSocket, once its handshake is over: all but plain binary frames, and how it ends. No I/O.

Section numbers are those of RFC 6455.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import websockets
from websockets.client import ClientProtocol
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State

from ...errors import ConnectionLost
from ...logs import LOG
from ..intake.backlog import Backlog
from ..intake.streams import Source
from .reader import FrameReader

CLOSE_SECONDS = 2.0  # for the other side to end what was agreed to be over
_MOST_FRAGMENTS = 16_384  # of one message
_MOST_UNSENT = 256 * 1024  # bytes of pongs and requests that the other side does not read
_LAST_FRAGMENT = b"\x80\x00"

OnText = Callable[[str], object]
OnSign = Callable[[], object]
OnLost = Callable[[int | None, str], object]


class Socket(Protocol):
    """What moves the bytes: a `wire.Wire`."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_protocol(self, protocol: Any) -> None: ...


class Timer(Protocol):
    def cancel(self) -> None: ...


class Conversation(ABC):
    """What arrives goes to the backlog; the socket is not read while that is full.

    ``on_text(text)`` gets text frames, ``on_sign()`` is called at pings, which are answered, and at
    pongs, ``on_lost(code, reason)`` when the connection has ended, whoever ended it, and
    ``on_drained()`` when after that all that it had brought has gone to the backlog.
    """

    def __init__(
        self,
        backlog: Backlog,
        source: Source,
        on_text: OnText,
        on_sign: OnSign,
        on_lost: OnLost,
        on_drained: Callable[[], object] = lambda: None,
    ) -> None:
        self._backlog = backlog
        self._source = source
        self._on_text = on_text
        self._on_sign = on_sign
        self._on_lost = on_lost
        self._on_drained = on_drained
        self._url = ""
        self._reader: FrameReader | None = None
        self._protocol: ClientProtocol | None = None
        self._socket: Any = None  # a Socket, once there is one
        self._is_lost = False
        self._failure: str | None = None  # why we ended it, where we did
        self._parts = bytearray()  # of a message in several frames
        self._fragments = 0
        self._kind: Opcode | None = None
        self._ending: Timer | None = None

    @abstractmethod
    def _later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Calls a function after a while."""

    @property
    def is_drained(self) -> bool:
        """Whether nothing that came waits for room in the backlog."""
        return self._reader is None or not self._reader.blocked

    @property
    def is_whole(self) -> bool:
        """Whether all has come up to the end that both sides have agreed on."""
        protocol = self._protocol
        return protocol is not None and protocol.close_rcvd is not None and self._failure is None

    def take_over(self, protocol: ClientProtocol, socket: Socket, rest: bytes) -> None:
        """The handshake is over: from here on the reader has the socket.

        ``rest`` is what came behind the exchange's agreement.
        """
        self._protocol = protocol
        self._socket = socket
        self._reader = FrameReader(self._backlog, self._source, self, socket)
        socket.set_protocol(self._reader)
        if rest:
            self._reader.feed(rest)

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

    def cut_off(self) -> None:
        """A close frame comes amid a message (5.4): it is an end, and not of all."""
        assert self._protocol is not None
        self._failure = self._failure or "the other side closed amid a message"
        # websockets takes such a close for a fault.
        self._protocol.receive_data(_LAST_FRAGMENT)
        self._protocol.events_received()

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
        """An error of ours, or of what we have called, ends the connection.

        What a signal's handler raised (Ctrl-C) is raised to whoever waits, and is no failure.
        """
        if isinstance(error, Exception):
            LOG.error("%s: the connection failed", self._url, exc_info=error)
        else:
            LOG.info("%s: %s ends the connection", self._url, type(error).__name__)
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
        self._is_lost = True
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
        self._on_drained()

    def _end_soon(self) -> None:
        """The other side has to end the socket (RFC 6455, 7.1.1): where it does not, we do."""
        if self._ending is None and not self._is_lost:
            self._ending = self._later(CLOSE_SECONDS, self._socket.abort)

    def finish(self) -> None:
        """Asks for the end; what was on its way until then still comes."""
        if self._protocol is not None and self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._write()

    # sending

    def send(self, text: str) -> None:
        """Raises ConnectionLost."""
        if self._protocol is None or self._protocol.state is not State.OPEN or self._is_lost:
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
        if not data or self._is_lost:
            return
        self._socket.write(data)
        if self._socket.get_write_buffer_size() > _MOST_UNSENT:
            self._failure = self._failure or "the other side does not read what it is sent"
            assert self._reader is not None
            self._reader.over = True
            self._socket.abort()
