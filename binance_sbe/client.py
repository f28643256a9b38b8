"""A live feed: a transport, an inbox and a `Session`, and iteration over what arrives."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Literal
from urllib.parse import urlsplit

from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.results import Batch

from . import spot_stream
from .errors import (
    KEY_HELP,
    ConnectionLost,
    FeedError,
    MissingKey,
    SubscriptionRefused,
)
from .inbox import Inbox
from .logs import LOG
from .session import Accepted, Refused, Request, ServerShutdown, Session
from .stats import Stats
from .streams import stream_names
from .transports import TRANSPORTS, Transport

ENVIRONMENTS = {
    "prod": "wss://stream-sbe.binance.com:9443",
    "testnet": "wss://stream-sbe.testnet.binance.vision:9443",
    "demo": "wss://demo-stream-sbe.binance.com:9443",
}

Message = (
    spot_stream.TradesStreamEvent
    | spot_stream.BestBidAskStreamEvent
    | spot_stream.DepthSnapshotStreamEvent
    | spot_stream.DepthDiffStreamEvent
)


def connect(
    *streams: str,
    api_key: str | None = None,
    environment: Literal["prod", "testnet", "demo"] = "prod",
    url: str | None = None,
    transport: Literal["websockets", "picows"] = "websockets",
    on_error: Literal["raise", "collect"] = "raise",
    open_timeout: float = 10.0,
    reply_timeout: float = 10.0,
    max_queue: int = 65536,
) -> Feed:
    """A feed of SBE streams, to be used as ``async with connect("btcusdt@trade") as feed``.

    ``api_key`` is an Ed25519 key's id; None reads BINANCE_API_KEY. ``url`` (ws:// or wss://, host
    and port) overrides ``environment``. ``transport="picows"`` reads with the picows package, an
    extra: faster, above all for batches, and otherwise the same. ``on_error`` says what iteration
    does with a frame that is no message: raise its DecodeError (the feed stays open, and iterating
    again goes on with the next frame), or keep it in ``feed.errors``, count it and go on.
    ``max_queue`` is the number of frames held for a slow consumer; beyond it the feed stops
    reading, and the exchange waits: for a minute at most, since pongs wait too. Times are seconds.

    Raises ValueError for a stream, an environment, a url or a limit that can't be one. Entering the
    block raises MissingKey, Unreachable, ConnectionRefused or SubscriptionRefused (all FeedError).
    """
    if environment not in ENVIRONMENTS:
        known = ", ".join(ENVIRONMENTS)
        raise ValueError(f"environment '{environment}' is not one of {known}")
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
    if max_queue < 1:
        raise ValueError(f"max_queue is at least 1 frame, not {max_queue}")
    for name, seconds in (("open_timeout", open_timeout), ("reply_timeout", reply_timeout)):
        if not seconds > 0:
            raise ValueError(f"{name} is a positive number of seconds, not {seconds}")
    if transport not in TRANSPORTS:
        raise ValueError(f"transport is {' or '.join(map(repr, TRANSPORTS))}, not {transport!r}")
    base = ENVIRONMENTS[environment] if url is None else _checked_url(url)
    return Feed(
        stream_names(streams),
        base,
        api_key,
        TRANSPORTS[transport],
        on_error,
        open_timeout,
        reply_timeout,
        max_queue,
    )


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0
        extra = parts.username or parts.path.strip("/") or parts.query or parts.fragment
    except (ValueError, AttributeError):
        usable, extra = False, ""
    if not usable or extra:
        raise ValueError(f"url '{url}' is not ws:// or wss:// with a host and a port, and no more")
    return f"{parts.scheme}://{parts.netloc}"


def _checked_key(given: str | None) -> str:
    """The API key to use. No error quotes it."""
    key = (os.environ.get("BINANCE_API_KEY", "") if given is None else given).strip()
    if not key:
        raise MissingKey(KEY_HELP)
    if not (key.isascii() and key.isprintable()):
        raise MissingKey(f"the API key has characters that no key has. {KEY_HELP}")
    return key


class Feed:
    """Open streams. Made by `connect`; one consumer iterates over it, or over its batches."""

    def __init__(
        self,
        streams: list[str],
        url: str,
        api_key: str | None,
        transport: type[Transport],
        on_error: str,
        open_timeout: float,
        reply_timeout: float,
        max_queue: int,
    ) -> None:
        self.url = url
        self.errors: deque[DecodeError] = deque(maxlen=1000)
        self._wanted = streams
        self._key = api_key
        self._kind = transport
        self._on_error = on_error
        self._open_timeout = open_timeout
        self._reply_timeout = reply_timeout
        self._session = Session()
        self._arrived = asyncio.Event()
        self._inbox = Inbox(self.stats, max_queue, self._arrived.set)
        self._replies: dict[int, asyncio.Future[Accepted | Refused]] = {}
        self._transport: Transport | None = None
        self._ended: ConnectionLost | None = None
        self._closing = False

    def __repr__(self) -> str:
        state = "not open" if self._transport is None else "open"
        if self._closing or self._ended is not None:
            state = "closed"
        count = len(self.streams)
        return f"<Feed {self.url}, {state}, {count} streams, {self.stats.frames} frames>"

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged."""
        return self._session.streams

    @property
    def stats(self) -> Stats:
        """Counters and histograms since the feed was opened."""
        return self._session.stats

    # opening and closing

    async def __aenter__(self) -> Feed:
        if self._transport is not None:
            raise RuntimeError("this feed was opened before: call connect again")
        key = _checked_key(self._key)
        transport = self._kind(self._inbox, self._read_text, self._note_lost)  # type: ignore[call-arg]
        await transport.open(f"{self.url}/ws", key, self._open_timeout)
        self._transport = transport
        try:
            await self.subscribe(*self._wanted)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; iteration ends after the frames that have arrived."""
        self._closing = True
        self._inbox.unlimited = True
        if self._transport is not None:
            await self._transport.close()

    def _note_lost(self, code: int | None, reason: str) -> None:
        if self._ended is None:
            self._ended = ConnectionLost(code, reason)
        self._arrived.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(self._lost())

    # requests

    async def subscribe(self, *streams: str) -> None:
        """Adds streams; returns when the exchange has acknowledged them.

        Raises ValueError for a stream that can't be one or for too many, SubscriptionRefused where
        the exchange refuses, and FeedError where it does not answer in time.
        """
        if streams:
            await self._ask(self._session.subscribe(streams))

    async def unsubscribe(self, *streams: str) -> None:
        """Removes streams; frames already on their way still come. Errors as for `subscribe`."""
        if streams:
            await self._ask(self._session.unsubscribe(streams))

    async def _ask(self, request: Request) -> None:
        transport = self._opened()
        if self._closing:
            raise RuntimeError("the feed is closed")
        if self._ended is not None:
            raise self._lost()
        reply: asyncio.Future[Accepted | Refused]
        reply = self._replies[request.id] = asyncio.get_running_loop().create_future()
        try:
            # The reply comes after frames that nobody may be taking now.
            self._inbox.unlimited = True
            transport.resume()
            await transport.send(request.text)
            answer = await asyncio.wait_for(reply, self._reply_timeout)
        except TimeoutError:
            named = ", ".join(request.streams[:5])
            raise FeedError(
                f"{request.method} {named}: no reply within {self._reply_timeout:g} s"
            ) from None
        finally:
            del self._replies[request.id]
            self._inbox.unlimited = bool(self._replies) or self._closing
            self._session.forget(request)
        if isinstance(answer, Refused):
            raise SubscriptionRefused(request.method, request.streams, answer.code, answer.reason)

    def _read_text(self, text: str) -> None:
        event = self._session.receive_text(text)
        if isinstance(event, Accepted | Refused) and event.request is not None:
            reply = self._replies.get(event.request.id)
            if reply is not None and not reply.done():
                reply.set_result(event)
        elif isinstance(event, ServerShutdown):
            LOG.warning("%s: the exchange is about to close the connection", self.url)
        else:
            LOG.warning("%s: text frame that answers no request: %.200s", self.url, text)

    def _opened(self) -> Transport:
        if self._transport is None:
            raise RuntimeError("the feed is not open: use it as 'async with connect(...) as feed'")
        return self._transport

    def _lost(self) -> ConnectionLost:
        """The loss, as an exception of its own for each who is told of it."""
        assert self._ended is not None
        return ConnectionLost(self._ended.code, self._ended.reason)

    def _end(self) -> None:
        """What happens when the last frame is consumed."""
        if self._ended is not None and not self._closing:
            raise self._lost()

    # frames

    async def _wait(self, there_is: Callable[[], object]) -> bool:
        """Waits for what is asked for; False where the feed has ended without it."""
        self._opened()
        while not there_is():
            if self._ended is not None:
                return False
            if not self.streams and not self._replies:
                raise RuntimeError("the feed has no streams: subscribe to some")
            self._arrived.clear()
            await self._arrived.wait()
        return True

    def _consumed(self) -> None:
        """Lets the transport go on, once half of what it may hold is taken."""
        inbox = self._inbox
        if inbox.pending <= inbox.limit // 2 and self._transport is not None:
            self._transport.resume()

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Message:
        """The next message. Raises ConnectionLost when the exchange has closed the connection."""
        stats, inbox = self.stats, self._inbox
        inbox.stop_gathering()
        while await self._wait(lambda: inbox.frames):
            frame, received = inbox.pop()
            self._consumed()
            started = time.time_ns()
            try:
                message = spot_stream.decode(frame)
            except DecodeError as error:
                stats.rejected += 1
                if self._on_error == "raise":
                    raise
                self.errors.append(error)
                continue
            stats.note_message(message.event_time, received, started, time.time_ns())
            if message.version <= spot_stream.SCHEMA_VERSION:
                stats.left_over_bytes += len(frame) - message.encoded_length
            return message
        self._end()
        raise StopAsyncIteration

    async def batches(
        self, max_messages: int = 10_000, max_delay: float = 0.1
    ) -> AsyncIterator[Batch]:
        """Batches of frames as tables, each with a ``received_ns`` column (time.time_ns()).

        A batch is handed over when it has ``max_messages`` frames, or ``max_delay`` seconds after
        its first; it is never empty. Frames that are no messages are in its ``rejected``,
        whatever ``on_error`` is. Raises ConnectionLost, after the last batch, when the exchange
        has closed the connection.

        While this runs frames become rows as they arrive. Rows that were not handed over when
        iteration stops are in the first batch of the next `batches`; messages are not made of them.
        """
        if max_messages < 1:
            raise ValueError(f"max_messages is at least 1, not {max_messages}")
        if not max_delay >= 0:
            raise ValueError(f"max_delay is a number of seconds, not {max_delay}")
        stats, inbox = self.stats, self._inbox
        size = min(max_messages, inbox.limit)

        def there_are_rows() -> int:
            inbox.gather(size)  # another iteration may have ended meanwhile, and stopped it
            return inbox.row_count

        try:
            while await self._wait(there_are_rows):
                until = time.monotonic() + max_delay
                while not inbox.rows_ready and await self._wait_more(until):
                    pass
                batch = inbox.hand_over()
                self._consumed()
                stats.rejected += len(batch.rejected)
                stats.left_over_bytes += batch.left_over_bytes
                self.errors.extend(batch.errors)
                yield batch
        finally:
            inbox.stop_gathering()
        self._end()

    async def _wait_more(self, until: float) -> bool:
        """Waits for news; False where ``until`` or the end comes first."""
        left = until - time.monotonic()
        if left <= 0 or self._ended is not None:
            return False
        self._arrived.clear()
        try:
            await asyncio.wait_for(self._arrived.wait(), left)
        except TimeoutError:
            return False
        return True
