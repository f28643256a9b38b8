# cython: language_level=3, boundscheck=False, wraparound=False
"""The floor: a blocking socket, its frames told apart by hand, and rows. Nothing else."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memmove
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from sbe_codegen.runtime.tables.batch cimport Collector, collect_row
from sbe_codegen.runtime.decode.cursor cimport rewind, sbe_cursor

cdef extern from "sys/socket.h":
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags) nogil

cdef enum:
    SIZE = 262144


cdef class Reader:
    cdef int fd
    cdef uint8_t[SIZE] buffer
    cdef Py_ssize_t at, held    # what of the buffer is left

    def __init__(self, int fd):
        self.fd = fd

    def read(self, Collector collector not None, Py_ssize_t count):
        """Reads ``count`` short binary frames into the collector."""
        cdef Py_ssize_t got, size, seen = 0
        cdef sbe_cursor cursor
        cdef timespec now
        cdef int64_t received = 0
        while seen < count:
            while seen < count and self.held >= 2 and self.held >= 2 + self.buffer[self.at + 1]:
                size = self.buffer[self.at + 1]
                if self.buffer[self.at] != 0x82 or size >= 126:
                    raise ValueError("not a short binary frame")
                cursor.start = &self.buffer[self.at + 2]
                cursor.end = cursor.start + size
                rewind(&cursor, cursor.start)
                collect_row(collector, &cursor, received)
                seen += 1
                self.at += 2 + size
                self.held -= 2 + size
            if seen < count:
                memmove(self.buffer, &self.buffer[self.at], self.held)
                self.at = 0
                got = recv(self.fd, &self.buffer[self.held], SIZE - self.held, 0)
                if got <= 0:
                    raise OSError("the server hung up")
                clock_gettime(CLOCK_REALTIME, &now)
                received = now.tv_sec * <int64_t>1000000000 + now.tv_nsec
                self.held += got
