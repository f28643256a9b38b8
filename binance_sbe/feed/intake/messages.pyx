"""Frames become messages, and what that takes is measured."""

from libc.stdint cimport int64_t

from .stats cimport Stats, note, now_ns, since

from sbe_codegen.runtime.errors import DecodeError

from ... import spot_stream

cdef int64_t SCHEMA_VERSION = spot_stream.SCHEMA_VERSION
cdef object decode = spot_stream.decode


cdef object measured_message(bytes frame, int64_t received, Stats stats, object reused):
    """The message of a frame that is handed over now, in ``reused`` where there is one.

    DecodeError where it is no message, which is counted.
    """
    # The message borrows from ``frame`` and owns a reference to it. `wrap` is not the user's to
    # replace: the classes are sealed.
    cdef int64_t started = now_ns(), ended
    try:
        message = decode(frame) if reused is None else reused.wrap(frame)
    except DecodeError:
        stats.rejected += 1
        raise
    ended = now_ns()
    note(stats.event_to_received, since(message.event_time, received), 1)
    note(stats.received_to_decoded, ended - received, 1)
    note(stats.decoding, ended - started, 1)
    note(stats.decoded_to_handed_over, 0, 1)
    if message.version <= SCHEMA_VERSION:
        stats.left_over_bytes += len(frame) - message.encoded_length
    return message
