# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# distutils: language = c++
"""Books in a loop without Python: ours, and one of two std::map. Both are given parsed frames."""

from cython.operator cimport dereference, postincrement
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libcpp.map cimport map

from binance_sbe.books.book cimport Book
from binance_sbe.books.book_core cimport BOOK_APPLIED, apply_frame
from binance_sbe.spot_stream cimport (
    DepthDiffStreamEventFrame, DepthDiffStreamEvent_asks_price, DepthDiffStreamEvent_asks_qty,
    DepthDiffStreamEvent_bids_price, DepthDiffStreamEvent_bids_qty,
    DepthDiffStreamEvent_first_book_update_id, DepthDiffStreamEvent_last_book_update_id,
    parse_DepthDiffStreamEvent,
)
from sbe_codegen.runtime.decode.cursor cimport sbe_fault


cdef class Frames:
    """Parsed frames."""

    cdef DepthDiffStreamEventFrame* parsed
    cdef Py_ssize_t count
    cdef list kept

    def __cinit__(self, frames):
        cdef sbe_fault fault
        cdef bytes frame
        self.kept = list(frames)
        self.count = len(self.kept)
        self.parsed = <DepthDiffStreamEventFrame*>malloc(
            self.count * sizeof(DepthDiffStreamEventFrame)
        )
        for i, frame in enumerate(self.kept):
            assert parse_DepthDiffStreamEvent(
                <const uint8_t*>PyBytes_AS_STRING(frame), len(frame), &self.parsed[i], &fault
            )

    def __dealloc__(self):
        free(self.parsed)

    def __len__(self):
        return self.count


def apply_all(Book book, Frames frames):
    """How many were applied."""
    cdef Py_ssize_t i, done = 0
    with nogil:
        for i in range(frames.count):
            done += apply_frame(&book.core, &frames.parsed[i]) == BOOK_APPLIED
    return done


cdef class MapBook:
    """As anybody would write it; prices are mantissas, exponents are taken to be the same."""

    cdef map[int64_t, int64_t] bids         # by the negated price, so that the best is the first
    cdef map[int64_t, int64_t] asks
    cdef int64_t update_id

    def __init__(self, snapshot):
        for price, qty in snapshot.bids.tolist():
            self.bids[-price] = qty
        for price, qty in snapshot.asks.tolist():
            self.asks[price] = qty
        self.update_id = snapshot.last_update_id

    def apply_all(self, Frames frames):
        cdef Py_ssize_t i, done = 0
        with nogil:
            for i in range(frames.count):
                done += self.apply(&frames.parsed[i])
        return done

    cdef bint apply(self, const DepthDiffStreamEventFrame* frame) noexcept nogil:
        cdef size_t i
        cdef int64_t price, qty
        if DepthDiffStreamEvent_last_book_update_id(frame) <= self.update_id:
            return False
        if DepthDiffStreamEvent_first_book_update_id(frame) > self.update_id + 1:
            return False
        for i in range(frame.bids.count):
            price = -DepthDiffStreamEvent_bids_price(frame, i)
            qty = DepthDiffStreamEvent_bids_qty(frame, i)
            if qty:
                self.bids[price] = qty
            else:
                self.bids.erase(price)
        for i in range(frame.asks.count):
            price = DepthDiffStreamEvent_asks_price(frame, i)
            qty = DepthDiffStreamEvent_asks_qty(frame, i)
            if qty:
                self.asks[price] = qty
            else:
                self.asks.erase(price)
        self.update_id = DepthDiffStreamEvent_last_book_update_id(frame)
        return True

    def content(self):
        bids = [(-item.first, item.second) for item in self.bids]
        return bids, [(item.first, item.second) for item in self.asks]
