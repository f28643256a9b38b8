"""Entries of groups that have groups or var data of their own, and composites: parts as objects.

An entry is read from the frame when it is asked for, by the same generated function that validated
it, and bounds are checked again: the frame may be memory that somebody writes to.
"""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc

from .cursor cimport raise_fault, sbe_cursor, sbe_fault, sbe_group, sbe_root
from .elements cimport Element, View, show_docs
from .frames cimport start_of
from .message cimport shown

from collections.abc import Sequence
from operator import index


cdef object plain_dict(View view, bint embedded):
    cdef Element element
    if view.root == NULL:
        raise TypeError(f"this {type(view).__name__} was not made by decode")
    return {
        element.name: element.plain(view.root, view.owner, embedded)
        for element in type(view)._ELEMENTS
    }


@cython.no_gc
cdef class Composite(View):
    """The value of a composite field: its members as attributes, read from the frame.

    It keeps the frame alive. Two are equal if they are of one class and `to_dict` gives the same.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError(f"{type(self).__name__} is part of messages and not made by itself")

    def to_dict(self):
        """The members in the order of the schema, as those of messages in their `to_dict`."""
        return plain_dict(self, False)

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return plain_dict(self, False) == plain_dict(other, False)

    __hash__ = None

    def __repr__(self):
        plain_dict(self, False)
        return shown(self)


cdef class CompositeField(Element):
    """A composite as an object; None where its first member is null, or absent."""

    cdef uint64_t offset
    cdef uint64_t size
    cdef object kind
    cdef Element first          # by which it may be null

    def __init__(self, name, schema_name, doc, since, offset, size, kind, first):
        Element.__init__(self, name, schema_name, doc, since)
        self.offset = offset
        self.size = size
        self.kind = kind
        self.first = first

    cdef int place(self, const sbe_root* root, sbe_root* own) noexcept:
        own.frame = root.block.data + self.offset
        own.block.data = own.frame
        own.block.length = self.size
        own.block.version = root.block.version
        own.encoded_length = self.size
        own.outer = NULL
        own.depth = root.depth
        return 0

    cdef object read(self, const sbe_root* root, object owner):
        cdef Composite made
        cdef sbe_root own
        if root.block.version < self.since:
            return None
        # A copy of the place, which is in the frame: the message may be wrapped while the composite
        # is looked at, and its struct is about another frame then.
        self.place(root, &own)
        if self.first is not None and self.first.since <= own.block.version:
            if self.first.read(&own, owner) is None:
                return None
        made = self.kind.__new__(self.kind)
        made.own = own
        made.root = &made.own
        made.owner = owner
        return made

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        value = self.read(root, owner)
        return None if value is None else plain_dict(value, embedded)


@cython.no_gc
cdef class Entry(View):
    """One entry of a group, with the attributes of its fields, groups and data.

    It keeps the frame alive; what is said of messages holds for entries too.
    """

    def __dealloc__(self):
        free(<void*>self.root)      # its own: `Entries.entry` has made it

    def __init__(self, *args, **kwargs):
        raise TypeError(f"{type(self).__name__} is part of messages and not made by itself")

    @property
    def version(self):
        """The acting version: that of the sender's schema, from the header."""
        if self.root == NULL:
            plain_dict(self, False)
        return self.root.block.version

    @property
    def encoded_length(self):
        """Bytes from the first of the entry to the end of its last element known here."""
        if self.root == NULL:
            plain_dict(self, False)
        return self.root.encoded_length

    def astuple(self):
        """The fields and var data in schema order, with the values of the attributes."""
        cdef Element element
        plain_dict(self, False) if self.root == NULL else None
        return tuple([element.read(self.root, self.owner) for element in type(self)._VALUES])

    def to_dict(self, *, bint embedded=False):
        """Everything in schema order, as in the `to_dict` of messages."""
        return plain_dict(self, embedded)

    def __bytes__(self):
        plain_dict(self, False) if self.root == NULL else None
        return (<const char*>self.root.frame)[:self.root.encoded_length]

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return bytes(self) == bytes(other)

    __hash__ = None

    def __repr__(self):
        plain_dict(self, False) if self.root == NULL else None
        return shown(self)


@cython.no_gc
cdef class Entries:
    """The entries of a group that has groups or var data in it: a read-only sequence of `Entry`.

    It keeps the frame alive. Entries are made when they are asked for; a slice is a list.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError("entries are part of messages and not made by themselves")

    def __dealloc__(self):
        free(self.around)
        free(self.positions)

    cdef int open(self, const sbe_root* root) except -1:
        """Copies what is around, so that nothing points into other objects."""
        cdef size_t i = 0, levels = 0
        cdef const sbe_root* each = root
        while each != NULL:
            levels += 1
            each = each.outer
        self.around = <sbe_root*>malloc(levels * sizeof(sbe_root))
        if self.around == NULL:
            raise MemoryError()
        each = root
        for i in range(levels):
            self.around[i] = each[0]
            self.around[i].outer = &self.around[i + 1] if i + 1 < levels else NULL
            each = each.outer
        return self.walk()

    cdef int walk(self) except -1:
        """Finds where each entry begins."""
        cdef sbe_fault fault
        cdef sbe_cursor cursor
        cdef sbe_root* scratch
        cdef uint64_t i
        cdef bint good = True
        if self.group.count == 0:
            return 0
        self.positions = <const uint8_t**>malloc(self.group.count * sizeof(void*))
        # What is parsed into it is of no use after: it is where each entry ends that is looked for.
        scratch = <sbe_root*>malloc(self.size)
        if self.positions == NULL or scratch == NULL:
            free(scratch)
            raise MemoryError()
        cursor = sbe_cursor(
            start_of(self.owner), self.group.data, self.group.end, &fault, -1, 0
        )
        for i in range(self.group.count):
            self.positions[i] = cursor.position
            good = self.take(&cursor, &self.group, scratch)
            if not good:
                break
        free(scratch)
        if not good:
            raise_fault(&fault, self.kind._SCHEMA)
        return 0

    cdef Entry entry(self, uint64_t i):
        cdef sbe_fault fault
        cdef sbe_cursor cursor
        cdef Entry made = self.kind.__new__(self.kind)
        cdef sbe_root* root = <sbe_root*>calloc(1, self.size)
        if root == NULL:
            raise MemoryError()
        made.root = root        # which the entry frees, also where the frame has become a wrong one
        cursor = sbe_cursor(start_of(self.owner), self.positions[i], self.group.end, &fault, -1, 0)
        if not self.take(&cursor, &self.group, root):
            raise_fault(&fault, self.kind._SCHEMA)
        # Borrowed from here: ``entries`` keeps this object as long as the entry lives.
        root.outer = self.around
        root.depth = self.around.depth
        made.owner = self.owner
        made.entries = self
        return made

    def __len__(self):
        return self.group.count

    def __getitem__(self, which):
        cdef Py_ssize_t count = self.group.count
        if isinstance(which, slice):
            return [self.entry(i) for i in range(*which.indices(count))]
        cdef Py_ssize_t i = index(which)
        if not -count <= i < count:
            raise IndexError(f"entry {i} of {count}")
        return self.entry(i + count if i < 0 else i)

    def __iter__(self):
        for i in range(self.group.count):
            yield self.entry(i)

    def __eq__(self, other):
        if not isinstance(other, Entries):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None

    def __repr__(self):
        return f"<{self.group.count} {self.kind.__name__} entries>"


Sequence.register(Entries)


cdef class EntriesField(Element):
    """A group whose entries have groups or var data of their own."""

    cdef uint64_t slot
    cdef object kind
    cdef take_t take
    cdef size_t size

    def __init__(self, name, schema_name, doc, since, slot, kind, size_t take, size):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot
        self.kind = kind
        self.take = <take_t>take
        self.size = size

    cdef object read(self, const sbe_root* root, object owner):
        cdef sbe_group group = (<const sbe_group*>(<const char*>root + self.slot))[0]
        cdef sbe_root outer = root[0]       # as in `blocks`: Python code runs from here on
        cdef Entries made = Entries.__new__(Entries)
        made.owner = owner
        made.kind = self.kind
        made.take = self.take
        made.size = self.size
        made.group = group
        made.open(&outer)
        return made

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        return [plain_dict(entry, embedded) for entry in self.read(root, owner)]


for kind in (CompositeField, EntriesField):
    show_docs(kind)
del kind
