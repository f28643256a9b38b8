"""Frames that were no message: counted, and the latest kept within a bound.

A flood of them is not to cost more than good ones: what they were damaged by is found out when
somebody asks.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t

from .sequencer cimport Line

from collections import deque

from ... import spot_stream

MOST_FRAMES = 1000
MOST_BYTES = 4 << 20            # of all that are kept
MOST_OF_ONE = 64 << 10          # longer frames are kept up to here

cdef enum:
    HEADER = 8                  # bytes
    FIRST_TEMPLATE = 10000
    LAST_TEMPLATE = 10003

cdef Py_ssize_t _MOST_FRAMES = MOST_FRAMES
cdef int64_t _MOST_BYTES = MOST_BYTES
cdef int _SCHEMA_ID = spot_stream.SCHEMA_ID


cdef class DamagedFrames:
    """``count`` counts all; iteration gives the latest as (frame, received_ns, name of the connection)."""

    def __cinit__(self):
        self.frames = deque()
        self.unknown = {}

    def __len__(self):
        return len(self.frames)

    def __iter__(self):
        return iter(list(self.frames))

    def note(self, bytes frame not None, int64_t received, Line line not None):
        """Counts a frame that is no message; False where only its template is unknown."""
        return self.add(<const uint8_t*><char*>frame, len(frame), received, line)

    cdef bint add(self, const uint8_t* data, Py_ssize_t size, int64_t received, Line line) except -1:
        cdef int template
        if size >= HEADER and (data[4] | data[5] << 8) == _SCHEMA_ID:
            template = data[2] | data[3] << 8
            if not FIRST_TEMPLATE <= template <= LAST_TEMPLATE:
                self.unknown[template] = self.unknown.get(template, 0) + 1
                return False
        self.count += 1
        size = min(size, MOST_OF_ONE)
        frame = PyBytes_FromStringAndSize(<const char*>data, size)
        self.frames.append((frame, received, line.name))
        self.size += size
        while self.size > _MOST_BYTES or len(self.frames) > _MOST_FRAMES:
            self.size -= len(self.frames.popleft()[0])
        return True
