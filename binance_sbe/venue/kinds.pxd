"""The kinds of streams, for C: in the order of their templates (see `streams`, which checks it)."""

from libc.stdint cimport uint8_t, uint64_t

from ..spot_stream cimport sbe_header_length, sbe_header_template_id

cdef enum:
    KINDS = 4
    FIRST_TEMPLATE = 10000      # that of TRADE; those of the others follow

cdef enum:
    TRADE, BEST_BID_ASK, DEPTH20, DEPTH


cdef inline int kind_of_template(uint64_t template_id) noexcept nogil:
    """The kind whose events have this template; -1 where it is none of theirs."""
    cdef uint64_t kind = template_id - FIRST_TEMPLATE
    return <int>kind if kind < KINDS else -1


cdef inline int kind_of(const uint8_t* frame, size_t size) noexcept nogil:
    """The kind of which a frame says that it is; -1 where that is none, or where it has no header."""
    if size < sbe_header_length():
        return -1
    return kind_of_template(sbe_header_template_id(frame))
