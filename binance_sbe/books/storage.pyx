"""The content of a book as Python objects, to be pickled and copied.

What comes back is checked before it counts: pickles may come from anywhere.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from .book_core cimport (
    BOOK_MARKED, BOOK_STALE, forget_touched, make_touched, sbe_book, sbe_book_code, sbe_book_state,
)
from .levels cimport compact, make_room, sbe_level, sbe_side


cdef tuple content_of(sbe_book* core):
    numbers = (
        core.price_exponent, core.qty_exponent, core.update_id, core.event_time, core.state,
        core.failure, core.fault.before, core.fault.first, core.fault.last, core.fault.price,
        core.fault.qty, core.fault.is_bid, core.last_first, core.applied, core.ignored,
        core.overlaps, core.absent, core.pruned,
    )
    # Without the levels that were removed, which `load` would refuse.
    compact(&core.bids)
    compact(&core.asks)
    sides = [stored(&core.bids), stored(&core.asks)]
    touched = (<char*>core.touched)[:(core.touched_bids + core.touched_asks) * sizeof(sbe_level)]
    return numbers, sides, touched, core.touched_bids


cdef int restore_core(sbe_book* core, tuple content) except -1:
    """Makes the book what `content_of` gave. ValueError for what can't be that."""
    cdef int state, failure
    cdef bytes touched
    cdef Py_ssize_t bids
    numbers, sides, touched, bids = content
    state, failure = numbers[4:6]
    known = 0 <= state <= BOOK_STALE and 0 <= failure <= BOOK_MARKED
    if not known or len(touched) % sizeof(sbe_level) or not (
        0 <= bids <= <Py_ssize_t>(len(touched) // sizeof(sbe_level))
    ):
        raise ValueError("this is not the content of a book")
    load(&core.bids, sides[0])
    load(&core.asks, sides[1])
    if not make_touched(core, bids, len(touched) // sizeof(sbe_level) - bids):
        raise MemoryError()
    # There is room for all of it, whatever the numbers say: it is made for the bytes there are.
    if touched:
        memcpy(core.touched, PyBytes_AS_STRING(touched), len(touched))
    (
        core.price_exponent, core.qty_exponent, core.update_id, core.event_time, _, _,
        core.fault.before, core.fault.first, core.fault.last, core.fault.price,
        core.fault.qty, core.fault.is_bid, core.last_first, core.applied, core.ignored,
        core.overlaps, core.absent, core.pruned,
    ) = numbers
    core.state, core.failure = <sbe_book_state>state, <sbe_book_code>failure
    return 0


cdef int adopt_core(sbe_book* core, sbe_book* other) except -1:
    """Takes the levels, the id and the state of another book; counters stay."""
    compact(&other.bids)
    compact(&other.asks)
    # By way of bytes: the other book may be this one, whose levels move when room is made.
    load(&core.bids, stored(&other.bids))
    load(&core.asks, stored(&other.asks))
    core.price_exponent, core.qty_exponent = other.price_exponent, other.qty_exponent
    core.update_id, core.event_time = other.update_id, other.event_time
    forget_touched(core)
    core.state, core.failure = other.state, other.failure
    core.fault = other.fault
    return 0


cdef tuple stored(const sbe_side* side):
    return side.edge, (<const char*>side.levels)[:side.count * sizeof(sbe_level)]


cdef int load(sbe_side* side, tuple content) except -1:
    cdef bytes levels
    cdef int64_t edge
    cdef const sbe_level* level
    cdef size_t i, count
    edge, levels = content
    # Borrowed from ``levels``, which is bytes of any content and a local until the copy is made.
    level = <const sbe_level*>PyBytes_AS_STRING(levels)
    count = len(levels) // sizeof(sbe_level)
    if len(levels) % sizeof(sbe_level):
        raise ValueError("this is not the content of a book")
    for i in range(count):
        if level[i].qty <= 0 or (i and level[i].price <= level[i - 1].price):
            raise ValueError("this is not the content of a book")
    side.count = side.live = 0
    if not make_room(side, count):
        raise MemoryError()
    if count:
        memcpy(side.levels, level, len(levels))
    side.count = side.live = count
    side.edge = edge
    return 0
