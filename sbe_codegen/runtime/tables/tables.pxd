"""Rows being written, column by column of a naturally aligned C struct, without the GIL.

A message is appended in two steps: everything it needs is written, then its row is committed. What
fails in between is rolled back to what the committed rows say.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ..decode.cursor cimport sbe_cursor, sbe_data
from ..decode.loads cimport load_ends


cdef enum:
    NO_TEXT = 0xFFFFFFFF


cdef struct sbe_buffer:
    char* data
    size_t used                 # bytes
    size_t capacity             # bytes
    size_t likely               # bytes that it will come to, where the batch before tells; else 0


cdef struct sbe_slot:
    uint64_t first              # of a text of up to 16 bytes, see `load_ends`
    uint64_t last
    uint32_t length
    uint32_t number             # code + 1, 0 in an empty slot


cdef struct sbe_dictionary:         # distinct texts, numbered in the order of their first appearance
    sbe_buffer text                 # all of them, end to end
    sbe_buffer ends                 # size_t: where each ends
    sbe_slot* slots                 # hash table, at most half full
    size_t mask                     # slots but one; 0 before the first text
    uint32_t count
    sbe_slot latest                 # what was found last


cdef struct sbe_table:              # the rows of a message, of a group's entries, or bytes
    sbe_buffer rows
    size_t itemsize             # prefix included
    size_t prefix               # 8: frame; 16: frame, received_ns; 0: of a group
    sbe_buffer offsets          # of a group: int64, 0, then the end of each outer row's entries
    size_t group_count
    sbe_table* groups           # groups, then data that are bytes
    size_t dictionary_count
    sbe_dictionary* dictionaries


cdef struct sbe_tables:
    sbe_table* items
    size_t count
    size_t capacity             # rows to make room for at first
    int64_t expected            # frames in all, where that is known, else 0
    int64_t frame               # of the message being appended
    size_t wanted               # the table that is to be opened, where the fault says so
    int64_t received_ns
    uint64_t left_over          # bytes after the last element, from senders that are not newer


ctypedef bint (*append_t)(sbe_tables* tables, sbe_cursor* cursor) noexcept nogil


cdef bint grow(
    const sbe_tables* tables, sbe_buffer* buffer, size_t wanted, size_t least, size_t whole
) noexcept nogil
cdef bint open_offsets(const sbe_tables* tables, sbe_buffer* offsets) noexcept nogil
cdef void roll_back(sbe_table* table) noexcept nogil
cdef bint look_up_short(
    sbe_dictionary* dictionary, const uint8_t* text, uint64_t first, uint64_t last,
    uint32_t length, uint32_t* code
) noexcept nogil
cdef bint look_up_long(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, uint32_t* code
) noexcept nogil


cdef inline size_t room_for(size_t used) noexcept nogil:
    """Bytes for a buffer that will have about as much as another one has."""
    return used + (used >> 4)


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


cdef inline bint is_open(sbe_tables* tables, const sbe_table* table) noexcept nogil:
    """Tables are opened when their first message comes."""
    if table.itemsize != 0:
        return True
    tables.wanted = <size_t>(table - tables.items)
    return False


cdef inline void* reserve_rows(
    const sbe_tables* tables, sbe_table* table, uint64_t count
) noexcept nogil:
    """Where the next ``count`` rows go; NULL without memory (so there is always room for one)."""
    if not reserve(
        tables, &table.rows, (count or 1) * table.itemsize, tables.capacity * table.itemsize, 0
    ):
        return NULL
    return table.rows.data + table.rows.used


cdef inline void* reserve_row(const sbe_tables* tables, sbe_table* table) noexcept nogil:
    """Where the next row goes, past the prefix; NULL without memory."""
    cdef size_t whole = <size_t>tables.expected * table.itemsize if table.prefix else 0
    if not reserve(
        tables, &table.rows, table.itemsize, tables.capacity * table.itemsize, whole
    ):
        return NULL
    return table.rows.data + table.rows.used + table.prefix


cdef inline void commit_row(const sbe_tables* tables, sbe_table* table) noexcept nogil:
    """The row of a message, which makes all that was written for it count."""
    cdef int64_t* prefix = <int64_t*>(table.rows.data + table.rows.used)
    prefix[0] = tables.frame
    if table.prefix == 16:
        prefix[1] = tables.received_ns
    table.rows.used += table.itemsize


cdef inline bint commit_offset(const sbe_tables* tables, sbe_table* group) noexcept nogil:
    """The entries of one outer row end here; False without memory."""
    if group.offsets.capacity - group.offsets.used < sizeof(int64_t):
        if not open_offsets(tables, &group.offsets):
            return False
    (<int64_t*>(group.offsets.data + group.offsets.used))[0] = <int64_t>(
        group.rows.used / group.itemsize
    )
    group.offsets.used += sizeof(int64_t)
    return True


cdef inline bint commit_rows(
    const sbe_tables* tables, sbe_table* group, uint64_t count
) noexcept nogil:
    """All entries of one outer row; False without memory."""
    cdef int64_t* end
    if group.offsets.capacity - group.offsets.used < sizeof(int64_t):
        if not open_offsets(tables, &group.offsets):
            return False
    group.rows.used += count * group.itemsize
    end = <int64_t*>(group.offsets.data + group.offsets.used)
    end[0] = (end - 1)[0] + <int64_t>count       # a division less than what `commit_offset` does
    group.offsets.used += sizeof(int64_t)
    return True


cdef inline bint append_blob(
    const sbe_tables* tables, sbe_table* blob, const sbe_data* data
) noexcept nogil:
    """Bytes as they are, and where they end; False without memory."""
    cdef void* to = reserve_rows(tables, blob, data.length)
    if to == NULL:
        return False
    if data.length:
        memcpy(to, data.data, data.length)
    return commit_rows(tables, blob, data.length)


cdef inline bint is_same(const sbe_slot* one, const sbe_slot* two) noexcept nogil:
    return one.first == two.first and one.last == two.last and one.length == two.length


cdef inline bint look_up(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, uint32_t* code
) noexcept nogil:
    """`intern` of a text: the one before, or any other."""
    cdef sbe_slot key
    if length > 16:
        return look_up_long(dictionary, text, length, code)
    load_ends(text, length, &key.first, &key.last)
    key.length = <uint32_t>length
    if is_same(&dictionary.latest, &key) and dictionary.latest.number:
        code[0] = dictionary.latest.number - 1
        return True
    return look_up_short(dictionary, text, key.first, key.last, key.length, code)


cdef inline bint intern(
    sbe_dictionary* dictionary, const sbe_data* data, uint32_t* code
) noexcept nogil:
    """The code of a text, a new one if it has none yet; NO_TEXT where the sender has none.

    False without memory.
    """
    if data.data == NULL:
        code[0] = NO_TEXT
        return True
    return look_up(dictionary, data.data, data.length, code)
