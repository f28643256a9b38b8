"""Frames that wait for what is missing before them, of one stream."""

from libc.stdint cimport int64_t

from .streams cimport Source, Stream, sbe_event


cdef class Held:                # one frame
    cdef sbe_event event
    cdef list ids               # of an odd event
    cdef Source source          # owned: its connection may have ended, and its leg be gone
    cdef int64_t received
    cdef int64_t moment
    cdef int64_t begin          # its connection has brought all that was sent from this id up to it
    cdef object frame
    cdef bint done              # it waits no more; `Stream.arrivals` may still have it


cdef int keep(Stream stream, Held held) except -1
cdef int64_t longest(Stream stream) except? -1
