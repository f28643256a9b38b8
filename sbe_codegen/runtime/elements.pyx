"""The descriptors behind the attributes of a message.

Each descriptor knows one element: where it is, how to read it as the attribute's value (`read`),
and as `to_dict` shows it (`plain`). A generated module declares them as data; `layout` makes them.
Bounds are not checked here: a message has been validated by the time that it can be looked at, and
the version rule (SBE 1.0, "Message schema extension") decides whether an element is there.
"""

cimport cython
from libc.math cimport isnan
from libc.stdint cimport int64_t, uint8_t, uint64_t
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport Py_TYPE, PyObject, PyTypeObject
from cpython.unicode cimport PyUnicode_Decode

from .cursor cimport sbe_block, sbe_data, sbe_root
from .frames cimport start_of
from .loads cimport *
from .scaling cimport decimal_of, float_of
from .values cimport known_text, utf8_text

from .errors import MalformedMessage

cdef extern from "Python.h":
    void PyType_Modified(PyTypeObject* type)
    int PyDict_SetItem(PyObject* mapping, object key, object value) except -1
    ctypedef struct TypeStruct "PyTypeObject":
        PyObject* tp_dict

cdef enum:
    INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE
    BIG = 16

CODES = {
    "int8": INT8, "int16": INT16, "int32": INT32, "int64": INT64,
    "uint8": UINT8, "uint16": UINT16, "uint32": UINT32, "uint64": UINT64, "char": UINT8,
    "float": FLOAT, "double": DOUBLE,
}


cdef inline uint64_t load_bits(const uint8_t* at, int code) noexcept nogil:
    """A whole number of any width, sign-extended to 64 bits."""
    if code == INT64:
        return <uint64_t>load_int64_le(at)
    elif code == INT8 or code == INT8 + BIG:
        return <uint64_t>load_int8_le(at)
    elif code == INT16:
        return <uint64_t>load_int16_le(at)
    elif code == INT32:
        return <uint64_t>load_int32_le(at)
    elif code == UINT8 or code == UINT8 + BIG:
        return load_uint8_le(at)
    elif code == UINT16:
        return load_uint16_le(at)
    elif code == UINT32:
        return load_uint32_le(at)
    elif code == INT16 + BIG:
        return <uint64_t>load_int16_be(at)
    elif code == INT32 + BIG:
        return <uint64_t>load_int32_be(at)
    elif code == INT64 + BIG:
        return <uint64_t>load_int64_be(at)
    elif code == UINT16 + BIG:
        return load_uint16_be(at)
    elif code == UINT32 + BIG:
        return load_uint32_be(at)
    elif code == UINT64 + BIG:
        return load_uint64_be(at)
    else:
        return load_uint64_le(at)


@cython.no_gc
cdef class View:
    # A frame does not refer to the views of it, so that reference counts alone free both.
    pass


cdef class Element:
    """One attribute of a message class. Read-only; on the class itself it is this descriptor."""

    def __init__(self, str name, str schema_name, str doc, since):
        if self.__objclass__ is not None:
            raise TypeError(f"'{self.name}' is part of {self.__objclass__.__name__} already")
        self.name = name
        self.schema_name = schema_name
        self.doc = doc
        self.since = since

    @property
    def __doc__(self):
        return self.doc

    @property
    def __name__(self):
        return self.name

    def __get__(self, instance, owner):
        if instance is None:
            return self
        if <PyObject*>Py_TYPE(instance) != <PyObject*>self.__objclass__:
            raise TypeError(f"'{self.name}' is not an attribute of {type(instance).__name__}")
        cdef View view = <View>instance
        if view.root == NULL:
            raise TypeError(f"this {type(instance).__name__} was not made by decode")
        return self.read(view.root, view.owner)

    def __set__(self, instance, value):
        raise AttributeError(f"'{self.name}' is read-only: messages are views of a frame")

    def __delete__(self, instance):
        raise AttributeError(f"'{self.name}' is read-only: messages are views of a frame")

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}>"

    cdef object read(self, const sbe_root* root, object owner):
        raise NotImplementedError

    cdef object plain(self, const sbe_root* root, object owner):
        return self.read(root, owner)


cdef class IntField(Element):
    """A whole number; None where it is null or absent."""

    def __init__(self, name, schema_name, doc, since, offset, code, null):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.code = code
        self.optional = null is not None
        self.null = <int64_t>(<uint64_t>((null or 0) & 0xFFFFFFFFFFFFFFFF))

    cdef object number(self, const sbe_block* block):
        cdef uint64_t bits
        if block.version < self.since:
            return None
        bits = load_bits(block.data + self.offset, self.code)
        if self.optional and <int64_t>bits == self.null:
            return None
        if self.code == UINT64 or self.code == UINT64 + BIG:
            return bits
        return <int64_t>bits

    cdef object read(self, const sbe_root* root, object owner):
        return self.number(&root.block)


cdef class FloatField(Element):
    """A float or a double; None where it is optional and NaN, or absent."""

    cdef uint64_t offset
    cdef int code
    cdef bint optional

    def __init__(self, name, schema_name, doc, since, offset, code, optional):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.code = code
        self.optional = optional

    cdef object read(self, const sbe_root* root, object owner):
        cdef double value
        cdef const uint8_t* at = root.block.data + self.offset
        if root.block.version < self.since:
            return None
        if self.code == FLOAT:
            value = load_float_le(at)
        elif self.code == DOUBLE:
            value = load_double_le(at)
        elif self.code == FLOAT + BIG:
            value = load_float_be(at)
        else:
            value = load_double_be(at)
        if self.optional and isnan(value):
            return None
        return value


cdef class EnumField(IntField):
    """An enum's member; None for its null, required or not; an int where the schema has no name."""

    cdef dict members           # wire value -> member, or bool
    cdef dict labels            # wire value -> name as in the schema

    def __init__(self, name, schema_name, doc, since, offset, code, null, members, labels):
        IntField.__init__(self, name, schema_name, doc, since, offset, code, null)
        self.members = members
        self.labels = labels

    cdef object read(self, const sbe_root* root, object owner):
        value = self.number(&root.block)
        return None if value is None else self.members.get(value, value)

    cdef object plain(self, const sbe_root* root, object owner):
        value = self.number(&root.block)
        return None if value is None else self.labels.get(value, value)


cdef class ConstantField(Element):
    """A value that the schema gives and the wire does not carry."""

    cdef object value
    cdef object label

    def __init__(self, name, schema_name, doc, since, value, label):
        Element.__init__(self, name, schema_name, doc, since)
        self.value = value
        self.label = label

    cdef object read(self, const sbe_root* root, object owner):
        return None if root.block.version < self.since else self.value

    cdef object plain(self, const sbe_root* root, object owner):
        return None if root.block.version < self.since else self.label


cdef class FloatOf(Element):
    """A mantissa scaled by its exponent to the nearest float64; None where either is null."""

    cdef IntField mantissa, exponent

    def __init__(self, name, schema_name, doc, IntField mantissa not None, IntField exponent not None):
        Element.__init__(self, name, schema_name, doc, 0)
        self.mantissa = mantissa
        self.exponent = exponent

    cdef object read(self, const sbe_root* root, object owner):
        mantissa = self.mantissa.number(&root.block)
        exponent = self.exponent.number(&root.block)
        if mantissa is None or exponent is None:
            return None
        return self.scaled(mantissa, exponent)

    cdef object scaled(self, object mantissa, object exponent):
        return float_of(mantissa, exponent)


cdef class DecimalOf(FloatOf):
    """A mantissa scaled by its exponent to an exact Decimal; None where either is null."""

    cdef object scaled(self, object mantissa, object exponent):
        return decimal_of(mantissa, exponent)


cdef class DataField(Element):
    """Var data: str where the schema gives an encoding, else bytes."""

    cdef uint64_t slot          # of its Data in the message's C struct
    cdef str encoding
    cdef bytes codec
    cdef bint utf8

    def __init__(self, name, schema_name, doc, since, slot, encoding):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot
        self.encoding = encoding
        self.codec = (encoding or "").encode("ascii")
        self.utf8 = encoding == "utf-8"

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_data* data = <const sbe_data*>(<const char*>root + self.slot)
        cdef const char* text = <const char*>data.data
        cdef PyObject* found
        if data.data == NULL and self.since > root.block.version:
            return None
        if self.utf8:
            found = known_text(text, data.length)
            if found != NULL:
                return <object>found
        if self.encoding is None:
            return PyBytes_FromStringAndSize(text, data.length)
        try:
            if self.utf8:
                return utf8_text(text, data.length)
            return PyUnicode_Decode(text, data.length, self.codec, NULL)
        except UnicodeDecodeError as error:
            self.raise_text(error, data, owner)

    cdef raise_text(self, error, const sbe_data* data, object owner):
        message = self.__objclass__.__name__
        offset = (data.data - start_of(owner)) + error.start
        raise MalformedMessage(
            f"{message}: {self.schema_name} is not {self.encoding} text at offset {offset} "
            f"({error.reason}); {self.name}_bytes gives the bytes",
            offset=offset,
            template_id=self.__objclass__.TEMPLATE_ID,
            message=message,
            element=self.schema_name,
        ) from None


cdef class DataBytes(Element):
    """Var data as the raw bytes, a copy."""

    cdef uint64_t slot

    def __init__(self, name, schema_name, doc, since, slot):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_data* data = <const sbe_data*>(<const char*>root + self.slot)
        if data.data == NULL and self.since > root.block.version:
            return None
        return PyBytes_FromStringAndSize(<const char*>data.data, data.length)


def set_attributes(type owner not None, dict attributes):
    """Gives an extension class its attributes, at import and before anyone has seen the class.

    Each descriptor among them is tied to the class, whose layout is the one it knows.
    """
    for name, value in attributes.items():
        if isinstance(value, Element):
            (<Element?>value).__objclass__ = owner
        PyDict_SetItem((<TypeStruct*>owner).tp_dict, name, value)
    PyType_Modified(<PyTypeObject*>owner)


def show_docs(type kind not None):
    """Gives a class of descriptors the docs of each: the class's own docstring would hide them."""
    set_attributes(kind, {"__doc__": Element.__dict__["__doc__"]})


for kind in (IntField, FloatField, EnumField, ConstantField, FloatOf, DecimalOf, DataField,
             DataBytes):
    show_docs(kind)
del kind
