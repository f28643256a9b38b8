"""numpy arrays over memory that something else owns."""

cimport numpy as np
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t


cdef struct sbe_dtypes:         # of the last arrays of a descriptor, for its next ones
    PyObject* kept[2]           # since the array before lives until its name has the next
    unsigned int turn


cdef void forget(sbe_dtypes* dtypes) noexcept
cdef object view_array(
    object dtype, const uint8_t* data, Py_ssize_t count, Py_ssize_t stride, object owner,
    sbe_dtypes* dtypes=*
)
cdef np.ndarray empty_array(object dtype, Py_ssize_t count, sbe_dtypes* dtypes=*)
cdef object own_array(
    object dtype, void* data, Py_ssize_t size, size_t capacity, sbe_dtypes* dtypes=*
)
