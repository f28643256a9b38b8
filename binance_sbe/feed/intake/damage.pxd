"""Frames that were no message: counted, and kept within a bound."""

from libc.stdint cimport int64_t, uint8_t

from .sequencer cimport Line

cdef class DamagedFrames:
    cdef readonly int64_t count
    cdef readonly dict unknown          # by template: how often it was seen
    cdef object frames                  # deque of (frame, received, connection)
    cdef int64_t size                   # their bytes

    cdef bint add(self, const uint8_t* data, Py_ssize_t size, int64_t received, Line line) except -1
