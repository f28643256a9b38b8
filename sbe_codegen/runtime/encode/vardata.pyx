"""Var data as the encoder has them, and the numbers of the framing."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from libc.string cimport memcpy, memset

from .slots cimport MISSING, refuse
from .writer cimport make_room

import re

from .refusals import plural

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL


cdef sbe_place place_of(object facts, str name, bint big) except *:
    """Where a number of the framing is; of size 0 where it is nowhere, or constant."""
    cdef sbe_place place
    found = facts.get(name)
    place.offset = found[0] if found else 0
    place.size = found[1] if found else 0
    place.big = big
    return place


def has_objects(code):
    """Whether a buffer's format has Python objects in it; names in it count for nothing."""
    return "O" in re.sub(":[^:]*:", "", code)


cdef class Data:
    """Var data: text in the encoding that the schema gives, or bytes."""

    def __init__(self, facts, bint big):
        self.name = facts["name"]
        self.since = facts["since"]
        self.encoding = facts["encoding"]
        self.is_utf8 = self.encoding == "utf-8"
        self.empty_is_null = bool(facts.get("empty_is_null"))
        self.may_end = bool(facts.get("may_end"))
        self.prefix = facts["prefix"]
        self.most = facts["most"]
        self.length = place_of(facts, "length_at", big)
        where = facts["length_at"]
        if len(where) > 2:
            self.most = where[2]

    cdef int write(self, sbe_writer* writer, object value) except -1:
        cdef const char* text = NULL
        cdef Py_ssize_t size = 0
        cdef uint8_t* at
        cdef bytes made
        if value is MISSING or value is None:
            if not self.empty_is_null:
                refuse(self.name, value, "a value is needed" if value is MISSING else
                       "var data are never null; give "
                       + ("b''" if self.encoding is None else "''"))
        else:
            if self.is_utf8 and PyUnicode_Check(value):
                try:
                    text = PyUnicode_AsUTF8AndSize(value, &size)
                except UnicodeEncodeError:
                    refuse(self.name, value, "utf-8 has no such characters")
            else:
                made = self.raw(value)          # which lives until its bytes are copied
                text, size = PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made)
            if size == 0 and self.empty_is_null:
                refuse(self.name, value, "no bytes stand for null; give None")
        if <uint64_t>size > self.most or (self.length.size == 0 and <uint64_t>size != self.most):
            refuse(self.name, value, f"{plural(size, 'byte')}, and the schema allows {self.most}")
        make_room(writer, self.prefix + size)
        at = writer.data + writer.size
        memset(at, 0, self.prefix)
        put_number(at, &self.length, size)
        if size:
            memcpy(at + self.prefix, text, size)
        writer.size += self.prefix + size
        writer.total += self.prefix + size
        return 0

    def raw(self, value):
        """The bytes of a value; text as bytes has to be text of the encoding."""
        if isinstance(value, str):
            if self.encoding is None:
                refuse(self.name, value, "bytes are needed: the schema gives no text encoding")
            try:
                made = value.encode(self.encoding)
                if made.decode(self.encoding) != value:
                    refuse(self.name, value, f"{self.encoding} has no such text")
            except UnicodeError as error:
                refuse(self.name, value, f"{self.encoding} has no such text ({error})")
            return made
        if hasattr(type(value), "TEMPLATE_ID"):
            return bytes(value)
        try:
            view = memoryview(value)
            made = None if has_objects(view.format) else bytes(view)
        except (TypeError, ValueError, BufferError):    # ValueError: of what was released
            made = None
        if made is None:
            refuse(self.name, value, "bytes are needed" if self.encoding is None else
                   "a str is needed")
        if self.encoding is not None:
            try:
                made.decode(self.encoding)
            except Exception as error:      # UnicodeDecodeError, and what else codecs raise
                refuse(self.name, value, f"these bytes are not {self.encoding} text ({error})")
        return made
