"""What lies between the transports and the consumer of a feed: frames, or the rows made of them.

A transport puts frames in; where batches are wanted they become rows at once, without an object.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int64_t, uint8_t
from libc.string cimport memset

from sbe_codegen.runtime.decode.cursor cimport rewind
from sbe_codegen.runtime.tables.batch cimport collect_row, take_batch
from sbe_codegen.runtime.tables.rows cimport ADDED, REFUSED, TOO_LATE, Rows, add_row, undo_row

from ...spot_stream cimport sbe_header_version
from ...venue.kinds cimport kind_of, kind_of_template
from .arbiter cimport DROP, HAND_OVER, HAND_OVER_AND_MORE, HOLD, Arbiter, judge
from .batch_queue cimport BatchQueue
from .damage cimport DamagedFrames
from .directory cimport Directory, event_of_row, sbe_parsed
from .frame_queue cimport FrameQueue, Waiting
from .handlers cimport Calls
from .messages cimport measured_message
from .stats cimport (
    Histogram, Stats, clock_of, count_tally, monotonic_ns, note, note_next, sbe_tally, since,
)

from collections import Counter

from ... import spot_stream

cdef enum:
    MOST_ROOM = 16384           # rows to make room for at first

cdef int64_t SCHEMA_VERSION = spot_stream.SCHEMA_VERSION


@cython.final
cdef class Backlog:
    """``wake()`` is called when there is something that the consumer may be waiting for.

    ``account`` is told what is missing (see `account.Account`). ``queue`` is the FrameQueue, whose
    ``limit`` is the number of frames to hold, and as many rows. The connections are to stop at it
    where ``stops`` is set, else when the queue has as many frames that are not to be dropped.
    Frames that wait for another connection's count as well, half of the limit at most; rows that
    are left over count while rows are wanted.
    """

    def __cinit__(self, Stats stats not None, account, FrameQueue queue not None, bint stops, wake):
        self.stats = stats
        self.arbiter = Arbiter(Directory(), account.note_hole, note_late=account.note_late)
        self.frames = queue
        self.batches = BatchQueue()
        self.damaged = DamagedFrames()
        self.newer_versions = Counter()
        self.limit = queue.limit
        self.arbiter.most_held = min(max(self.limit // 2, 1), self.limit - 1)
        self.batch_size = 1
        self.stops = stops
        self.wake = wake
        account.follow(self)

    @property
    def pending(self):
        """Frames and rows that the consumer has not taken."""
        return self.batches.rows + self.frames.count() + self.arbiter.held_count

    @property
    def full(self):
        """Whether there is no room for another frame: the connections are to stop."""
        return self.room() == 0

    @property
    def has_much_room(self):
        """Whether half of what may be held has room: the connections may go on."""
        return 2 * self.room() >= self.limit

    cdef Py_ssize_t room(self) except -1:
        """How many frames may be added. Rows that wait do not count where messages are wanted."""
        cdef Py_ssize_t used = self.arbiter.held_count
        if self.stops:
            used += self.frames.count()
            if self.gathering:
                used += self.batches.rows + self.unmarked
        else:
            used += self.frames.blocking
        return max(self.limit - used, <Py_ssize_t>0)

    def put(self, bytes frame not None, int64_t received, Source source not None):
        """One frame, that came at a time (ns since 1970)."""
        cdef sbe_span span = sbe_span(<const uint8_t*>(<char*>frame), len(frame))
        self.add_frames(source, &span, 1, received, monotonic_ns())
        self.end_read(source)

    def hand_in(self, frames):
        """Frames, as (frame, received), that were held back and counted before."""
        for frame, received in frames:
            self.add_known(frame, received)
        self.mark()
        self.wake()

    cdef int add_frames(
        self, Source source, const sbe_span* spans, Py_ssize_t count, int64_t received,
        int64_t moment
    ) except -1:
        """Frames of one read of the socket: kept, or made into rows. `end_read` is to follow.

        There has to be room for them. They lie in the socket's buffer until this returns.
        """
        cdef Py_ssize_t i
        if self.tap is not None:
            self.tap.take(source, spans, count, received, &moment)
        if source.gone:
            source.unwanted += count
            return 0
        if self.seen and self.reading is not source:      # which has not ended, or was interrupted
            self.end_read(self.reading)
        if self.seen == 0:
            self.reading = source
            self.received = received
            self.moment = moment
            self.started = clock_of(self.stats)
            self.bytes_before = self.stats.bytes
        self.seen += count
        for i in range(count):
            self.stats.bytes += spans[i].size
        i = 0
        while i < count:
            if as_rows(self) and not self.stops and self.batches.rows + self.unmarked >= self.limit:
                self.spilling = True
            if as_rows(self):
                i += self.add_rows(source, spans + i, count - i)
            else:
                self.take_frame(source, spans[i].data, spans[i].size)
                i += 1
        return 0

    cdef int end_read(self, Source source) except -1:
        """All that one read of the socket gave has been added."""
        cdef Py_ssize_t before = self.batches.rows
        if self.seen == 0:
            return 0
        self.stats.frames += self.seen
        source.frames += self.seen
        source.bytes += self.stats.bytes - self.bytes_before
        source.received = self.received
        self.seen = 0
        if self.unmarked:
            self.mark()
            if before == 0 or self.room() == 0 or self.batches.rows >= self.limit:
                self.wake()
        return 0

    cdef int take_frame(self, Source source, const uint8_t* data, Py_ssize_t size) except -1:
        """A frame that stays a frame, or goes to a handler at once."""
        cdef sbe_event event
        cdef sbe_parsed parsed
        cdef Stream stream = self.arbiter.directory.event_of(data, size, &event, &parsed)
        cdef Calls calls = self.calls           # which the handler may end
        cdef int verdict
        cdef bytes frame
        if stream is None:
            self.note_damaged(source, data, size)
            frame = PyBytes_FromStringAndSize(<const char*>data, size)
            return self.deliver(frame, self.received, None, NULL)
        if <int64_t>sbe_header_version(data) > SCHEMA_VERSION:
            self.newer_versions[sbe_header_version(data)] += 1
        verdict = judge(self.arbiter, stream, source, &event, self.received, self.moment)
        if verdict == DROP:
            return 0
        if verdict == HOLD:
            frame = PyBytes_FromStringAndSize(<const char*>data, size)
            ready = self.arbiter.hold(stream, source, &event, self.received, self.moment, frame)
        else:
            if calls is not None and calls.in_c is not None:
                # In C the handler gets the frame where it lies, of which no object is made.
                calls.give_parsed(
                    stream.number, &parsed, size, event.time, self.received, self.stats
                )
                self.check_calls()
            else:
                frame = PyBytes_FromStringAndSize(<const char*>data, size)
                self.deliver(frame, self.received, stream, &event)
            if verdict != HAND_OVER_AND_MORE:
                return 0
            ready = self.arbiter.next_held(stream, INT64_MIN)
        for each, at in ready:
            self.add_known(each, at)
        return 0

    cdef int deliver(
        self, bytes frame, int64_t received, Stream stream, const sbe_event* event
    ) except -1:
        """A frame that is handed on, to the handler or the queue; of no message, no ``stream``."""
        cdef Calls calls = self.calls   # held: the handler is the user's, and may end the calls
        cdef bint is_first = self.frames.count() == 0
        if calls is None:
            self.frames.add(frame, received, stream, event)
            if is_first or self.frames.overflowed is not None:
                self.wake()
            return 0
        calls.give(frame, received, self.stats, self.arbiter.directory)
        return self.check_calls()

    cdef int check_calls(self) except -1:
        """Ends the calls where the handler wants no more; it may have ended them itself."""
        return self.stop_calling() if self.calls is not None and self.calls.ended else 0

    def call(self, Calls calls not None):
        """Frames go to a handler from now on, those that wait first, until it has ``ended``."""
        cdef Waiting waiting
        self.gathering = False
        self.calls = calls
        while self.frames.count() and self.calls is calls:
            waiting = self.frames.take()
            self.deliver(waiting.frame, waiting.received, waiting.stream, NULL)
        self.frames.note_emptied()

    cpdef int stop_calling(self) except -1:
        """From now on frames wait for a consumer."""
        self.calls = None
        self.wake()
        return 0

    cdef int note_damaged(self, Source source, const uint8_t* data, Py_ssize_t size) except -1:
        cdef int kind = kind_of(data, size)
        if self.damaged.add(data, size, self.received, source, kind):
            self.arbiter.damage(source, kind, self.received)
        return 0

    cdef Py_ssize_t add_rows(
        self, Source source, const sbe_span* spans, Py_ssize_t count
    ) except -1:
        """Makes rows of frames up to the first that takes more than that; how many are done.

        Python code runs in it for what is rare, and only ours: a new stream, a hole, a full batch.
        """
        cdef int64_t received = self.received
        cdef Rows rows = self.collector.rows
        cdef Arbiter arbiter = self.arbiter
        cdef Histogram event_to_received = self.stats.event_to_received
        cdef const uint8_t* data
        cdef PyObject* stream = NULL            # borrowed: the directory has it for good
        cdef sbe_cursor cursor
        cdef sbe_event event
        cdef sbe_tally tally
        cdef int added = ADDED, verdict = HAND_OVER
        cdef Py_ssize_t done = 0, wanted = min(count, self.batch_size - rows.frame_count)
        if not self.stops:
            wanted = min(wanted, self.limit - self.batches.rows - self.unmarked)
        memset(&tally, 0, sizeof(tally))
        while done < wanted:
            data = spans[done].data
            cursor.start = data
            cursor.end = data + spans[done].size
            rewind(&cursor, data)
            added = add_row(rows, &cursor, received)
            if added != ADDED:
                break
            stream = event_of_row(
                arbiter.directory, rows, kind_of_template(cursor.template_id), &event
            )
            verdict = judge(arbiter, <Stream>stream, source, &event, received, self.moment)
            if <int64_t>sbe_header_version(data) > SCHEMA_VERSION:
                self.newer_versions[sbe_header_version(data)] += 1
            if verdict != HAND_OVER:
                break
            note_next(event_to_received, &tally, since(event.time, received))
            done += 1
        count_tally(event_to_received, &tally)
        self.unmarked += done
        if done == wanted:
            if rows.frame_count >= self.batch_size:
                self.complete()
            return done
        if added == TOO_LATE:
            return done
        if added == REFUSED:            # the rows have noted it: it is in the batch as well
            self.note_damaged(source, spans[done].data, spans[done].size)
            counted(self)
        else:
            self.settle_row(verdict, <Stream>stream, source, &event, &cursor)
        return done + 1

    cdef int settle_row(
        self, int verdict, Stream stream, Source source, const sbe_event* event, sbe_cursor* cursor
    ) except -1:
        """The row of a frame that was added is to stay with more, to go, or to wait."""
        cdef list ready = None
        if verdict == HAND_OVER_AND_MORE:
            count_row(self, event.time, self.received)
            ready = self.arbiter.next_held(stream, INT64_MIN)
        else:
            undo_row(self.collector.rows, kind_of_template(cursor.template_id))
            if <int64_t>sbe_header_version(cursor.start) <= SCHEMA_VERSION:
                self.collector.rows.tables.left_over -= cursor.end - cursor.position
            if verdict == HOLD:
                frame = cursor.start[:cursor.end - cursor.start]    # a copy, to outlive the read
                ready = self.arbiter.hold(
                    stream, source, event, self.received, self.moment, frame
                )
        if ready is not None:
            for frame, at in ready:
                self.add_known(frame, at)
        return 0

    cdef int add_known(self, bytes frame, int64_t received) except -1:
        """A frame that is to be handed on, whatever came before it."""
        cdef sbe_cursor cursor
        cdef sbe_event event
        cdef const uint8_t* data = <const uint8_t*>(<char*>frame)
        stream = self.arbiter.directory.event_of_frame(frame, &event)
        if not as_rows(self):
            return self.deliver(frame, received, stream, &event)
        cursor.start = data
        cursor.end = data + len(frame)
        rewind(&cursor, data)
        if self.unmarked == 0 and self.seen == 0:
            self.received = received
            self.started = clock_of(self.stats)
        if collect_row(self.collector, &cursor, received) == REFUSED:
            return counted(self)
        return count_row(self, event.time, received)

    def gather(self, Py_ssize_t batch_size):
        """From now on frames become rows; those that are there already too.

        ``batch_size`` may be another than before: what is there is cut to it in the end.
        """
        if batch_size < 1:
            raise ValueError(f"a batch has at least 1 frame, not {batch_size}")
        self.batch_size = batch_size
        if self.collector is None:
            self.collector = spot_stream.Collector(min(batch_size, MOST_ROOM), "collect")
        elif self.collector.rows.frame_count >= batch_size:
            self.complete()
        self.gathering = True
        self.refill()

    cdef int refill(self) except -1:
        """Frames that waited become rows, as far as there is room."""
        self.spilling = False
        while self.frames.count():
            if self.batches.rows + self.unmarked >= self.limit:
                self.spilling = True
                break
            waiting = self.frames.take()
            self.add_known(waiting.frame, waiting.received)
        self.frames.note_emptied()
        self.mark()
        return 0

    def stop_gathering(self):
        """Frames stay frames from now on. Rows that are left are for the next batches."""
        self.gathering = False

    @property
    def rows_ready(self):
        """Whether there is a whole batch, or no room for one."""
        is_full = self.batches.rows >= self.limit or self.room() == 0
        return len(self.batches) > 0 or (is_full and has_rows(self))

    cdef int mark(self) except -1:
        """Counts and measures the rows that one read has given so far."""
        if self.unmarked:
            self.batches.mark(self.stats, self.unmarked, self.received, self.started)
            self.unmarked = 0
        return 0

    cdef object take_rows(self):
        """What was gathered, as a Batch."""
        self.mark()
        batch = take_batch(self.collector)
        self.arbiter.directory.forget_codes()
        return batch

    cdef int complete(self) except -1:
        """What was gathered becomes a batch."""
        self.batches.add(self.take_rows())
        self.wake()
        return 0

    def hand_over(self):
        """The next batch, complete or not, of ``batch_size`` frames at most; there is a row."""
        if len(self.batches):
            batch = self.batches.take(self.stats, self.batch_size)
        else:
            batch = self.take_rows()
            self.batches.hand_over(self.stats)
        if self.gathering and self.frames.count():
            self.refill()
        return batch

    def next_message(self):
        """The oldest frame, which there is, decoded; DecodeError where it is no message."""
        cdef Waiting waiting = self.frames.take()
        return measured_message(waiting.frame, waiting.received, self.stats, None)
