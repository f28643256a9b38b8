"""Memory of batches that are gone, for the next ones.

A page that is touched for the first time costs a fault, which takes longer than writing the rows
that go there. So up to four blocks of 64 KiB to 16 MiB are kept when the arrays over them are gone.
Any thread may take or give at any time, with the GIL or without.
"""

from libc.stdlib cimport free

cdef extern from *:
    """
    #define SBE_LEAST_SPARE ((size_t)1 << 16)
    #define SBE_MOST_SPARE ((size_t)1 << 24)
    #define SBE_SPARES 4

    /* At the start of a block that is spare: whoever takes it writes over that. */
    typedef struct { size_t capacity; } sbe_memory_block;

    static sbe_memory_block *sbe_memory_blocks[SBE_SPARES];

    /* With the sanitizers blocks are freed, so that whoever uses one after that is found. */
    static inline int sbe_is_kept(size_t capacity)
    {
    #if defined(__SANITIZE_ADDRESS__)
        (void)capacity;
        return 0;
    #else
        return SBE_LEAST_SPARE <= capacity && capacity <= SBE_MOST_SPARE;
    #endif
    }

    static sbe_memory_block *sbe_swap(int place, sbe_memory_block *spare)
    {
        return __atomic_exchange_n(&sbe_memory_blocks[place], spare, __ATOMIC_ACQ_REL);
    }
    """
    ctypedef struct sbe_memory_block:
        size_t capacity
    enum:
        SBE_SPARES
    bint sbe_is_kept(size_t capacity) noexcept nogil
    sbe_memory_block* sbe_swap(int place, sbe_memory_block* spare) noexcept nogil


cdef void* take_memory(size_t least, size_t* capacity) noexcept nogil:
    """A block of at least so many bytes, and at most twice as many; NULL where there is none."""
    cdef sbe_memory_block* spare
    cdef int place
    if not sbe_is_kept(least):
        return NULL
    for place in range(SBE_SPARES):
        # Out of its place before it is looked at: no other thread can take or free it meanwhile.
        spare = sbe_swap(place, NULL)
        if spare == NULL:
            continue
        if least <= spare.capacity <= 2 * least:
            capacity[0] = spare.capacity
            return spare
        free(sbe_swap(place, spare))        # what another thread has put there meanwhile
    return NULL


cdef void give_memory(void* data, size_t capacity) noexcept nogil:
    """Keeps a block (from malloc), instead of the one that was kept longest, or frees it."""
    cdef sbe_memory_block* spare = <sbe_memory_block*>data
    cdef int place
    if data == NULL or not sbe_is_kept(capacity):
        free(data)
        return
    spare.capacity = capacity
    for place in range(SBE_SPARES):
        spare = sbe_swap(place, spare)      # each moves on by one place
        if spare == NULL:
            return
    free(spare)
