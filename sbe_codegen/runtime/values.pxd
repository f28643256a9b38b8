"""C values to Python objects, where making the object is what takes the time."""

from libc.stdint cimport int64_t


cdef object byte_int(int64_t value)
cdef object mantissa_int(int64_t value)
cdef object utf8_text(const char* text, size_t length)
