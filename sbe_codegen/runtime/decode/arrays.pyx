"""numpy arrays over a frame (views), and over memory that was written here (owned)."""

cimport numpy as np
from cpython.ref cimport Py_INCREF
from libc.stdlib cimport free, malloc

from .frames cimport is_writable
from .memory cimport give_memory

np.import_array()


cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(
        type subtype, np.dtype descr, int nd, np.npy_intp* dims, np.npy_intp* strides,
        void* data, int flags, object obj
    )
    np.dtype PyArray_DescrNew(np.dtype descr)


cdef object view_array(
    object dtype, const uint8_t* data, Py_ssize_t count, Py_ssize_t stride, object owner
):
    """``count`` items of ``dtype``, ``stride`` bytes apart, that keep ``owner`` alive.

    Writable where the owner's bytes are.
    """
    cdef np.npy_intp dims = count
    cdef np.npy_intp strides = stride
    cdef int flags = np.NPY_ARRAY_WRITEABLE if is_writable(owner) else 0
    cdef np.dtype descr
    # A dtype of its own: renaming the columns of one array renames nobody else's. The array takes
    # over a reference to it, also where it can't be made.
    descr = PyArray_DescrNew(<np.dtype>dtype)
    Py_INCREF(descr)
    # ``data`` is borrowed from the owner, which the caller holds until the array does.
    array = PyArray_NewFromDescr(
        np.ndarray, descr, 1, &dims, &strides, <void*>data, flags, None
    )
    np.set_array_base(array, owner)
    return array


cdef np.ndarray empty_array(object dtype, Py_ssize_t count):
    """``count`` items that are to be written, with a dtype of its own.

    numpy's own memory for structured items is cleared first, field by field, which takes longer
    than to write a few dozen items.
    """
    cdef size_t size = <size_t>count * <size_t>(<np.dtype>dtype).itemsize
    cdef void* data = malloc(size or 1)
    if data == NULL:
        raise MemoryError()
    try:
        return own_array(dtype, data, size, size)
    except:
        free(data)
        raise


cdef class Storage:
    """Owns one block of C memory; arrays over it keep it as their base."""

    cdef void* data
    cdef size_t capacity

    def __dealloc__(self):
        # The last array over it is gone; whoever has let go of that may be on any thread.
        give_memory(self.data, self.capacity)


cdef object own_array(object dtype, void* data, Py_ssize_t size, size_t capacity):
    """A writable array over ``data``, ``size`` bytes of a block from malloc that it gives back.

    Its dtype is a copy: renaming the columns of one array renames nobody else's. No Python code
    runs here. Where the array can't be made the block stays the caller's.
    """
    cdef np.dtype descr = PyArray_DescrNew(<np.dtype>dtype)
    cdef np.npy_intp dims = size // descr.itemsize
    cdef Storage storage = Storage.__new__(Storage)
    Py_INCREF(descr)
    array = PyArray_NewFromDescr(
        np.ndarray, descr, 1, &dims, NULL, data, np.NPY_ARRAY_WRITEABLE, None
    )
    np.set_array_base(array, storage)
    storage.data = data
    storage.capacity = capacity
    return array
