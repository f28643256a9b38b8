"""From the rows of a tape into the backlog of a feed."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from ..feed.intake.backlog cimport Backlog

cdef enum:                      # why playing stops
    END, OTHER, UNKNOWN, LATER, FULL, ENOUGH, LOOK


cdef class Pump:
    cdef Backlog backlog
    cdef public dict sources            # Source by the number in the column `connection`
    cdef public int64_t offset          # monotonic clock minus `received_ns`, ns
    cdef public int64_t look_at         # play up to here, and stop where frames are held
    cdef readonly Py_ssize_t at         # the row to go on with
    cdef readonly Py_ssize_t end
    cdef readonly int64_t frames        # that were played
    cdef readonly int64_t received      # the time of the last read, 0 before the first
    cdef object holds                   # the arrays that the pointers lead into
    cdef const int64_t* received_at
    cdef const uint16_t* connection_at
    cdef const uint8_t* kind_at
    cdef const int32_t* offset_at
    cdef const uint8_t* wanted_at       # NULL: all
    cdef const uint8_t* data
    cdef Py_ssize_t data_size
