"""The base of generated message classes."""

cimport cython

from .cursor cimport sbe_cursor, sbe_root
from .elements cimport View


ctypedef object (*open_t)(object owner, sbe_cursor* cursor)


@cython.no_gc
cdef class Message(View):
    pass


cdef class Schema:
    cdef readonly object package
    cdef readonly object id
    cdef readonly object version
    cdef readonly dict removed      # template id -> what to say of it
    cdef readonly tuple classes
    cdef open_t open_message
    cdef bint sealed


cdef const sbe_root* seen(Message message) except NULL
cdef str shown(View view)
