from libc.stdint cimport int64_t


cdef object float_of(int64_t mantissa, int64_t exponent)
cdef object decimal_of(object mantissa, object exponent)
