"""Which stream an event is of, and which ids it brings."""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t

from sbe_codegen.runtime.tables.rows cimport Rows
from sbe_codegen.runtime.tables.tables cimport sbe_table

from ...spot_stream cimport (
    BestBidAskStreamEventFrame, BestBidAskStreamEventRow, DepthDiffStreamEventFrame,
    DepthDiffStreamEventRow, DepthSnapshotStreamEventFrame, DepthSnapshotStreamEventRow,
    TradesStreamEventFrame, TradesStreamEventRow, TradesStreamEventTradesRow,
)
from ...venue.kinds cimport BEST_BID_ASK, DEPTH, DEPTH20, KINDS
from .streams cimport Stream, sbe_event

cdef enum:
    SYMBOLS = 256               # of one kind, whose streams are found without a Python object


cdef union sbe_parsed:          # a frame, by its kind; its pointers lead into the frame
    TradesStreamEventFrame trades
    BestBidAskStreamEventFrame best_bid_ask
    DepthSnapshotStreamEventFrame depth20
    DepthDiffStreamEventFrame depth


cdef struct sbe_symbol:
    const char* text            # borrowed: Directory.texts has it
    size_t length
    PyObject* stream            # borrowed: Directory.streams has it, for good


cdef class Directory:
    cdef readonly dict streams          # by name
    cdef public object is_wanted        # asked with the name of a stream that is new
    cdef dict stray_by_name             # streams that nobody wants; the first of them
    cdef list symbols                   # by kind: bytes of the symbol -> Stream
    cdef sbe_symbol[KINDS][SYMBOLS] found   # by a hash of the symbol
    cdef list texts                     # of these
    cdef list stray_streams             # by kind: stand for all others that nobody wants
    # Of the event that was looked at last, where it is odd. Who looks at another while that one is
    # not done with has to put these back.
    cdef list odd_ids
    cdef PyObject** known[KINDS]        # by kind and by the symbol's code in the rows
    cdef uint32_t known_count[KINDS]
    cdef uint32_t known_room[KINDS]

    cdef void forget_codes(self) noexcept
    cdef int learn(self, int kind, const sbe_table* table, uint32_t code) except -1
    cdef int note_odd(
        self, sbe_event* event, const char* ids, Py_ssize_t stride, Py_ssize_t count
    ) except -1
    cdef int set_odd(self, sbe_event* event, list found) except -1
    cdef Stream stream_of(self, int kind, bytes symbol)
    cdef Stream stray(self, int kind, str name)
    cdef Stream stream_of_text(self, int kind, const char* text, size_t length)
    cdef Stream event_of(
        self, const uint8_t* data, size_t size, sbe_event* event, sbe_parsed* parsed
    )
    cdef Stream event_of_frame(self, bytes frame, sbe_event* event)


cdef inline PyObject* event_of_row(
    Directory directory, Rows rows, int kind, sbe_event* event
) except NULL:
    """The ids of the row that was just appended to its table, and its stream (borrowed)."""
    # All of these point into the table, which moves when a row is added: none is, until this ends.
    cdef const sbe_table* table = &rows.tables.items[kind]
    cdef const sbe_table* group
    cdef const char* row = table.rows.data + table.rows.used - table.itemsize + table.prefix
    cdef const int64_t* ends
    cdef const TradesStreamEventTradesRow* trades
    cdef Py_ssize_t i, count
    cdef uint32_t code
    event.odd = False
    if kind == BEST_BID_ASK:
        event.first = event.last = (<const BestBidAskStreamEventRow*>row).book_update_id
        code = (<const BestBidAskStreamEventRow*>row).symbol
    elif kind == DEPTH:
        event.first = (<const DepthDiffStreamEventRow*>row).first_book_update_id
        event.last = (<const DepthDiffStreamEventRow*>row).last_book_update_id
        code = (<const DepthDiffStreamEventRow*>row).symbol
    elif kind == DEPTH20:
        event.first = event.last = (<const DepthSnapshotStreamEventRow*>row).book_update_id
        code = (<const DepthSnapshotStreamEventRow*>row).symbol
    else:
        group = &table.groups[0]
        ends = <const int64_t*>(group.offsets.data + group.offsets.used)
        code = (<const TradesStreamEventRow*>row).symbol
        event.first = event.last = INT64_MIN
        count = (ends - 1)[0] - (ends - 2)[0]
        if count > 0:
            trades = &(<const TradesStreamEventTradesRow*>group.rows.data)[(ends - 2)[0]]
            event.first = trades[0].id
            event.last = trades[count - 1].id
            for i in range(1, count):
                if <uint64_t>trades[i].id - <uint64_t>trades[i - 1].id != 1:
                    directory.note_odd(
                        event, <const char*>&trades[0].id, sizeof(TradesStreamEventTradesRow), count
                    )
                    break
    event.time = (<const int64_t*>row)[0]
    if code >= directory.known_count[kind]:
        directory.learn(kind, table, code)
    return directory.known[kind][code]
