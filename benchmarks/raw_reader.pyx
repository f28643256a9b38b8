# cython: language_level=3, boundscheck=False, wraparound=False
"""The floor: a blocking socket, its frames told apart by hand, and rows. Nothing else."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memmove
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from binance_sbe cimport spot_stream
from sbe_codegen.runtime.batch cimport Collector
from sbe_codegen.runtime.cursor cimport rewind, sbe_cursor

cdef extern from "sys/socket.h":
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags) nogil


def read(int fd, Collector collector, Py_ssize_t count):
    """Reads ``count`` short binary frames into the collector."""
    cdef uint8_t[65536] buffer
    cdef Py_ssize_t held = 0, at, got, size, seen = 0
    cdef sbe_cursor cursor
    cdef timespec now
    while seen < count:
        got = recv(fd, &buffer[held], 65536 - held, 0)
        if got <= 0:
            raise OSError("the server hung up")
        clock_gettime(CLOCK_REALTIME, &now)
        held += got
        at = 0
        while held - at >= 2 and held - at >= 2 + buffer[at + 1]:
            size = buffer[at + 1]
            if buffer[at] != 0x82 or size >= 126:
                raise ValueError("not a short binary frame")
            cursor.start = &buffer[at + 2]
            cursor.end = cursor.start + size
            rewind(&cursor, cursor.start)
            collector.rows.add(&cursor, now.tv_sec * <int64_t>1000000000 + now.tv_nsec)
            seen += 1
            at += 2 + size
        memmove(buffer, &buffer[at], held - at)
        held -= at
