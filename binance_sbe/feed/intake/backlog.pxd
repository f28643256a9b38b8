"""What lies between the transports and the consumer of a feed."""

from libc.stdint cimport int64_t, uint8_t

from sbe_codegen.runtime.decode.cursor cimport sbe_cursor
from sbe_codegen.runtime.tables.batch cimport Collector

from .arbiter cimport Arbiter
from .batch_queue cimport BatchQueue
from .damage cimport DamagedFrames
from .frame_queue cimport FrameQueue
from .handlers cimport Calls
from .stats cimport Stats, note, since
from .streams cimport Source, Stream, sbe_event
from .tap cimport Tap, sbe_span

cdef enum:
    MOST_SPANS = 256            # frames that become rows in one go


cdef class Backlog:
    cdef readonly Stats stats
    cdef readonly FrameQueue frames
    cdef readonly BatchQueue batches
    cdef readonly DamagedFrames damaged
    cdef readonly object newer_versions # a Counter
    cdef readonly Py_ssize_t limit
    cdef bint stops                     # at the limit the transports stop: nothing is dropped
    cdef public bint stopped            # a connection waits for room: `Engine.resume` is wanted
    cdef public bint brings             # more may come: nobody need look why he waits
    cdef readonly object wake           # called where there is news for the consumer
    cdef readonly Arbiter arbiter
    cdef Collector collector            # None before rows are wanted
    cdef bint gathering                 # rows are wanted
    cdef Calls calls                    # None where nobody is called
    cdef public Tap tap                 # shown what comes; None where nothing is recorded
    cdef bint spilling                  # no room for rows: frames wait as frames
    cdef readonly Py_ssize_t batch_size
    cdef int64_t seen                   # frames of the read that is going on
    cdef Source reading                 # its connection
    cdef int64_t bytes_before           # that read
    cdef int64_t unmarked               # rows of that read, not counted yet
    cdef int64_t received               # ns since 1970: all that came in one read has one time
    cdef readonly int64_t moment        # the same by the monotonic clock
    cdef int64_t started

    cdef Py_ssize_t room(self) except -1
    cdef int add_frames(
        self, Source source, const sbe_span* spans, Py_ssize_t count, int64_t received,
        int64_t moment
    ) except -1
    cdef Py_ssize_t add_rows(self, Source source, const sbe_span* spans, Py_ssize_t count) except -1
    cdef int end_read(self, Source source) except -1
    cdef int take_frame(self, Source source, const uint8_t* data, Py_ssize_t size) except -1
    cdef int deliver(
        self, bytes frame, int64_t received, Stream stream, const sbe_event* event
    ) except -1
    cdef int check_calls(self) except -1
    cpdef int stop_calling(self) except -1
    cdef int note_damaged(self, Source source, const uint8_t* data, Py_ssize_t size) except -1
    cdef int settle_row(
        self, int verdict, Stream stream, Source source, const sbe_event* event, sbe_cursor* cursor
    ) except -1
    cdef int add_known(self, bytes frame, int64_t received) except -1
    cdef int refill(self) except -1
    cdef int mark(self) except -1
    cdef int complete(self) except -1
    cdef object take_rows(self)


cdef inline bint as_rows(Backlog backlog) noexcept:
    """Whether frames become rows now."""
    return backlog.gathering and not backlog.spilling


cdef inline bint has_come(Backlog backlog) except -1:
    """Whether there is what the consumer takes now: rows, or frames."""
    return backlog.batches.rows > 0 if backlog.gathering else backlog.frames.count() > 0


cdef inline bint has_rows(Backlog backlog) noexcept:
    """Whether there are rows that are in no batch yet."""
    return backlog.collector is not None and backlog.collector.rows.frame_count > 0


cdef inline int counted(Backlog backlog) except -1:
    """One more frame is in the rows, refused or not."""
    backlog.unmarked += 1
    if backlog.collector.rows.frame_count >= backlog.batch_size:
        backlog.complete()
    return 0


cdef inline int count_row(Backlog backlog, int64_t event_time, int64_t received) except -1:
    """One more row."""
    note(backlog.stats.event_to_received, since(event_time, received), 1)
    return counted(backlog)
