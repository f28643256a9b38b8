"""What holds a feed together, whatever moves its bytes: protocol, arbitration, and the account.

A shell (asyncio's is `transport.connections`) opens transports and reports what becomes of them;
the engine asks the `Supervisor` what follows, tells the arbiter who brings what, and writes the
ledger. No sockets, no tasks; used on one thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sbe_codegen.runtime.errors import SbeError

from ..errors import ConnectionLost, FeedError, again
from ..logs import LOG
from .intake.backlog import Backlog
from .intake.streams import Source
from .ledger import ConnectionRecord, Ledger
from .protocol.actions import (
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
from .protocol.silence import Clocks, Daily, Silence
from .protocol.supervisor import RENEWED, Supervisor
from .recording import NOBODY, Recorder
from .remarks import Remarks
from .settings import Settings
from .shells import Shell, Transport

_HOLDING_SECONDS = 0.02  # between looks at frames that wait for another connection's


@dataclass
class _Peer:
    """A connection, from the wish for it until all that it brought was taken."""

    source: Source
    transport: Transport | None = None  # once it is open
    is_up: bool = False  # open, and not lost
    record: ConnectionRecord | None = None
    left: Left | None = None  # said, and something may still come
    frames_seen: int = -1


class Engine:
    """``error`` is what the feed ended with."""

    def __init__(
        self, url: str, backlog: Backlog, ledger: Ledger, settings: Settings, shell: Shell
    ) -> None:
        self.url = url
        self.supervisor = Supervisor(settings)
        self.error: SbeError | None = None
        self.closing = False
        self._backlog = backlog
        self._arbiter = backlog.arbiter
        self._ledger = ledger
        self._shell = shell
        self._peers: dict[int, _Peer] = {}
        self._remarks = Remarks(url, backlog, ledger)
        self._silence = Silence(settings.stream_timeout)
        self._daily = Daily(settings.renew_at, datetime.now(UTC))
        self._clocks = Clocks(time.time(), time.monotonic())
        self._acting = False
        self._recorder = NOBODY
        self._read_since = 0  # ns, monotonic: there was no room in the backlog until then
        self._arbiter.directory.is_wanted = self.supervisor.wants

    @property
    def is_over(self) -> bool:
        """Nothing will come any more."""
        return self.closing or self.error is not None

    def record(self, recorder: Recorder) -> None:
        """From now on ``recorder`` is told what happens, beginning with what is there."""
        names = [name for shard in self.supervisor.shards for name in shard.names]
        recorder.begin(self.url, names, self._backlog, self._ledger)
        for number, peer in list(self._peers.items()):
            if peer.record is not None:
                recorder.opened(number, peer.source.name, time.time_ns())
                recorder.entered(number, self._arbiter.covered(peer.source))
        self._recorder = self._ledger.recorder = recorder
        self._backlog.tap = recorder.tap

    # what the shell reports

    def opened(self, number: int, transport: Transport) -> None:
        """The transport is there."""
        peer = self._peers.get(number)
        if peer is None:  # nobody wants it any more
            self._shell.close_one(number)
            return
        peer.transport, peer.is_up = transport, True
        self._backlog.stopped = True  # it may have stopped when there was nobody to resume it
        now = time.time_ns()
        peer.record = ConnectionRecord(peer.source.name, peer.source, now)
        self._ledger.note_connection(peer.record)
        self._recorder.opened(number, peer.source.name, now)
        self.supervisor.opened(number, time.monotonic())
        self.act()

    def failed(self, number: int, error: FeedError) -> None:
        """The transport could not be opened."""
        self._peers.pop(number, None)
        self.supervisor.failed(number, error, time.monotonic())
        self.act()

    def text(self, number: int, text: str) -> None:
        """A text frame came."""
        self._backlog.stats.texts += 1
        self._recorder.text(number, text)
        self.supervisor.text(number, text, time.monotonic())
        self.act()

    def sign(self, number: int) -> None:
        """A ping or a pong came."""
        self.supervisor.heard(number, time.monotonic())

    def lost(self, number: int, code: int | None, reason: str) -> None:
        """The transport has ended; what it has read may still wait in it."""
        if number in self._peers:
            self._peers[number].is_up = False
        self.supervisor.closed(number, code, reason, time.monotonic())
        self.act()

    def drained(self, number: int) -> None:
        """All that a transport has read before its end was taken."""
        peer = self._peers.get(number)
        if peer is not None and peer.left is not None:
            self._leave(number, peer, peer.left)

    # what the user wants

    def subscribe(self, names: list[str]) -> int:
        """Returns the number of the ticket, for `Shell.answer`; `act` is to follow."""
        supervisor = self._usable()
        self._recorder.asked(names)
        return supervisor.subscribe(names, time.monotonic())

    def unsubscribe(self, names: list[str]) -> int:
        """Returns the number of the ticket, for `Shell.answer`; `act` is to follow."""
        return self._usable().unsubscribe(names, time.monotonic())

    def renew(self) -> None:
        """A new connection takes the place of each."""
        self.supervisor.renew(time.monotonic())
        self.act()

    def resume(self) -> bool:
        """There may be room in the backlog again. Whether anything has waited for it."""
        self._backlog.stopped = False  # until one of them says so again
        has_waited = False
        for peer in list(self._peers.values()):
            if peer.transport is not None:
                has_waited = has_waited or not peer.transport.is_drained
                peer.transport.resume()
        return has_waited

    def abandon(self) -> None:
        """Whoever has moved the connections does so no more."""
        self.closing, self._backlog.brings = True, False

    def close(self) -> None:
        """Ends all connections; `release` is to follow when they have ended."""
        self.closing = True
        self.supervisor.close()
        self.act()

    def fail(self, error: SbeError) -> None:
        """The feed is over."""
        if self.error is None:
            self.error = error
            self.supervisor.close()
            self.act()
        self._backlog.wake()

    def broken(self, error: BaseException) -> None:
        """An error of ours ends the feed, and is told."""
        LOG.error("%s: the feed failed", self.url, exc_info=error)
        self.fail(FeedError(f"the feed failed: {type(error).__name__}: {error}"))

    def guarded(self, function: Callable[..., None], *arguments: object) -> Callable[..., None]:
        """A callback whose error ends the feed: who calls it would swallow it."""

        def guarded(*more: object) -> None:
            try:
                function(*arguments, *more)
            except Exception as error:
                self.broken(error)

        return guarded

    def _usable(self) -> Supervisor:
        if self.error is not None:
            raise again(self.error)
        if self.closing:
            raise RuntimeError("the feed is closed")
        return self.supervisor

    # the clock

    def tick(self) -> float:
        """Does what is due; returns the seconds until it is to be called again at the latest."""
        now = time.monotonic()
        error = self._recorder.error
        if error is not None:
            self.fail(error)
        self._look(now)
        self.supervisor.tick(now, is_read=not self._backlog.full)
        self.act()
        self.release()
        left = self.supervisor.deadline(now) - time.monotonic()
        if self._arbiter.holding:
            left = min(left, _HOLDING_SECONDS)
        return max(left, 0.001)

    def _look(self, now: float) -> None:
        """Tells the supervisor what the connections have brought since the last look."""
        streams = self._ledger.streams
        up = {number: peer for number, peer in self._peers.items() if peer.is_up}
        for number, peer in up.items():
            if peer.source.frames != peer.frames_seen:
                peer.frames_seen = peer.source.frames
                self.supervisor.heard(number, now)
            fresh = self.supervisor.fresh(number)
            if fresh:
                come = [n for n in fresh if n in streams and streams[n].in_step(peer.source)]
                self.supervisor.came(number, come)
        jump = self._clocks.jump(time.time(), now)
        if jump:
            self.supervisor.awake(now)
            self._remarks.clock_jumped(jump)
        if self.supervisor.is_whole:
            self._look_for_silence(now)
        if self._daily.is_due(datetime.now(UTC)):
            self.supervisor.renew(now, "it is the time of day to")
        self._remarks.look([peer.source for peer in up.values()], now)

    def _look_for_silence(self, now: float) -> None:
        streams = self._ledger.streams

        def heard(name: str) -> float:
            return streams[name].heard / 1e9 if name in streams else 0.0

        names, is_read = self.supervisor.streams, not self._backlog.full
        quiet = self._silence.quiet(names, heard, now, is_read)
        if quiet:
            self.supervisor.silent(quiet, now)

    def release(self, everything: bool = False) -> None:
        """Hands on the frames that have waited long enough for another connection's."""
        now = 2**62 if everything else time.monotonic_ns()
        if self._backlog.full and not everything:
            self._read_since = now
        if self._arbiter.holding:
            count = self._arbiter.held_count
            ready = self._arbiter.released(now, self._read_since)
            if count != self._arbiter.held_count:
                self._recorder.released(now, self._read_since)
            if ready:
                self._backlog.hand_in(ready)

    # what the supervisor says

    def act(self) -> None:
        """Does what the supervisor wants.

        What an action brings about, or a handler, may want more: that comes after the rest.
        """
        if self._acting:
            return
        self._acting = True
        try:
            self._act()
        finally:
            self._acting = False
            self._backlog.brings = self.supervisor.has_streams and not self.is_over
        self._shell.poke()

    def _act(self) -> None:
        actions = self.supervisor.actions
        while actions:
            self.supervisor.actions = []
            for action in actions:
                try:
                    self._do(action)
                except Exception as error:
                    self.broken(error)
            actions = self.supervisor.actions

    def _do(self, action: object) -> None:
        match action:
            case Open(number, name):
                source = Source(number, name)
                self._peers[number] = _Peer(source)
                self._shell.open(number, source)
            case Send(number, text):
                transport = self._up(number)
                if transport is not None:
                    with suppress(ConnectionLost):  # which is reported as such
                        transport.send(text)
            case Ask(number):
                transport = self._up(number)
                if transport is not None:
                    transport.ping()
            case Finish(number):
                transport = self._up(number)
                if transport is not None:
                    transport.finish()
            case Close(number, _):
                self._close(number)
            case Entered(number, names):
                self._recorder.entered(number, names)
                self._arbiter.enter(self._peers[number].source, names)
                self._silence.entered(names, time.monotonic())
            case Left(number, _, _):
                self._left(number, action)
            case Forgotten(names):
                self._recorder.forgotten(names)
                self._backlog.hand_in(self._arbiter.forget(names))
                self._silence.forgotten(names)
            case Answer(ticket, error):
                self._shell.answer(ticket, error)
            case Log(event, text, fields):
                level = logging.WARNING if action.is_warning else logging.INFO
                self._remarks.say(event, text, level, **fields)
            case Failed(error):
                self.error = error
                self.release(everything=True)
                self._backlog.wake()

    def _up(self, number: int) -> Transport | None:
        peer = self._peers.get(number)
        return peer.transport if peer is not None and peer.is_up else None

    def _close(self, number: int) -> None:
        peer = self._peers.get(number)
        if peer is not None:
            peer.is_up = False
            if peer.transport is None:
                del self._peers[number]
        self._shell.close_one(number)

    def _left(self, number: int, left: Left) -> None:
        """What has come before the end is still taken."""
        peer = self._peers.get(number)
        if peer is None:
            return
        if peer.transport is None or peer.transport.is_drained:
            self._leave(number, peer, left)
        else:
            peer.left = left

    def _leave(self, number: int, peer: _Peer, left: Left) -> None:
        """A connection has ended, and all that it brought was taken."""
        self._peers.pop(number, None)
        whole = left.whole
        if left.cause == RENEWED and peer.transport is not None:  # the end may have come since
            whole = whole or peer.transport.is_whole
        now = time.time_ns()
        self._recorder.ended(number, left.cause, whole, now)
        self._arbiter.leave(peer.source, left.cause, whole)
        if peer.record is not None:
            self._ledger.note_end(peer.record, now, left.cause)
        self.release()
