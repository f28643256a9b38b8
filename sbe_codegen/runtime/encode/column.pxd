"""One var data of a table, as `many` writes it."""

cimport numpy as np
from libc.stdint cimport uint8_t

from .copies cimport sbe_text
from .vardata cimport Data

cdef enum:
    NO_TEXT = 0xFFFFFFFF


cdef class Column:
    cdef Data data
    cdef bint is_there, is_text
    cdef size_t code_at             # of the code in a row
    cdef sbe_text* texts
    cdef size_t text_count
    cdef object held                # what the texts point into
    cdef np.ndarray content, ends

    cdef bint is_left_out(self, const uint8_t* row, size_t i, bint is_after) noexcept
