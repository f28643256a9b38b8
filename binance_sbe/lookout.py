"""What is noticed of the connections of a feed from time to time, and said in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

from .inbox import Inbox
from .logs import LOG
from .pacing import Window
from .sequencer import Line
from .settings import Settings
from .supervisor import Supervisor

DAY = timedelta(days=1)
_BEHIND_SECONDS = 10.0  # between two log lines about a slow consumer, or a slow link
_JUMP_SECONDS = 2.0  # by which the clocks disagree where one has stepped, or the machine has slept
_DELAYED_SECONDS = 3.0  # that events come later than the quickest have
_MOST_LINES_LOGGED = (10, 10.0)  # of one kind of event, in so many seconds


def _next(at: time_of_day | None, now: datetime) -> datetime | None:
    """When it is that time of day next, after ``now``."""
    if at is None:
        return None
    zone = at.tzinfo or UTC
    here = now.astimezone(zone)
    when = datetime.combine(here.date(), at.replace(tzinfo=None), zone)
    return when if when > here else datetime.combine(here.date() + DAY, when.time(), zone)


class Lookout:
    """Tells the supervisor what came, and what is silent; the log, what else is to be known."""

    def __init__(self, url: str, inbox: Inbox, supervisor: Supervisor, settings: Settings) -> None:
        self.url = url
        self.supervisor = supervisor
        self._inbox = inbox
        self._ledger = inbox.ledger
        self._settings = settings
        self._frames_seen: dict[int, int] = {}
        self._silent: dict[str, tuple[float, float]] = {}  # pause, and when it ends
        self._entered: dict[str, float] = {}  # when, by the monotonic clock
        self._said_behind = self._said_delayed = float("-inf")
        self._said_holes = 0
        self._holes_at = 0.0
        self._said_strays: set[str] = set()
        self._quotas: dict[str, tuple[Window, list[int]]] = {}  # of log lines, and those left out
        self._least_delay: int | None = None  # ns from an event's time to its arrival
        self._clocks = time.time() - time.monotonic()
        self._renew_at = _next(settings.renew_at, datetime.now(UTC))

    def entered(self, names: Iterable[str], now: float) -> None:
        """These streams have been acknowledged."""
        self._entered.update(dict.fromkeys(names, now))

    def forgotten(self, names: Iterable[str]) -> None:
        """These streams are not wanted any more."""
        for name in names:
            self._entered.pop(name, None)
            self._silent.pop(name, None)

    def forget(self, number: int) -> None:
        """This connection is no more."""
        self._frames_seen.pop(number, None)

    def look(self, lines: Mapping[int, Line], now: float) -> None:
        """What the connections have brought since the last look."""
        inbox = self._inbox
        streams = self._ledger.sequencer.streams
        for number, line in lines.items():
            if line.frames != self._frames_seen.get(number):
                self._frames_seen[number] = line.frames
                self.supervisor.heard(number, now)
            fresh = self.supervisor.fresh(number)
            if fresh:
                come = [n for n in fresh if n in streams and streams[n].in_step(line)]
                self.supervisor.came(number, come)
        self._look_at_clocks(now)
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
            self.say("behind", f"{text} so far", waiting=waiting, dropped=dropped)
        if self._ledger.holes_count > self._said_holes and now >= self._holes_at:
            self._holes_at = now + 1.0
            self._say_holes()
        self._say_strays()
        self._look_for_delay(lines, now)

    def _look_at_clocks(self, now: float) -> None:
        """A wall clock that jumps means that it was set, or that the machine was suspended."""
        clocks = time.time() - now
        jump, self._clocks = clocks - self._clocks, clocks
        if abs(jump) >= _JUMP_SECONDS:
            self._least_delay = None
            self.supervisor.awake(now)
            text = f"the clock of this machine has jumped by {jump:+.1f} s: are we still connected?"
            self.say("clock", text, jump=jump)

    def _look_for_delay(self, lines: Mapping[int, Line], now: float) -> None:
        """Says when events come ever later: the link does not carry the streams."""
        delays = [line.delay for line in lines.values() if line.frames]
        if not delays or self._inbox.full:
            return
        least = min(delays)
        self._least_delay = least if self._least_delay is None else min(self._least_delay, least)
        behind = (max(delays) - self._least_delay) / 1e9
        if behind >= _DELAYED_SECONDS and now - self._said_delayed >= _BEHIND_SECONDS:
            self._said_delayed = now
            late = max((line for line in lines.values()), key=lambda line: line.delay)
            text = f"{late.name}: events come {behind:.1f} s late: does the link carry the streams?"
            self.say("delayed", text, seconds=behind, connection=late.name)

    def _say_strays(self) -> None:
        strays = self._ledger.strays
        if len(strays) > len(self._said_strays):
            names = [name for name in strays if name not in self._said_strays]
            self._said_strays.update(names)
            few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            text = f"events come of streams that nobody has subscribed to: {few}"
            self.say("strays", text, streams=names)

    def _say_holes(self) -> None:
        ledger = self._ledger
        count, self._said_holes = ledger.holes_count - self._said_holes, ledger.holes_count
        holes = ledger.holes_since(self._said_holes - count)
        few = [f"{h.stream} {h.last_before + 1} to {h.first_after - 1}" for h in holes[:3]]
        if holes:  # else what came late has filled them
            more = ", ..." if len(holes) > 3 else ""
            text = f"{count:,} hole{'s' * (count != 1)}: {', '.join(few)}{more} ({holes[0].cause})"
            self.say("holes", text, count=count, streams=sorted({h.stream for h in holes}))

    def say(self, event: str, text: str, level: int = logging.WARNING, **fields: object) -> None:
        """A line of the log, with fields for formatters that show them; of a flood, the first."""
        now = time.monotonic()
        window, left_out = self._quotas.setdefault(event, (Window(*_MOST_LINES_LOGGED), [0]))
        if window.wait(now) > 0:
            left_out[0] += 1
            return
        window.note(now)
        if left_out[0]:
            text += f" ({left_out[0]:,} such lines before were left out)"
            left_out[0] = 0
        LOG.log(level, "%s: %s", self.url, text, extra={"feed": self.url, "event": event, **fields})

    def _look_for_silence(self, now: float) -> None:
        streams = self._ledger.sequencer.streams
        quiet = []
        for name in self.supervisor.streams:
            timeout = self._settings.stream_timeout.get(name.rpartition("@")[2])
            if timeout is None:
                continue
            stream = streams.get(name)
            heard = stream.heard / 1e9 if stream else 0.0
            if now - heard < timeout:
                self._silent.pop(name, None)
            if now - max(self._entered.get(name, now), heard) < timeout or self._inbox.full:
                continue
            pause, until = self._silent.get(name, (timeout, 0.0))
            if now >= until:  # again only after a pause that grows
                quiet.append(name)
                self._silent[name] = min(2 * pause, 3600.0), now + pause
        if quiet:
            self.supervisor.silent(quiet, now)
