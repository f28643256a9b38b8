"""Many frames into tables: the loops over the input, and `Collector`.

Frames of a list are read under the GIL. One buffer with offsets is read with the GIL released once
for the whole call. In both, a frame is validated exactly as `decode` validates it.
"""

cimport cython
cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from .arrays cimport own_array
from .cursor cimport sbe_cursor, sbe_fault, FAULT_NO_MEMORY, new_error, raise_fault
from .frames cimport Lease, lease_frame
from .message cimport Schema
from .tables cimport sbe_buffer, sbe_dictionary, sbe_group_rows, sbe_table, sbe_tables, append_t, reserve

import numpy as np

from .inputs import contiguous
from .results import Batch

cdef struct Rejection:
    int64_t frame
    sbe_fault fault


cdef class Builder:
    def __dealloc__(self):
        self.free()

    cdef int open(self, Schema schema, append_t append, Py_ssize_t capacity, object on_error,
                  size_t prefix) except -1:
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        if capacity < 1:
            raise ValueError(f"capacity is at least 1 row, not {capacity}")
        self.schema = schema
        self.append_frame = append
        self.collect = on_error == "collect"
        self.tables.capacity = capacity
        self.allocate(prefix)
        return 0

    cdef int allocate(self, size_t prefix) except -1:
        """Empty tables, one per message in the order of ``schema.messages``."""
        cdef sbe_table* table
        cdef size_t i
        columns = PREFIX[:prefix // 8]
        self.tables.items = <sbe_table*>checked(calloc(max(len(self.schema.messages), 1), sizeof(sbe_table)))
        for message in self.schema.messages.values():
            layout = message._LAYOUT
            dtypes = layout.group_dtypes
            table = &self.tables.items[self.tables.count]
            self.tables.count += 1
            table.prefix = prefix
            table.itemsize = layout.row_dtype(columns).itemsize
            table.groups = <sbe_group_rows*>checked(calloc(max(len(dtypes), 1), sizeof(sbe_group_rows)))
            table.group_count = len(dtypes)
            for i in range(table.group_count):
                table.groups[i].itemsize = dtypes[i].itemsize
            table.dictionaries = <sbe_dictionary*>checked(
                calloc(max(len(layout.dictionaries), 1), sizeof(sbe_dictionary))
            )
            table.dictionary_count = len(layout.dictionaries)
        return 0

    cdef void free(self) noexcept:
        cdef sbe_table* table
        cdef size_t i, j
        for i in range(self.tables.count):
            table = &self.tables.items[i]
            free(table.rows.data)
            for j in range(table.group_count):
                free(table.groups[j].entries.data)
                free(table.groups[j].offsets.data)
            free(table.groups)
            for j in range(table.dictionary_count):
                clear_dictionary(&table.dictionaries[j])
            free(table.dictionaries)
        free(self.tables.items)
        free(self.faults.data)

    cdef int add(self, object frame, int64_t received_ns) except -1:
        """One frame; on a DecodeError nothing has changed, or with collect it is noted."""
        cdef sbe_cursor cursor
        cdef sbe_fault fault
        cdef object lease = None
        if PyBytes_CheckExact(frame):
            cursor.start = <const uint8_t*>PyBytes_AS_STRING(frame)
            cursor.end = cursor.start + PyBytes_GET_SIZE(frame)
        else:
            lease = lease_frame(frame, &cursor)
        cursor.position = cursor.start
        cursor.template_id = -1
        cursor.fault = &fault
        self.tables.frame = self.frame_count
        self.tables.received_ns = received_ns
        if not self.append_frame(&self.tables, &cursor):
            self.reject(&fault)
        self.frame_count += 1
        return 0

    cdef int add_run(self, object buffer, object offsets) except -1:
        """The frames ``buffer[offsets[i]:offsets[i + 1]]``, checked to be in order and inside.

        ``offsets`` is an aligned, contiguous int64 array.
        """
        cdef sbe_cursor cursor
        cdef sbe_fault fault
        cdef const uint8_t* data
        cdef const int64_t* ends = <const int64_t*>cnp.PyArray_DATA(<cnp.ndarray>offsets)
        cdef Py_ssize_t i = 0, count = len(offsets) - 1
        cdef Lease lease = Lease(buffer)
        cdef bint good
        data = <const uint8_t*>lease.view.buf
        cursor.fault = &fault
        while i < count:
            with nogil:
                good = True
                while i < count:
                    cursor.start = data + ends[i]
                    cursor.end = data + ends[i + 1]
                    cursor.position = cursor.start
                    cursor.template_id = -1
                    self.tables.frame = i
                    if not self.append_frame(&self.tables, &cursor):
                        good = False
                        break
                    i += 1
            if not good:
                self.reject(&fault)
                i += 1
        self.frame_count = count
        return 0

    cdef int reject(self, const sbe_fault* fault) except -1:
        cdef Rejection* rejection
        if fault.code == FAULT_NO_MEMORY:
            raise MemoryError()
        if not self.collect:
            raise_fault(fault, self.schema, self.tables.frame)
        if not reserve(&self.tables, &self.faults, sizeof(Rejection), 0):
            raise MemoryError()
        rejection = <Rejection*>(self.faults.data + self.faults.used)
        rejection.frame = self.tables.frame
        rejection.fault = fault[0]
        self.faults.used += sizeof(Rejection)
        return 0

    cdef object finish(self):
        """Hands everything over as a Batch, and starts anew."""
        cdef sbe_table* table
        cdef size_t i, j
        contents = {}
        columns = PREFIX[:self.tables.items[0].prefix // 8] if self.tables.count else ()
        for i, message in enumerate(self.schema.messages.values()):
            table = &self.tables.items[i]
            layout = message._LAYOUT
            if table.rows.used == 0:
                continue
            rows = hand_over(layout.row_dtype(columns), &table.rows, table.itemsize)
            groups = []
            for j, dtype in enumerate(layout.group_dtypes):
                entries = hand_over(dtype, &table.groups[j].entries, dtype.itemsize)
                groups.append((entries, hand_over(INT64, &table.groups[j].offsets, 8)))
            dictionaries = []
            for j in range(table.dictionary_count):
                dictionaries.append(texts_of(&table.dictionaries[j]))
                clear_dictionary(&table.dictionaries[j])
            contents[message] = (rows, groups, dictionaries)
        rejections = Rejections.__new__(Rejections)
        (<Rejections>rejections).schema = self.schema
        (<Rejections>rejections).faults = self.faults
        self.faults = sbe_buffer(NULL, 0, 0)
        batch = Batch(
            self.schema, columns, contents, rejections, self.frame_count, self.tables.left_over
        )
        self.frame_count = 0
        self.tables.left_over = 0
        return batch


cdef class Rejections:
    """The faults of the frames that were refused, in the order of the frames."""

    cdef Schema schema
    cdef sbe_buffer faults

    def __dealloc__(self):
        free(self.faults.data)

    def __len__(self):
        return self.faults.used // sizeof(Rejection)

    def records(self):
        """(frame, code, offset) of each, as a structured array."""
        cdef const Rejection* faults = <const Rejection*>self.faults.data
        result = np.empty(len(self), REJECTED_DTYPE)
        for i in range(len(self)):
            result[i] = (faults[i].frame, faults[i].fault.code, faults[i].fault.offset)
        return result

    def error(self, Py_ssize_t index):
        """The DecodeError of one."""
        cdef const Rejection* faults = <const Rejection*>self.faults.data
        if index < 0 or index >= len(self):
            raise IndexError(index)
        return new_error(&faults[index].fault, self.schema, faults[index].frame)


PREFIX = ("frame", "received_ns")
INT64 = np.dtype(np.int64)
REJECTED_DTYPE = np.dtype([("frame", "i8"), ("code", "i4"), ("offset", "i8")], align=True)


cdef void* checked(void* memory) except NULL:
    if memory == NULL:
        raise MemoryError()
    return memory


cdef object hand_over(object dtype, sbe_buffer* buffer, size_t itemsize):
    """The buffer's contents as an array that owns them; the buffer is empty afterwards."""
    cdef size_t used = buffer.used
    cdef void* data = buffer.data
    if data == NULL:
        return np.empty(0, dtype)
    if used < buffer.capacity and used > 0:
        data = realloc(data, used) or data
    buffer[0] = sbe_buffer(NULL, 0, 0)
    return own_array(dtype, data, used // itemsize)


cdef object texts_of(const sbe_dictionary* dictionary):
    """The texts in the order of their codes; what is not UTF-8 is kept by surrogateescape."""
    cdef size_t begin = 0, end
    cdef uint32_t code
    texts = []
    for code in range(dictionary.count):
        end = (<size_t*>dictionary.ends.data)[code]
        texts.append(dictionary.text.data[begin:end].decode("utf-8", "surrogateescape"))
        begin = end
    return texts


cdef void clear_dictionary(sbe_dictionary* dictionary) noexcept:
    free(dictionary.text.data)
    free(dictionary.ends.data)
    free(dictionary.slots.data)
    memset(dictionary, 0, sizeof(sbe_dictionary))


cdef class Collector(Builder):
    """Frames as they arrive, into tables that `take` hands over. See the generated modules."""

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def append(self, frame, int64_t received_ns=0):
        """Adds one frame, with the time it was received (ns since the epoch, or any clock).

        The frame is copied into rows and not kept. Raises DecodeError for one that is no message
        of the schema, or, with ``on_error="collect"``, notes it for ``Batch.rejected``; either way
        the rows written before stay as they are.
        """
        self.add(frame, received_ns)

    def take(self):
        """A Batch of everything since the last take. Its arrays are its own, never reused."""
        return self.finish()

    def __len__(self):
        return self.frame_count


cdef object decode_frames(Schema schema, append_t append, object frames, object on_error):
    """`decode_many` of a generated module."""
    cdef Builder builder = Builder.__new__(Builder)
    run = contiguous(frames)
    count = len(frames) if run is None else len(run[1]) - 1
    builder.open(schema, append, min(max(count, 1), 256), on_error, 8)
    builder.tables.expected = count
    if run is not None:
        builder.add_run(run[0], run[1])
        return builder.finish()
    for frame in frames:
        try:
            builder.add(frame, 0)
        except (TypeError, BufferError) as error:
            raise type(error)(f"frame {builder.frame_count}: {error}") from None
    return builder.finish()
