"""Frames that were no message: counted, and the latest kept within a bound.

A flood of them is not to cost more than good ones: what they were damaged by is found out when
somebody asks.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t

from ...spot_stream cimport sbe_header_length, sbe_header_schema_id, sbe_header_template_id
from ...venue.kinds cimport kind_of
from .streams cimport Source

from collections import deque

from ... import spot_stream

MOST_FRAMES = 1000
MOST_BYTES = 4 << 20            # of all that are kept
MOST_OF_ONE = 64 << 10          # longer frames are kept up to here

cdef Py_ssize_t _MOST_FRAMES = MOST_FRAMES
cdef int64_t _MOST_BYTES = MOST_BYTES
cdef uint64_t _SCHEMA_ID = spot_stream.SCHEMA_ID


cdef class DamagedFrames:
    """``count`` counts all; iteration gives the latest, as (frame, received_ns, connection)."""

    def __cinit__(self):
        self.frames = deque()
        self.unknown = {}

    def __len__(self):
        return len(self.frames)

    def __iter__(self):
        return iter(list(self.frames))      # a copy: more may come while somebody iterates

    def note(self, bytes frame not None, int64_t received, Source source not None):
        """Counts a frame that is no message; False where only its template is unknown."""
        cdef const uint8_t* data = <const uint8_t*><char*>frame
        return self.add(data, len(frame), received, source, kind_of(data, len(frame)))

    cdef bint add(
        self, const uint8_t* data, Py_ssize_t size, int64_t received, Source source, int kind
    ) except -1:
        """``kind`` is what its header says that it is."""
        if kind < 0 and <size_t>size >= sbe_header_length() and (
            sbe_header_schema_id(data) == _SCHEMA_ID
        ):
            template = sbe_header_template_id(data)
            self.unknown[template] = self.unknown.get(template, 0) + 1
            return False
        self.count += 1
        size = min(size, MOST_OF_ONE)
        # Copied, since ``data`` is the socket's buffer; of the connection the name, since a damaged
        # frame is not to keep all of it.
        frame = PyBytes_FromStringAndSize(<const char*>data, size)
        self.frames.append((frame, received, source.name))
        self.size += size
        while self.size > _MOST_BYTES or len(self.frames) > _MOST_FRAMES:
            self.size -= len(self.frames.popleft()[0])
        return True
