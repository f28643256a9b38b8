"""Rows being written, column by column of a naturally aligned C struct, without the GIL.

A message is appended in two steps: everything it needs is written, then its row is committed. What
fails in between is rolled back to what the committed rows say.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ..decode.cursor cimport rewind, sbe_cursor, sbe_data
from ..decode.loads cimport load_uint64_le, sbe_rare


cdef extern from *:
    """
    #include <string.h>
    #if defined(__GNUC__) || defined(__clang__)
    #define sbe_prefetch(at) __builtin_prefetch(at)
    #else
    #define sbe_prefetch(at) ((void)0)
    #endif

    /* Both halves of the product: a hash that nobody foresees who does not know the seeds. */
    static inline uint64_t sbe_fold(uint64_t one, uint64_t two)
    {
        unsigned __int128 product = (unsigned __int128)one * two;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }

    /* A copy of `size` bytes by wide loads, the last of which overlap. */
    static inline void sbe_copy_wide(void *to, const void *from, size_t size)
    {
        const char *at = (const char *)from;
        char *out = (char *)to;
        size_t left = size;
        if (size < 64) { memcpy(to, from, size); return; }
        for (; left > 64; left -= 64, at += 64, out += 64) {
            sbe_prefetch(at + 4096);
            memcpy(out, at, 64);
        }
        memcpy(out + left - 64, at + left - 64, 64);
    }

    /* Which bytes of the 16 before its end are those of a text, by its length. */
    #define SBE_UPPER(n) (0xFFFFFFFFFFFFFFFFu << (64 - 8 * (n)))
    static const uint64_t SBE_MASKS[16][2] = {
        {0, 0}, {0, SBE_UPPER(1)}, {0, SBE_UPPER(2)}, {0, SBE_UPPER(3)}, {0, SBE_UPPER(4)},
        {0, SBE_UPPER(5)}, {0, SBE_UPPER(6)}, {0, SBE_UPPER(7)}, {0, SBE_UPPER(8)},
        {SBE_UPPER(1), SBE_UPPER(8)}, {SBE_UPPER(2), SBE_UPPER(8)}, {SBE_UPPER(3), SBE_UPPER(8)},
        {SBE_UPPER(4), SBE_UPPER(8)}, {SBE_UPPER(5), SBE_UPPER(8)}, {SBE_UPPER(6), SBE_UPPER(8)},
        {SBE_UPPER(7), SBE_UPPER(8)}
    };
    """
    const uint64_t SBE_MASKS[16][2]
    void sbe_copy_wide(void* to, const void* source, size_t size) noexcept nogil
    uint64_t sbe_fold(uint64_t one, uint64_t two) noexcept nogil
    void sbe_prefetch(const void* at) noexcept nogil        # to be read soon; need not be ours

cdef enum:
    NO_TEXT = 0xFFFFFFFF


cdef struct sbe_buffer:
    char* data
    size_t used                 # bytes
    size_t capacity             # bytes
    size_t likely               # bytes that it will come to, where the batch before tells; else 0


cdef struct sbe_slot:
    uint64_t first              # 0 in an empty slot; see `key_of`
    uint64_t last
    uint32_t code


cdef struct sbe_dictionary:         # distinct texts, numbered in the order of their first appearance
    sbe_buffer text                 # all of them, end to end
    sbe_buffer ends                 # size_t: where each ends
    sbe_slot* slots                 # hash table, at most an eighth full: few meet in one place
    size_t mask                     # its slots but one
    uint32_t count
    sbe_slot latest                 # what was found last
    uint64_t[2] seeds               # so that nobody who sends texts can choose which ones collide


cdef struct sbe_table:              # the rows of a message, of a group's entries, or bytes
    sbe_buffer rows
    size_t itemsize             # prefix included
    size_t prefix               # 8: frame; 16: frame, received_ns; 0: of a group; 40: of packets
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


cdef struct sbe_run:        # rows of a message while they are written: nobody else looks at these
    char* at                    # where the next one goes, its prefix first
    char* end                   # of the memory
    size_t itemsize
    size_t prefix
    int64_t frame               # of the message being appended
    int64_t received_ns


ctypedef const uint8_t* sbe_place


cdef struct sbe_frames:             # frame i is from begins[i] to ends[i]
    sbe_place* begins
    sbe_place* ends


# Frames into their tables, up to one that can't be, of which the cursor's fault says why; how many.
# The cursor is at the first of them.
ctypedef size_t (*append_t)(
    sbe_tables* tables, sbe_cursor* cursor, sbe_frames frames, size_t count
) noexcept nogil


cdef inline void aim(sbe_cursor* cursor, sbe_frames frames, size_t i) noexcept nogil:
    """At a frame, of which nothing is known yet."""
    cursor.start = frames.begins[i]
    cursor.end = frames.ends[i]
    rewind(cursor, cursor.start)


cdef bint grow(
    const sbe_tables* tables, sbe_buffer* buffer, size_t wanted, size_t least, size_t whole
) noexcept nogil
cdef bint open_offsets(const sbe_tables* tables, sbe_buffer* offsets) noexcept nogil
cdef void roll_back(sbe_table* table) noexcept nogil
cdef void open_dictionary(sbe_dictionary* dictionary) noexcept nogil
cdef void free_slots(sbe_slot* slots) noexcept nogil
cdef bint grow_rows(const sbe_tables* tables, sbe_table* table, uint64_t count) noexcept nogil
cdef int64_t find_or_add(
    sbe_dictionary* dictionary, sbe_data data, sbe_slot key
) noexcept nogil
cdef int64_t intern_other(sbe_dictionary* dictionary, sbe_data data) noexcept nogil


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
    if sbe_rare(size > buffer.capacity - buffer.used):
        return grow(tables, buffer, size, least, whole)
    return True


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
    if sbe_rare((count or 1) * table.itemsize > table.rows.capacity - table.rows.used):
        if not grow_rows(tables, table, count or 1):
            return NULL
    return table.rows.data + table.rows.used


cdef inline void* reserve_row(const sbe_tables* tables, sbe_table* table) noexcept nogil:
    """Where the next row goes, past the prefix; NULL without memory."""
    if sbe_rare(table.itemsize > table.rows.capacity - table.rows.used):
        if not grow_rows(tables, table, 1):
            return NULL
    return table.rows.data + table.rows.used + table.prefix


cdef inline sbe_run open_run(const sbe_tables* tables, const sbe_table* table) noexcept nogil:
    return sbe_run(
        table.rows.data + table.rows.used, table.rows.data + table.rows.capacity,
        table.itemsize, table.prefix, tables.frame, tables.received_ns,
    )


cdef inline void end_row(sbe_run* run) noexcept nogil:
    """The row is written but for its prefix: with that all that was written for it counts."""
    (<int64_t*>run.at)[0] = run.frame
    if run.prefix == 16:
        (<int64_t*>run.at)[1] = run.received_ns
    run.at += run.itemsize
    run.frame += 1


cdef inline void close_run(sbe_tables* tables, sbe_table* table, sbe_run run) noexcept nogil:
    """The table knows of its rows again."""
    table.rows.used = <size_t>(run.at - table.rows.data)
    tables.frame = run.frame


cdef sbe_run grown(sbe_tables* tables, sbe_table* table, sbe_run run) noexcept nogil


cdef inline bint has_room(sbe_tables* tables, sbe_table* table, sbe_run* run) noexcept nogil:
    """Makes room for one more row where there is none; False without memory."""
    if sbe_rare(<size_t>(run.end - run.at) < run.itemsize):
        run[0] = grown(tables, table, run[0])       # a copy: the run can stay in registers
        return <size_t>(run.end - run.at) >= run.itemsize
    return True


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


cdef inline bint is_same(const sbe_slot* slot, uint64_t first, uint64_t last) noexcept nogil:
    """Said so that there is one branch, which is easy to foresee."""
    return ((slot.first ^ first) | (slot.last ^ last)) == 0


cdef inline size_t place_of(
    const sbe_dictionary* dictionary, uint64_t first, uint64_t last
) noexcept nogil:
    """Where the search for a key begins."""
    cdef uint64_t mixed = sbe_fold(first ^ dictionary.seeds[0], last ^ dictionary.seeds[1])
    return <size_t>(mixed ^ (mixed >> 32)) & dictionary.mask


cdef inline int64_t intern(
    sbe_dictionary* dictionary, sbe_data data, size_t before
) noexcept nogil:
    """The code of a text, a new one if it has none yet; -1 without memory.

    NO_TEXT where the sender's version has no such text. ``before`` is how many bytes of its frame
    come before it at least.
    """
    cdef const uint8_t* end = data.data + data.length
    cdef const sbe_slot* slot = &dictionary.latest
    cdef uint64_t first, last
    if data.data == NULL:
        return NO_TEXT
    if before < 16 or sbe_rare(data.length - 1 > 14):
        return intern_other(dictionary, data)
    # The same loads for every length, and nothing past the text: what comes before it is masked.
    first = (load_uint64_le(end - 16) & SBE_MASKS[data.length][0]) | data.length
    last = load_uint64_le(end - 8) & SBE_MASKS[data.length][1]
    if is_same(slot, first, last):
        return slot.code
    slot = &dictionary.slots[place_of(dictionary, first, last)]
    if is_same(slot, first, last):
        return slot.code
    return find_or_add(dictionary, data, sbe_slot(first, last, 0))
