"""Which frames are handed on: every event once and in order, whichever connection brings it."""

from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t
from cpython.object cimport PyObject

from sbe_codegen.runtime.rows cimport Rows
from sbe_codegen.runtime.tables cimport sbe_table

from .spot_stream cimport (
    BestBidAskStreamEventRow, DepthDiffStreamEventRow, DepthSnapshotStreamEventRow,
    TradesStreamEventRow, TradesStreamEventTradesRow,
)
from .stats cimport Histogram

cdef enum:
    PLACES = 8                  # of connections that bring the same streams at one time
    RECENT = 16                 # events whose time of arrival is remembered
    KINDS = 4

cdef enum:                      # templates 10000 to 10003, less 10000
    TRADE, BEST_BID_ASK, DEPTH20, DEPTH

cdef enum:                      # what is to be done with a frame
    DROP, HAND_OVER, HAND_OVER_AND_MORE, HOLD


cdef struct sbe_event:
    int64_t first               # ids: of trades, or of updates of the book
    int64_t last
    int64_t time                # event time, us


cdef struct sbe_arrival:
    int64_t last
    int64_t received            # ns


cdef class Line:
    """One connection's place, and what came through it."""

    cdef readonly int place
    cdef readonly str name
    cdef readonly int64_t frames
    cdef readonly int64_t bytes
    cdef readonly int64_t won
    cdef readonly int64_t duplicates
    cdef readonly int64_t damaged
    cdef readonly int64_t unwanted
    cdef readonly int64_t received      # ns, of the last read
    cdef readonly Histogram lag         # of what another connection had brought before
    cdef int64_t damaged_at
    cdef bint gone                      # the connection has ended; another may be at its place


cdef class Stream:
    cdef readonly str name
    cdef readonly str kind
    cdef readonly int64_t frames
    cdef readonly int64_t duplicates
    cdef readonly int64_t out_of_order
    cdef readonly int64_t overlaps
    cdef readonly int64_t culled
    cdef readonly int64_t lost
    cdef public int64_t dropped
    cdef readonly int64_t last          # the id up to which events were handed on, or INT64_MIN
    cdef readonly int64_t received      # ns, when that came
    cdef int64_t last_time
    cdef bint jumps                     # ids need not follow upon each other
    cdef readonly uint8_t joined        # places that are in step with what was handed on
    cdef readonly uint8_t cover         # places whose connection has subscribed
    cdef int64_t[PLACES] at             # the last id of each
    cdef int64_t[PLACES] since          # when each began to bring all of it, ns; INT64_MAX: not yet
    cdef sbe_arrival[RECENT] recent
    cdef public object cause            # of the break before the next event, or None
    cdef list held                      # frames that wait for another connection's


cdef class Sequencer:
    cdef readonly dict streams          # by name
    cdef readonly set holding           # streams with frames that wait
    cdef public int64_t patience        # ns that a frame waits at most
    cdef object note_hole
    cdef object note_late
    cdef list symbols                   # by kind: bytes of the symbol -> Stream
    cdef PyObject** known[KINDS]        # by kind and by the symbol's code in the rows
    cdef uint32_t known_count[KINDS]
    cdef uint32_t known_room[KINDS]

    cdef void forget_codes(self) noexcept
    cdef int learn(self, int kind, const sbe_table* table, uint32_t code) except -1
    cdef Stream stream_of(self, int kind, bytes symbol)
    cdef int settle(self, Stream stream, Line line, const sbe_event* event, int64_t received) except -1
    cdef int follow(self, Stream stream, Line line, const sbe_event* event, int64_t received) except -1
    cdef bint is_awaited(self, Stream stream, Line line, const sbe_event* event) except -1
    cdef int repeated(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, bint back
    ) except -1
    cdef int duplicate(self, Stream stream, Line line, int64_t last, int64_t received) except -1
    cdef int note_gap(
        self, Stream stream, Line line, int64_t first, int64_t received, bint in_step
    ) except -1
    cdef int hold(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, object frame
    ) except -1
    cdef list next_held(self, Stream stream, bint forced)
    cdef Stream judge_frame(self, bytes frame, sbe_event* event)


cdef inline void accept(
    Stream stream, Line line, const sbe_event* event, int64_t received
) noexcept:
    """The event is handed on."""
    cdef sbe_arrival* arrival
    stream.last = event.last
    stream.last_time = event.time
    stream.received = received
    stream.at[line.place] = event.last
    line.won += 1
    if stream.cover & ~(1 << line.place):       # others may bring it again
        arrival = &stream.recent[stream.frames & (RECENT - 1)]
        arrival.last = event.last
        arrival.received = received
    stream.frames += 1


cdef inline int judge(
    Sequencer sequencer, Stream stream, Line line, const sbe_event* event, int64_t received
) except -1:
    """What is to be done with an event that a connection brings."""
    if stream.joined >> line.place & 1 and stream.held is None:
        if event.first == stream.last + 1:
            accept(stream, line, event, received)
            return HAND_OVER
        if stream.jumps and event.last > stream.last:
            stream.culled += 1
            accept(stream, line, event, received)
            return HAND_OVER
    return sequencer.settle(stream, line, event, received)


cdef inline PyObject* event_of_row(
    Sequencer sequencer, Rows rows, int kind, sbe_event* event
) except NULL:
    """The ids of the row that was just appended to its table, and its stream (borrowed)."""
    cdef const sbe_table* table = &rows.tables.items[kind]
    cdef const sbe_table* group
    cdef const char* row = table.rows.data + table.rows.used - table.itemsize + table.prefix
    cdef const int64_t* ends
    cdef uint32_t code
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
        if (ends - 1)[0] > (ends - 2)[0]:
            event.first = (<const TradesStreamEventTradesRow*>group.rows.data)[(ends - 2)[0]].id
            event.last = (<const TradesStreamEventTradesRow*>group.rows.data)[(ends - 1)[0] - 1].id
    event.time = (<const int64_t*>row)[0]
    if code >= sequencer.known_count[kind]:
        sequencer.learn(kind, table, code)
    return sequencer.known[kind][code]
