"""Where the buffers of a batch are, for who has its bytes in C."""

from libc.stdint cimport int64_t, uint8_t

cdef enum:
    COLUMNS = 4                 # of a tape: received_ns, connection, kind, frame
    BUFFERS = 9                 # of these: each has one of marks first, and frames two more

cdef enum sbe_codec:
    PLAIN
    LZ4
    ZSTD


cdef struct sbe_buffer_place:       # in the body
    int64_t offset
    int64_t length


cdef struct sbe_layout:
    sbe_codec codec
    bint is_whole                   # each column has ``rows`` rows, and no nulls
    int64_t buffers                 # how many there are; the first nine of them follow
    sbe_buffer_place[BUFFERS] at


cdef sbe_layout layout_of(const uint8_t* data, Py_ssize_t size, int64_t rows) except *
