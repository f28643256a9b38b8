"""What whole numbers have to be, and looking for those that are not, in many blocks at once."""

from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef struct sbe_check:          # of a whole number in a block
    uint64_t offset
    int code
    int size
    bint big
    bint is_wide                # uint64: the limits are compared as such
    int64_t low, high
    bint has_hole               # the null value lies between them,
    int64_t null                # and is this; allowed in arrays where the field is optional
    bint optional


cdef inline bint allows(const sbe_check* check, int64_t number) noexcept nogil:
    """Whether a value that is not null may be written."""
    if check.is_wide:
        if not <uint64_t>check.low <= <uint64_t>number <= <uint64_t>check.high:
            return False
    elif not check.low <= number <= check.high:
        return False
    return not check.has_hole or number != check.null


cdef Py_ssize_t first_bad(
    const sbe_check* checks, size_t check_count, size_t length,
    const uint8_t* data, size_t count, Py_ssize_t stride, size_t* which
) noexcept nogil
