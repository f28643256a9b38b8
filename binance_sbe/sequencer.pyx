"""Arbitration between connections, and the detection of what is missing.

Streams of trades and of book diffs number what they bring without gaps: an id that is left out is a hole. The
ids of bestBidAsk and depth20 are those of the book, of which they bring some; what is left out is
counted as culled, and only a break of the connection makes a hole of it.

Of several connections with the same streams, the first to bring an event wins. An event that would
leave a gap waits while another connection may still bring what is missing, for ``patience`` at most. On
one connection events are in order as TCP has them: what repeats there, or goes back, is the exchange's own
doing. It is counted as out of order and dropped, but for what fills a hole: that is handed on late. Lower ids at
a later event time mean that the exchange counts anew.

No sockets and no clock: times are given. Used on one thread.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc

from sbe_codegen.runtime.cursor cimport sbe_data, sbe_fault
from sbe_codegen.runtime.tables cimport sbe_table

from .spot_stream cimport (
    BestBidAskStreamEventFrame, DepthDiffStreamEventFrame, DepthSnapshotStreamEventFrame,
    TradesStreamEventFrame, TradesStreamEvent_event_time, TradesStreamEvent_trades_id,
    BestBidAskStreamEvent_book_update_id, BestBidAskStreamEvent_event_time,
    DepthDiffStreamEvent_event_time, DepthDiffStreamEvent_first_book_update_id,
    DepthDiffStreamEvent_last_book_update_id, DepthSnapshotStreamEvent_book_update_id,
    DepthSnapshotStreamEvent_event_time, parse_BestBidAskStreamEvent, parse_DepthDiffStreamEvent,
    parse_DepthSnapshotStreamEvent, parse_TradesStreamEvent,
)
from .stats cimport Histogram, note

from . import spot_stream

MOST_LINES = PLACES
KIND_NAMES = ("trade", "bestBidAsk", "depth20", "depth")
assert [each.TEMPLATE_ID for each in spot_stream.MESSAGES.values()] == [10000, 10001, 10002, 10003]


cdef class Line:
    """One connection: its place among those with the same streams, and what came through it.

    ``won`` counts the events that it brought first, ``duplicates`` those that another had brought;
    ``lag`` is a histogram (ns) of how long before. ``unwanted`` counts the frames that came after the
    feed had done with the connection, which another brings as well unless the feed is closed.
    """

    def __cinit__(self, int place=0, str name="line 1"):
        if not 0 <= place < PLACES:
            raise ValueError(f"a place is from 0 to {PLACES - 1}, not {place}")
        self.place = place
        self.name = name
        self.lag = Histogram()
        self.damaged_at = INT64_MIN

    def __repr__(self):
        return f"<Line {self.name}: {self.frames} frames, {self.won} first, {self.duplicates} again>"


cdef class Stream:
    """What is known of one stream. Counters are exact.

    - ``frames``: events that were handed on
    - ``duplicates``: events dropped, since another connection had brought them
    - ``out_of_order``: events that repeat, or go back, on one and the same connection
    - ``overlaps``: events that begin before the last one ends, and end after it
    - ``culled``: of bestBidAsk and depth20, gaps in the ids of the book, which are no loss
    - ``lost``: ids in holes, of trade and depth
    - ``dropped``: events that were dropped for a slow consumer
    """

    def __cinit__(self, str name, str kind):
        cdef int i
        self.name = name
        self.kind = kind
        self.jumps = kind in ("bestBidAsk", "depth20")
        self.last = INT64_MIN
        for i in range(PLACES):
            self.at[i] = INT64_MIN
            self.since[i] = INT64_MAX

    def __repr__(self):
        return f"<Stream {self.name}: {self.frames} frames, {self.lost} lost>"


cdef class Held:
    """A frame that waits for what is missing before it."""

    cdef sbe_event event
    cdef Line line
    cdef int64_t received
    cdef object frame
    cdef int64_t since          # when its connection began to bring all of the stream, by then


cdef inline bint is_old(Stream stream, const sbe_event* event) noexcept:
    """Whether all of the event was handed on before."""
    if event.last != stream.last or stream.kind != "depth20":
        return event.last <= stream.last
    return event.time <= stream.last_time       # a book at rest is sent again, and is news then


cdef class Sequencer:
    """``note_hole(stream, last_before, first_after, started_ns, ended_ns, cause)`` is told of holes.

    ``note_late(stream, first, last)`` is asked whether these ids are in one, and takes them out.
    """

    def __cinit__(self, note_hole, int64_t patience=1_000_000_000, note_late=None):
        self.streams = {}
        self.holding = set()
        self.patience = patience
        self.note_hole = note_hole
        self.note_late = note_late
        self.symbols = [{} for _ in range(KINDS)]

    def __dealloc__(self):
        cdef int kind
        for kind in range(KINDS):
            free(self.known[kind])

    # streams by symbol

    cdef Stream stream_of(self, int kind, bytes symbol):
        stream = (<dict>self.symbols[kind]).get(symbol)
        if stream is None:
            name = KIND_NAMES[kind]
            text = symbol.decode("utf-8", "surrogateescape").lower()
            stream = self.stream(f"{text}@{name}")
            self.symbols[kind][symbol] = stream
        return <Stream>stream

    def stream(self, str name):
        """The stream of that name, which is new where nothing was known of it."""
        stream = self.streams.get(name)
        if stream is None:
            stream = self.streams[name] = Stream(name, name.rpartition("@")[2])
        return stream

    cdef void forget_codes(self) noexcept:
        """From now on symbols have other codes: rows go to new tables."""
        for kind in range(KINDS):
            self.known_count[kind] = 0

    cdef int learn(self, int kind, const sbe_table* table, uint32_t code) except -1:
        """The streams of codes up to one that was not seen since `forget_codes`."""
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
            self.known[kind][next_code] = <PyObject*>stream     # kept alive by self.streams
        self.known_count[kind] = code + 1
        return 0

    cdef Stream judge_frame(self, bytes frame, sbe_event* event):
        """The stream and the ids of a frame, or None where it is no message."""
        cdef TradesStreamEventFrame trades
        cdef BestBidAskStreamEventFrame best
        cdef DepthSnapshotStreamEventFrame depth20
        cdef DepthDiffStreamEventFrame depth
        cdef sbe_fault fault
        cdef sbe_data symbol
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(frame)
        cdef size_t size = len(frame)
        cdef int kind
        if size < 8:
            return None
        kind = (data[2] | data[3] << 8) - 10000
        if kind == TRADE and parse_TradesStreamEvent(data, size, &trades, &fault):
            event.time = TradesStreamEvent_event_time(&trades)
            event.first = event.last = INT64_MIN
            if trades.trades.count:
                event.first = TradesStreamEvent_trades_id(&trades, 0)
                event.last = TradesStreamEvent_trades_id(&trades, trades.trades.count - 1)
            symbol = trades.symbol
        elif kind == BEST_BID_ASK and parse_BestBidAskStreamEvent(data, size, &best, &fault):
            event.time = BestBidAskStreamEvent_event_time(&best)
            event.first = event.last = BestBidAskStreamEvent_book_update_id(&best)
            symbol = best.symbol
        elif kind == DEPTH20 and parse_DepthSnapshotStreamEvent(data, size, &depth20, &fault):
            event.time = DepthSnapshotStreamEvent_event_time(&depth20)
            event.first = event.last = DepthSnapshotStreamEvent_book_update_id(&depth20)
            symbol = depth20.symbol
        elif kind == DEPTH and parse_DepthDiffStreamEvent(data, size, &depth, &fault):
            event.time = DepthDiffStreamEvent_event_time(&depth)
            event.first = DepthDiffStreamEvent_first_book_update_id(&depth)
            event.last = DepthDiffStreamEvent_last_book_update_id(&depth)
            symbol = depth.symbol
        else:
            return None
        return self.stream_of(kind, (<const char*>symbol.data)[:symbol.length])

    def ids(self, bytes frame not None):
        """The first and the last id of a frame. ValueError where it is no message."""
        cdef sbe_event event
        if self.judge_frame(frame, &event) is None:
            raise ValueError("the frame is no message")
        return event.first, event.last

    # what is not simply the next event of a connection that is in step

    cdef int settle(
        self, Stream stream, Line line, const sbe_event* event, int64_t received
    ) except -1:
        cdef uint8_t bit = <uint8_t>(1 << line.place)
        cdef int64_t before = stream.at[line.place]
        if event.last == INT64_MIN:         # an event of no trades
            stream.frames += 1
            return HAND_OVER
        if before != INT64_MIN and event.last <= before:
            return self.repeated(stream, line, event, received, event.last < before)
        stream.at[line.place] = event.last
        if stream.last == INT64_MIN:
            return self.follow(stream, line, event, received)
        if is_old(stream, event):
            stream.joined |= bit
            return self.duplicate(stream, line, event.last, received)
        if event.first <= stream.last + 1 and not stream.jumps:
            stream.overlaps += event.first <= stream.last
            return self.follow(stream, line, event, received)
        if self.is_awaited(stream, line, event):
            return HOLD
        in_step = stream.joined & bit or stream.received > stream.since[line.place]
        self.note_gap(stream, line, event.first, received, in_step)
        return self.follow(stream, line, event, received)

    cdef int follow(
        self, Stream stream, Line line, const sbe_event* event, int64_t received
    ) except -1:
        cdef int64_t at = stream.at[line.place]
        accept(stream, line, event, received)
        if line.gone:           # a frame that waited: the place is no longer this connection's
            stream.at[line.place] = at
        else:
            stream.joined |= <uint8_t>(1 << line.place)
        stream.cause = None
        return HAND_OVER if stream.held is None else HAND_OVER_AND_MORE

    cdef bint is_awaited(self, Stream stream, Line line, const sbe_event* event) except -1:
        """Whether another connection may still bring what is missing before an event."""
        cdef int place
        cdef uint8_t bit = <uint8_t>(1 << line.place)
        if stream.jumps and stream.joined & bit:
            return False
        for place in range(PLACES):
            if place != line.place and stream.cover & stream.joined & 1 << place:
                if stream.at[place] < (event.last if stream.jumps else event.first - 1):
                    return True
        return False

    cdef int repeated(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, bint back
    ) except -1:
        """An event that this very connection has brought before, or has passed.

        It is dropped, but where something still waits for it: it fills a hole, late, or the exchange
        has begun to count anew.
        """
        cdef int place
        cdef bint is_news = event.time > stream.last_time
        if stream.jumps and not back and is_news and event.last <= stream.last:
            return self.follow(stream, line, event, received)   # the same book, sent again
        stream.out_of_order += 1
        if event.last > stream.last:        # what this connection has brought before waits
            if event.first <= stream.last + 1 and not stream.jumps:
                return self.follow(stream, line, event, received)
            return HOLD
        if not stream.jumps and self.note_late is not None:
            if self.note_late(stream, event.first, event.last):
                stream.lost -= event.last - event.first + 1
                stream.frames += 1
                return HAND_OVER
        if not (back and is_news):
            return DROP
        for place in range(PLACES):         # the exchange counts anew: so do we
            stream.at[place] = INT64_MIN
        stream.joined = 0
        return self.follow(stream, line, event, received)

    cdef int duplicate(self, Stream stream, Line line, int64_t last, int64_t received) except -1:
        cdef int i
        stream.duplicates += 1
        line.duplicates += 1
        for i in range(RECENT):
            if stream.recent[i].last == last and stream.recent[i].received:
                note(line.lag, received - stream.recent[i].received, 1)
                break
        return DROP

    cdef int note_gap(
        self, Stream stream, Line line, int64_t first, int64_t received, bint in_step
    ) except -1:
        """What is left out before an event: culled where ids jump and nothing came between, else a hole."""
        if first <= stream.last + 1:
            return 0
        if stream.jumps and in_step:
            stream.culled += 1
            return 0
        cause = stream.cause
        if cause is None and line.damaged_at >= stream.received:
            cause = "a damaged frame"
        if not stream.jumps:
            stream.lost += first - stream.last - 1
        self.note_hole(
            stream, stream.last, first, stream.received, received, cause or "not sent"
        )
        return 0

    # frames that wait

    cdef int hold(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, object frame
    ) except -1:
        cdef Held held = Held.__new__(Held)
        held.event = event[0]
        held.line = line
        held.received = received
        held.frame = frame
        held.since = stream.since[line.place]
        if stream.held is None:
            stream.held = []
            self.holding.add(stream)
        stream.held.append(held)
        return 0

    cdef list next_held(self, Stream stream, bint forced):
        """The frames, as (frame, received), that need not wait any more."""
        cdef Held held
        ready = []
        in_step = set()         # connections whose event before was handed on, without a break since
        waiting, stream.held = stream.held, None
        waiting.sort(key=id_of)
        while waiting:
            held = waiting[0]
            if is_old(stream, &held.event):
                in_step.add((held.line, held.since))
                if not held.line.gone and held.since == stream.since[held.line.place]:
                    stream.joined |= <uint8_t>(1 << held.line.place)
                self.duplicate(stream, held.line, held.event.last, held.received)
                del waiting[0]
                continue
            if not forced and (stream.jumps or held.event.first > stream.last + 1):
                if self.is_awaited(stream, held.line, &held.event):
                    break
            is_next = stream.received > held.since or (held.line, held.since) in in_step
            self.note_gap(stream, held.line, held.event.first, held.received, is_next)
            self.follow(stream, held.line, &held.event, held.received)
            if not held.line.gone and held.since != stream.since[held.line.place]:
                stream.joined &= ~<uint8_t>(1 << held.line.place)
            ready.append((held.frame, held.received))
            del waiting[0]
            in_step.add((held.line, held.since))
        if waiting:
            stream.held = waiting
        else:
            self.holding.discard(stream)
        return ready

    def released(self, int64_t now, int64_t read_since=INT64_MIN):
        """The frames, as (frame, received), that have waited long enough at ``now`` (ns).

        They are not taken to wait for others before ``read_since``, when sockets began to be read again.
        """
        ready = []
        for stream in list(self.holding):
            oldest = min((<Held>held).received for held in (<Stream>stream).held)
            oldest = max(oldest, read_since)
            ready += self.next_held(stream, now - oldest >= self.patience)
        return ready

    # connections that come and go

    def enter(self, Line line not None, names, int64_t now):
        """A connection brings these streams from ``now`` (ns) on: others' gaps may wait for it."""
        cdef Stream stream
        for name in names:
            stream = self.stream(name)
            stream.cover |= <uint8_t>(1 << line.place)
            stream.since[line.place] = now

    def leave(self, Line line not None, str cause):
        """A connection brings nothing any more; ``cause`` says why."""
        cdef Stream stream
        cdef uint8_t bit = <uint8_t>(1 << line.place)
        line.gone = True
        for stream in self.streams.values():
            if not (stream.cover | stream.joined) & bit:
                continue
            stream.cover &= ~bit
            stream.joined &= ~bit
            stream.at[line.place] = INT64_MIN
            stream.since[line.place] = INT64_MAX
            if not stream.cover and stream.cause is None:
                stream.cause = cause

    def damage(self, Line line not None, bytes frame not None, int64_t received):
        """A frame that is no message came through a connection.

        Of trades and diffs the next id will tell what was lost. Of bestBidAsk and depth20 it won't: their
        next event is stitched as after a break, unless the frame's template says that it was
        none of theirs.
        """
        cdef Stream stream
        cdef uint8_t bit = <uint8_t>(1 << line.place)
        line.damaged += 1
        line.damaged_at = received
        template = int.from_bytes(frame[2:4], "little") - 10000
        for stream in self.streams.values():
            if not stream.jumps or not (stream.cover | stream.joined) & bit:
                continue
            if 0 <= template < KINDS and KIND_NAMES[template] != stream.kind:
                continue
            stream.joined &= ~bit
            stream.since[line.place] = received
            if not stream.cover & ~bit and stream.cause is None:
                stream.cause = "a damaged frame"

    def forget(self, names):
        """What comes of these streams from now on follows upon nothing: we did not want them."""
        cdef Stream stream
        cdef int place
        for name in names:
            stream = self.stream(name)
            stream.last = INT64_MIN
            stream.cause = None
            for place in range(PLACES):
                stream.at[place] = INT64_MIN
            stream.joined = stream.cover = 0

    def arrive(self, Line line not None, bytes frame not None, int64_t received):
        """The frames, as (frame, received), that are to be handed on when this one has come."""
        cdef sbe_event event
        cdef int verdict
        stream = self.judge_frame(frame, &event)
        if stream is None:
            self.damage(line, frame, received)
            return [(frame, received)]
        verdict = judge(self, stream, line, &event, received)
        if verdict == HAND_OVER:
            return [(frame, received)]
        if verdict == HAND_OVER_AND_MORE:
            return [(frame, received), *self.next_held(stream, False)]
        if verdict == HOLD:
            self.hold(stream, line, &event, received, frame)
        return []


def id_of(Held held):
    return held.event.first
