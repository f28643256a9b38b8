"""Counters and histograms that code without Python objects keeps."""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    FINE = 5                    # bits of a value that choose its bucket: 32 buckets an octave
    BUCKETS = (64 - FINE + 1) << FINE


cdef class Histogram:
    cdef readonly int64_t count
    cdef readonly int64_t negative
    cdef readonly int64_t max
    cdef double total
    cdef uint64_t[BUCKETS] buckets

    cdef void note(self, int64_t ns, int64_t times) noexcept nogil


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
