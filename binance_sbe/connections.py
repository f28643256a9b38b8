"""The shell around a `Supervisor`: transports, timers and tasks that do what it says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from typing import Any

from .actions import (
    Answer,
    Close,
    Entered,
    Failed,
    Forgotten,
    Left,
    Log,
    Open,
    Send,
)
from .errors import ConnectionLost, FeedError, bare
from .inbox import Inbox
from .ledger import Connection
from .logs import LOG
from .sequencer import Line
from .settings import Settings
from .supervisor import Supervisor
from .transports import Transport, arrives

DAY = timedelta(days=1)
_HOLDING_SECONDS = 0.02  # between looks at frames that wait for another connection's
_BEHIND_SECONDS = 10.0  # between two log lines about a slow consumer


def _next(at: time_of_day | None, now: datetime) -> datetime | None:
    """When it is that time of day next, after ``now``."""
    if at is None:
        return None
    zone = at.tzinfo or UTC
    here = now.astimezone(zone)
    when = datetime.combine(here.date(), at.replace(tzinfo=None), zone)
    return when if when > here else datetime.combine(here.date() + DAY, when.time(), zone)


class Connections:
    """All connections of one feed. Used on the event loop's thread."""

    def __init__(self, url: str, kind: type[Transport], inbox: Inbox, settings: Settings) -> None:
        self.url = url
        self.supervisor = Supervisor(settings)
        self.error: FeedError | None = None
        self.closing = False
        self._kind = kind
        self._inbox = inbox
        self._ledger = inbox.ledger
        self._settings = settings
        self._key = ""
        self._transports: dict[int, Transport] = {}
        self._lines: dict[int, Line] = {}
        self._records: dict[Line, Connection] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._lost: dict[int, tuple[int | None, str]] = {}  # before they were known as open
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._poked = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._frames_seen: dict[int, int] = {}
        self._silent: dict[str, tuple[float, float]] = {}  # pause, and when it ends
        self._entered_ns: dict[str, int] = {}
        self._said_behind = float("-inf")
        self._said_holes = 0
        self._holes_at = 0.0
        self._read_since = 0  # ns: the inbox was full until then
        self._renew_at = _next(settings.renew_at, datetime.now(UTC))

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
        if not task.cancelled() and task.exception() is not None:
            LOG.error("%s: the feed failed", self.url, exc_info=task.exception())
            self.fail(FeedError(f"the feed failed: {task.exception()!r}"))

    async def close(self) -> None:
        """Ends everything; what has arrived stays in the inbox."""
        self.closing = True
        self._inbox.unlimited = True
        self.supervisor.close()
        self._act()
        if self._keeper is not None:
            self._keeper.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._release(everything=True)
        self._inbox.wake_consumer()

    def fail(self, error: FeedError) -> None:
        """The feed is over."""
        if self.error is None:
            self.error = error
            self.supervisor.close()
            self._act()
        self._inbox.wake_consumer()

    def resume(self) -> None:
        """There may be room in the inbox again."""
        for transport in self._transports.values():
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
            self._inbox.unlimited = self.closing or self.supervisor.is_asking

    # the supervisor's clock

    async def _keep(self) -> None:
        while not self.closing:
            now = time.monotonic()
            self._report(now)
            self.supervisor.tick(now)
            self._act()
            self._release()
            self._poked.clear()
            left = self.supervisor.deadline(now) - time.monotonic()
            if self._ledger.sequencer.holding:
                left = min(left, _HOLDING_SECONDS)
            await arrives(self._poked, max(left, 0.001))

    def _report(self, now: float) -> None:
        """What the connections have brought since the last look."""
        inbox = self._inbox
        streams = self._ledger.sequencer.streams
        for number, line in self._lines.items():
            if line.frames != self._frames_seen.get(number) or inbox.full:
                self._frames_seen[number] = line.frames
                self.supervisor.heard(number, now)
            fresh = self.supervisor.fresh(number)
            if fresh:
                bit = 1 << line.place
                self.supervisor.came(
                    number, [n for n in fresh if n in streams and streams[n].joined & bit]
                )
        if self.supervisor.is_whole:
            self._look_for_silence(now)
        if self._renew_at is not None and datetime.now(UTC) >= self._renew_at:
            self._renew_at = _next(self._settings.renew_at, datetime.now(UTC))
            self.supervisor.renew(now, "it is the time of day to")
        waiting = inbox.pending
        if waiting >= inbox.limit and now - self._said_behind >= _BEHIND_SECONDS:
            self._said_behind = now
            dropped = self._ledger.dropped
            text = f"the consumer is behind: {waiting:,} frames wait, {dropped:,} were dropped"
            self._say("behind", f"{text} so far", waiting=waiting, dropped=dropped)
        if self._ledger.holes_count > self._said_holes and now >= self._holes_at:
            self._holes_at = now + 1.0
            self._say_holes()

    def _say_holes(self) -> None:
        ledger = self._ledger
        count, self._said_holes = ledger.holes_count - self._said_holes, ledger.holes_count
        holes = ledger.holes_since(self._said_holes - count)
        few = [f"{h.stream} {h.last_before + 1} to {h.first_after - 1}" for h in holes[:3]]
        if holes:  # else what came late has filled them
            more = ", ..." if len(holes) > 3 else ""
            text = f"{count:,} hole{'s' * (count != 1)}: {', '.join(few)}{more} ({holes[0].cause})"
            self._say("holes", text, count=count, streams=sorted({h.stream for h in holes}))

    def _say(self, event: str, text: str, level: int = logging.WARNING, **fields: object) -> None:
        """A line of the log, with fields for formatters that show them."""
        LOG.log(level, "%s: %s", self.url, text, extra={"feed": self.url, "event": event, **fields})

    def _look_for_silence(self, now: float) -> None:
        now_ns = time.time_ns()
        streams = self._ledger.sequencer.streams
        quiet = []
        for name in self.supervisor.streams:
            timeout = self._settings.stream_timeout.get(name.rpartition("@")[2])
            if timeout is None:
                continue
            stream = streams.get(name)
            heard = max(self._entered_ns.get(name, now_ns), stream.received if stream else 0)
            if now_ns - heard < timeout * 1e9:
                self._silent.pop(name, None)
                continue
            pause, until = self._silent.get(name, (timeout, 0.0))
            if now >= until:  # again only after a pause that grows
                quiet.append(name)
                self._silent[name] = min(2 * pause, 3600.0), now + pause
        if quiet:
            self.supervisor.silent(quiet, now)

    def _release(self, everything: bool = False) -> None:
        """Hands on the frames that have waited long enough for another connection's."""
        sequencer = self._ledger.sequencer
        now = 2**62 if everything else time.time_ns()
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
                self._do(action)
            actions = self.supervisor.actions
        self._inbox.unlimited = self.closing or self.supervisor.is_asking
        if self._inbox.unlimited:
            self.resume()
        self._poked.set()

    def _do(self, action: object) -> None:
        match action:
            case Open(number, line):
                self._opening[number] = self._spawn(self._open(number, line))
            case Send(number, text):
                self._spawn(self._send(number, text))
            case Close(number, _):
                self._close(number)
            case Entered(line, names):
                now = time.time_ns()
                self._ledger.sequencer.enter(line, names, now)
                self._entered_ns.update(dict.fromkeys(names, now))
            case Left(line, cause):
                self._ledger.sequencer.leave(line, cause)
                record = self._records.pop(line, None)
                if record is not None:
                    self._ledger.note_end(record, time.time_ns(), cause)
                self._release()
            case Forgotten(names):
                self._ledger.sequencer.forget(names)
            case Answer(ticket, error):
                answer = self._answers.get(ticket)
                if answer is not None and not answer.done():
                    if error is None:
                        answer.set_result(None)
                    else:
                        answer.set_exception(error)
            case Log(event, text, fields):
                level = logging.WARNING if action.is_warning else logging.INFO
                self._say(event, text, level, **fields)
            case Failed(error):
                self.error = error
                self._release(everything=True)
                self._inbox.wake_consumer()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _open(self, number: int, line: Line) -> None:
        try:
            transport = self._kind(
                self._inbox,
                line,
                partial(self._on_text, number),
                partial(self._on_sign, number),
                partial(self._on_lost, number),
            )
            await transport.open(self.url, self._key, self._settings.open_timeout)
        except FeedError as error:
            self._opening.pop(number, None)
            self._lost.pop(number, None)
            self.supervisor.failed(number, bare(error), time.monotonic())
            self._act()
            return
        self._opening.pop(number, None)
        self._transports[number] = transport
        self._lines[number] = line
        self._records[line] = Connection(line.name, line, time.time_ns())
        self._ledger.note_connection(self._records[line])
        self.supervisor.opened(number, time.monotonic())
        if number in self._lost:
            self._on_lost(number, *self._lost.pop(number))
        self._act()

    async def _send(self, number: int, text: str) -> None:
        transport = self._transports.get(number)
        if transport is not None:
            try:
                await transport.send(text)
            except ConnectionLost:
                return  # which is reported as such

    def _close(self, number: int) -> None:
        opening = self._opening.pop(number, None)
        if opening is not None:
            opening.cancel()
        transport = self._forget(number)
        if transport is not None:
            self._spawn(transport.close())

    def _forget(self, number: int) -> Transport | None:
        self._lines.pop(number, None)
        self._frames_seen.pop(number, None)
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
