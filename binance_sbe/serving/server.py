"""A server that speaks the exchange's protocol: who is let in, who gets what, who is too slow."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ..asynchronous import Asynchronous
from ..logs import LOG, websocket_logger
from .clients import Client, framed
from .rest import Answer

_LOOK_SECONDS = 0.005  # between looks at clients for whom something is kept
_CHECK_SECONDS = 1.0
_CLOSE_SECONDS = 3.0  # that a client has to answer a close
_LONGEST_REQUEST = 1 << 20  # bytes of a client's message


class Server(Asynchronous):
    """Serves while ``async with`` runs; `send` gives a message to those who have its stream.

    Subclasses say which streams exist, and what REST answers. ``api_keys`` are the keys let in;
    with None any key is, and none too unless ``needs_key``. A client that sends more than
    ``control_limit`` messages within a second loses its connection, and so does one for whom more
    than ``max_buffer`` bytes wait; with more than ``soft_buffer`` it gets the newest only of
    streams whose events replace each other. Port 0 takes a free one.

    ``events_sent`` counts messages to all clients, ``clients_cut`` those that were too slow,
    ``conflated`` messages that slow ones were not sent since a newer one replaced them.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        api_keys: Iterable[str] | None = None,
        needs_key: bool = False,
        ping_interval: float | None = 20.0,
        control_limit: int = 5,
        soft_buffer: int,
        max_buffer: int,
        max_clients: int = 1000,
    ) -> None:
        if not (host and isinstance(host, str)):
            raise ValueError(f"host is the address to serve on, not {host!r}")
        self.host = host
        self.port = port
        self.api_keys = None if api_keys is None else frozenset(api_keys)
        self.events_sent = self.clients_cut = 0
        self.soft_buffer, self.max_buffer = soft_buffer, max_buffer
        self._needs_key = needs_key or api_keys is not None
        self._ping_interval = ping_interval
        self._control_limit = control_limit
        self._max_clients = max_clients
        self._connections: dict[ServerConnection, Any] = {}
        self._by_stream: dict[str, dict[ServerConnection, Any]] = {}
        self._dirty: dict[Client, None] = {}  # for whom something waits
        self._is_flushing = False
        self._conflated = 0  # of clients that are gone
        self._server: WebSocketServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What to give to ``connect(url=...)``, once it is open."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"

    @property
    def clients_count(self) -> int:
        """How many are connected."""
        return len(self._connections)

    @property
    def conflated(self) -> int:
        there: int = sum(each.conflated for each in self._connections.values())
        return self._conflated + there

    # what subclasses say

    def exists(self, stream: str) -> bool:
        """Whether there is such a stream here."""
        raise NotImplementedError

    async def _rest_answer(self, path: str, headers: Headers) -> Answer | None:
        """What REST answers; None where that is no path of it."""
        return None

    def _new_client(self, connection: ServerConnection, path: str) -> Client:
        streams, combined = streams_of(path) or [], path.startswith("/stream")
        return Client(connection, self.exists, streams, combined, self.soft_buffer, self.max_buffer)

    async def _answered(self, client: Client, text: str) -> str:
        """The reply to one text of a client's."""
        return client.answer(text)

    async def _entered(self, client: Client) -> None:
        """A client is there, with the streams of its path."""

    def _left(self, client: Client) -> None:
        """A client is gone."""

    # opening and closing

    async def _open(self) -> None:
        self._server = await serve(
            self._serve_connection,
            self.host,
            self.port,
            process_request=self._check_request,
            compression=None,
            logger=websocket_logger(),
            ping_interval=self._ping_interval,
            ping_timeout=60.0,
            close_timeout=_CLOSE_SECONDS,
            max_size=_LONGEST_REQUEST,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self._later(self._check_clients())

    async def _close(self) -> None:
        assert self._server is not None
        for task in self._tasks:
            task.cancel()
        self._server.close()
        await self._server.wait_closed()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # connections

    async def _check_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        answer = await self._rest_answer(request.path, request.headers)
        if answer is not None:
            headers = Headers(answer.headers | {"Content-Length": str(len(answer.body))})
            headers["Connection"] = "close"
            return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)
        key = request.headers.get("X-MBX-APIKEY")
        is_known = self.api_keys is None or key in self.api_keys
        if self._needs_key and not (key and is_known):
            body = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
            return connection.respond(HTTPStatus.UNAUTHORIZED, json.dumps(body))
        if len(self._connections) >= self._max_clients:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients\n")
        streams = streams_of(request.path)
        if streams is None:
            return connection.respond(HTTPStatus.NOT_FOUND, f"no such path: {request.path}\n")
        for stream in streams:
            if not self.exists(stream):
                body = {"code": 2, "msg": f"Invalid request: no stream `{stream}`"}
                return connection.respond(HTTPStatus.BAD_REQUEST, json.dumps(body))
        return None

    async def _serve_connection(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        client = self._new_client(connection, connection.request.path)
        client.opened = time.monotonic()
        self._connections[connection] = client
        try:
            await self._entered(client)
            known: dict[str, None] = {}
            self._note_streams(client, known)
            async for message in connection:
                if not client.count_control(time.monotonic(), self._control_limit):
                    await connection.close(1008, "too many requests")
                elif isinstance(message, bytes):
                    await connection.close(1003, "requests are JSON text")
                else:
                    reply = await self._answered(client, message)
                    client.flush()  # what came before the reply goes before it
                    await connection.send(reply)
                    self._note_streams(client, known)
        except ConnectionClosed:
            pass
        finally:
            del self._connections[connection]
            for stream in known:
                self._by_stream[stream].pop(connection, None)
                if not self._by_stream[stream]:
                    del self._by_stream[stream]
            self._dirty.pop(client, None)
            self._conflated += client.conflated
            self._left(client)

    def _note_streams(self, client: Client, known: dict[str, None]) -> None:
        """Who gets what from now on."""
        for stream in [name for name in known if name not in client.streams]:
            del known[stream]
            self._by_stream[stream].pop(client.connection, None)
            if not self._by_stream[stream]:
                del self._by_stream[stream]
        for stream in client.streams:
            if stream not in known:
                known[stream] = None
                self._by_stream.setdefault(stream, {})[client.connection] = client

    async def _check_clients(self) -> None:
        """Also those that nothing is sent to: who asks and does not read has answers waiting."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            for client in list(self._connections.values()):
                if client.waiting > self.max_buffer:
                    self._cut(client)

    def _cut(self, client: Client) -> None:
        """It does not read: as the exchange would do."""
        if not client.connection.transport.is_closing():
            self.clients_cut += 1
            address = client.connection.remote_address
            LOG.warning("%s: client %s was too slow and is cut off", self.url, address)
        client.connection.transport.abort()

    # messages

    def send(self, stream: str, message: bytes) -> None:
        """Sends a message, whatever its bytes are, to the subscribers of a stream."""
        receivers = self._by_stream.get(stream)
        if receivers:
            frame, dirty = framed(message), self._dirty
            for client in receivers.values():
                client.offer(stream, frame)
                dirty[client] = None
            self.events_sent += len(receivers)
            self._flush_soon()

    def _write(self, receivers: list[ServerConnection], messages: list[bytes]) -> None:
        """The same to some clients."""
        for frame in map(framed, messages):
            for connection in receivers:
                client = self._connections[connection]
                client.offer("", frame)
                self._dirty[client] = None
            self.events_sent += len(receivers)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self._dirty and not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """All that was sent in this turn of the loop goes out, with one write for each client."""
        self._is_flushing = False
        dirty, self._dirty = self._dirty, {}
        for client in dirty:
            if not client.flush():
                self._cut(client)
            elif client.holds:
                self._dirty[client] = None
        if self._dirty:
            self._is_flushing = True
            asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._flush)

    def send_text(self, message: Any) -> None:
        """Sends a JSON text, such as serverShutdown, to every client."""
        self._flush()
        broadcast(list(self._connections), json.dumps(message))


def streams_of(path: str) -> list[str] | None:
    """The streams that a path asks for, or None where there is no such path."""
    try:
        parts = urlsplit(path)
    except ValueError:
        return None
    if parts.path in ("/ws", "/ws/"):
        return []
    if parts.path.startswith("/ws/"):
        return [unquote(name) for name in parts.path[4:].split("/")]
    if parts.path in ("/stream", "/stream/"):
        given = parse_qs(parts.query).get("streams", [""])[0]
        return [name for name in given.split("/") if name]
    return None
