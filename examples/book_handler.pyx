# cython: language_level=3, boundscheck=False, wraparound=False
"""An order book in Cython: diffs from bytes into the book without the GIL or a Python object.

    cythonize -i examples/book_handler.pyx

The book is an `OrderBook` that has its snapshot. A frame that waits for one, after a gap, is given
to the Python method, which keeps it.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t, uint8_t

from binance_sbe.book cimport Book
from binance_sbe.book_core cimport BOOK_APPLIED, BOOK_OLD, apply_frame, sbe_book, sbe_book_code
from binance_sbe.spot_stream cimport DepthDiffStreamEventFrame, parse_DepthDiffStreamEvent
from sbe_codegen.runtime.cursor cimport sbe_fault

from binance_sbe import decode


cdef sbe_book_code handle(sbe_book* book, const uint8_t* data, size_t size) noexcept nogil:
    """One frame of this book's symbol; BOOK_OLD for one that is no message as well."""
    cdef DepthDiffStreamEventFrame frame
    cdef sbe_fault fault
    if not parse_DepthDiffStreamEvent(data, size, &frame, &fault):
        return BOOK_OLD
    return apply_frame(book, &frame)


def follow(Book book, frames):
    """Applies diffs, given as bytes; returns the spread (a mantissa) after each that was applied."""
    cdef sbe_book_code code
    cdef const uint8_t* data
    cdef size_t size
    cdef int64_t spread
    spreads = []
    for frame in frames:
        data = <const uint8_t*>PyBytes_AS_STRING(frame)
        size = len(frame)
        with nogil:
            code = handle(&book.core, data, size)
            spread = 0
            if book.core.bids.count and book.core.asks.count:
                # both sides end with their best; prices of asks are negated
                spread = -book.core.asks.levels[book.core.asks.count - 1].price
                spread -= book.core.bids.levels[book.core.bids.count - 1].price
        if code == BOOK_APPLIED:
            spreads.append(spread)
        elif code != BOOK_OLD:
            book.apply(decode(frame))       # it is kept there, and the state says why
    return spreads
