"""Where a recorder is shown each frame that comes, before anybody judges it."""

from libc.stdint cimport int64_t, uint8_t

from .streams cimport Source


cdef struct sbe_span:           # a frame, where it lies: borrowed from who has read it
    const uint8_t* data
    Py_ssize_t size


cdef class Tap:
    cdef int take(
        self, Source source, const sbe_span* spans, Py_ssize_t count, int64_t received,
        int64_t* moment
    ) except -1
