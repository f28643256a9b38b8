"""Which frames are handed on: every event once and in order, whichever connection brings it."""

from libc.stdint cimport INT64_MIN, int64_t, uint32_t, uint64_t
from cpython.object cimport PyObject

from sbe_codegen.runtime.rows cimport Rows
from sbe_codegen.runtime.tables cimport sbe_table

from ...spot_stream cimport (
    BestBidAskStreamEventRow, DepthDiffStreamEventRow, DepthSnapshotStreamEventRow,
    TradesStreamEventRow, TradesStreamEventTradesRow,
)
from .stats cimport Histogram

cdef enum:
    RECENT = 16                 # events whose time of arrival is remembered
    KINDS = 4

cdef enum:                      # templates 10000 to 10003, less 10000
    TRADE, BEST_BID_ASK, DEPTH20, DEPTH

cdef enum:                      # what is to be done with a frame
    DROP, HAND_OVER, HAND_OVER_AND_MORE, HOLD


cdef struct sbe_event:
    int64_t first               # ids: of trades, or of updates of the book; the lowest and
    int64_t last                # the highest; INT64_MIN where there are none
    int64_t time                # event time, us
    bint odd                    # its ids do not simply follow upon each other: `Sequencer.odd_ids`


cdef struct sbe_arrival:
    int64_t last
    int64_t received            # ns


cdef struct sbe_leg:            # one connection's part in one stream
    PyObject* line              # borrowed: Stream.lines has it
    int64_t begin               # the connection has brought all that was sent from this id on
    int64_t at                  # up to this one; INT64_MIN: it has brought nothing
    int64_t time                # event time of that, us
    int64_t epoch               # of damage of its kind, when it came
    bint covers                 # the exchange has acknowledged the stream on it
    bint behind                 # it may still bring what was sent before `Stream.era`


cdef class Line:
    """One connection, and what came through it."""

    cdef readonly int number
    cdef readonly str name
    cdef readonly int64_t frames
    cdef readonly int64_t bytes
    cdef readonly int64_t won
    cdef readonly int64_t duplicates
    cdef readonly int64_t damaged
    cdef readonly int64_t unwanted
    cdef readonly int64_t received      # ns, of the last read
    cdef readonly Histogram lag         # of what another connection had brought before
    cdef readonly int64_t delay         # ns from the time of the latest event to its arrival
    cdef int64_t damaged_at
    cdef int64_t[KINDS] epochs          # by kind: how many frames of it came damaged
    cdef readonly bint gone             # nothing that still comes through it counts
    cdef set streams                    # in which it has a leg


cdef class Stream:
    cdef readonly str name
    cdef readonly str kind
    cdef readonly int64_t frames
    cdef readonly int64_t duplicates
    cdef readonly int64_t out_of_order
    cdef readonly int64_t late
    cdef readonly int64_t overlaps
    cdef readonly int64_t culled
    cdef readonly object lost           # an int: gaps of 2**64 ids can't be counted in 64 bits
    cdef public int64_t dropped
    cdef readonly int64_t last          # the id up to which events were handed on, or INT64_MIN
    cdef readonly int64_t received      # ns since 1970, when that came
    cdef readonly int64_t heard         # the same by the monotonic clock
    cdef int number                     # its kind: TRADE and so on
    cdef bint jumps                     # ids need not follow upon each other
    cdef bint is_stray                  # stands for all streams that nobody has subscribed to
    cdef bint forgotten                 # not subscribed any more
    cdef bint resumes                   # subscribed again, and nothing has come since
    cdef int64_t last_time              # the latest event time of what was handed on
    cdef int64_t era                    # the time of the first event of a new count
    cdef int64_t era_since              # when that came, by the monotonic clock
    cdef int64_t gap_top                # no id above was left out
    cdef object gaps                    # Intervals: ids up to `last` that were not handed on
    cdef sbe_leg* legs
    cdef int leg_count
    cdef int leg_room
    cdef list lines                     # whose legs these are
    cdef sbe_arrival[RECENT] recent
    cdef public object cause            # of the break before the next event, or None
    cdef list held                      # heap of frames that wait for another connection's, or None
    cdef object arrivals                # deque of the same, in the order in which they came
    cdef list freed                     # frames that need not wait any more

    cdef int reset(self) except -1
    cdef void forget_legs(self) noexcept
    cdef sbe_leg* add_leg(self, Line line) except NULL
    cdef int remove_leg(self, Line line) except -1


cdef class Sequencer:
    cdef readonly dict streams          # by name
    cdef readonly set holding           # streams with frames that wait
    cdef readonly Py_ssize_t held_count
    cdef public Py_ssize_t most_held    # frames that wait at most
    cdef public int64_t patience        # ns that a frame waits at most
    cdef public object is_wanted        # asked with the name of a stream that is new
    cdef readonly dict strays           # frames by the names of streams nobody wants; the first of them
    cdef readonly int64_t stray_frames
    cdef object note_hole
    cdef object note_late
    cdef list symbols                   # by kind: bytes of the symbol -> Stream
    cdef list stray_streams             # by kind
    cdef list odd_ids                   # of the event that is judged, where it is odd
    cdef PyObject** known[KINDS]        # by kind and by the symbol's code in the rows
    cdef uint32_t known_count[KINDS]
    cdef uint32_t known_room[KINDS]

    cdef void forget_codes(self) noexcept
    cdef int learn(self, int kind, const sbe_table* table, uint32_t code) except -1
    cdef int note_odd(self, sbe_event* event, const char* ids, Py_ssize_t stride, Py_ssize_t count) except -1
    cdef int set_odd(self, sbe_event* event, list found) except -1
    cdef Stream stream_of(self, int kind, bytes symbol)
    cdef Stream stray(self, int kind, str name)
    cdef Stream judge_frame(self, bytes frame, sbe_event* event)
    cdef int settle(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef int follow(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef int note_ids(
        self, Stream stream, int64_t before, const sbe_event* event, int64_t received
    ) except -1
    cdef int count_anew(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef int known_before(
        self, Stream stream, Line line, const sbe_event* event, int64_t before, int64_t received
    ) except -1
    cdef int repeated(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1
    cdef object fill(self, Stream stream, const sbe_event* event, int64_t first)
    cdef bint is_awaited(self, Stream stream, Line line, const sbe_event* event) noexcept
    cdef int note_gap(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t begin
    ) except -1
    cdef int add_hole(
        self, Stream stream, int64_t before, int64_t after, int64_t received, str cause
    ) except -1
    cdef list hold(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment,
        object frame
    )
    cdef list next_held(self, Stream stream, int64_t due)


cdef inline sbe_leg* leg_of(Stream stream, Line line) noexcept:
    """A connection's part in a stream, NULL where it has none."""
    cdef int i
    for i in range(stream.leg_count):
        if stream.legs[i].line == <PyObject*>line:
            return &stream.legs[i]
    return NULL


cdef inline bint is_next(const sbe_event* event, int64_t last) noexcept:
    """Whether its first id is the one after ``last``, whatever numbers these are."""
    return <uint64_t>event.first - <uint64_t>last == 1 and last != INT64_MIN


cdef inline void accept(
    Stream stream, Line line, sbe_leg* leg, const sbe_event* event, int64_t received, int64_t moment
) noexcept:
    """The event is handed on."""
    cdef sbe_arrival* arrival
    leg.at = event.last
    leg.time = event.time
    stream.last = event.last
    if event.time > stream.last_time:           # an exchange's clocks may step back a little
        stream.last_time = event.time
    stream.received = received
    stream.heard = moment
    line.won += 1
    if stream.leg_count > 1:                    # others may bring it again
        arrival = &stream.recent[stream.frames & (RECENT - 1)]
        arrival.last = event.last
        arrival.received = received
    stream.frames += 1


cdef inline int judge(
    Sequencer sequencer, Stream stream, Line line, const sbe_event* event, int64_t received,
    int64_t moment
) except -1:
    """What is to be done with an event that a connection brings.

    ``received`` is the time of arrival (ns since 1970), ``moment`` the same by the monotonic clock.
    """
    cdef sbe_leg* leg = leg_of(stream, line)
    line.delay = <int64_t>(<uint64_t>received - <uint64_t>event.time * 1000)
    if (
        leg != NULL and stream.held is None and not event.odd and leg.at != INT64_MIN
        and not leg.behind and leg.begin <= stream.last and leg.epoch == line.epochs[stream.number]
    ):
        if is_next(event, stream.last) and event.last >= event.first:
            accept(stream, line, leg, event, received, moment)
            return HAND_OVER
        if stream.jumps and event.last > stream.last:
            stream.culled += 1
            accept(stream, line, leg, event, received, moment)
            return HAND_OVER
    return sequencer.settle(stream, line, event, received, moment)


cdef inline PyObject* event_of_row(
    Sequencer sequencer, Rows rows, int kind, sbe_event* event
) except NULL:
    """The ids of the row that was just appended to its table, and its stream (borrowed)."""
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
                    sequencer.note_odd(
                        event, <const char*>&trades[0].id, sizeof(TradesStreamEventTradesRow), count
                    )
                    break
    event.time = (<const int64_t*>row)[0]
    if code >= sequencer.known_count[kind]:
        sequencer.learn(kind, table, code)
    return sequencer.known[kind][code]
