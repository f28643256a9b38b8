"""What every batch of a tape is checked for."""

from libc.stdint cimport int32_t

cdef int check_places(
    const int32_t* offsets, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t size
) except -1
