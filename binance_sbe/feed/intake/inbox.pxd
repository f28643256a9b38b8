"""What lies between the transports and the consumer of a feed."""

from libc.stdint cimport int64_t, uint8_t

from sbe_codegen.runtime.batch cimport Collector
from sbe_codegen.runtime.cursor cimport sbe_cursor

from .damage cimport DamagedFrames
from .overflow cimport FrameQueue
from .sequencer cimport Line, Sequencer, Stream, sbe_event
from .stats cimport Stats

cdef struct sbe_mark:           # messages that were decoded together
    int64_t count
    int64_t decoded             # ns


cdef enum:
    MOST_SPANS = 256            # frames that become rows in one go


cdef struct sbe_span:           # a frame, where it lies
    const uint8_t* data
    Py_ssize_t size


cdef class Inbox:
    cdef readonly Stats stats
    cdef readonly object ledger
    cdef readonly FrameQueue frames
    cdef readonly object batches        # deque of complete ones
    cdef Py_ssize_t handed              # frames of the first of them that were handed over
    cdef readonly Py_ssize_t rows_held  # frames that are rows and were not handed over
    cdef readonly Py_ssize_t limit
    cdef bint stops                     # at the limit the transports stop: nothing is dropped
    cdef object wake
    cdef Sequencer sequencer
    cdef Collector collector            # None before rows are wanted
    cdef bint gathering                 # rows are wanted
    cdef bint spilling                  # no room for rows: frames wait as frames
    cdef readonly Py_ssize_t batch_size
    cdef sbe_mark* marks
    cdef Py_ssize_t mark_count
    cdef Py_ssize_t mark_room
    cdef int64_t seen                   # frames of the read that is going on
    cdef Line reading                   # its connection
    cdef int64_t bytes_before           # that read
    cdef int64_t unmarked               # rows of that read, not counted yet
    cdef int64_t received               # ns since 1970: all that came in one read has one time
    cdef int64_t moment                 # the same by the monotonic clock
    cdef int64_t started
    cdef DamagedFrames damaged

    cdef Py_ssize_t room(self) except -1
    cdef int add_frames(
        self, Line line, const sbe_span* spans, Py_ssize_t count, int64_t received, int64_t moment
    ) except -1
    cdef Py_ssize_t add_rows(self, Line line, const sbe_span* spans, Py_ssize_t count) except -1
    cdef int end_read(self, Line line) except -1
    cdef int take_frame(self, Line line, const uint8_t* data, Py_ssize_t size) except -1
    cdef int note_damaged(self, Line line, bytes frame) except -1
    cdef int settle_row(
        self, int verdict, Stream stream, Line line, const sbe_event* event, sbe_cursor* cursor
    ) except -1
    cdef int add_known(self, bytes frame, int64_t received) except -1
    cdef int note_version(self, const uint8_t* data) except -1
    cdef int refill(self) except -1
    cdef int mark(self) except -1
    cdef int complete(self) except -1


cdef inline bint as_rows(Inbox inbox) noexcept:
    """Whether frames become rows now."""
    return inbox.gathering and not inbox.spilling
