"""Entries of groups that have groups or var data of their own, and composites: parts as objects."""

cimport cython
from libc.stdint cimport uint8_t, uint64_t

from .cursor cimport sbe_group, sbe_root, take_t
from .elements cimport View


@cython.no_gc
cdef class Composite(View):
    cdef sbe_root own


@cython.no_gc
cdef class Entry(View):
    cdef object entries         # the Entries it is one of: keeps what is around it


@cython.no_gc
cdef class Entries:
    cdef object owner
    cdef object kind            # the class of its entries
    cdef take_t take
    cdef size_t size            # of an entry's C struct
    cdef sbe_group group
    cdef sbe_root* around       # what the group is inside of, innermost first: a copy
    cdef const uint8_t** positions      # where each entry begins

    cdef int open(self, const sbe_root* root) except -1
    cdef int walk(self) except -1
    cdef Entry entry(self, uint64_t i)
