"""mantissa x 10^exponent, as a correctly rounded float64 or an exact Decimal. Only here.

A float is correctly rounded when it is the float64 nearest to the exact decimal value, ties to
even: what ``float("94123.45")`` gives. Multiplying by ``1e-8`` does not do that.
"""

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

cimport numpy as np
from libc.stdint cimport int64_t, uint8_t

from .loads cimport load_int64_le

import numpy

np.import_array()


_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_LIMIT = 1000
INTEGER = (int, numpy.integer)


cdef object float_of(int64_t mantissa, int64_t exponent):
    """The float64 nearest to mantissa x 10^exponent."""
    cdef double result
    if sbe_scale(mantissa, exponent, &result):
        return result
    return exact_float(mantissa, exponent)


cdef object decimal_of(object mantissa, object exponent):
    """Exactly mantissa x 10^exponent."""
    return Decimal(mantissa).scaleb(exponent, _EXACT)


cdef double exact_float(object mantissa, object exponent) except? -1.0:
    """The same for any ints, by way of Python's integers, whose division rounds correctly."""
    if exponent < 0:
        return mantissa / 10 ** -exponent
    return float(mantissa * 10 ** exponent)


def to_float(mantissa, exponent):
    """``mantissa`` x 10^``exponent`` as the nearest float64 (ties to even).

    Two ints give a float. With an integer array for either, both are broadcast and a float64 array
    comes back, a new one that shares no memory with the input. None for either gives None.

    Raises TypeError for anything but integers, ValueError for an exponent beyond +-1000, and
    OverflowError where the result is too large for a float64.
    """
    if mantissa is None or exponent is None:
        return None
    if isinstance(mantissa, INTEGER) and isinstance(exponent, INTEGER):
        mantissa, exponent = int(mantissa), int(exponent)
        check_exponent(exponent)
        if -2**63 <= mantissa < 2**63:
            return float_of(mantissa, exponent)
        return exact_float(mantissa, exponent)
    return scale_array(mantissa, exponent)


def to_decimal(mantissa, exponent):
    """``mantissa`` x 10^``exponent`` as a Decimal, exactly, whatever the decimal context is.

    Two ints give a Decimal. With an integer array for either, both are broadcast and an object
    array of Decimals comes back. None for either gives None. Errors as for `to_float`.
    """
    if mantissa is None or exponent is None:
        return None
    if isinstance(mantissa, INTEGER) and isinstance(exponent, INTEGER):
        check_exponent(exponent)
        return decimal_of(int(mantissa), int(exponent))
    mantissas, exponents = integers(mantissa, exponent)
    result = numpy.empty(mantissas.shape, dtype=object)
    for index in numpy.ndindex(mantissas.shape):
        result[index] = decimal_of(int(mantissas[index]), int(exponents[index]))
    return result


cdef int check_exponent(object exponent) except -1:
    if not -_LIMIT <= exponent <= _LIMIT:
        raise ValueError(f"exponent {exponent} is not from -{_LIMIT} to {_LIMIT}")
    return 0


cdef tuple integers(object mantissa, object exponent):
    """Both as integer arrays of one shape."""
    arrays = []
    for name, given in (("mantissa", mantissa), ("exponent", exponent)):
        array = numpy.asarray(given)
        if array.dtype.kind not in "iu":
            raise TypeError(f"{name} is integers, not {array.dtype}")
        arrays.append(array)
    for extreme in (arrays[1].min(initial=0), arrays[1].max(initial=0)):
        check_exponent(int(extreme))
    return tuple(numpy.broadcast_arrays(*arrays))


cdef object scale_column(np.ndarray mantissas, int64_t exponent):
    """int64 in one dimension, at any distance and address: a column of a frame's group."""
    cdef Py_ssize_t i, count = np.PyArray_DIM(mantissas, 0)
    cdef Py_ssize_t stride = np.PyArray_STRIDE(mantissas, 0)
    cdef const uint8_t* data = <const uint8_t*>np.PyArray_DATA(mantissas)
    cdef np.npy_intp length = count
    cdef np.ndarray result = np.PyArray_SimpleNew(1, &length, np.NPY_DOUBLE)
    cdef double* out = <double*>np.PyArray_DATA(result)
    cdef int64_t mantissa
    if sbe_scale_column(data, stride, <uint8_t*>out, sizeof(double), count, exponent, False, 0):
        return result
    # The column may be a view over a frame that somebody writes to: each mantissa is loaded once.
    for i in range(count):
        mantissa = load_int64_le(data + i * stride)
        if not sbe_scale(mantissa, exponent, &out[i]):
            out[i] = exact_float(mantissa, exponent)
    return result


cdef object scale_array(object mantissa, object exponent):
    cdef np.ndarray array
    if isinstance(exponent, INTEGER) and isinstance(mantissa, np.ndarray):
        array = <np.ndarray>mantissa
        if (np.PyArray_NDIM(array) == 1 and np.PyArray_TYPE(array) == np.NPY_INT64
                and np.PyArray_ISNOTSWAPPED(array)):
            check_exponent(exponent)
            return scale_column(array, exponent)
    mantissas, exponents = integers(mantissa, exponent)
    shape = mantissas.shape
    if mantissas.dtype.kind == "u" and mantissas.dtype.itemsize == 8:
        if mantissas.max(initial=0) > numpy.uint64(2**63 - 1):
            pairs = zip(mantissas.ravel().tolist(), exponents.ravel().tolist(), strict=True)
            return numpy.array([exact_float(m, e) for m, e in pairs]).reshape(shape)
    # Views of frames are neither aligned nor end to end; these are.
    cdef np.ndarray mantissa_array = numpy.require(mantissas, numpy.int64, "CA")
    cdef np.ndarray exponent_array = numpy.require(exponents, numpy.int64, "CA")
    cdef np.ndarray result = numpy.empty(shape)
    cdef const int64_t* flat = <const int64_t*>np.PyArray_DATA(mantissa_array)
    cdef const int64_t* powers = <const int64_t*>np.PyArray_DATA(exponent_array)
    cdef double* out = <double*>np.PyArray_DATA(result)
    cdef Py_ssize_t i
    for i in range(np.PyArray_SIZE(result)):
        if not sbe_scale(flat[i], powers[i], &out[i]):
            out[i] = exact_float(flat[i], powers[i])
    return result
