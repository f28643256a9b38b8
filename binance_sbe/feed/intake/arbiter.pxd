"""Which frames are handed on: every event once and in order, whichever connection brings it."""

from libc.stdint cimport INT64_MIN, int64_t, uint64_t

from .directory cimport Directory
from .holes cimport Holes
from .streams cimport Source, Stream, accept, is_next, leg_of, sbe_event, sbe_leg

cdef enum:                      # what is to be done with a frame
    DROP, HAND_OVER, HAND_OVER_AND_MORE, HOLD


cdef class Arbiter:
    cdef readonly Directory directory
    cdef readonly set holding           # streams with frames that wait
    cdef readonly Py_ssize_t held_count
    cdef public Py_ssize_t most_held    # frames that wait at most
    cdef public int64_t patience        # ns that a frame waits at most
    cdef readonly int64_t stray_frames
    cdef Holes holes

    cdef int settle(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef int follow(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef int count_anew(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef int known_before(
        self, Stream stream, Source source, const sbe_event* event, int64_t before, int64_t received
    ) except -1
    cdef int repeated(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef object fill(self, Stream stream, const sbe_event* event, int64_t first)
    cdef int note_gap(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t begin
    ) except -1
    cdef list hold(
        self, Stream stream, Source source, const sbe_event* event, int64_t received,
        int64_t moment, object frame
    )
    cdef list next_held(self, Stream stream, int64_t due)
    cdef int damage(self, Source source, int kind, int64_t received) except -1


cdef inline int judge(
    Arbiter arbiter, Stream stream, Source source, const sbe_event* event, int64_t received,
    int64_t moment
) except -1:
    """What is to be done with an event that a connection brings.

    ``received`` is the time of arrival (ns since 1970), ``moment`` the same by the monotonic clock.
    """
    cdef sbe_leg* leg = leg_of(stream, source)
    source.delay = <int64_t>(<uint64_t>received - <uint64_t>event.time * 1000)
    if (
        leg != NULL and stream.held is None and not event.odd and leg.at != INT64_MIN
        and not leg.behind and leg.begin <= stream.last
        and leg.epoch == source.epochs[stream.number]
    ):
        if is_next(event, stream.last) and event.last >= event.first:
            accept(stream, source, leg, event, received, moment)
            return HAND_OVER
        if stream.jumps and event.last > stream.last:
            stream.culled += 1
            accept(stream, source, leg, event, received, moment)
            return HAND_OVER
    return arbiter.settle(stream, source, event, received, moment)
