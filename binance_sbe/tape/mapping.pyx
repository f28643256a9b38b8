"""A part of a file that is mapped, to be read.

`mmap` of the standard library keeps a descriptor of the file for each map (until CPython 3.13), and
of a tape of many files there would be more of these than a process may have.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport errno

import os

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long long offset)
    int munmap(void* address, size_t length)
    int PROT_READ, MAP_SHARED
    void* MAP_FAILED

GRANULARITY = os.sysconf("SC_PAGESIZE")    # a map begins at a multiple of so many bytes


@cython.final
cdef class Mapping:
    """``size`` bytes of an open file from ``begin`` on, as a buffer. OSError where it can't be.

    It is unmapped when nobody has it, or a view of it, any more. ``fd`` may be closed before.
    """

    cdef void* data
    cdef Py_ssize_t size

    def __cinit__(self, int fd, long long begin, Py_ssize_t size):
        cdef void* found = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, begin)
        if found == MAP_FAILED:
            raise OSError(errno, os.strerror(errno))
        self.data = found
        self.size = size

    def __dealloc__(self):
        if self.data != NULL:
            munmap(self.data, self.size)

    def view(self):
        """All of it."""
        return memoryview(self)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 1, flags)
