"""Growing buffers and the dictionary of texts: the cold half of writing rows."""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

cdef sbe_tables UNKNOWN         # dictionaries grow by themselves
cdef uint64_t SEED = int.from_bytes(os.urandom(8), "little") | 1


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


cdef bint grow(
    const sbe_tables* tables, sbe_buffer* buffer, size_t wanted, size_t least, size_t whole
) noexcept nogil:
    """At least doubles, so that appending is linear; where the number of frames is known, makes
    room for what the rest will take if it is like the frames so far, within reason."""
    cdef size_t needed = buffer.used + wanted
    cdef size_t capacity = max(buffer.capacity * 2, needed, least, <size_t>64)
    cdef double likely
    cdef char* data
    if buffer.capacity and tables.expected > tables.frame:
        likely = 1.05 * <double>needed * tables.expected / (tables.frame + 1)
        if whole == 0:
            whole = 16 * needed
        capacity = max(capacity, <size_t>min(likely, <double>whole))
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


cdef inline uint64_t mix(uint64_t value) noexcept nogil:
    value ^= value >> 32
    value *= 0x9E3779B97F4A7C15u
    return value ^ (value >> 29)


cdef uint64_t hash_text(const uint8_t* text, size_t length) noexcept nogil:
    """Seeded at random, so that nobody who sends symbols can choose which ones collide."""
    cdef uint64_t state = SEED ^ (length * 0xD6E8FEB86659FD93u)
    cdef uint64_t word
    while length >= 8:
        memcpy(&word, text, 8)
        state = mix(state ^ word) * SEED
        text += 8
        length -= 8
    word = 0
    memcpy(&word, text, length)
    return mix(mix(state ^ word) * SEED)


cdef inline size_t begin_of(const sbe_dictionary* dictionary, uint32_t code) noexcept nogil:
    return (<size_t*>dictionary.ends.data)[code - 1] if code else 0


cdef inline bint is_text(
    const sbe_dictionary* dictionary, uint32_t code, const uint8_t* text, size_t length
) noexcept nogil:
    cdef size_t begin = begin_of(dictionary, code)
    cdef size_t size = (<size_t*>dictionary.ends.data)[code] - begin
    return size == length and memcmp(dictionary.text.data + begin, text, length) == 0


cdef size_t find_slot(
    const sbe_dictionary* dictionary, const uint8_t* text, size_t length
) noexcept nogil:
    """The slot of the text, or the empty one where it belongs."""
    cdef uint32_t* slots = <uint32_t*>dictionary.slots.data
    cdef size_t mask = dictionary.slots.capacity / sizeof(uint32_t) - 1
    cdef size_t slot = hash_text(text, length) & mask
    while slots[slot] and not is_text(dictionary, slots[slot] - 1, text, length):
        slot = (slot + 1) & mask
    return slot


cdef bint widen_slots(sbe_dictionary* dictionary) noexcept nogil:
    """Twice the slots, so that at most half of them are taken."""
    cdef size_t size = dictionary.slots.capacity * 2 or 64 * sizeof(uint32_t)
    cdef uint32_t* slots = <uint32_t*>malloc(size)
    cdef uint32_t code
    cdef size_t begin = 0, end
    if slots == NULL:
        return False
    memset(slots, 0, size)
    free(dictionary.slots.data)
    dictionary.slots.data = <char*>slots
    dictionary.slots.capacity = size
    for code in range(dictionary.count):
        end = (<size_t*>dictionary.ends.data)[code]
        slots[find_slot(dictionary, <uint8_t*>dictionary.text.data + begin, end - begin)] = code + 1
        begin = end
    return True


cdef bint look_up(
    sbe_dictionary* dictionary, const uint8_t* text, size_t length, uint32_t* code
) noexcept nogil:
    cdef size_t slot
    cdef uint32_t* slots
    dictionary.last_text = NULL
    if 2 * <size_t>dictionary.count * sizeof(uint32_t) >= dictionary.slots.capacity:
        if not widen_slots(dictionary):
            return False
    slot = find_slot(dictionary, text, length)
    slots = <uint32_t*>dictionary.slots.data
    if not slots[slot]:
        if not reserve(&UNKNOWN, &dictionary.text, length + 1, 1024, 0):
            return False
        if not reserve(&UNKNOWN, &dictionary.ends, sizeof(size_t), 64 * sizeof(size_t), 0):
            return False
        memcpy(dictionary.text.data + dictionary.text.used, text, length)
        dictionary.text.used += length
        (<size_t*>(dictionary.ends.data + dictionary.ends.used))[0] = dictionary.text.used
        dictionary.ends.used += sizeof(size_t)
        dictionary.count += 1
        slots[slot] = dictionary.count
    code[0] = slots[slot] - 1
    dictionary.last = code[0]
    dictionary.last_text = dictionary.text.data + begin_of(dictionary, code[0])
    dictionary.last_length = length
    return True
