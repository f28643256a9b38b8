"""Frames of a tape into the rows of a collector, without an object for each."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from sbe_codegen.runtime.decode.cursor cimport rewind, sbe_cursor
from sbe_codegen.runtime.tables.batch cimport Collector, collect_row

cdef enum:
    FRAME = 0                   # see `rows.Kind`


def collect(
    Collector collector not None, const int64_t[::1] received not None,
    const uint8_t[::1] kinds not None, const int32_t[::1] offsets not None,
    const uint8_t[::1] data not None, const uint8_t[::1] wanted, Py_ssize_t begin, Py_ssize_t end,
    Py_ssize_t most,
):
    """Adds the frames of the rows from ``begin`` to ``end``, until the collector has ``most``.

    ``wanted``, unless it is None, has a 1 for each row that is wanted. Returns the row to go on
    with. Raises DecodeError as `Collector.append` does, and ValueError for rows that are not in
    their data.
    """
    cdef sbe_cursor cursor
    cdef Py_ssize_t i = begin, rows = kinds.shape[0]
    cdef bint all_of_them = wanted is None
    cdef const uint8_t* bytes = &data[0] if data.shape[0] else NULL
    if not 0 <= begin <= end <= rows or offsets.shape[0] != rows + 1 or received.shape[0] != rows:
        raise ValueError(f"rows {begin} to {end} of {rows}, with {offsets.shape[0]} offsets")
    if not all_of_them and wanted.shape[0] != rows:
        raise ValueError(f"{wanted.shape[0]} marks for {rows} rows")
    while i < end and collector.rows.frame_count < most:
        if kinds[i] == FRAME and (all_of_them or wanted[i]):
            if not 0 <= offsets[i] <= offsets[i + 1] <= data.shape[0]:
                raise ValueError(f"row {i} is not in its data")
            cursor.start = bytes + offsets[i]
            cursor.end = bytes + offsets[i + 1]
            rewind(&cursor, cursor.start)
            collect_row(collector, &cursor, received[i])
        i += 1
    return i
