"""The object around a `sbe_book`: keeps the diffs that wait, and says in words what went wrong."""

from libc.stdint cimport int64_t

from .book_core cimport sbe_book, sbe_book_code
from .levels cimport sbe_side
from ..spot_stream cimport DepthDiffStreamEvent


cdef class Book:
    cdef sbe_book core
    cdef readonly str symbol
    cdef readonly str on_error
    cdef readonly int64_t max_buffer
    cdef int64_t near_time              # us: of the latest event that its snapshot has in it, or 0
    cdef readonly int64_t snapshots
    cdef readonly int64_t not_buffered
    cdef str marked             # a reason that the book can't know itself
    cdef object buffer          # of (first, last, event_time, exponents, bids, asks)

    cdef levels(self, const sbe_side* side, n, int64_t sign)
    cdef bint took(self, sbe_book_code code) except -1
    cdef str told(self)
    cdef hold_event(self, DepthDiffStreamEvent event)
    cdef sbe_book_code replay(self, tuple held) except *
    cdef refused(self, str problem)
    cdef str fill(self, given, int64_t limit)
    cdef hold(
        self, int64_t first, int64_t last, int64_t event_time, int price_exponent,
        int qty_exponent, bytes bids, bytes asks
    )
