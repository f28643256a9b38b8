"""One var data of a table: codes into texts, or bytes end to end with their offsets."""

cimport numpy as np
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

np.import_array()


cdef class Column:
    def __dealloc__(self):
        free(self.texts)

    cdef bint is_left_out(self, const uint8_t* row, size_t i, bint is_after) noexcept:
        """Whether row ``i`` has no such data, where frames may end before it.

        ``is_after``: something before it is left out. Bytes that are not there are empty in tables:
        they are written as such where the message has not ended before.
        """
        cdef const int64_t* ends
        cdef uint32_t code
        if not self.data.may_end:
            return False
        if self.is_text:
            memcpy(&code, row + self.code_at, sizeof(code))
            return code == NO_TEXT and (is_after or not self.data.empty_is_null)
        ends = <const int64_t*>np.PyArray_DATA(self.ends)
        return is_after and ends[i] == ends[i + 1]
