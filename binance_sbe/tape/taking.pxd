"""Rows on their way to a tape."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from ..feed.intake.tap cimport Tap, sbe_span


cdef class Chunk:
    """Rows that become one batch. The arrays are numpy's; the pointers lead into them."""

    cdef readonly object received_ns    # int64, one an entry
    cdef readonly object connection     # uint16
    cdef readonly object kind           # uint8
    cdef readonly object offsets        # int32, one more than rows
    cdef readonly object data           # uint8
    cdef readonly Py_ssize_t rows
    cdef readonly Py_ssize_t frames     # of these rows, those that are frames
    cdef readonly Py_ssize_t used       # bytes of data
    cdef Py_ssize_t room                # bytes of data there are
    cdef Py_ssize_t most                # rows
    cdef int64_t* received_at
    cdef uint16_t* connection_at
    cdef uint8_t* kind_at
    cdef int32_t* offset_at
    cdef uint8_t* data_at

    cdef int grow(self, Py_ssize_t size) except -1
    cdef int64_t cost(self)

    cdef inline void write(
        self, int64_t received, int connection, int kind, const uint8_t* data, Py_ssize_t size
    ) noexcept:
        """A row for which there is room."""
        cdef Py_ssize_t i = self.rows
        self.received_at[i] = received
        self.connection_at[i] = connection
        self.kind_at[i] = kind
        memcpy(self.data_at + self.used, data, size)
        self.used += size
        self.frames += kind == 0
        self.rows = i + 1
        self.offset_at[i + 1] = <int32_t>self.used


cdef class Taking(Tap):
    cdef Chunk chunk                    # that is being filled; None before the first row of it
    cdef readonly object full           # SimpleQueue of Chunks for the writer
    cdef readonly object free           # of those that it is done with
    cdef readonly Py_ssize_t most_rows
    cdef readonly int64_t limit         # bytes of memory that may wait for the writer
    cdef readonly int64_t waiting       # that do
    cdef readonly int64_t offset        # monotonic clock minus that of the day, ns
    cdef public object note_clock       # called with another offset
    cdef public object note_full        # called with the first that is lost
    cdef public object note_lost        # called once there is room again
    cdef readonly int64_t frames        # that were taken
    cdef readonly int64_t frame_bytes   # of these
    cdef readonly int64_t lost_frames
    cdef readonly int64_t lost_bytes
    cdef readonly int64_t lost_rows     # of other kinds
    cdef readonly int64_t lost_since    # ns, of the first that is lost now; 0: none is
    cdef readonly int64_t lost_until
    cdef int64_t told_frames            # of those that were lost, what `note_lost` was told of
    cdef int64_t told_bytes
    cdef bint clock_is_set
    cdef bint stopped                   # nothing is written any more

    cdef int add(
        self, int64_t received, int connection, int kind, const uint8_t* data, Py_ssize_t size
    ) except -1
    cdef Py_ssize_t add_frames(
        self, int64_t received, int connection, const sbe_span* spans, Py_ssize_t count
    ) noexcept
    cdef Chunk roomy(self, Py_ssize_t size)
    cdef int lose(self, int64_t received, int kind, Py_ssize_t size) except -1
    cdef int hand_over(self) except -1
    cdef int say_lost(self) except -1
