"""Frames of a tape into the rows of a collector, without an object for each."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from sbe_codegen.runtime.decode.cursor cimport rewind, sbe_cursor, sbe_fault
from sbe_codegen.runtime.tables.batch cimport Collector, collect_row
from sbe_codegen.runtime.tables.rows cimport Rows
from sbe_codegen.runtime.tables.tables cimport aim, sbe_frames, sbe_place, sbe_table

from .body cimport check_places

cdef enum:
    FRAME = 0                   # see `rows.Kind`
    TOGETHER = 512              # frames that are appended in one go
    TABLES = 16                 # of a schema, at most: of spot_stream there are four


cdef void stamp(Rows rows, const size_t* used, int64_t first, const int64_t* received) noexcept:
    """Writes the time of arrival of each frame into the rows that were made of them.

    ``used`` is how far each table was filled before, ``first`` the number of the first frame.
    """
    cdef size_t i, at
    cdef sbe_table* table
    cdef int64_t* prefix
    for i in range(rows.tables.count):
        table = &rows.tables.items[i]
        if table.itemsize == 0:
            continue
        at = used[i]
        while at < table.rows.used:
            prefix = <int64_t*>(table.rows.data + at)       # frame, received_ns
            prefix[1] = received[prefix[0] - first]
            at += table.itemsize


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
    cdef sbe_fault fault
    cdef sbe_place[TOGETHER + 1] places
    cdef sbe_frames frames = sbe_frames(&places[0], &places[1])
    cdef size_t[TABLES] used
    cdef size_t table
    cdef Py_ssize_t i = begin, n, place, most_now, added, rows_given = kinds.shape[0]
    cdef bint all_of_them = wanted is None
    cdef const uint8_t* bytes = &data[0] if data.shape[0] else NULL
    cdef Rows rows
    if not 0 <= begin <= end <= rows_given or (
        offsets.shape[0] != rows_given + 1 or received.shape[0] != rows_given
    ):
        raise ValueError(f"rows {begin} to {end} of {rows_given}, with {offsets.shape[0]} offsets")
    if not all_of_them and wanted.shape[0] != rows_given:
        raise ValueError(f"{wanted.shape[0]} marks for {rows_given} rows")
    if begin < end:
        check_places(&offsets[0], begin, end, data.shape[0])
    while i < end:
        rows = collector.rows
        most_now = min(min(most - rows.frame_count, end - i), <Py_ssize_t>TOGETHER)
        if most_now <= 0:
            break
        if rows.tables.count > TABLES or rows.prefix != 16:
            raise TypeError("a collector of another schema than that of the streams")
        n = 0
        while n < most_now and kinds[i + n] == FRAME and (all_of_them or wanted[i + n]):
            n += 1
        for place in range(n + 1):
            places[place] = bytes + offsets[i + place]
        if n == 0:
            i += 1
            continue
        for table in range(rows.tables.count):
            used[table] = rows.tables.items[table].rows.used
        cursor.fault = &fault
        rows.tables.frame = rows.frame_count
        aim(&cursor, frames, 0)
        added = rows.append_frames(&rows.tables, &cursor, frames, n)
        stamp(rows, used, rows.frame_count, &received[i])
        rows.frame_count += added
        i += added
        if added < n:       # of a message whose table is to be opened, or of none
            cursor.start = bytes + offsets[i]
            cursor.end = bytes + offsets[i + 1]
            rewind(&cursor, cursor.start)
            collect_row(collector, &cursor, received[i])
            i += 1
    return i
