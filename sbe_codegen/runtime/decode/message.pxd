"""The base of generated message classes."""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uint64_t

from .cursor cimport raise_fault, sbe_cursor, sbe_header, sbe_root
from .elements cimport View
from .reuse cimport sbe_freed_messages, sbe_kept_tuples, sbe_reused_message


ctypedef object (*open_t)(object owner, sbe_cursor* cursor)

# What C code of a generated module does for the messages of one class.
ctypedef bint (*take_t)(sbe_cursor* cursor, sbe_root* root) noexcept nogil
ctypedef bint (*walk_t)(
    sbe_cursor* cursor, const sbe_header* header, sbe_root* root
) noexcept nogil
ctypedef tuple (*unpack_t)(object owner, sbe_cursor* cursor)
ctypedef tuple (*values_t)(const sbe_root* root, object owner, bint floats)


cdef struct sbe_kind:               # of messages: a class, as C code knows it
    PyTypeObject* type              # the class lives as long as its module
    PyObject* schema                # borrowed: the class has it
    size_t place                    # where in an object the struct is that `walk` fills,
    size_t size                     # and how long that is
    sbe_root* scratch               # another such struct, for `wrap`
    take_t take                     # header, and all behind it
    walk_t walk                     # what is behind a header
    unpack_t unpack                 # `take`, and `values` of that
    values_t values
    PyObject* elements              # tuples of the descriptors of values, and of floats
    PyObject* float_elements
    sbe_kept_tuples kept            # objects that are taken again
    sbe_kept_tuples kept_floats
    sbe_freed_messages freed


@cython.no_gc
cdef class Message(View):
    cdef sbe_kind* kind             # NULL in an object that no decode has made


@cython.no_gc
cdef class ScaledMessage(Message):
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


cdef inline sbe_root* struct_of(Message message, const sbe_kind* kind) noexcept:
    """The struct of the frame, with which an object of that class ends."""
    return <sbe_root*>(<char*><PyObject*>message + kind.place)


cdef inline Message open_kind(
    sbe_kind* kind, object owner, sbe_cursor* cursor, const sbe_header* header
):
    """The message of that class at the cursor, or whose header it has passed (NULL: it has not)."""
    cdef Message message = <Message>sbe_reused_message(&kind.freed, kind.type)
    cdef sbe_root* root = struct_of(message, kind)
    message.root = NULL
    message.kind = kind
    if not (kind.take(cursor, root) if header == NULL else kind.walk(cursor, header, root)):
        raise_fault(cursor.fault, <object>kind.schema)
    sbe_own(<View>message, owner)
    message.root = root
    return message


cdef int open_body(
    sbe_cursor* cursor, sbe_header* header, object template_id, object version
) except -1
cdef uint64_t body_length(object given, uint64_t own) except? 0
cdef object as_body(Message message, size_t header_size)
cdef void keep_freed(type kind) noexcept
cdef const sbe_root* seen(Message message) except NULL
cdef str shown(View view)
