"""From the rows of a tape into the backlog of a feed, as if they came from sockets.

Nothing is copied: the backlog is shown frames where they lie in the tape's memory. What one
connection brought in one read of its socket has one time, and is one read here, too.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t

from ..feed.intake.arbiter cimport Arbiter
from ..feed.intake.backlog cimport MOST_SPANS, Backlog
from ..feed.intake.streams cimport Source
from ..feed.intake.tap cimport sbe_span

cdef enum:
    FRAME = 0                   # see `rows.Kind`

EVER = INT64_MAX
WHY = ("end", "other", "unknown", "later", "full", "enough", "look")   # see `pumping.pxd`


@cython.final
cdef class Pump:
    """`load` gives it rows, `play` plays those that are frames.

    ``look_at`` is a time (ns since 1970) from which on it stops wherever frames are held.
    """

    def __cinit__(self, Backlog backlog not None):
        self.backlog = backlog
        self.sources = {}
        self.look_at = INT64_MAX

    def load(
        self, const int64_t[::1] received not None, const uint16_t[::1] connection not None,
        const uint8_t[::1] kind not None, const int32_t[::1] offsets not None,
        const uint8_t[::1] data not None, const uint8_t[::1] wanted, Py_ssize_t begin,
        Py_ssize_t end,
    ):
        """Rows from ``begin`` to ``end`` are next; ``wanted``, unless it is None, marks with 1."""
        cdef Py_ssize_t rows = kind.shape[0]
        self.at = self.end = 0
        if not 0 <= begin <= end <= rows or offsets.shape[0] != rows + 1 or (
            received.shape[0] != rows or connection.shape[0] != rows
        ) or wanted is not None and wanted.shape[0] != rows:
            raise ValueError(f"rows {begin} to {end} of {rows}, with {offsets.shape[0]} offsets")
        self.holds = (received, connection, kind, offsets, data, wanted)
        if rows:
            self.received_at = &received[0]
            self.connection_at = &connection[0]
            self.kind_at = &kind[0]
            self.offset_at = &offsets[0]
            self.wanted_at = NULL
            if wanted is not None:
                self.wanted_at = &wanted[0]
            self.data_size = data.shape[0]
            self.data = &data[0] if data.shape[0] else NULL
        self.at, self.end = begin, end

    def want(self, const uint8_t[::1] wanted not None):
        """Of the rows that are left other ones are wanted now."""
        received, connection, kind, offsets, data, _ = self.holds
        self.load(received, connection, kind, offsets, data, wanted, self.at, self.end)

    def skip(self):
        """The row that `play` has stopped at is done with."""
        self.at += 1

    def play(self, int64_t most, int64_t until):
        """Plays frames up to a row that is none, and says why it has stopped: one of `WHY`.

        At most ``most`` are played, but for those of a last read, and none later than ``until``
        (ns since 1970). It stops as soon as a batch is complete, or the handler that is called has
        ended, and where there is no room. ValueError for a row that is not in its data.
        """
        cdef sbe_span[MOST_SPANS] spans
        cdef Backlog backlog = self.backlog
        cdef Arbiter arbiter = backlog.arbiter
        cdef Source source = None
        cdef int connection = -1
        cdef int64_t received, last = self.frames + most
        cdef Py_ssize_t i = self.at, count, room, begin, end
        cdef bint calling = backlog.calls is not None
        cdef int why = END
        # Python code may run in it, the user's handler included: `at` is right before it does.
        while i < self.end:
            if self.kind_at[i] != FRAME:
                why = OTHER
                break
            if self.wanted_at != NULL and not self.wanted_at[i]:
                i += 1
                self.at = i
                continue
            received = self.received_at[i]
            if received > until:
                why = LATER
                break
            if received >= self.look_at and arbiter.held_count:
                why = LOOK
                break
            if self.connection_at[i] != connection:
                connection = self.connection_at[i]
                found = self.sources.get(connection)
                if found is None:
                    why = UNKNOWN
                    break
                source = found
            room = min(backlog.room(), MOST_SPANS)
            if room == 0:
                why = FULL
                break
            count = 0
            while (
                i < self.end and count < room and self.received_at[i] == received
                and self.connection_at[i] == connection and self.kind_at[i] == FRAME
            ):
                if self.wanted_at == NULL or self.wanted_at[i]:
                    begin, end = self.offset_at[i], self.offset_at[i + 1]
                    if not 0 <= begin <= end <= self.data_size:
                        raise ValueError(f"row {i} is not in its data")
                    spans[count] = sbe_span(self.data + begin, end - begin)
                    count += 1
                i += 1
            self.at = i
            self.frames += count
            self.received = received
            backlog.stats.played_ns = received if received else 1   # 0 is the clock
            backlog.add_frames(source, spans, count, received, received + self.offset)
            backlog.end_read(source)
            if calling:
                if backlog.calls is None:
                    why = ENOUGH
                    break
            elif backlog.gathering and backlog.batches.rows >= backlog.batch_size:
                why = ENOUGH
                break
            if self.frames >= last:
                why = ENOUGH
                break
        return WHY[why]
