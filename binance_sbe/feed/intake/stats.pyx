"""What a feed counts and measures: exact counters, and histograms of where time goes."""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_REALTIME, clock_gettime, clockid_t, timespec

cdef extern from *:
    """
    #ifdef __APPLE__                            /* the clock that Python's time.monotonic has */
    #define SBE_MONOTONIC CLOCK_UPTIME_RAW
    #else
    #define SBE_MONOTONIC CLOCK_MONOTONIC
    #endif
    """
    clockid_t SBE_MONOTONIC


cdef int64_t now_ns() noexcept nogil:
    """time.time_ns()."""
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef int64_t monotonic_ns() noexcept nogil:
    """time.monotonic_ns(): for durations, since it does not step."""
    cdef timespec now
    clock_gettime(SBE_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef inline double middle_of(int bucket) noexcept nogil:
    cdef int shift = (bucket >> FINE) - 1
    if bucket < (2 << FINE):
        return bucket
    return <double>(<uint64_t>((1 << FINE) + (bucket & ((1 << FINE) - 1))) << shift) + (
        <double>(<uint64_t>1 << shift) - 1
    ) / 2


cdef class Histogram:
    """Durations in ns, in buckets of at most 3 % of their value; counts and ``max`` are exact.

    Durations below zero (between two clocks that differ) are in ``count``, counted in ``negative``,
    and taken as 0 otherwise. Not a copy: it goes on counting.
    """

    def add(self, int64_t ns, int64_t times=1):
        """Counts a duration, ``times`` times. ValueError for a negative number of times."""
        if times < 0:
            raise ValueError(f"times is not negative: {times}")
        if times:
            note(self, ns, times)

    @property
    def mean(self):
        """In ns, exact but for rounding; NaN where nothing was counted."""
        return self.total / self.count if self.count else NAN

    def percentile(self, double percent):
        """The duration in ns that ``percent`` of all do not exceed; NaN where nothing was counted.

        The middle of its bucket, so that it is off by 1.6 % at most; 100 gives ``max``.
        """
        cdef double wanted, seen = 0
        cdef int i
        if not 0 <= percent <= 100:
            raise ValueError(f"percent is from 0 to 100, not {percent}")
        if self.count == 0:
            return NAN
        wanted = percent / 100 * self.count * (1 - 1e-12)   # 99.9 % of 1000 is 999, not a bit more
        for i in range(BUCKETS):
            seen += self.buckets[i]
            if seen >= wanted and seen > 0:
                break
        return min(middle_of(i), <double>self.max) if percent < 100 else <double>self.max

    def counts(self, edges):
        """How many there are up to each of these durations (ns, each above the one before).

        One count more is of those beyond the last. Off by the width of a bucket at each edge.
        ValueError where the edges do not rise.
        """
        cdef list found = [0] * (len(edges) + 1)
        cdef double before = -1
        cdef int i, place = 0
        for edge in edges:
            if not edge > before:
                raise ValueError(f"edges rise from 0 on, and {edge} does not")
            before = edge
        for i in range(BUCKETS):
            if self.buckets[i]:
                while place < len(edges) and middle_of(i) > edges[place]:
                    place += 1
                found[place] += self.buckets[i]
        return found

    @property
    def p50(self):
        return self.percentile(50)

    @property
    def p99(self):
        return self.percentile(99)

    @property
    def p999(self):
        """The 99.9th percentile."""
        return self.percentile(99.9)

    def __repr__(self):
        if self.count == 0:
            return "<Histogram, empty>"
        return (
            f"<Histogram of {self.count}: p50 {self.p50:.0f} ns, p99 {self.p99:.0f} ns, "
            f"p99.9 {self.p999:.0f} ns, max {self.max} ns>"
        )


cdef class Stats:
    """What a feed has seen since it was opened. Counters are exact.

    - ``frames``, ``bytes``: binary frames, and their bytes without WebSocket headers
    - ``texts``: text frames: replies and notices
    - ``rejected``: frames that were no message of the schema
    - ``left_over_bytes``: bytes after the last element of messages, from senders that are not newer

    The histograms say where time goes, message by message. Those that came in one read of the
    socket have one time of arrival, and are decoded when the last of them is.

    - ``event_to_received``: from the exchange's event time to here, by two clocks
    - ``received_to_decoded``: waiting in the queue included
    - ``decoded_to_handed_over``: until iteration gives it
    - ``decoding``: decoding alone; of rows, the mean of those that came together; of messages that
      came together one in 16 is timed, and counts for those after it

    Of a tape that is played times are those of the tape, by which nothing takes time but waiting.
    """

    def __cinit__(self):
        self.event_to_received = Histogram()
        self.received_to_decoded = Histogram()
        self.decoded_to_handed_over = Histogram()
        self.decoding = Histogram()

    def decode_ns(self, double percent):
        """``decoding.percentile(percent)``."""
        return self.decoding.percentile(percent)

    def __repr__(self):
        return (
            f"Stats(frames={self.frames}, bytes={self.bytes}, texts={self.texts}, "
            f"rejected={self.rejected}, left_over_bytes={self.left_over_bytes})"
        )
