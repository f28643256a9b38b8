"""Frames that wait for the consumer, and what is done when there are too many."""

cimport cython
from libc.stdint cimport int64_t

from .streams cimport Stream, sbe_event

from collections import deque

from ...venue.streams import KINDS, REPLACED

POLICIES = ("block", "drop_oldest", "conflate", "raise")


def policies(given):
    """The policy of each kind of stream. ValueError for what is none.

    ``conflate`` for all means conflate where events replace each other, and block elsewhere.
    """
    if isinstance(given, str):
        others = "block" if given == "conflate" else given
        given = {kind: given if kind in REPLACED else others for kind in KINDS}
    for kind, policy in given.items():
        if kind not in KINDS:
            raise ValueError(f"on_overflow: '{kind}' is not a kind: {', '.join(KINDS)}")
        if policy not in POLICIES:
            raise ValueError(f"on_overflow is one of {', '.join(POLICIES)}, not {policy!r}")
        if policy == "conflate" and kind not in REPLACED:
            raise ValueError(
                f"on_overflow: events of '{kind}' do not replace each other: "
                f"only {' and '.join(REPLACED)} can be conflated"
            )
    return {**dict.fromkeys(KINDS, "block"), **given}


# The collector need not know it: it refers to bytes and to a Stream, none of which leads back here.
@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Waiting:
    pass


@cython.final
cdef class FrameQueue:
    """In the order of arrival. ``limit`` is where the policies begin to act.

    ``account`` is told of each frame that is dropped, and of those that are handed over after
    that (see `account.Account`).

    ``blocking`` is how many wait that are never dropped. ``overflowed`` is the name of the stream
    that had no room, under the policy ``raise``: from then on its frames are not kept.
    """

    def __cinit__(self, Py_ssize_t limit, policy, account):
        self.limit = limit
        self.policy = dict(policy)
        self.account = account
        self.frames = deque()
        self.tracks = any(each in ("drop_oldest", "conflate") for each in policy.values())
        self.by_stream = {}

    def __len__(self):
        return self.count()

    def append(self, bytes frame not None, int64_t received, Stream stream, first=0, last=0):
        """``stream`` is None where the frame is no message: such frames are never dropped.

        ``first`` and ``last`` are the ids that it brings, for the account of what is dropped.
        """
        cdef sbe_event event
        event.first, event.last = first, last
        self.add(frame, received, stream, &event)

    def popleft(self):
        """The oldest frame, when it came, and its stream. IndexError where there is none."""
        cdef Waiting waiting = self.take()
        return waiting.frame, waiting.received, waiting.stream

    cdef Py_ssize_t count(self) except -1:
        return len(self.frames) - self.gone

    cdef int add(
        self, bytes frame, int64_t received, Stream stream, const sbe_event* event
    ) except -1:
        cdef Waiting waiting = Waiting.__new__(Waiting)
        cdef str policy = "block" if stream is None else self.policy[stream.kind]
        waiting.frame = frame
        waiting.received = received
        waiting.stream = stream
        if event != NULL:
            waiting.first, waiting.last = event.first, event.last
        # The account is told of what is dropped before the new one is in the queue: it is ours, and
        # looks at neither.
        if policy == "block":
            self.blocking += 1
        elif self.count() >= self.limit:
            self.make_room(stream, policy)
            if policy == "raise":
                self.note_dropped(waiting)
                return 0
        self.frames.append(waiting)
        if self.tracks and stream is not None:
            self.queue_of(stream).append(waiting)
        return 0

    cdef Waiting take(self):
        cdef Waiting waiting
        while True:
            waiting = self.frames.popleft()
            if waiting.frame is not None:
                break
            self.gone -= 1
        if waiting.stream is None:
            self.blocking -= 1
            return waiting
        if self.policy[waiting.stream.kind] == "block":
            self.blocking -= 1
        if self.tracks:
            self.queue_of(waiting.stream).popleft()
        if self.has_dropped:
            self.account.note_taken(waiting.stream)
        return waiting

    cdef int note_emptied(self) except -1:
        """What comes next does not wait here: what is dropped after that makes holes of its own."""
        if self.has_dropped and self.count() == 0:
            self.account.note_all_taken()
        return 0

    cdef object queue_of(self, Stream stream):
        """Those that wait, of one stream."""
        own = self.by_stream.get(stream)
        if own is None:
            own = self.by_stream[stream] = deque()
        return own

    cdef int make_room(self, Stream stream, str policy) except -1:
        if policy == "raise":
            self.overflowed = self.overflowed or stream.name
            return 0
        own = self.queue_of(stream)
        victims = own if policy == "conflate" or own else self.oldest_queue()
        while victims:
            self.drop(victims.popleft())
            if policy == "drop_oldest":
                break
        if self.gone > max(self.limit, 1000):
            self.frames = deque(each for each in self.frames if (<Waiting>each).frame is not None)
            self.gone = 0
        return 0

    cdef object oldest_queue(self):
        """That of the stream of the oldest frame which may be dropped."""
        cdef Waiting each
        for each in self.frames:
            if each.frame is None or each.stream is None:
                continue
            if self.policy[each.stream.kind] in ("drop_oldest", "conflate"):
                return self.queue_of(each.stream)
        return ()

    cdef int drop(self, Waiting waiting) except -1:
        self.note_dropped(waiting)
        # It is somewhere inside `frames`, out of which nothing is taken but at its ends: it stays
        # there, and only what it holds is let go of.
        waiting.frame = None
        self.gone += 1
        return 0

    cdef int note_dropped(self, Waiting waiting) except -1:
        self.has_dropped = True
        self.account.note_dropped(waiting.stream, waiting.first, waiting.last, waiting.received)
        return 0
