"""C values to Python objects, remembering what market data repeats: exponents and symbols.

Making and freeing a Python object costs more than everything else that decoding a value does. (Ints
and floats that the consumer has let go of are changed in place: see `reuse`. Remembering prices by
their values was tried: it costs more than it saves.) The tables are used under the GIL only.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from .loads cimport load_ends
from .reuse cimport sbe_change_int

import os

cdef enum:
    TEXT_BITS = 12              # the slot of a text is that many bits of a hash
    LONGEST = 16                # bytes of a text that is remembered

cdef struct Text:
    uint64_t first, last        # see `load_ends`
    size_t length
    PyObject* object

cdef PyObject *BYTE_INTS[384]
cdef Text[1 << TEXT_BITS] TEXTS

BYTES = BYTE_INTS
for number in range(-128, 256):
    replace(&BYTE_INTS[number + 128], number)


cdef inline Text* text_slot(const uint8_t* text, size_t length, Text* key) noexcept:
    """Where a text of 1 to LONGEST bytes is or will be; ``key`` gets what tells it from others."""
    cdef uint64_t mixed
    load_ends(text, length, &key.first, &key.last)
    key.length = length
    mixed = (key.first ^ (key.last * 0xD6E8FEB86659FD93u)) * 0x9E3779B97F4A7C15u
    return &TEXTS[mixed >> (64 - TEXT_BITS)]


cdef PyObject* known_text(const char* text, size_t length) noexcept:
    """The str of a text that has been seen, or NULL.

    Borrowed from its slot, which another text may take at the next call: a reference is to be taken
    before anything else runs.
    """
    cdef Text key
    cdef Text* slot
    if length == 0 or length > LONGEST:
        return NULL
    slot = text_slot(<const uint8_t*>text, length, &key)
    if slot.first == key.first and slot.last == key.last and slot.length == length:
        return slot.object
    return NULL


cdef object utf8_text(const char* text, size_t length):
    """A str; UnicodeDecodeError where the text is not UTF-8."""
    cdef Text key
    cdef Text* slot
    cdef char[LONGEST] copy
    if length == 0 or length > LONGEST:
        return PyUnicode_DecodeUTF8(text, length, NULL)
    # A frame in shared memory may change meanwhile: key and str are made of the same bytes.
    memcpy(copy, text, length)
    result = PyUnicode_DecodeUTF8(copy, length, NULL)
    slot = text_slot(<const uint8_t*>copy, length, &key)
    replace(&slot.object, result)
    slot.first, slot.last, slot.length = key.first, key.last, length
    return result


cdef inline void replace(PyObject** kept, object new) noexcept:
    """Keeps a reference to ``new`` instead of the one kept."""
    # The old one is let go of when the new one is in its place: nobody finds one that is gone.
    cdef PyObject* old = kept[0]
    Py_INCREF(new)
    kept[0] = <PyObject*>new
    Py_XDECREF(old)


cdef bint knows_ints() except -1:
    """Whether ints changed in place are those that Python makes, on this interpreter."""
    cdef uint64_t size
    for wanted in (1 << 29, 1 << 30, (1 << 60) - 1, 1 << 60, (1 << 63) - 1, 1 << 63, 257):
        for sign in (1, -1):
            changed = (1 << 61) + wanted        # new, so that nobody else has it; room for 3 digits
            size = wanted
            if not sbe_change_int(changed, size, sign < 0):
                return False
            expected = int(str(sign * wanted))
            if changed != expected or hash(changed) != hash(expected):
                return False
            if changed + 1 != expected + 1:
                return False
            if repr(changed) != repr(expected) or changed.__sizeof__() != expected.__sizeof__():
                return False
    return True


cdef bint allowed() except -1:
    given = os.environ.get("SBE_REUSE") or "1"
    if given not in ("0", "1"):
        raise ImportError(f"SBE_REUSE is '0' (objects are always made anew) or '1', not '{given}'")
    return given == "1"


def reuses():
    """Whether tuples, ints and floats that nobody holds any more are taken again here."""
    return REUSES


ALLOWED = allowed()
REUSES = ALLOWED and knows_ints()
