"""What is wrong with a frame: noted without the GIL, raised with it. All of this is cold."""

from ..errors import CLASSES

cdef enum:
    DEEPEST = 32                # unknown groups inside unknown groups


cdef void note_truncated(sbe_cursor cursor, uint64_t wanted, const char* element) noexcept nogil:
    note(&cursor, FAULT_TRUNCATED, wanted, <uint64_t>(cursor.end - cursor.position), element)


cdef void note_entries(sbe_cursor cursor, sbe_group group, const char* element) noexcept nogil:
    cdef uint64_t wanted = group.count * group.stride       # both are the sender's, and may be huge
    if wanted / group.stride != group.count:
        wanted = <uint64_t>-1
    note_truncated(cursor, wanted, element)


cdef void note_malformed(
    sbe_cursor cursor, uint64_t wanted, uint64_t available, const char* element
) noexcept nogil:
    note(&cursor, FAULT_MALFORMED, wanted, available, element)


cdef void note_refused(
    sbe_cursor cursor, int code, uint64_t wanted, uint64_t available
) noexcept nogil:
    note(&cursor, code, wanted, available, b"header")


cdef void note(
    const sbe_cursor* cursor, int code, uint64_t wanted, uint64_t available, const char* element
) noexcept nogil:
    cdef sbe_fault* fault = cursor.fault
    fault.code = code
    fault.has_template = cursor.template_id >= 0
    fault.template_id = cursor.template_id
    fault.offset = <uint64_t>(cursor.position - cursor.start)
    fault.wanted = wanted
    fault.available = available
    fault.element = element


cdef bint skip_unknown(
    sbe_cursor* cursor, uint64_t groups, uint64_t data, const sbe_framing* framing, int depth
) noexcept nogil:
    """Steps over that many groups, then data, whose count and place only the sender knows.

    Unknown groups are taken to have dimensions of the same kind as known ones, unknown data
    lengths of the same kind (SBE 1.0, "Message schema extension").
    """
    cdef sbe_group group
    cdef const uint8_t* at
    cdef uint64_t i, j, inner_groups, inner_data
    if depth > DEEPEST or (groups and framing.size == 0):
        note_malformed(cursor[0], 0, 0, b"unknown groups")
        return False
    for i in range(groups):
        at = take(cursor, framing.size, b"an unknown group")
        if at == NULL:
            return False
        group.stride = load_member(at, &framing.block_length)
        group.count = load_member(at, &framing.count)
        inner_groups = load_member(at, &framing.groups)
        inner_data = load_member(at, &framing.data)
        if inner_groups == 0 and inner_data == 0:
            if not take_entries(cursor, 0, b"an unknown group", &group):
                return False
            continue
        for j in range(group.count):
            if take(cursor, group.stride, b"an unknown group") == NULL:
                return False
            if not skip_unknown(cursor, inner_groups, inner_data, framing, depth + 1):
                return False
    if data and framing.data_offset == 0:
        note_malformed(cursor[0], 0, 0, b"unknown data")
        return False
    for i in range(data):
        at = take(cursor, framing.data_offset, b"unknown data")
        if at == NULL:
            return False
        if take(cursor, load_member(at, &framing.length), b"unknown data") == NULL:
            return False
    return True


cdef bint skip_entry(
    sbe_cursor* cursor, const sbe_group* group, const sbe_framing* framing, const char* element
) noexcept nogil:
    """One entry of a ragged group."""
    cdef const uint8_t* at = group.data - framing.size
    if take(cursor, group.stride, element) == NULL:
        return False
    return skip_unknown(
        cursor, load_member(at, &framing.groups), load_member(at, &framing.data), framing, 0
    )


cdef const uint8_t* next_entry(
    const sbe_group* group, const uint8_t* entry, const sbe_framing* framing
) noexcept nogil:
    """The entry after ``entry``, of a group whose dimensions have counts."""
    cdef sbe_fault fault
    cdef sbe_cursor cursor
    if not is_ragged(group):
        return entry + group.stride
    cursor = sbe_cursor(entry, entry, group.end, &fault, -1, 0)
    # The frame was validated, but it may be changing meanwhile: never go where a block has no room.
    if skip_entry(&cursor, group, framing, b"") and (
        <uint64_t>(group.end - cursor.position) >= group.stride
    ):
        return cursor.position
    return entry


cdef const uint8_t* entry_of(
    const sbe_group* group, uint64_t i, const sbe_framing* framing
) noexcept nogil:
    """The entry ``i`` of a group whose dimensions have counts; ragged ones are counted off."""
    cdef const uint8_t* entry = group.data
    if not is_ragged(group):
        return entry + i * group.stride
    while i > 0:
        entry = next_entry(group, entry, framing)
        i -= 1
    return entry


# From here on Python code runs, and the GIL is needed. A fault points to nothing but the names that
# the generated module has as literals: the frame may be gone by the time that it is raised.

cdef int raise_fault(const sbe_fault* fault, object schema, object frame=None) except -1:
    raise new_error(fault, schema, frame)


cdef object new_error(const sbe_fault* fault, object schema, object frame):
    """The exception for ``fault``. ``schema`` is the Schema of the module that was decoding."""
    if fault.code == FAULT_NO_MEMORY:
        return MemoryError()
    cdef int code = fault.code
    element = fault.element.decode("ascii")
    template_id = fault.template_id if fault.has_template else None
    names = schema.names()
    message = None if code == FAULT_SCHEMA_MISMATCH else names.get(template_id)
    wanted, available, offset = fault.wanted, fault.available, fault.offset
    place = f"{message or schema.package}: {element}"
    if code == FAULT_TRUNCATED:
        text = f"{place} needs {wanted} bytes at offset {offset}, {available} are left"
    elif code == FAULT_MALFORMED and wanted == 2**64 - 1:
        text = (
            f"{place} at offset {offset} has too many entries that take no bytes "
            f"(a frame has {MOST_EMPTY} at most)"
        )
        wanted = None
    elif code == FAULT_MALFORMED:
        text = (
            f"{place} at offset {offset} has a block of {available} bytes; "
            f"its version needs at least {wanted}"
        )
    elif code == FAULT_OTHER_LAYOUT:
        text = (
            f"{message}: version {available} of it has another layout than later ones: "
            f"decode it with a module of schema {schema.id}:{available}"
        )
    elif code == FAULT_UNKNOWN_TEMPLATE and template_id in schema.removed:
        text = f"template {template_id} is not in schema {schema.id}:{schema.version}: "
        text += schema.removed[template_id]
        wanted = None
    elif code == FAULT_UNKNOWN_TEMPLATE:
        known = ", ".join(map(str, names)) if len(names) <= 8 else f"{len(names)} others"
        text = (
            f"template {template_id} is not in schema {schema.id} ({schema.package}), "
            f"which has {known or 'no messages'}"
        )
        wanted = None
    elif code == FAULT_UNEXPECTED_TEMPLATE:
        text = (
            f"template {template_id} ({message or 'unknown'}) where {wanted} "
            f"({names.get(wanted)}) was asked for"
        )
    else:
        text = (
            f"schema id {available} where this decoder has schema {wanted} ({schema.package})"
        )
        if all(0x20 <= byte < 0x7F for byte in divmod(available, 256)):
            text += "; the bytes look like text, such as JSON"
    kind = CLASSES[code]
    # A flood of damaged frames makes many, and __init__ takes longer.
    error = kind.__new__(kind, text)
    error.__dict__.update({
        "offset": offset, "template_id": template_id, "message": message, "element": element,
        "wanted": wanted, "available": available, "frame": frame,
    })
    return error
