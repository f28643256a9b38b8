"""The picows transport's listener: frames from the receive buffer into the inbox, in C.

Compiled against the picows that is there when this is built, and usable with that version (see
`PICOWS`): a cdef class that derives from another's depends on its C struct.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from .inbox cimport MOST_SPANS, Inbox, as_rows, sbe_span
from .sequencer cimport Line
from .stats cimport now_ns

from collections import deque

cdef extern from *:
    const char* SBE_PICOWS

PICOWS = SBE_PICOWS.decode()    # the version that this was compiled for


@cython.final
cdef class Listener(WSListener):
    """Hands binary frames to the inbox, and calls ``on_text(str)``, ``on_sign()`` at pings and pongs,
    and ``on_lost(code, reason)``.

    Frames that are to be rows are left in the receive buffer until the last of one read has come, and are
    then read in one go. The buffer stays as it is for that long: the last frame of a read says that
    it is the last, even where what follows it is no WebSocket frame.

    Once the inbox is full it stops the socket. Of what was in the receive buffer by then, frames and
    text wait in ``held`` until `resume`; rows are made at once, which take no more room.
    """

    cdef Inbox inbox
    cdef Line line
    cdef object on_text
    cdef object on_sign
    cdef object on_lost
    cdef object transport
    cdef object held
    cdef bint holding           # there is something held
    cdef bint paused
    cdef bint amid              # in the frames of one read
    cdef int64_t received
    cdef sbe_span[MOST_SPANS] waiting     # in the receive buffer, to be rows
    cdef Py_ssize_t waiting_count
    cdef Py_ssize_t most_waiting            # 0 where they are to be no rows
    cdef list parts             # of a message in several frames
    cdef int kind               # of that message

    def __init__(self, Inbox inbox not None, Line line not None, on_text, on_sign, on_lost):
        self.inbox = inbox
        self.line = line
        self.on_text = on_text
        self.on_sign = on_sign
        self.on_lost = on_lost
        self.held = deque()
        self.parts = []

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if (
            self.waiting_count < self.most_waiting and not frame.last_in_buffer and frame.fin
            and frame.msg_type == WSMsgType.BINARY
        ):
            self.wait(frame)
        else:
            self.receive_frame(transport, frame)

    cdef inline void wait(self, WSFrame frame) noexcept:
        cdef sbe_span* span = &self.waiting[self.waiting_count]
        span.data = <const uint8_t*>frame.payload_ptr
        span.size = frame.payload_size
        self.waiting_count += 1

    cdef int receive_frame(self, WSTransport transport, WSFrame frame) except -1:
        """Any frame: the first and the last of a read do more than wait."""
        if not self.amid:       # all that came in one read has one time of arrival
            self.amid = True
            self.received = now_ns()
            if as_rows(self.inbox) and not self.holding:
                self.most_waiting = MOST_SPANS
        if self.most_waiting and frame.msg_type == WSMsgType.BINARY and frame.fin:
            if self.waiting_count == MOST_SPANS:
                self.read_waiting()
            self.wait(frame)
        else:
            self.read_waiting()
            self.receive_other(transport, frame)
        if frame.last_in_buffer:
            self.read_waiting()
            self.amid = False
            self.most_waiting = 0
            self.inbox.end_read(self.line)
            if not self.paused and self.inbox.full:
                self.pause()
        return 0

    cdef int read_waiting(self) except -1:
        cdef Py_ssize_t count = self.waiting_count
        self.waiting_count = 0
        if count:
            self.inbox.add_frames(self.line, self.waiting, count, self.received)
        return 0

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.hand_in_held()
        closing = transport.close_handshake
        received = None if closing is None else closing.recv
        if received is None:
            self.on_lost(None, "no close frame came")
        else:
            self.on_lost(int(received.code), received.reason or "")

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
        self.paused = True
        self.transport.underlying_transport.pause_reading()
        return 0

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
        self.hand_in_held(True)
        self.holding = len(self.held) > 0
        if not self.holding and not self.inbox.full:
            self.paused = False
            self.transport.underlying_transport.resume_reading()

    cdef int receive_other(self, WSTransport transport, WSFrame frame) except -1:
        """Frames that stay frames, text, messages in several frames, and the end."""
        if frame.msg_type == WSMsgType.BINARY and frame.fin:
            self.receive(<const uint8_t*>frame.payload_ptr, frame.payload_size)
            return 0
        if frame.msg_type == WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(frame.get_close_code())
            transport.disconnect()
            return 0
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self.on_sign()
            return 0
        if frame.msg_type != WSMsgType.CONTINUATION:
            self.kind = frame.msg_type
            self.parts = []
        self.parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            return 0
        whole = b"".join(self.parts)
        self.parts = []
        if self.kind == WSMsgType.BINARY:
            self.receive(<const uint8_t*>(<char*>whole), len(whole))
            return 0
        text = whole.decode("utf-8", "replace")
        if self.paused:
            self.holding = True
            self.held.append((text, 0))     # what was said after frames is heard after them
        else:
            self.on_text(text)
        return 0
