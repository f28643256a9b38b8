"""Levels of a book as a numpy array."""

from libc.stdint cimport int64_t

from .book_core cimport sbe_book
from .levels cimport sbe_level, sbe_side

from collections import namedtuple

import numpy as np

LEVEL = np.dtype([("price", "<i8"), ("qty", "<i8")])
Level = namedtuple("Level", ("price", "qty"))


class Levels(np.ndarray):
    """Levels, the best first: a structured array of ``price`` and ``qty``, a copy.

    Of its rows the first ``proven`` are known to be the book's, with none missing between. The
    figures are mantissas of ``price_exponent`` and ``qty_exponent`` where the dtype is integer.
    What is made of such an array by slicing has None for these.
    """

    proven = price_exponent = qty_exponent = None

    def __getitem__(self, key):
        """A column is a plain array."""
        return np.asarray(self)[key] if isinstance(key, str) else super().__getitem__(key)


cdef levels_of(const sbe_book* book, const sbe_side* side, n, int64_t sign):
    """The ``n`` best levels of a side, or all; its prices are stored times ``sign``."""
    cdef size_t i = 0, count = side.live, proven = 0
    cdef const sbe_level* level = side.levels + side.count
    cdef int64_t[:, ::1] rows
    if n is not None:
        if n < 0:
            raise ValueError(f"n is a number of levels, not {n}")
        count = min(n, side.live)
    found = np.empty(count, LEVEL).view(Levels)
    if count:
        rows = found.view(np.ndarray).view(np.int64).reshape(count, 2)
        while i < count:
            level -= 1
            if level.qty:
                rows[i, 0] = sign * level.price
                rows[i, 1] = level.qty
                proven += level.price >= side.edge
                i += 1
    # A copy: the levels of the book move, and go, with the next event.
    found.proven = proven
    found.price_exponent, found.qty_exponent = book.price_exponent, book.qty_exponent
    return found
