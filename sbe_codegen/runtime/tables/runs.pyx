"""Frames that lie in one buffer, into the tables of a batch.

The GIL is held only while the table of a message that comes for the first time is opened, and while
a frame is refused.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from ..decode.cursor cimport FAULT_NO_TABLE, rewind, sbe_cursor, sbe_fault
from ..decode.frames cimport Lease
from .rows cimport Rows

cimport numpy as cnp

from ..errors import DecodeError
from .inputs import checked_offsets

cdef enum:
    SAMPLE = 128                # messages after which those of the whole buffer are estimated


cdef int add_run(Rows rows, object buffer, object offsets) except -1:
    """The frames ``buffer[offsets[i]:offsets[i + 1]]``."""
    cdef sbe_cursor cursor
    cdef sbe_fault fault
    cdef Lease lease = Lease(buffer)
    cdef cnp.ndarray mine = checked_offsets(offsets, lease.view.len)    # a copy: nobody writes
    cdef const int64_t* ends = <const int64_t*>cnp.PyArray_DATA(mine)
    cdef Py_ssize_t i = 0, count = len(mine) - 1
    cdef const uint8_t* data = <const uint8_t*>lease.view.buf
    cdef bint good
    cursor.fault = &fault
    rows.tables.expected = count
    while i < count:
        with nogil:
            good = True
            while i < count:
                cursor.start = data + ends[i]
                cursor.end = data + ends[i + 1]
                rewind(&cursor, cursor.start)
                rows.tables.frame = i
                if not rows.append_frame(&rows.tables, &cursor):
                    good = False
                    break
                i += 1
        if not good and fault.code == FAULT_NO_TABLE:
            rows.open_wanted()
        elif not good:
            rows.reject(&fault)
            i += 1
    rows.frame_count = count
    return 0


cdef int add_buffer(Rows rows, object buffer) except -1:
    """Messages end to end, each of which begins where the last element of the one before ends.

    Nothing says where the next one begins after a message that is refused: from there on all is one
    frame.
    """
    cdef sbe_cursor cursor
    cdef sbe_fault fault
    cdef Lease lease = Lease(buffer)
    cdef const uint8_t* at = <const uint8_t*>lease.view.buf
    cdef bint good
    cursor.fault = &fault
    cursor.start = at
    cursor.end = at + lease.view.len
    while at < cursor.end:
        with nogil:
            good = True
            while at < cursor.end:
                rewind(&cursor, at)
                rows.tables.frame = rows.frame_count
                good = rows.append_frame(&rows.tables, &cursor)
                if not good:
                    break
                rows.frame_count += 1
                if cursor.position == at:   # a message of no bytes: there is no next one
                    break
                at = cursor.position
                if rows.frame_count == SAMPLE:
                    rows.tables.expected = SAMPLE * (lease.view.len // (at - cursor.start) + 1)
        if good:
            break
        if fault.code == FAULT_NO_TABLE:
            rows.open_wanted()
            continue
        refuse_rest(rows, &fault, at - cursor.start, cursor.end - at)
        at = cursor.end
    rows.tables.left_over = <uint64_t>(cursor.end - at)
    return 0


cdef int refuse_rest(Rows rows, const sbe_fault* fault, size_t begin, size_t size) except -1:
    """What comes from a message on that is none, as one frame."""
    try:
        rows.reject(fault)
    except DecodeError as error:
        error.add_note(
            f"The {size} bytes of the buffer from {begin} on are one frame, since nothing says where "
            f"in them another message begins"
        )
        raise
    rows.frame_count += 1
    return 0
