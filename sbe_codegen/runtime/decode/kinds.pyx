"""What is called on message classes, once for all of them.

A generated module has a `sbe_kind` for each of its classes: the C functions that know the layout of
its messages. What Python calls is here, and calls these.
"""

from .declare import declare

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

from .cursor cimport sbe_cursor, sbe_fault, sbe_root
from .elements cimport set_attributes
from .frames cimport open_frame
from .message cimport Message, ScaledMessage, keep_freed, open_kind


cdef extern from "Python.h":
    ctypedef struct TypeStruct "PyTypeObject":
        Py_ssize_t tp_basicsize
    ctypedef struct PyMethodDef:
        pass
    ctypedef struct MethodDescr "PyMethodDescrObject":
        PyMethodDef* d_method
    object PyDescr_NewMethod(type owner, PyMethodDef* method)


@cython.final
cdef class Kind:
    """Its methods are static methods of one message class."""

    @cython.binding(False)      # a plain builtin: the interpreter calls it faster
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def decode(self, frame, Py_ssize_t offset=0):
        """The message of this class whose header is at ``frame[offset]``, fully validated.

        Any other template is UnexpectedTemplate; other errors as for the module's `decode`.
        """
        cdef sbe_fault fault
        cdef sbe_cursor cursor
        cdef sbe_kind* kind = known(self)
        owner = open_frame(frame, offset, &cursor)
        cursor.fault = &fault
        return open_kind(kind, owner, &cursor, NULL)

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def unpack(self, frame, Py_ssize_t offset=0):
        """``decode(frame, offset).astuple()`` in one step, without making the message object."""
        cdef sbe_fault fault
        cdef sbe_cursor cursor
        cdef sbe_kind* kind = known(self)
        owner = open_frame(frame, offset, &cursor)
        cursor.fault = &fault
        return kind.unpack(owner, &cursor)

    def __reduce__(self):
        """So that ``decode`` of a class can be pickled: a process pool is given it, say."""
        return of_class, (<object>known(self).type,)


cdef inline sbe_kind* known(Kind calls) except NULL:
    if calls.kind == NULL:
        raise TypeError("this is of no message class: ask a class for its decode")
    return calls.kind


def of_class(owner):
    """What `decode` and `unpack` of a message class are methods of."""
    return owner.decode.__self__


cdef int set_kind(
    sbe_kind* kind, type owner, Schema schema, size_t size, sbe_root* scratch,
    take_t take, walk_t walk, unpack_t unpack, values_t values
) except -1:
    """Fills ``kind``, and gives the class ``owner`` what it has of all message classes.

    ``size`` is that of the struct with which its objects end; there is another at
    ``scratch``. All that is given has to live as long as the class.
    """
    kind.type = <PyTypeObject*>owner
    kind.schema = <PyObject*>schema
    kind.place = <size_t>(<TypeStruct*>owner).tp_basicsize - size
    kind.size = size
    kind.scratch = scratch
    kind.take = take
    kind.walk = walk
    kind.unpack = unpack
    kind.values = values
    cdef Kind calls = Kind.__new__(Kind)
    calls.kind = kind
    attributes = {"decode": calls.decode, "unpack": calls.unpack}
    # CPython calls a builtin method quickly where it is of the object's own class, not of a base.
    for base in (Message, ScaledMessage) if issubclass(owner, ScaledMessage) else (Message,):
        for name in ("wrap", "astuple", "astuple_float"):
            method = base.__dict__.get(name)
            if method is not None:
                attributes[name] = PyDescr_NewMethod(owner, (<MethodDescr*>method).d_method)
    set_attributes(owner, attributes)
    keep_freed(owner)
    return 0


cdef int declare_kind(
    sbe_kind* kind, object spec, dict types, const size_t* places, sbe_places counts
) except -1:
    """Gives a class the attributes that ``spec`` declares; what only the C compiler knows of them
    is at ``places``, one sort after the other."""
    slots = numbers(&places, counts.slots)
    rows = numbers(&places, counts.rows)
    takes = numbers(&places, 2 * counts.takes)
    framings = numbers(&places, counts.framings)
    pairs = list(zip(takes[::2], takes[1::2], strict=True))
    owner, schema = <object>kind.type, <object>kind.schema
    elements, floats = declare(owner, schema, spec, types, slots, rows, pairs, framings)
    kind.elements = kept(elements)
    kind.float_elements = kept(floats)
    return 0


cdef list numbers(const size_t** places, size_t count):
    """The next numbers of the list."""
    cdef size_t i
    found = [places[0][i] for i in range(count)]
    places[0] += count
    return found


cdef PyObject* kept(tuple elements) noexcept:
    """For ever: as long as the class."""
    Py_INCREF(elements)
    return <PyObject*>elements
