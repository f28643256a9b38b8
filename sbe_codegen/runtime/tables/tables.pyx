"""Growing buffers and the dictionary of texts: the cold half of writing rows."""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy

from ..decode.loads cimport load_uint64_le
from ..decode.memory cimport give_memory, take_memory

cdef sbe_tables UNKNOWN         # dictionaries grow by themselves
cdef uint64_t[2] SEEDS          # so that nobody who sends symbols can choose which ones collide
cdef Py_ssize_t i
for i in range(2):
    SEEDS[i] = int.from_bytes(os.urandom(8), "little")


cdef extern from *:
    """
    #ifdef __linux__
    #include <sys/mman.h>
    #endif
    #define SBE_HUGE (1u << 22)

    /* Both halves of the product: a hash that nobody foresees who does not know the seeds. */
    static inline uint64_t sbe_fold(uint64_t one, uint64_t two)
    {
        unsigned __int128 product = (unsigned __int128)one * two;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }

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
    uint64_t sbe_fold(uint64_t one, uint64_t two) noexcept nogil
    void sbe_advise(char* data, size_t size) noexcept nogil


cdef inline size_t place_of(const sbe_dictionary* dictionary, const sbe_slot* key) noexcept nogil:
    """Where the search for a key begins."""
    cdef uint64_t mixed = sbe_fold(key.first ^ SEEDS[0], key.last ^ SEEDS[1] ^ key.length)
    return <size_t>(mixed ^ (mixed >> 32)) & dictionary.mask


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


cdef sbe_slot long_key(const uint8_t* text, size_t length) noexcept nogil:
    """The key of a text of more than 16 bytes: two hashes of it, which others may have too."""
    cdef sbe_slot key
    cdef uint64_t state = SEEDS[0]
    cdef size_t at = 0
    while at + 16 < length:
        state = sbe_fold(
            load_uint64_le(text + at) ^ state, load_uint64_le(text + at + 8) ^ SEEDS[1]
        )
        at += 16
    key.first = state
    key.last = sbe_fold(
        load_uint64_le(text + length - 16) ^ state, load_uint64_le(text + length - 8) ^ SEEDS[1]
    )
    key.length = <uint32_t>min(length, <size_t>0xFFFFFFFF)
    key.number = 0
    return key


cdef bint widen_slots(sbe_dictionary* dictionary) noexcept nogil:
    """Twice the slots, so that at most half of them are taken."""
    cdef size_t size = 2 * (dictionary.mask + 1) if dictionary.count else <size_t>64
    cdef sbe_slot* before = dictionary.slots
    cdef sbe_slot* slots = <sbe_slot*>calloc(size, sizeof(sbe_slot))
    cdef size_t i, place, count = dictionary.mask + 1 if dictionary.count else 0
    if slots == NULL:
        return False
    dictionary.slots = slots
    dictionary.mask = size - 1
    for i in range(count):
        if before[i].number:
            place = place_of(dictionary, &before[i])
            while slots[place].number:
                place = (place + 1) & dictionary.mask
            slots[place] = before[i]
    free(before)
    return True


cdef bint add_text(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, sbe_slot* key
) noexcept nogil:
    """A text that has no code yet gets the next one; False without memory."""
    cdef size_t place
    if 2 * <size_t>dictionary.count >= dictionary.mask:
        if not widen_slots(dictionary):
            return False
    if not reserve(&UNKNOWN, &dictionary.text, length + 1, 1024, 0):
        return False
    if not reserve(&UNKNOWN, &dictionary.ends, sizeof(size_t), 64 * sizeof(size_t), 0):
        return False
    memcpy(dictionary.text.data + dictionary.text.used, text, length)
    dictionary.text.used += length
    (<size_t*>(dictionary.ends.data + dictionary.ends.used))[0] = dictionary.text.used
    dictionary.ends.used += sizeof(size_t)
    dictionary.count += 1
    key.number = dictionary.count
    place = place_of(dictionary, key)
    while dictionary.slots[place].number:
        place = (place + 1) & dictionary.mask
    dictionary.slots[place] = key[0]
    if length <= 16:
        dictionary.latest = key[0]
    return True


cdef bint find_or_add(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, sbe_slot* key, uint32_t* code
) noexcept nogil:
    """The code of a text by its key; those that are too long for their key are compared."""
    cdef sbe_slot* slot
    cdef size_t place
    if dictionary.count:
        place = place_of(dictionary, key)
        slot = &dictionary.slots[place]
        while slot.number:
            if is_same(slot, key) and (
                length <= 16 or is_text(dictionary, slot.number - 1, text, length)
            ):
                if length <= 16:
                    dictionary.latest = slot[0]
                code[0] = slot.number - 1
                return True
            place = (place + 1) & dictionary.mask
            slot = &dictionary.slots[place]
    if not add_text(dictionary, text, length, key):
        return False
    code[0] = key.number - 1
    return True


cdef bint look_up_short(
    sbe_dictionary* dictionary, const uint8_t* text, uint64_t first, uint64_t last,
    uint32_t length, uint32_t* code
) noexcept nogil:
    """`intern` for a text of up to 16 bytes that is not the one before; see `load_ends`."""
    cdef sbe_slot key = sbe_slot(first, last, length, 0)
    return find_or_add(dictionary, text, length, &key, code)


cdef bint look_up_long(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, uint32_t* code
) noexcept nogil:
    """`intern` for a text of more than 16 bytes."""
    cdef sbe_slot key = long_key(text, length)
    return find_or_add(dictionary, text, length, &key, code)
