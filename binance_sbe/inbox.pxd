"""What lies between the transports and the consumer of a feed."""

from libc.stdint cimport int64_t, uint8_t

from sbe_codegen.runtime.batch cimport Collector, collect_row
from sbe_codegen.runtime.cursor cimport rewind, sbe_cursor
from sbe_codegen.runtime.rows cimport REFUSED

from .sequencer cimport (
    HAND_OVER, Line, Sequencer, Stream, event_of_row, judge, sbe_event,
)
from .stats cimport Stats, note, since

cdef enum:
    FIRST_TEMPLATE = 10000


cdef struct sbe_mark:           # messages that were decoded together
    int64_t count
    int64_t decoded             # ns


cdef class Inbox:
    cdef readonly Stats stats
    cdef readonly object ledger
    cdef readonly object frames         # a FrameQueue
    cdef readonly object batches        # deque of complete ones
    cdef readonly Py_ssize_t rows_held  # frames that are rows and were not handed over
    cdef readonly Py_ssize_t limit
    cdef public bint unlimited
    cdef bint stops                     # at the limit the transports stop: nothing is dropped
    cdef object wake
    cdef Sequencer sequencer
    cdef Collector collector            # None before rows are wanted
    cdef bint gathering                 # rows are wanted
    cdef bint spilling                  # no room for rows: frames wait as frames
    cdef Py_ssize_t batch_size
    cdef sbe_mark* marks
    cdef Py_ssize_t mark_count
    cdef Py_ssize_t mark_room
    cdef int64_t seen                   # frames of the read that is going on
    cdef int64_t bytes_before           # that read
    cdef int64_t unmarked               # rows of that read, not counted yet
    cdef int64_t received
    cdef int64_t started

    cdef int begin_read(self, int64_t received) except -1
    cdef int end_read(self, Line line) except -1
    cdef int take_frame(
        self, Line line, const uint8_t* data, Py_ssize_t size, int64_t received
    ) except -1
    cdef int refused(
        self, Line line, const uint8_t* data, Py_ssize_t size, int64_t received
    ) except -1
    cdef int settle_row(
        self, int verdict, Stream stream, Line line, const sbe_event* event, sbe_cursor* cursor,
        int64_t received
    ) except -1
    cdef int add_known(self, bytes frame, int64_t received) except -1
    cdef int note_version(self, const uint8_t* data) except -1
    cdef int refill(self) except -1
    cdef int mark(self) except -1
    cdef int complete(self) except -1


cdef inline int counted(Inbox inbox) except -1:
    """One more frame is in the rows, refused or not."""
    inbox.unmarked += 1
    if inbox.collector.rows.frame_count >= inbox.batch_size:
        inbox.complete()
    return 0


cdef inline int count_row(Inbox inbox, int64_t event_time, int64_t received) except -1:
    """One more row."""
    note(inbox.stats.event_to_received, since(event_time, received), 1)
    return counted(inbox)


cdef inline bint as_rows(Inbox inbox) noexcept:
    """Whether frames become rows now."""
    return inbox.gathering and not inbox.spilling


cdef inline int add_frame(
    Inbox inbox, Line line, const uint8_t* data, Py_ssize_t size, int64_t received
) except -1:
    """One frame: kept, or made into a row at once. `Inbox.end_read` has to follow."""
    cdef sbe_cursor cursor
    cdef sbe_event event
    cdef Stream stream
    cdef int verdict
    if inbox.seen == 0:
        inbox.begin_read(received)
    inbox.seen += 1
    inbox.stats.bytes += size
    if not as_rows(inbox):
        return inbox.take_frame(line, data, size, received)
    cursor.start = data
    cursor.end = data + size
    rewind(&cursor, data)
    if collect_row(inbox.collector, &cursor, received) == REFUSED:
        return inbox.refused(line, data, size, received)
    stream = event_of_row(
        inbox.sequencer, inbox.collector.rows, <int>cursor.template_id - FIRST_TEMPLATE, &event
    )
    verdict = judge(inbox.sequencer, stream, line, &event, received)
    if data[6] | data[7]:
        inbox.note_version(data)
    if verdict != HAND_OVER:
        return inbox.settle_row(verdict, stream, line, &event, &cursor, received)
    return count_row(inbox, event.time, received)
