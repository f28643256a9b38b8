"""Diffs that wait for a snapshot."""

from libc.stdint cimport int64_t

from ..spot_stream cimport DepthDiffStreamEvent
from .book_core cimport sbe_book, sbe_book_code


cdef class WaitingDiffs:
    cdef int64_t most
    cdef int64_t left_out       # that were dropped while none led from a snapshot
    cdef object diffs           # deque of (first, last, event_time, exponents, bids, asks)

    cdef bint add_event(self, DepthDiffStreamEvent event) except -1
    cdef bint add(
        self, int64_t first, int64_t last, int64_t event_time, int price_exponent,
        int qty_exponent, bytes bids, bytes asks
    ) except -1


cdef sbe_book_code replay(sbe_book* core, tuple held) except *
