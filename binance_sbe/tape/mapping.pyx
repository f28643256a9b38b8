"""A part of a file that is mapped, to be read.

`mmap` of the standard library keeps a descriptor of the file for each map (until CPython 3.13), and
of a tape of many files there would be more of these than a process may have.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport EFAULT, errno

import os

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long long offset)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    int PROT_READ, MAP_SHARED
    void* MAP_FAILED

cdef extern from *:
    """
    #ifndef MADV_POPULATE_READ          /* Linux 5.14; elsewhere it is refused, and does no harm */
    #define MADV_POPULATE_READ 22
    #endif
    """
    int MADV_POPULATE_READ

GRANULARITY = os.sysconf("SC_PAGESIZE")    # a map begins at a multiple of so many bytes
cdef Py_ssize_t PAGE = GRANULARITY


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

    def part(self, Py_ssize_t at, Py_ssize_t size):
        """Some of it, as a memoryview. ValueError for what is not within.

        Its pages are mapped in one go, which takes less than to meet them one by one. OSError where
        the file does not have them any more, as far as the system says so.
        """
        cdef Py_ssize_t begin
        cdef int failed
        if not 0 <= size <= self.size or not 0 <= at <= self.size - size:
            raise ValueError(f"{size} bytes at {at} are not within {self.size}")
        begin = at - at % PAGE
        with nogil:
            failed = madvise(<char*>self.data + begin, at + size - begin, MADV_POPULATE_READ)
        if failed and errno == EFAULT:
            raise OSError(errno, "the file has become shorter")
        return memoryview(self)[at:at + size]

    def __len__(self):
        return self.size

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 1, flags)
