"""Messages, groups and var data as the encoder has them: values are checked and put together."""

cimport numpy as np
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from ..decode.cursor cimport MOST_EMPTY
from .checks cimport first_bad, sbe_check
from .slots cimport MISSING, IntSlot, as_dict, refuse, refuse_newer
from .vardata cimport Data, place_of, put_number
from .writer cimport add_piece, close_writer, make_room, open_writer, taken_out

from collections.abc import Sequence

from ..errors import EncodeError
from .arrays import prepared
from .refusals import inside, plural, unknown
from .scaled import Derived

np.import_array()

cdef extern from "Python.h":
    PyObject** PySequence_Fast_ITEMS(object sequence) noexcept


cdef class Level:
    """The fields, groups and var data of a message, or of the entries of a group."""

    def __init__(self, fields, groups, data, layout, derived, latest):
        cdef IntSlot number
        self.fields, self.groups, self.data = fields, groups, data
        self.layout = layout
        self.derived = derived
        self.latest = latest
        self.length = layout.length
        self.since = layout.since
        self.places = {each.name: i for i, each in enumerate((*fields, *groups, *data))}
        self.count = len(self.places)
        self.field_count, self.group_count = len(fields), len(groups)
        self.data_count = len(data)
        self.lengths = {}
        wire = [each for each in fields if each.size]
        plain = all(isinstance(each, IntSlot) or each.facts["kind"] == "set" for each in wire)
        self.is_plain = (
            plain and not groups and not data and sum(each.size for each in wire) == self.length
        )
        numbers = [each for each in wire if isinstance(each, IntSlot)]
        if numbers:
            self.checks = <sbe_check*>malloc(len(numbers) * sizeof(sbe_check))
            if self.checks == NULL:
                raise MemoryError()
        for number in numbers:
            self.checks[self.check_count] = number.check
            self.check_count += 1

    def __dealloc__(self):
        free(self.checks)

    cdef uint64_t older_length(self, uint64_t version) except? 0:
        found = self.lengths.get(version)
        if found is None:
            known = [e.end_at(version) for e in self.fields if e.since <= version and e.size]
            found = max(known, default=0)
            if self.is_implied and version >= self.since:
                found = self.length     # readers take it to be padded as the schema says
            self.lengths[version] = found
        return found

    cdef int write(self, sbe_writer* writer, PyObject** values) except -1:
        """The values in the order of ``places``; MISSING where none was given.

        They are borrowed, from whoever holds them as long as this takes.
        """
        cdef Slot slot
        cdef Group group
        cdef Data data
        cdef object value
        cdef str before = None      # the first that is left out: the message ends there
        cdef size_t i
        cdef uint64_t version = writer.version
        cdef uint64_t length = self.length_at(version)
        cdef uint8_t* block
        make_room(writer, length)
        block = writer.data + writer.size       # nothing else is written before the block is
        memset(block, 0, length)
        # Casts that are not checked: what the tuples hold is what `__init__` was given.
        cdef PyObject* missing = <PyObject*>MISSING
        for i in range(self.field_count):
            slot = <Slot>(<PyObject*>self.fields[i])
            if slot.newest > version:
                slot.put_older(block, <object>values[i], version)
            elif values[i] == missing or values[i] == <PyObject*>None:
                slot.put_nothing(block, <object>values[i])
            else:
                slot.put(block, <object>values[i])
        writer.size += length
        writer.total += length
        for i in range(self.group_count):
            group = <Group>(<PyObject*>self.groups[i])
            value = <object>values[self.field_count + i]
            if group.since > version:
                if value is not MISSING and not is_empty(value):
                    refuse_newer(group.name, value, version, group.since, "group")
            elif (before is not None or (group.may_end and value is None)) and (
                self.is_left_out(group.name, group.may_end, value, before)
            ):
                before = before or group.name
            else:
                group.write(writer, value)
        for i in range(self.data_count):
            data = <Data>(<PyObject*>self.data[i])
            value = <object>values[self.field_count + self.group_count + i]
            if data.since > version:
                if value is not MISSING and value is not None:
                    refuse_newer(data.name, value, version, data.since, "data")
            elif (before is not None or (data.may_end and not data.empty_is_null)) and (
                self.is_left_out(data.name, data.may_end, value, before)
            ):
                before = before or data.name
            else:
                data.write(writer, value)
        return 0

    cdef bint is_left_out(self, str name, bint may_end, object value, str before) except -1:
        """Whether a group or data is not sent; all behind one that is not must not be either."""
        is_nothing = value is None or value is MISSING or (before is not None and is_empty(value))
        if before is not None and not is_nothing:
            refuse(name, value, f"{before} is left out before it, and then the message has ended")
        if before is not None and not may_end:
            refuse(name, value, f"it is always sent: {before}, which comes before it, is needed")
        return is_nothing

    cdef int write_entry(self, sbe_writer* writer, object entry) except -1:
        """The same of values by their names."""
        cdef list values = [MISSING] * self.count
        cdef Py_ssize_t place
        if not isinstance(entry, dict):
            entry = as_dict(entry, "", "an entry is a dict of its fields")
        for name, value in (<dict>entry).items():
            found = self.places.get(name)
            if found is None:
                self.raise_unknown(name, value)
            place = found
            values[place] = value
        return self.write(writer, PySequence_Fast_ITEMS(values))

    def raise_unknown(self, name, value):
        """`Derived` for a name that `scaled` knows; an EncodeError for any other."""
        if name in self.derived:
            raise Derived
        raise unknown(name, (*self.places, *self.derived), value)

    cdef Py_ssize_t first_bad(self, np.ndarray array, size_t* which) noexcept:
        """As of `checks`, of an array whose items are entries as the wire has them."""
        return first_bad(
            self.checks, self.check_count, self.length, <const uint8_t*>np.PyArray_DATA(array),
            np.PyArray_DIM(array, 0), np.PyArray_STRIDE(array, 0), which
        )

    def check_array(self, np.ndarray array not None, str name):
        """EncodeError for a number in an array, laid out as on the wire, that is not allowed."""
        cdef size_t which = 0
        cdef Py_ssize_t bad = self.first_bad(array, &which)
        if bad < 0:
            return
        number = [each for each in self.fields if isinstance(each, IntSlot)][which]
        value = array[bad][number.name].item()
        refuse(f"{name}[{bad}].{number.name}", value,
               f"outside {number.least} to {number.most}, or what stands for null")


cdef bint is_empty(object value):
    return hasattr(value, "__len__") and len(value) == 0


cdef class Group:
    """A group: its dimensions, and its entries from dicts or from a structured array."""

    def __init__(self, facts, bint big, Level level not None):
        self.name = facts["name"]
        self.since = facts["since"]
        self.level = level
        self.size = facts["dimensions"]
        self.most = facts["most"]
        self.may_end = bool(facts.get("may_end"))
        self.block_length = place_of(facts, "block_length_at", big)
        self.entry_count = place_of(facts, "count_at", big)
        self.group_count = place_of(facts, "groups_at", big)
        self.data_count = place_of(facts, "data_at", big)
        where = facts["block_length_at"]
        self.has_fixed_length = len(where) > 2
        self.fixed_length = where[2] if self.has_fixed_length else 0
        where = facts["count_at"]
        if len(where) > 2:
            self.most = where[2]

    cdef int write(self, sbe_writer* writer, object value) except -1:
        cdef Level level = self.level
        cdef Py_ssize_t i, count
        if isinstance(value, np.ndarray):
            return self.write_array(writer, value)
        if value is MISSING:
            value = ()
        elif isinstance(value, (str, bytes, dict)) or not isinstance(value, Sequence):
            refuse(self.name, value, "a group is a list of dicts, or a structured array")
        # A copy: Python code that runs meanwhile may change a list.
        cdef tuple entries = tuple(value)
        cdef size_t before
        count = len(entries)
        self.write_dimensions(writer, count)
        before = writer.total
        i = 0
        try:
            for i in range(count):
                level.write_entry(writer, entries[i])
        except EncodeError as error:
            raise inside(error, f"{self.name}[{i}]" + ("." if error.field else ""))
        if writer.total == before:
            self.allow_empty(writer, count)
        return 0

    cdef bytes dimensions_at(self, uint64_t version):
        """Dimensions of no entries."""
        cdef sbe_writer writer
        open_writer(&writer, version)
        if self.entry_count.size:
            self.write_dimensions(&writer, 0)
        else:
            self.write_dimensions(&writer, self.most)
        made = taken_out(&writer)
        close_writer(&writer)
        return made

    cdef int write_dimensions(self, sbe_writer* writer, size_t count) except -1:
        cdef uint64_t length = self.level.length_at(writer.version)
        cdef uint8_t* at
        if count > self.most or (self.entry_count.size == 0 and count != self.most):
            refuse(self.name, MISSING, f"{plural(count, 'entry').replace('entrys', 'entries')}, "
                   f"and the schema allows {self.most}")
        if self.has_fixed_length and length != self.fixed_length:
            refuse(self.name, MISSING, f"version {writer.version} has entries of {length} bytes, "
                   f"and the dimensions say {self.fixed_length}")
        make_room(writer, self.size)
        at = writer.data + writer.size
        memset(at, 0, self.size)
        put_number(at, &self.block_length, length)
        put_number(at, &self.entry_count, count)
        put_number(at, &self.group_count, known_in(self.level.groups, writer.version))
        put_number(at, &self.data_count, known_in(self.level.data, writer.version))
        writer.size += self.size
        writer.total += self.size
        return 0

    cdef int write_array(self, sbe_writer* writer, object value) except -1:
        cdef np.ndarray array = <np.ndarray>value
        cdef Level level = self.level
        cdef size_t which = 0
        cdef bint is_known
        # A dtype that was accepted before, and whose columns nobody has renamed since.
        is_known = (
            type(value) is np.ndarray
            and np.PyArray_NDIM(array) == 1
            and <PyObject*>np.PyArray_DESCR(array) == <PyObject*>self.known
            and np.PyDataType_NAMES(<np.dtype>self.known) == <PyObject*>self.known_names
            and writer.version >= level.since
        )
        if is_known:
            if level.first_bad(array, &which) >= 0:
                level.check_array(array, self.name)
        else:
            array, fits = prepared(self, value, writer.version, level.length_at(writer.version))
            if fits:
                self.known = array.dtype
                self.known_names = array.dtype.names
        cdef size_t length = level.length_at(writer.version)
        self.write_dimensions(writer, np.PyArray_DIM(array, 0))
        if length == 0:
            self.allow_empty(writer, np.PyArray_DIM(array, 0))
        add_piece(writer, array, np.PyArray_DIM(array, 0), length)
        return 0

    cdef int allow_empty(self, sbe_writer* writer, size_t count) except -1:
        """Notes entries that take no bytes: decoders refuse frames with more than so many."""
        writer.empty += count
        if writer.empty > MOST_EMPTY:
            refuse(self.name, MISSING, f"with them the message has {writer.empty} entries that "
                   f"take no bytes, and a frame has {MOST_EMPTY} at most")
        return 0


cdef size_t known_in(tuple elements, uint64_t version):
    if not elements:
        return 0
    return sum([each.since <= version for each in elements])
