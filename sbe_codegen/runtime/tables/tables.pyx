"""Growing buffers and the dictionary of texts: the cold half of writing rows."""

import os

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy

from ..decode.loads cimport load_uint64_le
from ..decode.memory cimport give_memory, take_memory

cdef sbe_tables UNKNOWN         # dictionaries grow by themselves
cdef uint64_t[2] SEEDS
cdef sbe_slot NOTHING           # the only slot before the first text
cdef Py_ssize_t i
for i in range(2):
    SEEDS[i] = int.from_bytes(os.urandom(8), "little")


cdef extern from *:
    """
    #ifdef __linux__
    #include <sys/mman.h>
    #endif
    #define SBE_HUGE (1u << 22)

    /* Large buffers are asked for in huge pages, as numpy does: a fault for each 4 KiB page takes
       longer than writing the rows that go there. */
    static void sbe_advise(char *data, size_t size)
    {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (size >= SBE_HUGE) {
            uintptr_t start = ((uintptr_t)data + 4095) & ~(uintptr_t)4095;
            size_t whole = ((uintptr_t)data + size - start) & ~(size_t)4095;
            (void)madvise((void *)start, whole, MADV_HUGEPAGE);
        }
    #else
        (void)data; (void)size;
    #endif
    }
    """
    void sbe_advise(char* data, size_t size) noexcept nogil


cdef void open_dictionary(sbe_dictionary* dictionary) noexcept nogil:
    """Of no texts yet: a search meets an empty slot, which is not written to."""
    dictionary.seeds[0] = SEEDS[0]
    dictionary.seeds[1] = SEEDS[1]
    dictionary.slots = &NOTHING


cdef bint grow(
    const sbe_tables* tables, sbe_buffer* buffer, size_t wanted, size_t least, size_t whole
) noexcept nogil:
    """At least doubles, so that appending is linear; where the number of frames is known, makes
    room for what the rest will take if it is like the frames so far, within reason."""
    cdef size_t needed = buffer.used + wanted
    cdef size_t capacity = max(buffer.capacity * 2, needed, buffer.likely or least, <size_t>64)
    cdef size_t spare
    cdef double likely
    cdef char* data
    if buffer.capacity and tables.expected > tables.frame:
        likely = 1.05 * <double>needed * tables.expected / (tables.frame + 1)
        if whole == 0:
            whole = 64 * needed
        capacity = max(capacity, <size_t>min(likely, <double>whole))
    data = <char*>take_memory(capacity, &spare)
    if data != NULL:
        if buffer.used:
            memcpy(data, buffer.data, buffer.used)
        give_memory(buffer.data, buffer.capacity)
        buffer.data = data
        buffer.capacity = spare
        return True
    data = <char*>realloc(buffer.data, capacity)
    if data == NULL and capacity > needed:
        capacity = needed
        data = <char*>realloc(buffer.data, capacity)
    if data == NULL:
        return False
    sbe_advise(data, capacity)
    buffer.data = data
    buffer.capacity = capacity
    return True


cdef sbe_run grown(sbe_tables* tables, sbe_table* table, sbe_run run) noexcept nogil:
    """The run with room for another row, or as it was."""
    close_run(tables, table, run)
    return open_run(tables, table) if grow_rows(tables, table, 1) else run


cdef bint grow_rows(const sbe_tables* tables, sbe_table* table, uint64_t count) noexcept nogil:
    """Room for ``count`` more rows. Of messages there are at most as many as there are frames."""
    cdef size_t whole = <size_t>tables.expected * table.itemsize if table.prefix else 0
    return grow(
        tables, &table.rows, count * table.itemsize, tables.capacity * table.itemsize, whole
    )


cdef bint open_offsets(const sbe_tables* tables, sbe_buffer* offsets) noexcept nogil:
    """Room for one more offset, and the leading 0 at the first time."""
    cdef bint first = offsets.used == 0
    cdef size_t whole = (<size_t>tables.expected + 1) * sizeof(int64_t)
    cdef size_t least = (tables.capacity + 1) * sizeof(int64_t)
    if not grow(tables, offsets, 2 * sizeof(int64_t), least, whole):
        return False
    if first:
        (<int64_t*>offsets.data)[0] = 0
        offsets.used = sizeof(int64_t)
    return True


cdef void roll_back(sbe_table* table) noexcept nogil:
    """Forgets the entries of a row that was not committed."""
    cdef size_t count = table.rows.used / table.itemsize
    cdef sbe_table* group
    cdef size_t i
    for i in range(table.group_count):
        group = &table.groups[i]
        if group.offsets.used == 0:
            group.rows.used = 0
        else:
            group.offsets.used = min(group.offsets.used, (count + 1) * sizeof(int64_t))
            group.rows.used = group.itemsize * <size_t>(
                (<int64_t*>group.offsets.data)[group.offsets.used / sizeof(int64_t) - 1]
            )
        roll_back(group)


cdef inline size_t begin_of(const sbe_dictionary* dictionary, uint32_t code) noexcept nogil:
    return (<size_t*>dictionary.ends.data)[code - 1] if code else 0


cdef inline bint is_text(
    const sbe_dictionary* dictionary, uint32_t code, const uint8_t* text, size_t length
) noexcept nogil:
    cdef size_t begin = begin_of(dictionary, code)
    return (
        (<const size_t*>dictionary.ends.data)[code] - begin == length
        and memcmp(dictionary.text.data + begin, text, length) == 0
    )


cdef sbe_slot key_of(sbe_data text) noexcept nogil:
    """Of 1 to 15 bytes: those bytes, at the end, and the length as the first byte of 16. (`intern`)

    Of others two hashes, which other texts may have too, and 255 as the first byte; of none 16.
    """
    cdef sbe_slot key = sbe_slot(0, 0, 0)
    cdef size_t at = 0
    if text.length < 16:
        memcpy(<uint8_t*>&key + 16 - text.length, text.data, text.length)
        key.first |= text.length or 16
        return key
    key.first = SEEDS[0]
    while at + 16 < text.length:
        key.first = sbe_fold(
            load_uint64_le(text.data + at) ^ key.first,
            load_uint64_le(text.data + at + 8) ^ SEEDS[1],
        )
        at += 16
    at = text.length - 16
    key.last = sbe_fold(
        load_uint64_le(text.data + at) ^ key.first, load_uint64_le(text.data + at + 8) ^ SEEDS[1]
    )
    key.first |= 255
    return key


cdef bint widen_slots(sbe_dictionary* dictionary) noexcept nogil:
    """Twice the slots, so that at most an eighth of them is taken."""
    cdef size_t size = 2 * (dictionary.mask + 1) if dictionary.count else <size_t>16
    cdef sbe_slot* before = dictionary.slots
    cdef sbe_slot* slots = <sbe_slot*>calloc(size, sizeof(sbe_slot))
    cdef size_t i, place, count = dictionary.mask + 1 if dictionary.count else 0
    if slots == NULL:
        return False
    dictionary.slots = slots
    dictionary.mask = size - 1
    for i in range(count):
        if before[i].first:
            place = place_of(dictionary, before[i].first, before[i].last)
            while slots[place].first:
                place = (place + 1) & dictionary.mask
            slots[place] = before[i]
    free_slots(before)
    return True


cdef void free_slots(sbe_slot* slots) noexcept nogil:
    if slots != &NOTHING:
        free(slots)


cdef sbe_slot* slot_of(
    const sbe_dictionary* dictionary, const sbe_slot* key, sbe_data text
) noexcept nogil:
    """The slot of a text, or the empty one where it would be. Where a key does not say all of the
    text, texts are compared."""
    cdef size_t place = place_of(dictionary, key.first, key.last)
    cdef sbe_slot* slot = &dictionary.slots[place]
    while slot.first:
        if is_same(slot, key.first, key.last) and (
            text.length < 16 or is_text(dictionary, slot.code, text.data, text.length)
        ):
            break
        place = (place + 1) & dictionary.mask
        slot = &dictionary.slots[place]
    return slot


cdef bint add_text(sbe_dictionary* dictionary, sbe_data text, sbe_slot* key) noexcept nogil:
    """A text that has no code yet gets the next one; False without memory."""
    if 8 * <size_t>dictionary.count >= dictionary.mask:
        if not widen_slots(dictionary):
            return False
    if not reserve(&UNKNOWN, &dictionary.text, text.length + 1, 64, 0):
        return False
    if not reserve(&UNKNOWN, &dictionary.ends, sizeof(size_t), 8 * sizeof(size_t), 0):
        return False
    memcpy(dictionary.text.data + dictionary.text.used, text.data, text.length)
    dictionary.text.used += text.length
    (<size_t*>(dictionary.ends.data + dictionary.ends.used))[0] = dictionary.text.used
    dictionary.ends.used += sizeof(size_t)
    key.code = dictionary.count
    dictionary.count += 1
    slot_of(dictionary, key, text)[0] = key[0]
    return True


cdef int64_t find_or_add(
    sbe_dictionary* dictionary, sbe_data data, sbe_slot key
) noexcept nogil:
    """`intern` for a text that is neither the latest nor in the first place for its key."""
    cdef const sbe_slot* slot = slot_of(dictionary, &key, data)
    if slot.first:
        key.code = slot.code
    elif not add_text(dictionary, data, &key):
        return -1
    if data.length < 16:
        dictionary.latest = key
    return key.code


cdef int64_t intern_other(sbe_dictionary* dictionary, sbe_data data) noexcept nogil:
    """`intern` for a text that is empty, longer than 15 bytes, or near where its frame begins."""
    return find_or_add(dictionary, data, key_of(data))
