"""Many frames into tables: `Collector`, and the loop over the inputs of `decode_many`.

Frames of a list are read under the GIL. One buffer, with offsets or without, is read with the GIL
released once for the whole call. In all of them a frame is validated exactly as `decode` validates it.
"""

cimport cython
from libc.stdint cimport int64_t

from ..decode.cursor cimport sbe_cursor, sbe_fault
from ..decode.frames cimport open_frame
from ..decode.message cimport Schema
from .rows cimport Rows, new_rows
from .runs cimport add_buffer, add_run
from .tables cimport append_t

from ..errors import DecodeError
from .inputs import as_run
from .numbered import number, numbered, renumbered
from .symbols import checked

cdef enum:
    FIRST_ROWS = 256            # room that tables of decode_many have at first


cdef class Collector:
    """Turns frames into tables as they arrive. See the generated modules."""

    cdef int open(
        self, Schema schema, append_t append_frames, object capacity, object on_error,
        object symbols,
    ) except -1:
        self.rows = new_rows(schema, append_frames, capacity, on_error, 16)
        self.rows.symbols = checked(symbols)
        return 0

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def append(self, frame, int64_t received_ns=0):
        """Adds one frame, with the time it was received (ns since the epoch, or any clock).

        The frame is copied into rows and not kept. Raises DecodeError for one that is no message
        of the schema, or, with ``on_error="collect"``, notes it for ``Batch.rejected``; either way
        the rows written before stay as they are.
        """
        cdef sbe_cursor cursor
        owner = open_frame(frame, 0, &cursor)
        if self.rows is None:
            raise_unopened()
        collect_row(self, &cursor, received_ns)

    def take(self):
        """A Batch of everything since the last take. Its arrays are its own, never reused."""
        if self.rows is None:
            raise_unopened()
        return take_batch(self)

    def __len__(self):
        return 0 if self.rows is None else self.rows.frame_count


cdef object take_batch(Collector collector):
    """What `Collector.take` of an opened one does."""
    cdef Rows fresh = collector.rows.fresh()
    cdef Rows rows = collector.rows
    collector.rows = fresh
    return rows.finish()


cdef int raise_unopened() except -1:
    raise TypeError("this is the base of the Collectors of generated modules: use one of those")


cdef object decode_frames(
    Schema schema, append_t append_frames, object frames, object on_error, object symbols
):
    """`decode_many` of a generated module."""
    cdef Rows rows
    given = None
    if not isinstance(frames, (list, tuple, bytes)):
        given = numbered(frames, schema.packets, end_of(schema), on_error)
    if given is not None:
        return decode_numbered(schema, append_frames, given, on_error, symbols)
    rows = new_rows(schema, append_frames, FIRST_ROWS, on_error, 8)
    rows.symbols = checked(symbols)
    run = as_run(frames)
    if run is None:
        rows.add_all(frames)
    elif run[1] is None:
        add_buffer(rows, run[0])
    else:
        add_run(rows, run[0], run[1])
    return rows.finish()


cdef object decode_numbered(
    Schema schema, append_t append_frames, object given, object on_error, object symbols
):
    """Frames that are parts of packets, or of more than is decoded here."""
    cdef Rows rows = new_rows(
        schema, append_frames, FIRST_ROWS, on_error, 8 * len(given.columns)
    )
    rows.symbols = checked(symbols)
    try:
        rows.add_all(given.frames)
    except DecodeError as error:
        raise renumbered(error, given.columns["frame"])
    return number(rows.finish(), given)


cdef object end_of(Schema schema):
    """A function that says where a message ends which begins at a byte of a buffer.

    What is no message ends with the buffer: then it is one frame, which is refused.
    """
    def end(buffer, Py_ssize_t offset):
        cdef sbe_cursor cursor
        cdef sbe_fault fault
        owner = open_frame(buffer, offset, &cursor)
        cursor.fault = &fault
        try:
            return offset + schema.open_message(owner, &cursor).encoded_length
        except DecodeError:
            return len(buffer)

    return end
