"""The picows transport's listener: frames from the receive buffer into the inbox, in C.

picows opens the connection, and sends. Once it is up, a `FrameReader` takes its place at the socket: it
reads plain binary frames itself, and leaves whatever else comes to picows.

Compiled against the picows that is there when this is built, and usable with that version (see
`PICOWS`): a cdef class that derives from another's depends on its C struct.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memmove
from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from .inbox cimport MOST_SPANS, Inbox, as_rows, sbe_span
from .sequencer cimport Line
from .stats cimport now_ns

import asyncio
from collections import deque

from picows import WSProtocolError

from .logs import LOG

cdef extern from *:
    const char* SBE_PICOWS

PICOWS = SBE_PICOWS.decode()    # the version that this was compiled for

cdef enum:
    PLAIN = 0x82                # first byte of a binary message in one frame, without extensions
    NO_CODE = 1005              # of a close frame that has none
    BUFFER = 128 * 1024         # such a frame, of 4 + 65,535 bytes at most, has room in it

cdef int64_t NUDGE = 1_000_000_000      # ns
cdef Py_ssize_t EVER = 1 << 62


@cython.final
cdef class Listener(WSListener):
    """Hands binary frames to the inbox, and calls ``on_text(str)``, ``on_sign()`` at pings and pongs,
    and ``on_lost(code, reason)``. Messages have up to ``most_size`` bytes.

    Once the inbox is full it stops the socket. Of what was in the receive buffer by then, frames and
    text wait in ``held`` until `resume`; rows are made at once, which take no more room.
    """

    cdef Inbox inbox
    cdef Line line
    cdef object on_text
    cdef object on_sign
    cdef object on_lost
    cdef object transport
    cdef FrameReader reader     # None before the first read has ended
    cdef object failure         # why we ended the connection, where we did
    cdef bint over              # nothing that comes now counts
    cdef bint given_up          # nobody wants this connection
    cdef object held
    cdef bint holding           # there is something held
    cdef bint paused
    cdef bint stopped           # the socket, which comes a little later
    cdef int64_t received       # ns since 1970: all that came in one read has one time of arrival
    cdef list parts             # of a message in several frames
    cdef int kind               # of that message, 0 where there is none
    cdef Py_ssize_t size        # of its parts
    cdef Py_ssize_t most_size

    def __init__(
        self, Inbox inbox not None, Line line not None, on_text, on_sign, on_lost, Py_ssize_t most_size
    ):
        self.inbox = inbox
        self.line = line
        self.on_text = on_text
        self.on_sign = on_sign
        self.on_lost = on_lost
        self.most_size = most_size
        self.held = deque()
        self.parts = []

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        if self.given_up:
            transport.disconnect(False)

    def give_up(self):
        """Nobody waits for this connection any more: where there is one, or will be, it ends."""
        self.over = self.given_up = True
        if self.transport is not None:
            self.transport.disconnect(False)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        try:
            if self.reader is not None:     # which begins and ends the read
                self.take(transport, frame)
                return
            self.begin()
            self.take(transport, frame)
            self.end()
            if transport.is_close_frame_sent:   # picows may have refused what is behind it
                self.over = True
            elif frame.last_in_buffer:
                self.reader = reader_after(self, transport, frame)
        except WSProtocolError:
            raise       # to picows, which ends the connection with its code
        except BaseException as error:
            self.fail(error)

    cpdef is_user_specific_pong(self, WSFrame frame):
        """The answer to a ping of picows, which keeps it to itself."""
        if frame.msg_type != WSMsgType.PONG:
            return False
        self.on_sign()
        return True

    cdef int fail(self, error) except -1:
        """An error of ours, or of what we have called, ends the connection."""
        self.over = True
        self.failure = f"{type(error).__name__}: {error}"
        self.held.clear()
        LOG.error("the feed failed", exc_info=error)
        self.transport.send_close(WSCloseCode.INTERNAL_ERROR)
        self.transport.disconnect()
        if not isinstance(error, Exception):
            raise error
        return 0

    cdef int begin(self) except -1:
        self.received = now_ns()
        return 0

    cdef int end(self) except -1:
        """All that one read gave has been taken."""
        self.inbox.end_read(self.line)
        if not self.paused and self.inbox.full:
            self.pause()
        return 0

    cdef int take_plain(self, const sbe_span* spans, Py_ssize_t count) except -1:
        """Binary messages."""
        cdef Py_ssize_t i
        if as_rows(self.inbox) and not self.holding:
            self.inbox.add_frames(self.line, spans, count, self.received)
            return 0
        for i in range(count):
            self.receive(spans[i].data, spans[i].size)
        return 0

    cpdef on_ws_disconnected(self, WSTransport transport):
        try:
            self.hand_in_held()
        except Exception as error:
            self.fail(error)
        self.reader = None
        if self.given_up:
            return
        closing = transport.close_handshake
        received = None if closing is None else closing.recv
        if self.failure is not None:
            self.on_lost(None, self.failure)
        elif received is None:
            self.on_lost(None, "no close frame came")
        else:
            self.on_lost(int(received.code) or NO_CODE, received.reason or "")

    cdef int receive(self, const uint8_t* data, Py_ssize_t size) except -1:
        cdef sbe_span span
        if self.paused:
            self.holding = True
            self.held.append((PyBytes_FromStringAndSize(<const char*>data, size), self.received))
            return 0
        span = sbe_span(data, size)
        self.inbox.add_frames(self.line, &span, 1, self.received)
        if self.inbox.full:
            self.pause()
        return 0

    cdef int pause(self) except -1:
        """Stops reading, once this read is over: with TLS more may have been read than was given."""
        self.paused = True
        asyncio.get_running_loop().call_soon(self.stop_reading)
        return 0

    def stop_reading(self):
        if self.paused and not self.stopped:
            self.stopped = True
            self.transport.underlying_transport.pause_reading()

    def hand_in_held(self, bint while_room=False):
        while self.held and not (while_room and self.inbox.full):
            frame, received = self.held.popleft()
            if isinstance(frame, str):
                self.on_text(frame)
            else:
                self.inbox.put(frame, received, self.line)

    def resume(self):
        """There may be room again."""
        if not self.paused:
            return
        try:
            self.hand_in_held(True)
        except Exception as error:
            self.fail(error)
            return
        self.holding = len(self.held) > 0
        if not self.holding and not self.inbox.full:
            self.paused = False
            if self.stopped:
                self.stopped = False
                self.transport.underlying_transport.resume_reading()

    cdef int take(self, WSTransport transport, WSFrame frame) except -1:
        """Any frame that picows has read."""
        cdef sbe_span span = sbe_span(<const uint8_t*>frame.payload_ptr, frame.payload_size)
        if frame.msg_type == WSMsgType.CLOSE:
            self.take_close(transport, frame)
            return 0
        if self.over:
            return 0
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.refuse(WSCloseCode.PROTOCOL_ERROR, "a frame of an extension that was not agreed on")
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self.on_sign()
            return 0
        if (frame.msg_type == WSMsgType.CONTINUATION) != (self.kind != 0):
            self.refuse(WSCloseCode.PROTOCOL_ERROR, "a frame that does not go on with its message")
        if frame.msg_type == WSMsgType.BINARY and frame.fin:
            self.take_plain(&span, 1)
            return 0
        self.kind = self.kind or frame.msg_type
        self.size += frame.payload_size
        if self.size > self.most_size:
            self.refuse(WSCloseCode.MESSAGE_TOO_BIG, f"a message of over {self.most_size:,} bytes")
        self.parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            return 0
        whole, is_text = b"".join(self.parts), self.kind == WSMsgType.TEXT
        self.parts, self.kind, self.size = [], 0, 0
        if not is_text:
            self.receive(<const uint8_t*>(<char*>whole), len(whole))
            return 0
        try:
            text = whole.decode()
        except UnicodeDecodeError:
            self.refuse(WSCloseCode.INVALID_TEXT, "text that is not UTF-8")
        if self.paused:
            self.holding = True
            self.held.append((text, 0))     # what was said after frames is heard after them
        else:
            self.on_text(text)
        return 0

    cdef int take_close(self, WSTransport transport, WSFrame frame) except -1:
        cdef WSCloseCode code = frame.get_close_code()
        if frame.payload_size and (
            <int>code < 1000 or <int>code >= 5000 or code == WSCloseCode.ABNORMAL_CLOSURE
        ):
            self.refuse(WSCloseCode.PROTOCOL_ERROR, f"closed with {<int>code}, which is no code")
        self.over = True
        if not transport.is_close_frame_sent:
            transport.send_close(code if frame.payload_size else WSCloseCode.OK)
        transport.disconnect()
        return 0

    cdef int refuse(self, WSCloseCode code, str reason) except -1:
        """Ends the connection (picows does, for this error)."""
        self.over = True
        self.failure = reason
        raise WSProtocolError(<int>code, reason)


cdef inline Py_ssize_t frame_length(const uint8_t* frame, Py_ssize_t size, Py_ssize_t* header) noexcept:
    """Of header and payload (RFC 6455, 5.2), or 0 where too little is there to know."""
    cdef Py_ssize_t length, i
    if size < 2:
        return 0
    length = frame[1] & 0x7F
    header[0] = 2 + (4 if frame[1] & 0x80 else 0)
    if length < 126:
        return header[0] + length
    header[0] += 2 if length == 126 else 8
    if size < (4 if length == 126 else 10):
        return 0
    if length == 126:
        return header[0] + (frame[2] << 8 | frame[3])
    length = 0
    for i in range(2, 10):
        if length >> 40:        # picows will not have it
            return EVER
        length = length << 8 | frame[i]
    return header[0] + length


cdef FrameReader reader_after(Listener listener, WSTransport transport, WSFrame frame):
    """Takes picows' place from here on: after the last frame of a read, and maybe a part of the next.

    None where that part does not say yet how long the next is, and where there is none to come.
    """
    cdef FrameReader reader
    cdef Py_ssize_t header, part = frame.tail_size
    cdef Py_ssize_t length = frame_length(
        <const uint8_t*>frame.payload_ptr + frame.payload_size, part, &header
    )
    if part and not length or transport.is_disconnected:
        return None
    reader = FrameReader(listener, transport)
    reader.foreign = length - part
    return reader


cdef class Base:        # a cdef class derives from a Python class beside another cdef class only
    pass


@cython.final
cdef class FrameReader(Base, asyncio.BufferedProtocol):
    """Reads binary messages of one frame, up to 64 KiB, from where the socket was read into.

    All other frames picows gets as they came, and through it the listener: text, pings and the end,
    messages in several frames and longer ones, and whatever breaks the rules. Once a second it gets a
    plain frame too, as it pings where nothing comes. Once it ends the connection it gets everything.
    """

    cdef Listener listener
    cdef WSTransport transport
    cdef object picows          # the protocol whose place this has
    cdef object view            # of the buffer
    cdef uint8_t* data
    cdef Py_ssize_t filled
    cdef Py_ssize_t foreign     # bytes to come that picows is to get
    cdef int64_t nudged

    def __init__(self, Listener listener not None, WSTransport transport not None):
        cdef bytearray buffer = bytearray(BUFFER)
        self.listener = listener
        self.transport = transport
        self.view = memoryview(buffer)      # which keeps it where it is
        self.data = <uint8_t*>PyByteArray_AS_STRING(buffer)
        self.nudged = now_ns()
        self.picows = transport.underlying_transport.get_protocol()
        transport.underlying_transport.set_protocol(self)

    def get_buffer(self, Py_ssize_t size_hint):
        return self.view[self.filled:] if self.filled else self.view

    def buffer_updated(self, Py_ssize_t size):
        cdef Py_ssize_t done
        if not 0 <= size <= BUFFER - self.filled:
            raise ValueError(f"{size} bytes are more than get_buffer gave")
        self.filled += size
        try:
            self.listener.begin()
            done = self.read()
            self.listener.end()
        except BaseException as error:
            self.filled = 0
            self.foreign = EVER
            self.listener.fail(error)
            return
        self.filled -= done
        if self.filled and done:
            memmove(self.data, self.data + done, self.filled)

    cdef Py_ssize_t read(self) except -1:
        """What is in the buffer, as far as it goes; returns how many bytes are done."""
        cdef sbe_span[MOST_SPANS] spans
        cdef Py_ssize_t at = 0, count = 0, header = 0, length
        cdef bint is_due = not 0 <= self.listener.received - self.nudged < NUDGE
        while at < self.filled:
            if not self.foreign:
                length = frame_length(self.data + at, self.filled - at, &header)
                if length == 0:
                    break
                if (
                    self.data[at] == PLAIN and not is_due and not self.listener.kind
                    and (header == 2 or header == 4 and length >= 4 + 126)
                ):
                    if length > self.filled - at:
                        break
                    if count == MOST_SPANS:
                        self.listener.take_plain(spans, count)
                        count = 0
                    spans[count] = sbe_span(self.data + at + header, length - header)
                    count += 1
                    at += length
                    continue
                self.foreign = length
            self.listener.take_plain(spans, count)
            count = 0
            is_due = False
            at += self.give(at)
        self.listener.take_plain(spans, count)
        return at

    cdef Py_ssize_t give(self, Py_ssize_t at) except -1:
        """Gives picows what it is to have of the buffer from there on; returns how many bytes."""
        cdef Py_ssize_t size = min(self.foreign, self.filled - at)
        cdef Py_ssize_t end = at + size
        cdef Py_ssize_t part
        cdef bint was_closing = self.transport.is_close_frame_sent
        self.nudged = self.listener.received
        while at < end:
            room = self.picows.get_buffer(end - at)
            part = min(end - at, <Py_ssize_t>len(room))
            room[:part] = self.view[at:at + part]
            self.picows.buffer_updated(part)
            at += part
            if self.transport.is_close_frame_sent and not was_closing:
                self.listener.over = True       # picows has refused it, or we have
        self.foreign -= size
        if self.transport.is_close_frame_sent or self.transport.is_disconnected:
            self.foreign = EVER
        return size

    def connection_lost(self, error):
        self.picows.connection_lost(error)
        self.picows = None

    def eof_received(self):
        return self.picows.eof_received()

    def pause_writing(self):
        self.picows.pause_writing()

    def resume_writing(self):
        self.picows.resume_writing()
