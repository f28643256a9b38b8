"""Var data as the encoder has them, and the numbers of the framing."""

from libc.stdint cimport uint8_t, uint64_t

from .slots cimport sbe_store
from .writer cimport sbe_writer


cdef struct sbe_place:          # a number of the framing
    size_t offset
    int size                    # 0: the schema has it, and the wire does not
    bint big


cdef inline void put_number(uint8_t* at, const sbe_place* place, uint64_t number) noexcept nogil:
    if place.size:
        sbe_store(at + place.offset, number, place.size, place.big)


cdef class Data:
    cdef readonly str name, encoding
    cdef readonly uint64_t since
    cdef readonly bint empty_is_null
    cdef readonly bint may_end      # frames may end before it
    cdef bint is_utf8
    cdef size_t prefix
    cdef sbe_place length
    cdef readonly uint64_t most

    cdef int write(self, sbe_writer* writer, object value) except -1


cdef sbe_place place_of(object facts, str name, bint big) except *
