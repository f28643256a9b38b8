"""Looking for whole numbers that may not be written, in many blocks at once."""

from libc.string cimport memset

from ..decode.loads cimport load_bits

cdef enum:
    LONGEST = 512               # of the blocks that are looked at together

cdef extern from *:
    """
    #include <string.h>

    typedef struct { uint64_t any, all; } sbe_bits;

    /* The bits that any number of a column has, and those that all have, as the bytes lie. */
    static inline sbe_bits sbe_column_bits(
        const unsigned char *at, size_t count, Py_ssize_t stride, int size)
    {
        sbe_bits bits = {0, ~(uint64_t)0};
        uint64_t word = 0;
    #define SBE_EACH(width) \
        for (size_t i = 0; i < count; i++, at += stride) { \
            memcpy(&word, at, width); \
            bits.any |= word; \
            bits.all &= word; \
        }
        if (size == 8) {
            SBE_EACH(8)
        } else if (size == 4) {
            SBE_EACH(4)
        } else if (size == 2) {
            SBE_EACH(2)
        } else {
            SBE_EACH(1)
        }
    #undef SBE_EACH
        return bits;
    }

    /* Sixteen bytes at any address, as gcc and clang have them for every processor. */
    typedef uint64_t sbe_lane __attribute__((vector_size(16), aligned(1), may_alias));

    /* Both for whole blocks of at least 32 bytes, each byte at its place. */
    static void sbe_block_bits(
        const unsigned char *at, size_t count, Py_ssize_t stride, size_t length,
        unsigned char *any, unsigned char *all)
    {
        for (size_t from = 0; from < length; from += 32) {
            size_t begin = from + 32 <= length ? from : length - 32;
            const unsigned char *block = at + begin;
            sbe_lane some0 = {0, 0}, some1 = some0, every0 = ~some0, every1 = ~some0;
            for (size_t i = 0; i < count; i++, block += stride) {
                sbe_lane one = *(const sbe_lane *)block, two = *(const sbe_lane *)(block + 16);
                some0 |= one;
                some1 |= two;
                every0 &= one;
                every1 &= two;
            }
            *(sbe_lane *)(any + begin) = some0;
            *(sbe_lane *)(any + begin + 16) = some1;
            *(sbe_lane *)(all + begin) = every0;
            *(sbe_lane *)(all + begin + 16) = every1;
        }
    }

    /* The first of them for blocks of sixteen bytes without gaps: levels of a book. Four lanes are
       read at a time, of sixteen bytes each or more. */
    #define SBE_PAIR_BITS(name, lane) \
        static void name(const unsigned char *at, size_t count, unsigned char *any) \
        { \
            lane some0 = {0}, some1 = {0}, some2 = {0}, some3 = {0}; \
            sbe_lane found = {0}; \
            size_t i = 0, four = 4 * sizeof(lane) / 16, j; \
            for (; i + four <= count; i += four, at += 4 * sizeof(lane)) { \
                some0 |= *(const lane *)at; \
                some1 |= *(const lane *)(at + sizeof(lane)); \
                some2 |= *(const lane *)(at + 2 * sizeof(lane)); \
                some3 |= *(const lane *)(at + 3 * sizeof(lane)); \
            } \
            some0 |= some1 | some2 | some3; \
            for (j = 0; j < sizeof(lane); j += 16) \
                found |= *(const sbe_lane *)((const unsigned char *)&some0 + j); \
            for (; i < count; i++, at += 16) \
                found |= *(const sbe_lane *)at; \
            *(sbe_lane *)any = found; \
        }

    SBE_PAIR_BITS(sbe_pair_bits_16, sbe_lane)
    #ifdef __x86_64__
    typedef uint64_t sbe_wide __attribute__((vector_size(32), aligned(1), may_alias));
    __attribute__((target("avx2"))) SBE_PAIR_BITS(sbe_pair_bits_32, sbe_wide)
    #endif
    #undef SBE_PAIR_BITS

    static void sbe_pair_bits(const unsigned char *at, size_t count, unsigned char *any)
    {
    #ifdef __x86_64__
        if (__builtin_cpu_supports("avx2")) {
            sbe_pair_bits_32(at, count, any);
            return;
        }
    #endif
        sbe_pair_bits_16(at, count, any);
    }
    """
    ctypedef struct sbe_bits:
        uint64_t any, all
    sbe_bits sbe_column_bits(
        const uint8_t* at, size_t count, Py_ssize_t stride, int size
    ) noexcept nogil
    void sbe_block_bits(
        const uint8_t* at, size_t count, Py_ssize_t stride, size_t length, uint8_t* any,
        uint8_t* all
    ) noexcept nogil
    void sbe_pair_bits(const uint8_t* at, size_t count, uint8_t* any) noexcept nogil


cdef inline bint are_allowed(
    const sbe_check* check, const uint8_t* any, const uint8_t* all
) noexcept nogil:
    """Whether numbers with these bits are allowed, whatever else they are.

    No number is larger than what any of them has, and none is negative where that is not; where all
    are negative, as exponents are, none is less than what all of them have.
    """
    cdef int64_t bits = <int64_t>load_bits(any, check.code)
    if check.has_hole:
        return False
    if check.is_wide:
        return check.low == 0 and <uint64_t>bits <= <uint64_t>check.high
    if bits >= 0:
        return check.low <= 0 and bits <= check.high
    bits = <int64_t>load_bits(all, check.code)
    return bits < 0 and bits >= check.low and check.high >= -1


cdef Py_ssize_t first_bad(
    const sbe_check* checks, size_t check_count, size_t length,
    const uint8_t* data, size_t count, Py_ssize_t stride, size_t* which
) noexcept nogil:
    """The first block with a number that is not allowed, and which check said so; -1 if none.

    What is null stands for null. Most times the bits of all blocks taken together are enough.
    """
    cdef uint8_t[LONGEST] any, all
    cdef sbe_bits bits
    cdef const sbe_check* check
    cdef const uint8_t* at
    cdef int64_t number
    cdef size_t i, entry
    cdef bint are_pairs = length == 16 and stride == 16
    cdef bint together = are_pairs or (count > 2 and 32 <= length <= LONGEST)
    if check_count == 0 or count == 0:
        return -1
    if are_pairs:
        sbe_pair_bits(data, count, any)
        memset(all, 0, 16)
    elif together:
        sbe_block_bits(data, count, stride, length, any, all)
    for i in range(check_count):
        check = &checks[i]
        if together and are_allowed(check, any + check.offset, all + check.offset):
            continue
        at = data + check.offset
        bits = sbe_column_bits(at, count, stride, check.size)
        if are_allowed(check, <const uint8_t*>&bits.any, <const uint8_t*>&bits.all):
            continue
        for entry in range(count):
            number = <int64_t>load_bits(at, check.code)
            if not allows(check, number) and not (check.optional and number == check.null):
                which[0] = i
                return <Py_ssize_t>entry
            at += stride
    return -1
