"""The tables of one batch while they are written, and the frames that were refused."""

from libc.stdint cimport int64_t, uint8_t

from ..decode.cursor cimport sbe_cursor, sbe_fault
from ..decode.message cimport Schema
from .tables cimport append_t, roll_back, sbe_frames, sbe_buffer, sbe_table, sbe_tables


cdef enum:                      # what became of a frame
    REFUSED, ADDED, TOO_LATE


cdef class Rows:
    cdef readonly Schema schema
    cdef append_t append_frames
    cdef sbe_tables tables
    cdef sbe_buffer faults      # of Rejection
    cdef bint collect           # refused frames are noted, not raised
    cdef size_t prefix
    cdef readonly int64_t frame_count
    cdef readonly int64_t refused
    cdef readonly int64_t left_over_bytes       # once it is finished
    cdef object symbols         # Symbols that batches share, or None
    cdef bint finished          # handed over: nothing may be added any more
    cdef list made              # Written of each class that was asked for, once any was
    cdef object made_rejections

    cdef Rows fresh(self)
    cdef int settle(
        self, sbe_cursor* cursor, const uint8_t* start, int64_t received_ns
    ) except -1
    cdef int add_all(self, object frames) except -1
    cdef int add_leased(self, object frame, Py_ssize_t i) except -1
    cdef int open_message(self, sbe_table* table, size_t number) except -1
    cdef int open_wanted(self) except -1
    cdef int reject(self, const sbe_fault* fault) except -1
    cdef object finish(self)


cdef Rows new_rows(
    Schema schema, append_t append_frames, Py_ssize_t capacity, object on_error, size_t prefix
)


cdef inline int add_row(Rows rows, sbe_cursor* cursor, int64_t received_ns) except -1:
    """The frame at the cursor; ADDED, REFUSED (and noted), or TOO_LATE.

    TOO_LATE: Python code that ran meanwhile has handed over these rows, which have not changed. On a
    DecodeError nothing has changed either.
    """
    cdef sbe_fault fault
    cdef const uint8_t* start = cursor.position
    cursor.fault = &fault
    rows.tables.frame = rows.frame_count
    rows.tables.received_ns = received_ns
    if rows.append_frames(&rows.tables, cursor, sbe_frames(NULL, NULL), 1) == 0:
        return rows.settle(cursor, start, received_ns)
    rows.frame_count += 1
    return ADDED


cdef inline void undo_row(Rows rows, size_t table) noexcept:
    """Takes back the row that `add_row` has just added to a table."""
    rows.tables.items[table].rows.used -= rows.tables.items[table].itemsize
    roll_back(&rows.tables.items[table])
    rows.frame_count -= 1
