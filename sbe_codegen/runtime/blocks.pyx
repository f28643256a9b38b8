"""The descriptors behind blocks and flat groups: structured arrays over the frame."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cimport numpy as np

from .arrays cimport view_array
from .cursor cimport is_ragged, next_entry, sbe_block, sbe_framing, sbe_group, sbe_root
from .elements cimport Element, out_of, show_docs


cdef class BlockView(Element):
    """The root block: a structured array of shape (1,), a view unless the sender is older."""

    cdef object layout

    def __init__(self, name, doc, layout):
        Element.__init__(self, name, name, doc, 0)
        self.layout = layout

    cdef object read(self, const sbe_root* root, object owner):
        return block_array(self.layout, &root.block, 1, root.block.length, owner)


cdef class GroupView(Element):
    """A group of fixed-size entries: a structured array of shape (n,), a view over the frame."""

    cdef uint64_t slot          # of its Group in the message's C struct
    cdef object layout
    cdef tuple elements
    cdef const sbe_framing* framing     # NULL where the dimensions have no counts

    def __init__(self, name, schema_name, doc, since, slot, layout, elements, size_t framing):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot
        self.layout = layout
        self.elements = elements
        self.framing = <const sbe_framing*>framing

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_group* group = <const sbe_group*>(<const char*>root + self.slot)
        cdef sbe_block first = sbe_block(group.data, group.stride, group.version)
        if self.framing != NULL and is_ragged(group):
            return self.gathered(group)
        return block_array(self.layout, &first, group.count, group.stride, owner)

    cdef object gathered(self, const sbe_group* group):
        """A copy of blocks that are not one after the other: a newer sender's entries have more."""
        cdef np.ndarray result = self.layout.blank(group.count)
        cdef uint8_t* to = <uint8_t*>np.PyArray_DATA(result)
        cdef const uint8_t* entry = group.data
        cdef uint64_t i, size = self.layout.dtype.itemsize
        for i in range(group.count):
            memcpy(to + i * size, entry, min(size, group.stride))
            entry = next_entry(group, entry, self.framing)
        return result

    cdef object plain(self, const sbe_root* root, object owner, bint embedded):
        cdef const sbe_group* group = <const sbe_group*>(<const char*>root + self.slot)
        cdef const uint8_t* at = group.data
        cdef sbe_root entry
        cdef Element element
        cdef uint64_t i
        entry.frame = root.frame
        entry.outer = root
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
                at = next_entry(group, at, self.framing)
        return result


cdef class GroupFloats(Element):
    """A copy of a group in which the mantissas are the nearest float64."""

    cdef GroupView group
    cdef object to_floats

    def __init__(self, name, schema_name, doc, GroupView group not None, to_floats):
        Element.__init__(self, name, schema_name, doc, 0)
        self.group = group
        self.to_floats = to_floats

    cdef object read(self, const sbe_root* root, object owner):
        cdef Element element
        cdef const sbe_root* scope
        outer = {}
        for levels, element in self.to_floats.outer_exponents:
            scope = out_of(root, levels - 1)
            outer[levels, element.name] = None if scope == NULL else element.read(scope, owner)
        return self.to_floats(self.group.read(root, owner), outer, root.block.version)


cdef object block_array(
    object layout, const sbe_block* first, uint64_t count, uint64_t stride, object owner
):
    """Blocks as a structured array: a view, or a copy with nulls where the sender is older."""
    if first.data == NULL or count == 0:
        return layout.blank(0)
    if stride >= <uint64_t>layout.length and first.version >= <uint64_t>layout.since:
        return view_array(layout.dtype, first.data, count, stride, owner)
    older = layout.older_dtype(first.version, stride)
    return layout.filled(view_array(older, first.data, count, stride, owner))


np.import_array()
for kind in (BlockView, GroupView, GroupFloats):
    show_docs(kind)
del kind
