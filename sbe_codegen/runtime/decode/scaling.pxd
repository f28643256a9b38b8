"""mantissa x 10^exponent, for C."""

from libc.stdint cimport int64_t


cdef extern from *:
    """
    #include <math.h>
    #include <stdint.h>

    #ifndef SBE_SCALE
    #define SBE_SCALE
    static const double SBE_TEN[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    /* Below 2**53, and with a power of ten up to 10**22, both numbers are exact as doubles, so that
       one division or multiplication rounds once. Larger mantissas are divided as 128-bit
       integers, which keeps 64 bits of quotient and the remainder: enough to round once. */
    static inline int sbe_scale(int64_t mantissa, int64_t exponent, double *result)
    {
        uint64_t size = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
        if (size <= (1ull << 53) && exponent >= -22 && exponent <= 22) {
            *result = exponent < 0 ? (double)mantissa / SBE_TEN[-exponent]
                                   : (double)mantissa * SBE_TEN[exponent];
            return 1;
        }
        if (size != 0 && exponent >= -19 && exponent <= 0) {
            uint64_t ten = 1;
            int shift = __builtin_clzll(size);
            unsigned __int128 numerator = (unsigned __int128)(size << shift) << 64, quotient;
            for (int64_t i = exponent; i < 0; i++) ten *= 10;
            quotient = numerator / ten;
            if (numerator % ten) quotient |= 1;
            *result = ldexp((double)quotient, -64 - shift);
            if (mantissa < 0) *result = -*result;
            return 1;
        }
        return 0;
    }
    #endif
    """
    bint sbe_scale(int64_t mantissa, int64_t exponent, double* result) noexcept nogil


cdef object float_of(int64_t mantissa, int64_t exponent)
cdef object decimal_of(object mantissa, object exponent)
cdef double exact_float(object mantissa, object exponent) except? -1.0
