"""The tables of one batch while they are written, and how they are handed over.

A frame is added in one go, with no Python code in between, so that threads and finalizers find
the tables whole. Opening the table of a message that comes for the first time runs Python code: it
is made aside, and whoever has handed over the rows meanwhile makes the frame go to the next ones.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ..decode.cursor cimport (
    FAULT_NO_MEMORY, FAULT_NO_TABLE, raise_fault, rewind, sbe_cursor, sbe_fault,
)
from ..decode.frames cimport open_frame
from ..decode.message cimport Schema
from .tables cimport (
    aim, append_t, open_dictionary, reserve, room_for, sbe_buffer, sbe_dictionary, sbe_frames,
    sbe_place, sbe_prefetch, sbe_table, sbe_tables,
)
from .written cimport (
    Rejection, Rejections, Written, close_table, move_table, seal_table, written,
)

from .results import Batch

cdef extern from "Python.h":
    Py_ssize_t PySequence_Fast_GET_SIZE(object sequence) noexcept
    PyObject** PySequence_Fast_ITEMS(object sequence) noexcept
    bint PyBytes_CheckExact(PyObject* frame) noexcept
    const char* PyBytes_AS_STRING(PyObject* frame) noexcept
    Py_ssize_t PyBytes_GET_SIZE(PyObject* frame) noexcept

cdef enum:                      # frames of a list
    TOGETHER = 64               # at most that many are looked at before they are read,
    MUCH = 4096                 # and not more bytes, which stay in the nearest cache
    AHEAD = 6

PREFIX = ("frame", "received_ns", "packet", "packet_sequence", "packet_time")

cdef Rows new_rows(
    Schema schema, append_t append_frames, Py_ssize_t capacity, object on_error, size_t prefix
):
    """Empty tables, one per message class of the schema. ValueError for wrong settings."""
    cdef Rows rows
    if not isinstance(on_error, str) or on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
    if capacity < 1:
        raise ValueError(f"capacity is at least 1 row, not {capacity}")
    rows = Rows.__new__(Rows)
    rows.schema = schema
    rows.append_frames = append_frames
    rows.collect = on_error == "collect"
    rows.prefix = prefix
    rows.tables.capacity = capacity
    allocate(rows)
    return rows


cdef int allocate(Rows rows) except -1:
    cdef size_t count = len(rows.schema.classes)
    rows.tables.items = <sbe_table*>zeroed(count, sizeof(sbe_table))
    rows.tables.count = count
    return 0


cdef int open_table(sbe_table* table, object layout, tuple columns) except -1:
    """Room for the tables of groups and for dictionaries; what is opened so far can be closed."""
    cdef size_t i
    itemsize = layout.row_dtype(columns).itemsize
    table.prefix = 8 * len(columns)
    table.groups = <sbe_table*>zeroed(
        len(layout.groups) + len(layout.blobs), sizeof(sbe_table)
    )
    for group in layout.groups.values():
        table.group_count += 1
        open_table(&table.groups[table.group_count - 1], group, ())
    for _ in layout.blobs:
        table.group_count += 1
        table.groups[table.group_count - 1].itemsize = 1
    table.dictionaries = <sbe_dictionary*>zeroed(len(layout.dictionaries), sizeof(sbe_dictionary))
    table.dictionary_count = len(layout.dictionaries)
    for i in range(table.dictionary_count):
        open_dictionary(&table.dictionaries[i])
    table.itemsize = itemsize   # from here on it is open
    return 0


cdef int open_like(sbe_table* table, const sbe_table* before) except -1:
    """`open_table` of the same layout, and room for what that one has, once the first row comes."""
    cdef size_t i
    table.prefix = before.prefix
    table.groups = <sbe_table*>zeroed(before.group_count, sizeof(sbe_table))
    table.dictionaries = <sbe_dictionary*>zeroed(before.dictionary_count, sizeof(sbe_dictionary))
    table.dictionary_count = before.dictionary_count
    for i in range(before.dictionary_count):
        open_dictionary(&table.dictionaries[i])
    for i in range(before.group_count):
        table.group_count += 1
        open_like(&table.groups[i], &before.groups[i])
    table.rows.likely = room_for(before.rows.used)
    table.offsets.likely = room_for(before.offsets.used)
    table.itemsize = before.itemsize    # from here on it is open
    return 0


cdef void* zeroed(size_t count, size_t size) except NULL:
    cdef void* memory = calloc(max(count, <size_t>1), size)
    if memory == NULL:
        raise MemoryError()
    return memory


cdef Py_ssize_t gather(
    PyObject** frames, Py_ssize_t count, sbe_place* begins, sbe_place* ends
) noexcept:
    """Where the next frames are, up to one that is not bytes; how many those are.

    They lie all over memory: what is to be read soon is on its way while others are looked at.
    """
    cdef Py_ssize_t i, at, size, much = 0
    for i in range(min(count, <Py_ssize_t>TOGETHER)):
        if i + AHEAD < count:
            sbe_prefetch(frames[i + AHEAD])
            sbe_prefetch(<char*>frames[i + AHEAD] + 64)
        if much >= MUCH or not PyBytes_CheckExact(frames[i]):
            return i
        size = PyBytes_GET_SIZE(frames[i])
        for at in range(96, min(size, <Py_ssize_t>2048), 64):
            sbe_prefetch(<char*>frames[i] + 32 + at)
        begins[i] = <const uint8_t*>PyBytes_AS_STRING(frames[i])
        ends[i] = begins[i] + size
        much += size
    return min(count, <Py_ssize_t>TOGETHER)


cdef class Rows:
    def __dealloc__(self):
        cdef size_t i
        for i in range(self.tables.count):
            close_table(&self.tables.items[i])
        free(self.tables.items)
        free(self.faults.data)

    cdef Rows fresh(self):
        """Empty tables with the same settings, which will have room for as much as there is now."""
        cdef Rows rows
        cdef size_t i
        rows = Rows.__new__(Rows)
        rows.schema = self.schema
        rows.append_frames = self.append_frames
        rows.collect = self.collect
        rows.prefix = self.prefix
        rows.symbols = self.symbols
        rows.tables.capacity = self.tables.capacity
        allocate(rows)
        for i in range(self.tables.count):
            if self.tables.items[i].rows.used:
                open_like(&rows.tables.items[i], &self.tables.items[i])
        return rows

    cdef int settle(
        self, sbe_cursor* cursor, const uint8_t* start, int64_t received_ns
    ) except -1:
        """What `add_row` does with a frame that is no row yet: opens its table, or refuses it."""
        if cursor.fault.code == FAULT_NO_TABLE:
            self.open_wanted()
            rewind(cursor, start)
            return TOO_LATE if self.finished else add_row(self, cursor, received_ns)
        self.reject(cursor.fault)
        self.frame_count += 1
        return REFUSED

    cdef int add_all(self, object frames) except -1:
        """The frames of a list or tuple."""
        cdef sbe_cursor cursor
        cdef sbe_fault fault
        cdef sbe_place[TOGETHER] begins    # borrowed: no Python code runs until they are rows
        cdef sbe_place[TOGETHER] ends
        cdef sbe_frames bounds
        cdef Py_ssize_t i = 0, some, added
        self.tables.expected = len(frames)
        while i < PySequence_Fast_GET_SIZE(frames):     # a list may get shorter meanwhile
            some = gather(
                PySequence_Fast_ITEMS(frames) + i, PySequence_Fast_GET_SIZE(frames) - i,
                begins, ends,
            )
            if some == 0:
                self.add_leased(frames[i], i)
                i += 1
                continue
            cursor.fault = &fault
            self.tables.frame = self.frame_count
            bounds = sbe_frames(&begins[0], &ends[0])
            aim(&cursor, bounds, 0)
            added = self.append_frames(&self.tables, &cursor, bounds, some)
            self.frame_count += added
            i += added
            if added != some:
                frame = frames[i]
                self.settle(&cursor, cursor.start, 0)
                i += 1
        return 0

    cdef int add_leased(self, object frame, Py_ssize_t i) except -1:
        """A frame of a list that is another buffer than bytes."""
        cdef sbe_cursor cursor
        try:
            owner = open_frame(frame, 0, &cursor)
        except (TypeError, BufferError, ValueError) as error:
            raise type(error)(f"frame {i}: {error}") from None
        add_row(self, &cursor, 0)
        return 0

    cdef int open_message(self, sbe_table* table, size_t number) except -1:
        """Opens the table of a message. Python code runs here."""
        return open_table(
            table, self.schema.classes[number]._LAYOUT, PREFIX[:self.prefix // 8]
        )

    cdef int open_wanted(self) except -1:
        """The table of the message that came now for the first time.

        Python code runs here, which may add to these rows, or hand them over: the table is made
        aside, and taken if there is none by then.
        """
        cdef sbe_table made
        cdef size_t wanted = self.tables.wanted
        memset(&made, 0, sizeof(sbe_table))
        try:
            self.open_message(&made, wanted)
        except BaseException:
            close_table(&made)
            raise
        if self.finished or self.tables.items[wanted].itemsize != 0:
            close_table(&made)
        else:
            self.tables.items[wanted] = made
        return 0

    cdef int reject(self, const sbe_fault* fault) except -1:
        cdef Rejection* rejection
        if fault.code == FAULT_NO_MEMORY:
            raise MemoryError()
        if not self.collect:
            raise_fault(fault, self.schema, self.tables.frame)
        if not reserve(&self.tables, &self.faults, sizeof(Rejection), 0, 0):
            raise MemoryError()
        rejection = <Rejection*>(self.faults.data + self.faults.used)
        rejection.frame = self.tables.frame
        rejection.fault = fault[0]
        self.faults.used += sizeof(Rejection)
        self.refused += 1
        return 0

    cdef object finish(self):
        """Everything as a Batch. Nothing may be added any more."""
        cdef size_t i
        came = []
        self.finished = True
        self.left_over_bytes = <int64_t>self.tables.left_over
        for i in range(self.tables.count):
            if self.tables.items[i].rows.used:
                seal_table(&self.tables.items[i])
                if self.symbols is not None:
                    came.append(self.schema.classes[i])
            else:
                close_table(&self.tables.items[i])
                memset(&self.tables.items[i], 0, sizeof(sbe_table))
        if self.symbols is not None:
            for message in came:
                self.symbols.share(self.contents(message), message._LAYOUT)
        return Batch(self)

    # what the Batch asks for (see `contents.Source`)

    @property
    def columns(self):
        return PREFIX[:self.prefix // 8]

    def contents(self, message):
        """What was written for a message class, None where no such message came."""
        cdef Written made
        cdef size_t i = self.schema.classes.index(message)
        if self.made is None:
            none_yet = [None] * <Py_ssize_t>self.tables.count
            self.made = none_yet if self.made is None else self.made
        if self.made[i] is None and self.tables.items[i].rows.used:
            made = written(message._LAYOUT, self.columns)
            if self.made[i] is None:        # Python code ran, which may have asked for the same
                move_table(&made.table, &self.tables.items[i])
                self.made[i] = made
        return self.made[i]

    def rejections(self):
        """The frames that were refused."""
        cdef Rejections made
        if self.made_rejections is None:
            made = Rejections.__new__(Rejections)
            made.schema = self.schema
            if self.made_rejections is None:
                made.faults, self.faults = self.faults, sbe_buffer(NULL, 0, 0, 0)
                self.made_rejections = made
        return self.made_rejections
