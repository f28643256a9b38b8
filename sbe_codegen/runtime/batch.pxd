"""Many frames into tables: what `decode_many` and `Collector` of a generated module stand on."""

from .message cimport Schema
from .rows cimport Rows
from .tables cimport append_t


cdef class Collector:
    cdef Rows rows              # None in a Collector of no module

    cdef int open(
        self, Schema schema, append_t append_frame, object capacity, object on_error
    ) except -1


cdef object decode_frames(Schema schema, append_t append_frame, object frames, object on_error)
