# cython: language_level=3, boundscheck=False, wraparound=False
"""The floor of batches: a loop of memcpy over the frames, into memory that was written before.

`bytes.join` is none: it takes new pages each time, and a page that is touched for the first time
costs more than what is copied there.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    /* A compiler sees that copying the same bytes again changes nothing, unless it can't look. */
    static void *(*volatile sbe_copy)(void *, const void *, size_t) = memcpy;
    """
    void* sbe_copy(void* to, const void* begin, size_t size) noexcept nogil


cdef class Floor:
    """Memory for so many bytes, all of them written, and the two loops that copy into it."""

    cdef char* memory
    cdef size_t capacity

    def __cinit__(self, size_t capacity):
        self.memory = <char*>malloc(capacity + 1)
        if self.memory == NULL:
            raise MemoryError()
        self.capacity = capacity
        memset(self.memory, 1, capacity)

    def __dealloc__(self):
        free(self.memory)

    def copy_list(self, list frames):
        """Each of a list of bytes objects, one after the other; how many bytes that were."""
        cdef char* to = self.memory
        cdef char* end = self.memory + self.capacity
        cdef Py_ssize_t size
        cdef bytes frame
        for frame in frames:
            size = PyBytes_GET_SIZE(frame)
            if size > end - to:
                raise ValueError("more bytes than there is memory for")
            memcpy(to, PyBytes_AS_STRING(frame), size)
            to += size
        return to - self.memory

    def copy_run(self, bytes buffer, const int64_t[::1] offsets):
        """The frames ``buffer[offsets[i]:offsets[i + 1]]``, one after the other; how many bytes."""
        cdef const char* data = PyBytes_AS_STRING(buffer)
        cdef char* to = self.memory
        cdef char* end = self.memory + self.capacity
        cdef Py_ssize_t i, size
        for i in range(offsets.shape[0] - 1):
            size = offsets[i + 1] - offsets[i]
            if size > end - to:
                raise ValueError("more bytes than there is memory for")
            memcpy(to, data + offsets[i], size)
            to += size
        return to - self.memory

    def copy_again(self, bytes frame, Py_ssize_t times):
        """The same frame to the same place, again and again; each copy is a call of memcpy."""
        cdef Py_ssize_t i, size = PyBytes_GET_SIZE(frame)
        if <size_t>size > self.capacity:
            raise ValueError("more bytes than there is memory for")
        for i in range(times):
            sbe_copy(self.memory, PyBytes_AS_STRING(frame), size)
        return size

    def copied(self, size_t size):
        """What the first bytes of the memory are."""
        return self.memory[:min(size, self.capacity)]
