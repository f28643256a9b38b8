"""The base of generated message classes."""

cimport cython

from .cursor cimport sbe_root
from .elements cimport View


@cython.no_gc
cdef class Message(View):
    pass


cdef class Schema:
    cdef readonly object package
    cdef readonly object id
    cdef readonly object version
    cdef readonly tuple classes


cdef const sbe_root* seen(Message message) except NULL
