"""Counters and histograms that code without Python objects keeps."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #define sbe_top_bit(value) (63 - __builtin_clzll(value))
    #ifdef SBE_NO_HISTOGRAMS                    /* benchmarks/histogram_cost.py */
    #define SBE_HISTOGRAMS 0
    #else
    #define SBE_HISTOGRAMS 1
    #endif
    """
    int sbe_top_bit(uint64_t value) noexcept nogil
    const bint SBE_HISTOGRAMS


cdef enum:
    FINE = 5                    # bits of a value that choose its bucket: 32 buckets an octave
    BUCKETS = (64 - FINE + 1) << FINE


cdef class Histogram:
    cdef readonly int64_t count
    cdef readonly int64_t negative
    cdef readonly int64_t max
    cdef double total
    cdef uint64_t[BUCKETS] buckets


cdef class Stats:
    cdef public int64_t frames
    cdef public int64_t bytes
    cdef public int64_t texts
    cdef public int64_t rejected
    cdef public int64_t left_over_bytes
    cdef readonly Histogram event_to_received
    cdef readonly Histogram received_to_decoded
    cdef readonly Histogram decoded_to_handed_over
    cdef readonly Histogram decoding
    cdef public int64_t played_ns       # the time of a tape that is played; 0: that of the clock
    cdef int64_t timed_read     # when the message came that was timed last
    cdef int64_t took           # what its decoding took
    cdef int untimed            # messages since then


cdef int64_t now_ns() noexcept nogil
cdef int64_t monotonic_ns() noexcept nogil


cdef inline int64_t clock_of(Stats stats) noexcept:
    """The time that what is measured goes by."""
    return stats.played_ns if stats.played_ns else now_ns()


cdef inline int bucket_of(uint64_t value) noexcept nogil:
    """Up to 64 one value each; above, 32 buckets from each power of two to the next."""
    cdef int shift
    if value < (2 << FINE):
        return <int>value
    shift = sbe_top_bit(value) - FINE
    return ((shift + 1) << FINE) + <int>((value >> shift) & ((1 << FINE) - 1))


cdef inline void note(Histogram histogram, int64_t ns, int64_t times) noexcept nogil:
    """Counts a duration, ``times`` times."""
    if not SBE_HISTOGRAMS:
        return
    if ns < 0:
        histogram.negative += times
        ns = 0
    histogram.buckets[bucket_of(<uint64_t>ns)] += <uint64_t>times
    histogram.count += times
    histogram.total += <double>ns * times
    if ns > histogram.max:
        histogram.max = ns


cdef struct sbe_tally:          # durations that fall into one bucket, not counted there yet
    int bucket
    int64_t low                 # those from here
    uint64_t width              # up to here do
    int64_t times
    double total


cdef inline void count_tally(Histogram histogram, sbe_tally* tally) noexcept nogil:
    """Counts what there is of it."""
    histogram.buckets[tally.bucket] += <uint64_t>tally.times
    histogram.count += tally.times
    histogram.total += tally.total
    tally.times = 0
    tally.total = 0


cdef inline void note_next(Histogram histogram, sbe_tally* tally, int64_t ns) noexcept nogil:
    """`note` of one duration, many of which are nearly the same. `count_tally` is to follow."""
    cdef int shift
    if not SBE_HISTOGRAMS:
        return
    if <uint64_t>ns - <uint64_t>tally.low < tally.width:
        tally.times += 1
        tally.total += <double>ns
        return
    count_tally(histogram, tally)
    note(histogram, ns, 1)
    tally.width = 0
    if ns >= (2 << FINE):
        tally.bucket = bucket_of(<uint64_t>ns)
        shift = (tally.bucket >> FINE) - 1
        tally.low = <int64_t>(<uint64_t>ns >> shift << shift)
        tally.width = min(<uint64_t>1 << shift, <uint64_t>(histogram.max - tally.low) + 1)


cdef inline int64_t since(int64_t event_time, int64_t received) noexcept nogil:
    """ns from an event time in us, which may be any number, to a time in ns."""
    return <int64_t>(<uint64_t>received - <uint64_t>event_time * 1000)
