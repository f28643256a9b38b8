"""A snapshot, as REST gives it, becomes the levels of a book."""

from libc.stdint cimport int64_t

from .book_core cimport forget_touched, make_touched, rebuild, sbe_book
from .levels cimport sbe_level

import numpy as np


cdef str fill_core(sbe_book* core, given, int64_t limit):
    """Makes the book that of a snapshot; or says what is wrong with it."""
    cdef const char* problem
    # ``given`` may be anybody's object. All of it is asked for before the book is touched: Python
    # code that runs here may read or change this very book, and from the loops on none runs.
    bid_levels, ask_levels = given.bids, given.asks         # over a frame: not aligned
    cdef const int64_t[:] bid_prices = np.array(bid_levels["price"])
    cdef const int64_t[:] bid_qtys = np.array(bid_levels["qty"])
    cdef const int64_t[:] ask_prices = np.array(ask_levels["price"])
    cdef const int64_t[:] ask_qtys = np.array(ask_levels["qty"])
    cdef int price_exponent = given.price_exponent, qty_exponent = given.qty_exponent
    cdef Py_ssize_t i, bids = bid_prices.shape[0], asks = ask_prices.shape[0]
    if bid_qtys.shape[0] != bids or ask_qtys.shape[0] != asks:
        raise ValueError("a snapshot has as many prices as quantities")
    forget_touched(core)
    if not make_touched(core, bids, asks):
        raise MemoryError()
    for i in range(bids):
        core.touched[i] = sbe_level(bid_prices[i], bid_qtys[i])
    for i in range(asks):
        core.touched[bids + i] = sbe_level(ask_prices[i], ask_qtys[i])
    # What is judged is the copy: a frame in shared memory may have changed meanwhile.
    problem = rebuild(core, limit)
    forget_touched(core)
    if problem != NULL:
        return problem.decode()
    core.price_exponent, core.qty_exponent = price_exponent, qty_exponent
    return None
