"""Arbitration between connections, and the detection of what is missing.

Streams of trades and of book diffs number what they bring without gaps: an id that is left out is a
hole. The ids of bestBidAsk and depth20 are those of the book, of which they bring some. What one
connection leaves out between two events that it brings was culled by the exchange, which is no
loss; what no connection has passed over in this way makes a hole.

Of several connections with the same streams, the first to bring an event wins. An event that would
leave a gap waits while another connection may still bring what is missing, for ``patience`` at
most. Nothing that any connection brings is thrown away unless it was handed on before, or is a
price that newer ones have replaced: what belongs into a hole is handed on late, and taken out of
the hole.

On one connection events are in order, as TCP has them: what repeats there, or goes back, is the
exchange's own doing. It is counted as out of order and dropped, unless it fills a hole. Lower ids
at a later event time mean that the exchange counts anew.

What a connection has brought of a stream is known by a leg of the stream (`sbe_leg`), which only
that connection's subscription makes: connections with other streams have no part in it.

No sockets and no clock: times are given. Used on one thread.

Of Python code from other rooms only the account's runs here (``note_hole``, ``note_late``), which
counts and returns. Streams are the directory's and live as long as that; a connection is the
caller's while what it brings is judged.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t

from ...venue.kinds cimport DEPTH20, KINDS, kind_of
from .directory cimport Directory
from .held cimport Held, keep, longest
from .holes cimport Holes
from .stats cimport note
from .streams cimport (
    RECENT, Source, Stream, accept, is_awaited, is_old, leaves_no_gap, leg_of, passed_over,
    sbe_event, sbe_leg,
)

from heapq import heappop
from operator import attrgetter

cdef object NAME = attrgetter("name")
cdef int64_t BEHIND = 60_000_000_000     # ns by which one connection may be later than another


cdef class Arbiter:
    """Judges the events of ``directory``'s streams; of those that nobody wants all are handed on.

    Of holes ``note_hole(stream, last_before, first_after, started_ns, ended_ns, cause)`` is told;
    ``note_late(stream, first, last)`` is told of ids that come after all, and returns how many of
    them were in holes.
    """

    def __cinit__(
        self, Directory directory not None, note_hole, int64_t patience=1_000_000_000,
        note_late=None
    ):
        self.directory = directory
        self.holding = set()
        self.most_held = 1 << 62
        self.patience = patience
        self.holes = Holes(note_hole, note_late)

    # what is not simply the next event of a connection that is in step

    cdef int settle(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        cdef sbe_leg* leg
        cdef int64_t before = INT64_MIN
        if stream.is_stray:
            self.stray_frames += 1
            stream.frames += 1
            return HAND_OVER
        if event.last == INT64_MIN or event.first > event.last:     # no ids, or none that can be
            stream.frames += 1
            stream.out_of_order += event.last != INT64_MIN
            return HAND_OVER
        leg = leg_of(stream, source)
        if leg == NULL:
            leg = stream.add_leg(source)
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
                return self.repeated(stream, source, event, received, moment)
            if leg.epoch == source.epochs[stream.number] or not stream.jumps:
                before = leg.at
        if stream.last != INT64_MIN and event.last < stream.last and event.time > stream.last_time:
            return self.count_anew(stream, source, event, received, moment)
        if before == INT64_MIN:             # all that was sent, from here on
            leg.begin = event.first
        leg.at = event.last
        leg.time = event.time
        leg.epoch = source.epochs[stream.number]
        if stream.last == INT64_MIN:
            return self.follow(stream, source, event, received, moment)
        if is_old(stream, event):
            return self.known_before(stream, source, event, before, received)
        if leaves_no_gap(stream, event):
            stream.overlaps += event.first <= stream.last and not stream.jumps
            return self.follow(stream, source, event, received, moment)
        if stream.held is not None or is_awaited(stream, source, event):
            return HOLD
        self.note_gap(stream, source, event, received, leg.begin)
        return self.follow(stream, source, event, received, moment)

    cdef int follow(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        """The event is handed on, after those before it."""
        cdef sbe_leg gone
        cdef sbe_leg* leg = leg_of(stream, source)
        cdef int64_t before = stream.last, at, time
        if leg == NULL:                     # it has waited longer than its connection was there,
                                            # which `Held.source` keeps until now
            gone.at = gone.time = INT64_MIN
            leg = &gone
        at, time = leg.at, leg.time
        accept(stream, source, leg, event, received, moment)
        if at > leg.at:                     # later events of the connection wait
            leg.at, leg.time = at, time
        stream.cause = None
        stream.resumes = False
        if before == INT64_MIN:
            if event.first > INT64_MIN + 1:     # nobody knows what was sent before
                stream.gaps.append(INT64_MIN + 1, event.first - 1)
                stream.gap_top = event.first - 1
        elif event.first <= stream.gap_top:
            self.fill(stream, event, event.first)
        if event.odd:
            self.holes.note_ids(stream, before, event, received, self.directory.odd_ids)
        stream.last = max(stream.last, before)
        return HAND_OVER if stream.held is None and stream.freed is None else HAND_OVER_AND_MORE

    cdef int repeated(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        """An event that this very connection has brought before, or has passed.

        It is dropped, but where something still waits for it: it fills a hole, late, or the
        exchange has begun to count anew.
        """
        stream.out_of_order += 1
        if event.last < stream.last and event.time > stream.last_time:
            return self.count_anew(stream, source, event, received, moment)
        if event.last > stream.last:        # what this connection has brought before waits
            if leaves_no_gap(stream, event):
                return self.follow(stream, source, event, received, moment)
            return HOLD
        if event.first <= stream.gap_top and self.fill(stream, event, event.first):
            stream.late += 1
            stream.frames += 1
            return HAND_OVER
        return DROP

    cdef int count_anew(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t moment
    ) except -1:
        """Lower ids at a later event time: what was before says nothing of what comes.

        Other connections may still bring what was sent before, for a minute.
        """
        cdef sbe_leg* leg
        cdef int i
        cdef list ids = self.directory.odd_ids
        if stream.held is not None:
            stream.freed = self.next_held(stream, INT64_MAX)
            self.directory.odd_ids = ids    # those that waited have had theirs there
        stream.reset()
        stream.era = event.time
        stream.era_since = moment
        for i in range(stream.leg_count):
            stream.legs[i].behind = True
        leg = leg_of(stream, source)
        leg.behind = False                  # what it brings from here on was sent after this
        leg.begin, leg.at, leg.time = event.first, event.last, event.time
        leg.epoch = source.epochs[stream.number]
        return self.follow(stream, source, event, received, moment)

    cdef int known_before(
        self, Stream stream, Source source, const sbe_event* event, int64_t before, int64_t received
    ) except -1:
        """An event at or before what was handed on: it is late, or a duplicate.

        ``before`` is what its connection had brought, from which on it has brought all that was
        sent.
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
                source.won += 1
                return HAND_OVER
        stream.duplicates += 1
        source.duplicates += 1
        for i in range(RECENT):
            if stream.recent[i].last == event.last and stream.recent[i].received:
                note(source.lag, received - stream.recent[i].received, 1)
                break
        return DROP

    cdef object fill(self, Stream stream, const sbe_event* event, int64_t first):
        """Takes what an event brings out of the holes; how many ids that is."""
        return self.holes.fill(stream, event, first, self.directory.odd_ids)

    cdef int note_gap(
        self, Stream stream, Source source, const sbe_event* event, int64_t received, int64_t begin
    ) except -1:
        """What is left out before an event: culled if a connection has passed it, else a hole."""
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
            if (<Source>stream.legs[i].source).damaged_at >= stream.received:
                cause = "a damaged frame"
        if cause is None:
            is_late = is_awaited(stream, source, event)
            cause = "another connection was late" if is_late else "not sent"
        return self.holes.add(stream, stream.last, event.first, received, cause)

    # frames that wait

    cdef list hold(
        self, Stream stream, Source source, const sbe_event* event, int64_t received,
        int64_t moment, object frame
    ):
        """Keeps a frame; returns those, as (frame, received), that need not wait any more."""
        cdef Held held = Held.__new__(Held)
        held.event = event[0]
        held.ids = self.directory.odd_ids if event.odd else None
        held.source = source
        held.received = received
        held.moment = moment
        held.begin = leg_of(stream, source).begin   # now: the leg may be gone when it is asked for
        held.frame = frame                          # a copy, or bytes: no buffer is waited in
        keep(stream, held)
        self.holding.add(stream)
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
        # The stream has none that wait while these are looked at: `follow` is to hand them on by
        # itself, and what the account is told of may not meet a heap that is half done.
        ready, stream.freed = stream.freed or [], None
        waiting, stream.held = stream.held, None
        while waiting:
            held = waiting[0][2]
            self.directory.odd_ids = held.ids
            if is_old(stream, &held.event):
                verdict = self.known_before(
                    stream, held.source, &held.event, INT64_MIN, held.received
                )
                if verdict == HAND_OVER:
                    ready.append((held.frame, held.received))
            else:
                leaves_gap = not leaves_no_gap(stream, &held.event)
                if leaves_gap and is_awaited(stream, held.source, &held.event):
                    if longest(stream) > due:
                        break
                if leaves_gap:
                    self.note_gap(stream, held.source, &held.event, held.received, held.begin)
                self.follow(stream, held.source, &held.event, held.received, held.moment)
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

        All by the monotonic clock, in ns. They are not taken to wait for others before
        ``read_since``, when sockets began to be read again.
        """
        ready = []
        due = moment - self.patience if read_since + self.patience <= moment else INT64_MIN
        for stream in sorted(self.holding, key=NAME):   # the same order when it is played again
            ready += self.next_held(stream, due)
        return ready

    # connections that come and go

    def enter(self, Source source not None, names):
        """A connection brings these streams from now on: others' gaps may wait for it."""
        for name in names:
            (<Stream>self.directory.stream(name)).cover(source)

    def covered(self, Source source not None):
        """The names of the streams that a connection brings."""
        return sorted([s.name for s in source.streams if leg_of(s, source).covers])

    def leave(self, Source source not None, str cause, bint whole=False):
        """A connection brings nothing any more; ``cause`` says why.

        ``whole`` says that it has brought all up to its end, which we had asked for: nothing is
        missing then before what others bring that have subscribed meanwhile.
        """
        source.gone = True
        for stream in source.streams:       # `lose` takes none out of this set, which is walked
            (<Stream>stream).lose(source, cause, whole)
        source.streams.clear()

    cdef int damage(self, Source source, int kind, int64_t received) except -1:
        """A frame of a connection is no message; ``kind`` is what it says that it is.

        Of trades and diffs the next id will tell what was lost. Of bestBidAsk and depth20 it won't:
        their next event is stitched as after a break, unless the frame's header says that it was
        none of theirs.
        """
        cdef int each
        source.damaged += 1
        source.damaged_at = received
        for each in range(KINDS):
            if each == kind or kind < 0:
                source.epochs[each] += 1
        return 0

    def forget(self, names):
        """These streams are not wanted any more: returns what waited, as (frame, received).

        What still comes of them was on its way, or was handed on before: what that is is not
        forgotten.
        """
        cdef Stream stream
        ready = []
        for name in names:
            stream = self.directory.stream(name)
            ready += self.next_held(stream, INT64_MAX)
            stream.forget()
        return ready

    def arrive(self, Source source not None, bytes frame not None, int64_t received, moment=None):
        """The frames, as (frame, received), that are to be handed on when this one has come.

        ``moment`` is the same time by the monotonic clock, ``received`` where it is None.
        """
        cdef sbe_event event
        cdef int verdict
        cdef int64_t at = received if moment is None else moment
        stream = self.directory.event_of_frame(frame, &event)
        if stream is None:
            self.damage(source, kind_of(<const uint8_t*><char*>frame, len(frame)), received)
            return [(frame, received)]
        verdict = judge(self, stream, source, &event, received, at)
        if verdict == HAND_OVER:
            return [(frame, received)]
        if verdict == HAND_OVER_AND_MORE:
            return [(frame, received), *self.next_held(stream, INT64_MIN)]
        if verdict == HOLD:
            return self.hold(stream, source, &event, received, at, frame)
        return []
