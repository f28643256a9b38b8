"""The shell around a `Supervisor`: transports, timers and tasks that do what it says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .actions import (
    Answer,
    Ask,
    Close,
    Entered,
    Failed,
    Finish,
    Forgotten,
    Left,
    Log,
    Open,
    Send,
)
from .errors import ConnectionLost, FeedError, Unreachable, bare
from .inbox import Inbox
from .ledger import Connection
from .logs import LOG
from .lookout import Lookout
from .sequencer import Line
from .settings import Settings
from .supervisor import RENEWED, Supervisor
from .transports import Transport, arrives

_HOLDING_SECONDS = 0.02  # between looks at frames that wait for another connection's


class Connections:
    """All connections of one feed. Used on the event loop's thread."""

    def __init__(self, url: str, inbox: Inbox, settings: Settings) -> None:
        self.url = url
        self.supervisor = Supervisor(settings)
        self.error: FeedError | None = None
        self.closing = False
        self._inbox = inbox
        self._ledger = inbox.ledger
        self._settings = settings
        self._key = ""
        self._transports: dict[int, Transport] = {}
        self._lines: dict[int, Line] = {}
        self._bringing: dict[Line, Transport] = {}  # those from which something may still come
        self._leaving: dict[Line, Left] = {}  # when all that they brought has been taken
        self._records: dict[Line, Connection] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._lost: dict[int, tuple[int | None, str]] = {}  # before they were known as open
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._poked = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._read_since = 0  # ns, monotonic: the inbox was full until then
        self._inbox.ledger.sequencer.is_wanted = self.supervisor.wants
        self._lookout = Lookout(url, inbox, self.supervisor, settings)

    @property
    def is_over(self) -> bool:
        """Nothing will come any more."""
        return self.closing or self.error is not None

    @property
    def has_streams(self) -> bool:
        """Whether anything may come."""
        return bool(self.supervisor.streams or self._answers)

    def start(self, key: str) -> None:
        self._key = key
        self._keeper = asyncio.create_task(self._keep())
        self._keeper.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)

    async def close(self) -> None:
        """Ends everything; what has arrived stays in the inbox."""
        self._end()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._release(everything=True)
        self._inbox.wake_consumer()

    def _end(self) -> None:
        self.closing = True
        self.supervisor.close()
        self._act()
        if self._keeper is not None:
            self._keeper.cancel()

    def abandon(self) -> None:
        """Ends everything where nobody waits for it."""
        if not self.closing:
            self._end()

    def fail(self, error: FeedError) -> None:
        """The feed is over."""
        if self.error is None:
            self.error = error
            self.supervisor.close()
            self._act()
        self._inbox.wake_consumer()

    def resume(self) -> None:
        """There may be room in the inbox again."""
        for transport in list(self._bringing.values()):
            transport.resume()

    def renew(self) -> None:
        self.supervisor.renew(time.monotonic())
        self._act()

    async def subscribe(self, names: list[str]) -> None:
        await self._ask(self._checked().subscribe(names, time.monotonic()))

    async def unsubscribe(self, names: list[str]) -> None:
        await self._ask(self._checked().unsubscribe(names, time.monotonic()))

    def _checked(self) -> Supervisor:
        if self.error is not None:
            raise self.error
        if self.closing:
            raise RuntimeError("the feed is closed")
        return self.supervisor

    async def _ask(self, ticket: int) -> None:
        answer = self._answers[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._act()
            await answer
        finally:
            del self._answers[ticket]

    # the supervisor's clock

    async def _keep(self) -> None:
        while not self.closing:
            now = time.monotonic()
            self._lookout.look(self._lines, now)
            self.supervisor.tick(now, is_read=not self._inbox.full)
            self._act()
            self._release()
            self._poked.clear()
            left = self.supervisor.deadline(now) - time.monotonic()
            if self._ledger.sequencer.holding:
                left = min(left, _HOLDING_SECONDS)
            await arrives(self._poked, max(left, 0.001))

    def _release(self, everything: bool = False) -> None:
        """Hands on the frames that have waited long enough for another connection's."""
        sequencer = self._ledger.sequencer
        now = 2**62 if everything else time.monotonic_ns()
        if self._inbox.full and not everything:
            self._read_since = now
        if sequencer.holding:
            ready = sequencer.released(now, self._read_since)
            if ready:
                self._inbox.hand_in(ready)

    # what the supervisor says

    def _act(self) -> None:
        actions = self.supervisor.actions
        while actions:
            self.supervisor.actions = []
            for action in actions:
                try:
                    self._do(action)
                except Exception as error:
                    self._failed(error)
            actions = self.supervisor.actions
        self._poked.set()

    def _do(self, action: object) -> None:
        match action:
            case Open(number, line):
                self._opening[number] = self._spawn(self._open(number, line))
            case Send(number, text):
                transport = self._transports.get(number)
                if transport is not None:
                    with contextlib.suppress(ConnectionLost):  # which is reported as such
                        transport.send(text)
            case Ask(number):
                if number in self._transports:
                    self._transports[number].ping()
            case Finish(number):
                if number in self._transports:
                    self._transports[number].finish()
            case Close(number, _):
                self._close(number)
            case Entered(line, names):
                self._ledger.sequencer.enter(line, names)
                self._lookout.entered(names, time.monotonic())
            case Left(line, _, _):
                transport = self._bringing.get(line)
                if transport is None or transport.is_drained:
                    self._leave(action)
                else:
                    self._leaving[line] = action
            case Forgotten(names):
                self._inbox.hand_in(self._ledger.sequencer.forget(names))
                self._lookout.forgotten(names)
            case Answer(ticket, error):
                answer = self._answers.get(ticket)
                if answer is not None and not answer.done():
                    if error is None:
                        answer.set_result(None)
                    else:
                        answer.set_exception(error)
            case Log(event, text, fields):
                level = logging.WARNING if action.is_warning else logging.INFO
                self._lookout.say(event, text, level, **fields)
            case Failed(error):
                self.error = error
                self._release(everything=True)
                self._inbox.wake_consumer()

    def _leave(self, left: Left) -> None:
        """A connection has ended, and all that it brought was taken."""
        line = left.line
        transport = self._bringing.pop(line, None)
        whole = left.whole
        if left.cause == RENEWED and transport is not None:  # the end may have come since
            whole = whole or transport.is_whole
        self._ledger.sequencer.leave(line, left.cause, whole)
        record = self._records.pop(line, None)
        if record is not None:
            self._ledger.note_end(record, time.time_ns(), left.cause)
        self._release()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task whose error ends the feed, and is told."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._kept)
        return task

    def _guarded(self, function: Callable[..., None], *arguments: Any) -> Callable[..., None]:
        """A callback whose error ends the feed, and is told: who calls it would swallow it."""

        def guarded(*more: Any) -> None:
            try:
                function(*arguments, *more)
            except Exception as error:
                self._failed(error)

        return guarded

    def _failed(self, error: BaseException) -> None:
        LOG.error("%s: the feed failed", self.url, exc_info=error)
        self.fail(FeedError(f"the feed failed: {type(error).__name__}: {error}"))

    async def _open(self, number: int, line: Line) -> None:
        transport = Transport(
            self._inbox,
            line,
            partial(self._on_text, number),
            partial(self._on_sign, number),
            self._guarded(self._on_lost, number),
            self._guarded(self._on_drained, line),
        )
        try:
            await transport.open(self.url, self._key, self._settings.open_timeout)
        except Exception as error:
            if not isinstance(error, FeedError):
                LOG.error("%s: no connection", self.url, exc_info=error)
                error = Unreachable(f"{self.url}: {type(error).__name__}: {error}")
            self._opening.pop(number, None)
            self._lost.pop(number, None)
            self.supervisor.failed(number, bare(error), time.monotonic())
            self._act()
            return
        self._opening.pop(number, None)
        self._transports[number] = transport
        self._bringing[line] = transport
        self._lines[number] = line
        self._records[line] = Connection(line.name, line, time.time_ns())
        self._ledger.note_connection(self._records[line])
        self.supervisor.opened(number, time.monotonic())
        if number in self._lost:
            self._on_lost(number, *self._lost.pop(number))
        self._act()

    def _close(self, number: int) -> None:
        opening = self._opening.pop(number, None)
        if opening is not None:
            opening.cancel()
        transport = self._forget(number)
        if transport is not None:
            self._spawn(transport.close())

    def _forget(self, number: int) -> Transport | None:
        self._lines.pop(number, None)
        self._lookout.forget(number)
        return self._transports.pop(number, None)

    def _on_text(self, number: int, text: str) -> None:
        self._inbox.stats.texts += 1
        self.supervisor.text(number, text, time.monotonic())
        self._act()

    def _on_sign(self, number: int) -> None:
        self.supervisor.heard(number, time.monotonic())

    def _on_lost(self, number: int, code: int | None, reason: str) -> None:
        if number in self._opening:  # `_open` has not heard of its success yet
            self._lost[number] = code, reason
            return
        self._forget(number)
        self.supervisor.closed(number, code, reason, time.monotonic())
        self._act()

    def _on_drained(self, line: Line) -> None:
        left = self._leaving.pop(line, None)
        if left is not None:
            self._leave(left)
