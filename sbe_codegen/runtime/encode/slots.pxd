"""Fixed fields as the encoder has them: each writes one value into a block."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from ..decode.loads cimport *
from .checks cimport sbe_check

cdef object MISSING


cdef extern from *:
    """
    static inline void sbe_store(unsigned char *at, uint64_t bits, int size, int big)
    {
        if (!big) {
            switch (size) {             /* little-endian machines only: see the builder */
            case 8: memcpy(at, &bits, 8); return;
            case 4: memcpy(at, &bits, 4); return;
            case 2: memcpy(at, &bits, 2); return;
            case 1: *at = (unsigned char)bits; return;
            }
        }
        for (int i = size - 1; i >= 0; i--) {
            at[big ? i : size - 1 - i] = (unsigned char)(big ? bits : bits >> 8 * (size - 1 - i));
            if (big)
                bits >>= 8;
        }
    }
    """
    void sbe_store(uint8_t* at, uint64_t bits, int size, bint big) noexcept nogil


cdef class Slot:
    cdef readonly str name
    cdef readonly uint64_t offset, since, size
    cdef readonly uint64_t newest   # the version that has all of it, members included
    cdef readonly dict facts
    cdef readonly bytes null        # what None is on the wire; None where there is no null
    cdef bytes nulls                # the null value of a number or a character, optional or not
    cdef readonly bytes absent      # what is written where nothing is given; None: it has to be

    cdef int put(self, uint8_t* block, object value) except -1
    cdef int put_nothing(self, uint8_t* block, object value) except -1
    cdef int put_older(self, uint8_t* block, object value, uint64_t version) except -1
    cpdef uint64_t end_at(self, uint64_t version) except? 0


cdef class IntSlot(Slot):
    cdef sbe_check check
    cdef readonly object least, most

    cdef int put_number(self, uint8_t* block, object number, object value) except -1


cdef int refuse(str field, object value, str why) except -1
cdef int refuse_newer(
    str name, object value, uint64_t version, uint64_t since, str what
) except -1
cdef object as_dict(object value, str name, str why)
