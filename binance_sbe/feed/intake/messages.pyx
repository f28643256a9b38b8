"""Frames become messages, and what that takes is measured."""

from libc.stdint cimport int64_t

from sbe_codegen.runtime.decode.cursor cimport sbe_root
from sbe_codegen.runtime.decode.message cimport Message

from ...spot_stream cimport TradesStreamEvent_event_time, TradesStreamEventFrame
from .stats cimport Stats, clock_of, note, since

from sbe_codegen.runtime.errors import DecodeError

from ... import spot_stream

cdef enum:
    AS_THE_LAST = 15            # of one read: so many are taken to be decoded as fast as one before

cdef int64_t SCHEMA_VERSION = spot_stream.SCHEMA_VERSION
cdef object decode = spot_stream.decode


cdef object measured_message(bytes frame, int64_t received, Stats stats, object wrap):
    """The message of a frame that is handed over now, by ``wrap`` of one that is used again.

    DecodeError where it is no message, which is counted.
    """
    # The message borrows from ``frame`` and owns a reference to it. `wrap` is not the user's to
    # replace: the classes are sealed.
    cdef int64_t started = 0, ended, event_time
    cdef const sbe_root* root
    # A clock costs as much as decoding does: where many came together not each is timed.
    if received != stats.timed_read or stats.untimed == AS_THE_LAST:
        started = clock_of(stats)
    try:
        message = decode(frame) if wrap is None else wrap(frame)
    except DecodeError:
        stats.rejected += 1
        raise
    ended = clock_of(stats)
    if started:
        stats.took = ended - started
        stats.timed_read = received
        stats.untimed = 0
    else:
        stats.untimed += 1
    # The structs of all kinds begin with the root, and its fields with the time of the event.
    root = (<Message>message).root
    event_time = TradesStreamEvent_event_time(<const TradesStreamEventFrame*>root)
    note(stats.event_to_received, since(event_time, received), 1)
    note(stats.received_to_decoded, ended - received, 1)
    note(stats.decoding, stats.took, 1)
    note(stats.decoded_to_handed_over, 0, 1)
    if <int64_t>root.block.version <= SCHEMA_VERSION:
        stats.left_over_bytes += len(frame) - <int64_t>root.encoded_length
    return message
