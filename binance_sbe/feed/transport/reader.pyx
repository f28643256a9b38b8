"""The frames of one connection: plain binary ones go from the receive buffer into the backlog, in C.

A `FrameReader` is the protocol of a socket whose WebSocket handshake is over. It reads binary messages of one
frame itself. All other frames, which are rare, go to the connection's shell (`websocket.Transport`), which has
websockets' protocol read them: text, pings and the end, messages in several frames, long ones, and
whatever breaks the rules. Section numbers are those of RFC 6455.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memmove

from ..intake.backlog cimport MOST_SPANS, Backlog
from ..intake.streams cimport Source
from ..intake.tap cimport sbe_span
from ..intake.stats cimport monotonic_ns, now_ns

cdef enum:
    PLAIN = 0x82                # first byte of a binary message in one frame, without extensions
    FIN = 0x80
    OPCODE = 0x0F
    CONTINUATION = 0x0          # opcodes (5.2)
    TEXT = 0x1
    BINARY = 0x2
    PING = 0x9
    PONG = 0xA
    MASKED = 0x80               # in the second byte
    LENGTH = 0x7F
    CLOSE = 0x8
    MOST_CONTROL = 125          # bytes of a control frame's payload (5.5)
    NOT_MINIMAL = -1            # in the place of a length
    OVER_63_BITS = -2
    BUFFER = 256 * 1024
    MOST_PLAIN = 65535          # bytes of a frame that is read here: it has room in the buffer
    MOST_OTHERS = 10_000        # frames of other kinds in a second: more is an attack

cdef int64_t SECOND = 1_000_000_000
cdef Py_ssize_t EVER = 1 << 62


cdef Py_ssize_t frame_length(const uint8_t* frame, Py_ssize_t size, Py_ssize_t* header) noexcept:
    """Of header and payload (5.2), 0 where too little is there to know, less where it is wrong."""
    cdef Py_ssize_t length, i
    if size < 2:
        return 0
    length = frame[1] & LENGTH
    header[0] = 2 + (4 if frame[1] & MASKED else 0)
    if length < 126:
        return header[0] + length
    header[0] += 2 if length == 126 else 8
    if size < (4 if length == 126 else 10):
        return 0
    if length == 126:
        length = frame[2] << 8 | frame[3]
        return NOT_MINIMAL if length < 126 else header[0] + length
    if frame[2] & 0x80:
        return OVER_63_BITS
    length = 0
    for i in range(2, 10):
        if length >> 40:        # websockets will not have it
            return EVER
        length = length << 8 | frame[i]
    return NOT_MINIMAL if length < 65536 else header[0] + length


cdef bint is_text(const uint8_t* payload, Py_ssize_t size) except -1:
    try:
        PyUnicode_DecodeUTF8(<const char*>payload, size, NULL)
    except UnicodeDecodeError:
        return False
    return True


cdef class Receiver:
    """See `reader.pxd`."""

    cdef Py_ssize_t room(self) noexcept:
        return 0

    cpdef object buffer(self):
        return None

    cpdef int take_read(self, Py_ssize_t size) except -1:
        return 0


@cython.final
cdef class FrameReader(Receiver):
    """Reads frames from where the socket was read into, as far as the backlog has room for them.

    Once it has none, what was read waits in the buffer, and when that is full the socket stops; `resume` goes
    on. Texts and pings that come behind such frames are heard at once, as far as the buffer goes: so that the
    exchange's replies are understood, and it gets its pongs, whatever the consumer does.

    ``shell`` has ``take(bytes)`` for other frames, or parts of them, as they came; ``cut_off()`` before
    a close frame amid a message; ``refuse(code, reason)`` for what breaks the rules;
    ``socket_lost(error)``; ``drained()`` when all that came before the end has been taken;
    ``fail(error)`` for errors of ours.
    """

    cdef Backlog backlog
    cdef object view            # of the buffer
    cdef Source source
    cdef object shell
    cdef object transport
    cdef Py_ssize_t at          # what is in the buffer and was not taken begins here
    cdef Py_ssize_t looked      # from `at` up to here there are no texts and pings
    cdef Py_ssize_t foreign     # bytes of a frame that are the shell's
    cdef bint amid              # of a message in several frames, some have come
    cdef object message         # a whole one for which the backlog has had no room
    cdef readonly bytes last_words      # payload of a close frame behind what waits, or None
    cdef bint paused            # the socket
    cdef bint lost              # it has ended
    cdef bint busy              # the loop in `read` is running
    cdef public bint over       # nothing that still comes counts
    cdef public bint discards   # nobody wants more messages: they are counted only
    cdef int64_t received       # ns since 1970, of the last read
    cdef int64_t others_since   # monotonic ns
    cdef int64_t others         # frames of other kinds since then

    def __init__(self, Backlog backlog not None, Source source not None, shell, transport):
        cdef bytearray buffer = bytearray(BUFFER)
        self.backlog = backlog
        self.source = source
        self.shell = shell
        self.transport = transport
        self.view = memoryview(buffer)      # which keeps it where it is
        self.data = <uint8_t*>PyByteArray_AS_STRING(buffer)

    # what the wire calls

    cdef Py_ssize_t room(self) noexcept:
        if self.at == self.filled and not self.busy:
            self.at = self.filled = self.looked = 0
        return BUFFER - self.filled

    cpdef object buffer(self):
        """Where the socket is to be read into, a memoryview; `take_read` is told how much came."""
        self.room()
        return self.view[self.filled:]

    cpdef int take_read(self, Py_ssize_t size) except -1:
        if not 0 <= size <= BUFFER - self.filled:
            raise ValueError(f"{size} bytes are more than the buffer has room for")
        self.filled += size
        self.received = now_ns()
        return self.go_on()

    def connection_lost(self, exc):
        self.lost = True
        if self.shell is not None:
            self.shell.socket_lost(exc)
        self.end_if_drained()

    # what the shell calls

    def feed(self, bytes data not None):
        """What came in one read with the answer to the handshake."""
        cdef Py_ssize_t at = 0, part, size = len(data)
        while at < size and not self.over:
            part = min(size - at, BUFFER - self.filled)
            if part == 0:       # no room in the backlog: a handshake came with more than the buffer holds
                self.shell.refuse(1008, "more than a buffer of frames came with the handshake")
                return
            memcpy(self.data + self.filled, <const char*>data + at, part)
            at += part
            self.take_read(part)

    def put(self, bytes message not None):
        """A message that came in several frames, or in a long one."""
        if self.discards or self.over:
            self.source.unwanted += 1
        elif self.backlog.room():
            self.backlog.put(message, self.received, self.source)
        else:
            self.message = message

    def resume(self):
        """There may be room in the backlog again."""
        if self.blocked and not self.busy:
            self.go_on()

    def stop(self):
        """The end, for good."""
        self.over = True
        self.message = None
        self.blocked = False
        self.end_if_drained()

    # reading

    cdef int end_if_drained(self) except -1:
        if self.lost and not self.blocked and not self.busy and self.shell is not None:
            shell, self.shell, self.transport = self.shell, None, None
            shell.drained()
        return 0

    cdef int go_on(self) except -1:
        """Takes what is there, as far as there is room for it."""
        if self.busy:
            return 0
        self.busy = True
        try:
            try:
                if self.message is not None and (self.discards or self.backlog.room()):
                    message, self.message = self.message, None
                    self.put(message)
                self.read()
                self.backlog.end_read(self.source)
                if self.blocked:
                    self.look_ahead()
            finally:
                self.busy = False
        except BaseException as error:
            self.over = True
            self.message = None
            self.blocked = False
            if self.shell is not None:
                self.shell.fail(error)
            if not isinstance(error, Exception):
                raise
        if self.blocked:
            self.backlog.stopped = True
        self.compact()
        self.set_reading()
        self.end_if_drained()
        return 0

    cdef int compact(self) except -1:
        """Makes room behind what is in the buffer."""
        if self.over or self.at == self.filled:
            self.at = self.filled = self.looked = 0
        elif self.at and BUFFER - self.filled < BUFFER // 4:
            memmove(self.data, self.data + self.at, self.filled - self.at)
            self.looked = max(self.looked - self.at, <Py_ssize_t>0)
            self.filled -= self.at
            self.at = 0
        return 0

    cdef int set_reading(self) except -1:
        """The socket is read while there is room in the buffer."""
        cdef bint has_room = self.filled < BUFFER
        if self.lost or self.transport is None:
            return 0
        if self.paused and has_room:
            self.paused = False
            self.transport.resume_reading()
        elif not self.paused and not has_room:
            self.paused = True
            self.transport.pause_reading()
        return 0

    cdef int read(self) except -1:
        cdef sbe_span[MOST_SPANS] spans
        cdef Py_ssize_t header = 0, length, count = 0, most = min(self.backlog.room(), MOST_SPANS)
        cdef int64_t moment = monotonic_ns()
        cdef uint8_t first
        self.blocked = self.message is not None
        while self.at < self.filled and not self.over and not self.blocked:
            if self.foreign:
                self.give()
                most = min(self.backlog.room(), MOST_SPANS)
                continue
            length = frame_length(self.data + self.at, self.filled - self.at, &header)
            if length == 0:
                break
            first = self.data[self.at]
            if first == PLAIN and not self.amid and header <= 4 and (
                0 < length <= header + MOST_PLAIN and not self.data[self.at + 1] & MASKED
            ):
                if length > self.filled - self.at:
                    break
                if self.discards:
                    self.source.unwanted += 1
                    self.at += length
                    continue
                if count == most:
                    if count:
                        self.backlog.add_frames(self.source, spans, count, self.received, moment)
                        count = 0
                        most = min(self.backlog.room(), MOST_SPANS)
                    if most == 0:
                        self.blocked = True
                        break
                spans[count] = sbe_span(self.data + self.at + header, length - header)
                count += 1
                self.at += length
                continue
            if count:
                self.backlog.add_frames(self.source, spans, count, self.received, moment)
                count = 0
                most = min(self.backlog.room(), MOST_SPANS)
            if first & OPCODE in (CONTINUATION, BINARY) and not most and not self.discards:
                self.blocked = True
                break
            self.begin_other(first, length, moment)
        if count:
            self.backlog.add_frames(self.source, spans, count, self.received, moment)
        return 0

    cdef int begin_other(self, uint8_t first, Py_ssize_t length, int64_t moment) except -1:
        """A frame that is the shell's begins."""
        if moment - self.others_since >= SECOND:
            self.others_since = moment
            self.others = 0
        self.others += 1
        if self.others > MOST_OTHERS:
            self.shell.refuse(1008, f"more than {MOST_OTHERS:,} control frames and fragments in a second")
        elif length == NOT_MINIMAL:
            self.shell.refuse(1002, "a length that is not in its shortest form")
        elif length == OVER_63_BITS:
            self.shell.refuse(1002, "a length of more than 63 bits")
        else:
            if self.amid and first & OPCODE == CLOSE:
                self.shell.cut_off()
            self.foreign = length
            if first & OPCODE <= BINARY:
                self.amid = not first & FIN
        return 0

    cdef int give(self) except -1:
        """Gives the shell what it is to have."""
        cdef Py_ssize_t size = min(self.foreign, self.filled - self.at)
        part = PyBytes_FromStringAndSize(<const char*>self.data + self.at, size)
        self.at += size
        self.foreign -= size
        self.shell.take(part)
        if self.message is not None:
            self.blocked = True
        return 0

    cdef int look_ahead(self) except -1:
        """Hears the texts and pings that came behind messages for which there is no room.

        What breaks the rules is left for later: what waits comes before that end.
        """
        cdef Py_ssize_t header = 0, length, at = max(self.at, self.looked)
        cdef int64_t moment = monotonic_ns()
        cdef uint8_t first
        if self.amid or self.foreign:
            return 0
        while not self.over:
            length = frame_length(self.data + at, self.filled - at, &header)
            if length <= 0 or length > self.filled - at or self.data[at + 1] & MASKED:
                break
            first = self.data[at]
            if first & OPCODE >= CLOSE and length - header > MOST_CONTROL:
                break
            if first == FIN | TEXT and not is_text(self.data + at + header, length - header):
                break
            if first == FIN | TEXT or first == FIN | PING or first == FIN | PONG:
                part = PyBytes_FromStringAndSize(<const char*>self.data + at, length)
                memmove(self.data + at, self.data + at + length, self.filled - at - length)
                self.filled -= length
                self.begin_other(first, length, moment)
                self.foreign = 0
                if not self.over:
                    self.shell.take(part)
            elif first == PLAIN:
                at += length
            else:               # of what follows it is not known here what it means
                if first == FIN | CLOSE:
                    self.last_words = self.data[at + header:at + length]
                break
        self.looked = at
        return 0
