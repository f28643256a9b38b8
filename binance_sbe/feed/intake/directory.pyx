"""Which stream an event is of, and which ids it brings: of frames, and of rows.

Events are read in two ways, from the frame where it stays one, and from the row that was just made
of it. A row has a code for its symbol, which the table's dictionary gives anew in each batch:
`known` goes from codes to streams. It borrows them; ``streams`` owns them, and forgets none.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp

from sbe_codegen.runtime.decode.cursor cimport sbe_data, sbe_fault
from sbe_codegen.runtime.tables.tables cimport sbe_table

from ...spot_stream cimport (
    BestBidAskStreamEventFrame, DepthDiffStreamEventFrame, DepthSnapshotStreamEventFrame,
    TradesStreamEventFrame, TradesStreamEvent_event_time, TradesStreamEvent_trades_id,
    BestBidAskStreamEvent_book_update_id, BestBidAskStreamEvent_event_time,
    DepthDiffStreamEvent_event_time, DepthDiffStreamEvent_first_book_update_id,
    DepthDiffStreamEvent_last_book_update_id, DepthSnapshotStreamEvent_book_update_id,
    DepthSnapshotStreamEvent_event_time, parse_BestBidAskStreamEvent, parse_DepthDiffStreamEvent,
    parse_DepthSnapshotStreamEvent, parse_TradesStreamEvent,
)
from ...venue.kinds cimport BEST_BID_ASK, DEPTH, DEPTH20, KINDS, TRADE, kind_of
from .streams cimport Stream, sbe_event

from ...venue.streams import NAMES

MOST_STRAYS = 100               # names of streams that nobody has subscribed to


cdef class Directory:
    """The streams of a feed, by name, by symbol and by the symbol's code in the rows.

    ``is_wanted(name)`` says whether anybody has subscribed to a stream that is new; events of
    others are counted in ``strays``, and are of a stream that is no part of arbitration.
    """

    def __cinit__(self):
        self.streams = {}
        self.symbols = [{} for _ in range(KINDS)]
        self.stray_streams = [Stream(f"*@{kind}", kind) for kind in NAMES]
        for each in self.stray_streams:
            (<Stream>each).is_stray = True
        self.stray_by_name = {}
        self.texts = [None] * (KINDS * SYMBOLS)

    def __dealloc__(self):
        # The streams in it are borrowed: the dicts let go of them.
        cdef int kind
        for kind in range(KINDS):
            free(self.known[kind])

    cdef Stream stream_of(self, int kind, bytes symbol):
        stream = (<dict>self.symbols[kind]).get(symbol)
        if stream is None:
            text = symbol.decode("utf-8", "surrogateescape").lower()
            name = f"{text}@{NAMES[kind]}"
            # `is_wanted` is ours and only looks. The intake is amid a frame, which may be borrowed.
            if name not in self.streams and self.is_wanted is not None and not self.is_wanted(name):
                return self.stray(kind, name)
            stream = self.stream(name)
            self.symbols[kind][symbol] = stream
        return <Stream>stream

    cdef Stream stray(self, int kind, str name):
        """A stream that nobody wants: one of the first hundred, or what stands for the others."""
        stream = self.stray_by_name.get(name)
        if stream is None:
            if len(self.stray_by_name) >= MOST_STRAYS:
                return <Stream>self.stray_streams[kind]
            stream = self.stray_by_name[name] = Stream(name, NAMES[kind])
            (<Stream>stream).is_stray = True
        return <Stream>stream

    @property
    def strays(self):
        """Events of streams that nobody has subscribed to, by name: of the first hundred."""
        return {name: stream.frames for name, stream in self.stray_by_name.items()}

    def stream(self, str name):
        """The stream of that name, which is new where nothing was known of it."""
        stream = self.streams.get(name)
        if stream is None:
            stream = self.streams[name] = Stream(name, name.rpartition("@")[2])
            self.forget_codes()     # rows may have taken it for a stray
        return stream

    cdef void forget_codes(self) noexcept:
        """From now on symbols may have other codes: rows go to new tables."""
        for kind in range(KINDS):
            self.known_count[kind] = 0

    cdef int learn(self, int kind, const sbe_table* table, uint32_t code) except -1:
        """The streams of codes up to one that was not seen since `forget_codes`."""
        # `ends` and `text` are the table's, and move when a row is added: `stream_of` adds none.
        cdef uint32_t next_code, room
        cdef PyObject** grown
        cdef const size_t* ends = <const size_t*>table.dictionaries[0].ends.data
        cdef const char* text = table.dictionaries[0].text.data
        if code >= self.known_room[kind]:
            room = max(2 * self.known_room[kind], max(code + 1, <uint32_t>64))
            grown = <PyObject**>realloc(self.known[kind], room * sizeof(PyObject*))
            if grown == NULL:
                raise MemoryError()
            self.known[kind] = grown
            self.known_room[kind] = room
        for next_code in range(self.known_count[kind], code + 1):
            begin = ends[next_code - 1] if next_code else 0
            stream = self.stream_of(kind, text[begin:ends[next_code]])
            # Kept alive by `streams`, or by what has the strays, none of which forgets any.
            self.known[kind][next_code] = <PyObject*>stream
        # Beyond this the memory has not been written. Where an error came before, it stays so.
        self.known_count[kind] = code + 1
        return 0

    cdef int note_odd(
        self, sbe_event* event, const char* ids, Py_ssize_t stride, Py_ssize_t count
    ) except -1:
        """Trades whose ids do not simply follow upon each other. ``ids`` are those of rows."""
        # A list may wake the cycle collector, and that any finalizer: none can reach these rows,
        # which are the collector's of the backlog alone.
        found = [(<const int64_t*>(ids + i * stride))[0] for i in range(count)]
        return self.set_odd(event, found)

    cdef int set_odd(self, sbe_event* event, list found) except -1:
        self.odd_ids = found
        event.odd = True
        event.first, event.last = min(found), max(found)
        return 0

    cdef Stream stream_of_text(self, int kind, const char* text, size_t length):
        """`stream_of`, without a Python object where the symbol was seen before."""
        cdef uint64_t number = 1469598103934665603ULL
        cdef size_t i
        cdef sbe_symbol* known
        for i in range(length):
            number = (number ^ <uint8_t>text[i]) * 1099511628211ULL
        i = (number >> 32) % SYMBOLS
        known = &self.found[kind][i]
        if known.stream != NULL and known.length == length and not memcmp(known.text, text, length):
            return <Stream>known.stream
        symbol = text[:length]
        stream = self.stream_of(kind, symbol)
        # A stray is not remembered: it would be found here after somebody has subscribed to it.
        if not stream.is_stray:
            # Between the two the slot points to bytes that are gone: they have no finalizer, and
            # nobody can look there before the slot has its own text.
            self.texts[kind * SYMBOLS + i] = symbol
            known[0] = sbe_symbol(PyBytes_AS_STRING(symbol), length, <PyObject*>stream)
        return stream

    cdef Stream event_of(
        self, const uint8_t* data, size_t size, sbe_event* event, sbe_parsed* parsed
    ):
        """The stream and the ids of a frame, or None where it is no message.

        ``parsed`` is filled, and points into ``data``: it is good as long as the caller keeps that.
        """
        cdef sbe_fault fault
        cdef sbe_data symbol
        cdef TradesStreamEventFrame* trades = &parsed.trades
        cdef size_t i
        cdef int kind = kind_of(data, size)
        event.odd = False
        if kind == TRADE and parse_TradesStreamEvent(data, size, trades, &fault):
            event.time = TradesStreamEvent_event_time(trades)
            event.first = event.last = INT64_MIN
            if trades.trades.count:
                event.first = TradesStreamEvent_trades_id(trades, 0)
                event.last = TradesStreamEvent_trades_id(trades, trades.trades.count - 1)
                for i in range(1, trades.trades.count):
                    if (
                        <uint64_t>TradesStreamEvent_trades_id(trades, i)
                        - <uint64_t>TradesStreamEvent_trades_id(trades, i - 1) != 1
                    ):
                        self.set_odd(event, [
                            TradesStreamEvent_trades_id(trades, i)
                            for i in range(trades.trades.count)
                        ])
                        break
            symbol = trades.symbol
        elif kind == BEST_BID_ASK and (
            parse_BestBidAskStreamEvent(data, size, &parsed.best_bid_ask, &fault)
        ):
            event.time = BestBidAskStreamEvent_event_time(&parsed.best_bid_ask)
            event.first = BestBidAskStreamEvent_book_update_id(&parsed.best_bid_ask)
            event.last = event.first
            symbol = parsed.best_bid_ask.symbol
        elif kind == DEPTH20 and (
            parse_DepthSnapshotStreamEvent(data, size, &parsed.depth20, &fault)
        ):
            event.time = DepthSnapshotStreamEvent_event_time(&parsed.depth20)
            event.first = DepthSnapshotStreamEvent_book_update_id(&parsed.depth20)
            event.last = event.first
            symbol = parsed.depth20.symbol
        elif kind == DEPTH and parse_DepthDiffStreamEvent(data, size, &parsed.depth, &fault):
            event.time = DepthDiffStreamEvent_event_time(&parsed.depth)
            event.first = DepthDiffStreamEvent_first_book_update_id(&parsed.depth)
            event.last = DepthDiffStreamEvent_last_book_update_id(&parsed.depth)
            symbol = parsed.depth.symbol
        else:
            return None
        return self.stream_of_text(kind, <const char*>symbol.data, symbol.length)

    cdef Stream event_of_frame(self, bytes frame, sbe_event* event):
        """The same of a frame that nobody needs parsed."""
        cdef sbe_parsed parsed          # which ends here: its pointers into the frame go nowhere
        return self.event_of(
            <const uint8_t*>PyBytes_AS_STRING(frame), len(frame), event, &parsed
        )
