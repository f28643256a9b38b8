"""Frames that were no message."""

from libc.stdint cimport int64_t, uint8_t

from .streams cimport Source


cdef class DamagedFrames:
    cdef readonly int64_t count
    cdef readonly object unknown        # a dict: template -> how often
    cdef object frames                  # deque of (frame, received, name of the connection)
    cdef int64_t size                   # of these

    cdef bint add(
        self, const uint8_t* data, Py_ssize_t size, int64_t received, Source source, int kind
    ) except -1
