"""The base of generated message classes."""

cimport cython
from cpython.object cimport PyTypeObject
from libc.stdint cimport uint64_t

from .cursor cimport sbe_cursor, sbe_header, sbe_root
from .elements cimport View
from .reuse cimport sbe_freed_messages, sbe_reused_message


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
    cdef public object packets      # a PacketLayout, where conventions have one
    cdef dict known_names
    cdef open_t open_message
    cdef bint sealed


cdef extern from *:
    """
    /* A new message's owner is NULL, which Cython's own assignment does not expect. */
    #define sbe_own(view, value) do { Py_INCREF(value); (view)->owner = (value); } while (0)
    """
    void sbe_own(View view, object owner)


cdef inline Message new_message(sbe_freed_messages* freed, type kind):
    """A message that no frame is known of; `own` is what comes next."""
    cdef Message message = <Message>sbe_reused_message(freed, <PyTypeObject*>kind)
    message.root = NULL
    return message


cdef inline void own(Message message, object owner) noexcept:
    sbe_own(<View>message, owner)


cdef int open_body(
    sbe_cursor* cursor, sbe_header* header, object template_id, object version
) except -1
cdef uint64_t body_length(object given, uint64_t own) except? 0
cdef object as_body(Message message, size_t header_size)
cdef void keep_freed_by(type kind, void (*give_back)(void*) noexcept) noexcept
cdef object reopen(Message message, object frame, Py_ssize_t offset, sbe_cursor* cursor)
cdef const sbe_root* seen(Message message) except NULL
cdef str shown(View view)
