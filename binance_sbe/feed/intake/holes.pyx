"""The ids that were left out of streams: the account is told, also where they come after all."""

from libc.stdint cimport INT64_MIN, int64_t

from .streams cimport Stream, sbe_event


cdef class Holes:
    """See `arbiter.Arbiter` for ``note_hole`` and ``note_late``. The ids are in ``Stream.gaps``."""

    def __cinit__(self, note_hole, note_late=None):
        self.note_hole = note_hole
        self.note_late = note_late

    cdef int add(
        self, Stream stream, int64_t before, int64_t after, int64_t received, str cause
    ) except -1:
        """Ids between two that nobody has brought."""
        first, last = <object>before + 1, <object>after - 1
        if not stream.jumps:
            stream.lost += last - first + 1
        # As Python's ints: between two of 64 bits there may be more than 64 bits can count.
        stream.gaps.append(first, last)
        stream.gap_top = last
        # The account comes last, when the stream says what it is told.
        self.note_hole(stream, before, after, stream.received, received, cause)
        return 0

    cdef int note_ids(
        self, Stream stream, int64_t before, const sbe_event* event, int64_t received, list ids
    ) except -1:
        """What is missing, or repeats, within one event."""
        stream.out_of_order += sum([b <= a for a, b in zip(ids, ids[1:])])
        at = max(<object>before, <object>event.first - 1)
        for each in sorted(ids):
            if each > at + 1:
                self.add(stream, at, each, received, "not sent")
            at = max(at, each)
        return 0

    cdef object fill(
        self, Stream stream, const sbe_event* event, int64_t first, list odd_ids
    ):
        """Takes out of the gaps what an event brings, from ``first`` on; how many ids that is."""
        filled = 0
        runs = [(each, each) for each in odd_ids] if event.odd else [(first, event.last)]
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
