"""What lies between a transport and the consumer of a feed."""

from libc.stdint cimport int64_t, uint8_t

from sbe_codegen.runtime.batch cimport Collector
from sbe_codegen.runtime.cursor cimport rewind, sbe_cursor
from sbe_codegen.runtime.loads cimport load_int64_le
from sbe_codegen.runtime.rows cimport Rows, add_row

from .stats cimport Stats, note, since


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
    cdef Py_ssize_t event_time          # where it is in a frame
    cdef int64_t unmarked               # frames of the read that is going on, not counted yet
    cdef int64_t received
    cdef int64_t started

    cdef int keep_frame(self, const uint8_t* data, Py_ssize_t size, int64_t received) except -1
    cdef int begin_read(self, int64_t received) except -1
    cdef int end_read(self) except -1
    cdef int mark(self) except -1
    cdef int complete(self) except -1


cdef inline bint is_full(Inbox inbox) noexcept:
    return inbox.pending >= inbox.limit and not inbox.unlimited


cdef inline int add_frame(
    Inbox inbox, const uint8_t* data, Py_ssize_t size, int64_t received
) except -1:
    """One frame: kept, or made into a row at once. `Inbox.end_read` has to follow."""
    cdef sbe_cursor cursor
    if not inbox.gathering:
        return inbox.keep_frame(data, size, received)
    if inbox.unmarked == 0:
        inbox.begin_read(received)
    cursor.start = data
    cursor.end = data + size
    rewind(&cursor, data)
    if add_row(inbox.rows, &cursor, received):
        note(
            inbox.stats.event_to_received,
            since(load_int64_le(data + inbox.event_time), received),
            1,
        )
    inbox.unmarked += 1
    inbox.stats.bytes += size
    if inbox.rows.frame_count >= inbox.batch_size:
        inbox.complete()
    return 0
