"""The content of a book as Python objects, to be pickled and copied."""

from .book_core cimport sbe_book

cdef tuple content_of(sbe_book* core)
cdef int restore_core(sbe_book* core, tuple content) except -1
cdef int adopt_core(sbe_book* core, sbe_book* other) except -1
