"""Levels of a book as a numpy array."""

from libc.stdint cimport int64_t

from .book_core cimport sbe_book
from .levels cimport sbe_side

cdef levels_of(const sbe_book* book, const sbe_side* side, n, int64_t sign)
