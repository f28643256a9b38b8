"""The walk over a frame: every byte is reached through `take`, which is the one bounds check.

All of this runs without the GIL. A function that returns a bint returns False, and `take` NULL,
after it has described what is wrong in ``cursor.fault``; nothing raises here.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from .loads cimport load_bits, sbe_rare

cdef enum:
    FAULT_NO_MEMORY = -1
    FAULT_NO_TABLE = -2         # the first message of its class: its table is to be opened
    FAULT_TRUNCATED = 1
    FAULT_MALFORMED = 2
    FAULT_UNKNOWN_TEMPLATE = 3
    FAULT_UNEXPECTED_TEMPLATE = 4
    FAULT_SCHEMA_MISMATCH = 5
    FAULT_OTHER_LAYOUT = 6      # of this message, under the same template id
    MOST_EMPTY = 1024           # entries that take no bytes: a count alone must not take memory
    TOO_MANY = -1               # as what is wanted: there are more than that


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
    uint64_t group_count        # numGroups and numVarDataFields, read where the header has them
    uint64_t data_count


cdef struct sbe_cursor:
    const uint8_t* start        # of the buffer
    const uint8_t* position     # the next byte
    const uint8_t* end          # one past the buffer's last byte
    sbe_fault* fault
    int64_t template_id         # -1 until the header is read
    uint64_t empty              # entries so far that took no bytes


cdef struct sbe_block:
    const uint8_t* data
    uint64_t length             # as the wire says
    uint64_t version            # the acting version


cdef struct sbe_group:
    const uint8_t* data         # the first entry; NULL where the sender's version has no such group
    uint64_t count
    uint64_t stride             # the wire's entry block length
    uint64_t version            # the acting version
    const uint8_t* end          # past the last entry where entries differ in size, else NULL


cdef struct sbe_data:
    const uint8_t* data         # NULL where the sender's version has no such data
    uint64_t length


cdef struct sbe_root:           # of a message, or of an entry that has groups or data
    sbe_block block
    const uint8_t* frame        # the first byte: of the header, or of the entry
    uint64_t encoded_length     # from there to the end of the last known element
    const sbe_root* outer       # what an entry is inside of; NULL for a message
    uint64_t depth              # of messages inside messages


cdef struct sbe_member:         # one number of the framing
    int code                    # SBE_* of loads.pxd, or one of these two
    uint64_t offset             # or the number itself

cdef enum:
    SBE_ABSENT = -1
    SBE_CONSTANT = -2


cdef struct sbe_framing:        # how groups and data that the schema does not know are stepped over
    uint64_t newer              # the first version that may have more than the schema
    uint64_t size               # of group dimensions
    sbe_member block_length
    sbe_member count
    sbe_member groups           # in each entry
    sbe_member data
    uint64_t data_offset        # where var data begins after its length; 0: the schema has none
    sbe_member length


# Reads the next entry of a group whose entries have groups or data into ``entry``.
ctypedef bint (*take_t)(sbe_cursor* cursor, const sbe_group* group, sbe_root* entry) noexcept nogil


# What is wrong is noted from copies: a cursor whose address nobody keeps can stay in registers.
cdef void note_truncated(sbe_cursor cursor, uint64_t wanted, const char* element) noexcept nogil
cdef void note_malformed(
    sbe_cursor cursor, uint64_t wanted, uint64_t available, const char* element
) noexcept nogil
cdef void note_refused(
    sbe_cursor cursor, int code, uint64_t wanted, uint64_t available
) noexcept nogil
cdef void note_entries(sbe_cursor cursor, sbe_group group, const char* element) noexcept nogil
cdef bint skip_unknown(
    sbe_cursor* cursor, uint64_t groups, uint64_t data, const sbe_framing* framing, int depth
) noexcept nogil
cdef bint skip_entry(
    sbe_cursor* cursor, const sbe_group* group, const sbe_framing* framing, const char* element
) noexcept nogil
cdef const uint8_t* next_entry(
    const sbe_group* group, const uint8_t* entry, const sbe_framing* framing
) noexcept nogil
cdef const uint8_t* entry_of(
    const sbe_group* group, uint64_t i, const sbe_framing* framing
) noexcept nogil
cdef int raise_fault(const sbe_fault* fault, object schema, object frame=*) except -1
cdef object new_error(const sbe_fault* fault, object schema, object frame)


cdef inline void rewind(sbe_cursor* cursor, const uint8_t* position) noexcept nogil:
    """To where a message begins, of which nothing is known yet."""
    cursor.position = position
    cursor.template_id = -1
    cursor.empty = 0


cdef inline void step_back(sbe_cursor* cursor, uint64_t size) noexcept nogil:
    """To where a header begins that has been passed, if there is one."""
    cursor.position -= min(size, <uint64_t>(cursor.position - cursor.start))


cdef inline const uint8_t* take(
    sbe_cursor* cursor, uint64_t size, const char* element
) noexcept nogil:
    cdef const uint8_t* position = cursor.position
    if sbe_rare(size > <uint64_t>(cursor.end - position)):
        note_truncated(cursor[0], size, element)
        return NULL     # said here, so that the compiler knows it: what follows is not tested again
    cursor.position = position + size
    return position


cdef inline bint refused(
    sbe_cursor* cursor, int code, uint64_t wanted, uint64_t available
) noexcept nogil:
    """False, after noting a template or a schema that is not the one wanted."""
    note_refused(cursor[0], code, wanted, available)
    return False


cdef inline bint take_root(
    sbe_cursor* cursor, const sbe_header* header, uint64_t header_size, uint64_t minimum, sbe_root* root
) noexcept nogil:
    """The root block, after the header that the cursor has just passed."""
    root.frame = cursor.position - header_size
    root.outer = NULL
    root.depth = 0
    root.block.version = header.version
    root.block.length = header.block_length
    if sbe_rare(header.block_length < minimum):
        note_malformed(cursor[0], minimum, header.block_length, b"root block")
        return False
    root.block.data = take(cursor, header.block_length, b"root block")
    return root.block.data != NULL


cdef inline bint allow_empty(
    sbe_cursor* cursor, uint64_t count, const char* element
) noexcept nogil:
    """Entries that take no bytes, of which a frame may have so many: else counts took memory."""
    if sbe_rare(count > MOST_EMPTY - cursor.empty):
        note_malformed(cursor[0], TOO_MANY, 0, element)
        return False
    cursor.empty += count
    return True


cdef inline bint take_entries(
    sbe_cursor* cursor, uint64_t minimum, const char* element, sbe_group* group
) noexcept nogil:
    """All entries at once: ``group`` has count, stride and version; fills in where they are."""
    group.data = cursor.position
    if group.count == 0:
        return True
    if sbe_rare(group.stride < minimum):
        note_malformed(cursor[0], minimum, group.stride, element)
        return False
    if group.stride == 0:
        return allow_empty(cursor, group.count, element)
    if sbe_rare((group.count | group.stride) >> 32):      # only then may their product be too large
        if group.count > <uint64_t>(cursor.end - cursor.position) / group.stride:
            note_entries(cursor[0], group[0], element)
            return False
    elif sbe_rare(group.count * group.stride > <uint64_t>(cursor.end - cursor.position)):
        note_entries(cursor[0], group[0], element)
        return False
    cursor.position += group.count * group.stride
    return True


cdef inline bint walk_entries(
    sbe_cursor* cursor, uint64_t minimum, const char* element, sbe_group* group, take_t take_next,
    sbe_root* entry,
) noexcept nogil:
    """All entries, one after the other, each into ``entry``."""
    cdef uint64_t i
    group.data = cursor.position
    group.end = cursor.position
    if group.count == 0:
        return True
    if sbe_rare(group.stride < minimum):
        note_malformed(cursor[0], minimum, group.stride, element)
        return False
    for i in range(group.count):
        if not take_next(cursor, group, entry):
            return False
        if cursor.position == group.data and i == 0:    # then none of them takes any
            if not allow_empty(cursor, group.count, element):
                return False
    group.end = cursor.position
    return True


cdef inline sbe_cursor entries_of(const sbe_group* group, sbe_fault* fault) noexcept nogil:
    """A cursor at the first of a group's entries, which have groups or data of their own."""
    return sbe_cursor(group.data, group.data, group.end, fault, -1, 0)


cdef inline bint take_entry(
    sbe_cursor* cursor, const sbe_group* group, const char* element, sbe_root* entry
) noexcept nogil:
    """The block of the next entry."""
    entry.frame = cursor.position
    entry.outer = NULL
    entry.depth = 0
    entry.block.version = group.version
    entry.block.length = group.stride
    entry.block.data = take(cursor, group.stride, element)
    return entry.block.data != NULL


cdef inline uint64_t load_member(const uint8_t* at, const sbe_member* member) noexcept nogil:
    if member.code == SBE_ABSENT:
        return 0
    if member.code == SBE_CONSTANT:
        return member.offset
    return load_bits(at + member.offset, member.code)


cdef inline bint is_ragged(const sbe_group* group) noexcept nogil:
    """Whether a newer sender's entries have groups or data where the schema knows of none.

    That was seen once, when the frame was validated: its bytes may say something else by now.
    """
    return group.end != NULL and group.count != 0


cdef inline bint take_counted_entries(
    sbe_cursor* cursor, uint64_t minimum, const char* element, sbe_group* group,
    const sbe_framing* framing,
) noexcept nogil:
    """`take_entries`, for dimensions that say how many groups and data each entry has."""
    cdef uint64_t i
    cdef const uint8_t* at = cursor.position - framing.size
    group.data = cursor.position
    group.end = NULL
    if group.version < framing.newer or group.count == 0 or (
        load_member(at, &framing.groups) == 0 and load_member(at, &framing.data) == 0
    ):
        return take_entries(cursor, minimum, element, group)
    if sbe_rare(group.stride < minimum):
        note_malformed(cursor[0], minimum, group.stride, element)
        return False
    for i in range(group.count):
        if not skip_entry(cursor, group, framing, element):
            return False
    group.end = cursor.position
    return True


cdef inline void skip_group(sbe_group* group, uint64_t version) noexcept nogil:
    """A group that the sender's version does not have yet."""
    group.data = NULL
    group.count = 0
    group.stride = 0
    group.version = version
    group.end = NULL


cdef inline void skip_data(sbe_data* data) noexcept nogil:
    """Var data that the sender's version does not have yet."""
    data.data = NULL
    data.length = 0
