"""Of which streams, and of which times, the frames of a batch are: for its metadata."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from sbe_codegen.runtime.decode.cursor cimport sbe_data, sbe_fault

from ..feed.intake.directory cimport sbe_parsed
from ..spot_stream cimport (
    BestBidAskStreamEvent_book_update_id, BestBidAskStreamEvent_event_time,
    DepthDiffStreamEvent_event_time, DepthDiffStreamEvent_first_book_update_id,
    DepthDiffStreamEvent_last_book_update_id, DepthSnapshotStreamEvent_book_update_id,
    DepthSnapshotStreamEvent_event_time, TradesStreamEvent_event_time, TradesStreamEvent_trades_id,
    parse_BestBidAskStreamEvent, parse_DepthDiffStreamEvent, parse_DepthSnapshotStreamEvent,
    parse_TradesStreamEvent,
)
from ..venue.kinds cimport BEST_BID_ASK, DEPTH, DEPTH20, KINDS, TRADE, kind_of

import numpy as np

from ..venue.streams import NAMES

cdef enum:
    FRAME = 0                   # see `rows.Kind`
    SLOTS = 1024                # of symbols that are found without a Python object


cdef struct sbe_slot:
    const char* text            # of a symbol: borrowed, `Census.texts` has it; NULL: free
    size_t length
    int kind
    int number


cdef bint read_event(
    int kind, const uint8_t* data, size_t size, int64_t* time, sbe_data* symbol, int64_t* ids
) noexcept nogil:
    """Event time (us) and symbol of a frame of that kind; False where it is no message.

    ``ids``, where there is room for them, are its first and its last.
    """
    cdef sbe_parsed parsed
    cdef sbe_fault fault
    if kind == TRADE and parse_TradesStreamEvent(data, size, &parsed.trades, &fault):
        time[0] = TradesStreamEvent_event_time(&parsed.trades)
        symbol[0] = parsed.trades.symbol
        if ids != NULL:
            ids[0] = ids[1] = INT64_MIN
            if parsed.trades.trades.count:
                ids[0] = TradesStreamEvent_trades_id(&parsed.trades, 0)
                ids[1] = TradesStreamEvent_trades_id(
                    &parsed.trades, parsed.trades.trades.count - 1
                )
    elif kind == BEST_BID_ASK and (
        parse_BestBidAskStreamEvent(data, size, &parsed.best_bid_ask, &fault)
    ):
        time[0] = BestBidAskStreamEvent_event_time(&parsed.best_bid_ask)
        symbol[0] = parsed.best_bid_ask.symbol
        if ids != NULL:
            ids[0] = ids[1] = BestBidAskStreamEvent_book_update_id(&parsed.best_bid_ask)
    elif kind == DEPTH20 and parse_DepthSnapshotStreamEvent(data, size, &parsed.depth20, &fault):
        time[0] = DepthSnapshotStreamEvent_event_time(&parsed.depth20)
        symbol[0] = parsed.depth20.symbol
        if ids != NULL:
            ids[0] = ids[1] = DepthSnapshotStreamEvent_book_update_id(&parsed.depth20)
    elif kind == DEPTH and parse_DepthDiffStreamEvent(data, size, &parsed.depth, &fault):
        time[0] = DepthDiffStreamEvent_event_time(&parsed.depth)
        symbol[0] = parsed.depth.symbol
        if ids != NULL:
            ids[0] = DepthDiffStreamEvent_first_book_update_id(&parsed.depth)
            ids[1] = DepthDiffStreamEvent_last_book_update_id(&parsed.depth)
    else:
        return False
    return True


cdef size_t slot_of(int kind, const sbe_data* symbol) noexcept nogil:
    cdef uint64_t number = 1469598103934665603ULL ^ <uint64_t>kind
    cdef size_t i
    for i in range(symbol.length):
        number = (number ^ symbol.data[i]) * 1099511628211ULL
    return (number >> 32) % SLOTS


@cython.final
cdef class Census:
    """Streams get numbers, from 0 on, in the order of their first events; ``most`` of them.

    ``names`` are theirs. Bytes of a symbol that are no UTF-8 are lone surrogates in them.
    """

    cdef readonly list names
    cdef readonly int64_t first_event   # us, of the frames that were counted last; none: None
    cdef readonly int64_t last_event
    cdef readonly int64_t others        # frames of these that are of no stream with a number
    cdef dict numbers                   # by name
    cdef Py_ssize_t most
    cdef list texts                     # of the symbols in the slots
    cdef sbe_slot[SLOTS] slots

    def __cinit__(self, Py_ssize_t most):
        self.texts = [None] * SLOTS
        self.names = []
        self.numbers = {}
        self.most = most

    cdef int number_of(self, int kind, const sbe_data* symbol) except -2:
        """The number of a stream, -1 where it has none."""
        cdef size_t at = slot_of(kind, symbol)
        cdef sbe_slot* slot = &self.slots[at]
        if (
            slot.text != NULL and slot.kind == kind and slot.length == symbol.length
            and not memcmp(slot.text, symbol.data, symbol.length)
        ):
            return slot.number
        text = (<const char*>symbol.data)[:symbol.length]
        name = f"{text.decode('utf-8', 'surrogateescape').lower()}@{NAMES[kind]}"
        number = self.numbers.get(name)
        if number is None:
            if len(self.names) >= self.most:
                return -1
            number = self.numbers[name] = len(self.names)
            self.names.append(name)
        self.texts[at] = text       # what the slot had is gone: nobody looks there before this ends
        slot[0] = sbe_slot(PyBytes_AS_STRING(text), len(text), kind, number)
        return number

    def count(
        self, const uint8_t[::1] kinds not None, const int32_t[::1] offsets not None,
        const uint8_t[::1] data not None, which=None, ids=None
    ):
        """How many events of each stream there are: an array by number.

        ``which`` is an int32 array as long as ``kinds``, which gets the number of each row's
        stream, -1 where it has none; ``ids`` an int64 array of two columns, for the first and the
        last id of each event (of an event without trades the lowest number there is, as both).
        """
        cdef int64_t[::1] counts = np.zeros(
            min(self.most, len(self.names) + kinds.shape[0]), np.int64
        )
        cdef int32_t[::1] numbers
        cdef int64_t[:, ::1] bounds
        cdef bint notes_ids = ids is not None
        cdef bint notes = which is not None
        cdef Py_ssize_t i, top = 0, rows = kinds.shape[0]
        cdef int64_t time = 0
        cdef int kind, number
        cdef sbe_data symbol
        cdef const uint8_t* frame
        cdef int64_t first = INT64_MAX, last = INT64_MIN
        if offsets.shape[0] != rows + 1 or (notes and len(which) != rows):
            raise ValueError(f"{rows} rows have {rows + 1} offsets, not {offsets.shape[0]}")
        if notes:
            numbers = which
        if notes_ids:
            bounds = ids
            if bounds.shape[0] != rows or bounds.shape[1] != 2:
                raise ValueError(f"ids of {rows} rows are two columns of as many")
        self.others = 0
        for i in range(rows):
            if not 0 <= offsets[i] <= offsets[i + 1] <= data.shape[0]:
                raise ValueError(f"row {i} is not in its data")
            number = -1
            if kinds[i] == FRAME:
                frame = &data[0] + offsets[i]
                kind = kind_of(frame, offsets[i + 1] - offsets[i])
                if kind >= 0 and read_event(
                    kind, frame, offsets[i + 1] - offsets[i], &time, &symbol,
                    &bounds[i, 0] if notes_ids else NULL
                ):
                    first, last = min(first, time), max(last, time)
                    number = self.number_of(kind, &symbol)
                if number < 0:
                    self.others += 1
                else:
                    counts[number] += 1
                    top = max(top, number + 1)
            if notes:
                numbers[i] = number
        self.first_event, self.last_event = first, last
        return np.asarray(counts)[:top]
