"""What was written for a message or a group: arrays and texts are made when they are asked for.

A live feed hands over batches of one row, of which most is never looked at. An array takes over the
memory of its rows and nothing else, so that what is kept is what somebody has.

Memory changes hands between two looks at it with no Python code in between: neither another thread
nor a finalizer finds it half handed over, or twice.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from ..decode.arrays cimport empty_array, own_array
from ..decode.cursor cimport new_error
from ..decode.memory cimport give_memory
from ..decode.message cimport Schema
from .tables cimport free_slots, room_for, sbe_buffer, sbe_dictionary, sbe_table

import numpy as np

from .contents import Contents

INT64 = np.dtype(np.int64)
UINT8 = np.dtype(np.uint8)
REJECTED_DTYPE = np.dtype([("frame", "i8"), ("code", "i4"), ("offset", "i8")], align=True)


@cython.final
cdef class Written:
    """As `contents.Contents`, made bit by bit. Nothing is written to its table any more."""

    def __dealloc__(self):
        close_table(&self.table)

    @property
    def records(self):
        """A structured array of all rows, which owns them."""
        if self.made_records is None:
            self.made_records = hand_over(self.dtype, &self.table.rows)
        return self.made_records

    @property
    def offsets(self):
        """Of a group: where the entries of each outer row end, int64, the first one 0."""
        if self.made_offsets is None:
            if self.table.offsets.used:
                self.made_offsets = hand_over(INT64, &self.table.offsets)
            else:
                none = np.zeros(1, INT64)
                if self.made_offsets is None and self.table.offsets.used == 0:
                    self.made_offsets = none
        return self.made_offsets

    cdef list inner(self):
        """The groups and then var data without a text encoding, each a Written of its own."""
        cdef list made
        cdef size_t i
        if self.made_inner is None:
            # All is made before any memory is moved: a list may wake the cycle collector, and that
            # any finalizer, which may ask for this.
            groups = list(self.layout.groups.values()) if self.layout is not None else []
            made = [written(each, ()) for each in groups]
            blobs = self.layout.blobs if self.layout is not None else []
            made += [fresh(None, UINT8) for _ in blobs]
            if self.made_inner is None:
                for i in range(self.table.group_count):     # as many: see `rows.open_table`
                    move_table(&(<Written>made[i]).table, &self.table.groups[i])
                self.made_inner = made
        return self.made_inner

    @property
    def groups(self):
        return self.inner()[:len(self.layout.groups)]

    @property
    def blobs(self):
        """(content, offsets) of each var data."""
        return [
            ((<Written>each).records, (<Written>each).offsets)
            for each in self.inner()[len(self.layout.groups):]
        ]

    @property
    def dictionaries(self):
        """The texts that the codes of each var data index."""
        cdef size_t i
        if self.made_texts is None:
            made = [
                texts_of(&self.table.dictionaries[i], self.layout.encodings[i])
                for i in range(self.table.dictionary_count)
            ]
            if self.made_texts is None:
                self.made_texts = made
        return self.made_texts

    def __reduce__(self):
        return Contents, tuple(self.contents())     # arrays can be pickled, and copied

    def part(self, begin, end):
        return self.contents().part(begin, end)

    def under(self, begin, end):
        return self.contents().under(begin, end)

    def contents(self):
        return Contents(
            self.records, self.offsets, self.groups, self.blobs, self.dictionaries
        )


cdef Written fresh(object layout, object dtype):
    cdef Written made = Written.__new__(Written)
    made.layout = layout
    made.dtype = dtype
    return made


cdef Written written(object layout, tuple columns):
    """Of a message, without rows: they are to be moved there. Python code runs here."""
    return fresh(layout, layout.row_dtype(columns))


cdef void move_table(sbe_table* to, sbe_table* table) noexcept:
    to[0] = table[0]
    memset(table, 0, sizeof(sbe_table))


cdef void seal_table(sbe_table* table) noexcept:
    """No more rows come: what only they would need is given back."""
    cdef size_t i
    shrink(&table.rows)
    shrink(&table.offsets)
    for i in range(table.dictionary_count):
        free_slots(table.dictionaries[i].slots)
        table.dictionaries[i].slots = NULL
    for i in range(table.group_count):
        seal_table(&table.groups[i])


cdef void shrink(sbe_buffer* buffer) noexcept:
    cdef size_t capacity = room_for(buffer.used)    # what the next batch will look for
    cdef void* data
    if 0 < buffer.used < buffer.capacity - buffer.capacity // 8:
        data = realloc(buffer.data, capacity)
        if data != NULL:
            buffer.data = <char*>data
        buffer.capacity = capacity


cdef void close_table(sbe_table* table) noexcept:
    cdef size_t i
    give_memory(table.rows.data, table.rows.capacity)
    give_memory(table.offsets.data, table.offsets.capacity)
    for i in range(table.group_count):
        close_table(&table.groups[i])
    free(table.groups)
    for i in range(table.dictionary_count):
        clear_dictionary(&table.dictionaries[i])
    free(table.dictionaries)


cdef void clear_dictionary(sbe_dictionary* dictionary) noexcept:
    free(dictionary.text.data)
    free(dictionary.ends.data)
    free_slots(dictionary.slots)
    memset(dictionary, 0, sizeof(sbe_dictionary))


cdef object hand_over(object dtype, sbe_buffer* buffer):
    """The buffer's contents as an array that owns them; the buffer is empty then.

    No Python code runs here. Where there is no memory for the array all is as before.
    """
    if buffer.data == NULL:
        return empty_array(dtype, 0)
    array = own_array(dtype, buffer.data, <Py_ssize_t>buffer.used, buffer.capacity)
    buffer[0] = sbe_buffer(NULL, 0, 0, 0)
    return array


cdef object texts_of(const sbe_dictionary* dictionary, str encoding):
    """The texts in the order of their codes; what is no text is kept by surrogateescape.

    It can escape bytes above 127 only, and codecs have errors of their own: else bytes are spelt.
    """
    cdef size_t begin = 0, end
    cdef uint32_t code
    texts = []
    for code in range(dictionary.count):
        end = (<size_t*>dictionary.ends.data)[code]
        text = dictionary.text.data[begin:end]
        for codec, way in ((encoding, "surrogateescape"), (encoding, "backslashreplace"),
                           ("ascii", "backslashreplace")):
            try:
                texts.append(text.decode(codec, way))
                break
            except MemoryError:
                raise
            except Exception:
                continue
        begin = end
    return texts


@cython.final
cdef class Rejections:
    """The faults of the frames that were refused, in the order of the frames."""

    def __dealloc__(self):
        free(self.faults.data)

    def __len__(self):
        return self.faults.used // sizeof(Rejection)

    def records(self):
        """(frame, code, offset) of each, as a structured array; the same at each call."""
        cdef const Rejection* faults = <const Rejection*>self.faults.data
        if self.made_records is None:
            result = np.empty(len(self), REJECTED_DTYPE)
            for i in range(len(self)):
                result[i] = (faults[i].frame, faults[i].fault.code, faults[i].fault.offset)
            if self.made_records is None:
                self.made_records = result
        return self.made_records

    def error(self, Py_ssize_t index):
        """The DecodeError of one."""
        cdef const Rejection* faults = <const Rejection*>self.faults.data
        if index < 0 or index >= len(self):
            raise IndexError(index)
        return new_error(&faults[index].fault, self.schema, faults[index].frame)
