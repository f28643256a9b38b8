"""The descriptors of more than one number: characters, arrays, wide numbers and var data."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_Decode, PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr

from .arrays cimport view_array
from .cursor cimport sbe_cursor, sbe_data, sbe_fault, sbe_root
from .elements cimport Element, show_docs
from .frames cimport start_of
from .message cimport Message, Schema
from .values cimport known_text, utf8_text

from ..errors import MalformedMessage

DEEPEST = 8                     # messages inside messages, for whoever follows them


cdef class CharField(Element):
    """One character; None where it is optional and NUL or the declared null, or absent."""

    cdef uint64_t offset
    cdef bint optional
    cdef uint8_t null

    def __init__(self, name, schema_name, doc, since, offset, null):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.optional = null is not None
        self.null = null or 0

    cdef object read(self, const sbe_root* root, object owner):
        cdef uint8_t value
        if root.block.version < self.since:
            return None
        value = root.block.data[self.offset]
        return None if self.optional and (value == self.null or value == 0) else chr(value)


cdef class TextField(Element):
    """A fixed array of characters as str, up to the first NUL."""

    cdef uint64_t offset
    cdef Py_ssize_t length
    cdef bint optional
    cdef str encoding           # None: ASCII, in which bytes above 127 are taken as Latin-1
    cdef bint wide              # code units of more than a byte: a NUL byte alone ends nothing

    def __init__(self, name, schema_name, doc, since, offset, length, optional, encoding):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.length = length
        self.optional = optional
        self.encoding = None if encoding in ("ascii", "iso8859-1") else encoding
        self.wide = encoding is not None and encoding.startswith(("utf-16", "utf-32"))

    cdef object read(self, const sbe_root* root, object owner):
        cdef const char* text = <const char*>root.block.data + self.offset
        cdef const void* nul
        cdef Py_ssize_t length = self.length
        if root.block.version < self.since:
            return None
        if not self.wide:
            nul = memchr(text, 0, length)
            if nul != NULL:
                length = <const char*>nul - text
        if self.optional and length == 0:
            return None
        if self.encoding is None:
            return PyUnicode_DecodeLatin1(text, length, NULL)
        # Of a copy, since a codec is Python code, in which the message may be wrapped.
        try:
            value = text[:length].decode(self.encoding)
        except MemoryError:
            raise
        except Exception as error:      # UnicodeDecodeError, and what else codecs raise at bytes
            raise_text(self, error, self.encoding, <const uint8_t*>text, owner,
                       f"block['{self.name}'] gives the bytes")
        if self.wide:
            value = value.partition("\0")[0]
        return None if self.optional and not value else value


cdef class ArrayField(Element):
    """A fixed array of numbers as a numpy view over the frame."""

    cdef uint64_t offset
    cdef Py_ssize_t length
    cdef object dtype

    def __init__(self, name, schema_name, doc, since, offset, length, dtype):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.length = length
        self.dtype = dtype

    cdef object read(self, const sbe_root* root, object owner):
        if root.block.version < self.since:
            return None
        return view_array(
            self.dtype, root.block.data + self.offset, self.length, self.dtype.itemsize, owner
        )

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        values = self.read(root, owner)
        return None if values is None else values.tolist()


cdef class MantissaField(Element):
    """A whole number of any width, two's complement; None where it is the most negative one."""

    cdef uint64_t offset
    cdef Py_ssize_t length
    cdef str order
    cdef object null

    def __init__(self, name, schema_name, doc, since, offset, length, order, null):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.length = length
        self.order = order
        self.null = null

    cdef object read(self, const sbe_root* root, object owner):
        cdef const char* at = <const char*>root.block.data + self.offset
        if root.block.version < self.since:
            return None
        value = int.from_bytes(at[:self.length], self.order, signed=True)
        return None if value == self.null else value


cdef class DataField(Element):
    """Var data: str where the schema gives an encoding, else bytes."""

    cdef uint64_t slot          # of its Data in the message's C struct
    cdef str encoding
    cdef bytes codec
    cdef bint utf8
    cdef bint empty_is_null
    cdef bint may_end           # a frame may end before it
    cdef DataMessage inside     # where the bytes are a message

    def __init__(
        self, name, schema_name, doc, since, slot, encoding, empty_is_null, inside, may_end
    ):
        Element.__init__(self, name, schema_name, doc, since)
        self.may_end = may_end
        self.empty_is_null = empty_is_null
        self.inside = inside
        self.slot = slot
        self.encoding = encoding
        self.codec = (encoding or "").encode("ascii")
        self.utf8 = encoding == "utf-8"

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_data* data = <const sbe_data*>(<const char*>root + self.slot)
        cdef const char* text = <const char*>data.data
        cdef PyObject* found
        if data.data == NULL and (self.may_end or self.since > root.block.version):
            return None
        if self.empty_is_null and data.length == 0:
            return None
        if self.utf8:
            found = known_text(text, data.length)
            if found != NULL:           # borrowed, and so taken at once
                return <object>found
        if self.encoding is None:
            return PyBytes_FromStringAndSize(text, data.length)
        try:
            if self.utf8:
                return utf8_text(text, data.length)
            return PyUnicode_Decode(text, data.length, self.codec, NULL)
        except MemoryError:
            raise
        except Exception as error:
            raise_text(self, error, self.encoding, <const uint8_t*>text, owner,
                       f"{self.name}_bytes gives the bytes")

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        if embedded and self.inside is not None:
            return self.inside.plain(root, owner, embedded)
        return self.read(root, owner)


cdef raise_text(Element element, error, str encoding, const uint8_t* text, object owner, str hint):
    kind = element.__objclass__     # None of elements inside groups and composites
    message = getattr(kind, "__name__", None)
    place = f"{message}: {element.schema_name}" if message else element.schema_name
    offset = text - start_of(owner)
    if isinstance(error, UnicodeDecodeError):
        offset += error.start
    raise MalformedMessage(
        f"{place} is not {encoding} text at offset {offset} "
        f"({getattr(error, 'reason', error)}); {hint}",
        offset=offset,
        template_id=getattr(kind, "TEMPLATE_ID", None),
        message=message,
        element=element.schema_name,
    ) from None


cdef class DataBytes(Element):
    """Var data as the raw bytes, a copy."""

    cdef uint64_t slot
    cdef bint may_end

    def __init__(self, name, schema_name, doc, since, slot, may_end):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot
        self.may_end = may_end

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_data* data = <const sbe_data*>(<const char*>root + self.slot)
        if data.data == NULL and (self.may_end or self.since > root.block.version):
            return None
        return PyBytes_FromStringAndSize(<const char*>data.data, data.length)


cdef class DataMessage(Element):
    """The message of the same schema that var data are; None where they are empty."""

    cdef uint64_t slot
    cdef Schema schema

    def __init__(self, name, schema_name, doc, since, slot, Schema schema not None):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot
        self.schema = schema

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_data* data = <const sbe_data*>(<const char*>root + self.slot)
        cdef sbe_fault fault
        cdef sbe_cursor cursor
        cdef Message message
        cdef const sbe_root* top = root
        if data.data == NULL or data.length == 0:
            return None
        while top.outer != NULL:
            top = top.outer
        if top.depth >= DEEPEST:
            raise MalformedMessage(
                f"{self.schema_name}: messages inside messages go {DEEPEST} deep at most",
                offset=data.data - start_of(owner),
                element=self.schema_name,
            )
        # One owner for both: the message inside keeps the whole frame, and reads it where it lies.
        cursor = sbe_cursor(start_of(owner), data.data, data.data + data.length, &fault, -1, 0)
        message = self.schema.open_message(owner, &cursor)
        (<sbe_root*>message.root).depth = top.depth + 1
        return message

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        message = self.read(root, owner)
        return None if message is None else message.to_dict(embedded=embedded)


for kind in (CharField, TextField, ArrayField, MantissaField, DataField, DataBytes, DataMessage):
    show_docs(kind)
del kind
