"""Memory of batches that are gone, for the next ones: the kernel gives fresh pages slowly."""


cdef void* take_memory(size_t least, size_t* capacity) noexcept nogil
cdef void give_memory(void* data, size_t capacity) noexcept nogil
