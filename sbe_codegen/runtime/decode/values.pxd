"""C values to Python objects, where making the object is what takes the time."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from .reuse cimport sbe_keep_tuple, sbe_kept_tuples
from .scaling cimport exact_float, sbe_scale


cdef PyObject** BYTES
cdef bint ALLOWED               # objects may be taken again: SBE_REUSE is not 0
cdef bint REUSES                # and ints are laid out as `reuse` knows

cdef PyObject* known_text(const char* text, size_t length) noexcept
cdef object utf8_text(const char* text, size_t length)


cdef inline object byte_int(int64_t value):
    """A number of one byte, signed or not."""
    return <object>BYTES[value + 128]


cdef inline tuple keep_tuple(sbe_kept_tuples* kept, tuple values):
    """These values, which are taken again once nobody else refers to them."""
    if REUSES:
        sbe_keep_tuple(kept, values)
    return values


cdef inline double scaled(int64_t mantissa, int64_t exponent) except? -1.0:
    """The float64 nearest to mantissa x 10^exponent."""
    cdef double value
    return value if sbe_scale(mantissa, exponent, &value) else exact_float(mantissa, exponent)
