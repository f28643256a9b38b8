"""A local FIX acceptor: serves the markets of a local exchange over TLS, and can misbehave.

``async with Exchange() as exchange, FixAcceptor(exchange) as fix`` serves until the block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from .. import fix_sbe
from ..api.fix_wire import Now, now
from .beside import Beside
from .fix_keys import Certified, certified
from .fix_peer import Peer
from .server import Exchange

FAULTS = ("sequence", "garbage", "silence", "news", "logout", "partial", "cut", "damage")
_TICK_SECONDS = 0.25
_NEWS_SECONDS = 1.0  # from the first News to the Logout
_MOST_UNSENT = 64 << 20
_READ = 1 << 16


class _Client:
    def __init__(self, peer: Peer, writer: asyncio.StreamWriter) -> None:
        self.peer = peer
        self.writer = writer
        self.is_mute = False

    def flush(self) -> None:
        data = self.peer.to_send()
        if self.is_mute or self.writer.is_closing():
            return
        if data:
            self.writer.write(data)
        if self.writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            self.writer.transport.abort()
        elif self.peer.is_closed:
            self.writer.close()


class FixAcceptor(Beside):
    """FIX SBE for the markets of ``exchange``, on a port of its own.

    ``url``, ``key`` and ``tls.client`` are what `fix.connect` needs; for the options see `Beside`.
    ``tls`` is a certificate that was made before (`fix_keys.certified`), by default a new one.
    ``inflict`` does something wrong to one client, by chance that ``seed`` gives.
    """

    _usage = "async with FixAcceptor(exchange) as acceptor:"

    def __init__(
        self, exchange: Exchange, *, seed: int = 0, tls: Certified | None = None, **options: Any
    ) -> None:
        super().__init__(exchange, **options)
        self.tls: Certified = tls or certified("localhost", self._host)
        self._random = random.Random(seed)
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FixAcceptor:
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, ssl=self.tls.server
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"tcp+tls://{self._place}:{port}"
        self._exchange.listeners.append(self._publish)
        self._later(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._exchange.listeners.remove(self._publish)
        self._server.close()
        for client in list(self._clients):
            client.writer.transport.abort()
        await self._end_tasks()
        await self._server.wait_closed()

    @property
    def peers(self) -> list[Peer]:
        """Sessions that are logged on."""
        return [client.peer for client in self._clients if client.peer.is_live]

    def _senders(self) -> set[str]:
        return {peer.sender for peer in self.peers}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(
            self._exchange.markets, self._public, self._api_keys, self._senders,
            self._is_deprecated,
        )  # fmt: skip
        client = _Client(peer, writer)
        self._clients.add(client)
        try:
            while not peer.is_closed:
                data = await reader.read(_READ)
                if not data:
                    break
                if not client.is_mute:
                    peer.receive(data, now())
                client.flush()
        except OSError:
            pass
        finally:
            peer.is_live = False
            self._clients.discard(client)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for client in list(self._clients):
                client.peer.tick(now())
                client.flush()

    def _publish(self, event: Any) -> None:
        at = now()
        for client in list(self._clients):
            client.peer.publish(event, at)
            client.flush()

    def inflict(self, fault: str) -> bool:
        """One of `FAULTS` for one client that is logged on; False where there is none."""
        if fault not in FAULTS:
            raise ValueError(f"there is no fault {fault!r}; there are {', '.join(FAULTS)}")
        usable = [each for each in self._clients if each.peer.is_live and not each.is_mute]
        if not usable:
            return False
        client, at = self._random.choice(usable), now()
        peer = client.peer
        match fault:
            case "sequence":
                peer.next_out += self._random.randrange(1, 5)
            case "garbage":
                peer.garbage(self._random.randbytes(self._random.randrange(6, 200)))
            case "silence":
                client.is_mute = True
            case "news":
                peer.news(at)
                self._later(self._end(client, "going away"))
            case "logout":
                peer.end("going away", at)
            case "partial":
                peer.news(at)
                data = peer.to_send()
                client.writer.write(data[: self._random.randrange(1, len(data))])
                client.writer.close()
                client.is_mute = True
            case "cut":
                client.writer.transport.abort()
            case "damage":
                self._damage(peer, at)
        client.flush()
        return True

    def _damage(self, peer: Peer, now: Now) -> None:
        """A message that ends before what it says is in it; its frame is whole."""
        message = bytearray(fix_sbe.News.encode(headline="x" * 20))
        at = len(message) - 21
        message[at - 1 : at + 1] = b"\xff\xff"
        peer.write(bytes(message), now)

    async def _end(self, client: _Client, text: str) -> None:
        await asyncio.sleep(_NEWS_SECONDS)
        if client.peer.is_live:
            client.peer.end(text, now())
            client.flush()
