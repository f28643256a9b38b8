"""Rows being written, column by column of a naturally aligned C struct, without the GIL.

A message is appended in two steps: everything it needs is reserved and written, then committed.
What fails in between leaves the tables as they were.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from .cursor cimport sbe_cursor, sbe_data


cdef enum:
    NO_TEXT = 0xFFFFFFFF


cdef struct sbe_buffer:
    char* data
    size_t used                 # bytes
    size_t capacity             # bytes


cdef struct sbe_dictionary:         # distinct texts, numbered in the order of their first appearance
    sbe_buffer text                 # all of them, end to end
    sbe_buffer ends                 # size_t: where each ends
    sbe_buffer slots                # uint32: hash table of codes + 1, a power of two
    uint32_t count
    uint32_t last               # the code found last
    const char* last_text
    size_t last_length


cdef struct sbe_group_rows:
    sbe_buffer entries
    sbe_buffer offsets              # int64: 0, then the end of each message's entries
    size_t itemsize


cdef struct sbe_table:
    sbe_buffer rows
    size_t itemsize             # prefix included
    size_t prefix               # 8: frame; 16: frame, received_ns
    size_t group_count
    sbe_group_rows* groups
    size_t dictionary_count
    sbe_dictionary* dictionaries


cdef struct sbe_tables:
    sbe_table* items
    size_t count
    size_t capacity             # rows to make room for at first
    int64_t expected            # frames in all, where that is known, else 0
    int64_t frame               # of the message being appended
    int64_t received_ns
    uint64_t left_over          # bytes after the last element, from senders that are not newer


ctypedef bint (*append_t)(sbe_tables* tables, sbe_cursor* cursor) noexcept nogil


cdef bint grow(
    const sbe_tables* tables, sbe_buffer* buffer, size_t wanted, size_t least, size_t whole
) noexcept nogil
cdef bint open_offsets(const sbe_tables* tables, sbe_buffer* offsets) noexcept nogil
cdef bint look_up(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, uint32_t* code
) noexcept nogil


cdef inline bint reserve(
    const sbe_tables* tables, sbe_buffer* buffer, size_t size, size_t least, size_t whole
) noexcept nogil:
    """Room for ``size`` more bytes.

    ``least`` is the capacity that a first allocation gets, ``whole`` the most that the buffer can
    come to, or 0 where that is not known.
    """
    if size <= buffer.capacity - buffer.used:
        return True
    return grow(tables, buffer, size, least, whole)


cdef inline void* reserve_row(const sbe_tables* tables, sbe_table* table) noexcept nogil:
    """Where the next row goes, past the prefix; NULL without memory."""
    if not reserve(
        tables, &table.rows, table.itemsize, tables.capacity * table.itemsize,
        <size_t>tables.expected * table.itemsize,
    ):
        return NULL
    return table.rows.data + table.rows.used + table.prefix


cdef inline void commit_row(const sbe_tables* tables, sbe_table* table) noexcept nogil:
    cdef int64_t* prefix = <int64_t*>(table.rows.data + table.rows.used)
    prefix[0] = tables.frame
    if table.prefix == 16:
        prefix[1] = tables.received_ns
    table.rows.used += table.itemsize


cdef inline void* reserve_entries(
    const sbe_tables* tables, sbe_group_rows* group, uint64_t count
) noexcept nogil:
    """Where the next ``count`` entries go; NULL without memory (so there is always room for one)."""
    if group.offsets.capacity - group.offsets.used < sizeof(int64_t):
        if not open_offsets(tables, &group.offsets):
            return NULL
    if not reserve(
        tables, &group.entries, (count or 1) * group.itemsize, tables.capacity * group.itemsize, 0
    ):
        return NULL
    return group.entries.data + group.entries.used


cdef inline void commit_entries(sbe_group_rows* group, uint64_t count) noexcept nogil:
    group.entries.used += count * group.itemsize
    (<int64_t*>(group.offsets.data + group.offsets.used))[0] = <int64_t>(
        group.entries.used / group.itemsize
    )
    group.offsets.used += sizeof(int64_t)


cdef inline bint intern(
    sbe_dictionary* dictionary, const sbe_data* data, uint32_t* code
) noexcept nogil:
    """The code of a text, a new one if it has none yet; NO_TEXT where the sender has none."""
    if data.data == NULL:
        code[0] = NO_TEXT
        return True
    if dictionary.last_length == data.length and dictionary.last_text != NULL:
        if memcmp(dictionary.last_text, data.data, data.length) == 0:
            code[0] = dictionary.last
            return True
    return look_up(dictionary, data.data, data.length, code)


