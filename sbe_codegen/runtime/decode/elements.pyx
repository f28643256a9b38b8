"""The descriptors behind the attributes of a message.

Each descriptor knows one element: where it is, how to read it as the attribute's value (`read`),
and as `to_dict` shows it (`plain`). A generated module declares them as data; `layout` makes them.
Bounds are not checked here: a message has been validated by the time that it can be looked at, and
the version rule (SBE 1.0, "Message schema extension") decides whether an element is there.
"""

cimport cython
from libc.math cimport isnan
from libc.stdint cimport int64_t, uint8_t, uint64_t
from cpython.object cimport Py_TYPE, PyObject, PyTypeObject

from .cursor cimport sbe_block, sbe_root
from .loads cimport *
from .reuse cimport sbe_clear_tuples, sbe_kept_float, sbe_kept_int
from .scaling cimport decimal_of, float_of, sbe_scale
from .values cimport REUSES

from .scaling import to_float

cdef extern from "Python.h":
    void PyType_Modified(PyTypeObject* type)
    int PyDict_SetItem(PyObject* mapping, object key, object value) except -1
    ctypedef struct TypeStruct "PyTypeObject":
        PyObject* tp_dict
        unsigned long tp_flags
    unsigned long IMMUTABLE "Py_TPFLAGS_IMMUTABLETYPE"
    unsigned long BASE "Py_TPFLAGS_BASETYPE"

CODES = {
    "int8": SBE_INT8, "int16": SBE_INT16, "int32": SBE_INT32, "int64": SBE_INT64,
    "uint8": SBE_UINT8, "uint16": SBE_UINT16, "uint32": SBE_UINT32, "uint64": SBE_UINT64,
    "char": SBE_UINT8, "float": SBE_FLOAT, "double": SBE_DOUBLE,
}
BIG = SBE_BIG


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
        self.facts = {}

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
        # The class was compared exactly: its C struct is the one whose offsets this element knows.
        cdef View view = <View>instance
        if view.root == NULL:
            raise TypeError(f"this {type(instance).__name__} was not made by decode")
        # ``root`` is borrowed from the instance, ``owner`` held by the call. What a `read` needs of
        # ``root`` it takes before it runs Python code, which may `wrap` the instance.
        return self.read(view.root, view.owner)

    def __set__(self, instance, value):
        raise AttributeError(f"'{self.name}' is read-only: messages are views of a frame")

    def __delete__(self, instance):
        raise AttributeError(f"'{self.name}' is read-only: messages are views of a frame")

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}>"

    cdef object read(self, const sbe_root* root, object owner):
        raise NotImplementedError

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        return self.read(root, owner)

    def with_facts(self, facts):
        """This element, which from now on says ``facts`` of itself."""
        self.facts = facts
        return self

    def raw(self, View instance not None, bint embedded=False):
        """The value as `to_dict` shows it."""
        if <PyObject*>Py_TYPE(instance) != <PyObject*>self.__objclass__:
            raise TypeError(f"'{self.name}' is not an attribute of {type(instance).__name__}")
        if instance.root == NULL:
            raise TypeError(f"this {type(instance).__name__} was not made by decode")
        return self.plain(instance.root, instance.owner, embedded)


cdef class IntField(Element):
    """A whole number; None where it is null or absent."""

    def __init__(self, name, schema_name, doc, since, offset, code, null):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.code = code
        self.optional = null is not None
        self.null = <int64_t>(<uint64_t>((null or 0) & 0xFFFFFFFFFFFFFFFF))
        self.fits = code & ~SBE_BIG != SBE_UINT64

    def __dealloc__(self):
        sbe_clear_tuples(&self.kept)        # owned, as all that `reuse` keeps

    cdef inline bint load(self, const sbe_block* block, int64_t* bits) noexcept:
        """The bits of the number; False where it is null or absent."""
        if block.version < self.since:
            return False
        if self.code == SBE_INT64:
            bits[0] = load_int64_le(block.data + self.offset)
        else:
            bits[0] = <int64_t>load_bits(block.data + self.offset, self.code)
        return not (self.optional and bits[0] == self.null)

    cdef object number(self, const sbe_block* block):
        cdef int64_t bits
        if not self.load(block, &bits):
            return None
        if not self.fits:
            return <uint64_t>bits
        return sbe_kept_int(&self.kept, bits) if REUSES else bits

    cdef object read(self, const sbe_root* root, object owner):
        return self.number(&root.block)


cdef class FloatField(Element):
    """A float or a double; None where it is optional and null (any NaN), or absent."""

    cdef uint64_t offset
    cdef int code
    cdef bint optional
    cdef double null            # NaN, unless the schema has another

    def __init__(self, name, schema_name, doc, since, offset, code, optional, null):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.code = code
        self.optional = optional
        self.null = float("nan") if null is None else null

    cdef object read(self, const sbe_root* root, object owner):
        cdef double value
        cdef const uint8_t* at = root.block.data + self.offset
        if root.block.version < self.since:
            return None
        if self.code == SBE_FLOAT:
            value = load_float_le(at)
        elif self.code == SBE_DOUBLE:
            value = load_double_le(at)
        elif self.code == SBE_FLOAT + SBE_BIG:
            value = load_float_be(at)
        else:
            value = load_double_be(at)
        if self.optional and (isnan(value) if isnan(self.null) else value == self.null):
            return None
        return value


cdef class EnumField(IntField):
    """An enum's member; None for its nulls; an int where the schema has no name."""

    cdef dict members           # wire value -> member, or bool; None for what means null
    cdef dict plains            # wire value -> name as in the schema, or bool, or None

    def __init__(self, name, schema_name, doc, since, offset, code, members, plains):
        IntField.__init__(self, name, schema_name, doc, since, offset, code, None)
        self.members = members
        self.plains = plains

    cdef object read(self, const sbe_root* root, object owner):
        value = self.number(&root.block)
        return None if value is None else self.members.get(value, value)

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        value = self.number(&root.block)
        return None if value is None else self.plains.get(value, value)


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

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        return None if root.block.version < self.since else self.label


cdef class SetField(Element):
    """A set as its IntFlag; bits without a name are kept. None where it is optional and null."""

    cdef uint64_t offset
    cdef int code
    cdef object flags           # bits -> IntFlag
    cdef dict labels            # bit -> name as in the schema
    cdef object null_label      # of what means null, where the schema has a name for it
    cdef uint64_t null
    cdef bint optional

    def __init__(self, name, schema_name, doc, since, offset, code, flags, labels, null, optional):
        Element.__init__(self, name, schema_name, doc, since)
        self.null, self.null_label = null or (0, None)
        self.optional = optional and null is not None
        self.offset = offset
        self.code = code
        self.flags = flags
        self.labels = labels

    cdef object read(self, const sbe_root* root, object owner):
        cdef uint64_t bits
        if root.block.version < self.since:
            return None
        bits = load_bits(root.block.data + self.offset, self.code)
        return None if self.optional and bits == self.null else self.flags(bits)

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        """The names in the schema's order, then the numbers of bits that have none."""
        cdef uint64_t bits
        cdef int bit
        if root.block.version < self.since:
            return None
        bits = load_bits(root.block.data + self.offset, self.code)
        if self.null_label is not None and bits == self.null:
            return None if self.optional else [self.null_label]
        result = [label for number, label in self.labels.items() if bits >> <int>number & 1]
        result += [bit for bit in range(64) if bits >> bit & 1 and bit not in self.labels]
        return result


cdef class FloatOf(Element):
    """A mantissa scaled by its exponent to the nearest float64; None where either is null."""

    cdef Element mantissa
    cdef bint fits              # both are an int64 at most
    cdef bint fixed             # the exponent is the constant ``power``
    cdef bint negated           # it counts decimals: mantissa / 10^exponent
    cdef int64_t power
    cdef Element exponent       # an IntField, or a constant
    cdef int levels             # from the mantissa's block out to the exponent's
    cdef sbe_kept_tuples kept

    def __init__(self, name, schema_name, doc, Element mantissa not None,
                 Element exponent not None, levels, negated):
        Element.__init__(self, name, schema_name, doc, 0)
        self.mantissa = mantissa
        self.exponent = exponent
        self.levels = levels
        self.negated = negated
        self.fixed = type(exponent) is ConstantField
        if self.fixed:
            self.power = (<ConstantField>exponent).value
        self.fits = (
            type(mantissa) is IntField and (<IntField>mantissa).fits
            and (self.fixed or type(exponent) is IntField)
        )

    def __dealloc__(self):
        sbe_clear_tuples(&self.kept)

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_root* scope = out_of(root, self.levels)
        cdef int64_t mantissa, exponent
        cdef double value
        if not self.fits or scope == NULL:
            return self.made(root, scope, owner)
        if not (<IntField>self.mantissa).load(&root.block, &mantissa):
            return None
        if self.fixed:
            exponent = self.power
            if scope.block.version < self.exponent.since:
                return None
        elif not (<IntField>self.exponent).load(&scope.block, &exponent):
            return None
        if self.negated:
            exponent = -exponent
        if not REUSES or not sbe_scale(mantissa, exponent, &value):
            return float_of(mantissa, exponent)
        return sbe_kept_float(&self.kept, value)

    cdef object made(self, const sbe_root* root, const sbe_root* scope, object owner):
        """By way of Python's numbers: constant exponents, wide mantissas, Decimals."""
        mantissa = self.mantissa.read(root, owner)
        exponent = None if scope == NULL else self.exponent.read(scope, owner)
        if mantissa is None or exponent is None:
            return None
        return self.scaled(mantissa, -exponent if self.negated else exponent)

    cdef object scaled(self, object mantissa, object exponent):
        return to_float(mantissa, exponent)


cdef class DecimalOf(FloatOf):
    """A mantissa scaled by its exponent to an exact Decimal; None where either is null."""

    cdef object read(self, const sbe_root* root, object owner):
        return self.made(root, out_of(root, self.levels), owner)

    cdef object scaled(self, object mantissa, object exponent):
        return decimal_of(mantissa, exponent)


cpdef object set_attributes(type owner, dict attributes):
    """Gives an extension class its attributes, at import and before anyone has seen the class.

    Each descriptor among them is tied to the class, whose layout is the one it knows.
    """
    # Past the type's own refusal to have attributes set, and so before there are instances. What
    # CPython remembers of the class is told of it in the end.
    for name, value in attributes.items():
        if isinstance(value, Element):
            (<Element?>value).__objclass__ = owner
        PyDict_SetItem((<TypeStruct*>owner).tp_dict, name, value)
    PyType_Modified(<PyTypeObject*>owner)


cpdef object seal(type owner):
    """Makes a class immutable and final: its descriptors know the C struct of its instances."""
    cdef TypeStruct* kind = <TypeStruct*>owner
    kind.tp_flags = (kind.tp_flags | IMMUTABLE) & ~BASE
    PyType_Modified(<PyTypeObject*>owner)


cpdef object show_docs(type kind):
    """Gives a class of descriptors the docs of each: the class's own docstring would hide them."""
    set_attributes(kind, {"__doc__": Element.__dict__["__doc__"]})


for kind in (IntField, FloatField, EnumField, ConstantField, SetField, FloatOf, DecimalOf):
    show_docs(kind)
del kind
