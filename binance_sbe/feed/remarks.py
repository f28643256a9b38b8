"""What is noticed of a feed from time to time, and said in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from sbe_codegen.printing import counted

from ..logs import LOG
from .intake.backlog import Backlog
from .intake.streams import Source
from .ledger import Ledger
from .protocol.pacing import Window

_BEHIND_SECONDS = 10.0  # between two log lines about a slow consumer, or a slow link
_DELAYED_SECONDS = 3.0  # that events come later than the quickest have
_MOST_LINES_LOGGED = (10, 10.0)  # of one kind of event, in so many seconds


class Remarks:
    """Says what the ledger has got, and who is behind. The times are of the monotonic clock."""

    def __init__(self, url: str, backlog: Backlog, ledger: Ledger) -> None:
        self.url = url
        self._backlog = backlog
        self._ledger = ledger
        self._said_behind = self._said_delayed = float("-inf")
        self._said_holes = 0
        self._holes_at = 0.0
        self._said_strays: set[str] = set()
        self._quotas: dict[str, tuple[Window, list[int]]] = {}  # of log lines, and those left out
        self._least_delay: int | None = None  # ns from an event's time to its arrival

    def look(self, sources: Collection[Source], now: float) -> None:
        """``sources`` are the connections that are open."""
        waiting = self._backlog.pending
        if waiting >= self._backlog.limit and now - self._said_behind >= _BEHIND_SECONDS:
            self._said_behind = now
            dropped = self._ledger.dropped
            text = f"the consumer is behind: {waiting:,} frames wait, {dropped:,} were dropped"
            self.say("behind", f"{text} so far", waiting=waiting, dropped=dropped)
        if self._ledger.holes_count > self._said_holes and now >= self._holes_at:
            self._holes_at = now + 1.0
            self._say_holes()
        self._say_strays()
        self._look_for_delay(sources, now)

    def clock_jumped(self, jump: float) -> None:
        """The clock of this machine has jumped by so many seconds."""
        self._least_delay = None
        text = f"the clock of this machine has jumped by {jump:+.1f} s: are we still connected?"
        self.say("clock", text, jump=jump)

    def _look_for_delay(self, sources: Collection[Source], now: float) -> None:
        """Says when events come ever later: the link does not carry the streams."""
        heard = [source for source in sources if source.frames]
        if not heard or self._backlog.full:
            return
        least = min(source.delay for source in heard)
        self._least_delay = least if self._least_delay is None else min(self._least_delay, least)
        late = max(heard, key=lambda source: source.delay)
        behind = (late.delay - self._least_delay) / 1e9
        if behind >= _DELAYED_SECONDS and now - self._said_delayed >= _BEHIND_SECONDS:
            self._said_delayed = now
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
            text = f"{counted(count, 'hole')}: {', '.join(few)}{more} ({holes[0].cause})"
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
