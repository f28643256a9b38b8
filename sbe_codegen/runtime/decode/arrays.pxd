"""numpy arrays over memory that something else owns."""

cimport numpy as np
from libc.stdint cimport uint8_t


cdef object view_array(
    object dtype, const uint8_t* data, Py_ssize_t count, Py_ssize_t stride, object owner
)
cdef np.ndarray empty_array(object dtype, Py_ssize_t count)
cdef object own_array(object dtype, void* data, Py_ssize_t size, size_t capacity)
