"""Numbers out of bytes at any address, in either byte order (SBE 1.0, "Primitive types")."""

from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "binance-sbe decodes in place and needs a little-endian machine (and gcc or clang)."
    #endif
    #define sbe_rare(condition) __builtin_expect(!!(condition), 0)
    #define SBE_LOAD(type, name, bits)                                    \
        static inline type load_##name##_le(const uint8_t *at)            \
        { type value; memcpy(&value, at, sizeof value); return value; }   \
        static inline type load_##name##_be(const uint8_t *at)            \
        { uint##bits##_t raw; type value; memcpy(&raw, at, sizeof raw);   \
          raw = SBE_SWAP_##bits(raw); memcpy(&value, &raw, sizeof raw); return value; }
    #define SBE_SWAP_8(x) (x)
    #define SBE_SWAP_16(x) __builtin_bswap16(x)
    #define SBE_SWAP_32(x) __builtin_bswap32(x)
    #define SBE_SWAP_64(x) __builtin_bswap64(x)
    SBE_LOAD(int8_t, int8, 8)
    SBE_LOAD(uint8_t, uint8, 8)
    SBE_LOAD(int16_t, int16, 16)
    SBE_LOAD(uint16_t, uint16, 16)
    SBE_LOAD(int32_t, int32, 32)
    SBE_LOAD(uint32_t, uint32, 32)
    SBE_LOAD(int64_t, int64, 64)
    SBE_LOAD(uint64_t, uint64, 64)
    SBE_LOAD(float, float, 32)
    SBE_LOAD(double, double, 64)
    #define load_char_le load_uint8_le
    #define load_char_be load_uint8_be

    /* `count` items of `size` bytes, in this machine's order; where there is none at `at`, nulls. */
    static inline void sbe_copy_items(void *out, const uint8_t *at, size_t count, size_t size,
                                      int swap, uint64_t null)
    {
        uint8_t *to = (uint8_t *)out;
        if (at != NULL && !swap) { memcpy(to, at, count * size); return; }
        for (size_t i = 0; i < count; i++, to += size) {
            if (at == NULL) { memcpy(to, &null, size); continue; }
            for (size_t j = 0; j < size; j++) to[j] = at[i * size + size - 1 - j];
        }
    }

    /* A whole number of `size` bytes; where there is none, the most negative one, which is null. */
    static inline void sbe_copy_mantissa(void *out, const uint8_t *at, size_t size, int big)
    {
        if (at != NULL) { memcpy(out, at, size); return; }
        memset(out, 0, size);
        ((uint8_t *)out)[big ? 0 : size - 1] = 0x80;
    }
    """
    bint sbe_rare(bint condition) noexcept nogil     # said where what follows is out of the way
    void sbe_copy_mantissa(void* out, const uint8_t* at, size_t size, int big) noexcept nogil
    void sbe_copy_items(
        void* out, const uint8_t* at, size_t count, size_t size, int swap, uint64_t null
    ) noexcept nogil
    uint8_t load_char_le(const uint8_t* at) noexcept nogil
    uint8_t load_char_be(const uint8_t* at) noexcept nogil
    int8_t load_int8_le(const uint8_t* at) noexcept nogil
    int8_t load_int8_be(const uint8_t* at) noexcept nogil
    uint8_t load_uint8_le(const uint8_t* at) noexcept nogil
    uint8_t load_uint8_be(const uint8_t* at) noexcept nogil
    int16_t load_int16_le(const uint8_t* at) noexcept nogil
    int16_t load_int16_be(const uint8_t* at) noexcept nogil
    uint16_t load_uint16_le(const uint8_t* at) noexcept nogil
    uint16_t load_uint16_be(const uint8_t* at) noexcept nogil
    int32_t load_int32_le(const uint8_t* at) noexcept nogil
    int32_t load_int32_be(const uint8_t* at) noexcept nogil
    uint32_t load_uint32_le(const uint8_t* at) noexcept nogil
    uint32_t load_uint32_be(const uint8_t* at) noexcept nogil
    int64_t load_int64_le(const uint8_t* at) noexcept nogil
    int64_t load_int64_be(const uint8_t* at) noexcept nogil
    uint64_t load_uint64_le(const uint8_t* at) noexcept nogil
    uint64_t load_uint64_be(const uint8_t* at) noexcept nogil
    float load_float_le(const uint8_t* at) noexcept nogil
    float load_float_be(const uint8_t* at) noexcept nogil
    double load_double_le(const uint8_t* at) noexcept nogil
    double load_double_be(const uint8_t* at) noexcept nogil


cdef enum:
    SBE_INT8, SBE_INT16, SBE_INT32, SBE_INT64, SBE_UINT8, SBE_UINT16, SBE_UINT32, SBE_UINT64
    SBE_FLOAT, SBE_DOUBLE
    SBE_BIG = 16                # added to those


cdef inline uint64_t load_bits(const uint8_t* at, int code) noexcept nogil:
    """A whole number of any width, sign-extended to 64 bits."""
    if code == SBE_INT64:
        return <uint64_t>load_int64_le(at)
    elif code == SBE_INT8 or code == SBE_INT8 + SBE_BIG:
        return <uint64_t>load_int8_le(at)
    elif code == SBE_INT16:
        return <uint64_t>load_int16_le(at)
    elif code == SBE_INT32:
        return <uint64_t>load_int32_le(at)
    elif code == SBE_UINT8 or code == SBE_UINT8 + SBE_BIG:
        return load_uint8_le(at)
    elif code == SBE_UINT16:
        return load_uint16_le(at)
    elif code == SBE_UINT32:
        return load_uint32_le(at)
    elif code == SBE_INT16 + SBE_BIG:
        return <uint64_t>load_int16_be(at)
    elif code == SBE_INT32 + SBE_BIG:
        return <uint64_t>load_int32_be(at)
    elif code == SBE_INT64 + SBE_BIG:
        return <uint64_t>load_int64_be(at)
    elif code == SBE_UINT16 + SBE_BIG:
        return load_uint16_be(at)
    elif code == SBE_UINT32 + SBE_BIG:
        return load_uint32_be(at)
    elif code == SBE_UINT64 + SBE_BIG:
        return load_uint64_be(at)
    else:
        return load_uint64_le(at)


cdef inline void load_ends(
    const uint8_t* text, size_t length, uint64_t* first, uint64_t* last
) noexcept nogil:
    """Two numbers that with the length tell a text of up to 16 bytes from all others.

    They overlap where the text is short, and no byte outside of it is read.
    """
    if length >= 8:
        first[0] = load_uint64_le(text)
        last[0] = load_uint64_le(text + length - 8)
    elif length >= 4:
        first[0] = load_uint32_le(text)
        last[0] = load_uint32_le(text + length - 4)
    elif length > 0:
        first[0] = text[0]
        last[0] = <uint64_t>text[length - 1] * 256 + text[length // 2]
    else:
        first[0] = last[0] = 0
