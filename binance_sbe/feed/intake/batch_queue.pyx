"""Batches that wait for the consumer, and when their rows were decoded."""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from .stats cimport Stats, note, now_ns

from collections import deque


cdef class BatchQueue:
    """``rows`` are those that the consumer has not taken, of whole batches and of the next."""

    def __cinit__(self):
        self.batches = deque()

    def __dealloc__(self):
        free(self.marks)

    def __len__(self):
        return len(self.batches)

    cdef int mark(self, Stats stats, int64_t rows, int64_t received, int64_t started) except -1:
        """So many rows were decoded since ``started``: they are counted and measured."""
        cdef int64_t decoded = now_ns()
        cdef sbe_mark* marks
        cdef Py_ssize_t room
        if self.mark_count == self.mark_room:
            room = max(2 * self.mark_room, <Py_ssize_t>64)
            marks = <sbe_mark*>realloc(self.marks, room * sizeof(sbe_mark))
            if marks == NULL:
                raise MemoryError()
            self.marks, self.mark_room = marks, room    # at once: the old memory is gone
        self.marks[self.mark_count] = sbe_mark(rows, decoded)
        self.mark_count += 1
        self.rows += rows
        note(stats.received_to_decoded, decoded - received, rows)
        note(stats.decoding, (decoded - started) // rows, rows)
        return 0

    cdef int add(self, batch) except -1:
        """A batch of the rows that were marked since the last."""
        marks = deque([
            (self.marks[i].count, self.marks[i].decoded) for i in range(self.mark_count)
        ])
        self.mark_count = 0
        self.batches.append((batch, marks))
        return 0

    cdef int hand_over(self, Stats stats) except -1:
        """The rows that are in no batch yet are handed over as one, with no batch before it."""
        cdef int64_t now = now_ns()
        cdef Py_ssize_t i
        for i in range(self.mark_count):
            note(stats.decoded_to_handed_over, now - self.marks[i].decoded, self.marks[i].count)
            self.rows -= self.marks[i].count
        self.mark_count = 0
        return 0

    cdef object take(self, Stats stats, Py_ssize_t most):
        """The oldest batch, which there is, or its next rows where it has more than ``most``."""
        cdef int64_t now
        cdef Py_ssize_t begin = self.handed, end, left, count
        batch, marks = self.batches[0]
        end = min(begin + most, <Py_ssize_t>batch.frame_count)
        left = end - begin
        now = now_ns()
        while left:
            count, decoded = marks.popleft()
            if count > left:
                marks.appendleft((count - left, decoded))
                count = left
            note(stats.decoded_to_handed_over, now - <int64_t>decoded, count)
            left -= count
        if end == batch.frame_count:
            self.batches.popleft()
            self.handed = 0
        else:
            self.handed = end
        self.rows -= end - begin
        return batch if end - begin == batch.frame_count else batch.part(begin, end)
