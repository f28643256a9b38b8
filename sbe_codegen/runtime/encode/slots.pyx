"""Fixed fields as the encoder has them: each checks one value and writes it into a block.

What is null, which range a number has and which names an enum come from the same declarations as
the descriptors that decode (SBE 1.0, "Null values", "Minimum and maximum values").
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AsDouble, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from libc.math cimport isinf, isnan

from .checks cimport allows

from enum import IntEnum
from operator import index

from ..errors import EncodeError
from .refusals import MISSING as _MISSING, inside, refusal, unknown_label

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

MISSING = _MISSING

SIZES = {
    "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4,
    "uint64": 8, "char": 1, "float": 4, "double": 8,
}
CODES = {
    "int8": SBE_INT8, "int16": SBE_INT16, "int32": SBE_INT32, "int64": SBE_INT64,
    "uint8": SBE_UINT8, "uint16": SBE_UINT16, "uint32": SBE_UINT32, "uint64": SBE_UINT64,
    "char": SBE_UINT8,
}


cdef int refuse(str field, object value, str why) except -1:
    raise refusal(field, value, why)


cdef int refuse_newer(
    str name, object value, uint64_t version, uint64_t since, str what
) except -1:
    refuse(name, value, f"version {version} of the schema has no such {what}; "
           f"it came with version {since}")


cdef class Slot:
    """One field of a block. ``null`` and ``absent`` are bytes; see slots.pxd."""

    def __init__(self, facts, size, null, absent):
        self.name = facts["name"]
        self.offset = facts.get("offset", 0)
        self.since = self.newest = facts["since"]
        self.size = size
        self.facts = facts
        self.null = null
        self.absent = absent

    cdef int put(self, uint8_t* block, object value) except -1:
        raise NotImplementedError

    cdef int put_nothing(self, uint8_t* block, object value) except -1:
        """Writes what stands for None, or, for MISSING, for a value that was not given."""
        cdef bytes blank = self.absent if value is MISSING else self.null
        if blank is None:
            if value is MISSING:
                refuse(self.name, value, "a value is needed: the field is required")
            refuse(self.name, value, "the field is required, and never null"
                   if self.absent is None else "it has no null; leave it out")
        memcpy(block + self.offset, PyBytes_AS_STRING(blank), PyBytes_GET_SIZE(blank))
        return 0

    cdef int put_older(self, uint8_t* block, object value, uint64_t version) except -1:
        """Writes what a sender of ``version`` has of it, where that is not all: nothing."""
        if value is not MISSING and value is not None:
            refuse_newer(self.name, value, version, self.since, "field")
        return 0

    cpdef uint64_t end_at(self, uint64_t version) except? 0:
        """Where it ends in the block of a sender of ``version``, who has it."""
        return self.offset + self.size

    def null_number(self):
        """The bytes of the null value, also of a field that is never null."""
        return self.nulls

    def encoded(self, value):
        """The bytes of one value; for what is no message, such as members of composites."""
        cdef bytearray block = bytearray(self.offset + self.size)
        self.put(<uint8_t*><char*>block, value)
        return bytes(block[self.offset:])


cdef class IntSlot(Slot):
    """A whole number of up to eight bytes."""

    def __init__(self, facts, big, null, least, most):
        size = SIZES[facts["type"]]
        bits = (null & (2 ** (8 * size) - 1)).to_bytes(size, "big" if big else "little")
        nothing = bits if facts.get("optional") else None
        self.nulls = bits
        Slot.__init__(self, facts, size, nothing, nothing)
        self.least, self.most = least, most
        self.check.offset = self.offset
        self.check.size = size
        self.check.code = CODES[facts["type"]] + (SBE_BIG if big and size > 1 else 0)
        self.check.big = big
        self.check.is_wide = facts["type"] == "uint64"
        self.check.low = <int64_t><uint64_t>(least & 0xFFFFFFFFFFFFFFFF)
        self.check.high = <int64_t><uint64_t>(most & 0xFFFFFFFFFFFFFFFF)
        self.check.null = <int64_t><uint64_t>(null & 0xFFFFFFFFFFFFFFFF)
        self.check.has_hole = least <= null <= most
        self.check.optional = bool(facts.get("optional"))

    cdef int put(self, uint8_t* block, object value) except -1:
        cdef int overflow = 0
        cdef int64_t number
        if not PyLong_CheckExact(value):
            return self.put_number(block, self.whole(value), value)
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or (self.check.is_wide and number < 0) or not allows(&self.check, number):
            return self.put_number(block, value, value)
        sbe_store(block + self.offset, <uint64_t>number, self.check.size, self.check.big)
        return 0

    cdef int put_number(self, uint8_t* block, object number, object value) except -1:
        """The same of any int; ``value`` is what was given."""
        cdef uint64_t bits
        if not self.least <= number <= self.most:
            if number == self.facts.get("null"):
                refuse(self.name, value, "that number stands for null; give None"
                       if self.null is not None else "that number stands for null")
            refuse(self.name, value, f"outside {self.least} to {self.most}")
        bits = number & 0xFFFFFFFFFFFFFFFF
        if self.check.has_hole and <int64_t>bits == self.check.null:
            refuse(self.name, value, "that number stands for null; give None"
                   if self.null is not None else "that number stands for null")
        sbe_store(block + self.offset, bits, self.check.size, self.check.big)
        return 0

    def whole(self, value):
        try:
            return index(value)
        except TypeError:
            pass
        why = f"a whole number is needed, not {type(value).__name__}"
        time = self.facts.get("time")
        if time is not None and time["unit"] is not None:
            unit = "days" if time["unit"] == "D" else time["unit"]
            why += f": {unit} since {'midnight' if time['kind'] == 'time' else '1970 in UTC'}"
        refuse(self.name, value, why)


cdef class EnumSlot(IntSlot):
    """An enum by its member, by its name or by a number, which the schema need not know."""

    cdef dict numbers           # by the schema's names, and by those of the members
    cdef object kind            # (module, name) of its IntEnum
    cdef bint is_bool
    cdef bint nul_is_null       # of chars it is, unless it has a name in a required field
    cdef readonly bint names_null   # in a required field it is a value like any other

    def __init__(self, facts, big, null, least, most, module):
        self.names_null = not facts.get("optional") and null in facts["labels"]
        if self.names_null:
            least, most = min(least, null), max(most, null)
        IntSlot.__init__(self, facts, big, null, least, most)
        if self.names_null:
            self.check.has_hole = False
        self.numbers = {label: value for value, label in facts["labels"].items()}
        self.is_bool = set(self.numbers) == {"False", "True"}
        self.nul_is_null = facts["type"] == "char" and (
            bool(facts.get("optional")) or 0 not in facts["labels"]
        )
        for value, member in facts["members"].items():
            name = getattr(member, "name", None)
            if name is not None:
                self.numbers.setdefault(name, value)
        self.kind = module, facts["named"]

    cdef int put(self, uint8_t* block, object value) except -1:
        if isinstance(value, str):
            if value not in self.numbers:
                labels = self.facts["labels"]
                coded = None        # the name of which the schema gives this character
                if self.facts["type"] == "char" and len(value) == 1:
                    coded = labels.get(ord(value))
                raise unknown_label(self.name, value, labels.values(), "enum", coded)
            return self.put_number(block, self.numbers[value], value)
        if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
            if not self.is_bool:
                refuse(self.name, value, "the enum has other names than False and True")
            return self.put_number(block, self.numbers["True" if value else "False"], value)
        if isinstance(value, IntEnum):
            if (type(value).__module__, type(value).__name__) != self.kind:
                refuse(self.name, value, f"a member of another enum than {self.kind[1]}")
            return self.put_number(block, value.value, value)
        if self.nul_is_null and self.whole(value) == 0:     # whatever else is
            refuse(self.name, value, "that number stands for null"
                   + ("; give None" if self.null is not None else ", and the field is required"))
        return IntSlot.put(self, block, value)


cdef class FloatSlot(Slot):
    """A float or a double. What four bytes can't hold exactly is refused, and not rounded."""

    cdef bint is_single, big
    cdef double gap             # the null value; NaN, unless the schema has another
    cdef object least, most

    def __init__(self, facts, big, null):
        size = SIZES[facts["type"]]
        self.is_single = size == 4
        self.big = big
        self.gap = float("nan") if facts.get("null") is None else facts["null"]
        self.least, self.most = facts.get("min"), facts.get("max")
        self.nulls = null
        nothing = null if facts.get("optional") else None
        Slot.__init__(self, facts, size, nothing, nothing)

    cdef int put(self, uint8_t* block, object value) except -1:
        cdef double number
        cdef float single
        cdef uint64_t bits = 0
        if PyFloat_CheckExact(value):
            number = value
        else:
            number = self.floating(value)
        if isnan(number) if isnan(self.gap) else number == self.gap:
            refuse(self.name, value, "that stands for null; give None"
                   if self.null is not None else "that stands for null, and the field is required")
        if self.least is not None and number < self.least or (
            self.most is not None and number > self.most
        ):
            refuse(self.name, value, f"outside {self.least} to {self.most}")
        if not self.is_single:
            memcpy(&bits, &number, 8)
            sbe_store(block + self.offset, bits, 8, self.big)
            return 0
        single = <float>number if not self.is_beyond(number) else 0
        if not isnan(number) and <double>single != number:
            refuse(self.name, value, "a float of four bytes can't hold it exactly; "
                   "numpy.float32(...) gives the nearest that it can")
        memcpy(&bits, &single, 4)
        sbe_store(block + self.offset, bits, 4, self.big)
        return 0

    cdef bint is_beyond(self, double number) noexcept:
        """Whether converting it to four bytes has no defined result."""
        return not isinf(number) and not isnan(number) and not -3.4028235677973366e38 < number < (
            3.4028235677973366e38
        )

    cdef double floating(self, object value) except? -1.0:
        cdef double number = 0
        if isinstance(value, str):
            refuse(self.name, value, "a number is needed, not str")
        try:
            number = PyFloat_AsDouble(value)
        except (TypeError, ValueError):
            refuse(self.name, value, f"a number is needed, not {type(value).__name__}")
        except OverflowError:
            refuse(self.name, value, "a float can't hold it")
        if not isnan(number) and number != value:
            refuse(self.name, value, "a float can't hold it exactly")
        return number


cdef class CharSlot(Slot):
    """One character of one byte."""

    cdef int nul

    def __init__(self, facts):
        nul = facts.get("null")
        self.nul = 0 if nul is None else int(nul)
        self.nulls = bytes([self.nul])
        nothing = bytes([self.nul]) if facts.get("optional") else None
        Slot.__init__(self, facts, 1, nothing, nothing)

    cdef int put(self, uint8_t* block, object value) except -1:
        if not isinstance(value, str) or len(value) != 1:
            refuse(self.name, value, "a str of one character is needed")
        number = ord(value)
        if number > 255:
            refuse(self.name, value, "one byte can't hold the character")
        if number == 0 or (self.null is not None and number == self.nul):
            refuse(self.name, value, "that character stands for null"
                   + ("; give None" if self.null is not None else ", and the field is required"))
        block[self.offset] = <uint8_t>number
        return 0


cdef class CodedSlot(Slot):
    """A field that Python code turns into bytes: ``coded(value)``, which raises Refused."""

    cdef object coded
    cdef public object is_text      # of texts: whether bytes are one
    cdef public bytes facts_null    # of arrays and wide mantissas: the null value

    def __init__(self, facts, size, null, absent, coded):
        Slot.__init__(self, facts, size, null, absent)
        self.coded = coded

    cdef int put(self, uint8_t* block, object value) except -1:
        cdef bytes made
        try:
            made = self.coded(value)
        except EncodeError as error:
            raise inside(error, self.name)
        if <uint64_t>len(made) != self.size:
            raise SystemError(f"{self.name}: {len(made)} bytes for {self.size}")
        memcpy(block + self.offset, PyBytes_AS_STRING(made), self.size)
        return 0


cdef class ConstantSlot(Slot):
    """What takes no bytes: only the value that the schema gives may be given."""

    cdef tuple values

    def __init__(self, facts, values):
        Slot.__init__(self, facts, 0, None, b"")
        self.values = values

    cdef int put(self, uint8_t* block, object value) except -1:
        for each in self.values:
            if type(value) in (type(each), type(self.values[0])) and value == each:
                return 0
        refuse(self.name, value, f"the schema says that it is always {self.values[0]!r}")

    cdef int put_nothing(self, uint8_t* block, object value) except -1:
        if value is not MISSING:
            refuse(self.name, value, f"the schema says that it is always {self.values[0]!r}")
        return 0


cdef object as_dict(object value, str name, str why):
    """What was decoded, or any mapping, as a dict."""
    to_dict = getattr(value, "to_dict", None)
    if to_dict is not None and hasattr(type(value), "_ELEMENTS"):
        return to_dict()
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return dict(value)
    refuse(name, value, why)
