"""The descriptors behind blocks and flat groups: structured arrays over the frame.

What a reader needs of a message it copies first: in the Python code that it runs, a finalizer or
another thread may `wrap` the message, and then the message's C struct is about another frame than
``owner``.
"""

from libc.math cimport NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cimport numpy as np
from .arrays cimport empty_array, forget, sbe_dtypes, view_array
from .cursor cimport is_ragged, next_entry, sbe_block, sbe_framing, sbe_group, sbe_root
from .elements cimport Element, IntField, out_of, show_docs
from .loads cimport SBE_INT8, SBE_INT64, load_bits
from .scaling cimport sbe_scale, sbe_scale_column, sbe_scale_pairs

from .elements import CODES


cdef class Blocks(Element):
    """What is shown as a structured array of blocks of one layout."""

    cdef object layout
    cdef object dtype           # of the layout, as the next two are: not looked up at each read
    cdef uint64_t length
    cdef uint64_t newest        # the first version that has all fields
    cdef sbe_dtypes dtypes

    def __dealloc__(self):
        forget(&self.dtypes)

    def __init__(self, name, schema_name, doc, since, layout):
        Element.__init__(self, name, schema_name, doc, since)
        self.layout = layout
        self.dtype = layout.dtype
        self.length = layout.length
        self.newest = layout.since

    cdef object array(
        self, const sbe_block* first, uint64_t count, uint64_t stride, object owner
    ):
        """A view of the blocks, or a copy with nulls where the sender is older."""
        if first.data == NULL or count == 0:
            return self.layout.blank(0)
        if stride >= self.length and first.version >= self.newest:
            return view_array(self.dtype, first.data, count, stride, owner, &self.dtypes)
        older = self.layout.older_dtype(first.version, stride)
        return self.layout.filled(view_array(older, first.data, count, stride, owner))


cdef class BlockView(Blocks):
    """The root block: a structured array of shape (1,), a view unless the sender is older."""

    def __init__(self, name, doc, layout):
        Blocks.__init__(self, name, name, doc, 0, layout)

    cdef object read(self, const sbe_root* root, object owner):
        cdef sbe_block block = root.block
        return self.array(&block, 1, block.length, owner)


cdef class GroupView(Blocks):
    """A group of fixed-size entries: a structured array of shape (n,), a view over the frame."""

    cdef uint64_t slot          # of its Group in the message's C struct
    cdef tuple elements
    cdef const sbe_framing* framing     # NULL where the dimensions have no counts

    def __init__(self, name, schema_name, doc, since, slot, layout, elements, size_t framing):
        Blocks.__init__(self, name, schema_name, doc, since, layout)
        self.slot = slot
        self.elements = elements
        self.framing = <const sbe_framing*>framing

    cdef object read(self, const sbe_root* root, object owner):
        cdef sbe_group group = (<const sbe_group*>(<const char*>root + self.slot))[0]
        cdef sbe_block first = sbe_block(group.data, group.stride, group.version)
        if self.framing != NULL and is_ragged(&group):
            return self.gathered(&group)
        return self.array(&first, group.count, group.stride, owner)

    cdef object gathered(self, const sbe_group* group):
        """A copy of blocks that are not one after the other: a newer sender's entries have more."""
        # ``group`` is the caller's copy: `blank` runs Python code, which may wrap the message.
        cdef np.ndarray result = self.layout.blank(group.count)
        cdef uint8_t* to = <uint8_t*>np.PyArray_DATA(result)
        cdef const uint8_t* entry = group.data
        cdef uint64_t i, size = self.layout.dtype.itemsize
        for i in range(group.count):
            memcpy(to + i * size, entry, min(size, group.stride))
            entry = next_entry(group, entry, self.framing)
        return result

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        cdef sbe_group group = (<const sbe_group*>(<const char*>root + self.slot))[0]
        cdef sbe_root outer = root[0]
        cdef const uint8_t* at = group.data
        cdef sbe_root entry
        cdef Element element
        cdef uint64_t i
        # What is needed of ``root`` is on this stack. What outlives the call, as `Entries` do, has
        # copied what it found there.
        entry.frame = root.frame
        entry.outer = &outer
        entry.depth = root.depth
        entry.block.length = group.stride
        entry.block.version = group.version
        result = []
        for i in range(group.count):
            entry.block.data = at
            result.append({
                element.name: element.plain(&entry, owner, embedded) for element in self.elements
            })
            if self.framing == NULL:
                at += group.stride
            else:
                at = next_entry(&group, at, self.framing)
        return result


cdef struct sbe_cell:           # a field of an entry, on the wire and in the copy
    uint64_t offset
    uint64_t target
    uint64_t size
    int code                    # of a mantissa; NOT_SCALED for what is copied
    Py_ssize_t exponent         # which of the outer ones scales it; INSIDE: one beside it
    bint optional
    int64_t null
    bint negated
    int64_t power               # where the schema says it: then it has no place
    int power_code              # of an exponent in the entry, or NOT_SCALED
    uint64_t power_offset
    bint power_optional
    int64_t power_null

cdef enum:
    NOT_SCALED = -1
    INSIDE = -1
    MOST_CELLS = 16


cdef bint plan_decimal(sbe_cell* cell, object mantissa, object exponent) except -1:
    """A composite of mantissa and exponent; False where it is not for cells."""
    if mantissa["type"] == "uint64":
        return False
    cell.offset = mantissa["offset"]
    cell.code = CODES[mantissa["type"]]
    cell.optional = bool(mantissa.get("optional"))
    cell.null = mantissa["null"]
    cell.exponent = INSIDE
    if "constant" in exponent:
        cell.power = exponent["constant"]
    else:
        cell.power_code = CODES[exponent["type"]]
        cell.power_offset = exponent["offset"]
        cell.power_optional = bool(exponent.get("optional"))
        cell.power_null = exponent["null"]
    return True


cdef class GroupFloats(Element):
    """A copy of a group in which the mantissas are the nearest float64.

    Little-endian numbers that are scaled by exponents outside of the group, and decimals whose
    exponent is constant or sent beside them, are copied in one pass over the entries; the rest, and
    values that need Python's integers, by `to_floats`.
    """

    cdef GroupView group
    cdef object to_floats
    cdef object dtype               # of the copy
    cdef tuple exponents            # fields of the blocks around
    cdef int[MOST_CELLS] levels     # how far out each of them is
    cdef sbe_cell[MOST_CELLS] cells
    cdef Py_ssize_t cell_count      # 0: not by cells
    cdef sbe_dtypes dtypes

    def __dealloc__(self):
        forget(&self.dtypes)

    def __init__(self, name, schema_name, doc, GroupView group not None, to_floats):
        Element.__init__(self, name, schema_name, doc, 0)
        self.group = group
        self.to_floats = to_floats
        self.dtype = to_floats.dtype
        self.exponents = tuple(element for _, element in to_floats.outer_exponents)
        self.cell_count = self.plan()

    cdef Py_ssize_t plan(self) except -1:
        cdef sbe_cell* cell
        cdef Py_ssize_t i = 0
        outer = self.to_floats.outer_exponents
        names = [(levels, field.name) for levels, field in outer]
        if len(self.to_floats.specs) > MOST_CELLS or self.to_floats.order != "<":
            return 0
        if any(type(field) is not IntField for _, field in outer):
            return 0
        for i, (levels, _) in enumerate(outer):     # each scales a cell: there are no more of them
            self.levels[i] = levels
        i = 0
        for name, spec in self.to_floats.specs.items():
            cell = &self.cells[i]
            cell.offset = spec["offset"]
            cell.target = self.to_floats.dtype.fields[name][1]
            cell.size = self.to_floats.dtype.fields[name][0].itemsize
            cell.code = NOT_SCALED
            cell.power_code = NOT_SCALED
            if name in self.to_floats.decimals:
                mantissa, exponent = self.to_floats.decimals[name]
                if not plan_decimal(cell, mantissa, exponent):
                    return 0
            elif spec["kind"] not in ("number", "enum", "set"):
                return 0
            elif "exponent" in spec:
                place = spec["exponent"]["levels"], spec["exponent"]["field"]
                if place not in names or spec["type"] in ("uint64", "float", "double"):
                    return 0
                cell.code = CODES[spec["type"]]
                cell.exponent = names.index(place)
                cell.negated = bool(spec["exponent"].get("negated"))
                cell.optional = bool(spec.get("optional"))
                cell.null = spec["null"]
            i += 1
        return i

    cdef object read(self, const sbe_root* root, object owner):
        cdef Element element
        cdef const sbe_root* scope
        cdef int64_t[MOST_CELLS] powers
        cdef sbe_group group = (<const sbe_group*>(<const char*>root + self.group.slot))[0]
        cdef bint plain = (
            self.cell_count > 0 and self.group.framing == NULL and group.count > 0
            and group.data != NULL and group.stride >= self.group.length
            and group.version >= self.group.newest
        )
        cdef Py_ssize_t i
        if plain:
            for i in range(len(self.exponents)):
                scope = out_of(root, self.levels[i] - 1)
                plain = scope != NULL and (<IntField>self.exponents[i]).load(
                    &scope.block, &powers[i]
                )
                if not plain:
                    break
        if plain:
            found = self.copied(&group, powers)
            if found is not None:
                return found
        outer = {}
        for levels, element in self.to_floats.outer_exponents:
            scope = out_of(root, levels - 1)
            outer[levels, element.name] = None if scope == NULL else element.read(scope, owner)
        return self.to_floats(self.group.read(root, owner), outer, root.block.version)

    cdef object copied(self, const sbe_group* group, const int64_t* powers):
        """None where a value needs Python's integers."""
        cdef np.ndarray result = empty_array(self.dtype, group.count, &self.dtypes)
        # From here on no Python code runs. The frame is the owner's, which `read` holds; the array
        # is nobody else's yet.
        cdef uint8_t* to = <uint8_t*>np.PyArray_DATA(result)
        cdef Py_ssize_t width = np.PyArray_ITEMSIZE(result)
        cdef const sbe_cell* cell
        cdef int64_t power      # of the cell, unless it is in the entry
        cdef Py_ssize_t i
        for i in range(self.cell_count):
            cell = &self.cells[i]
            power = cell.power
            if cell.code != NOT_SCALED and cell.exponent != INSIDE:
                power = -powers[cell.exponent] if cell.negated else powers[cell.exponent]
            if not copy_cell(cell, power, group, to, width):
                return None
        return result


cdef bint copy_cell(
    const sbe_cell* cell, int64_t fixed, const sbe_group* group, uint8_t* to, Py_ssize_t width
) noexcept:
    """A field of all entries; False where a value needs Python's integers."""
    cdef const uint8_t* entry = group.data
    cdef bint is_pair = cell.power_code != NOT_SCALED
    to += cell.target
    if cell.code == NOT_SCALED:
        copy_plain(cell, group, to, width)
        return True
    if cell.code == SBE_INT64 and not is_pair:
        return sbe_scale_column(
            entry + cell.offset, group.stride, to, width, group.count, fixed, cell.optional,
            cell.null,
        )
    if cell.code == SBE_INT64 and cell.power_code == SBE_INT8 and not cell.power_optional:
        return sbe_scale_pairs(
            entry + cell.offset, <ptrdiff_t>cell.power_offset - <ptrdiff_t>cell.offset,
            group.stride, to, width, group.count, cell.optional, cell.null,
        )
    return scale_others(cell, fixed, group, to, width)


cdef void copy_plain(
    const sbe_cell* cell, const sbe_group* group, uint8_t* to, Py_ssize_t width
) noexcept:
    cdef const uint8_t* at = group.data + cell.offset
    cdef uint64_t number
    for number in range(group.count):
        memcpy(to, at, cell.size)
        at += group.stride
        to += width


cdef bint scale_others(
    const sbe_cell* cell, int64_t power, const sbe_group* group, uint8_t* to, Py_ssize_t width
) noexcept:
    """Mantissas and exponents of any type, with nulls of both."""
    cdef const uint8_t* entry = group.data
    cdef bint is_pair = cell.power_code != NOT_SCALED
    cdef uint64_t number
    cdef int64_t mantissa
    cdef double value
    for number in range(group.count):
        mantissa = <int64_t>load_bits(entry + cell.offset, cell.code)
        if is_pair:
            power = <int64_t>load_bits(entry + cell.power_offset, cell.power_code)
        if cell.optional and mantissa == cell.null:
            value = NAN
        elif is_pair and cell.power_optional and power == cell.power_null:
            value = NAN
        elif not sbe_scale(mantissa, power, &value):
            return False
        memcpy(to, &value, sizeof(double))
        entry += group.stride
        to += width
    return True


np.import_array()
for kind in (BlockView, GroupView, GroupFloats):
    show_docs(kind)
del kind
