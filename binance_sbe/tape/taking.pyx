"""From the receive buffer into the rows of a tape, in the thread that receives.

A row costs a copy and four stores. The chunk that is full goes to the writer by a queue; one that
is not full is fetched by its thread after a while, with `cut`. Both threads hold the GIL
while they do, and a chunk is let go of before anything is called that might release it.
"""

cimport cython
cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from ..feed.intake.streams cimport Source
from ..feed.intake.tap cimport sbe_span

from queue import Empty, SimpleQueue

import numpy as np

cnp.import_array()

cdef enum:
    FRAME = 0                   # see `rows.Kind`
    FIRST_DATA = 64 * 1024      # bytes of a chunk at first
    ROW = 15                    # bytes of the other columns
    MOST_DATA = 8 * 1024 * 1024     # bytes with which a chunk is full
    LONGEST = 1 << 30           # bytes of a row

cdef int64_t MILLISECOND = 1_000_000


@cython.final
cdef class Chunk:
    def __cinit__(self, Py_ssize_t most):
        self.most = most
        self.received_ns = np.empty(most, np.int64)
        self.connection = np.empty(most, np.uint16)
        self.kind = np.empty(most, np.uint8)
        self.offsets = np.zeros(most + 1, np.int32)
        self.received_at = <int64_t*>cnp.PyArray_DATA(self.received_ns)
        self.connection_at = <uint16_t*>cnp.PyArray_DATA(self.connection)
        self.kind_at = <uint8_t*>cnp.PyArray_DATA(self.kind)
        self.offset_at = <int32_t*>cnp.PyArray_DATA(self.offsets)
        self.grow(min(<Py_ssize_t>FIRST_DATA, 256 * most))

    cdef int grow(self, Py_ssize_t size) except -1:
        """Makes room for so many bytes."""
        cdef Py_ssize_t room = max(size, 2 * self.room)
        data = np.empty(room, np.uint8)
        if self.used:
            memcpy(cnp.PyArray_DATA(data), self.data_at, self.used)
        self.data, self.room = data, room
        self.data_at = <uint8_t*>cnp.PyArray_DATA(data)
        return 0

    def append(self, int64_t received, int connection, int kind, bytes content not None):
        """A row. ValueError where there is no room for it."""
        cdef Py_ssize_t size = len(content)
        if self.rows == self.most:
            raise ValueError(f"a chunk of {self.most} rows has no room for another")
        if size > self.room - self.used:
            self.grow(self.used + size)
        self.write(received, connection, kind, <const uint8_t*>PyBytes_AS_STRING(content), size)

    def clear(self):
        """Nothing refers to its arrays any more: it is used again."""
        self.rows = self.frames = self.used = 0
        if self.room > MOST_DATA:
            self.room = self.used = 0
            self.grow(min(<Py_ssize_t>FIRST_DATA, 256 * self.most))

    cdef int64_t cost(self):
        """Bytes of memory that it takes, however few of them are used."""
        return self.room + self.most * ROW


@cython.final
cdef class Taking(Tap):
    """``most_rows`` are those of a chunk, ``limit`` the bytes that may wait for the writer.

    What comes when so many wait is lost to the tape and counted: `note_full` is called with the
    first, and once there is room again ``note_lost(frames, bytes, since, until)``, which is to add
    a row that says so. ``note_clock(received,
    offset)`` is to add one where the two clocks differ by a millisecond more or less than before.
    """

    def __cinit__(self, Py_ssize_t most_rows, int64_t limit):
        self.most_rows = most_rows
        self.limit = limit
        self.full = SimpleQueue()
        self.free = SimpleQueue()

    cdef int take(
        self, Source source, const sbe_span* spans, Py_ssize_t count, int64_t received,
        int64_t* moment
    ) except -1:
        cdef Py_ssize_t i = 0
        cdef int connection = source.number & 0xFFFF
        cdef int64_t off = moment[0] - received
        if not -MILLISECOND < off - self.offset < MILLISECOND or not self.clock_is_set:
            self.set_clock(received, off)
        moment[0] = received + self.offset
        while i < count:
            if self.chunk is not None and not self.lost_since:
                i += self.add_frames(received, connection, spans + i, count - i)
            if i < count:       # no room for this one, or none yet
                self.add(received, connection, FRAME, spans[i].data, spans[i].size)
                i += 1
        return 0

    cdef Py_ssize_t add_frames(
        self, int64_t received, int connection, const sbe_span* spans, Py_ssize_t count
    ) noexcept:
        """As many of them as there is room for in the chunk, which is there; how many."""
        cdef Chunk chunk = self.chunk
        cdef Py_ssize_t i, rows = chunk.rows, used = chunk.used
        cdef int64_t* received_at = chunk.received_at + rows
        cdef uint16_t* connection_at = chunk.connection_at + rows
        cdef int32_t* end_at = chunk.offset_at + rows + 1
        count = min(count, chunk.most - rows)
        for i in range(count):
            if spans[i].size > chunk.room - used:
                count = i
                break
            memcpy(chunk.data_at + used, spans[i].data, spans[i].size)
            used += spans[i].size
            end_at[i] = <int32_t>used
        for i in range(count):
            received_at[i] = received
            connection_at[i] = <uint16_t>connection
        memset(chunk.kind_at + rows, FRAME, count)
        self.frames += count
        self.frame_bytes += used - chunk.used
        chunk.frames += count
        chunk.used = used
        chunk.rows = rows + count
        return count

    def set_clock(self, int64_t received, int64_t offset):
        self.clock_is_set = True
        self.offset = offset
        self.note_clock(received, offset)

    def put(self, int64_t received, int connection, int kind, bytes content not None):
        """A row of any kind."""
        self.add(
            received, connection & 0xFFFF, kind, <const uint8_t*>PyBytes_AS_STRING(content),
            len(content)
        )

    cdef int add(
        self, int64_t received, int connection, int kind, const uint8_t* data, Py_ssize_t size
    ) except -1:
        cdef Chunk chunk = self.chunk
        if (
            chunk is None or chunk.rows == chunk.most or size > chunk.room - chunk.used
            or self.lost_since
        ):
            chunk = self.roomy(size)
            if chunk is None:
                return self.lose(received, kind, size)
        chunk.write(received, connection, kind, data, size)
        if kind == FRAME:
            self.frames += 1
            self.frame_bytes += size
        return 0

    cdef Chunk roomy(self, Py_ssize_t size):
        """The chunk for a row of so many bytes, None where there may be no more."""
        cdef Chunk chunk = self.chunk
        if chunk is not None and (chunk.rows == chunk.most or chunk.used + size > MOST_DATA):
            self.hand_over()
            chunk = None
        if self.waiting + size > self.limit or size > LONGEST or self.stopped:
            return None
        if self.lost_since:
            self.say_lost()             # which adds a row, after which the chunk may be full
            return None if self.lost_since else self.roomy(size)
        if chunk is None:
            try:
                chunk = self.free.get_nowait()
            except Empty:
                chunk = Chunk(self.most_rows)
        if chunk.room - chunk.used < size:
            self.chunk = None                   # or the writer might take it away meanwhile
            chunk.grow(chunk.used + size)
        if self.chunk is not chunk:
            self.hand_over()                    # of another thread, which had a row meanwhile
        self.chunk = chunk
        return chunk

    cdef int hand_over(self) except -1:
        chunk, self.chunk = self.chunk, None
        if chunk is not None and (<Chunk>chunk).rows:
            self.waiting += (<Chunk>chunk).cost()
            self.full.put(chunk)
        return 0

    def cut(self):
        """The rows that there are go to the writer, however few they are. From any thread."""
        self.hand_over()

    def end(self):
        """No more comes: what was lost last is told of, whether there is room or not."""
        if self.lost_since:
            self.say_lost()
        self.hand_over()

    def stop(self):
        """Nothing is written any more: what still comes is lost."""
        self.stopped = True
        self.chunk = None

    def lose_all(self, Chunk chunk not None):
        """The writer could not write these, and tells of them."""
        self.lost_frames += chunk.frames
        self.lost_bytes += chunk.used
        self.told_frames += chunk.frames
        self.told_bytes += chunk.used
        self.lost_rows += chunk.rows - chunk.frames

    def lose_more(self, int64_t frames, int64_t size):
        """So many that were written are gone."""
        self.lost_frames += frames
        self.lost_bytes += size
        self.told_frames += frames              # the writer tells of them
        self.told_bytes += size

    def done(self, Chunk chunk not None):
        """The writer is done with it. From its thread."""
        self.waiting -= chunk.cost()
        chunk.clear()
        if self.free.qsize() < 4:
            self.free.put(chunk)

    cdef int lose(self, int64_t received, int kind, Py_ssize_t size) except -1:
        """A row that is not written."""
        if self.lost_since == 0:
            self.lost_since = received
            self.note_full()
        self.lost_until = received
        if kind == FRAME:
            self.lost_frames += 1
            self.lost_bytes += size
        else:
            self.lost_rows += 1
        return 0

    cdef int say_lost(self) except -1:
        since, self.lost_since = self.lost_since, 0
        frames, size = self.lost_frames - self.told_frames, self.lost_bytes - self.told_bytes
        self.told_frames, self.told_bytes = self.lost_frames, self.lost_bytes
        self.note_lost(frames, size, since, self.lost_until)
        return 0
