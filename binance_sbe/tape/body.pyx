"""The columns of a batch, found in the bytes of its message without an Arrow object for each.

The layout is that of Arrow's "Columnar Format": a body has the buffers of each column, one after
the other, each at a multiple of eight bytes. A compressed buffer begins with its length as it is
without compression, eight bytes, or with -1 where it is not compressed after all.
"""

cimport numpy as cnp
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from sbe_codegen.runtime.decode.arrays cimport view_array

from .flat cimport BUFFERS, PLAIN, ZSTD, layout_of, sbe_buffer_place, sbe_layout

import numpy as np

from .unpacking import unpacked

cnp.import_array()

cdef enum:
    # The buffers of received_ns, connection, kind and frame: the first of each marks its nulls.
    RECEIVED = 1
    CONNECTION = 3
    KIND = 5
    OFFSETS = 7
    DATA = 8
    PADDING = 64                # a buffer may be so much longer than what it has to hold
    LONGEST = 0x7FFFFFFF        # offsets are int32

cdef object INT64 = np.dtype("<i8"), INT32 = np.dtype("<i4"), UINT16 = np.dtype("<u2")
cdef object UINT8 = np.dtype("u1")


cdef struct sbe_body:           # borrowed from who has the message
    const uint8_t* data
    int64_t size
    sbe_layout layout


cdef object column(
    object message, const sbe_body* body, int which, object kind, int itemsize, int64_t count,
    int64_t most,
):
    """An array of a buffer that has so many items; not compressed it may take ``most`` bytes."""
    cdef sbe_buffer_place place = body.layout.at[which]
    cdef const uint8_t* data
    cdef Py_buffer buffer
    cdef int64_t size
    owner = message
    if count <= 0:
        return np.empty(0, kind)
    if place.offset < 0 or place.offset % 8 or place.offset > body.size or (
        not 0 <= place.length <= body.size - place.offset
    ):
        raise ValueError(
            f"a buffer of {place.length} bytes at {place.offset} is not in the batch"
        )
    data = body.data + place.offset
    if body.layout.codec != PLAIN and place.length:
        if place.length < 8:
            raise ValueError(f"a compressed buffer of {place.length} bytes has no length")
        memcpy(&size, data, 8)
        place.length -= 8
        if size != -1:
            if not 0 <= size <= most:
                raise ValueError(f"a buffer of {size} bytes, where at most {most} can be")
            packed = PyMemoryView_FromMemory(<char*>data + 8, place.length, PyBUF_READ)
            owner = unpacked("zstd" if body.layout.codec == ZSTD else "lz4", packed, size)
            PyObject_GetBuffer(owner, &buffer, PyBUF_SIMPLE)
            data, place.length = <const uint8_t*>buffer.buf, buffer.len
            PyBuffer_Release(&buffer)       # its memory stays where it is as long as it is there
        else:
            data += 8
    if count * itemsize > place.length:
        raise ValueError(f"{count} values of {kind} are not within {place.length} bytes")
    return view_array(kind, data, count, itemsize, owner)


cdef int check_places(
    const int32_t* offsets, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t size
) except -1:
    """ValueError where a row from ``begin`` to ``end`` is not within ``size`` bytes."""
    cdef Py_ssize_t i
    cdef bint falls = False
    for i in range(begin, end):         # without a branch, so that several are compared at a time
        falls |= offsets[i] > offsets[i + 1]
    if falls or offsets[begin] < 0 or offsets[end] > size:
        for i in range(begin, end):
            if not 0 <= offsets[i] <= offsets[i + 1] <= size:
                raise ValueError(f"row {i} is not in its data")
    return 0


def columns_in(message, Py_ssize_t metadata_length, int64_t rows):
    """received_ns, connection, kind, offsets and data of a batch of so many rows.

    ``message`` is its bytes: metadata behind eight bytes, and the body behind them. Arrays are over
    it, or over memory of their own where it is compressed. Raises ValueError where this is no such
    batch, or one with nulls; and what Arrow's codecs raise.
    """
    cdef const uint8_t[::1] bytes = message
    cdef sbe_body body
    cdef const int32_t* places
    cdef int64_t last
    if not 0 <= metadata_length <= bytes.shape[0] - 8:
        raise ValueError(f"metadata of {metadata_length} bytes are not in {bytes.shape[0]}")
    if (<size_t>&bytes[0] + <size_t>metadata_length) % 8:
        raise ValueError("its body is not at a multiple of eight bytes")
    body.data = &bytes[0] + 8 + metadata_length
    body.size = bytes.shape[0] - 8 - metadata_length
    body.layout = layout_of(&bytes[0] + 8, metadata_length, rows)
    if not body.layout.is_whole or body.layout.buffers != BUFFERS or rows < 1:
        raise ValueError(f"not {rows} rows without nulls, as were written")
    if rows > LONGEST:
        raise ValueError(f"{rows} rows are more than a batch can have")
    offsets = column(message, &body, OFFSETS, INT32, 4, rows + 1, 4 * (rows + 1) + PADDING)
    places = <const int32_t*>cnp.PyArray_DATA(offsets)
    last = places[rows]
    check_places(places, 0, rows, last)
    return (
        column(message, &body, RECEIVED, INT64, 8, rows, 8 * rows + PADDING),
        column(message, &body, CONNECTION, UINT16, 2, rows, 2 * rows + PADDING),
        column(message, &body, KIND, UINT8, 1, rows, rows + PADDING),
        offsets,
        column(message, &body, DATA, UINT8, 1, last, LONGEST),
    )
