"""A live feed: connections, a backlog, and iteration over what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.tables.results import Batch

from ..asynchronous import Asynchronous
from ..venue.streams import Message, stream_names
from .awaited import AwaitedMessage, Gathering, Messages
from .base import BaseFeed, Plan, checked_handler, no_streams
from .intake.handlers import Calls, FrameHandler
from .recording import NOBODY
from .settings import checked_key
from .transport.bell import Bell
from .transport.connections import Connections

if TYPE_CHECKING:
    from ..api import rest
    from .backfill import FilledTrades


class Feed(Asynchronous, BaseFeed):
    """Open streams. Made by `connect`; one consumer iterates over it, or over its batches.

    ``ledger`` is the account of what is missing (`Ledger`), ``stats`` has counters and histograms
    of delays (`Stats`), ``errors`` the latest 1,000 errors of frames that were no message (with
    ``on_error="collect"``), ``url`` and ``rest_url`` are where the streams and REST are.
    """

    _usage = "async with connect(...) as feed:"

    def __init__(self, plan: Plan) -> None:
        self._bell = Bell()
        super().__init__(plan, self._bell)
        self._connections = self._new_connections(plan)
        self._engine = self._connections.engine
        self._loop: asyncio.AbstractEventLoop | None = None

    def _new_connections(self, plan: Plan) -> Connections:
        return Connections(f"{plan.url}/ws", self._backlog, self.ledger, plan.settings)

    # opening and closing

    async def __aenter__(self) -> Feed:
        if self._is_open:
            raise RuntimeError("this feed was opened before: call connect again")
        key = checked_key(self._key)
        self._record_all()
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
        if not getattr(self, "_is_open", False) or self._engine.is_over:
            return
        text = f"{self!r} was dropped and not closed"
        warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._connections.abandon)

    async def close(self) -> None:
        """Closes the connections; iteration ends after the frames that have arrived."""
        if self._is_open:
            await self._connections.close()
            if self._recorder is not NOBODY:
                await asyncio.to_thread(self._recorder.close)

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
        own = rest.Client(url=self.rest_url, **self.route.for_rest()) if client is None else None
        async with contextlib.AsyncExitStack() as stack:
            if own is not None:
                client = await stack.enter_async_context(own)
            assert client is not None
            async for filled in fill_all(client, self.ledger, lambda: self._engine.is_over):
                yield filled

    # frames

    async def _wait(self, there_is: Callable[[], object]) -> bool:
        """Waits for what is asked for; False where the feed has ended without it."""
        # Every message that comes alone takes this way: no function is called for nothing.
        engine, backlog = self._engine, self._backlog
        while not there_is():
            if not backlog.brings:
                self._opened()
                if engine.is_over:
                    return False
                if not self._connections.has_streams:
                    raise no_streams()
            if self._bell.is_waited:
                self._alone()
            self._bell.is_waited = True
            try:
                await self._rings()
            finally:
                self._bell.is_waited = False
        if backlog.frames.overflowed is not None:
            self._check_overflow()
        return True

    def _alone(self) -> None:
        """Refuses a second consumer, who would take what the first is waiting for."""
        if self._bell.is_waited:
            raise RuntimeError(
                "another task waits for the next frame of this feed: a feed has one consumer"
            )

    def _rings(self) -> Awaitable[object]:
        """What ends when something has come after this."""
        rings = self._bell.listen()
        if self._backlog.stopped:
            self._consumed()  # what is wanted now may have room that it had not before
        return rings

    def _consumed(self) -> None:
        """Lets the transports go on, once half of what they may hold is taken."""
        if self._backlog.stopped and self._backlog.has_much_room:
            self._engine.resume()

    def __iter__(self) -> NoReturn:
        raise TypeError("messages come one by one: write 'async for message in feed:'")

    def __aiter__(self) -> AsyncIterator[Message]:
        self._begin()
        return Messages(self, self._backlog, self._bell)

    def __anext__(self) -> AwaitedMessage:
        """The next message. Raises ConnectionLost when there is no connection any more."""
        return Messages(self, self._backlog, self._bell).__anext__()

    async def _next_message(self) -> Message:
        """The next message, whatever has to be done before it comes: see `awaited`."""
        backlog, frames = self._backlog, self._backlog.frames
        if self._bell.is_waited:
            self._alone()
        while await self._wait(frames.__len__):
            try:
                return backlog.next_message()
            except DecodeError as error:
                self._refused(error)
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
        calls = Calls(checked_handler(handler), reuse, self._refused)
        self._begin()
        self._alone()
        self._check_overflow()
        self._bell.is_waited = True
        engine, backlog = self._engine, self._backlog
        try:
            backlog.call(calls)
            while not calls.ended and not engine.is_over:
                if not self._connections.has_streams:
                    raise no_streams()
                await self._rings()
            if not calls.ended:
                self._consumed()  # what connections that have ended had read, and had no room for
        except BaseException as error:
            if error.__context__ is None:  # a handler's error in the same turn is not lost
                error.__context__ = calls.failure
            raise
        finally:
            backlog.stop_calling()
            self._bell.is_waited = False
        failure, ended = calls.failure, calls.ended
        del calls
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # which refers to this frame
        if not ended:
            self._end()

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
        size = self._batch_size(max_messages, max_delay)
        self._begin()
        backlog = self._backlog
        there_are_rows = Gathering(self, backlog, self._bell, size)
        try:
            while await there_are_rows:
                if max_delay:
                    until = time.monotonic() + max_delay
                    while not backlog.rows_ready and await self._wait_more(until):
                        pass
                batch = self._hand_over()
                if backlog.stopped:
                    self._consumed()
                yield batch
        finally:
            backlog.stop_gathering()
        self._end()

    async def _next_rows(self, size: int) -> bool:
        """Whether rows are there to be handed over, whatever is to be done until then."""
        backlog = self._backlog

        def there_are_rows() -> int:
            if self._bell.is_waited:
                self._alone()
            backlog.gather(size)  # another iteration may have ended meanwhile, and stopped it
            return backlog.batches.rows

        return await self._wait(there_are_rows)

    async def _wait_more(self, until: float) -> bool:
        """Waits for news; False where ``until`` or the end comes first."""
        left = until - time.monotonic()
        if left <= 0 or self._engine.is_over:
            return False
        self._alone()
        self._bell.is_waited = True
        try:
            rings = self._rings()
            async with asyncio.timeout(left):
                await rings
        except TimeoutError:
            return False
        finally:
            self._bell.is_waited = False
        return True
