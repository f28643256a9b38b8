"""A socket that is read and written by the thread that uses it, with or without TLS.

To a `Conversation` and its reader it is what a transport of asyncio's is. Between what the socket
gave and what the reader has taken of it no Python code runs, and so no handler of a signal, which
might raise there.
"""

from .poller import READ, WRITE

import ssl

cdef enum:
    CIPHERTEXT = 256 * 1024     # bytes of one read


cdef class Wire:
    """``soon(function)`` has something called in a moment, when nothing of this is running."""

    cdef readonly int fd
    cdef readonly object socket
    cdef object poller, soon
    cdef object reader              # a FrameReader
    cdef bytearray unsent
    cdef bint is_paused, has_ended
    cdef object error

    def __init__(self, connected, poller, soon):
        connected.setblocking(False)
        self.fd = connected.fileno()
        self.socket, self.poller, self.soon = connected, poller, soon
        self.unsent = bytearray()

    # what a conversation and its reader want

    def set_protocol(self, protocol):
        self.reader = protocol
        self.watch()

    def pause_reading(self):
        self.is_paused = True
        self.watch()

    def resume_reading(self):
        self.is_paused = False
        self.watch()

    def write(self, data):
        self.put(data)

    def get_write_buffer_size(self):
        return len(self.unsent)

    def abort(self):
        self.end(None)

    # what the loop calls

    def ready(self, broken):
        """It can be read or written, or has ended; ``broken`` is told of an error of ours."""
        try:
            if self.unsent:
                self.flush()
            if not self.is_paused and not self.has_ended:
                self.read_it()
        except Exception as error:
            broken(error)

    cdef int read_it(self) except -1:
        try:
            self.take()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.end(error)
        return 0

    cdef int watch(self) except -1:
        """Tells the poller what is wanted. An end is seen by those only who read or write."""
        if self.has_ended:
            return 0
        reads = self.reader is not None and not self.is_paused
        events = (READ if reads else 0) | (WRITE if self.unsent else 0)
        if events:
            self.poller.want(self.fd, events)
        else:
            self.poller.forget(self.fd)
        return 0

    cdef int put(self, data) except -1:
        if not self.has_ended:
            self.unsent += data
            self.flush()
        return 0

    cdef int flush(self) except -1:
        try:
            while self.unsent:
                del self.unsent[:self.socket.send(self.unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.end(error)
        return self.watch()

    cdef int take(self) except -1:
        size = self.socket.recv_into(self.reader.get_buffer(-1))
        if size:
            self.reader.buffer_updated(size)
        else:
            self.end(None)
        return 0

    cdef int end(self, error) except -1:
        if self.has_ended:
            return 0
        self.has_ended = True
        self.error = error
        self.poller.forget(self.fd)     # before another socket has its number
        self.socket.close()
        self.soon(self.tell_end)
        return 0

    def tell_end(self):
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.connection_lost(self.error)


cdef class SecureWire(Wire):
    """The same with TLS. The socket is read in large pieces, whatever the size of its records."""

    cdef object tls                 # an `opening.Tls`
    cdef object ciphertext

    def __init__(self, connected, poller, soon, tls):
        super().__init__(connected, poller, soon)
        self.tls = tls
        self.ciphertext = memoryview(bytearray(CIPHERTEXT))

    def set_protocol(self, protocol):
        Wire.set_protocol(self, protocol)
        self.soon(self.decrypt)         # what came with the handshake

    def resume_reading(self):
        Wire.resume_reading(self)
        self.soon(self.decrypt)         # what was read before the reading was paused

    def write(self, data):
        if self.has_ended:
            return
        try:
            self.tls.object.write(data)
        except ssl.SSLError as error:
            self.end(error)
        else:
            self.put(self.tls.outgoing.read())

    cdef int take(self) except -1:
        size = self.socket.recv_into(self.ciphertext)
        if size:
            self.tls.incoming.write(self.ciphertext[:size])
        else:
            self.tls.incoming.write_eof()
        self.decrypt()
        return 0

    def decrypt(self):
        """Gives the reader what it has room for. Records that are not whole wait for more."""
        tls, incoming = self.tls.object, self.tls.incoming
        try:
            while not (self.is_paused or self.has_ended or self.reader is None):
                room = self.reader.get_buffer(-1)
                size = tls.read(len(room), room)    # of one record, at most
                if not size:            # the other side has ended TLS
                    self.end(None)
                    break
                self.reader.buffer_updated(size)
                if not incoming.pending and not tls.pending() and not incoming.eof:
                    break               # most often: cheaper than to be told so by an exception
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.end(error)
        if self.tls.outgoing.pending:   # what TLS itself has to say, such as new keys
            self.put(self.tls.outgoing.read())
