"""C values to Python objects, where making the object is what takes the time."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t


cdef struct sbe_number:
    int64_t value
    PyObject* object


cdef sbe_number* NUMBERS
cdef PyObject** BYTES

cdef object remember_int(sbe_number* slot, int64_t value)
cdef PyObject* known_text(const char* text, size_t length) noexcept
cdef object utf8_text(const char* text, size_t length)


cdef inline object byte_int(int64_t value):
    """A number of one byte, signed or not."""
    return <object>BYTES[value + 128]


cdef inline object mantissa_int(int64_t value):
    """A price or a quantity."""
    cdef sbe_number* slot = &NUMBERS[(<uint64_t>value * 0x9E3779B97F4A7C15u) >> 52]
    if slot.value == value and slot.object != NULL:
        return <object>slot.object
    return remember_int(slot, value)
