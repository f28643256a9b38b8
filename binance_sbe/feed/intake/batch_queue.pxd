"""Batches that wait for the consumer."""

from libc.stdint cimport int64_t

from .stats cimport Stats

cdef struct sbe_mark:           # rows that were decoded together
    int64_t count
    int64_t decoded             # ns


cdef class BatchQueue:
    cdef readonly Py_ssize_t rows
    cdef object batches         # deque of (batch, Marks)
    cdef Py_ssize_t handed      # rows of the first of them that were handed over
    cdef sbe_mark* marks        # of the rows that are in no batch yet
    cdef Py_ssize_t mark_count
    cdef Py_ssize_t mark_room

    cdef int mark(self, Stats stats, int64_t rows, int64_t received, int64_t started) except -1
    cdef int add(self, batch) except -1
    cdef int hand_over(self, Stats stats) except -1
    cdef object take(self, Stats stats, Py_ssize_t most)
