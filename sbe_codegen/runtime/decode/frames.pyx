"""Buffers that are not plain bytes, and the errors for what is no frame at all."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_CheckBuffer, PyObject_GetBuffer,
)

from ..errors import DecodeError


cdef class Lease:
    def __cinit__(self, frame):
        if not PyObject_CheckBuffer(frame):
            if isinstance(frame, str):
                raise TypeError(
                    "a frame is bytes, not str: text frames of a WebSocket are JSON, and not "
                    "decoded; hex digits become bytes with bytes.fromhex"
                )
            raise TypeError(f"a frame is bytes or another buffer, not {type(frame).__name__}")
        # This may run Python code (`__buffer__`, from 3.12 on): no cursor points anywhere yet.
        PyObject_GetBuffer(frame, &self.view, PyBUF_FORMAT | PyBUF_STRIDES)
        self.held = True        # at once: what is refused below is released as well
        if not PyBuffer_IsContiguous(&self.view, b"C"):
            raise BufferError(
                f"a frame is one run of bytes, and this {type(frame).__name__} has gaps "
                f"(strides); copy it with bytes(...)"
            )
        if self.view.itemsize != 1:
            raise BufferError(
                f"a frame has items of one byte, and those of this {type(frame).__name__} have "
                f"{self.view.itemsize}; use memoryview(...).cast('B')"
            )

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


cdef object lease_frame(object frame, sbe_cursor* cursor):
    cdef Lease lease = Lease(frame)
    aim(lease, 0, cursor)
    return lease


cdef int aim(Lease lease, Py_ssize_t offset, sbe_cursor* cursor) except -1:
    """Points the cursor at a byte of what is leased."""
    cursor.start = <const uint8_t*>lease.view.buf
    cursor.end = cursor.start + lease.view.len
    rewind(cursor, cursor.start)
    return skip_to(offset, cursor)


cdef int raise_offset(Py_ssize_t offset, const sbe_cursor* cursor) except -1:
    size = cursor.end - cursor.start
    raise DecodeError(f"offset {offset} is outside the frame of {size} bytes", offset=offset)


cdef bint is_writable(object owner) noexcept:
    return isinstance(owner, Lease) and not (<Lease>owner).view.readonly


cdef const uint8_t* start_of(object owner) noexcept:
    """The first byte of the buffer that ``owner`` keeps."""
    if isinstance(owner, Lease):
        return <const uint8_t*>(<Lease>owner).view.buf
    return <const uint8_t*>PyBytes_AS_STRING(owner)     # the only other kind: see `open_frame`
