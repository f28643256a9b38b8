"""A local order book without Python objects: every function here runs without the GIL.

`begin` says whether a diff is the next; its levels go to ``touched``, as they are, bids and then
asks; `finish` sets them. `apply_frame` does all of that for a frame that was parsed. What waits for
a snapshot is the caller's to keep.
"""

from libc.stdint cimport INT64_MIN, int64_t, uint8_t

from .levels cimport sbe_level, sbe_side
from ..spot_stream cimport DepthDiffStreamEventFrame, DepthSnapshotStreamEventFrame

cdef enum sbe_book_code:
    BOOK_APPLIED                # the book is at the event's last id
    BOOK_OLD                    # all of the event was in the book: nothing is done
    BOOK_WAITS                  # there is no snapshot yet, or none since a failure: keep the event
    # failures, after which the book is stale
    BOOK_GAP                    # updates are missing before the event: keep it
    BOOK_ANEW                   # lower ids at a later time: the exchange counts anew; keep it
    BOOK_CROSSED                # after the event the best bid is not below the best ask
    BOOK_BAD_QTY                # a negative quantity
    BOOK_BAD_PRICE              # a price that is not above 0
    BOOK_BAD_IDS                # the last id is below the first
    BOOK_OVERFLOW               # a price or a quantity is beyond 64 bits
    BOOK_NO_MEMORY
    BOOK_MARKED                 # somebody else has said so

cdef enum sbe_book_state:
    BOOK_SYNCING, BOOK_LIVE, BOOK_STALE


cdef struct sbe_book_fault:     # figures of the failure
    int64_t before              # the book's id
    int64_t first
    int64_t last
    int64_t price
    int64_t qty
    bint is_bid


cdef struct sbe_comparison:
    int64_t levels              # that were compared
    int64_t agreed


cdef struct sbe_book:
    sbe_side bids
    sbe_side asks
    int price_exponent
    int qty_exponent
    int64_t update_id
    int64_t event_time
    sbe_book_state state
    sbe_book_code failure
    sbe_book_fault fault
    int64_t max_levels
    int64_t last_first          # the first id of the event that was applied last, and its levels:
    sbe_level* touched          # raw until they are set, then as they are in the sides
    size_t touched_bids
    size_t touched_asks
    size_t touched_room
    int64_t applied
    int64_t ignored
    int64_t overlaps
    int64_t absent
    int64_t pruned


cdef void free_book(sbe_book* book) noexcept nogil
cdef bint make_touched(sbe_book* book, size_t bids, size_t asks) noexcept nogil
cdef sbe_book_code begin(
    sbe_book* book, int64_t first, int64_t last, int64_t event_time, size_t bids, size_t asks
) noexcept nogil
cdef sbe_book_code finish(
    sbe_book* book, int64_t first, int64_t last, int64_t event_time, int price_exponent,
    int qty_exponent
) noexcept nogil
cdef sbe_book_code apply_frame(
    sbe_book* book, const DepthDiffStreamEventFrame* frame
) noexcept nogil
cdef const char* rebuild(sbe_book* book, int64_t limit) noexcept nogil
cdef bint compare_frame(
    sbe_book* book, const DepthSnapshotStreamEventFrame* frame, sbe_comparison* result
) noexcept nogil
cdef void forget_touched(sbe_book* book) noexcept nogil
cdef void copy_levels(const DepthDiffStreamEventFrame* frame, sbe_level* level) noexcept nogil


cdef inline sbe_book_code fail(sbe_book* book, sbe_book_code code) noexcept nogil:
    book.state = BOOK_STALE
    book.failure = code
    return code
