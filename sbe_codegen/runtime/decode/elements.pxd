"""The descriptors behind the attributes of a message: each reads one element of a frame."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from .cursor cimport sbe_block, sbe_data, sbe_root
from .reuse cimport sbe_kept_tuples
from .values cimport known_text

cpdef object set_attributes(type owner, dict attributes)
cpdef object show_docs(type kind)
cpdef object seal(type owner)


@cython.no_gc
cdef class View:
    """An object over the bytes of a validated frame, which live as long as it does."""

    cdef object owner           # bytes, or a Lease on another buffer
    cdef const sbe_root* root       # NULL in an object that no decode has made


cdef class Element:
    cdef readonly str name
    cdef readonly str schema_name
    cdef readonly object __objclass__
    cdef str doc
    cdef uint64_t since
    cdef readonly dict facts        # what the schema says of the element

    cdef object read(self, const sbe_root* root, object owner)
    cdef object plain(self, const sbe_root* root, object owner, bint embedded)


cdef class IntField(Element):
    cdef uint64_t offset
    cdef int code
    cdef bint optional
    cdef int64_t null           # its bits, whatever the sign
    cdef bint fits              # it is an int64
    cdef sbe_kept_tuples kept

    cdef object number(self, const sbe_block* block)
    cdef inline bint load(self, const sbe_block* block, int64_t* bits) noexcept


cdef inline const sbe_root* out_of(const sbe_root* root, int levels) noexcept:
    """The block that is ``levels`` around this one; NULL where there is none."""
    while levels > 0 and root != NULL:
        root = root.outer
        levels -= 1
    return root


cdef inline object read_text(
    PyObject* elements, Py_ssize_t i, const sbe_data* data, const sbe_root* root, object owner
):
    """UTF-8 that the sender has: known without asking the descriptor, most times."""
    found = known_text(<const char*>data.data, data.length)
    return read_element(elements, i, root, owner) if found == NULL else <object>found


cdef inline object read_element(
    PyObject* elements, Py_ssize_t i, const sbe_root* root, object owner
):
    """The value of one of a tuple of descriptors."""
    return (<Element>(<tuple>elements)[i]).read(root, owner)
