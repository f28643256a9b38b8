"""The bytes of one message while they are put together, beside the arrays that go between them."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    FIRST_BYTES = 1024          # without asking for memory,
    FIRST_PIECES = 4            # and without it too


cdef struct sbe_piece:          # entries of an array, which are copied when all is known to be good
    size_t at                   # of the writer's bytes, before which they go
    PyObject* array             # owned
    size_t count, size


cdef struct sbe_writer:
    uint8_t* data
    size_t size, capacity
    size_t total                # with the pieces
    size_t empty                # entries that take no bytes
    uint64_t version            # that the message is written in
    sbe_piece* pieces
    size_t piece_count
    size_t piece_capacity
    uint8_t[FIRST_BYTES] first
    sbe_piece[FIRST_PIECES] first_pieces


cdef inline void open_writer(sbe_writer* writer, uint64_t version) noexcept:
    writer.data = writer.first
    writer.size = writer.total = writer.empty = 0
    writer.capacity = FIRST_BYTES
    writer.version = version
    writer.pieces = writer.first_pieces
    writer.piece_count = 0
    writer.piece_capacity = FIRST_PIECES


cdef inline int make_room(sbe_writer* writer, size_t more) except -1:
    """Room for ``more`` bytes behind ``size``, which the caller then moves on."""
    if writer.capacity - writer.size < more:
        grow(writer, more)
    return 0


cdef int grow(sbe_writer* writer, size_t more) except -1
cdef int add_piece(sbe_writer* writer, object array, size_t count, size_t size) except -1
cdef int copy_out(const sbe_writer* writer, uint8_t* to) except -1
cdef bint touches(const sbe_writer* writer, const uint8_t* begin, size_t size) noexcept
cdef object taken_out(const sbe_writer* writer)
cdef object put_into(const sbe_writer* writer, object message, object target, object offset)
cdef void close_writer(sbe_writer* writer) noexcept
