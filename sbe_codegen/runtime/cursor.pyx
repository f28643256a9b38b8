"""What is wrong with a frame: noted without the GIL, raised with it. All of this is cold."""

from .errors import ErrorCode


cdef const uint8_t* truncated(
    sbe_cursor* cursor, uint64_t wanted, const char* element
) noexcept nogil:
    note(cursor, FAULT_TRUNCATED, wanted, <uint64_t>(cursor.end - cursor.position), element)
    return NULL


cdef void note_entries(
    sbe_cursor* cursor, const sbe_group* group, const char* element
) noexcept nogil:
    cdef uint64_t wanted = group.count * group.stride
    if wanted / group.stride != group.count:
        wanted = <uint64_t>-1
    truncated(cursor, wanted, element)


cdef void note_malformed(
    sbe_cursor* cursor, uint64_t wanted, uint64_t available, const char* element
) noexcept nogil:
    note(cursor, FAULT_MALFORMED, wanted, available, element)


cdef void note_refused(
    sbe_cursor* cursor, int code, uint64_t wanted, uint64_t available
) noexcept nogil:
    note(cursor, code, wanted, available, b"header")


cdef void note(
    sbe_cursor* cursor, int code, uint64_t wanted, uint64_t available, const char* element
) noexcept nogil:
    cdef sbe_fault* fault = cursor.fault
    fault.code = code
    fault.has_template = cursor.template_id >= 0
    fault.template_id = cursor.template_id
    fault.offset = <uint64_t>(cursor.position - cursor.start)
    fault.wanted = wanted
    fault.available = available
    fault.element = element


cdef int raise_fault(const sbe_fault* fault, object schema, object frame=None) except -1:
    raise new_error(fault, schema, frame)


cdef object new_error(const sbe_fault* fault, object schema, object frame):
    """The exception for ``fault``. ``schema`` is the Schema of the module that was decoding."""
    if fault.code == FAULT_NO_MEMORY:
        return MemoryError()
    code = ErrorCode(fault.code)
    element = fault.element.decode("ascii")
    template_id = fault.template_id if fault.has_template else None
    names = {number: message.__name__ for number, message in schema.messages().items()}
    message = None if code == ErrorCode.SCHEMA_MISMATCH else names.get(template_id)
    wanted, available, offset = fault.wanted, fault.available, fault.offset
    place = f"{message or schema.package}: {element}"
    if code == ErrorCode.TRUNCATED:
        text = f"{place} needs {wanted} bytes at offset {offset}, {available} are left"
    elif code == ErrorCode.MALFORMED:
        text = (
            f"{place} at offset {offset} has a block of {available} bytes; "
            f"its version needs at least {wanted}"
        )
    elif code == ErrorCode.UNKNOWN_TEMPLATE:
        known = ", ".join(map(str, names)) if len(names) <= 8 else f"{len(names)} others"
        text = (
            f"template {template_id} is not in schema {schema.id} ({schema.package}), "
            f"which has {known}"
        )
        wanted = None
    elif code == ErrorCode.UNEXPECTED_TEMPLATE:
        text = (
            f"template {template_id} ({message or 'unknown'}) where {wanted} "
            f"({names.get(wanted)}) was asked for"
        )
    else:
        text = (
            f"schema id {available} where this decoder has schema {wanted} ({schema.package})"
        )
    return code.error(
        text,
        offset=offset,
        template_id=template_id,
        message=message,
        element=element,
        wanted=wanted,
        available=available,
        frame=frame,
    )
