"""Why a book is not live, in words."""

from .book_core cimport sbe_book

cdef str reason_of(const sbe_book* book, str marked)
