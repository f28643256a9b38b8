"""`encode`, `encode_into` and `replace` of message classes, and `encode` of modules.

The first two are builtin functions of the quickest kind that CPython has: it hands over the values
where they lie, and the tuple of their names, which is the same object each time that one line of a
program is run. Which value is which is then known without looking up a name.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from .levels cimport Level
from .slots cimport MISSING
from .writer cimport close_writer, open_writer, put_into, sbe_writer, taken_out

from operator import index

from ..decode.structured import GroupView
from ..errors import EncodeError
from .refusals import of_message, refusal
from .scaled import Derived, rescalable, unscaled

cdef extern from "Python.h":
    ctypedef struct PyMethodDef:
        const char* ml_name
        void* ml_meth
        int ml_flags
        const char* ml_doc
    int METH_FASTCALL
    int METH_KEYWORDS
    object PyCFunction_NewEx(PyMethodDef* definition, object of, object module)
    PyObject** PySequence_Fast_ITEMS(object sequence) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* names) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* names, Py_ssize_t i) noexcept

cdef enum:
    MOST_NAMES = 64             # for which no memory is asked

INTO_NAMES = ("buffer", "offset")


cdef class Encoder:
    """What encodes one message class. Its plan is made when it is first used."""

    cdef readonly object message
    cdef object planner, make_header
    cdef Level level
    cdef dict options               # name of an option -> what it is
    cdef dict headers               # version -> header, with the length of its block in it
    cdef readonly uint64_t since, latest
    cdef bytes header               # of the latest version
    cdef tuple known                # the names of the call before,
    cdef Py_ssize_t* places         # and the places of their values
    cdef Py_ssize_t known_count
    cdef bint has_others            # some of them are no names of elements
    cdef PyMethodDef encode_definition, into_definition
    cdef bytes encode_doc, into_doc     # which the definitions point into

    def __init__(self, message, planner, make_header, latest, encode_doc, into_doc, options):
        self.message = message
        self.planner = planner
        self.make_header = make_header
        self.since = message._SINCE
        self.latest = latest
        self.headers = {}
        self.options = options
        self.encode_doc, self.into_doc = encode_doc, into_doc
        self.encode_definition = PyMethodDef(
            b"encode", <void*>call_encode, METH_FASTCALL | METH_KEYWORDS, <char*>self.encode_doc
        )
        self.into_definition = PyMethodDef(
            b"encode_into", <void*>call_into, METH_FASTCALL | METH_KEYWORDS, <char*>self.into_doc
        )

    def __dealloc__(self):
        free(self.places)

    def functions(self, module):
        """``encode`` and ``encode_into``; they keep this object, and so their definitions."""
        return (
            PyCFunction_NewEx(&self.encode_definition, self, module),
            PyCFunction_NewEx(&self.into_definition, self, module),
        )

    cpdef Level plan(self):
        if self.level is None:
            self.level = self.planner.message(self.message)
            self.planner = None
        return self.level

    cpdef bytes header_at(self, uint64_t version):
        """The header of a version. Raises for a version in which there is no such message."""
        if self.header is not None and version == self.latest:
            return self.header
        found = self.headers.get(version)
        if found is None:
            if not self.since <= version <= self.latest:
                raise refusal(
                    "version", version, f"the message is there, as it is known here, in versions "
                    f"{self.since} to {self.latest}"
                )
            level = self.plan()
            found = self.make_header(
                self.message, level.length_at(version),
                sum([each.since <= version for each in level.groups]),
                sum([each.since <= version for each in level.data]), version,
            )
            self.headers[version] = found
            if version == self.latest:
                self.header = found
        return found

    cdef int start(self, sbe_writer* writer, uint64_t version) except -1:
        cdef bytes header = self.header_at(version)
        open_writer(writer, version)
        memcpy(writer.first, PyBytes_AS_STRING(header), len(header))
        writer.size = writer.total = len(header)
        return 0

    cdef int learn(self, tuple names) except -1:
        """Remembers the places of names; -1 in them stands for what `values_of` has to see to."""
        cdef Py_ssize_t i
        cdef dict known = self.plan().places
        cdef Py_ssize_t* places = <Py_ssize_t*>malloc(max(1, len(names)) * sizeof(Py_ssize_t))
        if places == NULL:
            raise MemoryError()
        has_others = False
        for i in range(len(names)):
            places[i] = known.get(names[i], -1)
            has_others = has_others or places[i] < 0
        before = self.known     # lives until all is set: its end may run Python code
        free(self.places)
        self.places = places
        self.known = names
        self.known_count = len(names)
        self.has_others = has_others
        return 0

    cdef inline bint are_known(self, PyObject* names, Py_ssize_t count) noexcept:
        cdef Py_ssize_t i
        cdef PyObject* known = <PyObject*>self.known
        if names == known:
            return True
        if count != self.known_count or self.places == NULL:
            return False
        for i in range(count):
            if PyTuple_GET_ITEM(names, i) != PyTuple_GET_ITEM(known, i):
                return False
        return True

    cdef int fill(
        self, sbe_writer* writer, PyObject** values, PyObject* names, Py_ssize_t count
    ) except -1:
        """The message into an open writer; 1 where it takes `slowly`, which has options."""
        cdef PyObject *few[MOST_NAMES]
        cdef PyObject** placed = few
        cdef Level level = self.level
        cdef Py_ssize_t i, place
        cdef Py_ssize_t total = level.count
        if total > MOST_NAMES:
            placed = <PyObject**>malloc(total * sizeof(PyObject*))
            if placed == NULL:
                raise MemoryError()
        try:
            for i in range(total):
                placed[i] = <PyObject*>MISSING
            for i in range(count):
                place = self.places[i]
                if place < 0 or placed[place] != <PyObject*>MISSING:
                    return 1
                placed[place] = values[i]       # borrowed from the caller, as arguments are
            self.start(writer, self.latest)
            level.write(writer, placed)
        finally:
            if placed != few:
                free(placed)
        return 0

    cdef int write_all(
        self, sbe_writer* writer, PyObject** values, PyObject* names, Py_ssize_t count
    ) except -1:
        """All that is given by keywords into a writer, which the caller closes in any case."""
        if self.level is None:
            self.plan()
        if not self.are_known(names, count):
            self.learn(() if names == NULL else <tuple>names)
        try:
            # What learning has let go of may have run Python code, which has encoded others.
            if self.are_known(names, count) and self.fill(writer, values, names, count) == 0:
                return 0
        except Derived:
            pass
        except EncodeError as error:
            raise of_message(error, self.message.__name__)
        return self.write_slowly(
            writer, {<object>PyTuple_GET_ITEM(names, i): <object>values[i] for i in range(count)}
        )

    cdef int write_slowly(self, sbe_writer* writer, dict values) except -1:
        """The same with options, and with scaled values."""
        cdef dict given = {}
        cdef dict chosen = {}
        close_writer(writer)
        open_writer(writer, 0)
        level = self.plan()
        try:
            for name, value in values.items():
                option = self.options.get(name)
                if option is None or option in INTO_NAMES:
                    given[name] = value
                else:
                    chosen[option] = value
            version = self.version_of(chosen.get("version"))
            fit = fit_of(chosen.get("exponents"))
            self.start(writer, version)
            if fit:
                level.write_entry(writer, unscaled(level, given, True))
                return 0
            try:
                level.write_entry(writer, given)
            except Derived:
                close_writer(writer)
                self.start(writer, version)
                level.write_entry(writer, unscaled(level, given, False))
        except EncodeError as error:
            raise of_message(error, self.message.__name__)
        return 0

    cpdef object version_of(self, object version):
        if version is None:
            return self.latest
        try:
            number = index(version)
        except TypeError:
            raise refusal("version", version, "a version is a whole number") from None
        if not self.since <= number <= self.latest:
            raise refusal(
                "version", version, f"the message is there, as it is known here, in versions "
                f"{self.since} to {self.latest}"
            )
        return number

    def from_dict(self, values, version=None, exponents=None):
        """``encode(**values)``, options aside: for mappings."""
        cdef sbe_writer writer
        open_writer(&writer, 0)
        given = dict(values)
        for name, value in (("version", version), ("exponents", exponents)):
            if value is not None:
                given[self.option(name)] = value
        try:
            self.write_slowly(&writer, given)
            return taken_out(&writer)
        finally:
            close_writer(&writer)

    def replaced(self, message, values):
        """`replace` of a message."""
        level = self.plan()
        chosen = {self.options[name]: name for name in values if name in self.options}
        version = values[chosen["version"]] if "version" in chosen else None
        if version is None:
            version = message.version
            if version > self.latest:
                raise of_message(refusal(
                    "version", version, f"newer than version {self.latest}, which is known here: "
                    f"version={self.latest} leaves out what the sender has more"
                ), self.message.__name__)
        base = {}
        for element in type(message)._ELEMENTS:
            # Arrays over the frame are copied as they are.
            is_array = isinstance(element, GroupView)
            base[element.name] = (
                element.__get__(message, type(message)) if is_array else element.raw(message)
            )
        if "exponents" in chosen and values[chosen["exponents"]] is not None:
            base = rescalable(level, message.to_dict(), values)
        for name in values:
            scaling = level.derived.get(name)
            if scaling is not None:
                base.pop(scaling.name, None)
        merged = base | values
        merged[self.option("version")] = version
        return self.from_dict(merged)

    def option(self, name):
        """What an option is called here: a field may have its name."""
        return next(each for each, option in self.options.items() if option == name)


cdef bint fit_of(object exponents) except -1:
    if exponents is None:
        return False
    if not isinstance(exponents, str) or exponents != "fit":
        raise refusal("exponents", exponents, "it is 'fit', or left out")
    return True


cdef object call_encode(
    object self, PyObject** values, Py_ssize_t positional, PyObject* names
):
    cdef Encoder encoder = <Encoder>self
    cdef sbe_writer writer
    cdef Py_ssize_t count = 0 if names == NULL else PyTuple_GET_SIZE(names)
    if positional:
        name = encoder.message.__name__
        raise TypeError(f"{name}.encode takes its values by name: {name}.encode(field=...)")
    open_writer(&writer, 0)
    try:
        encoder.write_all(&writer, values, names, count)
        return taken_out(&writer)
    finally:
        close_writer(&writer)


cdef object call_into(
    object self, PyObject** values, Py_ssize_t positional, PyObject* names
):
    cdef Encoder encoder = <Encoder>self
    cdef sbe_writer writer
    cdef Py_ssize_t count = 0 if names == NULL else PyTuple_GET_SIZE(names)
    cdef PyObject* target = values[0] if positional > 0 else NULL
    cdef PyObject* offset = values[1] if positional > 1 else NULL
    if positional > 2:
        raise TypeError("encode_into takes a buffer, an offset, and values by their names")
    if encoder.level is None:
        encoder.plan()
    if target == NULL or not encoder.are_known(names, count) or encoder.has_others:
        if count:
            found = named_arguments(encoder, values + positional, names, count)
            if found is not None:
                return into_slowly(
                    encoder, target, offset, <dict>found[0], <dict>found[1]
                )
    if target == NULL:
        raise TypeError("encode_into needs a buffer to write to")
    # Python code that it runs comes before what is written is looked at.
    if offset == NULL:
        place = 0
    else:
        place = <object>offset if PyLong_CheckExact(<object>offset) else index(<object>offset)
    open_writer(&writer, 0)
    try:
        encoder.write_all(&writer, values + positional, names, count)
        return put_into(&writer, encoder.message, <object>target, place)
    finally:
        close_writer(&writer)


cdef object named_arguments(
    Encoder encoder, PyObject** values, PyObject* names, Py_ssize_t count
):
    """``buffer`` and ``offset`` where they are given by name, and the other values; else None."""
    cdef Py_ssize_t i
    own, rest = {}, {}
    for i in range(count):
        name = <object>PyTuple_GET_ITEM(names, i)
        option = encoder.options.get(name)
        if option in INTO_NAMES:
            own[option] = <object>values[i]
        else:
            rest[name] = <object>values[i]
    return (own, rest) if own else None


cdef object into_slowly(
    Encoder encoder, PyObject* target, PyObject* offset, dict own, dict rest
):
    cdef sbe_writer writer
    for place, name in ((<size_t>target, "buffer"), (<size_t>offset, "offset")):
        if place and name in own:
            raise TypeError(f"encode_into got two values for {name}")
    if target == NULL and "buffer" not in own:
        raise TypeError("encode_into needs a buffer to write to")
    buffer = own["buffer"] if target == NULL else <object>target
    place = index(own.get("offset", 0) if offset == NULL else <object>offset)
    open_writer(&writer, 0)
    try:
        encoder.write_slowly(&writer, rest)
        return put_into(&writer, encoder.message, buffer, place)
    finally:
        close_writer(&writer)


def replace(self, /, **values):
    """The message as bytes with other ``values``, in the version that it has.

    Names are those of `encode`; a value that is given scaled stands for its mantissa too. Raises
    EncodeError, also for values of the message itself that the schema does not allow, and where
    its version is newer than the schema: what is not known here would be lost, unless ``version=``
    says so.
    """
    encoder = type(self)._ENCODER
    return encoder.replaced(self, values)
