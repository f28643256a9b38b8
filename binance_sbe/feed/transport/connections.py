"""asyncio's shell around an `Engine`: transports, timers and tasks that do what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from ...errors import FeedError, Unreachable, bare
from ...logs import LOG
from ..engine import Engine
from ..intake.backlog import Backlog
from ..intake.streams import Source
from ..ledger import Ledger
from ..settings import Settings
from .alarm import Alarm
from .websocket import Transport


class Connections:
    """All connections of one feed. Used on the event loop's thread."""

    def __init__(self, url: str, backlog: Backlog, ledger: Ledger, settings: Settings) -> None:
        self.url = url
        self.engine = Engine(url, backlog, ledger, settings, self)
        self._backlog = backlog
        self._settings = settings
        self._key = ""
        self._transports: dict[int, Transport] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._poked = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def has_streams(self) -> bool:
        """Whether anything may come."""
        return self.engine.supervisor.has_streams or bool(self._answers)

    def start(self, key: str) -> None:
        self._key = key
        self._keeper = asyncio.create_task(self._keep())
        self._keeper.add_done_callback(self._kept)

    async def _keep(self) -> None:
        alarm = Alarm(asyncio.get_running_loop(), self._poked.set)
        try:
            while not self.engine.closing:
                seconds = self.engine.tick()
                self._poked.clear()  # by what has just been done
                alarm.set(seconds)
                await self._poked.wait()
        finally:
            alarm.close()

    def _kept(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.engine.broken(error)

    async def close(self) -> None:
        """Ends everything; what has arrived stays in the backlog."""
        self._end()
        while self._tasks:
            ending = list(self._tasks)
            await asyncio.gather(*ending, return_exceptions=True)
            # From CPython 3.12 on nothing is waited for where all of them are done, and so what
            # takes them out of the set, in the next turn of the loop, would never have its turn.
            self._tasks.difference_update(ending)
        self.engine.release(everything=True)
        self._backlog.wake()

    def _end(self) -> None:
        self.engine.close()
        if self._keeper is not None:
            self._keeper.cancel()

    def abandon(self) -> None:
        """Ends everything where nobody waits for it."""
        if not self.engine.closing:
            self._end()

    async def subscribe(self, names: list[str]) -> None:
        await self._answered(self.engine.subscribe(names))

    async def unsubscribe(self, names: list[str]) -> None:
        await self._answered(self.engine.unsubscribe(names))

    async def _answered(self, ticket: int) -> None:
        answer = self._answers[ticket] = asyncio.get_running_loop().create_future()
        try:
            self.engine.act()
            await answer
        finally:
            del self._answers[ticket]
            if not self.has_streams:  # nor will there be: whoever waits is to be told
                self._backlog.wake()

    # what the engine wants (see `engine.Shell`)

    def open(self, number: int, source: Source) -> None:
        self._opening[number] = self._spawn(self._open(number, source))

    def close_one(self, number: int) -> None:
        opening = self._opening.pop(number, None)
        if opening is not None:
            opening.cancel()
        transport = self._transports.pop(number, None)
        if transport is not None:
            closing = self._spawn(transport.close())
            # Whoever closes a feed may be cancelled, and that with it, before it has begun.
            closing.add_done_callback(lambda _: transport.abort())

    def answer(self, ticket: int, error: FeedError | None) -> None:
        answer = self._answers.get(ticket)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)

    def poke(self) -> None:
        self._poked.set()

    # transports

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task whose error ends the feed, and is told."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._kept)
        return task

    async def _open(self, number: int, source: Source) -> None:
        engine = self.engine
        transport = Transport(
            self._backlog,
            source,
            partial(engine.text, number),
            partial(engine.sign, number),
            engine.guarded(self._on_lost, number),
            engine.guarded(engine.drained, number),
        )
        try:
            settings = self._settings
            await transport.open(self.url, self._key, settings.open_timeout, settings.route)
        except Exception as error:
            if not isinstance(error, FeedError):
                LOG.error("%s: no connection", self.url, exc_info=error)
                error = Unreachable(f"{self.url}: {type(error).__name__}: {error}")
            self._opening.pop(number, None)
            engine.failed(number, bare(error))
            return
        self._opening.pop(number, None)
        self._transports[number] = transport
        engine.opened(number, transport)

    def _on_lost(self, number: int, code: int | None, reason: str) -> None:
        self._transports.pop(number, None)
        self.engine.lost(number, code, reason)
