"""Connections and streams, as arbitration knows them: what each has brought, and up to where."""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t

from ...venue.kinds cimport DEPTH20, KINDS
from .stats cimport Histogram

cdef enum:
    RECENT = 16                 # events whose time of arrival is remembered


cdef struct sbe_event:
    int64_t first               # ids: of trades, or of updates of the book; the lowest and
    int64_t last                # the highest; INT64_MIN where there are none
    int64_t time                # event time, us
    bint odd                    # its ids do not simply follow upon each other: `Arbiter.odd_ids`


cdef struct sbe_arrival:
    int64_t last
    int64_t received            # ns


# One connection's part in one stream. Legs move when one is added or removed: a pointer to one is
# good until then, and is never kept.
cdef struct sbe_leg:
    PyObject* source            # borrowed: Stream.sources has it
    int64_t begin               # the connection has brought all that was sent from this id on
    int64_t at                  # up to this one; INT64_MIN: it has brought nothing
    int64_t time                # event time of that, us
    int64_t epoch               # of damage of its kind, when it came
    bint covers                 # the exchange has acknowledged the stream on it
    bint behind                 # it may still bring what was sent before `Stream.era`


cdef class Source:
    """One connection, and what came through it."""

    cdef readonly int number
    cdef readonly str name
    cdef readonly int64_t frames
    cdef readonly int64_t bytes
    cdef readonly int64_t won
    cdef readonly int64_t duplicates
    cdef readonly int64_t damaged
    cdef readonly int64_t unwanted
    cdef readonly int64_t received      # ns, of the last read
    cdef readonly Histogram lag         # of what another connection had brought before
    cdef readonly int64_t delay         # ns from the time of the latest event to its arrival
    cdef int64_t damaged_at
    cdef int64_t[KINDS] epochs          # by kind: how many frames of it came damaged
    cdef readonly bint gone             # nothing that still comes through it counts
    cdef set streams                    # in which it has a leg


cdef class Stream:
    cdef readonly str name
    cdef readonly str kind
    cdef readonly int64_t frames
    cdef readonly int64_t duplicates
    cdef readonly int64_t out_of_order
    cdef readonly int64_t late
    cdef readonly int64_t overlaps
    cdef readonly int64_t culled
    cdef readonly object lost           # an int: gaps of 2**64 ids can't be counted in 64 bits
    cdef public int64_t dropped
    cdef readonly int64_t last          # the id up to which events were handed on, or INT64_MIN
    cdef readonly int64_t received      # ns since 1970, when that came
    cdef readonly int64_t heard         # the same by the monotonic clock
    cdef int number                     # its kind: TRADE and so on
    cdef bint jumps                     # ids need not follow upon each other
    cdef bint is_stray                  # stands for all streams that nobody has subscribed to
    cdef bint forgotten                 # not subscribed any more
    cdef bint resumes                   # subscribed again, and nothing has come since
    cdef int64_t last_time              # the latest event time of what was handed on
    cdef int64_t era                    # the time of the first event of a new count
    cdef int64_t era_since              # when that came, by the monotonic clock
    cdef int64_t gap_top                # no id above was left out
    cdef object gaps                    # Intervals: ids up to `last` that were not handed on
    cdef sbe_leg* legs
    cdef int leg_count
    cdef int leg_room
    cdef list sources                   # whose legs these are, in the same order: it owns them
    cdef sbe_arrival[RECENT] recent
    cdef public object cause            # of the break before the next event, or None
    cdef list held                      # heap of frames that wait for another connection's, or None
    cdef object arrivals                # deque of the same, in the order in which they came
    cdef list freed                     # frames that need not wait any more

    cdef int reset(self) except -1
    cdef void forget_legs(self) noexcept
    cdef sbe_leg* add_leg(self, Source source) except NULL
    cdef int remove_leg(self, Source source) except -1
    cdef int cover(self, Source source) except -1
    cdef int lose(self, Source source, str cause, bint whole) except -1
    cdef int forget(self) except -1


cdef inline sbe_leg* leg_of(Stream stream, Source source) noexcept:
    """A connection's part in a stream, NULL where it has none."""
    cdef int i
    for i in range(stream.leg_count):
        if stream.legs[i].source == <PyObject*>source:
            return &stream.legs[i]
    return NULL


cdef inline bint is_next(const sbe_event* event, int64_t last) noexcept:
    """Whether its first id is the one after ``last``, whatever numbers these are."""
    return <uint64_t>event.first - <uint64_t>last == 1 and last != INT64_MIN


cdef inline void accept(
    Stream stream, Source source, sbe_leg* leg, const sbe_event* event, int64_t received,
    int64_t moment
) noexcept:
    """The event is handed on."""
    cdef sbe_arrival* arrival
    leg.at = event.last
    leg.time = event.time
    stream.last = event.last
    if event.time > stream.last_time:           # an exchange's clocks may step back a little
        stream.last_time = event.time
    stream.received = received
    stream.heard = moment
    source.won += 1
    if stream.leg_count > 1:                    # others may bring it again
        arrival = &stream.recent[stream.frames & (RECENT - 1)]
        arrival.last = event.last
        arrival.received = received
    stream.frames += 1


cdef inline bint is_old(Stream stream, const sbe_event* event) noexcept:
    """Whether all of the event is at or before what was handed on."""
    if event.last != stream.last or stream.number != DEPTH20:
        return event.last <= stream.last
    return event.time <= stream.last_time       # a book at rest is sent again, and is news then


cdef inline bint leaves_no_gap(Stream stream, const sbe_event* event) noexcept:
    return event.first <= stream.last or is_next(event, stream.last)


cdef inline bint passed_over(
    Stream stream, const sbe_event* event, int64_t begin=INT64_MAX
) noexcept:
    """Whether one connection has brought all that was sent from what was handed on up to an event.

    The event's own connection has from ``begin`` on.
    """
    cdef int i
    cdef sbe_leg* leg
    if begin <= stream.last:
        return True
    for i in range(stream.leg_count):
        leg = &stream.legs[i]
        if (
            leg.at != INT64_MIN and leg.begin <= stream.last and leg.at >= event.last
            and leg.epoch == (<Source>leg.source).epochs[stream.number]
        ):
            return True
    return False


cdef bint is_awaited(Stream stream, Source source, const sbe_event* event) noexcept
