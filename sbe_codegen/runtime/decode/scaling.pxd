"""mantissa x 10^exponent, for C."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef extern from *:
    """
    #include <math.h>
    #include <stdint.h>
    #include <string.h>

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

    /* Whether a mantissa is exact as a double. */
    #define SBE_IS_EXACT(mantissa) ((uint64_t)(mantissa) + (1ull << 53) <= 1ull << 54)

    /* `count` mantissas, `step` bytes apart, of one exponent, into doubles `width` bytes apart; 0
       where one of them is none that `sbe_scale` knows. With `has_null` that mantissa is NaN. Each
       is loaded once, since somebody may write to the frame. */
    static inline int sbe_scale_column(const uint8_t *from, size_t step, uint8_t *to, size_t width,
                                       uint64_t count, int64_t exponent, int has_null, int64_t null)
    {
        /* Most mantissas are exact, and no null is: these take a load, a check and a division. */
        int is_plain = exponent >= -22 && exponent <= 22 && !(has_null && SBE_IS_EXACT(null));
        double ten = is_plain ? SBE_TEN[exponent < 0 ? -exponent : exponent] : 1.0;
        for (; count != 0; count--, from += step, to += width) {
            int64_t mantissa;
            double value;
            memcpy(&mantissa, from, sizeof mantissa);
            if (is_plain && exponent < 0)
                while (SBE_IS_EXACT(mantissa)) {
                    value = (double)mantissa / ten;
                    memcpy(to, &value, sizeof value);
                    if (--count == 0) return 1;
                    from += step;
                    to += width;
                    memcpy(&mantissa, from, sizeof mantissa);
                }
            if (has_null && mantissa == null) value = NAN;
            else if (!sbe_scale(mantissa, exponent, &value)) return 0;
            memcpy(to, &value, sizeof value);
        }
        return 1;
    }

    /* The same where each mantissa has an exponent of one byte `apart` bytes behind it. */
    static inline int sbe_scale_pairs(const uint8_t *from, ptrdiff_t apart, size_t step,
                                      uint8_t *to, size_t width, uint64_t count, int has_null,
                                      int64_t null)
    {
        for (; count != 0; count--, from += step, to += width) {
            int64_t mantissa;
            int8_t exponent = (int8_t)from[apart];
            double value;
            memcpy(&mantissa, from, sizeof mantissa);
            if (has_null && mantissa == null) value = NAN;
            else if (exponent < 0 && exponent >= -22 && SBE_IS_EXACT(mantissa))
                value = (double)mantissa / SBE_TEN[-exponent];
            else if (!sbe_scale(mantissa, exponent, &value)) return 0;
            memcpy(to, &value, sizeof value);
        }
        return 1;
    }
    #endif
    """
    bint sbe_scale(int64_t mantissa, int64_t exponent, double* result) noexcept nogil
    bint sbe_scale_column(
        const uint8_t* mantissas, size_t step, uint8_t* to, size_t width, uint64_t count,
        int64_t exponent, bint has_null, int64_t null
    ) noexcept nogil
    bint sbe_scale_pairs(
        const uint8_t* mantissas, ptrdiff_t apart, size_t step, uint8_t* to, size_t width,
        uint64_t count, bint has_null, int64_t null
    ) noexcept nogil


cdef object float_of(int64_t mantissa, int64_t exponent)
cdef object decimal_of(object mantissa, object exponent)
cdef double exact_float(object mantissa, object exponent) except? -1.0
