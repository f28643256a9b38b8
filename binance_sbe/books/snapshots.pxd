"""A snapshot, as REST gives it, becomes the levels of a book."""

from libc.stdint cimport int64_t

from .book_core cimport sbe_book

cdef str fill_core(sbe_book* core, given, int64_t limit)
