"""The descriptors behind blocks and groups: structured arrays over the frame."""

from libc.stdint cimport uint64_t

from .arrays cimport view_array
from .cursor cimport sbe_block, sbe_group, sbe_root
from .elements cimport Element

from .elements import show_docs


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

    def __init__(self, name, schema_name, doc, since, slot, layout, elements):
        Element.__init__(self, name, schema_name, doc, since)
        self.slot = slot
        self.layout = layout
        self.elements = elements

    cdef object read(self, const sbe_root* root, object owner):
        cdef const sbe_group* group = <const sbe_group*>(<const char*>root + self.slot)
        cdef sbe_block first = sbe_block(group.data, group.stride, group.version)
        return block_array(self.layout, &first, group.count, group.stride, owner)

    cdef object plain(self, const sbe_root* root, object owner):
        cdef const sbe_group* group = <const sbe_group*>(<const char*>root + self.slot)
        cdef sbe_root entry
        cdef Element element
        cdef uint64_t i
        entry.frame = root.frame
        entry.block.length = group.stride
        entry.block.version = group.version
        result = []
        for i in range(group.count):
            entry.block.data = group.data + i * group.stride
            result.append({
                element.name: element.plain(&entry, owner) for element in self.elements
            })
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
        outer = {}
        for element in self.to_floats.outer_exponents:
            outer[element.name] = element.read(root, owner)
        return self.to_floats(self.group.read(root, owner), outer, root.block.version)


cdef object block_array(
    object layout, const sbe_block* first, uint64_t count, uint64_t stride, object owner
):
    """Blocks as a structured array: a view, or a copy with nulls where the sender is older."""
    if first.data == NULL or count == 0:
        return layout.empty()
    if stride >= <uint64_t>layout.length and first.version >= <uint64_t>layout.since:
        return view_array(layout.dtype, first.data, count, stride, owner)
    older = layout.older_dtype(first.version, stride)
    return layout.filled(view_array(older, first.data, count, stride, owner))


for kind in (BlockView, GroupView, GroupFloats):
    show_docs(kind)
del kind
