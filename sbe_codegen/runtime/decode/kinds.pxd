"""What is called on message classes, once for all of them."""

from .cursor cimport sbe_root
from .message cimport Schema, sbe_kind, take_t, unpack_t, values_t, walk_t


cdef class Kind:
    cdef sbe_kind* kind


cdef struct sbe_places:         # how many of each there are in a list of `declare_kind`
    size_t slots                # offsets of groups and data in their structs
    size_t rows                 # sizes of the structs of rows
    size_t takes                # functions that read entries, and sizes of their structs
    size_t framings             # addresses of what groups need whose dimensions have counts


cdef int set_kind(
    sbe_kind* kind, type owner, Schema schema, size_t size, sbe_root* scratch,
    take_t take, walk_t walk, unpack_t unpack, values_t values
) except -1
cdef int declare_kind(
    sbe_kind* kind, object spec, dict types, const size_t* places, sbe_places counts
) except -1
