"""One client of a server: what it has subscribed to, and what waits to be sent to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from ..venue.streams import REPLACED
from .control import Subscriptions


def framed(message: bytes) -> bytes:
    """A binary message as a frame of WebSocket, as a server sends it (RFC 6455, 5.2)."""
    size = len(message)
    if size < 126:
        return bytes((0x82, size)) + message
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2) + message
    return b"\x82\x7f" + size.to_bytes(8) + message


def is_replaced(stream: str) -> bool:
    """Whether each event of it replaces the one before."""
    return stream.rpartition("@")[2] in REPLACED


class Client(Subscriptions):
    """``most`` is how many bytes may wait for it before it is cut off.

    With more than ``soft`` bytes it is slow: of a stream whose events replace each other the newest
    is kept for it, in ``_held``, and what it never gets is counted in ``conflated``.
    """

    def __init__(
        self,
        connection: ServerConnection,
        exists: Callable[[str], bool],
        streams: Iterable[str],
        combined: bool,
        soft: int,
        most: int,
    ) -> None:
        super().__init__(exists, list(streams), combined)
        self.connection = connection
        self.opened = 0.0  # s, of any clock
        self.sent = self.conflated = 0  # messages
        self._soft, self._most = soft, most
        self._pending: list[bytes] = []  # frames that the transport has not been given
        self._size = 0  # of these
        self._held: dict[str, bytes] = {}  # by stream
        self._is_slow = False

    @property
    def waiting(self) -> int:
        """Bytes that it has not taken."""
        held = sum(map(len, self._held.values())) if self._held else 0
        return self.connection.transport.get_write_buffer_size() + self._size + held

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def offer(self, stream: str, frame: bytes) -> None:
        """A frame of WebSocket for it; `flush` is to follow."""
        if self._is_slow and is_replaced(stream):
            if self._held.pop(stream, None) is not None:
                self.conflated += 1
            self._held[stream] = frame
            return
        self._pending.append(frame)
        self._size += len(frame)

    def flush(self) -> bool:
        """Gives the transport what there is; False where too much waits: it is to be cut off."""
        transport = self.connection.transport
        if self.connection.state is not State.OPEN or transport.is_closing():
            self._pending, self._size, self._held = [], 0, {}
            return True
        if self._held and transport.get_write_buffer_size() + self._size <= self._soft // 2:
            self._pending += self._held.values()
            self._held = {}
        if self._pending:
            self.sent += len(self._pending)
            frames, self._pending, self._size = self._pending, [], 0
            transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        waiting = transport.get_write_buffer_size()
        self._is_slow = waiting > self._soft or bool(self._held)
        return waiting <= self._most
