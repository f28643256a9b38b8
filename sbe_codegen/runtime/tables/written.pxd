"""What was written for a message, until it is asked for."""

from libc.stdint cimport int64_t

from ..decode.cursor cimport sbe_fault
from ..decode.message cimport Schema
from .tables cimport sbe_buffer, sbe_table


cdef struct Rejection:
    int64_t frame
    sbe_fault fault


cdef class Written:
    cdef sbe_table table        # owned, with all that is in it
    cdef object layout          # None of var data
    cdef object dtype           # of a row
    cdef object made_records    # None before they are asked for, as the others
    cdef object made_offsets
    cdef list made_inner        # Written of the groups and of var data
    cdef list made_texts

    cdef list inner(self)


cdef class Rejections:
    cdef Schema schema
    cdef sbe_buffer faults      # owned: of Rejection
    cdef object made_records    # None before they are asked for


cdef Written written(object layout, tuple columns)
cdef void move_table(sbe_table* to, sbe_table* table) noexcept
cdef void seal_table(sbe_table* table) noexcept
cdef void close_table(sbe_table* table) noexcept
