"""A local order book without Python objects; see book_core.pxd."""

from libc.stdlib cimport free, realloc

from .levels cimport compact, fits, make_room, prune, sbe_multiplied, scale, set_level
from ..spot_stream cimport (
    DepthDiffStreamEvent_asks_price, DepthDiffStreamEvent_asks_qty,
    DepthDiffStreamEvent_bids_price, DepthDiffStreamEvent_bids_qty,
    DepthDiffStreamEvent_event_time, DepthDiffStreamEvent_first_book_update_id,
    DepthDiffStreamEvent_last_book_update_id, DepthDiffStreamEvent_price_exponent,
    DepthDiffStreamEvent_qty_exponent, DepthSnapshotStreamEvent_asks_price,
    DepthSnapshotStreamEvent_asks_qty, DepthSnapshotStreamEvent_bids_price,
    DepthSnapshotStreamEvent_bids_qty, DepthSnapshotStreamEvent_book_update_id,
    DepthSnapshotStreamEvent_price_exponent, DepthSnapshotStreamEvent_qty_exponent,
)

cdef enum:
    DEPTH = 20                  # levels of a depth20 event

cdef int64_t[19] TEN
for _i in range(19):
    TEN[_i] = 10 ** _i


cdef inline bint multiplied(int64_t* value, int up) noexcept nogil:
    """Multiplies by 10**up; False where that is beyond 64 bits."""
    if value[0] == 0 or up == 0:
        return True
    return up < 19 and sbe_multiplied(value[0], TEN[up], value)


cdef inline bint divided(int64_t* value, int down) noexcept nogil:
    """Divides by 10**down; False where that leaves a rest."""
    if value[0] == 0 or down == 0:
        return True
    if down >= 19 or value[0] % TEN[down]:
        return False
    value[0] //= TEN[down]
    return True


cdef inline bint shifted(int64_t* value, int places) noexcept nogil:
    """Multiplies by 10**places, which may be negative, exactly or not at all."""
    return multiplied(value, places) if places > 0 else divided(value, -places)


cdef void free_book(sbe_book* book) noexcept nogil:
    free(book.bids.levels)              # nobody borrows these: arrays of levels are copies
    free(book.asks.levels)
    free(book.touched)


cdef bint make_touched(sbe_book* book, size_t bids, size_t asks) noexcept nogil:
    """Room in `touched` for the levels of an event; False where there is no memory."""
    cdef sbe_level* grown
    if book.touched_room < bids + asks:
        grown = <sbe_level*>realloc(book.touched, 2 * (bids + asks) * sizeof(sbe_level))
        if grown == NULL:
            return False
        book.touched, book.touched_room = grown, 2 * (bids + asks)
    book.touched_bids, book.touched_asks = bids, asks
    return True


cdef void forget_touched(sbe_book* book) noexcept nogil:
    """What is in `touched` says nothing of the event that was applied last."""
    book.touched_bids = book.touched_asks = 0
    book.last_first = book.update_id


cdef void copy_levels(const DepthDiffStreamEventFrame* frame, sbe_level* level) noexcept nogil:
    """The levels of a diff as they are, bids and then asks."""
    # The frame is borrowed, and may be memory that somebody writes to: each level is read once, and
    # what is checked and set after that is the copy. The counts are those for which there is room.
    cdef size_t i
    for i in range(frame.bids.count):
        level.price = DepthDiffStreamEvent_bids_price(frame, i)
        level.qty = DepthDiffStreamEvent_bids_qty(frame, i)
        level += 1
    for i in range(frame.asks.count):
        level.price = DepthDiffStreamEvent_asks_price(frame, i)
        level.qty = DepthDiffStreamEvent_asks_qty(frame, i)
        level += 1


cdef sbe_book_code apply_frame(
    sbe_book* book, const DepthDiffStreamEventFrame* frame
) noexcept nogil:
    """Applies a diff of this symbol."""
    cdef int64_t first = DepthDiffStreamEvent_first_book_update_id(frame)
    cdef int64_t last = DepthDiffStreamEvent_last_book_update_id(frame)
    cdef int64_t event_time = DepthDiffStreamEvent_event_time(frame)
    cdef sbe_book_code code = begin(
        book, first, last, event_time, frame.bids.count, frame.asks.count
    )
    if code != BOOK_APPLIED:
        return code
    copy_levels(frame, book.touched)
    return finish(
        book, first, last, event_time, DepthDiffStreamEvent_price_exponent(frame),
        DepthDiffStreamEvent_qty_exponent(frame),
    )


cdef sbe_book_code begin(
    sbe_book* book, int64_t first, int64_t last, int64_t event_time, size_t bids, size_t asks
) noexcept nogil:
    """Whether an event is the next: there is room in `touched` for its levels then."""
    if book.state != BOOK_LIVE:
        return BOOK_WAITS
    if first > last:
        book.fault.first, book.fault.last = first, last
        return fail(book, BOOK_BAD_IDS)
    if last <= book.update_id:
        if last < book.update_id and 0 < book.event_time < event_time:
            book.fault.first, book.fault.last = first, last
            book.fault.before = book.update_id
            return fail(book, BOOK_ANEW)
        book.ignored += 1
        return BOOK_OLD
    if first > book.update_id + 1:
        book.fault.first, book.fault.last = first, last
        book.fault.before = book.update_id
        return fail(book, BOOK_GAP)
    return BOOK_APPLIED if make_touched(book, bids, asks) else fail(book, BOOK_NO_MEMORY)


cdef sbe_book_code finish(
    sbe_book* book, int64_t first, int64_t last, int64_t event_time, int price_exponent,
    int qty_exponent
) noexcept nogil:
    """Sets the levels that are in `touched`, all of them or none, and checks the book."""
    cdef size_t i
    cdef sbe_level* level = book.touched
    cdef sbe_book_code code = normalise(book, price_exponent, qty_exponent)
    if code != BOOK_APPLIED:
        return fail(book, code)
    # Nothing below can fail: an event is in the book as a whole, or not at all.
    if not (make_room(&book.bids, book.touched_bids) and make_room(&book.asks, book.touched_asks)):
        return fail(book, BOOK_NO_MEMORY)
    for i in range(book.touched_bids):
        book.absent += not set_level(&book.bids, level.price, level.qty)
        level += 1
    for i in range(book.touched_asks):
        book.absent += not set_level(&book.asks, level.price, level.qty)
        level += 1
    book.overlaps += first <= book.update_id
    book.last_first = first
    book.update_id = last
    book.event_time = event_time
    book.applied += 1
    prune_book(book)
    if is_crossed(book):
        return fail(book, BOOK_CROSSED)
    return BOOK_APPLIED


cdef inline void prune_book(sbe_book* book) noexcept nogil:
    cdef size_t before = book.bids.live + book.asks.live
    cdef size_t most = <size_t>(book.max_levels + book.max_levels // 4)
    if book.bids.live > most:
        prune(&book.bids, book.max_levels)
    if book.asks.live > most:
        prune(&book.asks, book.max_levels)
    book.pruned += before - book.bids.live - book.asks.live


cdef inline bint is_crossed(sbe_book* book) noexcept nogil:
    if book.bids.count == 0 or book.asks.count == 0:
        return False
    book.fault.before, book.fault.price = book.update_id, book.price_exponent
    book.fault.first = book.bids.levels[book.bids.count - 1].price
    book.fault.last = -book.asks.levels[book.asks.count - 1].price
    return book.fault.first >= book.fault.last


cdef sbe_book_code normalise(
    sbe_book* book, int price_exponent, int qty_exponent
) noexcept nogil:
    """Checks the levels in `touched`, and makes them what they are to be in the sides."""
    cdef size_t i, count = book.touched_bids + book.touched_asks
    cdef sbe_level level
    for i in range(count):
        level = book.touched[i]
        if level.price <= 0 or level.qty < 0:
            book.fault.price, book.fault.qty = level.price, level.qty
            book.fault.is_bid = i < book.touched_bids
            return BOOK_BAD_PRICE if level.price <= 0 else BOOK_BAD_QTY
    if price_exponent != book.price_exponent or qty_exponent != book.qty_exponent:
        if not rescale(book, price_exponent, qty_exponent):
            return BOOK_OVERFLOW
    for i in range(book.touched_bids, count):
        book.touched[i].price = -book.touched[i].price
    return BOOK_APPLIED


cdef bint rescale(sbe_book* book, int price_exponent, int qty_exponent) noexcept nogil:
    """Brings `touched` to the book's exponents, or the book to those where it can't say them.

    False, and nothing is changed in the book, where that is beyond 64 bits.
    """
    cdef size_t i, count = book.touched_bids + book.touched_asks
    cdef int price_up = price_exponent - book.price_exponent
    cdef int qty_up = qty_exponent - book.qty_exponent
    cdef int prices = 0, quantities = 0         # powers of ten that the book is multiplied by
    cdef sbe_level level
    if is_blank(&book.bids) and is_blank(&book.asks):
        book.price_exponent, book.qty_exponent = price_exponent, qty_exponent
        return True
    for i in range(count):
        level = book.touched[i]
        if price_up < 0 and not divided(&level.price, -price_up):
            prices = -price_up
        if qty_up < 0 and not divided(&level.qty, -qty_up):
            quantities = -qty_up
    if not can_widen(book, prices, quantities):
        return False
    price_up += prices
    qty_up += quantities
    for i in range(count):
        level = book.touched[i]
        if not (shifted(&level.price, price_up) and shifted(&level.qty, qty_up)):
            return False
        book.touched[i] = level
    widen(book, prices, quantities)
    return True


cdef bint can_widen(sbe_book* book, int prices, int quantities) noexcept nogil:
    """Whether the book has room for so many more digits."""
    if prices == 0 and quantities == 0:
        return True
    if prices > 18 or quantities > 18:
        return False
    compact(&book.bids)
    compact(&book.asks)
    return (
        fits(&book.bids, TEN[prices], TEN[quantities])
        and fits(&book.asks, TEN[prices], TEN[quantities])
    )


cdef void widen(sbe_book* book, int prices, int quantities) noexcept nogil:
    """Gives the book so many more digits, for which it has room."""
    if prices or quantities:
        scale(&book.bids, TEN[prices], TEN[quantities])
        scale(&book.asks, TEN[prices], TEN[quantities])
        book.price_exponent -= prices
        book.qty_exponent -= quantities


cdef inline bint is_blank(const sbe_side* side) noexcept nogil:
    return side.live == 0 and side.edge == INT64_MIN


# snapshots


cdef const char* rebuild(sbe_book* book, int64_t limit) noexcept nogil:
    """Puts the levels in `touched`, the best first, in the place of the book's.

    A side with fewer than ``limit`` has all there are. Else what is wrong, or NULL.
    """
    cdef size_t i, bids = book.touched_bids, asks = book.touched_asks
    cdef const sbe_level* levels = book.touched
    for i in range(bids + asks):
        if levels[i].price <= 0:
            return b"a price is not above 0"
        if levels[i].qty <= 0:
            return b"a quantity is not above 0"
        if 0 < i < bids and levels[i].price >= levels[i - 1].price:
            return b"the bids are not in order"
        if i > bids and levels[i].price <= levels[i - 1].price:
            return b"the asks are not in order"
    if bids and asks and levels[0].price >= levels[bids].price:
        return b"the best bid is not below the best ask"
    # Where this fails both sides are as they were: no level is written before both have room.
    if not (make_room(&book.bids, bids) and make_room(&book.asks, asks)):
        return b"there is no memory left"
    for i in range(bids):
        book.bids.levels[bids - 1 - i] = levels[i]
    for i in range(asks):
        book.asks.levels[asks - 1 - i].price = -levels[bids + i].price
        book.asks.levels[asks - 1 - i].qty = levels[bids + i].qty
    book.bids.count = book.bids.live = bids
    book.asks.count = book.asks.live = asks
    book.bids.edge = edge_of(&book.bids, limit)
    book.asks.edge = edge_of(&book.asks, limit)
    book.touched_bids = book.touched_asks = 0
    return NULL


cdef inline int64_t edge_of(const sbe_side* side, int64_t limit) noexcept nogil:
    return INT64_MIN if <int64_t>side.count < limit or not side.count else side.levels[0].price


# comparison with depth20


cdef bint compare_frame(
    sbe_book* book, const DepthSnapshotStreamEventFrame* frame, sbe_comparison* result
) noexcept nogil:
    """Compares the book with depth20 of the same moment; False where they can't be compared.

    Where depth20 is from amid the diff that was applied last, what that diff touched is left out.
    """
    cdef int64_t update_id = DepthSnapshotStreamEvent_book_update_id(frame)
    cdef bint amid = book.last_first <= update_id < book.update_id
    if book.state != BOOK_LIVE or not (amid or update_id == book.update_id):
        return False
    if not refine(
        book, book.price_exponent - DepthSnapshotStreamEvent_price_exponent(frame),
        book.qty_exponent - DepthSnapshotStreamEvent_qty_exponent(frame),
    ):
        return False
    result.levels = result.agreed = 0
    return (
        compare_side(book, frame, True, amid, result)
        and compare_side(book, frame, False, amid, result)
    )


cdef bint refine(sbe_book* book, int prices, int quantities) noexcept nogil:
    """Gives the book so many more digits, where that is more than none; False where it can't."""
    cdef size_t i
    prices, quantities = max(prices, 0), max(quantities, 0)
    if not can_widen(book, prices, quantities):
        return False
    widen(book, prices, quantities)
    for i in range(book.touched_bids + book.touched_asks if prices else 0):
        if not multiplied(&book.touched[i].price, prices):
            book.touched[i].price = 0           # of a level that is not there any more
    return True


cdef bint compare_side(
    const sbe_book* book, const DepthSnapshotStreamEventFrame* frame, bint is_bid, bint amid,
    sbe_comparison* result
) noexcept nogil:
    """Counts what agrees on one side; False where a figure is beyond 64 bits."""
    cdef const sbe_side* side = &book.bids if is_bid else &book.asks
    cdef size_t i, at = side.count, count = frame.bids.count if is_bid else frame.asks.count
    cdef int price_up, qty_up
    cdef sbe_level other
    price_up = DepthSnapshotStreamEvent_price_exponent(frame) - book.price_exponent
    qty_up = DepthSnapshotStreamEvent_qty_exponent(frame) - book.qty_exponent
    for i in range(count + 1):
        if i < count and is_bid:
            other.price = DepthSnapshotStreamEvent_bids_price(frame, i)
            other.qty = DepthSnapshotStreamEvent_bids_qty(frame, i)
        elif i < count:
            other.price = -DepthSnapshotStreamEvent_asks_price(frame, i)
            other.qty = DepthSnapshotStreamEvent_asks_qty(frame, i)
        elif count >= DEPTH:
            break
        else:                                   # depth20 has fewer: there are no others
            other.price, other.qty = INT64_MIN, 0
        if i < count and not (
            multiplied(&other.price, price_up) and multiplied(&other.qty, qty_up)
        ):
            return False
        while at > 0 and side.levels[at - 1].price > other.price:
            at -= 1                             # a level that depth20 does not have
            if side.levels[at].qty and not (
                amid and is_touched(book, is_bid, side.levels[at].price)
            ):
                result.levels += 1
        if i == count or (amid and is_touched(book, is_bid, other.price)):
            continue
        if at > 0 and side.levels[at - 1].price == other.price and side.levels[at - 1].qty:
            at -= 1
            result.levels += 1
            result.agreed += side.levels[at].qty == other.qty
        elif other.price >= side.edge:
            result.levels += 1                  # a level that the book does not have
    return True


cdef bint is_touched(const sbe_book* book, bint is_bid, int64_t price) noexcept nogil:
    cdef size_t i
    cdef size_t begin = 0 if is_bid else book.touched_bids
    for i in range(begin, book.touched_bids if is_bid else begin + book.touched_asks):
        if book.touched[i].price == price:
            return True
    return False
