"""`encode_many`: the rows of a table as messages, end to end. The inverse of `decode_many`.

Each table is turned into a plan of what is copied from where, and then walked row by row: no
Python object is made for a message. What the plan points into is held by it.
"""

cimport numpy as np
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from ..decode.arrays cimport own_array
from ..decode.memory cimport take_memory
from .checks cimport first_bad, sbe_check
from .column cimport NO_TEXT, Column
from .copies cimport (
    reserve, sbe_chunk, sbe_codes, sbe_move, sbe_move_swapped, sbe_output, sbe_text,
    sbe_write_rows,
)
from .levels cimport Group, Level
from .slots cimport IntSlot
from .vardata cimport Data, put_number

import numpy

from .refusals import MISSING, plural, refusal
from .tables import bad_text, blobs_of, check_columns, check_ends, moves_of, texts_of

np.import_array()

BYTES = numpy.dtype(numpy.uint8)

cdef enum:
    TOGETHER = 128              # rows that are checked, and then written while they are near
    SLACK = 16                  # as in `copies`

cdef struct sbe_move_of:        # a run of bytes of a row
    size_t begin, to, size
    size_t item                 # of that many bytes, which are turned around; 0: as they are


cdef class Part:
    """One table: of messages, or of the entries of a group."""

    cdef Level level
    cdef Group group                # None of messages
    cdef str path
    cdef np.ndarray records, ends
    cdef bint is_there
    cdef const uint8_t* rows
    cdef Py_ssize_t stride
    cdef size_t length              # of a block
    cdef bint has_gaps, has_rest    # between the fields; behind the block
    cdef bint is_whole              # blocks are copied end to end
    cdef sbe_move_of* moves
    cdef size_t move_count
    cdef sbe_check* checks
    cdef size_t check_count
    cdef size_t checked_from, checked_size      # what of a row has numbers in it
    cdef list numbers               # the fields of the checks
    cdef tuple parts, columns
    cdef sbe_chunk* chunks
    cdef size_t chunk_count
    cdef sbe_codes* codes           # NULL: rows are not that simple
    cdef size_t code_count, most_bytes
    cdef bytes dimensions           # but for the count

    def __dealloc__(self):
        free(self.moves)
        free(self.checks)
        free(self.codes)
        free(self.chunks)

    cdef int check(self, size_t begin, size_t end) except -1:
        cdef size_t which = 0
        cdef Py_ssize_t bad = first_bad(
            self.checks, self.check_count, self.checked_size,
            self.rows + begin * self.stride + self.checked_from, end - begin, self.stride, &which
        )
        if bad >= 0:
            number = self.numbers[which]
            row = begin + bad
            value = self.records[number.name][row].item()
            raise refusal(f"{self.path}[{row}].{number.name}", value,
                          f"outside {number.least} to {number.most}, or what stands for null")
        return 0

    cdef int write_block(self, sbe_output* output, size_t row) except -1:
        cdef const uint8_t* begin = self.rows + row * self.stride
        cdef uint8_t* to
        cdef size_t i
        cdef const sbe_move_of* move
        if output.capacity - output.size < self.length + SLACK:
            reserve(output, self.length)
        to = output.data + output.size
        if self.has_gaps:
            memset(to, 0, self.length)
        for i in range(self.move_count):
            move = &self.moves[i]
            if move.item:
                sbe_move_swapped(to + move.to, begin + move.begin, move.size, move.item)
            else:
                sbe_move(to + move.to, begin + move.begin, move.size)
        output.size += self.length
        return 0

    cdef int write_rest(self, sbe_output* output, size_t row) except -1:
        """The groups and var data of a row."""
        cdef Part part
        cdef Column column
        cdef str before = None      # the first that is left out: the message ends there
        for part in self.parts:
            if part.is_there:
                part.write_entries(output, row)
        for column in self.columns:
            if not column.is_there:
                continue
            if column.is_left_out(self.rows + row * self.stride, row, before is not None):
                before = before or column.data.name
                continue
            if before is not None:
                raise refusal(f"{self.path}[{row}].{column.data.name}", MISSING, f"{before} is left"
                              " out before it, and then the message has ended")
            self.write_data(output, row, column)
        return 0

    cdef int write_entries(self, sbe_output* output, size_t around) except -1:
        cdef const int64_t* ends = <const int64_t*>np.PyArray_DATA(self.ends)
        cdef size_t begin = ends[around], end = ends[around + 1], row
        cdef size_t count = end - begin, size = PyBytes_GET_SIZE(self.dimensions)
        if count > self.group.most or (not self.group.entry_count.size and count < self.group.most):
            raise refusal(self.path, MISSING, f"row {around} has {plural(count, 'item')}, and "
                          f"the schema allows {self.group.most}")
        if output.capacity - output.size < size + SLACK:
            reserve(output, size)
        memcpy(output.data + output.size, PyBytes_AS_STRING(self.dimensions), size)
        put_number(output.data + output.size, &self.group.entry_count, count)
        output.size += size
        self.check(begin, end)
        if self.is_whole:
            size = count * self.length
            if output.capacity - output.size < size + SLACK:
                reserve(output, size)
            sbe_move(output.data + output.size, self.rows + begin * self.stride, size)
            output.size += size
            return 0
        for row in range(begin, end):
            self.write_block(output, row)
            if self.has_rest:
                self.write_rest(output, row)
        return 0

    cdef int write_data(self, sbe_output* output, size_t row, Column column) except -1:
        cdef Data data = column.data
        cdef const uint8_t* text = NULL
        cdef const int64_t* ends
        cdef size_t size = 0
        cdef uint32_t code
        cdef uint8_t* to
        if column.is_text:
            memcpy(&code, self.rows + row * self.stride + column.code_at, sizeof(code))
            if code < column.text_count and column.texts[code].text != NULL:
                text, size = column.texts[code].text, column.texts[code].size
            elif not (code == NO_TEXT and data.empty_is_null):
                raise bad_text(f"{self.path}[{row}]", data, code, column.text_count)
        else:
            ends = <const int64_t*>np.PyArray_DATA(column.ends)
            text = <const uint8_t*>np.PyArray_DATA(column.content) + ends[row]
            size = ends[row + 1] - ends[row]
            if size > data.most:
                raise refusal(f"{self.path}[{row}].{data.name}", MISSING,
                              f"{plural(size, 'byte')}, and the schema allows {data.most}")
        if output.capacity - output.size < data.prefix + size + SLACK:
            reserve(output, data.prefix + size)
        to = output.data + output.size
        memset(to, 0, data.prefix)
        put_number(to, &data.length, size)
        if column.is_text and 0 < size <= SLACK:
            memcpy(to + data.prefix, text, SLACK)       # both have as much behind
        elif size:
            memcpy(to + data.prefix, text, size)
        output.size += data.prefix + size
        return 0


cdef Part plan(Level level, Group group, object contents, object layout, str path, object version):
    """What is done with a table; all but whole numbers is checked here."""
    cdef Part made = Part()
    cdef IntSlot slot
    cdef size_t i
    made.level, made.group, made.path = level, group, path
    made.is_there = group is None or group.since <= version
    check_columns(level, contents.records, layout, version, path)
    made.records = numpy.ascontiguousarray(contents.records)
    made.rows = <const uint8_t*>np.PyArray_DATA(made.records)
    made.stride = np.PyArray_ITEMSIZE(made.records)
    made.length = level.length_at(version)
    moves = moves_of(level, made.records.dtype, version)
    made.move_count = len(moves)
    made.moves = <sbe_move_of*>calloc(len(moves) + 1, sizeof(sbe_move_of))
    made.numbers = [e for e in level.fields if isinstance(e, IntSlot) and e.since <= version]
    made.checks = <sbe_check*>calloc(len(made.numbers) + 1, sizeof(sbe_check))
    if made.moves == NULL or made.checks == NULL:
        raise MemoryError()
    for i in range(made.move_count):
        begin, to, size, item = moves[i]
        made.moves[i] = sbe_move_of(begin, to, size, item)
    for slot in made.numbers:
        made.checks[made.check_count] = slot.check
        made.checks[made.check_count].offset = made.records.dtype.fields[slot.name][1]
        made.checks[made.check_count].code &= 15        # rows are in this machine's order
        made.check_count += 1
    if made.check_count:
        made.checked_from = min([made.checks[i].offset for i in range(made.check_count)])
        for i in range(made.check_count):
            made.checks[i].offset -= made.checked_from
            made.checked_size = max(
                made.checked_size, made.checks[i].offset + made.checks[i].size
            )
    made.has_gaps = sum([each[2] for each in moves]) != made.length
    parts = []
    for inner, found, name in zip(level.groups, contents.groups, layout.groups):
        part = plan(inner.level, inner, found, layout.groups[name], f"{path}.{name}", version)
        part.ends = found.offsets
        check_ends(part.ends, len(made.records), len(found.records), part.path)
        if not part.is_there and len(found.records):
            raise refusal(part.path, MISSING, f"version {version} has no such group")
        parts.append(part)
    made.parts = tuple(parts)
    made.columns = columns_of(level, contents, layout, path, version, made)
    made.has_rest = len(made.parts) > 0 or len(made.columns) > 0
    made.is_whole = (
        not made.has_rest and made.move_count == 1
        and not made.has_gaps and made.moves[0].item == 0
        and made.stride == <Py_ssize_t>made.length
    )
    if group is None and not made.parts and not made.has_gaps:
        plan_codes(made)
    if group is not None:
        made.dimensions = group.dimensions_at(version)
    return made


cdef int plan_codes(Part part) except -1:
    """Notes how simple rows are written, if they are."""
    cdef Column column
    cdef size_t i, j
    cdef sbe_codes* each
    for i in range(part.move_count):
        if part.moves[i].item:
            return 0
    there = [found for found in part.columns if (<Column>found).is_there]
    if not all([(<Column>e).is_text and not (<Column>e).data.may_end for e in there]):
        return 0
    part.codes = <sbe_codes*>calloc(len(there) + 1, sizeof(sbe_codes))
    if part.codes == NULL:
        raise MemoryError()
    part.chunks = <sbe_chunk*>calloc(part.length // SLACK + part.move_count, sizeof(sbe_chunk))
    if part.chunks == NULL:
        raise MemoryError()
    for i in range(part.move_count):
        for j in range(0, part.moves[i].size, SLACK):
            part.chunks[part.chunk_count] = sbe_chunk(
                part.moves[i].begin + j, part.moves[i].to + j
            )
            part.chunk_count += 1
    part.most_bytes = part.length
    for i in range(<size_t>len(there)):
        column = there[i]
        each = &part.codes[i]
        each.code_at, each.texts, each.count = column.code_at, column.texts, column.text_count
        each.prefix, each.length_at = column.data.prefix, column.data.length.offset
        each.length_size, each.length_big = column.data.length.size, column.data.length.big
        each.empty_is_null = column.data.empty_is_null
        for j in range(each.count):
            each.longest = max(each.longest, each.texts[j].size)
        part.most_bytes += each.prefix + each.longest
        part.code_count += 1
    return 0


cdef tuple columns_of(
    Level level, object contents, object layout, str path, object version, Part part
):
    cdef Column column
    cdef bytes joined
    cdef size_t i
    columns = []
    texts = iter(contents.dictionaries)
    blobs = iter(contents.blobs)
    for data in level.data:
        column = Column()
        column.data = data
        column.is_there = data.since <= version
        column.is_text = data.encoding is not None
        place = f"{path}.{data.name}"
        if column.is_text:
            column.code_at = part.records.dtype.fields[data.name][1]
            joined, ends = texts_of(next(texts), data, SLACK)
            column.held = joined
            column.text_count = len(ends)
            column.texts = <sbe_text*>calloc(len(ends) + 1, sizeof(sbe_text))
            if column.texts == NULL:
                raise MemoryError()
            column.texts[column.text_count].text = <const uint8_t*>PyBytes_AS_STRING(joined)
            for i in range(column.text_count):
                if ends[i] is not None:
                    begin, size = ends[i]
                    column.texts[i].text = <const uint8_t*>PyBytes_AS_STRING(joined) + <size_t>begin
                    column.texts[i].size = size
            is_null = not column.is_there and (part.records[data.name] != 2**32 - 1).any()
        else:
            column.content, column.ends = blobs_of(*next(blobs))
            check_ends(column.ends, len(part.records), len(column.content), place)
            is_null = not column.is_there and len(column.content) > 0
        if is_null:
            raise refusal(place, MISSING, f"version {version} has no such data")
        columns.append(column)
    return tuple(columns)


def written(Level level not None, contents, layout, header, version, name):
    """(bytes end to end, offsets) of the messages of a table; see `attach`."""
    cdef Part part = plan(level, None, contents, layout, name, version)
    cdef size_t count = np.PyArray_DIM(part.records, 0), row, begin, end, most
    cdef size_t header_size = len(header)
    cdef np.ndarray offsets = numpy.empty(count + 1, numpy.int64)
    cdef int64_t* places = <int64_t*>np.PyArray_DATA(offsets)
    cdef bytes padded = header + bytes(SLACK)
    cdef const uint8_t* head = <const uint8_t*>PyBytes_AS_STRING(padded)
    cdef sbe_output output
    output.size = 0
    output.capacity = 0
    wanted = least_size(part, header_size)
    output.data = <uint8_t*>take_memory(wanted, &output.capacity)
    if output.data == NULL:
        output.data = <uint8_t*>malloc(wanted)
        output.capacity = wanted
        if output.data == NULL:
            raise MemoryError()
    try:
        for begin in range(0, count, TOGETHER):
            end = min(begin + TOGETHER, count)
            part.check(begin, end)
            if part.codes != NULL and end < count:
                most = (end - begin) * (header_size + part.most_bytes)
                if output.capacity - output.size < most + SLACK:
                    reserve(&output, most)
                row = sbe_write_rows(
                    output.data, &output.size, part.rows + begin * part.stride, part.stride,
                    end - begin, part.length, part.chunks, part.chunk_count, head, header_size,
                    part.codes, part.code_count, places + begin
                )
                if row == end - begin:
                    continue
                part.write_rest(&output, begin + row)       # which says what is wrong with it
            for row in range(begin, end):
                places[row] = <int64_t>output.size
                if output.capacity - output.size < header_size + SLACK:
                    reserve(&output, header_size)
                sbe_move(output.data + output.size, head, header_size)
                output.size += header_size
                part.write_block(&output, row)
                if part.has_rest:
                    part.write_rest(&output, row)
        places[count] = <int64_t>output.size
        made = own_array(BYTES, output.data, output.size, output.capacity)
        output.data = NULL          # it is the array's now
    finally:
        free(output.data)
    return made, offsets


cdef size_t least_size(Part part, size_t header_size):
    """Room to begin with: all but var data, and some of those."""
    cdef Part inner
    cdef size_t rows = np.PyArray_DIM(part.records, 0)
    cdef size_t total = rows * (header_size + part.length) + SLACK + 64
    for inner in part.parts:
        total += rows * len(inner.dimensions) + least_size(inner, 0)
    for column in part.columns:
        total += rows * (<Column>column).data.prefix
        if (<Column>column).is_text:
            total += rows * min(32, max(
                [(<Column>column).texts[i].size for i in range((<Column>column).text_count)],
                default=0,
            ))
        else:
            total += len((<Column>column).content)
    return total
