"""A batch by its metadata, in little memory: a tape of a day has a million of them."""

cimport cython
from libc.stdint cimport INT64_MIN, int64_t, uint64_t

import struct
from collections import namedtuple

# What batches that follow each other have in common, mostly: names, in their order.
Shape = namedtuple("Shape", "kinds counters new schema")
# What comes of metadata that say what no recorder says.
ODD = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error,
)
FRAME = "0"                         # the kind that is a frame: see `rows.Kind`

cdef int64_t NONE = INT64_MIN
cdef int64_t MOST_ROWS = 0x7FFFFFFE # of a batch, whose offsets are int32
cdef tuple NAMES = (
    "batch", "rows", "before", "frames_before", "first_ns", "last_ns", "first_event_us",
    "last_event_us", "others", "columns", "kinds", "counters", "new", "schema",
)


cdef int64_t number(object value, int64_t least) except? -1:
    """A whole number. What it is not raises one of `ODD`."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    cdef int64_t found = value
    if found < least:
        raise ValueError(f"{value} is too low")
    return found


cdef int64_t number_or_none(object value) except? -1:
    return NONE if value is None else number(value, NONE + 1)


@cython.final
@cython.no_gc
cdef class Entry:
    """Where a batch is, and its metadata ("tape.batch"), which is as it was written.

    Its attributes have the names of the keys of "tape.batch", by which it is a mapping as well.
    """

    cdef readonly int64_t offset, metadata_length, body_length
    cdef readonly int64_t batch, rows, before, frames_before, first_ns, last_ns
    cdef readonly int64_t frames    # SBE messages, or what claimed to be some
    cdef readonly int64_t others
    cdef int64_t first_event, last_event
    cdef uint64_t digest            # of the columns
    cdef object shape
    cdef bytes counts               # of kinds, and of counters behind them

    @staticmethod
    def of(int64_t offset, int64_t metadata_length, int64_t body_length, dict told, dict shapes):
        """Raises one of `ODD` where it says what no recorder says.

        ``shapes`` has the shape of each entry that was made before, by itself.
        """
        cdef Entry self = Entry.__new__(Entry)
        cdef dict kinds = told["kinds"], counters = told["counters"]
        self.offset, self.metadata_length, self.body_length = offset, metadata_length, body_length
        self.batch = number(told["batch"], 0)
        self.rows = number(told["rows"], 1)
        self.before = number(told["before"], 0)
        self.frames_before = number(told["frames_before"], 0)
        self.first_ns = number(told["first_ns"], NONE + 1)
        self.last_ns = number(told["last_ns"], NONE + 1)
        self.first_event = number_or_none(told["first_event_us"])
        self.last_event = number_or_none(told["last_event_us"])
        self.others = number(told["others"], 0)
        self.frames = number(kinds.get(FRAME, 0), 0)
        if self.rows > MOST_ROWS:
            raise ValueError(f"{self.rows} rows are more than a batch can have")
        self.digest = int(told["columns"], 16)
        if told["columns"] != self.columns:
            raise ValueError(f"{told['columns']!r} is no check sum")
        shape = Shape(tuple(kinds), tuple(counters), tuple(told["new"]), told["schema"])
        found = shapes.get(shape)
        if found is None:
            if type(shape.schema) is not str or not all([type(name) is str for name in shape.new]):
                raise TypeError("a name is no text")
            shapes[shape] = found = shape
        self.shape = found
        counts = [*kinds.values(), *counters.values()]
        self.counts = struct.pack(f"<{len(counts)}q", *counts)
        return self

    @property
    def body_at(self):
        return self.offset + 8 + self.metadata_length

    @property
    def end(self):
        return self.offset + 8 + self.metadata_length + self.body_length

    @property
    def has_others(self):
        """Whether some of its rows are no frames."""
        return self.shape.kinds != (FRAME,)

    def end_at(self, int64_t end):
        """It is that long: metadata that would be longer are cut off, too."""
        cdef int64_t body_at = min(self.offset + 8 + self.metadata_length, end)
        self.metadata_length, self.body_length = body_at - self.offset - 8, end - body_at

    @property
    def first_event_us(self):
        return None if self.first_event == NONE else self.first_event

    @property
    def last_event_us(self):
        return None if self.last_event == NONE else self.last_event

    @property
    def columns(self):
        return f"{self.digest:016x}"

    @property
    def new(self):
        return list(self.shape.new)

    @property
    def schema(self):
        return self.shape.schema

    @property
    def kinds(self):
        return dict(zip(self.shape.kinds, self.numbers()))

    @property
    def counters(self):
        return dict(zip(self.shape.counters, self.numbers()[len(self.shape.kinds):]))

    cdef tuple numbers(self):
        return struct.unpack(f"<{len(self.counts) // 8}q", self.counts)

    def __getitem__(self, name):
        if name not in NAMES:
            raise KeyError(name)
        return getattr(self, name)

    def keys(self):
        return NAMES
