"""Messages and groups as the encoder has them."""

cimport numpy as np
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint64_t

from .checks cimport sbe_check
from .slots cimport Slot
from .vardata cimport sbe_place
from .writer cimport sbe_writer


cdef class Level:
    cdef readonly tuple fields, groups, data
    cdef readonly dict places       # name -> its number in the three, one after the other
    cdef readonly dict derived      # name of a scaled value -> what it is of: see `scaled`
    cdef readonly object layout     # BlockLayout
    cdef readonly uint64_t length, since, latest
    cdef readonly bint is_plain     # numbers of up to eight bytes only, without gaps between them
    cdef public bint is_implied     # headers do not say how long the block is
    cdef readonly Py_ssize_t count  # of names
    cdef size_t field_count, group_count, data_count
    cdef dict lengths               # version -> bytes of the block
    cdef sbe_check* checks
    cdef size_t check_count

    cdef inline uint64_t length_at(self, uint64_t version) except? 0:
        """Bytes of the block: a sender of the latest version pads it, an older one had less."""
        return self.length if version == self.latest else self.older_length(version)

    cdef uint64_t older_length(self, uint64_t version) except? 0
    cdef int write(self, sbe_writer* writer, PyObject** values) except -1
    cdef bint is_left_out(self, str name, bint may_end, object value, str before) except -1
    cdef int write_entry(self, sbe_writer* writer, object entry) except -1
    cdef Py_ssize_t first_bad(self, np.ndarray array, size_t* which) noexcept


cdef class Group:
    cdef readonly str name
    cdef readonly uint64_t since
    cdef readonly Level level
    cdef size_t size
    cdef sbe_place block_length, entry_count, group_count, data_count
    cdef readonly bint may_end      # frames may end before it
    cdef bint has_fixed_length      # the schema's, where it is constant
    cdef uint64_t fixed_length
    cdef readonly uint64_t most
    cdef object known, known_names  # the dtype of arrays that came last, as it was then

    cdef int write(self, sbe_writer* writer, object value) except -1
    cdef int write_array(self, sbe_writer* writer, object value) except -1
    cdef int allow_empty(self, sbe_writer* writer, size_t count) except -1
    cdef bytes dimensions_at(self, uint64_t version)
    cdef int write_dimensions(self, sbe_writer* writer, size_t count) except -1
