"""Trades and levels of one symbol as the rows of hftbacktest, in one pass."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

import numpy as np

# As `hftbacktest.types` has them.
DTYPE = np.dtype(
    [("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8"),
     ("order_id", "u8"), ("ival", "i8"), ("fval", "f8")],
    align=True,
)
DEPTH, TRADE, DEPTH_CLEAR, DEPTH_SNAPSHOT = 1, 2, 3, 4
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28

cdef enum:
    C_DEPTH = 1
    C_TRADE = 2

cdef uint64_t C_BOTH = (1ull << 31) | (1ull << 30)
cdef uint64_t C_BUY = 1ull << 29
cdef uint64_t C_SELL = 1ull << 28


cdef struct hft_row:
    uint64_t ev
    int64_t exch_ts
    int64_t local_ts
    double px
    double qty
    uint64_t order_id
    int64_t ival
    double fval


cdef class Trades:
    """Trades of a symbol in the order of their arrival; times are ns."""
    cdef readonly Py_ssize_t count
    cdef const int64_t[::1] exch, local
    cdef const double[::1] px, qty
    cdef const uint8_t[::1] is_sell

    def __cinit__(self, exch, local, px, qty, is_sell):
        self.exch, self.local, self.px, self.qty = exch, local, px, qty
        self.is_sell = is_sell
        self.count = self.exch.shape[0]
        for each in (local, px, qty, is_sell):
            if len(each) != self.count:
                raise ValueError("columns of trades are not of one length")


cdef class Diffs:
    """Events of depth in the order of their ids; ``offsets`` are those of Arrow lists."""
    cdef readonly Py_ssize_t count
    cdef const int64_t[::1] exch, local
    cdef const int32_t[::1] bids, asks
    cdef const double[::1] bid_px, bid_qty, ask_px, ask_qty

    def __cinit__(self, exch, local, bids, bid_px, bid_qty, asks, ask_px, ask_qty):
        self.exch, self.local, self.bids, self.asks = exch, local, bids, asks
        self.bid_px, self.bid_qty, self.ask_px, self.ask_qty = bid_px, bid_qty, ask_px, ask_qty
        self.count = self.exch.shape[0]
        if len(local) != self.count:
            raise ValueError("columns of events are not of one length")
        for offsets, px, qty in ((bids, bid_px, bid_qty), (asks, ask_px, ask_qty)):
            if len(offsets) != self.count + 1 or len(px) != len(qty):
                raise ValueError("columns of levels are not of one length")
            if len(offsets) > 1 and (np.diff(offsets) < 0).any():
                raise ValueError("offsets go down")
            if offsets[0] < 0 or offsets[len(offsets) - 1] > len(px):
                raise ValueError("offsets go beyond the levels")


cdef inline void put(
    hft_row* row, uint64_t ev, int64_t exch, int64_t local, double px, double qty
) noexcept nogil:
    row.ev, row.exch_ts, row.local_ts, row.px, row.qty = ev | C_BOTH, exch, local, px, qty
    row.order_id, row.ival, row.fval = 0, 0, 0.0


@cython.boundscheck(False)
@cython.wraparound(False)
def merged(Trades trades not None, Diffs diffs not None, Py_ssize_t i, Py_ssize_t j,
           Py_ssize_t stop):
    """(rows, i): by arrival, trades first at the same time, each row for exchange and local.

    From trade ``i`` and diff ``j`` on, up to diff ``stop``, with the trades before that one: where
    it is the end, with all that are left. ``i`` is the trade to go on with.
    """
    cdef Py_ssize_t k, last = i, total, at = 0
    cdef hft_row* out
    if not 0 <= i <= trades.count or not 0 <= j <= stop <= diffs.count:
        raise ValueError(f"trade {i} of {trades.count}, diffs {j} to {stop} of {diffs.count}")
    if stop == diffs.count:
        last = trades.count
    else:
        while last < trades.count and trades.local[last] <= diffs.local[stop]:
            last += 1
    total = last - i + (diffs.bids[stop] - diffs.bids[j]) + (diffs.asks[stop] - diffs.asks[j])
    result = np.empty(total, DTYPE)
    if not total:
        return result, last
    cdef uint64_t[::1] memory = result.view(np.uint64)
    out = <hft_row*>&memory[0]
    with nogil:
        while i < last or j < stop:
            if i < last and (j == stop or trades.local[i] <= diffs.local[j]):
                put(&out[at], C_TRADE | (C_SELL if trades.is_sell[i] else C_BUY), trades.exch[i],
                    trades.local[i], trades.px[i], trades.qty[i])
                at += 1
                i += 1
                continue
            for k in range(diffs.bids[j], diffs.bids[j + 1]):
                put(&out[at], C_DEPTH | C_BUY, diffs.exch[j], diffs.local[j], diffs.bid_px[k],
                    diffs.bid_qty[k])
                at += 1
            for k in range(diffs.asks[j], diffs.asks[j + 1]):
                put(&out[at], C_DEPTH | C_SELL, diffs.exch[j], diffs.local[j], diffs.ask_px[k],
                    diffs.ask_qty[k])
                at += 1
            j += 1
    return result, last
