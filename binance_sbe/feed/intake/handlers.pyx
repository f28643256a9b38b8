"""Who is called for each message, where the frame is read. See `handlers.pxd` for C.

The handler is the user's code and may do anything, also raise: it is called when the frame has been
counted and judged, and nothing of ours is half done. What it raises is kept here for `Feed.run`,
and the frames that come after that wait for the next consumer.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from ...venue.kinds cimport KINDS, kind_of
from sbe_codegen.runtime.decode.cursor cimport sbe_root

from .directory cimport Directory, sbe_parsed
from .messages cimport measured_message
from .stats cimport Stats, note, since
from .streams cimport Stream, sbe_event

from sbe_codegen.runtime.errors import DecodeError

from ... import spot_stream

cdef uint64_t SCHEMA_VERSION = spot_stream.SCHEMA_VERSION


cdef class FrameHandler:
    """A handler in C: see `handlers.pxd`."""


cdef bint ignore(
    void* context, int kind, const sbe_parsed* frame, int64_t received
) noexcept nogil:
    return True


cdef class Ignoring(FrameHandler):
    """Takes all that comes and does nothing: for a feed that is only recorded."""

    def __cinit__(self):
        self.on_frame = ignore


cdef class Calls:
    """``function(message)`` is called, or where it is a `FrameHandler` its C function.

    ``refused(error)`` is called with the DecodeError of a frame that is no message. Where ``reuse``
    is set there is one message of each kind, which is pointed at one frame after the other.
    """

    def __cinit__(self, function, bint reuse, refused):
        self.function = function
        self.in_c = function if isinstance(function, FrameHandler) else None
        self.refused = refused
        self.reuses = reuse
        self.wraps = [None] * KINDS
        if self.in_c is not None and self.in_c.on_frame == NULL:
            raise ValueError(f"{type(function).__name__} has set no on_frame: see handlers.pxd")

    cdef int give(self, bytes frame, int64_t received, Stats stats, Directory directory) except -1:
        """A frame that is handed on. Whatever is raised is kept in ``failure``."""
        cdef sbe_event event
        cdef sbe_parsed parsed
        cdef Stream stream
        cdef const uint8_t* data = <const uint8_t*><char*>frame
        cdef int kind = -1
        if self.in_c is not None:
            stream = directory.event_of(data, len(frame), &event, &parsed)
            if stream is not None:
                return self.give_parsed(
                    stream.number, &parsed, len(frame), event.time, received, stats
                )
        wrap = None
        if self.reuses:
            kind = kind_of(data, len(frame))
            wrap = self.wraps[kind] if kind >= 0 else None
        try:
            message = measured_message(frame, received, stats, wrap)
        except DecodeError as error:
            return self.attempt(self.refused, error)
        if kind >= 0 and wrap is None:
            self.wraps[kind] = message.wrap
        return self.attempt(self.function, message)

    cdef int give_parsed(
        self, int kind, const sbe_parsed* parsed, size_t size, int64_t event_time,
        int64_t received, Stats stats
    ) except -1:
        """The same to a handler in C, which gets the frame where it lies."""
        # The structs of all kinds begin with it. ``parsed`` and what it points to are the caller's:
        # the handler has them until it returns, and no Python code runs between.
        cdef const sbe_root* root = &parsed.trades.root
        note(stats.event_to_received, since(event_time, received), 1)
        if root.block.version <= SCHEMA_VERSION:
            stats.left_over_bytes += <int64_t>(size - root.encoded_length)
        if not self.in_c.on_frame(self.in_c.context, kind, parsed, received):
            self.ended = True
        return 0

    cdef int attempt(self, function, argument) except -1:
        """Calls what is the user's: nothing of the intake may be taken for granted after it."""
        try:
            function(argument)
        except BaseException as error:
            self.failure = error
            self.ended = True
        return 0
