"""The base of generated message classes."""

cimport cython

from .cursor cimport sbe_root
from .elements cimport View


@cython.no_gc
cdef class Message(View):
    pass


cdef class Schema:
    """What a generated module knows about itself at run time."""

    cdef readonly object package
    cdef readonly object id
    cdef readonly object version
    cdef readonly dict messages


cdef const sbe_root* seen(Message message) except NULL
