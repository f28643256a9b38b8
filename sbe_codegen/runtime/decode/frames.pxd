"""Getting at the bytes of a frame, and keeping them where they are while anything looks at them."""

from cpython.buffer cimport Py_buffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from .cursor cimport rewind, sbe_cursor


cdef class Lease:
    """Keeps a buffer exported: while it lives the buffer is neither freed, moved nor resized."""

    cdef Py_buffer view
    cdef bint held


cdef object lease_frame(object frame, sbe_cursor* cursor)
cdef int aim(Lease lease, Py_ssize_t offset, sbe_cursor* cursor) except -1
cdef int raise_offset(Py_ssize_t offset, const sbe_cursor* cursor) except -1
cdef bint is_writable(object owner) noexcept
cdef const uint8_t* start_of(object owner) noexcept


cdef inline object open_frame(object frame, Py_ssize_t offset, sbe_cursor* cursor):
    """Points the cursor at ``frame[offset]``; returns what keeps the bytes alive."""
    cdef object owner
    if PyBytes_CheckExact(frame):
        cursor.start = <const uint8_t*>PyBytes_AS_STRING(frame)
        cursor.end = cursor.start + PyBytes_GET_SIZE(frame)
        owner = frame
    else:
        owner = lease_frame(frame, cursor)
    rewind(cursor, cursor.start)
    if offset != 0:
        skip_to(offset, cursor)
    return owner


cdef inline int skip_to(Py_ssize_t offset, sbe_cursor* cursor) except -1:
    if offset < 0 or offset > cursor.end - cursor.start:
        raise_offset(offset, cursor)
    cursor.position += offset
    return 0
