"""Copying rows of tables to where they become messages, in C: no Python object is touched here."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport realloc

from .slots cimport sbe_store

cdef extern from *:
    """
    #include <string.h>

    enum { SBE_SLACK = 16, SBE_MOST_CHUNKS = 8 };

    typedef struct { size_t begin, to; } sbe_chunk;

    typedef struct { const unsigned char *text; size_t size; } sbe_text;

    typedef struct {
        size_t code_at;
        const sbe_text *texts;
        size_t count, longest, prefix, length_at;
        int length_size, length_big, empty_is_null;
    } sbe_codes;

    static inline void sbe_copy_slack(unsigned char *to, const unsigned char *from)
    {
        memcpy(to, from, SBE_SLACK);
    }

    /* Rows of `sbe_write_rows` that have one short text, whose length is one byte, and as many
       chunks as the compiler is told: the offsets are in registers then. */
    static inline __attribute__((always_inline)) size_t sbe_write_short(
        unsigned char *data, size_t *size, const unsigned char *rows, size_t stride, size_t count,
        size_t length, const sbe_chunk *chunks, const size_t chunk_count,
        const unsigned char *head, size_t head_size, const sbe_codes *codes, int64_t *places)
    {
        const size_t code_at = codes->code_at, known = codes->count;
        const sbe_text *texts = codes->texts;
        unsigned char *to = data + *size;
        size_t begin[SBE_MOST_CHUNKS], at[SBE_MOST_CHUNKS], row = 0;
        for (size_t i = 0; i < chunk_count; i++) {
            begin[i] = chunks[i].begin;
            at[i] = chunks[i].to + head_size;
        }
        length += head_size;
        for (; row < count; row++, rows += stride) {
            uint32_t code;
            memcpy(&code, rows + code_at, 4);
            if (code >= known)
                break;
            const sbe_text text = texts[code];
            if (!text.text)
                break;
            __builtin_prefetch(rows + 128 * stride);
            places[row] = to - data;
            sbe_copy_slack(to, head);
    #pragma GCC unroll 8
            for (size_t i = 0; i < chunk_count; i++)
                sbe_copy_slack(to + at[i], rows + begin[i]);
            to += length;
            *to = (unsigned char)text.size;
            sbe_copy_slack(to + 1, text.text);          /* both have as much behind */
            to += 1 + text.size;
        }
        *size = to - data;
        return row;
    }

    /* Messages of a block and texts, for which there is room; how many before a bad text.

       Sixteen bytes are copied where fewer are meant: there is room for them, what comes next
       writes over them, and there is another row behind the last of these to read them from. */
    static __attribute__((noinline)) size_t sbe_write_rows(
        unsigned char *data, size_t *size, const unsigned char *rows, size_t stride, size_t count,
        size_t length, const sbe_chunk *chunks, size_t chunk_count,
        const unsigned char *head, size_t head_size,
        const sbe_codes *codes, size_t code_count, int64_t *places)
    {
        unsigned char *to;
        size_t row = 0;
        if (code_count == 1 && codes->prefix == 1 && codes->length_size == 1
            && codes->longest <= SBE_SLACK && head_size <= SBE_SLACK) {
    #define SBE_SHORT(number) \
            case number: \
                row = sbe_write_short(data, size, rows, stride, count, length, chunks, number, \
                                      head, head_size, codes, places); \
                break;
            switch (chunk_count) {
            SBE_SHORT(1)
            SBE_SHORT(2)
            SBE_SHORT(3)
            SBE_SHORT(4)
            SBE_SHORT(5)
            SBE_SHORT(6)
            }
    #undef SBE_SHORT
            rows += row * stride;
        }
        to = data + *size;
        for (; row < count; row++, rows += stride) {
            places[row] = to - data;
            sbe_copy_slack(to, head);
            if (head_size > SBE_SLACK)
                memcpy(to, head, head_size);
            to += head_size;
            for (size_t i = 0; i < chunk_count; i++)
                sbe_copy_slack(to + chunks[i].to, rows + chunks[i].begin);
            to += length;
            for (size_t i = 0; i < code_count; i++) {
                const sbe_codes *each = codes + i;
                uint32_t code;
                memcpy(&code, rows + each->code_at, 4);
                const sbe_text *text = each->texts + (code < each->count ? code : each->count);
                if (!text->text)
                    goto end;
                if (code >= each->count && (code != 0xFFFFFFFF || !each->empty_is_null))
                    goto end;
                if (each->prefix == 1 && each->length_size == 1) {
                    *to = (unsigned char)text->size;
                } else {
                    memset(to, 0, each->prefix);
                    if (each->length_size)
                        sbe_store(
                            to + each->length_at, text->size, each->length_size, each->length_big);
                }
                to += each->prefix;
                if (text->size <= SBE_SLACK)
                    sbe_copy_slack(to, text->text);     /* both have as much behind */
                else
                    memcpy(to, text->text, text->size);
                to += text->size;
            }
            *size = to - data;
        }
    end:
        return row;
    }

    static inline void sbe_move(unsigned char *to, const unsigned char *from, size_t size)
    {
        size_t i = 0;
        if (size > 128) {
            memcpy(to, from, size);
        } else if (size >= 16) {
            for (; i + 16 <= size; i += 16)
                memcpy(to + i, from + i, 16);
            memcpy(to + size - 16, from + size - 16, 16);
        } else if (size >= 8) {
            memcpy(to, from, 8);
            memcpy(to + size - 8, from + size - 8, 8);
        } else {
            for (; i < size; i++)
                to[i] = from[i];
        }
    }

    static inline void sbe_move_swapped(
        unsigned char *to, const unsigned char *from, size_t size, size_t item)
    {
        for (size_t i = 0; i < size; i += item)
            for (size_t j = 0; j < item; j++)
                to[i + j] = from[i + item - 1 - j];
    }
    """
    enum:
        SBE_SLACK                   # bytes behind what is written and read, for wide copies
    ctypedef struct sbe_chunk:
        size_t begin, to
    ctypedef struct sbe_text:
        const uint8_t* text         # NULL: it can't be written
        size_t size
    ctypedef struct sbe_codes:      # a text of rows that have nothing else behind the block
        size_t code_at
        const sbe_text* texts
        size_t count, longest, prefix, length_at
        int length_size, length_big, empty_is_null
    size_t sbe_write_rows(
        uint8_t* data, size_t* size, const uint8_t* rows, size_t stride, size_t count,
        size_t length, const sbe_chunk* chunks, size_t chunk_count,
        const uint8_t* head, size_t head_size,
        const sbe_codes* codes, size_t code_count, int64_t* places
    ) noexcept nogil
    void sbe_move(uint8_t* to, const uint8_t* begin, size_t size) noexcept nogil
    void sbe_move_swapped(
        uint8_t* to, const uint8_t* begin, size_t size, size_t item
    ) noexcept nogil


cdef struct sbe_output:
    uint8_t* data
    size_t size, capacity


cdef inline int reserve(sbe_output* output, size_t more) except -1:
    cdef size_t wanted = max(2 * output.capacity, output.size + more + SBE_SLACK)
    cdef uint8_t* data = <uint8_t*>realloc(output.data, wanted)
    if data == NULL:
        raise MemoryError()
    output.data = data
    output.capacity = wanted
    return 0
