"""Frames that lie in one buffer, into the tables of a batch.

The GIL is held only while the table of a message that comes for the first time is opened, and while
a frame is refused.
"""

from cpython.buffer cimport Py_buffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from ..decode.cursor cimport FAULT_NO_TABLE, sbe_cursor, sbe_fault
from ..decode.frames cimport Lease
from .rows cimport Rows
from .tables cimport aim, sbe_frames, sbe_place

cimport numpy as cnp

from ..errors import DecodeError
from .inputs import checked_offsets, offsets_of

cdef enum:
    TOGETHER = 512              # frames whose offsets are copied before they are read
    SAMPLE = 128                # messages after which those of the whole buffer are estimated


ctypedef fused offset_t:        # those of an Arrow array may be narrow
    int32_t
    int64_t


cdef int add_run(Rows rows, object buffer, object offsets) except -1:
    """The frames ``buffer[offsets[i]:offsets[i + 1]]``."""
    cdef sbe_cursor cursor
    cdef sbe_fault fault
    cdef Lease lease = Lease(buffer)
    cdef cnp.ndarray given = offsets_of(offsets)
    cdef bint is_narrow = given.itemsize == sizeof(int32_t)
    cdef const int32_t* narrow = <const int32_t*>cnp.PyArray_DATA(given)
    cdef const int64_t* wide = <const int64_t*>cnp.PyArray_DATA(given)
    cdef sbe_place[TOGETHER + 1] mine      # a copy, which nobody else writes to
    cdef sbe_frames frames = sbe_frames(&mine[0], &mine[1])
    cdef Py_ssize_t i = 0, some = 0, added = 0, count = len(given) - 1
    cdef bint in_order
    with nogil:
        if is_narrow:
            in_order = are_in_order(&lease.view, narrow, count + 1)
        else:
            in_order = are_in_order(&lease.view, wide, count + 1)
    if not in_order:
        checked_offsets(offsets, lease.view.len)    # which says what is wrong with them
    cursor.fault = &fault
    rows.tables.expected = count
    while i < count:
        with nogil:
            while added == some and i < count:
                some = min(count - i, <Py_ssize_t>TOGETHER)
                if is_narrow:
                    in_order = place_all(&lease.view, narrow + i, some + 1, &mine[0])
                else:
                    in_order = place_all(&lease.view, wide + i, some + 1, &mine[0])
                if not in_order:
                    break
                rows.tables.frame = i
                aim(&cursor, frames, 0)
                added = rows.append_frames(&rows.tables, &cursor, frames, some)
                i += added
        if not in_order:
            raise ValueError("somebody has changed the offsets while they were read")
        if added == some:
            break
        added = some
        if fault.code == FAULT_NO_TABLE:
            rows.open_wanted()
        else:
            rows.reject(&fault)
            i += 1
    rows.frame_count = count
    return 0


cdef inline bint are_in_order(
    const Py_buffer* view, const offset_t* offsets, Py_ssize_t count
) noexcept nogil:
    """Whether offsets lie in a buffer, and in order."""
    cdef uint64_t offset, signs = <uint64_t><int64_t>offsets[0]
    cdef Py_ssize_t i
    for i in range(1, count):       # no branch: many at once
        offset = <uint64_t><int64_t>offsets[i]
        signs |= offset | (offset - <uint64_t><int64_t>offsets[i - 1])
    return not signs >> 63 and offsets[count - 1] <= view.len


cdef inline bint place_all(
    const Py_buffer* view, const offset_t* offsets, Py_ssize_t count, sbe_place* places
) noexcept nogil:
    """Where offsets are in a buffer; False where they do not lie in it, or not in order."""
    cdef int64_t offset, before = offsets[0], signs = 0
    cdef Py_ssize_t i
    for i in range(count):
        offset = offsets[i]
        signs |= offset | (offset - before)     # negative where any of them is
        places[i] = <const uint8_t*>(<size_t>view.buf + <size_t>offset)
        before = offset
    return (signs | (view.len - before)) >= 0


cdef int add_buffer(Rows rows, object buffer) except -1:
    """Messages end to end, each of which begins where the last element of the one before ends.

    Nothing says where the next one begins after a message that is refused: from there on all is one
    frame.
    """
    cdef sbe_cursor cursor
    cdef sbe_fault fault
    cdef Lease lease = Lease(buffer)
    cdef const uint8_t* begin = <const uint8_t*>lease.view.buf
    cdef const uint8_t* end = begin + lease.view.len
    cdef const uint8_t* at = begin
    cdef sbe_place[2] rest
    cdef sbe_frames frame
    cdef bint good
    cursor.fault = &fault
    while at < end:
        with nogil:
            good = True
            while at < end:
                rest = [at, end]
                rows.tables.frame = rows.frame_count
                frame = sbe_frames(&rest[0], &rest[1])
                aim(&cursor, frame, 0)
                good = rows.append_frames(&rows.tables, &cursor, frame, 1) == 1
                if not good:
                    break
                rows.frame_count += 1
                if cursor.position == at:   # a message of no bytes: there is no next one
                    break
                at = cursor.position
                if rows.frame_count == SAMPLE:
                    rows.tables.expected = SAMPLE * (lease.view.len // (at - begin) + 1)
        if good:
            break
        if fault.code == FAULT_NO_TABLE:
            rows.open_wanted()
            continue
        fault.offset += <uint64_t>(at - begin)
        refuse_rest(rows, &fault, at - begin, end - at)
        at = end
    rows.tables.left_over = <uint64_t>(end - at)
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
