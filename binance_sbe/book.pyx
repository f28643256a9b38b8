"""A local order book: snapshot, then diffs, each of which is checked. No I/O and no clock.

How a book is kept is Binance's own procedure: a diff whose last id is not above the book's is old, one
whose first id is more than one above it shows a loss, any other sets its levels absolutely.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MIN, int64_t
from libc.string cimport memcpy

from .book_core cimport (
    BOOK_ANEW, BOOK_APPLIED, BOOK_BAD_IDS, BOOK_BAD_PRICE, BOOK_BAD_QTY, BOOK_CROSSED, BOOK_GAP,
    BOOK_LIVE, BOOK_MARKED, BOOK_NO_MEMORY, BOOK_OVERFLOW, BOOK_SYNCING, BOOK_WAITS, apply_frame,
    begin, compare_frame, copy_levels, fail, finish, forget_touched, free_book, make_touched,
    rebuild, sbe_book_code, sbe_book_fault, sbe_book_state, sbe_comparison,
)
from .levels cimport compact, make_room, sbe_level, sbe_side
from .spot_stream cimport (
    DepthDiffStreamEvent, DepthDiffStreamEvent_event_time,
    DepthDiffStreamEvent_first_book_update_id, DepthDiffStreamEvent_last_book_update_id,
    DepthDiffStreamEvent_price_exponent, DepthDiffStreamEvent_qty_exponent,
    DepthSnapshotStreamEvent,
)

from collections import deque, namedtuple

import numpy as np

from sbe_codegen.runtime.results import Batch

from .errors import BookError

STATES = ("syncing", "live", "stale")
LEVEL = np.dtype([("price", "<i8"), ("qty", "<i8")])
Level = namedtuple("Level", ("price", "qty"))
Comparison = namedtuple("Comparison", ("levels", "agreed"))

cdef dict FAILURES = {
    BOOK_OVERFLOW: "a price or a quantity is beyond 64 bits at the exponents that others need",
    BOOK_NO_MEMORY: "there is no memory left",
}


class Levels(np.ndarray):
    """Levels, the best first: a structured array of ``price`` and ``qty``, a copy.

    Of its rows the first ``proven`` are known to be the book's, with none missing between. The
    figures are mantissas of ``price_exponent`` and ``qty_exponent`` where the dtype is integer.
    What is made of such an array by slicing has None for these.
    """

    proven = price_exponent = qty_exponent = None

    def __getitem__(self, key):
        """A column is a plain array."""
        return np.asarray(self)[key] if isinstance(key, str) else super().__getitem__(key)


cdef inline bint is_kept(sbe_book_code code) noexcept:
    """Whether an event is to wait for the next snapshot."""
    return code == BOOK_WAITS or code == BOOK_GAP or code == BOOK_ANEW


cdef class Book:
    def __cinit__(self, *args, **options):
        self.core.bids.edge = self.core.asks.edge = INT64_MIN
        self.core.update_id = -1

    def __init__(
        self, str symbol not None, *, str on_error="raise", int64_t max_levels=10_000,
        int64_t max_buffer=10_000
    ):
        if not symbol:
            raise ValueError("a book has a symbol, such as btcusdt")
        if on_error not in ("raise", "mark"):
            raise ValueError(f"on_error is 'raise' or 'mark', not {on_error!r}")
        if not 1 <= max_levels < 2**40:
            raise ValueError(f"max_levels is at least 1, not {max_levels}")
        if max_buffer < 1:
            raise ValueError(f"max_buffer is at least 1 diff, not {max_buffer}")
        self.symbol = symbol.upper()
        self.on_error = on_error
        self.core.max_levels = max_levels
        self.max_buffer = max_buffer
        self.buffer = deque()

    def __dealloc__(self):
        free_book(&self.core)

    def __repr__(self):
        levels = f"{self.core.bids.live} bids, {self.core.asks.live} asks"
        return f"<{type(self).__name__} {self.symbol}, {self.state}, id {self.update_id}, {levels}>"

    # what is known

    @property
    def state(self):
        """"syncing", "live" or "stale"."""
        return STATES[self.core.state]

    @property
    def reason(self):
        """Why the book is not live, or None."""
        if self.core.state == BOOK_LIVE:
            return None
        if self.core.state == BOOK_SYNCING:
            return self.marked or "there is no snapshot yet"
        return self.told()

    @property
    def update_id(self):
        """The last update that is in the book; -1 before there is any."""
        return self.core.update_id

    @property
    def event_time(self):
        """When the exchange sent the last event that is in the book, us since 1970.

        A snapshot has no time: until the next diff it is that of the latest event that the snapshot
        is known to have in it; None where none had come.
        """
        return self.core.event_time or self.near_time or None

    @property
    def price_exponent(self):
        return self.core.price_exponent

    @property
    def qty_exponent(self):
        return self.core.qty_exponent

    @property
    def max_levels(self):
        return self.core.max_levels

    @property
    def applied(self):
        return self.core.applied

    @property
    def ignored(self):
        return self.core.ignored

    @property
    def overlaps(self):
        return self.core.overlaps

    @property
    def absent(self):
        return self.core.absent

    @property
    def pruned(self):
        return self.core.pruned

    @property
    def buffered(self):
        """The diffs that wait for a snapshot."""
        return len(self.buffer)

    @property
    def best_bid(self):
        """The highest bid, a Level of price and qty (mantissas), or None."""
        cdef const sbe_level* best = best_of(&self.core.bids)
        return None if best == NULL else Level(best.price, best.qty)

    @property
    def best_ask(self):
        """The lowest ask, a Level of price and qty (mantissas), or None."""
        cdef const sbe_level* best = best_of(&self.core.asks)
        return None if best == NULL else Level(-best.price, best.qty)

    @property
    def bids_known_to(self):
        """The price (a mantissa) down to which all bids are known; None: all there are."""
        return None if self.core.bids.edge == INT64_MIN else self.core.bids.edge

    @property
    def asks_known_to(self):
        """The price (a mantissa) up to which all asks are known; None: all there are."""
        return None if self.core.asks.edge == INT64_MIN else -self.core.asks.edge

    def bids(self, n=None):
        """The ``n`` best bids, or all: `Levels`, the highest first. ValueError for ``n`` below 0."""
        return self.levels(&self.core.bids, n, 1)

    def asks(self, n=None):
        """The ``n`` best asks, or all: `Levels`, the lowest first. ValueError for ``n`` below 0."""
        return self.levels(&self.core.asks, n, -1)

    cdef levels(self, const sbe_side* side, n, int64_t sign):
        cdef size_t i = 0, count = side.live, proven = 0
        cdef const sbe_level* level = side.levels + side.count
        cdef int64_t[:, ::1] rows
        if n is not None:
            if n < 0:
                raise ValueError(f"n is a number of levels, not {n}")
            count = min(n, side.live)
        found = np.empty(count, LEVEL).view(Levels)
        if count:
            rows = found.view(np.ndarray).view(np.int64).reshape(count, 2)
            while i < count:
                level -= 1
                if level.qty:
                    rows[i, 0] = sign * level.price
                    rows[i, 1] = level.qty
                    proven += level.price >= side.edge
                    i += 1
        found.proven = proven
        found.price_exponent, found.qty_exponent = self.price_exponent, self.qty_exponent
        return found

    # diffs

    def apply(self, DepthDiffStreamEvent event not None):
        """Applies a diff; True where the book is at its last id now.

        False where it was old, where it waits for a snapshot, or where, with ``on_error="mark"``, a
        check failed; else that is BookError, and the state "stale". ValueError for an event of
        another symbol. The event is not kept.
        """
        cdef sbe_book_code code
        if event.symbol != self.symbol:
            raise ValueError(f"an event of {event.symbol}, and the book is of {self.symbol}")
        code = apply_frame(&self.core, &event.frame)
        if code == BOOK_APPLIED:
            return True
        if is_kept(code):
            self.hold_event(event)
        return self.took(code)

    def apply_many(self, batch):
        """Applies all diffs of this symbol in a `Batch`, in order; returns how many were applied.

        Those of other symbols are left out. Errors as for `apply`.
        """
        cdef sbe_book_code code
        if not isinstance(batch, Batch):
            raise TypeError(f"apply_many takes a Batch, not {type(batch).__name__}")
        table = batch[DepthDiffStreamEvent]
        if self.symbol not in table.symbols:
            return 0
        records = table.records
        bids, asks = table.groups["bids"], table.groups["asks"]
        cdef const int64_t[:] firsts = records["first_book_update_id"]
        cdef const int64_t[:] lasts = records["last_book_update_id"]
        cdef const int64_t[:] times = records["event_time"]
        cdef const signed char[:] price_exponents = records["price_exponent"]
        cdef const signed char[:] qty_exponents = records["qty_exponent"]
        cdef const int64_t[::1] bid_ends = bids.offsets, ask_ends = asks.offsets
        cdef const int64_t[:, ::1] bid_levels = pairs(bids.records)
        cdef const int64_t[:, ::1] ask_levels = pairs(asks.records)
        cdef Py_ssize_t i, bid_count, ask_count, done = 0
        cdef bint has_failed = False
        for i in np.flatnonzero(records["symbol"] == table.symbols.index(self.symbol)).tolist():
            bid_count, ask_count = bid_ends[i + 1] - bid_ends[i], ask_ends[i + 1] - ask_ends[i]
            code = begin(&self.core, firsts[i], lasts[i], times[i], bid_count, ask_count)
            if code == BOOK_APPLIED:
                if bid_count:
                    memcpy(
                        self.core.touched, &bid_levels[bid_ends[i], 0],
                        bid_count * sizeof(sbe_level),
                    )
                if ask_count:
                    memcpy(
                        self.core.touched + bid_count, &ask_levels[ask_ends[i], 0],
                        ask_count * sizeof(sbe_level),
                    )
                code = finish(
                    &self.core, firsts[i], lasts[i], times[i], price_exponents[i], qty_exponents[i]
                )
            if is_kept(code):
                self.hold(
                    firsts[i], lasts[i], times[i], price_exponents[i], qty_exponents[i],
                    bids[i].tobytes(), asks[i].tobytes(),
                )
            done += code == BOOK_APPLIED
            has_failed = has_failed or code > BOOK_WAITS
        if has_failed and self.on_error == "raise":     # the rows after it wait, with others
            raise BookError(self.symbol, self.reason)
        return done

    cdef bint took(self, sbe_book_code code) except -1:
        """What `apply` gives for a code."""
        if code > BOOK_WAITS and self.on_error == "raise":
            raise BookError(self.symbol, self.reason)
        return code == BOOK_APPLIED

    def mark(self, str reason not None):
        """Makes the book stale, for a reason that it can't know itself. It keeps its levels."""
        self.marked = reason
        fail(&self.core, BOOK_MARKED)

    cdef str told(self):
        """The failure in words."""
        cdef sbe_book_fault* fault = &self.core.fault
        cdef sbe_book_code failure = self.core.failure
        side = "a bid" if fault.is_bid else "an ask"
        if failure == BOOK_GAP:
            missing = f"{fault.before + 1} to {fault.first - 1}"
            return f"updates {missing} are missing before the diff {fault.first} to {fault.last}"
        if failure == BOOK_ANEW:
            return (
                f"the ids went back from {fault.before} to {fault.last}, at a later time: the "
                "exchange counts anew"
            )
        if failure == BOOK_CROSSED:
            return (
                f"crossed at id {fault.before}: the best bid is {fault.first}, the best ask "
                f"{fault.last} (x 10^{fault.price})"
            )
        if failure == BOOK_BAD_QTY:
            return f"{side} at {fault.price} has the quantity {fault.qty}"
        if failure == BOOK_BAD_PRICE:
            return f"{side} has the price {fault.price}"
        if failure == BOOK_BAD_IDS:
            return f"a diff has the ids {fault.first} to {fault.last}"
        return FAILURES.get(failure, self.marked)

    # what waits for a snapshot

    cdef hold_event(self, DepthDiffStreamEvent event):
        cdef size_t bids = event.frame.bids.count, asks = event.frame.asks.count
        cdef bytes levels = PyBytes_FromStringAndSize(NULL, (bids + asks) * sizeof(sbe_level))
        copy_levels(&event.frame, <sbe_level*>PyBytes_AS_STRING(levels))
        self.hold(
            DepthDiffStreamEvent_first_book_update_id(&event.frame),
            DepthDiffStreamEvent_last_book_update_id(&event.frame),
            DepthDiffStreamEvent_event_time(&event.frame),
            DepthDiffStreamEvent_price_exponent(&event.frame),
            DepthDiffStreamEvent_qty_exponent(&event.frame),
            levels[:bids * sizeof(sbe_level)], levels[bids * sizeof(sbe_level):len(levels)],
        )

    cdef hold(
        self, int64_t first, int64_t last, int64_t event_time, int price_exponent,
        int qty_exponent, bytes bids, bytes asks
    ):
        buffer = self.buffer
        if buffer:
            before, before_time = buffer[len(buffer) - 1][1:3]
            goes_back = last < before and event_time > before_time
            if last <= before and not goes_back:
                self.core.ignored += 1
                return
            if first > before + 1 or goes_back:     # no snapshot leads from there to this one
                self.not_buffered += len(buffer)
                buffer.clear()
        if len(buffer) >= self.max_buffer:
            self.not_buffered += 1
            buffer.popleft()
        buffer.append((first, last, event_time, price_exponent, qty_exponent, bids, asks))

    cdef sbe_book_code replay(self, tuple held) except *:
        """Applies a diff that waited."""
        cdef bytes bids, asks
        cdef sbe_book_code code
        first, last, event_time, price_exponent, qty_exponent, bids, asks = held
        cdef size_t count = len(bids) // sizeof(sbe_level)
        code = begin(
            &self.core, first, last, event_time, count, len(asks) // sizeof(sbe_level)
        )
        if code != BOOK_APPLIED:
            return code
        if bids:
            memcpy(self.core.touched, PyBytes_AS_STRING(bids), len(bids))
        if asks:
            memcpy(self.core.touched + count, PyBytes_AS_STRING(asks), len(asks))
        return finish(&self.core, first, last, event_time, price_exponent, qty_exponent)

    # snapshots

    def apply_snapshot(self, response not None, limit=None):
        """Begins anew from a snapshot, applies the diffs that waited, and is live: True.

        ``response`` is a `spot_sbe.DepthResponse`. ``limit`` is the number of levels that was asked
        for: a side with fewer has them all, and is proven without end.

        A snapshot that is older than what the book needs is BookError (or False, with
        ``on_error="mark"``), and everything stays as it was: fetch another. So is one whose levels
        are not in order, not above 0, or crossed.
        """
        if not hasattr(response, "last_update_id"):
            raise TypeError(
                f"a snapshot is a DepthResponse, not {type(response).__name__}; depth20 is for "
                "show and compare"
            )
        cdef int64_t update_id = response.last_update_id
        if limit is not None and limit < 1:
            raise ValueError(f"limit is at least 1 level, not {limit}")
        if self.core.state == BOOK_LIVE and update_id < self.core.update_id:
            return self.refused(
                f"the snapshot {update_id} is older than the book, {self.core.update_id}, which "
                "stays as it is: fetch another"
            )
        after = [held for held in self.buffer if held[1] > update_id]
        if after and after[0][0] > update_id + 1:
            return self.refused(
                f"the snapshot {update_id} is older than the diffs that wait, which begin at "
                f"{after[0][0]}: fetch another"
            )
        problem = self.fill(response, limit or 0)
        if problem:
            return self.refused(f"the snapshot {update_id}: {problem}")
        self.core.update_id = update_id
        self.core.event_time = 0        # a snapshot has none: the next diff is not compared with it
        self.near_time = max([held[2] for held in self.buffer if held[1] <= update_id], default=0)
        forget_touched(&self.core)
        self.core.state = BOOK_LIVE
        self.snapshots += 1
        self.marked = None
        self.buffer.clear()
        for i, held in enumerate(after):
            code = self.replay(held)
            if code > BOOK_WAITS:       # a check failed: what waits has no gaps
                self.buffer.extend(after[i + 1:])
                break
        if self.core.state != BOOK_LIVE:
            self.took(self.core.failure)
        return self.core.state == BOOK_LIVE

    def show(self, DepthSnapshotStreamEvent event not None):
        """Shows the levels of a depth20 event while there is no snapshot: the state stays.

        True where they are shown: not in a book that is live. Errors as for `apply_snapshot`.
        """
        if event.symbol != self.symbol:
            raise ValueError(f"an event of {event.symbol}, and the book is of {self.symbol}")
        if self.core.state == BOOK_LIVE:
            return False
        problem = self.fill(event, 0)
        if problem:
            return self.refused(f"depth20 {event.book_update_id}: {problem}")
        self.core.update_id = event.book_update_id
        self.core.event_time = event.event_time
        return True

    def compare(self, DepthSnapshotStreamEvent event not None):
        """Compares the book with depth20: (levels, agreed), of the levels that can be compared.

        None where the book is not live, or not at the time of the event: it has to be at its update
        id, or at the end of the diff that this is amid; what that diff touched is left out then.
        """
        cdef sbe_comparison result
        if event.symbol != self.symbol:
            raise ValueError(f"an event of {event.symbol}, and the book is of {self.symbol}")
        if not compare_frame(&self.core, &event.frame, &result):
            return None
        return Comparison(result.levels, result.agreed)

    cdef refused(self, str problem):
        if self.on_error == "raise":
            raise BookError(self.symbol, problem)
        if self.core.state == BOOK_SYNCING:
            self.marked = problem
        return False

    cdef str fill(self, given, int64_t limit):
        """Makes the book that of a snapshot; or says what is wrong with it."""
        cdef const char* problem
        bid_levels, ask_levels = given.bids, given.asks         # over a frame: not aligned
        cdef const int64_t[:] bid_prices = np.array(bid_levels["price"])
        cdef const int64_t[:] bid_qtys = np.array(bid_levels["qty"])
        cdef const int64_t[:] ask_prices = np.array(ask_levels["price"])
        cdef const int64_t[:] ask_qtys = np.array(ask_levels["qty"])
        cdef int price_exponent = given.price_exponent, qty_exponent = given.qty_exponent
        cdef Py_ssize_t i, bids = bid_prices.shape[0], asks = ask_prices.shape[0]
        if bid_qtys.shape[0] != bids or ask_qtys.shape[0] != asks:
            raise ValueError("a snapshot has as many prices as quantities")
        forget_touched(&self.core)
        if not make_touched(&self.core, bids, asks):
            raise MemoryError()
        for i in range(bids):
            self.core.touched[i] = sbe_level(bid_prices[i], bid_qtys[i])
        for i in range(asks):
            self.core.touched[bids + i] = sbe_level(ask_prices[i], ask_qtys[i])
        problem = rebuild(&self.core, limit)
        forget_touched(&self.core)
        if problem != NULL:
            return problem.decode()
        self.core.price_exponent, self.core.qty_exponent = price_exponent, qty_exponent
        return None

    # copies

    def __reduce__(self):
        return restored, (type(self), self.options(), self.content())

    def options(self):
        return {
            "symbol": self.symbol, "on_error": self.on_error, "max_levels": self.max_levels,
            "max_buffer": self.max_buffer,
        }

    def content(self):
        cdef sbe_book* core = &self.core
        numbers = (
            core.price_exponent, core.qty_exponent, core.update_id, core.event_time, core.state,
            core.failure, core.fault.before, core.fault.first, core.fault.last, core.fault.price,
            core.fault.qty, core.fault.is_bid, core.last_first, core.applied, core.ignored, core.overlaps,
            core.absent, core.pruned, self.snapshots, self.not_buffered,
        )
        compact(&core.bids)
        compact(&core.asks)
        sides = [stored(&core.bids), stored(&core.asks)]
        touched = (<char*>core.touched)[:(core.touched_bids + core.touched_asks) * sizeof(sbe_level)]
        return numbers, sides, touched, core.touched_bids, self.marked, list(self.buffer)

    def restore(self, content):
        """Makes the book what `content` gave. ValueError for what can't be that."""
        cdef sbe_book* core = &self.core
        cdef int state, failure
        cdef bytes touched
        cdef Py_ssize_t bids
        numbers, sides, touched, bids, marked, buffer = content
        state, failure = numbers[4:6]
        known = 0 <= state < len(STATES) and 0 <= failure <= BOOK_MARKED
        if not known or len(touched) % sizeof(sbe_level) or not (
            0 <= bids <= <Py_ssize_t>(len(touched) // sizeof(sbe_level))
        ):
            raise ValueError("this is not the content of a book")
        load(&core.bids, sides[0])
        load(&core.asks, sides[1])
        if not make_touched(core, bids, len(touched) // sizeof(sbe_level) - bids):
            raise MemoryError()
        if touched:
            memcpy(core.touched, PyBytes_AS_STRING(touched), len(touched))
        (
            core.price_exponent, core.qty_exponent, core.update_id, core.event_time, _, _,
            core.fault.before, core.fault.first, core.fault.last, core.fault.price,
            core.fault.qty, core.fault.is_bid, core.last_first, core.applied, core.ignored,
            core.overlaps, core.absent, core.pruned, self.snapshots, self.not_buffered,
        ) = numbers
        core.state, core.failure = <sbe_book_state>state, <sbe_book_code>failure
        self.marked = marked
        self.buffer = deque(buffer)

    def adopt(self, Book other not None):
        """Takes the levels, the id and the state of another book; counters stay."""
        if other.symbol != self.symbol:
            raise ValueError(f"a book of {other.symbol}, and this one is of {self.symbol}")
        compact(&other.core.bids)
        compact(&other.core.asks)
        load(&self.core.bids, stored(&other.core.bids))
        load(&self.core.asks, stored(&other.core.asks))
        self.core.price_exponent = other.core.price_exponent
        self.core.qty_exponent = other.core.qty_exponent
        self.core.update_id = other.core.update_id
        self.core.event_time = other.core.event_time
        forget_touched(&self.core)
        self.core.state, self.core.failure = other.core.state, other.core.failure
        self.core.fault = other.core.fault
        self.marked = other.marked
        self.buffer = other.buffer.copy()

    def copy(self):
        """A book of its own with the same content."""
        return restored(type(self), self.options(), self.content())


cdef inline const sbe_level* best_of(const sbe_side* side) noexcept:
    return &side.levels[side.count - 1] if side.count else NULL


cdef pairs(records):
    """Records of two int64 as an array of two columns."""
    return records.view(np.int64).reshape(len(records), 2)


cdef tuple stored(const sbe_side* side):
    return side.edge, (<const char*>side.levels)[:side.count * sizeof(sbe_level)]


cdef int load(sbe_side* side, tuple content) except -1:
    cdef bytes levels
    cdef int64_t edge
    cdef const sbe_level* level
    cdef size_t i, count
    edge, levels = content
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


def restored(kind, options, content):
    """A book as `Book.__reduce__` has stored it."""
    book = kind(**options)
    book.restore(content)
    return book
