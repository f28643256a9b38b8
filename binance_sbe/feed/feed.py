"""A live feed: connections, a backlog, and iteration over what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.tables.results import Batch

from ..asynchronous import Asynchronous
from ..errors import SlowConsumer, again
from ..keys import remember_key
from ..venue.streams import Message, stream_names
from .intake.backlog import Backlog
from .intake.frame_queue import FrameQueue
from .intake.handlers import Calls, FrameHandler
from .intake.stats import Stats
from .ledger import Ledger
from .settings import Settings, checked_key
from .transport.connections import Connections
from .transport.websocket import arrives

if TYPE_CHECKING:
    from ..api import rest
    from .backfill import FilledTrades


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
        self._backlog = Backlog(self.stats, self.ledger, queue, stops, self._arrived.set)
        self._connections = Connections(f"{url}/ws", self._backlog, self.ledger, settings)
        self._is_open = self._is_left = self._has_told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_waited = False  # somebody waits for frames now

    def __repr__(self) -> str:
        state = "open" if self._is_open else "not open"
        if self._connections.engine.is_over:
            state = "closed"
        count = len(self.streams)
        streams = f"{count} stream" + "s" * (count != 1)
        return f"<Feed {self.url}, {state}, {streams}, {self.stats.frames} frames>"

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged, in the order they were asked for."""
        return self._connections.engine.supervisor.streams

    @property
    def waiting(self) -> int:
        """Frames that have arrived and were not handed over."""
        return self._backlog.pending

    @property
    def reconnects(self) -> int:
        """How often a connection was lost, or could not be made, and another attempt followed."""
        return self._connections.engine.supervisor.reconnects

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
        if not getattr(self, "_is_open", False) or self._connections.engine.is_over:
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
        self._connections.engine.renew()

    async def fill_trades(self, client: rest.Client | None = None) -> AsyncIterator[FilledTrades]:
        """The trades of holes, those that are in the ledger and those to come, by REST.

        For a task beside the one that iterates over the feed; ends after the feed has. What comes
        is marked by its class, FilledTrades, and counted in ``filled`` of the hole; order is by id
        within a hole. ``client`` is an open `rest.Client`, by default one of the same
        environment (or of the same ``url``). Needs aiohttp, the extra ``rest``. What can't be
        filled is logged; nothing is raised for it.
        """
        from ..api import rest
        from .backfill import fill_all

        self._opened()
        own = rest.Client(url=self.rest_url) if client is None else None
        async with contextlib.AsyncExitStack() as stack:
            if own is not None:
                client = await stack.enter_async_context(own)
            assert client is not None
            async for filled in fill_all(
                client, self.ledger, lambda: self._connections.engine.is_over
            ):
                yield filled

    def _opened(self) -> None:
        if not self._is_open:
            raise self._not_open()

    def _begin(self) -> None:
        """An iteration begins: refused where one has ended before, or the block was left."""
        self._opened()
        is_over = self._connections.engine.is_over and self._connections.engine.closing
        if is_over and not self.waiting and (self._is_left or self._has_told):
            raise self._closed()

    def _end(self) -> None:
        """What happens when the last frame is consumed."""
        self._has_told = True
        error = self._connections.engine.error
        if error is not None and not self._connections.engine.closing:
            raise again(error)

    # frames

    async def _wait(self, there_is: Callable[[], object]) -> bool:
        """Waits for what is asked for; False where the feed has ended without it."""
        self._opened()
        connections = self._connections
        while not there_is():
            if connections.engine.is_over:
                return False
            if not connections.has_streams:
                raise RuntimeError("the feed has no streams: subscribe to some")
            await self._news(None)
        self._check_overflow()
        return True

    def _check_overflow(self) -> None:
        """Ends the feed where a stream had no room under the policy ``raise``."""
        queue, engine = self._backlog.frames, self._connections.engine
        if queue.overflowed is not None and not engine.is_over:
            error = SlowConsumer(queue.overflowed, len(queue))
            engine.fail(error)
            raise error

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
        if self._backlog.has_much_room:
            self._connections.engine.resume()

    def __iter__(self) -> NoReturn:
        raise TypeError("messages come one by one: write 'async for message in feed:'")

    def __aiter__(self) -> Feed:
        self._begin()
        return self

    async def __anext__(self) -> Message:
        """The next message. Raises ConnectionLost when there is no connection any more."""
        backlog, frames = self._backlog, self._backlog.frames
        self._alone()
        backlog.stop_gathering()
        # most often there are some, and no coroutine is needed to say so
        while (frames and frames.overflowed is None) or await self._wait(frames.__len__):
            try:
                return backlog.next_message()
            except DecodeError as error:
                if self._on_error == "raise":
                    raise
                self.errors.append(error)
            finally:
                self._consumed()
        self._end()
        raise StopAsyncIteration

    async def run(
        self, handler: Callable[[Message], object] | FrameHandler, *, reuse: bool = False
    ) -> None:
        """Calls ``handler(message)`` for each message where its frame is read: the shortest way.

        No queue and no switch of tasks is between: while the handler runs, nothing else of this
        event loop does. What it raises ends `run`, which raises it; the feed stays open, and frames
        that come then wait for the next consumer. With ``reuse`` there is one message of each
        kind, which is pointed at one frame after the other: keep nothing of it. A handler in C is a
        `FrameHandler`, which also says when it has had enough (see ``handlers.pxd``).

        Ends when the feed is closed. Raises as iteration does, DecodeError included where
        ``on_error`` is "raise". TypeError for a handler that can't be called, or that is a
        coroutine function: nobody could wait for it here.
        """
        calls = Calls(_checked(handler), reuse, self._refused)
        self._begin()
        self._alone()
        self._check_overflow()
        self._is_waited = True
        engine, backlog = self._connections.engine, self._backlog
        try:
            backlog.call(calls)
            while not calls.ended and not engine.is_over:
                if not self._connections.has_streams:
                    raise RuntimeError("the feed has no streams: subscribe to some")
                self._arrived.clear()
                self._consumed()
                await self._arrived.wait()
            if not calls.ended:
                self._consumed()  # what connections that have ended had read, and had no room for
        except BaseException as error:
            if error.__context__ is None:  # a handler's error in the same turn is not lost
                error.__context__ = calls.failure
            raise
        finally:
            backlog.stop_calling()
            self._is_waited = False
        failure, ended = calls.failure, calls.ended
        del calls
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # which refers to this frame
        if not ended:
            self._end()

    def _refused(self, error: DecodeError) -> None:
        """A frame that is no message came to a handler."""
        if self._on_error == "raise":
            raise error
        self.errors.append(error)

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
        stats, backlog = self.stats, self._backlog
        size = min(max_messages, backlog.limit)

        def there_are_rows() -> int:
            self._alone()
            backlog.gather(size)  # another iteration may have ended meanwhile, and stopped it
            return backlog.batches.rows

        try:
            while await self._wait(there_are_rows):
                until = time.monotonic() + max_delay
                while not backlog.rows_ready and await self._wait_more(until):
                    pass
                batch = backlog.hand_over()
                self._consumed()
                stats.rejected += len(batch.rejected)
                stats.left_over_bytes += batch.left_over_bytes
                self.errors.extend(batch.errors)
                yield batch
        finally:
            backlog.stop_gathering()
        self._end()

    async def _wait_more(self, until: float) -> bool:
        """Waits for news; False where ``until`` or the end comes first."""
        left = until - time.monotonic()
        if left <= 0 or self._connections.engine.is_over:
            return False
        return await self._news(left)


def _checked(handler: Any) -> Any:
    """TypeError for what can't be called where a frame is read."""
    if isinstance(handler, FrameHandler):
        return handler
    if not callable(handler):
        raise TypeError(f"a handler is a function of one message, not {type(handler).__name__}")
    if isinstance(handler, type) and issubclass(handler, FrameHandler):
        raise TypeError(f"a handler is an object of {handler.__name__}, not the class: call it")
    call = getattr(type(handler), "__call__", None)  # noqa: B004 - an object may be called
    for kind in (
        inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
    ):  # fmt: skip
        if kind(handler) or kind(call):
            what = "coroutine" if kind is inspect.iscoroutinefunction else "generator"
            raise TypeError(
                f"the handler is a {what} function, and nobody could wait for it where frames are "
                "read: write 'async for message in feed', or a plain function that starts a task"
            )
    return handler
