"""The base of generated message classes: what does not depend on the schema."""

from operator import index
from sys import modules

cimport cython
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.mem cimport PyObject_Free
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from .cursor cimport raise_fault, sbe_cursor, sbe_fault, sbe_header, sbe_root
from .elements cimport Element, View
from .frames cimport Lease, aim, open_frame
from .reuse cimport sbe_keep_message
from .values cimport ALLOWED

cdef enum:
    LONGEST = 80                # characters of a text in a repr

cdef class Schema:
    """What a generated module knows about itself at run time."""

    def __cinit__(self, package, schema_id, version, removed):
        self.package = package
        self.id = schema_id
        self.version = version
        self.removed = removed
        self.classes = ()

    def add(self, message):
        """The next message class, in the order of the schema; at import only."""
        if self.sealed:
            raise TypeError(f"the messages of {self.package} are those that it was compiled with")
        self.classes = (*self.classes, message)

    def seal(self):
        """There are no more messages than these."""
        self.sealed = True

    def messages(self):
        """{template id: message class}, a new dict."""
        return {message.TEMPLATE_ID: message for message in self.classes}

    def names(self):
        """{template id: name of the message class}, not to be changed."""
        if self.known_names is None or len(self.known_names) != len(self.classes):
            self.known_names = {each.TEMPLATE_ID: each.__name__ for each in self.classes}
        return self.known_names


cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object each)
    ctypedef struct TypeStruct "PyTypeObject":
        void (*tp_free)(void*) noexcept


cdef void keep_freed(type kind) noexcept:
    """Lets `give_back` have the memory of each dead message, at import. The class is final.

    A pool that nothing is given back to stays empty, so that each message is made anew.
    """
    if ALLOWED:
        (<TypeStruct*>kind).tp_free = give_back


cdef void give_back(void* memory) noexcept:
    """It is memory, not an object: what the message held is gone, and no Python code may run."""
    cdef sbe_kind* kind = (<Message>memory).kind
    if kind == NULL:
        PyObject_Free(memory)
    else:
        sbe_keep_message(&kind.freed, memory)


# A message may be read without a header in front of it. What tells such a body from a message is
# that it begins with its block; so it needs the version and the block's length to be read again.

cdef int open_body(
    sbe_cursor* cursor, sbe_header* header, object template_id, object version
) except -1:
    """Fills a header that is not there, but for the block's length."""
    header.template_id = checked(template_id, "template_id")
    header.version = checked(version, "version")
    header.group_count = 0
    header.data_count = 0
    cursor.template_id = <int64_t>min(header.template_id, <uint64_t>INT64_MAX)
    return 0


cdef uint64_t body_length(object given, uint64_t own) except? 0:
    return own if given is None else checked(given, "block_length")


cdef object checked(object value, str name):
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}") from None
    if not 0 <= number < 2**64:
        raise ValueError(f"{name} is a number from 0 to 2**64 - 1, not {number}")
    return number


cdef object as_body(Message message, size_t header_size):
    """A message that was opened as if a header were before its block: it begins at the block."""
    cdef sbe_root* root = <sbe_root*>message.root
    root.frame += header_size
    root.encoded_length -= header_size
    return message


cdef inline bint is_body(const sbe_root* root) noexcept:
    return root.frame == root.block.data


def restore(kind, message):
    """The message of class ``kind`` that was pickled or copied."""
    return kind.decode(message)


def restore_body(kind, body, version, block_length):
    """The message of class ``kind`` that was pickled or copied without a header."""
    module = modules[kind.__module__]
    return module.decode_body(body, kind.TEMPLATE_ID, version, block_length)


cdef object reopen(Message message, object frame, Py_ssize_t offset, sbe_cursor* cursor):
    """Points the cursor at ``frame[offset]``; returns what is to be the message's owner."""
    # What is returned is held beside the message's own owner, which it gives up when all has been
    # read: where that fails the message is what it was.
    cdef Lease lease
    seen(message)
    if not PyBytes_CheckExact(message.owner):
        lease = <Lease>message.owner
        if not lease.view.readonly and Py_REFCNT(lease) > 2:    # the message's, and ``lease``
            raise BufferError(
                f"views of this {type(message).__name__} are alive, over memory that can change: "
                f"drop them or copy them before wrap"
            )
        if <PyObject*>lease.view.obj == <PyObject*>frame:       # still leased, and so still there
            aim(lease, offset, cursor)
            return lease
    return open_frame(frame, offset, cursor)


cdef const sbe_root* seen(Message message) except NULL:
    """Where the message is; TypeError for an object that no decode has made."""
    if message.root == NULL:
        raise TypeError(f"this {type(message).__name__} was not made by decode")
    return message.root


@cython.no_gc
cdef class Message(View):
    """A decoded message: a validated view over its frame.

    It holds the frame and copies nothing; attributes are read from the bytes when they are asked
    for. Messages are equal if they are of one class and their bytes are; they hash where the frame
    is bytes, which can't change; a copy, deep copy or pickle owns its bytes. ``bytes(message)`` is
    the message alone, header included.
    """

    def __init__(self, *args, **kwargs):
        name = type(self).__name__
        raise TypeError(f"{name} is made by {name}.decode(frame)")

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def wrap(self, frame, Py_ssize_t offset=0):
        """Points this message at ``frame[offset]`` instead, and returns it: nothing is allocated.

        Errors are those of `decode`, and then the message is what it was. Views and parts that were
        made of it before stay over the frame before. If that was memory that can change (a
        bytearray, say) and any of them are alive, it is BufferError. Equality and hash change.
        """
        cdef sbe_fault fault
        cdef sbe_cursor cursor
        owner = reopen(self, frame, offset, &cursor)
        cursor.fault = &fault
        cdef sbe_kind* kind = self.kind
        if not kind.take(&cursor, kind.scratch):
            raise_fault(&fault, <object>kind.schema)
        before = self.owner     # which lives until all is as it will be
        memcpy(<void*>self.root, kind.scratch, kind.size)
        self.owner = owner
        return self

    @cython.binding(False)
    @cython.always_allow_keywords(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def astuple(self):
        """The root fields and var data in schema order, with the values of the attributes."""
        if self.root == NULL:
            seen(self)
        owner = self.owner      # which `wrap` may change meanwhile
        return self.kind.values(self.root, owner, False)

    @property
    def version(self):
        """The acting version: that of the sender's schema, from the header."""
        return seen(self).block.version

    @property
    def encoded_length(self):
        """Bytes from the first of the header to the end of the last element known here."""
        return seen(self).encoded_length

    def to_dict(self, *, bint embedded=False):
        """Everything in schema order, nested, in plain Python objects and raw numbers.

        Enums are the schema's names (or the number, where it has none), those of exactly False and
        True are bool, sets lists of names, groups lists of dicts, constants are included, and what
        is null or absent is None. With ``embedded``, messages inside messages are dicts instead of
        bytes.
        """
        cdef const sbe_root* root = seen(self)
        cdef Element element
        return {
            element.name: element.plain(root, self.owner, embedded)
            for element in type(self)._ELEMENTS
        }

    def to_json_dict(self, **options):
        """What the venue's JSON interface sends for the same, as plain Python objects.

        Which function makes it, and what ``options`` that takes, is known for the modules that are
        noted in `forms.FORMS`; TypeError for messages of any other module.
        """
        seen(self)
        from .forms import json_form

        return json_form(type(self))(self, **options)

    def validate(self):
        """The values that the schema does not allow, as a list of `validation.Violation`.

        Null in a required field, numbers outside minValue and maxValue, enum values and set bits
        without a name, text that is not in its encoding. Decoding gives all of them as they are.
        """
        seen(self)
        from .validation import violations

        return violations(self)

    def __bytes__(self):
        # Nothing runs between looking and copying: making bytes wakes no collector.
        cdef const sbe_root* root = seen(self)
        return PyBytes_FromStringAndSize(<const char*>root.frame, root.encoded_length)

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        cdef const sbe_root* one = seen(self)
        cdef const sbe_root* two = seen(<Message>other)
        if is_body(one) != is_body(two) or (
            is_body(one)
            and (one.block.version != two.block.version or one.block.length != two.block.length)
        ):
            return False
        return one.encoded_length == two.encoded_length and (
            memcmp(one.frame, two.frame, one.encoded_length) == 0
        )

    def __hash__(self):
        seen(self)
        if not PyBytes_CheckExact(self.owner):
            raise TypeError(f"this {type(self).__name__} is over a frame that may change")
        return hash(bytes(self))

    def __reduce__(self):
        cdef const sbe_root* root = seen(self)
        if is_body(root):
            version, length = root.block.version, root.block.length
            return restore_body, (type(self), bytes(self), version, length)
        return restore, (type(self), bytes(self))

    def __copy__(self):
        make, arguments = self.__reduce__()
        return make(*arguments)

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __repr__(self):
        seen(self)
        return shown(self)


@cython.no_gc
cdef class ScaledMessage(Message):
    """A message with mantissas that have exponents."""

    @cython.binding(False)
    @cython.always_allow_keywords(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def astuple_float(self):
        """`astuple`, with each mantissa that has an exponent as the nearest float64."""
        if self.root == NULL:
            seen(self)
        owner = self.owner
        return self.kind.values(self.root, owner, True)


cdef str shown(View view):
    """An object over a frame in one line: mantissas with the float that they stand for.

    Texts and bytes are cut, since a frame may be all one of them.
    """
    cdef Element element
    floats = getattr(type(view), "_FLOATS", {})
    parts = []
    for element in type(view)._ELEMENTS:
        try:
            value = element.read(view.root, view.owner)
        except ValueError:
            value = getattr(view, f"{element.name}_bytes", NotImplemented)
        text = f"{element.name}={short(value)}"
        if element.name in floats and value is not None:
            scaled = (<Element>floats[element.name]).read(view.root, view.owner)
            text += "" if scaled is None else f" ({scaled!r})"
        parts.append(text)
    return f"{type(view).__name__}({', '.join(parts)})"


cdef str short(object value):
    if isinstance(value, (str, bytes)) and len(value) > LONGEST:
        what = "characters" if isinstance(value, str) else "bytes"
        return f"{value[:LONGEST]!r}... ({len(value):,} {what})"
    shape = getattr(value, "shape", None)
    if shape is None:
        return repr(value)
    if value.dtype.names is None and value.size <= LONGEST // 4:
        return repr(value)
    return f"<{shape[0]} entries>" if value.dtype.names is not None else f"<{value.size} values>"
