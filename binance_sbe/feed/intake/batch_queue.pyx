"""Batches that wait for the consumer, and when their rows were decoded."""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from .stats cimport Stats, clock_of, note

from collections import deque


cdef class Marks:
    """Those of the rows of one batch, from the first that was not handed over."""

    cdef sbe_mark* marks
    cdef Py_ssize_t at
    cdef Py_ssize_t count

    def __dealloc__(self):
        free(self.marks)

    cdef int note_handed(self, Stats stats, Py_ssize_t rows, int64_t now) except -1:
        """So many more rows are handed over, which there are."""
        cdef sbe_mark* mark
        cdef int64_t count
        while rows and self.at < self.count:
            mark = &self.marks[self.at]
            count = min(mark.count, <int64_t>rows)
            note(stats.decoded_to_handed_over, now - mark.decoded, count)
            rows -= count
            mark.count -= count
            if mark.count == 0:
                self.at += 1
        return 0


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
        cdef int64_t decoded = clock_of(stats)
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
        cdef Marks marks = Marks.__new__(Marks)
        marks.marks, self.marks = self.marks, NULL
        marks.count = self.mark_count
        self.mark_count = self.mark_room = 0
        self.batches.append((batch, marks))
        return 0

    cdef int hand_over(self, Stats stats) except -1:
        """The rows that are in no batch yet are handed over as one, with no batch before it."""
        cdef int64_t now = clock_of(stats)
        cdef Py_ssize_t i
        for i in range(self.mark_count):
            note(stats.decoded_to_handed_over, now - self.marks[i].decoded, self.marks[i].count)
            self.rows -= self.marks[i].count
        self.mark_count = 0
        return 0

    cdef object take(self, Stats stats, Py_ssize_t most):
        """The oldest batch, which there is, or its next rows where it has more than ``most``."""
        cdef Py_ssize_t begin = self.handed, end
        cdef Marks marks
        batch, marks = self.batches[0]
        end = min(begin + most, <Py_ssize_t>batch.frame_count)
        marks.note_handed(stats, end - begin, clock_of(stats))
        if end == batch.frame_count:
            self.batches.popleft()
            self.handed = 0
        else:
            self.handed = end
        self.rows -= end - begin
        return batch if end - begin == batch.frame_count else batch.part(begin, end)
