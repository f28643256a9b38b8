"""The walk over a frame: every byte is reached through `take`, which is the one bounds check.

All of this runs without the GIL. A function that returns a bint returns False, and `take` NULL,
after it has described what is wrong in ``cursor.fault``; nothing raises here.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    FAULT_NO_MEMORY = -1
    FAULT_TRUNCATED = 1
    FAULT_MALFORMED = 2
    FAULT_UNKNOWN_TEMPLATE = 3
    FAULT_UNEXPECTED_TEMPLATE = 4
    FAULT_SCHEMA_MISMATCH = 5
    MOST_EMPTY = 1024           # entries that take no bytes: a count alone must not take memory


cdef struct sbe_fault:
    int32_t code                # FAULT_*; the numbers of errors.ErrorCode
    int32_t has_template
    int64_t template_id
    uint64_t offset             # of the byte where decoding stopped, from the start of the buffer
    uint64_t wanted
    uint64_t available
    const char* element         # a literal: which part of the message


cdef struct sbe_header:
    uint64_t block_length
    uint64_t template_id
    uint64_t schema_id
    uint64_t version


cdef struct sbe_cursor:
    const uint8_t* start        # of the buffer
    const uint8_t* position     # the next byte
    const uint8_t* end          # one past the buffer's last byte
    sbe_fault* fault
    int64_t template_id         # -1 until the header is read


cdef struct sbe_block:
    const uint8_t* data
    uint64_t length             # as the wire says
    uint64_t version            # the acting version


cdef struct sbe_group:
    const uint8_t* data         # the first entry; NULL where the sender's version has no such group
    uint64_t count
    uint64_t stride             # the wire's entry block length
    uint64_t version            # the acting version


cdef struct sbe_data:
    const uint8_t* data         # NULL where the sender's version has no such data
    uint64_t length


cdef struct sbe_root:
    sbe_block block
    const uint8_t* frame        # the first byte of the header
    uint64_t encoded_length     # from there to the end of the last known element


cdef const uint8_t* truncated(
    sbe_cursor* cursor, uint64_t wanted, const char* element
) noexcept nogil
cdef void note_malformed(
    sbe_cursor* cursor, uint64_t wanted, uint64_t available, const char* element
) noexcept nogil
cdef void note_refused(
    sbe_cursor* cursor, int code, uint64_t wanted, uint64_t available
) noexcept nogil
cdef void note_entries(
    sbe_cursor* cursor, const sbe_group* group, const char* element
) noexcept nogil
cdef int raise_fault(const sbe_fault* fault, object schema, object frame=*) except -1
cdef object new_error(const sbe_fault* fault, object schema, object frame)


cdef inline const uint8_t* take(
    sbe_cursor* cursor, uint64_t size, const char* element
) noexcept nogil:
    cdef const uint8_t* position = cursor.position
    if size > <uint64_t>(cursor.end - position):
        return truncated(cursor, size, element)
    cursor.position = position + size
    return position


cdef inline bint refused(
    sbe_cursor* cursor, int code, uint64_t wanted, uint64_t available
) noexcept nogil:
    """False, after noting a template or a schema that is not the one wanted."""
    note_refused(cursor, code, wanted, available)
    return False


cdef inline bint take_root(
    sbe_cursor* cursor, const sbe_header* header, uint64_t header_size, uint64_t minimum, sbe_root* root
) noexcept nogil:
    """The root block, after the header that the cursor has just passed."""
    root.frame = cursor.position - header_size
    root.block.version = header.version
    root.block.length = header.block_length
    if header.block_length < minimum:
        note_malformed(cursor, minimum, header.block_length, b"root block")
        return False
    root.block.data = take(cursor, header.block_length, b"root block")
    return root.block.data != NULL


cdef inline bint take_entries(
    sbe_cursor* cursor, uint64_t minimum, const char* element, sbe_group* group
) noexcept nogil:
    """All entries at once: ``group`` has count, stride and version; fills in where they are."""
    group.data = cursor.position
    if group.count == 0:
        return True
    if group.stride < minimum or (group.stride == 0 and group.count > MOST_EMPTY):
        note_malformed(cursor, minimum or 1, group.stride, element)
        return False
    if group.stride == 0:
        return True
    if group.count > <uint64_t>(cursor.end - cursor.position) / group.stride:
        note_entries(cursor, group, element)
        return False
    cursor.position += group.count * group.stride
    return True


cdef inline void skip_group(sbe_group* group, uint64_t version) noexcept nogil:
    """A group that the sender's version does not have yet."""
    group.data = NULL
    group.count = 0
    group.stride = 0
    group.version = version


cdef inline void skip_data(sbe_data* data) noexcept nogil:
    """Var data that the sender's version does not have yet."""
    data.data = NULL
    data.length = 0
