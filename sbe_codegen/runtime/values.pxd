"""C values to Python objects, where making the object is what takes the time."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t


cdef PyObject** BYTES

cdef PyObject* known_text(const char* text, size_t length) noexcept
cdef object utf8_text(const char* text, size_t length)


cdef inline object byte_int(int64_t value):
    """A number of one byte, signed or not."""
    return <object>BYTES[value + 128]
