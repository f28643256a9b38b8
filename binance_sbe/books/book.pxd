"""The object around a `sbe_book`: keeps the diffs that wait, and says in words what went wrong."""

from libc.stdint cimport int64_t

from ..spot_stream cimport DepthDiffStreamEvent
from .book_core cimport sbe_book, sbe_book_code
from .waiting_diffs cimport WaitingDiffs


cdef class Book:
    cdef sbe_book core
    cdef readonly str symbol
    cdef readonly str on_error
    cdef int64_t near_time              # us: of the latest event that its snapshot has in it, or 0
    cdef readonly int64_t snapshots
    cdef str marked             # a reason that the book can't know itself
    cdef WaitingDiffs waiting

    cdef bint took(self, sbe_book_code code) except -1
    cdef refused(self, str problem)
