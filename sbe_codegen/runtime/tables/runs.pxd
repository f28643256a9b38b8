"""Frames that lie in one buffer, into the tables of a batch."""

from .rows cimport Rows


cdef int add_run(Rows rows, object buffer, object offsets) except -1
cdef int add_buffer(Rows rows, object buffer) except -1
