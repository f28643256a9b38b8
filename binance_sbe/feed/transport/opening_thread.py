"""Opens a WebSocket in a thread of its own, so that the thread of a feed does not wait for it.

A look at a name server can't be made without waiting, and addresses are tried beside each other: an
event loop of the opening's own does that, for the while. What it hands over is a plain socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Sequence

from ...errors import FeedError, Unreachable, bare
from ...logs import LOG
from ...route import Route
from .dialing import Place
from .opening import Opened, opened


async def _resolved_here(host: str, port: int) -> Sequence[Place]:
    """The addresses of a host, looked for by this thread: it has nothing else to do.

    A thread of the event loop's would keep the interpreter from ending while it waits.
    """
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Opening:
    """``done(opening)`` is called by its thread once it is over, with ``result``: or ``error``."""

    def __init__(
        self, url: str, key: str, timeout: float, route: Route, done: Callable[[Opening], object]
    ) -> None:
        self.result: Opened | None = None
        self.error: FeedError | None = None
        self.cpus: set[int] | None = None  # that its thread may use, where the feed's is pinned
        self._asked = url, key, timeout, route
        self._done = done
        self._lock = threading.Lock()
        self._task: asyncio.Task[Opened] | None = None
        self._is_cancelled = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="binance-sbe opening", daemon=True).start()

    def cancel(self) -> None:
        """Nobody waits for it any more: what it gives is to be thrown away."""
        with self._lock:
            self._is_cancelled = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        url = self._asked[0]
        if self.cpus is not None:
            with contextlib.suppress(OSError):  # the process may use none of them any more
                os.sched_setaffinity(0, self.cpus)
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                self.result = runner.run(self._work())
        except asyncio.CancelledError:
            self.error = Unreachable(f"{url}: nobody waits for it")
        except FeedError as error:
            self.error = bare(error)
        except Exception as error:
            LOG.error("%s: no connection", url, exc_info=error)
            self.error = Unreachable(f"{url}: {type(error).__name__}: {error}")
        self._done(self)

    async def _work(self) -> Opened:
        task = asyncio.ensure_future(opened(*self._asked, _resolved_here))
        with self._lock:
            if self._is_cancelled:
                task.cancel()
            self._task = task
        try:
            return await task
        finally:
            with self._lock:
                self._task = None
