"""Connections and streams, as arbitration knows them.

What a connection has brought of a stream is a leg of the stream (`sbe_leg`). A leg is made by that
connection's subscription, or by the first event that it brings. Legs refer to connections without
owning them: `Stream.sources` does, as long as there is a leg.
"""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int64_t
from libc.stdlib cimport free, realloc

from .stats cimport Histogram

from ...venue import streams as table
from .intervals import Intervals


cdef class Source:
    """One connection, and what came through it.

    ``won`` counts the events that it brought first, ``duplicates`` those that another had brought;
    ``lag`` is a histogram (ns) of how long before. ``delay`` is the time from the latest event's
    event time to its arrival (ns, by two clocks). ``unwanted`` counts the frames that came after
    the feed had done with the connection.
    """

    def __cinit__(self, int number=0, str name="connection 1"):
        self.number = number
        self.name = name
        self.lag = Histogram()
        self.damaged_at = INT64_MIN
        self.streams = set()

    def __repr__(self):
        counts = f"{self.frames} frames, {self.won} first, {self.duplicates} again"
        return f"<Source {self.name}: {counts}>"


cdef class Stream:
    """What is known of one stream. Counters are exact.

    - ``frames``: events that were handed on
    - ``duplicates``: events dropped, as they were handed on before, or newer prices replaced them
    - ``out_of_order``: events that repeat, or go back, on one and the same connection
    - ``late``: events that were handed on after later ones: what they bring is in no hole any more
    - ``overlaps``: events that begin before the last one ends, and end after it
    - ``culled``: of bestBidAsk and depth20, gaps in the ids of the book, which are no loss
    - ``lost``: ids in holes, of trade and depth
    - ``dropped``: events that were dropped for a slow consumer
    """

    def __cinit__(self, str name, str kind):
        self.name = name
        self.kind = kind
        self.number = table.NAMES.index(kind)
        self.jumps = table.KINDS[kind].ids_jump
        self.lost = 0
        self.sources = []
        self.reset()

    def __dealloc__(self):
        free(self.legs)                 # which owned nothing

    def __repr__(self):
        return f"<Stream {self.name}: {self.frames} frames, {self.lost} lost>"

    cdef int reset(self) except -1:
        """What comes next follows upon nothing."""
        self.last = self.last_time = self.era = self.gap_top = INT64_MIN
        self.gaps = Intervals()
        self.forget_legs()
        return 0

    cdef void forget_legs(self) noexcept:
        """What the connections have brought says nothing of what they will."""
        cdef int i
        for i in range(self.leg_count):
            self.legs[i].at = INT64_MIN

    cdef sbe_leg* add_leg(self, Source source) except NULL:
        cdef sbe_leg* grown
        cdef sbe_leg* leg
        if self.leg_count == self.leg_room:
            grown = <sbe_leg*>realloc(self.legs, (self.leg_room + 2) * sizeof(sbe_leg))
            if grown == NULL:
                raise MemoryError()
            self.legs = grown
            self.leg_room += 2
        leg = &self.legs[self.leg_count]
        # `sources` owns what the legs borrow: it is appended to before the leg counts.
        self.sources.append(source)
        leg[0] = sbe_leg(
            <PyObject*>source, INT64_MIN, INT64_MIN, INT64_MIN, 0, False, self.era != INT64_MIN
        )
        source.streams.add(self)
        self.leg_count += 1
        return leg

    cdef int remove_leg(self, Source source) except -1:
        # The last takes its place in both, so that they stay in one order. The caller holds the
        # source: it is not let go of before its leg is gone.
        cdef int i
        for i in range(self.leg_count):
            if self.legs[i].source == <PyObject*>source:
                self.leg_count -= 1
                self.legs[i] = self.legs[self.leg_count]
                self.sources[i] = self.sources[self.leg_count]
                del self.sources[self.leg_count]
                break
        return 0

    cdef int cover(self, Source source) except -1:
        """The exchange has acknowledged this stream on a connection."""
        cdef sbe_leg* leg
        if self.forgotten:              # what came meanwhile was on its way already
            self.forgotten = False
            self.resumes = True
            self.forget_legs()
        leg = leg_of(self, source)
        if leg == NULL:
            leg = self.add_leg(source)
        leg.covers = True
        return 0

    cdef int lose(self, Source source, str cause, bint whole) except -1:
        """A connection brings nothing any more: see `arbiter.Arbiter.leave`."""
        cdef sbe_leg* leg
        cdef int i
        cdef bint stands = False        # another has brought all since what was handed on
        self.remove_leg(source)
        for i in range(self.leg_count):
            leg = &self.legs[i]
            if whole and leg.covers and leg.at == INT64_MIN and self.last != INT64_MIN:
                leg.begin = leg.at = self.last
                leg.time = INT64_MIN        # none of that was brought by itself
                leg.epoch = (<Source>leg.source).epochs[self.number]
            stands = stands or leg.at != INT64_MIN and leg.begin <= self.last
        if not stands and self.cause is None:
            self.cause = cause
        return 0

    cdef int forget(self) except -1:
        """Nobody wants this stream any more."""
        for source in self.sources:
            (<Source>source).streams.discard(self)
        self.leg_count = 0              # first: legs borrow from what is let go of then
        self.sources = []
        self.cause = None
        self.forgotten = True
        return 0

    @property
    def is_covered(self):
        """Whether a connection brings it: one that is open, and has subscribed."""
        cdef int i
        return any([self.legs[i].covers for i in range(self.leg_count)])

    def in_step(self, Source source not None):
        """Whether a connection has brought an event that was handed on, or the next."""
        cdef sbe_leg* leg = leg_of(self, source)
        return leg != NULL and leg.at != INT64_MIN and leg.begin <= self.last


cdef bint is_awaited(Stream stream, Source source, const sbe_event* event) noexcept:
    """Whether another connection may still bring what is missing before an event of this one."""
    cdef int i
    cdef sbe_leg* leg
    if stream.jumps and passed_over(stream, event):
        return False
    for i in range(stream.leg_count):
        leg = &stream.legs[i]
        if leg.source == <PyObject*>source or leg.at == INT64_MIN or leg.begin > stream.last:
            continue
        if leg.at < event.last if stream.jumps else leg.at < event.first - 1:
            return True
    return False
