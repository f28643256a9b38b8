"""Many frames into tables: what `decode_many` and `Collector` of a generated module stand on."""

from libc.stdint cimport int64_t

from .cursor cimport sbe_fault
from .message cimport Schema
from .tables cimport sbe_buffer, sbe_tables, append_t


cdef class Builder:
    """Tables being written, and the frames that could not be."""

    cdef Schema schema
    cdef append_t append_frame
    cdef sbe_tables tables
    cdef sbe_buffer faults          # of Rejection
    cdef bint collect
    cdef int64_t frame_count

    cdef int open(self, Schema schema, append_t append, Py_ssize_t capacity, object on_error,
                  size_t prefix) except -1
    cdef int add(self, object frame, int64_t received_ns) except -1
    cdef int add_run(self, object buffer, object offsets) except -1
    cdef int reject(self, const sbe_fault* fault) except -1
    cdef object finish(self)
    cdef int allocate(self, size_t prefix) except -1
    cdef void free(self) noexcept


cdef class Collector(Builder):
    pass


cdef object decode_frames(Schema schema, append_t append, object frames, object on_error)
