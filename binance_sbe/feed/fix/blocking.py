"""The same FIX session without asyncio: its sockets are moved by a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from sbe_codegen.runtime.tables.results import Batch

from ... import fix_sbe
from ...errors import FeedError
from ..ledger import Ledger
from ..settings import check_batching
from .account import KINDS
from .connection import Connection, batch_of
from .requests import Key
from .sessions import MOST_DEPTH
from .settings import Settings

T = TypeVar("T")
_USAGE = "with sync.fix_connect(...) as session:"
_MOST = 1000  # messages that are taken over at a time


async def _end_all() -> None:
    """Cancels whatever the loop still does, and waits for that."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class BlockingConnection:
    """A FIX session, to be used as ``with sync.fix_connect(...) as session``.

    All that `fix.Connection` has, without ``await``. ``timeout`` is how many seconds iteration
    waits for the next message (None: for ever) before TimeoutError; the session stays open then.
    One thread at a time iterates; the other methods may be called from any.
    """

    def __init__(self, settings: Settings, timeout: float | None) -> None:
        self.timeout = timeout
        self._settings = settings
        self._taken: deque[tuple[Any, int]] = deque()
        self._waiting: concurrent.futures.Future[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Lock()
        self._gate = threading.Lock()  # held for a moment, where work is begun
        self._is_over = self._is_left = False

    def __repr__(self) -> str:
        return f"<sync {self._connection!r}>" if self._connection else "<sync fix.Connection, new>"

    def __enter__(self) -> BlockingConnection:
        if self._thread is not None:
            raise RuntimeError("a FIX connection is opened once: make another")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="FIX session", daemon=True
        )
        self._thread.start()
        try:
            self._connection = self._call(self._made())
        except BaseException:
            self._stop()
            raise
        return self

    async def _made(self) -> Connection:
        return await Connection(self._settings).__aenter__()

    def __exit__(self, *_: object) -> None:
        self._is_left = True
        self.close()

    def close(self) -> None:
        """Logs out, and waits until the exchange has answered, a few seconds at most.

        May be called by any thread: who waits for a message sees the end, after what had come.
        """
        with self._closing:  # by one thread after the other
            if self._connection is not None and not self._is_over:
                self._call(self._connection.close())
            self._stop()

    def _stop(self) -> None:
        loop, thread = self._loop, self._thread
        with self._gate:
            if self._is_over or loop is None or thread is None:
                return
            self._is_over = True  # nothing more is begun
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _begun(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Does it in the loop's thread."""
        with self._gate:
            if self._is_over or self._loop is None:
                work.close()
                state = "closed" if self._is_over else "not open"
                raise RuntimeError(f"this is {state}: write '{_USAGE}'")
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Does it in the loop's thread, and waits; what interrupts the waiting ends it."""
        future = self._begun(work)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("this was closed meanwhile, by another thread") from None
        except BaseException:
            future.cancel()
            raise

    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError(f"this is not open: write '{_USAGE}'")
        return self._connection

    # what it has

    @property
    def ledger(self) -> Ledger:
        return self._opened().ledger

    @property
    def repeated(self) -> int:
        return self._opened().repeated

    @property
    def streams(self) -> list[Key]:
        return self._opened().streams

    @property
    def sessions_count(self) -> int:
        return self._opened().sessions_count

    def is_subscribed(self, symbol: str, kind: str) -> bool:
        """See `fix.Connection.is_subscribed`."""
        return self._opened().is_subscribed(symbol, kind)

    @property
    def is_live(self) -> bool:
        """See `fix.Connection.is_live`."""
        return not self._is_over and self._opened().is_live

    @property
    def is_closed(self) -> bool:
        """See `fix.Connection.is_closed`."""
        return self._is_over or self._opened().is_closed

    # requests

    def subscribe(
        self, *symbols: str, kinds: str | Iterable[str] = KINDS, depth: int = MOST_DEPTH
    ) -> None:
        """See `fix.Connection.subscribe`."""
        self._call(self._opened().subscribe(*symbols, kinds=kinds, depth=depth))

    def unsubscribe(self, *symbols: str, kinds: str | Iterable[str] = KINDS) -> None:
        """See `fix.Connection.unsubscribe`."""
        self._call(self._opened().unsubscribe(*symbols, kinds=kinds))

    def instruments(self, symbol: str | None = None) -> fix_sbe.InstrumentList:
        """See `fix.Connection.instruments`."""
        return self._call(self._opened().instruments(symbol))

    def limits(self) -> fix_sbe.LimitResponse:
        """See `fix.Connection.limits`."""
        return self._call(self._opened().limits())

    def send(self, kind: Any, **values: Any) -> int:
        """See `fix.Connection.send`."""
        return self._call(self._opened().send(kind, **values))

    # consuming

    def __iter__(self) -> Iterator[Any]:
        while (found := self._next(self.deadline())) is not None:
            yield found[0]

    def deadline(self) -> float | None:
        """Until when a message is waited for from now on, of time.monotonic(); None: for ever."""
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _next(self, until: float | None) -> tuple[Any, int] | None:
        """The next message; None at the end. TimeoutError when ``until`` is over."""
        if self._is_left:
            raise RuntimeError(f"this is closed: use it in its block, '{_USAGE}'")
        connection = self._opened()
        while not self._taken:
            wait = None if until is None else max(until - time.monotonic(), 0.0)
            try:
                if self._waiting is None or self._waiting.done():
                    self._waiting = self._begun(self._fetched(connection))
                self._waiting.result(wait)
            except TimeoutError:
                if not self._taken:
                    raise TimeoutError(f"nothing came within {self.timeout or 0:g} s") from None
            except (RuntimeError, concurrent.futures.CancelledError):
                if not self._is_over:
                    raise
                self._taken.extend(connection.left_over())
            if not self._taken and (self._is_over or connection.is_closed):
                return None
        return self._taken.popleft()

    async def _fetched(self, connection: Connection) -> None:
        """Waits until something was taken over; who waits may be interrupted, and wait again."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(connection))
        await asyncio.shield(self._fetching)

    async def _fetch(self, connection: Connection) -> None:
        """What came is taken over here, in the loop's thread, where nothing interrupts."""
        self._taken.extend(await connection.several(_MOST, None))

    def several(self, most: int, until: float | None) -> list[tuple[Any, int]]:
        """See `fix.Connection.several`."""
        try:
            first = self._next(until)
        except TimeoutError:
            return []
        found = [] if first is None else [first]
        while self._taken and len(found) < most:
            found.append(self._taken.popleft())
        return found

    def run(self, handler: Callable[[Any], object]) -> None:
        """Calls ``handler(message)`` for each message until the session ends."""
        for message in self:
            handler(message)

    def batches(self, *, max_messages: int = 10_000, max_delay: float = 0.1) -> Iterator[Batch]:
        """See `fix.Connection.batches`."""
        check_batching(max_messages, max_delay)
        while (first := self._next(self.deadline())) is not None:
            held: list[tuple[Any, int]] = []
            found: tuple[Any, int] | None = first
            until = time.monotonic() + max_delay
            while found is not None:
                held.append(found)
                if len(held) >= max_messages:
                    break
                try:
                    found = self._next(until)
                except TimeoutError:
                    break
                except FeedError:  # what came before is handed over first
                    yield batch_of(held)
                    raise
                except BaseException:  # who is interrupted has got none of it
                    self._taken.extendleft(reversed(held))
                    raise
            yield batch_of(held)
