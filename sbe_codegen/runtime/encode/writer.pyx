"""The bytes of one message while they are put together.

Nothing goes to its place before all of it has been checked. What is small is collected here; arrays
whose items are entries as the wire has them are only noted, and copied once, in the end.
"""

cimport numpy as np
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer, Py_buffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from .refusals import of_message, refusal

np.import_array()


cdef int grow(sbe_writer* writer, size_t more) except -1:
    cdef size_t wanted = 2 * writer.capacity
    cdef uint8_t* data
    if wanted < writer.size + more:
        wanted = writer.size + more
    if writer.data == writer.first:
        data = <uint8_t*>malloc(wanted)
        if data != NULL:
            memcpy(data, writer.first, writer.size)
    else:
        data = <uint8_t*>realloc(writer.data, wanted)
    if data == NULL:
        raise MemoryError()
    writer.data = data
    writer.capacity = wanted
    return 0


cdef int add_piece(sbe_writer* writer, object array, size_t count, size_t size) except -1:
    """Notes ``count`` items of ``array``, of ``size`` bytes each, to come next."""
    cdef sbe_piece* pieces = NULL
    cdef size_t i = writer.piece_count
    if i == writer.piece_capacity:
        if writer.pieces != writer.first_pieces:
            pieces = writer.pieces
        pieces = <sbe_piece*>realloc(pieces, 2 * i * sizeof(sbe_piece))
        if pieces == NULL:
            raise MemoryError()
        if writer.pieces == writer.first_pieces:
            memcpy(pieces, writer.first_pieces, sizeof(writer.first_pieces))
        writer.pieces = pieces
        writer.piece_capacity = 2 * i
    Py_INCREF(array)            # until `close_writer`
    writer.pieces[i] = sbe_piece(writer.size, <PyObject*>array, count, size)
    writer.piece_count += 1
    writer.total += count * size
    return 0


cdef int copy_out(const sbe_writer* writer, uint8_t* to) except -1:
    """All of it, ``total`` bytes, to where there is room. No Python code runs here."""
    cdef size_t i, j, done = 0
    cdef np.ndarray array
    cdef const sbe_piece* piece
    cdef const uint8_t* item
    cdef Py_ssize_t stride
    for i in range(writer.piece_count):
        piece = &writer.pieces[i]
        memcpy(to, writer.data + done, piece.at - done)
        to += piece.at - done
        done = piece.at
        array = <np.ndarray>piece.array
        # Python code may have run since it was noted, and have changed the array in place.
        if (
            np.PyArray_NDIM(array) != 1
            or <size_t>np.PyArray_DIM(array, 0) != piece.count
            or <size_t>np.PyArray_ITEMSIZE(array) < piece.size
        ):
            raise RuntimeError("an array has changed its shape while it was encoded")
        item = <const uint8_t*>np.PyArray_DATA(array)
        stride = np.PyArray_STRIDE(array, 0)
        if stride == <Py_ssize_t>piece.size:
            memcpy(to, item, piece.count * piece.size)
        else:
            for j in range(piece.count):
                memcpy(to + j * piece.size, item + <Py_ssize_t>j * stride, piece.size)
        to += piece.count * piece.size
    memcpy(to, writer.data + done, writer.size - done)
    return 0


cdef bint touches(const sbe_writer* writer, const uint8_t* begin, size_t size) noexcept:
    """Whether a piece lies in memory that is about to be written."""
    cdef uintptr_t first = <uintptr_t>begin, last, low, high
    cdef size_t i
    cdef np.ndarray array
    cdef Py_ssize_t reach
    last = first + size
    for i in range(writer.piece_count):
        array = <np.ndarray>writer.pieces[i].array
        low = high = <uintptr_t>np.PyArray_DATA(array)
        reach = np.PyArray_STRIDE(array, 0) * (np.PyArray_DIM(array, 0) - 1)
        if reach < 0:
            low -= <uintptr_t>(-reach)
        else:
            high += <uintptr_t>reach
        if low < last and first < high + writer.pieces[i].size:
            return True
    return False


cdef object taken_out(const sbe_writer* writer):
    made = PyBytes_FromStringAndSize(NULL, writer.total)
    copy_out(writer, <uint8_t*>PyBytes_AS_STRING(made))
    return made


cdef object put_into(const sbe_writer* writer, object message, object target, object offset):
    """The message to its place, or an error and not a byte of it; ``offset`` is an int."""
    cdef Py_buffer view
    cdef Py_ssize_t place
    cdef size_t total = writer.total
    cdef uint8_t* to
    try:
        place = offset
    except OverflowError:
        place = -1
    PyObject_GetBuffer(target, &view, PyBUF_WRITABLE)
    try:
        if place < 0 or place > view.len or <size_t>(view.len - place) < total:
            raise of_message(refusal(
                "offset", offset, f"the message takes {total} bytes, and the buffer has "
                f"{view.len}"
            ), message.__name__)
        to = <uint8_t*>view.buf + place
        if writer.piece_count and touches(writer, to, total):
            aside = taken_out(writer)       # an array is part of what is written over
            memcpy(to, PyBytes_AS_STRING(aside), total)
        else:
            copy_out(writer, to)
    finally:
        PyBuffer_Release(&view)
    return total


cdef void close_writer(sbe_writer* writer) noexcept:
    cdef size_t i
    if writer.data != writer.first:
        free(writer.data)
    for i in range(writer.piece_count):
        Py_DECREF(<object>writer.pieces[i].array)
    if writer.pieces != writer.first_pieces:
        free(writer.pieces)
