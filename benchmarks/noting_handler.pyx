# cython: language_level=3
"""A handler in C for `Feed.run` that notes what the handlers in Python of latency.py do."""

from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from binance_sbe.feed.intake.handlers cimport FrameHandler, sbe_parsed
from binance_sbe.spot_stream cimport (
    BestBidAskStreamEvent_bid_price, BestBidAskStreamEvent_book_update_id,
)
from binance_sbe.venue.kinds cimport BEST_BID_ASK

import numpy as np


cdef struct notes:
    int64_t* sent               # NULL: only sums are wanted
    int64_t* came
    int64_t ids
    int64_t prices
    int64_t count
    int64_t most


cdef bint note(
    void* context, int kind, const sbe_parsed* frame, int64_t received
) noexcept nogil:
    cdef notes* state = <notes*>context
    cdef timespec now
    cdef int64_t number
    if kind != BEST_BID_ASK:
        return True
    number = BestBidAskStreamEvent_book_update_id(&frame.best_bid_ask)
    if state.sent != NULL:
        clock_gettime(CLOCK_MONOTONIC, &now)
        state.came[state.count] = now.tv_sec * <int64_t>1000000000 + now.tv_nsec
        state.sent[state.count] = number
    state.ids += number
    state.prices += BestBidAskStreamEvent_bid_price(&frame.best_bid_ask)
    state.count += 1
    return state.count < state.most


cdef class Noting(FrameHandler):
    """Takes ``most`` events; with ``times`` their ids and times of arrival are kept."""

    cdef notes state
    cdef readonly object sent
    cdef readonly object came

    def __cinit__(self, int64_t most, bint times):
        cdef int64_t[::1] sent, came
        self.state.most = most
        self.sent = np.zeros(most if times else 0, np.int64)
        self.came = np.zeros(most if times else 0, np.int64)
        if times:
            sent, came = self.sent, self.came
            self.state.sent, self.state.came = &sent[0], &came[0]
        self.on_frame = note
        self.context = &self.state

    @property
    def ids(self):
        return self.state.ids

    @property
    def prices(self):
        return self.state.prices

    @property
    def count(self):
        return self.state.count
