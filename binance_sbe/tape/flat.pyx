"""Reads of Arrow's flatbuffers what pyarrow does not tell, or tells slowly.

That is the metadata of batches, where their buffers are, and the footer.

The layouts are those of Arrow's Message.fbs and File.fbs. Every offset in them may be damaged: what
does not fit in its bytes raises ValueError.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from collections import namedtuple

SCHEMA, RECORD_BATCH = 1, 3     # kinds of a message (MessageHeader)

# Where a footer says that a batch is; the length of its metadata has the eight bytes before them.
Block = namedtuple("Block", "offset metadata_length body_length")
# A message without the eight bytes before it.
Message = namedtuple("Message", "kind body_length metadata")


cdef struct sbe_flat:           # a table of a flatbuffer, borrowed from who has the bytes
    const uint8_t* data
    Py_ssize_t size
    Py_ssize_t at
    Py_ssize_t fields_at
    Py_ssize_t fields_size


cdef Py_ssize_t inside(const sbe_flat* flat, int64_t at, int64_t size) except -1:
    """``at``, where so many bytes are there."""
    if at < 0 or size < 0 or at > flat.size or size > flat.size - at:
        raise ValueError(f"{size} bytes at {at} are not within {flat.size}")
    return <Py_ssize_t>at


cdef uint32_t number32(const sbe_flat* flat, Py_ssize_t at) except? 0xFFFFFFFF:
    cdef uint32_t found = 0
    memcpy(&found, flat.data + inside(flat, at, 4), 4)
    return found


cdef uint16_t number16(const sbe_flat* flat, Py_ssize_t at) except? 0xFFFF:
    cdef uint16_t found = 0
    memcpy(&found, flat.data + inside(flat, at, 2), 2)
    return found


cdef int64_t number64(const sbe_flat* flat, Py_ssize_t at) except? -1:
    cdef int64_t found = 0
    memcpy(&found, flat.data + inside(flat, at, 8), 8)
    return found


cdef Py_ssize_t followed(const sbe_flat* flat, Py_ssize_t at) except -1:
    """What an offset at a place leads to."""
    return inside(flat, <int64_t>at + number32(flat, at), 4)


cdef sbe_flat table_at(const sbe_flat* flat, Py_ssize_t at) except *:
    cdef sbe_flat table = flat[0]
    table.at = at
    table.fields_at = inside(flat, <int64_t>at - <int32_t>number32(flat, at), 4)
    table.fields_size = number16(flat, table.fields_at)
    inside(flat, table.fields_at, table.fields_size)
    return table


cdef Py_ssize_t field(const sbe_flat* table, int number) except -1:
    """Where a field is; 0 where it is not there."""
    cdef Py_ssize_t place = 4 + 2 * number
    cdef uint16_t offset
    if place + 2 > table.fields_size:
        return 0
    offset = number16(table, table.fields_at + place)
    return inside(table, table.at + offset, 1) if offset else 0


cdef Py_ssize_t target(const sbe_flat* table, int number) except -1:
    """Where what a field refers to is; 0 where it is not there."""
    cdef Py_ssize_t at = field(table, number)
    return followed(table, at) if at else 0


cdef bytes content(const sbe_flat* table, int number):
    cdef Py_ssize_t at = target(table, number), size
    if not at:
        return b""
    size = number32(table, at)
    at = inside(table, at + 4, size)
    return table.data[at:at + size]


cdef struct sbe_vector:         # the items of one; none where it is not there
    int64_t begin
    int64_t end


cdef sbe_vector vector(const sbe_flat* table, int number, int size) except *:
    """The vector of a field, with items of so many bytes."""
    cdef Py_ssize_t at = target(table, number)
    cdef sbe_vector found = sbe_vector(0, 0)
    if at:
        found.end = size * <int64_t>number32(table, at)
        found.begin = inside(table, at + 4, found.end)
        found.end += found.begin
    return found


cdef dict pairs(const sbe_flat* table, int number):
    """A vector of KeyValue."""
    cdef sbe_vector items = vector(table, number, 4)
    cdef Py_ssize_t i
    cdef sbe_flat pair
    cdef dict found = {}
    for i in range(items.begin, items.end, 4):
        pair = table_at(table, followed(table, i))
        found[content(&pair, 0)] = content(&pair, 1)
    return found


cdef sbe_flat root(const uint8_t* data, Py_ssize_t size) except *:
    cdef sbe_flat flat = sbe_flat(data, size, 0, 0, 0)
    return table_at(&flat, followed(&flat, 0))


cdef sbe_flat root_of(const uint8_t[::1] data) except *:
    return root(&data[0] if data.shape[0] else NULL, data.shape[0])


cdef int kind_of_message(const sbe_flat* table) except -1:
    cdef Py_ssize_t at = field(table, 1)
    return table.data[at] if at else 0


def read_message(const uint8_t[::1] data not None):
    """Of the flatbuffer of a message, without the eight bytes before it."""
    cdef sbe_flat table = root_of(data)
    cdef Py_ssize_t at = field(&table, 3)
    size = number64(&table, at) if at else 0
    return Message(kind_of_message(&table), size, pairs(&table, 4))


cdef sbe_layout layout_of(const uint8_t* data, Py_ssize_t size, int64_t rows) except *:
    """Of the flatbuffer of a message that is a batch of so many rows, as it should be."""
    cdef sbe_flat table = root(data, size), compression
    cdef sbe_layout layout
    cdef sbe_vector items
    cdef Py_ssize_t at = target(&table, 2), place, method, i
    if kind_of_message(&table) != RECORD_BATCH or not at:
        raise ValueError("no batch")
    table = table_at(&table, at)
    layout.codec = PLAIN
    at = target(&table, 3)
    if at:
        compression = table_at(&table, at)
        place = field(&compression, 0)
        layout.codec = ZSTD if place and compression.data[place] else LZ4
        method = field(&compression, 1)
        if (place and compression.data[place] > 1) or (method and compression.data[method]):
            raise ValueError("its buffers are compressed in a way that is not known")
    items = vector(&table, 1, 16)
    layout.is_whole = items.end - items.begin == 16 * COLUMNS
    for i in range(items.begin, items.end, 16):
        if number64(&table, i) != rows or number64(&table, i + 8) != 0:
            layout.is_whole = False
    items = vector(&table, 2, 16)
    layout.buffers = (items.end - items.begin) // 16
    for i in range(min(layout.buffers, <int64_t>BUFFERS)):
        place = items.begin + 16 * i
        layout.at[i] = sbe_buffer_place(number64(&table, place), number64(&table, place + 8))
    return layout


def schema_metadata(const uint8_t[::1] data not None):
    """The metadata of the schema that a message of a schema has."""
    cdef sbe_flat table = root_of(data)
    cdef Py_ssize_t at = target(&table, 2)
    if kind_of_message(&table) != SCHEMA or not at:
        raise ValueError("no schema")
    table = table_at(&table, at)
    return pairs(&table, 2)


def read_footer(const uint8_t[::1] data not None):
    """The blocks of record batches that a footer names."""
    cdef sbe_flat table = root_of(data)
    cdef sbe_vector items = vector(&table, 3, 24)
    cdef Py_ssize_t i
    return [Block(number64(&table, i), <int32_t>number32(&table, i + 8), number64(&table, i + 16))
            for i in range(items.begin, items.end, 24)]
