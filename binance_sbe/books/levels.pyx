"""One side of an order book; see levels.pxd."""

from libc.stdlib cimport realloc
from libc.string cimport memmove


cdef bint make_room(sbe_side* side, size_t more) noexcept nogil:
    """Room for so many more levels; False where there is no memory."""
    # The array moves here, and nowhere else.
    cdef size_t room
    cdef sbe_level* grown
    if side.room - side.count >= more:
        return True
    room = max(2 * side.room, side.count + more)
    grown = <sbe_level*>realloc(side.levels, room * sizeof(sbe_level))
    if grown == NULL:
        return False
    side.levels, side.room = grown, room
    return True


cdef extern from *:
    """
    /* Halves the range without a branch that could be mispredicted: the compiler makes it a
       conditional move. ``prices`` is every second number. */
    static inline const int64_t *sbe_first_from(const int64_t *prices, size_t count, int64_t price)
    {
        while (count > 1) {
            size_t half = count / 2;
            const int64_t *middle = prices + 2 * half;
            prices = __builtin_expect_with_probability(middle[-2] < price, 1, 0.5)
                ? middle : prices;
            count -= half;
        }
        return count && *prices < price ? prices + 2 : prices;
    }
    """
    const int64_t* sbe_first_from(const int64_t* prices, size_t count, int64_t price) noexcept nogil


cdef inline sbe_level* level_from(const sbe_side* side, int64_t price) noexcept nogil:
    """The first level that is at this price or better, or the end."""
    cdef const sbe_level* levels = side.levels
    cdef size_t count = side.count
    if count > 64 and levels[count - 64].price < price:
        levels, count = levels + count - 64, 64
    elif count > 1024 and levels[count - 1024].price < price:
        levels, count = levels + count - 1024, 1024
    return <sbe_level*>sbe_first_from(<const int64_t*>levels, count, price)


cdef bint set_level(sbe_side* side, int64_t price, int64_t qty) noexcept nogil:
    """Gives a level a quantity, or removes it at 0; there is room. False where it was not there."""
    # There is room, so that the array stays where it is, and pointers into it are good to the end.
    cdef sbe_level* level = level_from(side, price)
    cdef sbe_level* end = side.levels + side.count
    cdef bint was_there
    if level < end and level.price == price:
        was_there = level.qty != 0
        side.live += (qty != 0) - was_there
        level.qty = qty
        if qty == 0:
            while side.count and side.levels[side.count - 1].qty == 0:
                side.count -= 1
            if side.count - side.live > 64 + side.live // 4:
                compact(side)
        return was_there or qty != 0
    if qty == 0:
        return False
    memmove(level + 1, level, (end - level) * sizeof(sbe_level))
    level.price = price
    level.qty = qty
    side.count += 1
    side.live += 1
    return True


cdef void compact(sbe_side* side) noexcept nogil:
    """Takes out the levels that were removed."""
    cdef size_t i, kept = 0
    for i in range(side.count):
        side.levels[kept] = side.levels[i]
        kept += side.levels[i].qty != 0
    side.count = kept


cdef bint fits(const sbe_side* side, int64_t prices, int64_t quantities) noexcept nogil:
    """Whether all levels can be multiplied by that."""
    cdef size_t i
    cdef int64_t ignored
    for i in range(side.count):
        if not sbe_multiplied(side.levels[i].price, prices, &ignored):
            return False
        if not sbe_multiplied(side.levels[i].qty, quantities, &ignored):
            return False
    return side.edge == INT64_MIN or sbe_multiplied(side.edge, prices, &ignored)


cdef void scale(sbe_side* side, int64_t prices, int64_t quantities) noexcept nogil:
    cdef size_t i
    for i in range(side.count):
        side.levels[i].price *= prices
        side.levels[i].qty *= quantities
    if side.edge != INT64_MIN:
        side.edge *= prices


cdef void prune(sbe_side* side, size_t most) noexcept nogil:
    """Drops the worst levels beyond so many. What was all known is now known from the last on."""
    compact(side)
    if side.live <= most:
        return
    memmove(side.levels, side.levels + side.live - most, most * sizeof(sbe_level))
    side.count = side.live = most
    if side.edge < side.levels[0].price:
        side.edge = side.levels[0].price
