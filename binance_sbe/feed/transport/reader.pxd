"""Where a socket is read into, for what reads it in C. See `reader.pyx`."""

from libc.stdint cimport uint8_t


cdef class Receiver:
    cdef uint8_t* data          # the buffer
    cdef Py_ssize_t filled      # how much of it has something: what is read next goes behind that
    cdef readonly bint blocked  # something waits for room in the backlog

    cdef Py_ssize_t room(self) noexcept         # how many bytes may be read
    cpdef object buffer(self)                   # where that is, a memoryview
    cpdef int take_read(self, Py_ssize_t size) except -1        # so many were
