"""The ids that were left out of streams."""

from libc.stdint cimport int64_t

from .streams cimport Stream, sbe_event


cdef class Holes:
    cdef object note_hole
    cdef object note_late

    cdef int add(
        self, Stream stream, int64_t before, int64_t after, int64_t received, str cause
    ) except -1
    cdef int note_ids(
        self, Stream stream, int64_t before, const sbe_event* event, int64_t received, list ids
    ) except -1
    cdef object fill(
        self, Stream stream, const sbe_event* event, int64_t first, list odd_ids
    )
