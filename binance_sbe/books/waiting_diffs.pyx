"""Diffs that wait for a snapshot."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ..spot_stream cimport (
    DepthDiffStreamEvent, DepthDiffStreamEvent_event_time,
    DepthDiffStreamEvent_first_book_update_id, DepthDiffStreamEvent_last_book_update_id,
    DepthDiffStreamEvent_price_exponent, DepthDiffStreamEvent_qty_exponent,
)
from .book_core cimport (
    BOOK_APPLIED, begin, copy_levels, finish, sbe_book, sbe_book_code,
)
from .levels cimport sbe_level

from collections import deque


cdef class WaitingDiffs:
    """The latest ``most``, without a gap between them; what leads to none of them is left out."""

    def __cinit__(self, int64_t most):
        self.most = most
        self.diffs = deque()

    cdef bint add_event(self, DepthDiffStreamEvent event) except -1:
        """False where it is old: all of it is in those that wait."""
        cdef size_t bids = event.frame.bids.count, asks = event.frame.asks.count
        # Bytes that nobody else has may be written to. They outlive the frame, which does not wait.
        cdef bytes levels = PyBytes_FromStringAndSize(NULL, (bids + asks) * sizeof(sbe_level))
        copy_levels(&event.frame, <sbe_level*>PyBytes_AS_STRING(levels))
        return self.add(
            DepthDiffStreamEvent_first_book_update_id(&event.frame),
            DepthDiffStreamEvent_last_book_update_id(&event.frame),
            DepthDiffStreamEvent_event_time(&event.frame),
            DepthDiffStreamEvent_price_exponent(&event.frame),
            DepthDiffStreamEvent_qty_exponent(&event.frame),
            levels[:bids * sizeof(sbe_level)], levels[bids * sizeof(sbe_level):len(levels)],
        )

    cdef bint add(
        self, int64_t first, int64_t last, int64_t event_time, int price_exponent,
        int qty_exponent, bytes bids, bytes asks
    ) except -1:
        diffs = self.diffs
        if diffs:
            before, before_time = diffs[len(diffs) - 1][1:3]
            goes_back = last < before and event_time > before_time
            if last <= before and not goes_back:
                return False
            if first > before + 1 or goes_back:     # no snapshot leads from there to this one
                self.left_out += len(diffs)
                diffs.clear()
        if len(diffs) >= self.most:
            self.left_out += 1
            diffs.popleft()
        diffs.append((first, last, event_time, price_exponent, qty_exponent, bids, asks))
        return True


cdef sbe_book_code replay(sbe_book* core, tuple held) except *:
    """Applies a diff that waited."""
    cdef bytes bids, asks
    cdef sbe_book_code code
    first, last, event_time, price_exponent, qty_exponent, bids, asks = held
    # What waits may come from a pickle: levels are counted by the bytes there are, and `begin`
    # makes room for as many.
    cdef size_t count = len(bids) // sizeof(sbe_level)
    code = begin(
        core, first, last, event_time, count, len(asks) // sizeof(sbe_level)
    )
    if code != BOOK_APPLIED:
        return code
    if bids:
        memcpy(core.touched, PyBytes_AS_STRING(bids), len(bids))
    if asks:
        memcpy(core.touched + count, PyBytes_AS_STRING(asks), len(asks))
    return finish(core, first, last, event_time, price_exponent, qty_exponent)
