"""What lies between the transports and the consumer of a feed: frames, or the rows made of them.

A transport puts frames in, on the event loop's thread. Where batches are wanted they become rows at
once, from wherever the transport has them, and no Python object is made.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from sbe_codegen.runtime.batch cimport collect_row
from sbe_codegen.runtime.cursor cimport rewind
from sbe_codegen.runtime.rows cimport ADDED, REFUSED, TOO_LATE, Rows, add_row, undo_row

from .damage cimport DamagedFrames
from .overflow cimport FrameQueue, Waiting
from .sequencer cimport (
    DROP, HAND_OVER, HAND_OVER_AND_MORE, HOLD, event_of_row, judge,
)
from .stats cimport (
    Histogram, Stats, count_tally, monotonic_ns, note, note_next, now_ns, sbe_tally, since,
)

from collections import deque

from sbe_codegen.runtime.errors import DecodeError

from ... import spot_stream

cdef enum:
    FIRST_TEMPLATE = 10000
    MOST_ROOM = 16384           # rows to make room for at first

cdef int64_t SCHEMA_VERSION = spot_stream.SCHEMA_VERSION


cdef inline int counted(Inbox inbox) except -1:
    """One more frame is in the rows, refused or not."""
    inbox.unmarked += 1
    if inbox.collector.rows.frame_count >= inbox.batch_size:
        inbox.complete()
    return 0


cdef inline int count_row(Inbox inbox, int64_t event_time, int64_t received) except -1:
    """One more row."""
    note(inbox.stats.event_to_received, since(event_time, received), 1)
    return counted(inbox)


@cython.final
cdef class Inbox:
    """``wake()`` is called when there is something that the consumer may be waiting for.

    ``queue`` is the FrameQueue, whose ``limit`` is the number of frames to hold, and as many rows. The
    connections are to stop at it where ``stops`` is set, else when the queue has as many frames that are
    not to be dropped. Frames that wait for another connection's count as well, half of the limit at most;
    rows that are left over count while rows are wanted.
    """

    def __cinit__(self, Stats stats not None, ledger not None, FrameQueue queue not None, bint stops, wake):
        self.stats = stats
        self.ledger = ledger
        self.sequencer = ledger.sequencer
        self.frames = queue
        self.batches = deque()
        self.limit = queue.limit
        self.sequencer.most_held = max(self.limit // 2, 1)
        self.damaged = ledger.damaged_frames
        self.batch_size = 1
        self.stops = stops
        self.wake = wake

    def __dealloc__(self):
        free(self.marks)

    @property
    def pending(self):
        """Frames and rows that the consumer has not taken."""
        return self.rows_held + self.frames.count() + self.sequencer.held_count

    @property
    def full(self):
        """Whether there is no room for another frame: the connections are to stop."""
        return self.room() == 0

    @property
    def has_much_room(self):
        """Whether half of what may be held has room: the connections may go on."""
        return 2 * self.room() >= self.limit

    cdef Py_ssize_t room(self) except -1:
        """How many frames may be added.

        Rows that are left over when messages are wanted do not count: nobody takes them meanwhile, and messages
        would never come.
        """
        cdef Py_ssize_t used = self.sequencer.held_count
        if self.stops:
            used += self.frames.count()
            if self.gathering:
                used += self.rows_held + self.unmarked
        else:
            used += self.frames.blocking
        return max(self.limit - used, <Py_ssize_t>0)

    def put(self, bytes frame not None, int64_t received, Line line not None):
        """One frame that came through a connection at a time (ns since 1970)."""
        cdef sbe_span span = sbe_span(<const uint8_t*>(<char*>frame), len(frame))
        self.add_frames(line, &span, 1, received, monotonic_ns())
        self.end_read(line)

    def wake_consumer(self):
        """There is news: the end, perhaps."""
        self.wake()

    def hand_in(self, frames):
        """Frames, as (frame, received), that were held back and counted before."""
        for frame, received in frames:
            self.add_known(frame, received)
        if self.unmarked:
            self.mark()
        self.wake()

    cdef int add_frames(
        self, Line line, const sbe_span* spans, Py_ssize_t count, int64_t received, int64_t moment
    ) except -1:
        """Frames of one read of the socket: kept, or made into rows at once. `end_read` is to follow.

        There has to be room for them.
        """
        cdef Py_ssize_t i
        if line.gone:
            line.unwanted += count
            return 0
        if self.seen and self.reading is not line:      # which has not ended, or was interrupted
            self.end_read(self.reading)
        if self.seen == 0:
            self.reading = line
            self.received = received
            self.moment = moment
            self.started = now_ns()
            self.bytes_before = self.stats.bytes
        self.seen += count
        for i in range(count):
            self.stats.bytes += spans[i].size
        i = 0
        while i < count:
            if as_rows(self) and not self.stops and self.rows_held + self.unmarked >= self.limit:
                self.spilling = True
            if as_rows(self):
                i += self.add_rows(line, spans + i, count - i)
            else:
                self.take_frame(line, spans[i].data, spans[i].size)
                i += 1
        return 0

    cdef int end_read(self, Line line) except -1:
        """All that one read of the socket gave has been added."""
        cdef Py_ssize_t before = self.rows_held
        if self.seen == 0:
            return 0
        self.stats.frames += self.seen
        line.frames += self.seen
        line.bytes += self.stats.bytes - self.bytes_before
        line.received = self.received
        self.seen = 0
        if self.unmarked:
            self.mark()
            if before == 0 or self.room() == 0 or self.rows_held >= self.limit:
                self.wake()
        return 0

    cdef int take_frame(self, Line line, const uint8_t* data, Py_ssize_t size) except -1:
        """A frame that stays a frame."""
        cdef sbe_event event
        cdef bytes frame = PyBytes_FromStringAndSize(<const char*>data, size)
        cdef Stream stream = self.sequencer.judge_frame(frame, &event)
        cdef int verdict
        cdef list ready = None
        if stream is None:
            self.note_damaged(line, frame)
            self.frames.add(frame, self.received, None)
        else:
            if data[6] | data[7]:
                self.note_version(data)
            verdict = judge(self.sequencer, stream, line, &event, self.received, self.moment)
            if verdict == HOLD:
                ready = self.sequencer.hold(
                    stream, line, &event, self.received, self.moment, frame
                )
            elif verdict != DROP:
                self.frames.add(frame, self.received, stream)
                if verdict == HAND_OVER_AND_MORE:
                    ready = self.sequencer.next_held(stream, INT64_MIN)
            if ready is not None:
                for each, at in ready:
                    self.frames.add(each, at, stream)
        self.wake()
        return 0

    cdef int note_damaged(self, Line line, bytes frame) except -1:
        cdef const uint8_t* data = <const uint8_t*>(<char*>frame)
        if self.damaged.add(data, len(frame), self.received, line):
            self.sequencer.damage(line, frame, self.received)
        return 0

    cdef int note_version(self, const uint8_t* data) except -1:
        cdef int64_t version = data[6] | data[7] << 8
        if version > SCHEMA_VERSION:
            self.ledger.newer_versions[version] += 1
        return 0

    # rows

    cdef Py_ssize_t add_rows(self, Line line, const sbe_span* spans, Py_ssize_t count) except -1:
        """Makes rows of frames up to the first that takes more than that; returns how many are done."""
        cdef int64_t received = self.received
        cdef Rows rows = self.collector.rows
        cdef Sequencer sequencer = self.sequencer
        cdef Histogram event_to_received = self.stats.event_to_received
        cdef const uint8_t* data
        cdef PyObject* stream = NULL            # borrowed: the sequencer has it
        cdef sbe_cursor cursor
        cdef sbe_event event
        cdef sbe_tally tally
        cdef int added = ADDED, verdict = HAND_OVER
        cdef Py_ssize_t done = 0, wanted = min(count, self.batch_size - rows.frame_count)
        if not self.stops:
            wanted = min(wanted, self.limit - self.rows_held - self.unmarked)
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
                sequencer, rows, <int>cursor.template_id - FIRST_TEMPLATE, &event
            )
            verdict = judge(sequencer, <Stream>stream, line, &event, received, self.moment)
            if data[6] | data[7]:
                self.note_version(data)
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
            frame = PyBytes_FromStringAndSize(<const char*>spans[done].data, spans[done].size)
            self.note_damaged(line, frame)
            counted(self)
        else:
            self.settle_row(verdict, <Stream>stream, line, &event, &cursor)
        return done + 1

    cdef int settle_row(
        self, int verdict, Stream stream, Line line, const sbe_event* event, sbe_cursor* cursor
    ) except -1:
        """The row of a frame that was added is to stay with more, to go, or to wait."""
        cdef list ready = None
        if verdict == HAND_OVER_AND_MORE:
            count_row(self, event.time, self.received)
            ready = self.sequencer.next_held(stream, INT64_MIN)
        else:
            undo_row(self.collector.rows, cursor.template_id - FIRST_TEMPLATE)
            if (cursor.start[6] | cursor.start[7] << 8) <= SCHEMA_VERSION:
                self.collector.rows.tables.left_over -= cursor.end - cursor.position
            if verdict == HOLD:
                frame = cursor.start[:cursor.end - cursor.start]
                ready = self.sequencer.hold(
                    stream, line, event, self.received, self.moment, frame
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
        stream = self.sequencer.judge_frame(frame, &event)
        if not as_rows(self):
            self.frames.add(frame, received, stream)
            return 0
        cursor.start = data
        cursor.end = data + len(frame)
        rewind(&cursor, data)
        if self.unmarked == 0 and self.seen == 0:
            self.received = received
            self.started = now_ns()
        if collect_row(self.collector, &cursor, received) == REFUSED:
            return counted(self)
        return count_row(self, event.time, received)

    cdef int mark(self) except -1:
        """Counts and measures the rows that one read has given so far."""
        cdef int64_t decoded = now_ns()
        cdef sbe_mark* marks
        cdef Py_ssize_t room
        if self.mark_count == self.mark_room:
            room = max(2 * self.mark_room, <Py_ssize_t>64)
            marks = <sbe_mark*>realloc(self.marks, room * sizeof(sbe_mark))
            if marks == NULL:
                raise MemoryError()
            self.marks, self.mark_room = marks, room
        self.marks[self.mark_count] = sbe_mark(self.unmarked, decoded)
        self.mark_count += 1
        self.rows_held += self.unmarked
        note(self.stats.received_to_decoded, decoded - self.received, self.unmarked)
        note(self.stats.decoding, (decoded - self.started) // self.unmarked, self.unmarked)
        self.unmarked = 0
        return 0

    def gather(self, Py_ssize_t batch_size):
        """From now on frames become rows; those that are there already too.

        ``batch_size`` may be another than before: what is there is cut to it when it is handed over.
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
            if self.rows_held + self.unmarked >= self.limit:
                self.spilling = True
                break
            waiting = self.frames.take()
            self.add_known(waiting.frame, waiting.received)
        if self.unmarked:
            self.mark()
        return 0

    def stop_gathering(self):
        """From now on frames stay frames. Rows that were not handed over are for the next batches."""
        self.gathering = False

    @property
    def rows_ready(self):
        """Whether there is a whole batch, or no room for one."""
        if len(self.batches) > 0:
            return True
        if self.collector is None or len(self.collector) == 0:
            return False
        return self.rows_held >= self.limit or self.room() == 0

    cdef int complete(self) except -1:
        """What was gathered becomes a batch."""
        if self.unmarked:
            self.mark()
        marks = deque([
            (self.marks[i].count, self.marks[i].decoded) for i in range(self.mark_count)
        ])
        self.mark_count = 0
        self.batches.append((self.collector.take(), marks))
        self.sequencer.forget_codes()
        self.wake()
        return 0

    def hand_over(self):
        """The next batch, complete or not, of ``batch_size`` frames at most; there is a row at least."""
        cdef int64_t now
        cdef Py_ssize_t begin = self.handed, end, left, count
        if not self.batches:
            self.complete()
        batch, marks = self.batches[0]
        end = min(begin + self.batch_size, <Py_ssize_t>batch.frame_count)
        left = end - begin
        now = now_ns()
        while left:
            count, decoded = marks.popleft()
            if count > left:
                marks.appendleft((count - left, decoded))
                count = left
            note(self.stats.decoded_to_handed_over, now - <int64_t>decoded, count)
            left -= count
        if end == batch.frame_count:
            self.batches.popleft()
            self.handed = 0
        else:
            self.handed = end
        self.rows_held -= end - begin
        if self.gathering and self.frames.count():
            self.refill()
        return batch if end - begin == batch.frame_count else batch.part(begin, end)

    def next_message(self):
        """The oldest frame, which there is, decoded and measured. DecodeError where it is no message."""
        cdef Stats stats = self.stats
        cdef Waiting waiting = self.frames.take()
        cdef int64_t started = now_ns(), decoded
        try:
            message = spot_stream.decode(waiting.frame)
        except DecodeError:
            stats.rejected += 1
            raise
        decoded = now_ns()
        note(stats.event_to_received, since(message.event_time, waiting.received), 1)
        note(stats.received_to_decoded, decoded - waiting.received, 1)
        note(stats.decoding, decoded - started, 1)
        note(stats.decoded_to_handed_over, 0, 1)
        if message.version <= SCHEMA_VERSION:
            stats.left_over_bytes += len(waiting.frame) - message.encoded_length
        return message
