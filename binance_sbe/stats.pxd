"""Counters and histograms that code without Python objects keeps."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #define sbe_top_bit(value) (63 - __builtin_clzll(value))
    """
    int sbe_top_bit(uint64_t value) noexcept nogil


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


cdef int64_t now_ns() noexcept nogil


cdef inline int bucket_of(uint64_t value) noexcept nogil:
    """Up to 64 one value each; above, 32 buckets from each power of two to the next."""
    cdef int shift
    if value < (2 << FINE):
        return <int>value
    shift = sbe_top_bit(value) - FINE
    return ((shift + 1) << FINE) + <int>((value >> shift) & ((1 << FINE) - 1))


cdef inline void note(Histogram histogram, int64_t ns, int64_t times) noexcept nogil:
    """Counts a duration, ``times`` times."""
    if ns < 0:
        histogram.negative += times
        ns = 0
    histogram.buckets[bucket_of(<uint64_t>ns)] += <uint64_t>times
    histogram.count += times
    histogram.total += <double>ns * times
    if ns > histogram.max:
        histogram.max = ns


cdef inline int64_t since(int64_t event_time, int64_t received) noexcept nogil:
    """ns from an event time in us, which may be any number, to a time in ns."""
    return <int64_t>(<uint64_t>received - <uint64_t>event_time * 1000)
