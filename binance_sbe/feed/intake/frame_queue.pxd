"""Frames that wait for the consumer, and what is done when there are too many."""

from libc.stdint cimport int64_t

from .streams cimport Stream, sbe_event


cdef class Waiting:             # one frame
    cdef bytes frame            # None once it was dropped
    cdef int64_t received       # ns
    cdef Stream stream          # None where the frame is no message
    cdef int64_t first          # ids
    cdef int64_t last


cdef class FrameQueue:
    cdef readonly Py_ssize_t limit
    cdef readonly str overflowed
    cdef readonly Py_ssize_t blocking
    cdef dict policy
    cdef object account
    cdef object frames          # a deque of Waiting
    cdef Py_ssize_t gone        # of those, dropped
    cdef bint tracks            # something may be dropped: by_stream is kept
    cdef dict by_stream         # deques of Waiting
    cdef bint has_dropped

    cdef Py_ssize_t count(self) except -1
    cdef int add(
        self, bytes frame, int64_t received, Stream stream, const sbe_event* event
    ) except -1
    cdef Waiting take(self)
    cdef int note_emptied(self) except -1
    cdef object queue_of(self, Stream stream)
    cdef int make_room(self, Stream stream, str policy) except -1
    cdef object oldest_queue(self)
    cdef int drop(self, Waiting waiting) except -1
    cdef int note_dropped(self, Waiting waiting) except -1
