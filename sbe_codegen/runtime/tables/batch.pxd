"""Many frames into tables: what `decode_many` and `Collector` of a generated module stand on."""

from libc.stdint cimport int64_t

from ..decode.cursor cimport rewind, sbe_cursor
from ..decode.message cimport Schema
from .rows cimport TOO_LATE, Rows, add_row
from .tables cimport append_t


cdef class Collector:
    cdef Rows rows              # None in a Collector of no module

    cdef int open(
        self, Schema schema, append_t append_frames, object capacity, object on_error,
        object symbols,
    ) except -1


cdef inline int collect_row(
    Collector collector, sbe_cursor* cursor, int64_t received_ns
) except -1:
    """`add_row` to the rows that the collector has now: ADDED or REFUSED."""
    cdef int added = add_row(collector.rows, cursor, received_ns)
    while added == TOO_LATE:
        rewind(cursor, cursor.start)
        added = add_row(collector.rows, cursor, received_ns)
    return added


cdef object take_batch(Collector collector)
cdef object decode_frames(
    Schema schema, append_t append_frames, object frames, object on_error, object symbols
)
