"""The base of what records frames: `tape.taking` has the one that does."""

from libc.stdint cimport int64_t

from .streams cimport Source


cdef class Tap:
    """``take`` gets the frames of a read as they came, those included that are dropped later.

    ``received`` is their time (ns since 1970). ``moment`` is the same by the monotonic clock; what
    is left in it is what arbitration goes by, so that a tape has all that it depends on. The
    frames are good until it returns.
    """

    cdef int take(
        self, Source source, const sbe_span* spans, Py_ssize_t count, int64_t received,
        int64_t* moment
    ) except -1:
        return 0
