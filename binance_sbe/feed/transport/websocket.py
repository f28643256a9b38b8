"""The WebSocket of one connection, watched by asyncio's event loop or another of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.client import ClientProtocol

from ...route import Route
from .conversation import CLOSE_SECONDS, Conversation, Socket, Timer
from .opening import opened
from .watch import Watch
from .wire import wire_of


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


class Transport(Conversation):
    """A `Conversation` that opens its own connection, and ends it.

    The socket is ours, and the event loop only says when it can be read: what asyncio has for that,
    its transports, costs more than all that is done with a message, and its TLS twice as much.
    """

    _ended: asyncio.Event

    async def open(self, url: str, key: str, timeout: float, route: Route | None = None) -> None:
        """Raises Unreachable or ConnectionRefused. No redirect is followed."""
        self._url = url
        made = await opened(url, key, timeout, route or Route())
        loop = asyncio.get_running_loop()

        def soon(function: Callable[[], object]) -> None:
            if not loop.is_closed():
                loop.call_soon(function)

        wire = wire_of(made, Watch(loop, self._backlog.wake), soon, self.fail)
        self.take_over(made.protocol, wire, made.rest)

    def take_over(self, protocol: ClientProtocol, socket: Socket, rest: bytes) -> None:
        self._ended = asyncio.Event()
        super().take_over(protocol, socket, rest)

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
            self.abort()
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
            self.abort()

    def abort(self) -> None:
        """Ends all of it at once, as far as it has not ended."""
        if self._reader is not None:
            if not self._is_lost:
                self._socket.abort()
            self._reader.stop()
