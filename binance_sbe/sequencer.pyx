"""Arbitration between connections, and the detection of what is missing.

Streams of trades and of book diffs number what they bring without gaps: an id that is left out is a
hole. The ids of bestBidAsk and depth20 are those of the book, of which they bring some. What one connection
leaves out between two events that it brings was culled by the exchange, which is no loss; what no
connection has passed over in this way makes a hole.

Of several connections with the same streams, the first to bring an event wins. An event that would
leave a gap waits while another connection may still bring what is missing, for ``patience`` at most. Nothing that
any connection brings is thrown away unless it was handed on before, or is a price that newer
ones have replaced: what belongs into a hole is handed on late, and taken out of the hole.

On one connection events are in order, as TCP has them: what repeats there, or goes back, is the exchange's
own doing. It is counted as out of order and dropped, unless it fills a hole. Lower ids at a later
event time mean that the exchange counts anew.

What a connection has brought of a stream is known by a leg of the stream (`sbe_leg`), which only that
connection's subscription makes: connections with other streams have no part in it.

No sockets and no clock: times are given. Used on one thread.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
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

from collections import deque
from heapq import heappop, heappush
from itertools import count

from . import spot_stream
from .intervals import Intervals

KIND_NAMES = ("trade", "bestBidAsk", "depth20", "depth")
assert [each.TEMPLATE_ID for each in spot_stream.MESSAGES.values()] == [10000, 10001, 10002, 10003]

cdef int64_t BEHIND = 60_000_000_000     # ns by which one connection may be later than another

MOST_STRAYS = 100               # names of streams that nobody has subscribed to
_TURNS = count()                # of frames that wait


cdef class Line:
    """One connection, and what came through it.

    ``won`` counts the events that it brought first, ``duplicates`` those that another had brought;
    ``lag`` is a histogram (ns) of how long before. ``delay`` is the time from the latest event's
    event time to its arrival (ns, by two clocks). ``unwanted`` counts the frames that came after the
    feed had done with the connection.
    """

    def __cinit__(self, int number=0, str name="line 1"):
        self.number = number
        self.name = name
        self.lag = Histogram()
        self.damaged_at = INT64_MIN
        self.streams = set()

    def __repr__(self):
        return f"<Line {self.name}: {self.frames} frames, {self.won} first, {self.duplicates} again>"


cdef class Stream:
    """What is known of one stream. Counters are exact.

    - ``frames``: events that were handed on
    - ``duplicates``: events dropped, since they were handed on before or newer prices have replaced them
    - ``out_of_order``: events that repeat, or go back, on one and the same connection
    - ``late``: events that were handed on after later ones: what they bring is in no hole any more
    - ``overlaps``: events that begin before the last one ends, and end after it
    - ``culled``: of bestBidAsk and depth20, gaps in the ids of the book, which are no loss
    - ``lost``: ids in holes, of trade and depth
    - ``dropped``: events that were dropped for a slow consumer
    """

    def __cinit__(self, str name, str kind):
        self.name = name
        self.kind = kind
        self.number = KIND_NAMES.index(kind)
        self.jumps = kind in ("bestBidAsk", "depth20")
        self.lost = 0
        self.lines = []
        self.reset()

    def __dealloc__(self):
        free(self.legs)

    def __repr__(self):
        return f"<Stream {self.name}: {self.frames} frames, {self.lost} lost>"

    cdef int reset(self) except -1:
        """What comes next follows upon nothing."""
        self.last = self.last_time = self.era = self.gap_top = INT64_MIN
        self.gaps = None
        self.forget_legs()
        return 0

    cdef void forget_legs(self) noexcept:
        """What the connections have brought says nothing of what they will."""
        cdef int i
        for i in range(self.leg_count):
            self.legs[i].at = INT64_MIN

    cdef sbe_leg* add_leg(self, Line line) except NULL:
        cdef sbe_leg* grown
        cdef sbe_leg* leg
        if self.leg_count == self.leg_room:
            grown = <sbe_leg*>realloc(self.legs, (self.leg_room + 2) * sizeof(sbe_leg))
            if grown == NULL:
                raise MemoryError()
            self.legs = grown
            self.leg_room += 2
        leg = &self.legs[self.leg_count]
        leg[0] = sbe_leg(<PyObject*>line, INT64_MIN, INT64_MIN, INT64_MIN, 0, False, self.era != INT64_MIN)
        self.lines.append(line)
        line.streams.add(self)
        self.leg_count += 1
        return leg

    cdef int remove_leg(self, Line line) except -1:
        cdef int i
        for i in range(self.leg_count):
            if self.legs[i].line == <PyObject*>line:
                self.leg_count -= 1
                self.legs[i] = self.legs[self.leg_count]
                self.lines[i] = self.lines[self.leg_count]
                del self.lines[self.leg_count]
                break
        return 0

    @property
    def is_covered(self):
        """Whether a connection brings it: one that is open, and has subscribed."""
        cdef int i
        return any([self.legs[i].covers for i in range(self.leg_count)])

    def in_step(self, Line line not None):
        """Whether a connection has brought an event that was handed on, or the next."""
        cdef sbe_leg* leg = leg_of(self, line)
        return leg != NULL and leg.at != INT64_MIN and leg.begin <= self.last


cdef class Held:
    """A frame that waits for what is missing before it."""

    cdef sbe_event event
    cdef list ids               # of an odd event
    cdef Line line
    cdef int64_t received
    cdef int64_t moment
    cdef int64_t begin          # its connection has brought all that was sent from this id up to it
    cdef object frame
    cdef bint done


cdef inline bint is_old(Stream stream, const sbe_event* event) noexcept:
    """Whether all of the event is at or before what was handed on."""
    if event.last != stream.last or stream.number != DEPTH20:
        return event.last <= stream.last
    return event.time <= stream.last_time       # a book at rest is sent again, and is news then


cdef inline bint leaves_no_gap(Stream stream, const sbe_event* event) noexcept:
    return event.first <= stream.last or is_next(event, stream.last)


cdef inline bint passed_over(
    Stream stream, const sbe_event* event, int64_t begin=INT64_MAX
) noexcept:
    """Whether one connection has brought all that was sent from what was handed on up to an event.

    The event's own connection has from ``begin`` on.
    """
    cdef int i
    cdef sbe_leg* leg
    if begin <= stream.last:
        return True
    for i in range(stream.leg_count):
        leg = &stream.legs[i]
        if (
            leg.at != INT64_MIN and leg.begin <= stream.last and leg.at >= event.last
            and leg.epoch == (<Line>leg.line).epochs[stream.number]
        ):
            return True
    return False


cdef class Sequencer:
    """``note_hole(stream, last_before, first_after, started_ns, ended_ns, cause)`` is told of holes.

    ``note_late(stream, first, last)`` is told of ids that come after all, and returns how many of them were
    in holes. ``is_wanted(name)`` says whether anybody has subscribed to a stream; events of others are
    handed on and counted together, see ``strays``.
    """

    def __cinit__(self, note_hole, int64_t patience=1_000_000_000, note_late=None):
        self.streams = {}
        self.holding = set()
        self.most_held = 1 << 62
        self.patience = patience
        self.note_hole = note_hole
        self.note_late = note_late
        self.symbols = [{} for _ in range(KINDS)]
        self.stray_streams = [Stream(f"*@{kind}", kind) for kind in KIND_NAMES]
        for each in self.stray_streams:
            (<Stream>each).is_stray = True
        self.strays = {}

    def __dealloc__(self):
        cdef int kind
        for kind in range(KINDS):
            free(self.known[kind])

    # streams by symbol

    cdef Stream stream_of(self, int kind, bytes symbol):
        stream = (<dict>self.symbols[kind]).get(symbol)
        if stream is None:
            text = symbol.decode("utf-8", "surrogateescape").lower()
            name = f"{text}@{KIND_NAMES[kind]}"
            if name not in self.streams and self.is_wanted is not None and not self.is_wanted(name):
                return self.stray(kind, name)
            stream = self.stream(name)
            self.symbols[kind][symbol] = stream
        return <Stream>stream

    cdef Stream stray(self, int kind, str name):
        """Stands for a stream that nobody wants; the first hundred are counted by name as well."""
        if name in self.strays or len(self.strays) < MOST_STRAYS:
            self.strays[name] = self.strays.get(name, 0) + 1
        return <Stream>self.stray_streams[kind]

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

    cdef int note_odd(
        self, sbe_event* event, const char* ids, Py_ssize_t stride, Py_ssize_t count
    ) except -1:
        """Trades whose ids do not simply follow upon each other. ``ids`` are those of rows."""
        found = [(<const int64_t*>(ids + i * stride))[0] for i in range(count)]
        return self.set_odd(event, found)

    cdef int set_odd(self, sbe_event* event, list found) except -1:
        self.odd_ids = found
        event.odd = True
        event.first, event.last = min(found), max(found)
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
        cdef size_t size = len(frame), i
        cdef int kind
        if size < 8:
            return None
        kind = (data[2] | data[3] << 8) - 10000
        event.odd = False
        if kind == TRADE and parse_TradesStreamEvent(data, size, &trades, &fault):
            event.time = TradesStreamEvent_event_time(&trades)
            event.first = event.last = INT64_MIN
            if trades.trades.count:
                event.first = TradesStreamEvent_trades_id(&trades, 0)
                event.last = TradesStreamEvent_trades_id(&trades, trades.trades.count - 1)
                for i in range(1, trades.trades.count):
                    if (
                        <uint64_t>TradesStreamEvent_trades_id(&trades, i)
                        - <uint64_t>TradesStreamEvent_trades_id(&trades, i - 1) != 1
                    ):
                        self.set_odd(event, [
                            TradesStreamEvent_trades_id(&trades, i)
                            for i in range(trades.trades.count)
                        ])
                        break
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
        """The lowest and the highest id of a frame. ValueError where it is no message."""
        cdef sbe_event event
        if self.judge_frame(frame, &event) is None:
            raise ValueError("the frame is no message")
        return event.first, event.last

    # what is not simply the next event of a connection that is in step

    cdef int settle(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        cdef sbe_leg* leg
        cdef int64_t before = INT64_MIN
        if stream.is_stray:
            self.stray_frames += 1
            return HAND_OVER
        if event.last == INT64_MIN or event.first > event.last:     # no ids, or none that can be
            stream.frames += 1
            stream.out_of_order += event.last != INT64_MIN
            return HAND_OVER
        leg = leg_of(stream, line)
        if leg == NULL:
            leg = stream.add_leg(line)
        if leg.behind:
            # sent before the exchange began to count anew
            if event.time < stream.era and moment - stream.era_since < BEHIND:
                stream.out_of_order += 1
                return DROP
            leg.behind = False
        # Where it is only known that it has left nothing out, what it brings first may be older.
        if leg.at != INT64_MIN and (leg.time != INT64_MIN or event.last > leg.at):
            if event.last < leg.at or event.last == leg.at and (
                stream.number != DEPTH20 or event.time <= leg.time
            ):
                return self.repeated(stream, line, event, received, moment)
            if leg.epoch == line.epochs[stream.number] or not stream.jumps:
                before = leg.at
        if stream.last != INT64_MIN and event.last < stream.last and event.time > stream.last_time:
            return self.count_anew(stream, line, event, received, moment)
        if before == INT64_MIN:             # all that was sent, from here on
            leg.begin = event.first
        leg.at = event.last
        leg.time = event.time
        leg.epoch = line.epochs[stream.number]
        if stream.last == INT64_MIN:
            return self.follow(stream, line, event, received, moment)
        if is_old(stream, event):
            return self.known_before(stream, line, event, before, received)
        if leaves_no_gap(stream, event):
            stream.overlaps += event.first <= stream.last and not stream.jumps
            return self.follow(stream, line, event, received, moment)
        if stream.held is not None or self.is_awaited(stream, line, event):
            return HOLD
        self.note_gap(stream, line, event, received, leg.begin)
        return self.follow(stream, line, event, received, moment)

    cdef int follow(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        """The event is handed on, after those before it."""
        cdef sbe_leg gone
        cdef sbe_leg* leg = leg_of(stream, line)
        cdef int64_t before = stream.last, at, time
        if leg == NULL:                     # it has waited longer than its connection was there
            gone.at = gone.time = INT64_MIN
            leg = &gone
        at, time = leg.at, leg.time
        accept(stream, line, leg, event, received, moment)
        if at > leg.at:                     # later events of the connection wait
            leg.at, leg.time = at, time
        stream.cause = None
        stream.resumes = False
        if before == INT64_MIN:
            stream.gaps = Intervals()
            if event.first > INT64_MIN + 1:     # nobody knows what was sent before
                stream.gaps.append(INT64_MIN + 1, event.first - 1)
                stream.gap_top = event.first - 1
        elif event.first <= stream.gap_top:
            self.fill(stream, event, event.first)
        if event.odd:
            self.note_ids(stream, before, event, received)
        stream.last = max(stream.last, before)
        return HAND_OVER if stream.held is None and stream.freed is None else HAND_OVER_AND_MORE

    cdef int note_ids(
        self, Stream stream, int64_t before, const sbe_event* event, int64_t received
    ) except -1:
        """What is missing, or repeats, within one event."""
        ids = self.odd_ids
        stream.out_of_order += sum([b <= a for a, b in zip(ids, ids[1:])])
        at = max(<object>before, <object>event.first - 1)
        for each in sorted(ids):
            if each > at + 1:
                self.add_hole(stream, at, each, received, "not sent")
            at = max(at, each)
        return 0

    cdef bint is_awaited(self, Stream stream, Line line, const sbe_event* event) noexcept:
        """Whether another connection may still bring what is missing before an event."""
        cdef int i
        cdef sbe_leg* leg
        if stream.jumps and passed_over(stream, event):
            return False
        for i in range(stream.leg_count):
            leg = &stream.legs[i]
            if leg.line == <PyObject*>line or leg.at == INT64_MIN or leg.begin > stream.last:
                continue
            if leg.at < event.last if stream.jumps else leg.at < event.first - 1:
                return True
        return False

    cdef int repeated(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        """An event that this very connection has brought before, or has passed.

        It is dropped, but where something still waits for it: it fills a hole, late, or the exchange
        has begun to count anew.
        """
        stream.out_of_order += 1
        if event.last < stream.last and event.time > stream.last_time:
            return self.count_anew(stream, line, event, received, moment)
        if event.last > stream.last:        # what this connection has brought before waits
            if leaves_no_gap(stream, event):
                return self.follow(stream, line, event, received, moment)
            return HOLD
        if event.first <= stream.gap_top and self.fill(stream, event, event.first):
            stream.late += 1
            stream.frames += 1
            return HAND_OVER
        return DROP

    cdef int count_anew(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        """Lower ids at a later event time: what was before says nothing of what comes.

        Other connections may still bring what was sent before, for a minute.
        """
        cdef sbe_leg* leg
        cdef int i
        cdef list ids = self.odd_ids
        if stream.held is not None:
            stream.freed = self.next_held(stream, INT64_MAX)
            self.odd_ids = ids              # those that waited have had theirs there
        stream.reset()
        stream.era = event.time
        stream.era_since = moment
        for i in range(stream.leg_count):
            stream.legs[i].behind = True
        leg = leg_of(stream, line)
        leg.behind = False                  # what it brings from here on was sent after this
        leg.begin, leg.at, leg.time = event.first, event.last, event.time
        leg.epoch = line.epochs[stream.number]
        return self.follow(stream, line, event, received, moment)

    cdef int known_before(
        self, Stream stream, Line line, const sbe_event* event, int64_t before, int64_t received
    ) except -1:
        """An event at or before what was handed on: it is late, or a duplicate.

        ``before`` is what its connection had brought, from which on it has brought all that was sent.
        """
        cdef int64_t first = event.first
        cdef int i
        if stream.jumps and INT64_MIN < before < event.last:
            first = before + 1
        if first <= stream.gap_top:
            is_missing = event.last in stream.gaps
            if self.fill(stream, event, first) and (is_missing or not stream.jumps):
                stream.late += 1
                stream.frames += 1
                line.won += 1
                return HAND_OVER
        stream.duplicates += 1
        line.duplicates += 1
        for i in range(RECENT):
            if stream.recent[i].last == event.last and stream.recent[i].received:
                note(line.lag, received - stream.recent[i].received, 1)
                break
        return DROP

    cdef object fill(self, Stream stream, const sbe_event* event, int64_t first):
        """Takes out of the gaps what an event brings, from ``first`` on; how many ids that is."""
        filled = 0
        runs = [(each, each) for each in self.odd_ids] if event.odd else [(first, event.last)]
        for low, high in runs:
            for taken in stream.gaps.remove(low, high):
                filled += taken[1] - taken[0] + 1
                if self.note_late is not None:
                    late = self.note_late(stream, *taken)
                    if not stream.jumps:
                        stream.lost -= late
        top = stream.gaps.top
        stream.gap_top = INT64_MIN if top is None else top
        return filled

    cdef int note_gap(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t begin
    ) except -1:
        """What is left out before an event: culled where a connection has passed over it, else a hole."""
        cdef int i
        if stream.forgotten or stream.resumes:      # nobody has asked for what is between
            first, last = <object>stream.last + 1, <object>event.first - 1
            stream.gaps.append(first, last)
            stream.gap_top = last
            return 0
        if stream.jumps and passed_over(stream, event, begin):
            stream.culled += 1
            return 0
        cause = stream.cause
        for i in range(stream.leg_count if cause is None else 0):
            if (<Line>stream.legs[i].line).damaged_at >= stream.received:
                cause = "a damaged frame"
        if cause is None:
            is_late = self.is_awaited(stream, line, event)
            cause = "another connection was late" if is_late else "not sent"
        return self.add_hole(stream, stream.last, event.first, received, cause)

    cdef int add_hole(
        self, Stream stream, int64_t before, int64_t after, int64_t received, str cause
    ) except -1:
        first, last = <object>before + 1, <object>after - 1
        if not stream.jumps:
            stream.lost += last - first + 1
        stream.gaps.append(first, last)
        stream.gap_top = last
        self.note_hole(stream, before, after, stream.received, received, cause)
        return 0

    # frames that wait

    cdef list hold(
        self, Stream stream, Line line, const sbe_event* event, int64_t received, int64_t moment,
        object frame
    ):
        """Keeps a frame; returns those, as (frame, received), that need not wait any more."""
        cdef Held held = Held.__new__(Held)
        held.event = event[0]
        held.ids = self.odd_ids if event.odd else None
        held.line = line
        held.received = received
        held.moment = moment
        held.begin = leg_of(stream, line).begin
        held.frame = frame
        if stream.held is None:
            stream.held = []
            stream.arrivals = deque()
            self.holding.add(stream)
        heappush(stream.held, (event.first, next(_TURNS), held))
        stream.arrivals.append(held)
        self.held_count += 1
        if self.held_count > self.most_held:
            return self.next_held(stream, INT64_MAX)
        return self.next_held(stream, INT64_MIN)

    cdef list next_held(self, Stream stream, int64_t due):
        """The frames, as (frame, received), that need not wait any more.

        Those that came at ``due`` or before (by the monotonic clock) wait no longer.
        """
        cdef Held held
        cdef bint leaves_gap
        ready, stream.freed = stream.freed or [], None
        waiting, stream.held = stream.held, None
        while waiting:
            held = waiting[0][2]
            self.odd_ids = held.ids
            if is_old(stream, &held.event):
                verdict = self.known_before(
                    stream, held.line, &held.event, INT64_MIN, held.received
                )
                if verdict == HAND_OVER:
                    ready.append((held.frame, held.received))
            else:
                leaves_gap = not leaves_no_gap(stream, &held.event)
                if leaves_gap and self.is_awaited(stream, held.line, &held.event):
                    while (<Held>stream.arrivals[0]).done:
                        stream.arrivals.popleft()
                    if (<Held>stream.arrivals[0]).moment > due:
                        break
                if leaves_gap:
                    self.note_gap(stream, held.line, &held.event, held.received, held.begin)
                self.follow(stream, held.line, &held.event, held.received, held.moment)
                ready.append((held.frame, held.received))
            heappop(waiting)
            held.done = True
            self.held_count -= 1
        if waiting:
            stream.held = waiting
        else:
            stream.arrivals = None
            self.holding.discard(stream)
        return ready

    def released(self, int64_t moment, int64_t read_since=INT64_MIN):
        """The frames, as (frame, received), that have waited long enough at ``moment``.

        All by the monotonic clock, in ns. They are not taken to wait for others before ``read_since``,
        when sockets began to be read again.
        """
        ready = []
        due = moment - self.patience if read_since + self.patience <= moment else INT64_MIN
        for stream in list(self.holding):
            ready += self.next_held(stream, due)
        return ready

    # connections that come and go

    def enter(self, Line line not None, names, int64_t now=0):
        """A connection brings these streams from now on: others' gaps may wait for it."""
        cdef Stream stream
        cdef sbe_leg* leg
        for name in names:
            stream = self.stream(name)
            if stream.forgotten:            # what came meanwhile was on its way already
                stream.forgotten = False
                stream.resumes = True
                stream.forget_legs()
            leg = leg_of(stream, line)
            if leg == NULL:
                leg = stream.add_leg(line)
            leg.covers = True

    def leave(self, Line line not None, str cause, bint whole=False):
        """A connection brings nothing any more; ``cause`` says why.

        ``whole`` says that it has brought all up to its end, which we had asked for: nothing is missing then
        before what others bring that have subscribed meanwhile.
        """
        cdef Stream stream
        cdef sbe_leg* leg
        cdef int i
        cdef bint stands
        line.gone = True
        for stream in line.streams:
            stream.remove_leg(line)
            stands = False
            for i in range(stream.leg_count):
                leg = &stream.legs[i]
                if whole and leg.covers and leg.at == INT64_MIN and stream.last != INT64_MIN:
                    leg.begin = leg.at = stream.last
                    leg.time = INT64_MIN        # none of that was brought by itself
                    leg.epoch = (<Line>leg.line).epochs[stream.number]
                stands = stands or leg.at != INT64_MIN and leg.begin <= stream.last
            if not stands and stream.cause is None:
                stream.cause = cause
        line.streams.clear()

    def damage(self, Line line not None, bytes frame not None, int64_t received):
        """A frame that is no message came through a connection.

        Of trades and diffs the next id will tell what was lost. Of bestBidAsk and depth20 it won't: their
        next event is stitched as after a break, unless the frame's template says that it was
        none of theirs.
        """
        cdef int kind
        cdef int template = -1
        line.damaged += 1
        line.damaged_at = received
        if len(frame) >= 4:
            template = (frame[2] | frame[3] << 8) - 10000
        for kind in range(KINDS):
            if kind == template or not 0 <= template < KINDS:
                line.epochs[kind] += 1

    def forget(self, names):
        """These streams are not wanted any more. Returns the frames, as (frame, received), that waited.

        What still comes of them was on its way, or was handed on before: what that is is not forgotten.
        """
        cdef Stream stream
        ready = []
        for name in names:
            stream = self.stream(name)
            ready += self.next_held(stream, INT64_MAX)
            for line in stream.lines:
                (<Line>line).streams.discard(stream)
            stream.leg_count = 0
            stream.lines = []
            stream.cause = None
            stream.forgotten = True
        return ready

    def arrive(self, Line line not None, bytes frame not None, int64_t received, moment=None):
        """The frames, as (frame, received), that are to be handed on when this one has come.

        ``moment`` is the same time by the monotonic clock, ``received`` where it is None.
        """
        cdef sbe_event event
        cdef int verdict
        cdef int64_t at = received if moment is None else moment
        stream = self.judge_frame(frame, &event)
        if stream is None:
            self.damage(line, frame, received)
            return [(frame, received)]
        verdict = judge(self, stream, line, &event, received, at)
        if verdict == HAND_OVER:
            return [(frame, received)]
        if verdict == HAND_OVER_AND_MORE:
            return [(frame, received), *self.next_held(stream, INT64_MIN)]
        if verdict == HOLD:
            return self.hold(stream, line, &event, received, at, frame)
        return []
