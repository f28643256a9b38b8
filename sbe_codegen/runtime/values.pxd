"""C values to Python objects, where making the object is what takes the time."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from .reuse cimport sbe_keep_tuple, sbe_put, sbe_put_float, sbe_shelf
from .scaling cimport exact_float, sbe_scale


cdef PyObject** BYTES
cdef bint REUSES                # ints are laid out as `reuse` knows

cdef PyObject* known_text(const char* text, size_t length) noexcept
cdef object utf8_text(const char* text, size_t length)


cdef inline object byte_int(int64_t value):
    """A number of one byte, signed or not."""
    return <object>BYTES[value + 128]


cdef inline tuple keep_tuple(sbe_shelf* shelf, tuple values):
    """These values, which are taken again once nobody else refers to them."""
    if REUSES:
        sbe_keep_tuple(shelf, values)
    return values


cdef inline int put_scaled(
    tuple values, Py_ssize_t i, int64_t mantissa, int64_t exponent
) except -1:
    """The float64 nearest to mantissa x 10^exponent."""
    cdef double value
    if not sbe_scale(mantissa, exponent, &value):
        value = exact_float(mantissa, exponent)
    return sbe_put_float(values, i, value)
