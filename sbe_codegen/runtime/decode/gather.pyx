"""Columns from one place to another in a single pass: copied, or scaled to float64.

Rows are taken some hundred at a time and then column by column, so that they are read from memory
once, whatever the number of columns, and each loop does one thing.
"""

cimport numpy as np
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from .loads cimport *
from .scaling cimport exact_float, sbe_scale

np.import_array()

cdef enum:
    ROWS = 512                  # that are moved at a time

cdef struct sbe_side:           # a column: one item every ``stride`` bytes
    uint8_t* data
    Py_ssize_t stride
    int code                    # SBE_*, of numbers

cdef struct sbe_move:
    sbe_side source
    sbe_side target
    Py_ssize_t size             # bytes of an item that is copied, 0 if it is scaled
    sbe_side power
    int64_t one_power           # where all rows have the same
    bint optional               # the mantissa may be null, and the exponent
    int64_t null
    bint power_optional
    int64_t power_null
    bint hard                   # some need the exact way, which needs the GIL


def move(list copies, list scales):
    """Moves whole columns.

    ``copies`` are (source, target): arrays of one shape and itemsize, native or not, whose bytes
    are copied. ``scales`` are (mantissas, exponents, target, null, exponent_null): integers,
    integers (or one int), and float64 that becomes the nearest to mantissa x 10^exponent, NaN for a
    null (None where there can be none). All columns have one length, and rows at any distance.
    """
    cdef Py_ssize_t count, begin, i, total = len(copies) + len(scales)
    # What the sides point to is borrowed from the arrays, which the two lists hold; that of a power
    # may be in `moves` itself, which stays where it is.
    cdef sbe_move* moves = <sbe_move*>calloc(total + 1, sizeof(sbe_move))
    if moves == NULL:
        raise MemoryError()
    try:
        count = -1
        for i, (source, target) in enumerate(copies):
            count = same_length(count, source, target)
            moves[i].size = item_size(source)
            if item_size(target) != moves[i].size:
                raise ValueError(f"items of {item_size(target)} bytes are not {moves[i].size}")
            moves[i].source = side_of(source, False)
            moves[i].target = side_of(target, False)
        i = len(copies)
        for mantissas, exponents, target, null, power_null in scales:
            count = same_length(count, mantissas, target)
            if np.PyArray_TYPE(target) != np.NPY_DOUBLE:
                raise ValueError(f"floats are float64, not {target.dtype}")
            moves[i].source = side_of(mantissas, True)
            moves[i].target = side_of(target, False)
            if isinstance(exponents, int):
                moves[i].one_power = exponents
                moves[i].power = sbe_side(<uint8_t*>&moves[i].one_power, 0, SBE_INT64)
            else:
                same_length(count, exponents, target)
                moves[i].power = side_of(exponents, True)
            moves[i].optional = null is not None
            moves[i].null = bits_of(null)
            moves[i].power_optional = power_null is not None
            moves[i].power_null = bits_of(power_null)
            i += 1
        # Others may run, and write to the sources: a value is what it was when it was read. The
        # arrays stay: the lists have them.
        with nogil:
            begin = 0
            while begin < count:
                for i in range(total):
                    move_rows(&moves[i], begin, min(begin + ROWS, count))
                begin += ROWS
        for i in range(total):
            if moves[i].hard:
                scale_exactly(&moves[i], count)
    finally:
        free(moves)


cdef Py_ssize_t same_length(Py_ssize_t count, np.ndarray one, np.ndarray two) except -2:
    cdef Py_ssize_t here = np.PyArray_DIM(one, 0)
    if here != np.PyArray_DIM(two, 0) or (count != -1 and count != here):
        raise ValueError("columns of different lengths")
    return here


cdef Py_ssize_t item_size(np.ndarray column) except -1:
    """Of a row's item, which may be an array itself."""
    cdef Py_ssize_t size = np.PyArray_ITEMSIZE(column)
    cdef int axis
    for axis in range(np.PyArray_NDIM(column) - 1, 0, -1):
        if column.strides[axis] != size and column.shape[axis] > 1 and column.shape[0] > 0:
            raise ValueError("an item with gaps")
        size *= column.shape[axis]
    return size


cdef sbe_side side_of(np.ndarray column, bint is_number) except *:
    cdef sbe_side side
    side.data = <uint8_t*>np.PyArray_DATA(column)
    side.stride = np.PyArray_STRIDE(column, 0)
    side.code = 0
    if is_number:
        if not np.PyArray_ISINTEGER(column):
            raise TypeError(f"mantissas and exponents are integers, not {column.dtype}")
        side.code = code_of(np.PyArray_ITEMSIZE(column), np.PyArray_ISSIGNED(column))
        if np.PyArray_ISBYTESWAPPED(column):
            side.code += SBE_BIG
    return side


cdef int code_of(Py_ssize_t size, bint is_signed) noexcept:
    if size == 8:
        return SBE_INT64 if is_signed else SBE_UINT64
    if size == 4:
        return SBE_INT32 if is_signed else SBE_UINT32
    if size == 2:
        return SBE_INT16 if is_signed else SBE_UINT16
    return SBE_INT8 if is_signed else SBE_UINT8


cdef int64_t bits_of(object null) except? -1:
    return <int64_t>(<uint64_t>((null or 0) & 0xFFFFFFFFFFFFFFFF))


cdef void move_rows(sbe_move* move, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const uint8_t* source = move.source.data + begin * move.source.stride
    cdef uint8_t* target = move.target.data + begin * move.target.stride
    cdef Py_ssize_t step = move.source.stride, stride = move.target.stride
    cdef Py_ssize_t i, count = end - begin
    if move.size == 0:
        scale_rows(move, begin, end)
    elif move.size == 8:
        for i in range(count):
            memcpy(target + i * stride, source + i * step, 8)
    elif move.size == 4:
        for i in range(count):
            memcpy(target + i * stride, source + i * step, 4)
    elif move.size == 2:
        for i in range(count):
            memcpy(target + i * stride, source + i * step, 2)
    elif move.size == 1:
        for i in range(count):
            target[i * stride] = source[i * step]
    else:
        for i in range(count):
            memcpy(target + i * stride, source + i * step, move.size)


cdef inline bint load_pair(
    const sbe_move* move, Py_ssize_t i, int64_t* mantissa, int64_t* power
) noexcept nogil:
    """A mantissa and its exponent; False where either is null."""
    cdef const uint8_t* at = move.source.data + i * move.source.stride
    if move.source.code == SBE_INT64:
        mantissa[0] = load_int64_le(at)
    else:
        mantissa[0] = <int64_t>load_bits(at, move.source.code)
    at = move.power.data + i * move.power.stride
    if move.power.code == SBE_INT8:
        power[0] = load_int8_le(at)
    else:
        power[0] = <int64_t>load_bits(at, move.power.code)
    return not (
        (move.optional and mantissa[0] == move.null)
        or (move.power_optional and power[0] == move.power_null)
    )


cdef inline bint is_beyond(const sbe_move* move, int64_t mantissa) noexcept nogil:
    """Whether it is an unsigned mantissa that no int64 holds."""
    return mantissa < 0 and move.source.code & ~SBE_BIG == SBE_UINT64


cdef void scale_rows(sbe_move* move, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t mantissa, power
    cdef double value
    for i in range(begin, end):
        value = NAN
        if load_pair(move, i, &mantissa, &power):
            if is_beyond(move, mantissa) or not sbe_scale(mantissa, power, &value):
                move.hard = True
        memcpy(move.target.data + i * move.target.stride, &value, sizeof(double))


cdef int scale_exactly(sbe_move* move, Py_ssize_t count) except -1:
    """The values that `sbe_scale` can't give, by Python's integers."""
    cdef Py_ssize_t i
    cdef int64_t mantissa, power
    cdef double value
    for i in range(count):
        if load_pair(move, i, &mantissa, &power):
            if is_beyond(move, mantissa):
                value = exact_float(<uint64_t>mantissa, power)
            elif not sbe_scale(mantissa, power, &value):
                value = exact_float(mantissa, power)
            else:
                continue
            memcpy(move.target.data + i * move.target.stride, &value, sizeof(double))
    return 0
