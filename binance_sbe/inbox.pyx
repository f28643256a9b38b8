"""What lies between a transport and the consumer of a feed: frames, or the rows made of them.

A transport puts frames in, on the event loop's thread. Where batches are wanted they become rows at
once, from wherever the transport has them, and no Python object is made.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc

from .stats cimport Stats, note, now_ns

from collections import deque

from . import spot_stream

cdef enum:
    MOST_ROOM = 16384           # rows to make room for at first

# Where a stream's message has its event time: at one place in all of them.
(EVENT_TIME,) = {
    spot_stream.HEADER_SIZE + each.DTYPE.fields["event_time"][1]
    for each in spot_stream.MESSAGES.values()
}


@cython.final
cdef class Inbox:
    """``wake()`` is called when there is something that the consumer may be waiting for.

    ``limit`` is the number of frames to hold, unless ``unlimited`` is set; it is for the transport to
    stop at it.
    """

    def __cinit__(self, stats, Py_ssize_t limit, wake):
        self.stats = stats
        self.frames = deque()
        self.batches = deque()
        self.limit = limit
        self.wake = wake
        self.event_time = EVENT_TIME

    def __dealloc__(self):
        free(self.marks)

    @property
    def full(self):
        """Whether the transport is to stop."""
        return is_full(self)

    def put(self, bytes frame not None, int64_t received):
        """One frame, which was received at a time (ns since the epoch)."""
        add_frame(self, <const uint8_t*>(<char*>frame), len(frame), received)
        self.end_read()

    cdef int keep_frame(self, const uint8_t* data, Py_ssize_t size, int64_t received) except -1:
        self.frames.append((PyBytes_FromStringAndSize(<const char*>data, size), received))
        self.stats.frames += 1
        self.stats.bytes += size
        self.pending += 1
        if len(self.frames) == 1:
            self.wake()
        return 0

    cdef int begin_read(self, int64_t received) except -1:
        self.received = received
        self.started = now_ns()
        return 0

    cdef int end_read(self) except -1:
        """All that one read of the socket gave has been added."""
        cdef Py_ssize_t before = self.pending
        if self.unmarked:
            self.mark()
            if before == 0 or (is_full(self) and before < self.limit):
                self.wake()
        return 0

    cdef int mark(self) except -1:
        """Counts and measures the rows that one read has given so far."""
        cdef int64_t decoded = now_ns()
        cdef sbe_mark* marks
        cdef Py_ssize_t room
        if self.mark_count == self.mark_room:
            room = max(2 * self.mark_room, <Py_ssize_t>64)
            marks = <sbe_mark*>realloc(self.marks, room * sizeof(sbe_mark))
            if marks == NULL:
                raise MemoryError()
            self.marks, self.mark_room = marks, room
        self.marks[self.mark_count] = sbe_mark(self.unmarked, decoded)
        self.mark_count += 1
        self.stats.frames += self.unmarked
        self.pending += self.unmarked
        note(self.stats.received_to_decoded, decoded - self.received, self.unmarked)
        note(self.stats.decoding, (decoded - self.started) // self.unmarked, self.unmarked)
        self.unmarked = 0
        return 0

    # batches

    def gather(self, Py_ssize_t batch_size):
        """From now on frames become rows; those that are there already too."""
        self.batch_size = batch_size
        if self.collector is None:
            self.collector = spot_stream.Collector(min(batch_size, MOST_ROOM), "collect")
            self.rows = self.collector.rows
        self.gathering = True
        frames, self.frames = self.frames, deque()
        self.pending -= len(frames)
        for frame, received in frames:
            self.stats.frames -= 1              # they were counted when they came
            self.stats.bytes -= len(frame)
            self.put(frame, received)

    def stop_gathering(self):
        """From now on frames stay frames. Rows that were not handed over are for the next batches."""
        self.gathering = False

    @property
    def rows_ready(self):
        """Whether there is a whole batch, or no room for one."""
        return len(self.batches) > 0 or (is_full(self) and self.rows.frame_count > 0)

    @property
    def row_count(self):
        """Frames that have become rows and were not handed over."""
        return self.pending - len(self.frames)

    cdef int complete(self) except -1:
        """What was gathered becomes a batch."""
        if self.unmarked:
            self.mark()
        marks = [(self.marks[i].count, self.marks[i].decoded) for i in range(self.mark_count)]
        self.mark_count = 0
        self.batches.append((self.collector.take(), marks))
        self.rows = self.collector.rows
        self.wake()
        return 0

    def hand_over(self):
        """The next batch, complete or not; there is a row at least."""
        cdef int64_t now
        if not self.batches:
            self.complete()
        batch, marks = self.batches.popleft()
        now = now_ns()
        for count, decoded in marks:
            note(self.stats.decoded_to_handed_over, now - <int64_t>decoded, count)
        self.pending -= batch.frame_count
        return batch

    def pop(self):
        """The next frame, as (bytes, received_ns)."""
        self.pending -= 1
        return self.frames.popleft()
