"""Who is called for each message, where the frame is read: a function of Python's, or one of C's.

A handler in C is a subclass of `FrameHandler` that sets ``on_frame``. That is called for each event
that is handed on, with the frame as it was parsed: ``frame.best_bid_ask`` where ``kind`` is
BEST_BID_ASK, and so on (`binance_sbe.venue.kinds`). Frame and struct are good until it returns. No
Python object is made; the GIL is held, since to release it for each frame costs more than most
handlers do. Of the histograms of `Stats` such frames are in ``event_to_received`` only.
"""

from libc.stdint cimport int64_t, uint8_t

from .directory cimport Directory, sbe_parsed
from .stats cimport Stats

# ``received`` is the time of arrival, ns since 1970. False: no more is wanted, and `Feed.run` ends.
ctypedef bint (*sbe_on_frame)(
    void* context, int kind, const sbe_parsed* frame, int64_t received
) noexcept nogil


cdef class FrameHandler:
    cdef sbe_on_frame on_frame
    cdef void* context          # given to it; what it points to is the subclass's to keep


cdef class Calls:
    cdef object function
    cdef FrameHandler in_c      # the same, where it is one
    cdef object refused
    cdef bint reuses
    cdef list wraps             # by kind: `wrap` of the message that is pointed at each frame
    cdef readonly object failure        # what was raised
    cdef readonly bint ended            # no more is wanted

    cdef int give(self, bytes frame, int64_t received, Stats stats, Directory directory) except -1
    cdef int give_parsed(
        self, int kind, const sbe_parsed* parsed, size_t size, int64_t event_time,
        int64_t received, Stats stats
    ) except -1
    cdef int attempt(self, function, argument) except -1
