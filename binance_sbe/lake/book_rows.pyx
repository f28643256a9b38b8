"""The best levels of a kept book, sampled while the diffs of a tape are applied to it."""

cimport cython
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from ..books.book cimport Book
from ..books.book_core cimport (
    BOOK_APPLIED, BOOK_LIVE, BOOK_OLD, BOOK_WAITS, begin, finish, sbe_book, sbe_book_code,
)
from ..books.levels cimport sbe_side
from ..books.snapshots cimport fill_core

import numpy as np

cdef enum:
    UNKNOWN = 2                 # account.BOOK_IS_UNKNOWN
    NEVER = -2                  # no mantissa of a level that a sample has


cdef class Sampler:
    """A book, and samples of its ``levels`` best levels of each side.

    ``every`` is in microseconds: at most one sample is taken in each such stretch of the exchange's
    time, of the book at its end, and none where nothing has come. 0: a sample is taken whenever one
    of these levels has changed.
    """

    cdef Book book
    cdef readonly Py_ssize_t levels
    cdef readonly int64_t every
    cdef int64_t pending        # the end of the stretch that a sample is due for; 0: none is
    cdef int64_t arrived        # when the latest event that is in the book came, ns
    cdef object seen            # the levels of the last sample

    def __cinit__(self, str symbol, Py_ssize_t levels, int64_t every):
        self.book = Book(symbol, on_error="mark", max_levels=10_000)
        self.levels, self.every = levels, every
        self.seen = np.full((4, levels), -1, np.int64)

    @property
    def is_known(self):
        return self.book.core.state == BOOK_LIVE

    def start(self, given, int64_t update_id):
        """The book is that of a snapshot from here on: ``given`` has bids, asks and exponents.

        Returns what is wrong with it, or None.
        """
        cdef sbe_book* core = &self.book.core
        problem = fill_core(core, given, max(len(given.bids["price"]), len(given.asks["price"]), 1))
        if problem is None:
            core.update_id, core.event_time, core.state = update_id, 0, BOOK_LIVE
            core.last_first = update_id
        return problem

    @cython.boundscheck(False)
    @cython.wraparound(False)
    def run(
        self, const int64_t[::1] first, const int64_t[::1] last, const int64_t[::1] time,
        const int64_t[::1] arrival, const int8_t[::1] price_exponent,
        const int8_t[::1] qty_exponent, const int32_t[::1] bids, const int64_t[::1] bid_price,
        const int64_t[::1] bid_qty, const int32_t[::1] asks, const int64_t[::1] ask_price,
        const int64_t[::1] ask_qty, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t most,
    ):
        """Applies events from ``at`` on, up to ``stop``, until ``most`` samples were taken.

        Returns (the event to go on with, samples). A sample is a row of each of: time (us),
        arrival (ns), update id, flags, both exponents, and levels, of shape (n, 4, levels): bid
        prices, bid quantities, ask prices and ask quantities, mantissas, -1 where there is none.
        """
        cdef Py_ssize_t n = first.shape[0], i, k, count = 0
        if not (
            last.shape[0] == time.shape[0] == arrival.shape[0] == n
            and price_exponent.shape[0] == qty_exponent.shape[0] == n
        ):
            raise ValueError("columns are not of one length")
        if not 0 <= at <= stop <= n or bids.shape[0] != n + 1 or asks.shape[0] != n + 1:
            raise ValueError(f"events {at} to {stop} of {n}")
        for i in range(at, stop):
            if not (
                0 <= bids[i] <= bids[i + 1] <= bid_price.shape[0] == bid_qty.shape[0]
                and 0 <= asks[i] <= asks[i + 1] <= ask_price.shape[0] == ask_qty.shape[0]
            ):
                raise ValueError(f"the levels of event {i} are not there")
        made = {
            "time": np.empty(most, np.int64), "arrival": np.empty(most, np.int64),
            "update_id": np.empty(most, np.int64), "flags": np.empty(most, np.uint8),
            "price_exponent": np.empty(most, np.int8), "qty_exponent": np.empty(most, np.int8),
            "levels": np.empty((most, 4, self.levels), np.int64),
        }
        cdef int64_t[::1] times = made["time"], arrivals = made["arrival"]
        cdef int64_t[::1] ids = made["update_id"]
        cdef uint8_t[::1] flags = made["flags"]
        cdef int8_t[::1] prices = made["price_exponent"], quantities = made["qty_exponent"]
        cdef int64_t[:, :, ::1] levels = made["levels"]
        cdef int64_t[:, ::1] seen = self.seen
        cdef sbe_book* core = &self.book.core
        cdef sbe_book_code code
        cdef int64_t when
        cdef bint was_live
        with nogil:
            while at < stop and count + 2 <= most:
                if self.every and self.pending and time[at] >= self.pending:
                    times[count] = self.pending
                    self.pending = 0
                    arrivals[count] = self.arrived
                    take(core, self.levels, &ids[count], &flags[count], &prices[count],
                         &quantities[count], levels[count])
                    count += 1
                was_live = core.state == BOOK_LIVE
                code = begin(core, first[at], last[at], time[at], bids[at + 1] - bids[at],
                             asks[at + 1] - asks[at])
                if code == BOOK_APPLIED:
                    k = 0
                    for i in range(bids[at], bids[at + 1]):
                        core.touched[k].price, core.touched[k].qty = bid_price[i], bid_qty[i]
                        k += 1
                    for i in range(asks[at], asks[at + 1]):
                        core.touched[k].price, core.touched[k].qty = ask_price[i], ask_qty[i]
                        k += 1
                    code = finish(core, first[at], last[at], time[at], price_exponent[at],
                                  qty_exponent[at])
                when = time[at]
                if code == BOOK_APPLIED:
                    self.arrived = arrival[at]
                if code == BOOK_APPLIED and self.every:
                    if not self.pending:
                        self.pending = when - when % self.every + self.every
                elif code == BOOK_APPLIED or (was_live and core.state != BOOK_LIVE):
                    # a change, or the end of what is known
                    times[count], arrivals[count] = when, arrival[at]
                    take(core, self.levels, &ids[count], &flags[count], &prices[count],
                         &quantities[count], levels[count])
                    if core.state != BOOK_LIVE:
                        self.pending = 0
                        seen[0, 0] = NEVER  # so that it is told when the book is known again
                        count += 1
                    elif differs(seen, levels[count], self.levels):
                        count += 1
                at += 1
        return at, {name: values[:count] for name, values in made.items()}

    def rest(self):
        """The sample that is still due at the end, in the form of `run`; None where none is."""
        if not self.every or not self.pending or self.book.core.state != BOOK_LIVE:
            return None
        made = {
            "time": np.array([self.pending]), "arrival": np.array([self.arrived]),
            "update_id": np.empty(1, np.int64), "flags": np.empty(1, np.uint8),
            "price_exponent": np.empty(1, np.int8), "qty_exponent": np.empty(1, np.int8),
            "levels": np.empty((1, 4, self.levels), np.int64),
        }
        self.pending = 0
        cdef int64_t[::1] ids = made["update_id"]
        cdef uint8_t[::1] flags = made["flags"]
        cdef int8_t[::1] prices = made["price_exponent"], quantities = made["qty_exponent"]
        cdef int64_t[:, :, ::1] levels = made["levels"]
        take(&self.book.core, self.levels, &ids[0], &flags[0], &prices[0], &quantities[0],
             levels[0])
        return made


cdef void take(
    const sbe_book* core, Py_ssize_t most, int64_t* update_id, uint8_t* flags, int8_t* price,
    int8_t* qty, int64_t[:, ::1] out,
) noexcept nogil:
    update_id[0] = core.update_id
    flags[0] = 0 if core.state == BOOK_LIVE else UNKNOWN
    price[0], qty[0] = <int8_t>core.price_exponent, <int8_t>core.qty_exponent
    take_side(&core.bids, most, 1, out[0], out[1])
    take_side(&core.asks, most, -1, out[2], out[3])


@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_side(
    const sbe_side* side, Py_ssize_t most, int64_t sign, int64_t[::1] price, int64_t[::1] qty
) noexcept nogil:
    """The best levels, which are at the end of the side; those with the quantity 0 are none."""
    cdef size_t at = side.count
    cdef Py_ssize_t i = 0
    while at > 0 and i < most:
        at -= 1
        if side.levels[at].qty:
            price[i], qty[i] = sign * side.levels[at].price, side.levels[at].qty
            i += 1
    while i < most:
        price[i] = qty[i] = -1
        i += 1


@cython.boundscheck(False)
@cython.wraparound(False)
cdef bint differs(int64_t[:, ::1] seen, int64_t[:, ::1] now, Py_ssize_t levels) noexcept nogil:
    """Whether any level is not as it was in the last sample; that is the last one then."""
    cdef Py_ssize_t i, k
    cdef bint found = False
    for i in range(4):
        for k in range(levels):
            if seen[i, k] != now[i, k]:
                seen[i, k] = now[i, k]
                found = True
    return found
