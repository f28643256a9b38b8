"""A local order book: snapshot, then diffs, each of which is checked. No I/O and no clock.

How a book is kept is Binance's own procedure: a diff whose last id is not above the book's is old,
one whose first id is more than one above it shows a loss, any other sets its levels absolutely.
"""

from libc.stdint cimport INT64_MIN, int64_t
from libc.string cimport memcpy

from ..spot_stream cimport DepthDiffStreamEvent, DepthSnapshotStreamEvent
from .book_core cimport (
    BOOK_ANEW, BOOK_APPLIED, BOOK_GAP, BOOK_LIVE, BOOK_MARKED, BOOK_SYNCING, BOOK_WAITS,
    apply_frame, begin, compare_frame, fail, finish, forget_touched, free_book,
    make_touched, sbe_book_code, sbe_comparison,
)
from .level_arrays cimport levels_of
from .levels cimport sbe_level, sbe_side
from .reasons cimport reason_of
from .snapshots cimport fill_core
from .storage cimport adopt_core, content_of, restore_core
from .waiting_diffs cimport WaitingDiffs, replay

from collections import deque, namedtuple

import numpy as np

from sbe_codegen.runtime.tables.results import Batch

from ..errors import BookError
from .level_arrays import Level

STATES = ("syncing", "live", "stale")
Comparison = namedtuple("Comparison", ("levels", "agreed"))

cdef inline bint is_kept(sbe_book_code code) noexcept:
    """Whether an event is to wait for the next snapshot."""
    return code == BOOK_WAITS or code == BOOK_GAP or code == BOOK_ANEW


cdef class Book:
    """Book(symbol, *, on_error="raise", max_levels=10_000, max_buffer=10_000)\n--\n
    What keeps the levels of an `OrderBook`, and the state that it is in.
    """

    def __cinit__(self, *args, **options):
        self.core.bids.edge = self.core.asks.edge = INT64_MIN
        self.core.update_id = -1

    def __init__(self, str symbol not None, *, str on_error="raise", int64_t max_levels=10_000,
                 int64_t max_buffer=10_000):
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
        self.waiting = WaitingDiffs(max_buffer)

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
        return reason_of(&self.core, self.marked)

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
    def max_buffer(self):
        return self.waiting.most

    @property
    def not_buffered(self):
        """Diffs that were dropped while none led from a snapshot."""
        return self.waiting.left_out

    @property
    def buffered(self):
        """The diffs that wait for a snapshot."""
        return len(self.waiting.diffs)

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
        """The ``n`` best bids, or all: `Levels`, highest first. ValueError for ``n`` below 0."""
        return levels_of(&self.core, &self.core.bids, n, 1)

    def asks(self, n=None):
        """The ``n`` best asks, or all: `Levels`, lowest first. ValueError for ``n`` below 0."""
        return levels_of(&self.core, &self.core.asks, n, -1)

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
        # Borrowed until it is applied: its levels are copied, and no Python code runs before.
        code = apply_frame(&self.core, &event.frame)
        if code == BOOK_APPLIED:
            return True
        if is_kept(code):
            self.core.ignored += not self.waiting.add_event(event)
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
            # From here to `finish` no Python code runs: `touched` is this event's alone.
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
                self.core.ignored += not self.waiting.add(
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
        after = [held for held in self.waiting.diffs if held[1] > update_id]
        if after and after[0][0] > update_id + 1:
            return self.refused(
                f"the snapshot {update_id} is older than the diffs that wait, which begin at "
                f"{after[0][0]}: fetch another"
            )
        problem = fill_core(&self.core, response, limit or 0)
        if problem:
            return self.refused(f"the snapshot {update_id}: {problem}")
        self.core.update_id = update_id
        self.core.event_time = 0        # a snapshot has none: the next diff is not compared with it
        old_times = [held[2] for held in self.waiting.diffs if held[1] <= update_id]
        self.near_time = max(old_times, default=0)
        forget_touched(&self.core)
        self.core.state = BOOK_LIVE
        self.snapshots += 1
        self.marked = None
        self.waiting.diffs.clear()
        for i, held in enumerate(after):
            code = replay(&self.core, held)
            if code > BOOK_WAITS:       # a check failed: what waits has no gaps
                self.waiting.diffs.extend(after[i + 1:])
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
        problem = fill_core(&self.core, event, 0)
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

    # copies

    def __reduce__(self):
        return restored, (type(self), self.options(), self.content())

    def options(self):
        """What the book was made with, by the names of the arguments."""
        return {
            "symbol": self.symbol, "on_error": self.on_error, "max_levels": self.max_levels,
            "max_buffer": self.max_buffer,
        }

    def content(self):
        """All that is in the book, as plain objects, for `restore`."""
        own = (
            self.snapshots, self.waiting.left_out, self.marked, list(self.waiting.diffs),
        )
        return content_of(&self.core), own

    def restore(self, content):
        """Makes the book what `content` gave. ValueError for what can't be that."""
        core, own = content
        restore_core(&self.core, core)
        self.snapshots, self.waiting.left_out, self.marked, diffs = own
        self.waiting.diffs = deque(diffs)

    def adopt(self, Book other not None):
        """Takes the levels, the id and the state of another book; counters stay."""
        if other.symbol != self.symbol:
            raise ValueError(f"a book of {other.symbol}, and this one is of {self.symbol}")
        adopt_core(&self.core, &other.core)
        self.marked = other.marked
        self.waiting.diffs = other.waiting.diffs.copy()

    def copy(self):
        """A book of its own with the same content."""
        return restored(type(self), self.options(), self.content())


cdef inline const sbe_level* best_of(const sbe_side* side) noexcept:
    return &side.levels[side.count - 1] if side.count else NULL


cdef pairs(records):
    """Records of two int64 as an array of two columns."""
    return records.view(np.int64).reshape(len(records), 2)


def restored(kind, options, content):
    """A book as `Book.__reduce__` has stored it."""
    book = kind(**options)
    book.restore(content)
    return book
