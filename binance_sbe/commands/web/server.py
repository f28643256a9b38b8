"""Serves the page, and to each page that is open what it is to show, ten times a second at most.

A page asks for the next state when it has shown the one before: so one state at most is on its way,
and who is slow gets the newest. One that asks for nothing, or takes nothing, for long is let go of.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from importlib.resources import files

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ...logs import websocket_logger
from ...output import shown
from ..serving import no_serving
from .origins import is_host, is_origin
from .state import State

MOST_PAGES = 32  # that are open at a time
UPDATE_SECONDS = 0.1
_STALLED_SECONDS = 20.0  # that a page may ask for nothing, or take nothing
_LARGEST_REQUEST = 1024  # bytes
_MOST_REQUESTS = 50  # in a second
_WAITING = 16 * 1024  # bytes of a state that wait here while it is sent
_SYMBOL = "symbol"


class Page:
    """The text of the page, and the headers that it is sent with."""

    def __init__(self) -> None:
        text = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        self.body = text.encode()
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src {_hash_of('script', text)}",
                f"style-src {_hash_of('style', text)}",
                "connect-src 'self'",
                "img-src data:",  # that there is no icon
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )


def _hash_of(element: str, text: str) -> str:
    """What a browser compares the one such element with before it heeds it."""
    (content,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


class _Wish:
    """What a page has asked for, and has not got: the state, with this symbol's book."""

    def __init__(self) -> None:
        self.symbol = ""
        self.is_new = asyncio.Event()


class Pages:
    """The server. ``host`` is where it serves, which says what browsers may call it."""

    def __init__(self, state: State, host: str) -> None:
        self._state = state
        self._host = host
        self._page = Page()
        self._open = 0
        self._turned = float("-inf")

    # requests

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """What `websockets` asks of each request: None lets the socket be opened."""
        try:
            host = request.headers["Host"]
            origin = request.headers.get("Origin")
        except (KeyError, MultipleValuesError):
            return _refusal(HTTPStatus.BAD_REQUEST, "a request has one Host and one Origin at most")
        if not is_host(host, self._host):
            return _refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"'{shown(host, 100)}' is no name of this machine: use its address, or localhost",
            )
        path = request.path.partition("?")[0]
        if path == "/":
            kind, policy = "text/html; charset=utf-8", self._page.policy
            return _response(HTTPStatus.OK, self._page.body, kind, policy)
        if path != "/socket":
            return _refusal(HTTPStatus.NOT_FOUND, "there is one page here, at /")
        if origin is None or not is_origin(origin, host):
            return _refusal(HTTPStatus.FORBIDDEN, "the socket is for the page that is served here")
        if self._open >= MOST_PAGES:
            text = f"{MOST_PAGES} pages are open, which is as many as are served"
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
        return None

    # sockets

    async def talk(self, connection: ServerConnection) -> None:
        """One page, until it is closed."""
        if self._open >= MOST_PAGES:  # several were let in at the same moment
            await connection.close(1013, f"{MOST_PAGES} pages are open")
            return
        self._open += 1
        wish = _Wish()
        sending = asyncio.create_task(self._send(connection, wish))
        try:
            await self._hear(connection, wish)
        except ConnectionClosed:
            pass
        finally:
            self._open -= 1
            sending.cancel()
            await asyncio.wait([sending])

    async def _hear(self, connection: ServerConnection, wish: _Wish) -> None:
        """What the page asks for. For anything else it is closed."""
        second, heard = 0, 0
        async for message in connection:
            now = int(time.monotonic())
            second, heard = now, heard + 1 if now == second else 1
            if heard > _MOST_REQUESTS:
                await connection.close(1008, f"more than {_MOST_REQUESTS} requests in a second")
                return
            symbol = _asked(message)
            if symbol is None or (symbol and symbol not in self._state.symbols):
                await connection.close(1008, 'a request is {"symbol": "..."}, of one that is shown')
                return
            wish.symbol = symbol
            wish.is_new.set()

    async def _send(self, connection: ServerConnection, wish: _Wish) -> None:
        """One state for each request, or for all that came since the last."""
        first = next(iter(self._state.symbols))
        try:
            while True:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await wish.is_new.wait()
                    wish.is_new.clear()
                    # returns when little of it waits here
                    await connection.send(self._text(wish.symbol or first))
                await asyncio.sleep(UPDATE_SECONDS)
        except TimeoutError:
            connection.transport.abort()
        except ConnectionClosed:
            pass

    def _text(self, symbol: str) -> str:
        """The state of now, made once for all pages that ask at about the same time."""
        now = time.monotonic()
        if now - self._turned >= UPDATE_SECONDS / 2:
            self._turned = now
            self._state.turn()
        return self._state.text(symbol)


def _asked(message: str | bytes) -> str | None:
    """The symbol that a page asks for; None where it says anything else."""
    try:
        found = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return None
    symbol = found.get(_SYMBOL) if isinstance(found, dict) and len(found) == 1 else None
    return symbol if isinstance(symbol, str) else None


def _refusal(status: HTTPStatus, text: str) -> Response:
    return _response(
        status, f"{text}\n".encode(), "text/plain; charset=utf-8", "default-src 'none'"
    )


def _response(status: HTTPStatus, body: bytes, kind: str, policy: str) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status, status.phrase, headers, body)


@contextlib.asynccontextmanager
async def serving(state: State, host: str, port: int) -> AsyncIterator[int]:
    """Serves while the block runs; gives the port. FeedError where it can't be opened."""
    pages = Pages(state, host)
    try:
        server: Server = await serve(
            pages.talk,
            host,
            port,
            process_request=pages.answer,
            compression=None,
            max_size=_LARGEST_REQUEST,
            max_queue=4,
            write_limit=_WAITING,
            open_timeout=5.0,
            close_timeout=1.0,
            ping_interval=None,  # pages ask all the time
            logger=websocket_logger(),
            server_header=None,
        )
    except OSError as error:
        raise no_serving(host, port, error) from None
    try:
        yield next(iter(server.sockets)).getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
