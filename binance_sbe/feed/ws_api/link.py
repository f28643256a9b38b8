"""One connection to the WebSocket API, with asyncio: requests are matched with their replies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from ...api.websocket_api import Reply
from ...api.ws_session import Answered, Happened, Params, Undecodable, WsSession
from ...errors import ConnectionLost, ConnectionRefused, FeedError, Unreachable
from ...logs import LOG
from ...output import shown
from ..recording import NOBODY, Recorder
from ..transport.opening import unreachable
from .settings import Settings

_MAX_FRAME = 16 << 20
_CLOSE_SECONDS = 2.0
_PING_SECONDS = 20.0
_MOST_KEPT = 1 << 16  # bytes of a damaged frame
_UNKNOWN = "whether the request was carried out is not known"


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """Frames are logged at DEBUG by `websockets`, and have keys and signatures in them."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - of logging
        return level > logging.DEBUG and super().isEnabledFor(level)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        """None is followed: what is signed goes to the host it was meant for."""
        return exc


class Link:
    """``take(link, message)`` is called with each event, and with None when it has ended.

    ``recorder`` gets the frames of events, under the ``number`` of the link.
    """

    def __init__(
        self,
        settings: Settings,
        take: Callable[[Link, Any], None],
        number: int = 0,
        recorder: Recorder = NOBODY,
    ) -> None:
        self.session: WsSession = settings.new_session()
        self.error: FeedError | None = None
        self.is_wanted = True
        self.last_ns = time.time_ns()  # when something came
        self.opened = time.monotonic()
        self._settings = settings
        self._take = take
        self._number = number
        self._recorder = recorder
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises Unreachable, and ConnectionRefused where the exchange answers with HTTP."""
        settings = self._settings
        options: dict[str, Any] = {}
        if settings.url.startswith("wss://"):
            options["ssl"] = settings.route.context()
        if settings.route.local_addr is not None:
            options["local_addr"] = settings.route.local_addr
        try:
            self._socket = await _Connect(
                settings.address,
                proxy=settings.route.proxy,
                open_timeout=settings.open_timeout,
                close_timeout=_CLOSE_SECONDS,
                max_size=_MAX_FRAME,
                ping_interval=_PING_SECONDS,  # so that silence is noticed
                ping_timeout=_PING_SECONDS,
                logger=_Quiet(logging.getLogger("binance_sbe.ws_api"), {}),
                **options,
            )
        except InvalidStatus as error:
            answer = error.response
            body = bytes(answer.body or b"")[:4000].decode("utf-8", "replace")
            place = answer.headers.get("Location")
            raise ConnectionRefused(
                settings.url, answer.status_code, body, location=place
            ) from None
        except TimeoutError:
            why = f"no connection within {settings.open_timeout:g} s"
            raise Unreachable(f"{settings.url}: {why}") from None
        except (OSError, InvalidHandshake, EOFError) as error:
            raise unreachable(settings.url, error) from None
        self._recorder.opened(self._number, f"WebSocket API {self._number}", time.time_ns())
        self._task = asyncio.create_task(self._run(), name="WebSocket API")

    async def drained(self, seconds: float) -> None:
        """Waits for the replies that are still to come, so long at most."""
        waiting = list(self._waiting.values())
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    @property
    def is_open(self) -> bool:
        return self._task is not None and not self._task.done()

    async def ask(self, method: str, params: Params) -> Reply:
        """A request and its reply. Raises ConnectionLost, and FeedError where none comes."""
        if self._socket is None or not self.is_open:
            raise ConnectionLost(None, "the request was not sent")
        identity, text = self.session.request(method, params)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = answer
        seconds = self._settings.reply_timeout
        try:
            async with asyncio.timeout(seconds):
                await self._socket.send(text)
                return await answer
        except ConnectionClosed:
            raise ConnectionLost(None, _UNKNOWN) from None
        except TimeoutError:
            why = f"{shown(method, 60)}: no reply within {seconds:g} s: {_UNKNOWN}"
            raise FeedError(why) from None
        finally:
            self._waiting.pop(identity, None)

    async def _run(self) -> None:
        assert self._socket is not None
        is_whole = False  # both sides have agreed on the end
        try:
            async for frame in self._socket:
                self._received(frame)
            self.error = self._lost(None)
            is_whole = True
        except ConnectionClosed as error:
            self.error = self._lost(error)
            is_whole = error.rcvd is not None
        except Exception as error:
            LOG.exception("%s: the connection failed", self._settings.url)
            self.error = FeedError(f"the connection failed: {error!r}")
            await self._socket.close()
        finally:
            reason = getattr(self.error, "reason", "") or "it was closed"
            why = f"{reason}: {_UNKNOWN}"
            for each in self._waiting.values():
                if not each.done():
                    each.set_exception(ConnectionLost(None, why))
            self._recorder.ended(self._number, reason, is_whole, time.time_ns())
        self._take(self, None)

    def _lost(self, error: ConnectionClosed | None) -> ConnectionLost:
        closed = None if error is None else error.rcvd
        if closed is None:
            return ConnectionLost(None, "" if error is None else str(error))
        return ConnectionLost(closed.code, closed.reason)

    def _received(self, frame: str | bytes) -> None:
        self.last_ns = time.time_ns()
        if isinstance(frame, str):
            LOG.warning("%s: a text came: %s", self._settings.url, shown(frame, 200))
            return
        match self.session.take(frame):
            case Answered(identity, reply):
                answer = self._waiting.get(identity)
                if answer is None:
                    LOG.warning("a reply to no request: %s", shown(identity, 60))
                elif not answer.done():
                    answer.set_result(reply)
            case Happened(message):
                self._recorder.event(self._number, frame)
                self._take(self, message)
            case Undecodable() as damaged:
                LOG.warning("%s: a frame is damaged: %s", self._settings.url, damaged.error)
                # It may be a reply, and have a key in it.
                now, why = self.last_ns, "a frame that is no message was not kept"
                self._recorder.missed(now, now, why, 1)
                self._take(self, damaged._replace(frame=damaged.frame[:_MOST_KEPT]))

    async def close(self) -> None:
        self.is_wanted = False
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None:
            await asyncio.wait([self._task])
