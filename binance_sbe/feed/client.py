"""A live feed: connections, an inbox, and iteration over what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.results import Batch

from .. import spot_stream
from ..asynchronous import Asynchronous
from ..errors import SlowConsumer, again
from ..outside import remember_key
from ..venue import environments
from ..venue.streams import KINDS, stream_names
from .intake.inbox import Inbox
from .intake.overflow import FrameQueue, policies
from .intake.stats import Stats
from .ledger import Ledger
from .settings import STREAM_TIMEOUT, Settings, checked_key, warn_of_transport
from .transport.connections import Connections
from .transport.transports import arrives

if TYPE_CHECKING:
    from ..api import rest
    from ..books.live_books import Books
    from .filling import FilledTrades

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
    transport: str | None = None,
    on_error: Literal["raise", "collect"] = "raise",
    on_overflow: str | Mapping[str, str] = "block",
    max_queue: int = 65536,
    lines: int = 1,
    reconnect: bool = True,
    give_up_after: float | None = 900.0,
    renew_after: float = 23.5 * 3600.0,
    renew_at: time_of_day | None = None,
    open_timeout: float = 10.0,
    reply_timeout: float = 10.0,
    silence_timeout: float = 60.0,
    stream_timeout: Mapping[str, float | None] = STREAM_TIMEOUT,
) -> Feed:
    """A feed of SBE streams, to be used as ``async with connect("btcusdt@trade") as feed``.

    ``api_key`` is an Ed25519 key's id; None reads BINANCE_API_KEY. ``url`` (ws:// or wss://, host
    and port) overrides ``environment``. ``on_error`` says what iteration does with a frame that is
    no message: raise its DecodeError (the feed stays open, and iterating again goes on with the
    next frame), or keep it in ``feed.errors``, count it and go on. ``transport`` has no effect.

    ``max_queue`` is the most frames that are held for a slow consumer, and ``on_overflow``, for all
    streams or by kind, what happens beyond it: "block" stops reading, and the exchange waits, for
    a minute at most; "drop_oldest" drops the oldest frame of the stream; "conflate" (bestBidAsk and
    depth20) keeps the newest only; "raise" raises SlowConsumer. What is dropped is in the ledger.

    A connection that is lost is made anew (``reconnect``), at once after a clean close and with
    growing pauses otherwise, until ``give_up_after`` seconds (None: for ever) without one. Before
    the exchange ends it, after ``renew_after`` seconds and at ``renew_at`` every day (UTC where it
    has no time zone), a new connection takes over without a hole.
    ``lines`` is how many connections bring the same streams; the first to bring an event wins.
    A connection that is silent for ``silence_timeout``, pings included, or does not answer a
    request within ``reply_timeout``, is replaced; so is one whose stream is silent for longer than
    ``stream_timeout`` of its kind. All times are seconds.

    Raises ValueError for a stream, an environment, a url or a limit that can't be one. Entering the
    block raises MissingKey, Unreachable, ConnectionRefused or SubscriptionRefused (all FeedError).
    """
    where = environments.stream_url(environment, url)
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
    if api_key is not None and not isinstance(api_key, str):
        raise TypeError(f"api_key is a str, not {type(api_key).__name__}")
    if max_queue < 1:
        raise ValueError(f"max_queue is at least 1 frame, not {max_queue}")
    warn_of_transport(transport)
    if unknown := set(stream_timeout) - set(KINDS):
        raise ValueError(f"stream_timeout: '{min(unknown)}' is not a kind: {', '.join(KINDS)}")
    settings = Settings(
        lines=lines,
        reconnect=reconnect,
        give_up_after=give_up_after,
        renew_after=renew_after,
        renew_at=renew_at,
        open_timeout=open_timeout,
        reply_timeout=reply_timeout,
        silence_timeout=silence_timeout,
        stream_timeout={**STREAM_TIMEOUT, **stream_timeout},
    )
    return Feed(
        stream_names(streams),
        where,
        environments.rest_url(environment, url),
        api_key,
        on_error,
        policies(on_overflow),
        max_queue,
        settings,
    )


class Feed(Asynchronous):
    """Open streams. Made by `connect`; one consumer iterates over it, or over its batches."""

    _usage = "async with connect(...) as feed:"

    def __init__(
        self,
        streams: list[str],
        url: str,
        rest_url: str,
        api_key: str | None,
        on_error: str,
        policy: Mapping[str, str],
        max_queue: int,
        settings: Settings,
    ) -> None:
        self.url = url
        self.errors: deque[DecodeError] = deque(maxlen=1000)
        self.stats = Stats()
        self.ledger = Ledger()
        self.rest_url = rest_url
        self._wanted = streams
        self._key = None if api_key is None else remember_key(api_key)
        self._on_error = on_error
        self._arrived = asyncio.Event()
        stops = set(policy.values()) == {"block"}
        queue = FrameQueue(max_queue, policy, self.ledger)
        self._inbox = Inbox(self.stats, self.ledger, queue, stops, self._arrived.set)
        self._connections = Connections(f"{url}/ws", self._inbox, settings)
        self._is_open = self._is_left = self._has_told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_waited = False  # somebody waits for frames now

    def __repr__(self) -> str:
        state = "open" if self._is_open else "not open"
        if self._connections.is_over:
            state = "closed"
        count = len(self.streams)
        streams = f"{count} stream" + "s" * (count != 1)
        return f"<Feed {self.url}, {state}, {streams}, {self.stats.frames} frames>"

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged, in the order they were asked for."""
        return self._connections.supervisor.streams

    @property
    def waiting(self) -> int:
        """Frames that have arrived and were not handed over."""
        return self._inbox.pending

    @property
    def reconnects(self) -> int:
        """How often a connection was lost, or could not be made, and another attempt followed."""
        return self._connections.supervisor.reconnects

    # opening and closing

    async def __aenter__(self) -> Feed:
        if self._is_open:
            raise RuntimeError("this feed was opened before: call connect again")
        key = checked_key(self._key)
        self._is_open = True
        self._loop = asyncio.get_running_loop()
        self._connections.start(key)
        try:
            await self.subscribe(*self._wanted)
        except BaseException:
            await self.close()
            self._is_open = False
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        self._is_left = True

    def __del__(self) -> None:
        if not getattr(self, "_is_open", False) or self._connections.is_over:
            return
        text = f"{self!r} was dropped and not closed"
        warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._connections.abandon)

    async def close(self) -> None:
        """Closes the connections; iteration ends after the frames that have arrived."""
        if self._is_open:
            await self._connections.close()

    # requests

    async def subscribe(self, *streams: str) -> None:
        """Adds streams; returns when the exchange has acknowledged them.

        More than 1,024 streams take several connections. Raises ValueError for a stream that can't
        be one, SubscriptionRefused where the exchange refuses, and FeedError where it does not
        answer in time.
        """
        if streams:
            self._opened()
            await self._connections.subscribe(stream_names(streams))

    async def unsubscribe(self, *streams: str) -> None:
        """Removes streams; frames already on their way still come. Errors as for `subscribe`."""
        if streams:
            self._opened()
            await self._connections.unsubscribe(stream_names(streams))

    def renew(self) -> None:
        """Has a new connection take the place of each, without a hole: at a quiet time, say.

        Returns at once; the new ones are in ``ledger.connections`` once they are there.
        """
        self._opened()
        self._connections.renew()

    async def fill_trades(self, client: rest.Client | None = None) -> AsyncIterator[FilledTrades]:
        """The trades of holes, those that are in the ledger and those to come, by REST.

        For a task beside the one that iterates over the feed; ends after the feed has. What comes
        is marked by its class, FilledTrades, and counted in ``filled`` of the hole; order is by id
        within a hole. ``client`` is an open `rest.Client`, by default one of the same
        environment (or of the same ``url``). Needs aiohttp, the extra ``rest``. What can't be
        filled is logged; nothing is raised for it.
        """
        from ..api import rest
        from .filling import fill_all

        self._opened()
        own = rest.Client(url=self.rest_url) if client is None else None
        async with contextlib.AsyncExitStack() as stack:
            if own is not None:
                client = await stack.enter_async_context(own)
            assert client is not None
            async for filled in fill_all(client, self.ledger, lambda: self._connections.is_over):
                yield filled

    def books(self, *symbols: str, **options: Any) -> Books:
        """Order books of these symbols over this feed, which is open: ``async with feed.books()``.

        Their streams are added to those of the feed, and nobody else iterates over it. For
        ``options`` see `books`; ``client`` is an open `rest.Client`, by default one of the same
        environment. The feed stays open.
        """
        from ..books.live_books import Books

        self._opened()
        return Books(self, symbols, **options)

    def _opened(self) -> None:
        if not self._is_open:
            raise self._not_open()

    def _begin(self) -> None:
        """An iteration begins: refused where one has ended before, or the block was left."""
        self._opened()
        is_over = self._connections.is_over and self._connections.closing
        if is_over and not self.waiting and (self._is_left or self._has_told):
            raise self._closed()

    def _end(self) -> None:
        """What happens when the last frame is consumed."""
        self._has_told = True
        error = self._connections.error
        if error is not None and not self._connections.closing:
            raise again(error)

    # frames

    async def _wait(self, there_is: Callable[[], object]) -> bool:
        """Waits for what is asked for; False where the feed has ended without it."""
        self._opened()
        connections, queue = self._connections, self._inbox.frames
        while not there_is():
            if connections.is_over:
                return False
            if not connections.has_streams:
                raise RuntimeError("the feed has no streams: subscribe to some")
            await self._news(None)
        if queue.overflowed is not None and not connections.is_over:
            error = SlowConsumer(queue.overflowed, len(queue))
            connections.fail(error)
            raise error
        return True

    def _alone(self) -> None:
        """Refuses a second consumer, who would take what the first is waiting for."""
        if self._is_waited:
            raise RuntimeError(
                "another task waits for the next frame of this feed: a feed has one consumer"
            )

    async def _news(self, seconds: float | None) -> bool:
        """Waits for what may have changed something; False where nothing has in that time."""
        self._alone()
        self._is_waited = True
        self._arrived.clear()
        self._consumed()  # what is wanted now may have room that it had not before
        try:
            waiting = self._arrived.wait() if seconds is None else arrives(self._arrived, seconds)
            return await waiting
        finally:
            self._is_waited = False

    def _consumed(self) -> None:
        """Lets the transports go on, once half of what they may hold is taken."""
        if self._inbox.has_much_room:
            self._connections.resume()

    def __iter__(self) -> NoReturn:
        raise TypeError("messages come one by one: write 'async for message in feed:'")

    def __aiter__(self) -> Feed:
        self._begin()
        return self

    async def __anext__(self) -> Message:
        """The next message. Raises ConnectionLost when there is no connection any more."""
        inbox, frames = self._inbox, self._inbox.frames
        self._alone()
        inbox.stop_gathering()
        # most often there are some, and no coroutine is needed to say so
        while (frames and frames.overflowed is None) or await self._wait(frames.__len__):
            try:
                return inbox.next_message()
            except DecodeError as error:
                if self._on_error == "raise":
                    raise
                self.errors.append(error)
            finally:
                self._consumed()
        self._end()
        raise StopAsyncIteration

    async def batches(
        self, max_messages: int = 10_000, max_delay: float = 0.1
    ) -> AsyncIterator[Batch]:
        """Batches of frames as tables, each with a ``received_ns`` column (time.time_ns()).

        A batch is handed over when it has ``max_messages`` frames, or ``max_delay`` seconds after
        its first; it is never empty. Frames that are no messages are in its ``rejected``,
        whatever ``on_error`` is. Raises ConnectionLost, after the last batch, when there is no
        connection any more.

        While this runs frames become rows as they arrive. Rows that were not handed over when
        iteration stops are in the first batch of the next `batches`; messages are not made of them.
        """
        if max_messages < 1:
            raise ValueError(f"max_messages is at least 1, not {max_messages}")
        if not max_delay >= 0:
            raise ValueError(f"max_delay is a number of seconds, not {max_delay}")
        self._begin()
        stats, inbox = self.stats, self._inbox
        size = min(max_messages, inbox.limit)

        def there_are_rows() -> int:
            self._alone()
            inbox.gather(size)  # another iteration may have ended meanwhile, and stopped it
            return inbox.rows_held

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
        if left <= 0 or self._connections.is_over:
            return False
        return await self._news(left)
