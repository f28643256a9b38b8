"""One side of an order book: levels in one flat array, sorted, the best at the end.

A level that is removed stays where it is, with the quantity 0, until a quarter are such: prices
come and go at the same places, so that few changes move other levels. The best is never one of
these. A search looks at the 64 best first, then at 1,024. Prices of asks are negated, which makes
both sides ascend. Without Python objects, and without the GIL.
"""

from libc.stdint cimport INT64_MIN, int64_t

cdef struct sbe_level:
    int64_t price               # a mantissa; negated on the side of the asks
    int64_t qty                 # 0: there is no such level


cdef struct sbe_side:
    sbe_level* levels
    size_t count                # with those that were removed
    size_t room
    size_t live                 # without them
    int64_t edge                # levels from here to the best are all known; INT64_MIN: all of them


cdef bint make_room(sbe_side* side, size_t more) noexcept nogil
cdef bint set_level(sbe_side* side, int64_t price, int64_t qty) noexcept nogil
cdef bint fits(const sbe_side* side, int64_t prices, int64_t quantities) noexcept nogil
cdef void scale(sbe_side* side, int64_t prices, int64_t quantities) noexcept nogil
cdef void compact(sbe_side* side) noexcept nogil
cdef void prune(sbe_side* side, size_t most) noexcept nogil

cdef extern from *:
    """
    #define sbe_multiplied(a, b, result) (!__builtin_mul_overflow(a, b, result))
    """
    bint sbe_multiplied(int64_t a, int64_t b, int64_t* result) noexcept nogil
