"""C values to Python objects, remembering what market data repeats.

Making and freeing a Python int costs more than everything else that decoding a number does. A
stream repeats its exponents, its symbols, and the prices and quantities of the side of a book that
did not move; these are looked up in small tables of fixed size before a new object is made. A
value that is not found costs one comparison more. The tables are used under the GIL only.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint64_t

from .loads cimport load_uint32_le, load_uint64_le

cdef enum:
    SLOTS = 4096                # a power of two
    LONGEST = 16                # bytes of a text that is remembered

cdef struct Number:
    int64_t value
    PyObject* object

cdef struct Text:
    uint64_t first, last        # all of the text, overlapping where it is short
    size_t length
    PyObject* object

cdef Number[SLOTS] NUMBERS
cdef Text[SLOTS] TEXTS
cdef tuple BYTES = tuple(range(-128, 256))


cdef object byte_int(int64_t value):
    """A number of one byte, signed or not."""
    return BYTES[value + 128]


cdef object mantissa_int(int64_t value):
    """A price or a quantity."""
    cdef Number* slot = &NUMBERS[(<uint64_t>value * 0x9E3779B97F4A7C15u) >> 52]
    if slot.value == value and slot.object != NULL:
        return <object>slot.object
    result = value
    replace(&slot.object, result)
    slot.value = value
    return result


cdef object utf8_text(const char* text, size_t length):
    """A str; UnicodeDecodeError where the text is not UTF-8."""
    cdef uint64_t first, last
    cdef const uint8_t* at = <const uint8_t*>text
    cdef Text* slot
    if length == 0 or length > LONGEST:
        return PyUnicode_DecodeUTF8(text, length, NULL)
    if length >= 8:
        first = load_uint64_le(at)
        last = load_uint64_le(at + length - 8)
    elif length >= 4:
        first = load_uint32_le(at)
        last = load_uint32_le(at + length - 4)
    else:
        first = at[0]
        last = at[length - 1] * 256 + at[length // 2]
    slot = &TEXTS[((first ^ (last * 0xD6E8FEB86659FD93u)) * 0x9E3779B97F4A7C15u) >> 52]
    if slot.first == first and slot.last == last and slot.length == length:
        return <object>slot.object
    result = PyUnicode_DecodeUTF8(text, length, NULL)
    replace(&slot.object, result)
    slot.first, slot.last, slot.length = first, last, length
    return result


cdef inline void replace(PyObject** kept, object new) noexcept:
    """Keeps a reference to ``new`` instead of the one kept."""
    cdef PyObject* old = kept[0]
    Py_INCREF(new)
    kept[0] = <PyObject*>new
    Py_XDECREF(old)
