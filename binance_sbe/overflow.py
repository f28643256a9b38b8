"""Frames that wait for the consumer, and what is done when there are too many."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

from .ledger import Ledger
from .sequencer import Stream
from .streams import KINDS

POLICIES = ("block", "drop_oldest", "conflate", "raise")
CONFLATED = ("bestBidAsk", "depth20")  # each event replaces the one before


class _Waiting:
    """One frame; None once it was dropped."""

    __slots__ = ("frame", "received", "stream")

    def __init__(self, frame: bytes, received: int, stream: Stream | None) -> None:
        self.frame: bytes | None = frame
        self.received = received
        self.stream = stream


def policies(given: str | Mapping[str, str]) -> dict[str, str]:
    """The policy of each kind of stream. ValueError for what is none.

    ``conflate`` for all means conflate where events replace each other, and block elsewhere.
    """
    if isinstance(given, str):
        others = "block" if given == "conflate" else given
        given = {kind: given if kind in CONFLATED else others for kind in KINDS}
    for kind, policy in given.items():
        if kind not in KINDS:
            raise ValueError(f"on_overflow: '{kind}' is not a kind: {', '.join(KINDS)}")
        if policy not in POLICIES:
            raise ValueError(f"on_overflow is one of {', '.join(POLICIES)}, not {policy!r}")
        if policy == "conflate" and kind not in CONFLATED:
            raise ValueError(
                f"on_overflow: events of '{kind}' do not replace each other: "
                f"only {' and '.join(CONFLATED)} can be conflated"
            )
    return {**dict.fromkeys(KINDS, "block"), **given}


class FrameQueue:
    """In the order of arrival. ``limit`` is where the policies begin to act.

    ``blocking`` is how many wait that are never dropped. ``overflowed`` is the name of the stream
    that had no room, under the policy ``raise``: from then on its frames are not kept.
    """

    def __init__(self, limit: int, policy: Mapping[str, str], ledger: Ledger) -> None:
        self.limit = limit
        self.overflowed: str | None = None
        self.blocking = 0
        self._policy = policy
        self._ledger = ledger
        self._frames: deque[_Waiting] = deque()
        self._gone = 0  # of those, dropped
        self._tracks = any(each in ("drop_oldest", "conflate") for each in policy.values())
        self._by_stream: defaultdict[Stream, deque[_Waiting]] = defaultdict(deque)

    def __len__(self) -> int:
        return len(self._frames) - self._gone

    def append(self, frame: bytes, received: int, stream: Stream | None) -> None:
        """``stream`` is None where the frame is no message: such frames are never dropped."""
        waiting = _Waiting(frame, received, stream)
        policy = "block" if stream is None else self._policy[stream.kind]
        if policy == "block":
            self.blocking += 1
        elif stream is not None and len(self) >= self.limit:
            self._make_room(stream, policy)
            if policy == "raise":
                self._note_dropped(waiting)
                return
        self._frames.append(waiting)
        if self._tracks and stream is not None:
            self._by_stream[stream].append(waiting)

    def _make_room(self, stream: Stream, policy: str) -> None:
        if policy == "raise":
            self.overflowed = self.overflowed or stream.name
            return
        own = self._by_stream[stream]
        victims = own if policy == "conflate" or own else self._oldest_queue()
        while victims:
            self._drop(victims.popleft())
            if policy == "drop_oldest":
                break
        if self._gone > max(self.limit, 1000):
            self._frames = deque(each for each in self._frames if each.frame is not None)
            self._gone = 0

    def _oldest_queue(self) -> deque[_Waiting]:
        """That of the stream of the oldest frame which may be dropped."""
        for each in self._frames:
            if each.frame is None or each.stream is None:
                continue
            if self._policy[each.stream.kind] in ("drop_oldest", "conflate"):
                return self._by_stream[each.stream]
        return deque()

    def _drop(self, waiting: _Waiting) -> None:
        self._note_dropped(waiting)
        waiting.frame = None
        self._gone += 1

    def _note_dropped(self, waiting: _Waiting) -> None:
        assert waiting.frame is not None
        assert waiting.stream is not None
        first, last = self._ledger.sequencer.ids(waiting.frame)
        self._ledger.note_dropped(waiting.stream, first, last, waiting.received)

    def popleft(self) -> tuple[bytes, int, Stream | None]:
        """The oldest frame, when it came, and its stream. IndexError where there is none."""
        while True:
            waiting = self._frames.popleft()
            if waiting.frame is None:
                self._gone -= 1
                continue
            if waiting.stream is None or self._policy[waiting.stream.kind] == "block":
                self.blocking -= 1
            if waiting.stream is not None:
                if self._tracks:
                    self._by_stream[waiting.stream].popleft()
                self._ledger.note_taken(waiting.stream)
            return waiting.frame, waiting.received, waiting.stream
