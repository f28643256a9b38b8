"""numpy arrays over a frame (views), and over memory that was written here (owned)."""

cimport numpy as np
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_INCREF
from libc.stdlib cimport free, malloc

from .frames cimport is_writable
from .memory cimport give_memory
from .values cimport REUSES

np.import_array()


cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* each)

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(
        type subtype, np.dtype descr, int nd, np.npy_intp* dims, np.npy_intp* strides,
        void* data, int flags, object obj
    )
    np.dtype PyArray_DescrNew(np.dtype descr)
    PyObject* fields_of "PyDataType_FIELDS"(np.dtype descr)
    np.npy_intp size_of "PyDataType_ELSIZE"(np.dtype descr)
    np.npy_intp alignment_of "PyDataType_ALIGNMENT"(np.dtype descr)
    np.npy_uint64 flags_of "PyDataType_FLAGS"(np.dtype descr)


cdef np.dtype own_dtype(np.dtype dtype, sbe_dtypes* dtypes):
    """A dtype for one array: renaming the columns of one array renames nobody else's.

    One of ``dtypes`` serves again where no array has it any more, nor anybody else, and it is still
    as it was made. No Python code runs here.
    """
    if dtypes == NULL or not REUSES:
        return PyArray_DescrNew(dtype)
    dtypes.turn ^= 1
    cdef PyObject** kept = &dtypes.kept[dtypes.turn]
    if kept[0] != NULL:
        if Py_REFCNT(kept[0]) == 1 and is_like(<np.dtype>kept[0], dtype):
            return <np.dtype>kept[0]
        Py_CLEAR(kept[0])
    cdef np.dtype made = PyArray_DescrNew(dtype)
    Py_INCREF(made)
    kept[0] = <PyObject*>made
    return made


cdef void forget(sbe_dtypes* dtypes) noexcept:
    Py_CLEAR(dtypes.kept[0])
    Py_CLEAR(dtypes.kept[1])


cdef inline bint is_like(np.dtype one, np.dtype other) noexcept:
    """Whether one dtype is still the copy of the other that it was."""
    return (
        fields_of(one) == fields_of(other)      # names come with fields
        and size_of(one) == size_of(other) and alignment_of(one) == alignment_of(other)
        and flags_of(one) == flags_of(other) and one.byteorder == other.byteorder
    )


cdef object view_array(
    object dtype, const uint8_t* data, Py_ssize_t count, Py_ssize_t stride, object owner,
    sbe_dtypes* dtypes=NULL
):
    """``count`` items of ``dtype``, ``stride`` bytes apart, that keep ``owner`` alive.

    Writable where the owner's bytes are.
    """
    cdef np.npy_intp dims = count
    cdef np.npy_intp strides = stride
    cdef int flags = np.NPY_ARRAY_WRITEABLE if is_writable(owner) else 0
    cdef np.dtype descr = own_dtype(<np.dtype>dtype, dtypes)
    Py_INCREF(descr)    # the array takes over a reference, also where it can't be made
    # ``data`` is borrowed from the owner, which the caller holds until the array does.
    array = PyArray_NewFromDescr(
        np.ndarray, descr, 1, &dims, &strides, <void*>data, flags, None
    )
    np.set_array_base(array, owner)
    return array


cdef np.ndarray empty_array(object dtype, Py_ssize_t count, sbe_dtypes* dtypes=NULL):
    """``count`` items that are to be written, with a dtype of its own.

    numpy's own memory for structured items is cleared first, field by field, which takes longer
    than to write a few dozen items.
    """
    cdef size_t size = <size_t>count * <size_t>(<np.dtype>dtype).itemsize
    cdef void* data = malloc(size or 1)
    if data == NULL:
        raise MemoryError()
    try:
        return own_array(dtype, data, size, size, dtypes)
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


cdef object own_array(
    object dtype, void* data, Py_ssize_t size, size_t capacity, sbe_dtypes* dtypes=NULL
):
    """A writable array over ``data``, ``size`` bytes of a block from malloc that it gives back.

    No Python code runs here. Where the array can't be made the block stays the caller's.
    """
    cdef np.dtype descr = own_dtype(<np.dtype>dtype, dtypes)
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
