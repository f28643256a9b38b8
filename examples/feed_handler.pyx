# cython: language_level=3, boundscheck=False, wraparound=False
"""A feed handler in Cython: every frame decoded without the GIL and without a Python object.

    cythonize -i examples/feed_handler.pyx

It takes one buffer of frames with n + 1 offsets, and keeps what a strategy would look at: the best
bid and ask, the quantity that was traded, how many levels changed. Frames that are no messages are
counted by their error code. Other threads run meanwhile.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from binance_sbe.spot_stream cimport (
    BestBidAskStreamEvent_ask_price, BestBidAskStreamEvent_bid_price, BestBidAskStreamEventFrame,
    DepthDiffStreamEventFrame, TradesStreamEvent_trades_qty, TradesStreamEventFrame,
    parse_BestBidAskStreamEvent, parse_DepthDiffStreamEvent, parse_TradesStreamEvent,
    take_own_header,
)
from sbe_codegen.runtime.cursor cimport rewind, sbe_cursor, sbe_fault, sbe_header

cdef enum:
    CODES = 8                   # more than there are error codes


cdef struct Seen:
    int64_t bid                 # mantissas of the latest bestBidAsk
    int64_t ask
    int64_t traded              # sum of the mantissas of all quantities
    uint64_t levels             # in all diffs
    uint64_t others             # messages that are none of those
    uint64_t[CODES] refused     # by error code


cdef bint handle(const uint8_t* data, size_t size, Seen* seen, sbe_fault* fault) noexcept nogil:
    """One frame; False, and ``fault`` says why, if it is no message."""
    cdef sbe_cursor cursor
    cdef sbe_header header
    cdef TradesStreamEventFrame trades
    cdef BestBidAskStreamEventFrame best
    cdef DepthDiffStreamEventFrame diff
    cdef uint64_t i
    cursor.start = data
    cursor.end = data + size
    cursor.fault = fault
    rewind(&cursor, data)
    if not take_own_header(&cursor, &header):
        return False
    if header.template_id == 10001:
        if not parse_BestBidAskStreamEvent(data, size, &best, fault):
            return False
        seen.bid = BestBidAskStreamEvent_bid_price(&best)
        seen.ask = BestBidAskStreamEvent_ask_price(&best)
    elif header.template_id == 10000:
        if not parse_TradesStreamEvent(data, size, &trades, fault):
            return False
        for i in range(trades.trades.count):
            seen.traded += TradesStreamEvent_trades_qty(&trades, i)
    elif header.template_id == 10003:
        if not parse_DepthDiffStreamEvent(data, size, &diff, fault):
            return False
        seen.levels += diff.bids.count + diff.asks.count
    else:
        seen.others += 1
    return True


def run(const uint8_t[::1] buffer not None, const int64_t[::1] offsets not None):
    """What all frames ``buffer[offsets[i]:offsets[i + 1]]`` say, as a dict.

    ValueError for offsets that are not in order or not in the buffer.
    """
    cdef Seen seen
    cdef sbe_fault fault
    cdef Py_ssize_t i
    cdef bint good = offsets.shape[0] > 0 and offsets[0] >= 0
    seen.bid = seen.ask = seen.traded = 0
    seen.levels = seen.others = 0
    for i in range(CODES):
        seen.refused[i] = 0
    with nogil:
        for i in range(offsets.shape[0] - 1):
            if offsets[i] > offsets[i + 1] or offsets[i + 1] > buffer.shape[0]:
                good = False
            if not good:
                break
            if not handle(
                &buffer[0] + offsets[i], <size_t>(offsets[i + 1] - offsets[i]), &seen, &fault
            ):
                seen.refused[fault.code] += 1
    if not good:
        raise ValueError("offsets are int64, in order, and inside the buffer")
    return {
        "bid": seen.bid, "ask": seen.ask, "traded": seen.traded, "levels": seen.levels,
        "others": seen.others, "refused": [seen.refused[i] for i in range(CODES)],
    }
