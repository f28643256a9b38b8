"""What lies between a transport and the consumer of a feed."""

from libc.stdint cimport int64_t, uint8_t

from sbe_codegen.runtime.batch cimport Collector
from sbe_codegen.runtime.rows cimport Rows

from .stats cimport Stats


cdef struct sbe_mark:           # messages that were decoded together
    int64_t count
    int64_t decoded             # ns


cdef class Inbox:
    cdef readonly Stats stats
    cdef readonly object frames         # deque of (bytes, received_ns), where messages are wanted
    cdef readonly object batches        # deque of complete ones
    cdef readonly Py_ssize_t pending    # frames in either, and in rows
    cdef public Py_ssize_t limit
    cdef public bint unlimited
    cdef object wake
    cdef Collector collector            # None before rows are wanted
    cdef Rows rows
    cdef bint gathering
    cdef Py_ssize_t batch_size
    cdef sbe_mark* marks
    cdef Py_ssize_t mark_count
    cdef Py_ssize_t mark_room
    cdef int64_t unmarked               # rows of the read that is going on
    cdef int64_t received
    cdef int64_t started

    cdef int add(self, const uint8_t* data, Py_ssize_t size, int64_t received) except -1
    cdef int end_read(self) except -1
    cdef int mark(self) except -1
    cdef int complete(self) except -1
    cdef bint is_full(self) noexcept
