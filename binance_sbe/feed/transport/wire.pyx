"""A socket that is read and written by the thread that uses it, with or without TLS.

Who knows when it is ready, a `poller.Poller` or an event loop by a `watch.Watch`, calls it. Between
what the socket gave and what the reader has taken of it no Python code runs, and so no handler of a
signal, which might raise there; but for TLS, of which see `SecureWire.read_record`.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t

from .poller cimport Owner
from .reader cimport Receiver

import os
import ssl

from .poller import READ, WRITE

cdef extern from "<sys/socket.h>":
    Py_ssize_t recv(int fd, void* data, size_t size, int flags)

cdef enum:
    CIPHERTEXT = 512 * 1024     # bytes of one read: with half as many they cost a tenth more CPU


cdef class Wire(Owner):
    """``poller`` is told what it is to wait for. ``soon(function)`` has something called in a
    moment, when nothing of this is running.

    ``broken(error)`` is told of an error of ours.
    """

    cdef readonly int fd
    cdef readonly object socket
    cdef object poller, soon, broken
    cdef Receiver receiver          # a FrameReader
    cdef bytearray unsent
    cdef bint is_paused, has_ended
    cdef object error

    def __init__(self, connected, poller, soon, broken):
        connected.setblocking(False)
        self.fd = connected.fileno()
        self.socket, self.poller, self.soon, self.broken = connected, poller, soon, broken
        self.unsent = bytearray()

    # what a conversation and its reader want

    def set_protocol(self, protocol):
        self.receiver = protocol
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

    # what the poller calls

    cdef int ready(self) except -1:
        try:
            if self.unsent:
                self.flush()
            if self.receiver is not None and not self.is_paused and not self.has_ended:
                self.take()
        except Exception as error:
            self.broken(error)
        return self.has_ended or self.receiver is None or self.receiver.blocked

    cdef int watch(self) except -1:
        """Tells the poller what is wanted. An end is seen by those only who read or write."""
        if self.has_ended:
            return 0
        reads = self.receiver is not None and not self.is_paused
        events = (READ if reads else 0) | (WRITE if self.unsent else 0)
        if events:
            self.poller.want(self.fd, events, self)
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

    cdef Py_ssize_t read_into(self, void* data, Py_ssize_t size) except -2:
        """How much came; 0 where the other side has ended, -1 where nothing came, or it fails."""
        cdef Py_ssize_t found = recv(self.fd, data, size, 0)
        cdef int code = errno
        if found < 0 and code != EAGAIN and code != EINTR:
            self.end(OSError(code, os.strerror(code)))
        return found

    cdef int take(self) except -1:
        cdef Receiver receiver = self.receiver
        cdef Py_ssize_t size = receiver.room()
        if size:
            size = self.read_into(receiver.data + receiver.filled, size)
            if size > 0:
                receiver.take_read(size)
            elif size == 0:
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
        receiver, self.receiver = <object>self.receiver, None
        if receiver is not None:
            receiver.connection_lost(self.error)


cdef class SecureWire(Wire):
    """The same with TLS. The socket is read in large pieces, whatever the size of its records."""

    cdef object tls, incoming, outgoing     # of an `opening.Tls`
    cdef bytearray unwritten        # what is to be encrypted
    cdef bint has_eof               # nothing more comes to be decrypted
    cdef object ciphertext          # a view of what is read into
    cdef uint8_t* data              # the same

    def __init__(self, connected, poller, soon, broken, tls):
        cdef bytearray buffer = bytearray(CIPHERTEXT)
        super().__init__(connected, poller, soon, broken)
        self.tls, self.incoming, self.outgoing = tls.object, tls.incoming, tls.outgoing
        self.unwritten = bytearray()
        self.ciphertext = memoryview(buffer)    # which keeps it where it is
        self.data = <uint8_t*>PyByteArray_AS_STRING(buffer)

    def set_protocol(self, protocol):
        Wire.set_protocol(self, protocol)
        self.soon(self.decrypt)         # what came with the handshake

    def resume_reading(self):
        Wire.resume_reading(self)
        self.soon(self.decrypt)         # what was read before the reading was paused

    def write(self, data):
        if not self.has_ended:
            self.unwritten += data
            self.encrypt()

    def get_write_buffer_size(self):
        return len(self.unwritten) + len(self.unsent)

    cdef int encrypt(self) except -1:
        """What is to be written; amid a handshake of TLS 1.2's, a new one, when that is over."""
        try:
            while self.unwritten:
                del self.unwritten[:self.tls.write(self.unwritten)]
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.end(error)
        if self.outgoing.pending:       # also what TLS itself has to say, such as new keys
            self.put(self.outgoing.read())
        return 0

    cdef int take(self) except -1:
        cdef Py_ssize_t size
        if self.incoming.pending:       # what was read before the reading was paused comes first
            self.decrypt()
            return 0
        size = self.read_into(self.data, CIPHERTEXT)
        if size > 0:
            self.incoming.write(self.ciphertext[:size])
        elif size == 0:
            self.incoming.write_eof()
            self.has_eof = True
        else:
            return 0
        self.decrypt()
        return 0

    cdef Py_ssize_t read_record(self, view, Py_ssize_t room) except -1:
        """Decrypts what one record has, at most. `SSLObject.read` is Python code, amid which a
        handler of a signal may raise: what was decrypted then is lost, and can't be counted.
        """
        before = self.incoming.pending
        try:
            return self.tls.read(room, view)
        except ssl.SSLError:
            raise
        except BaseException as error:
            if self.incoming.pending == before:
                self.soon(self.decrypt)     # it waits there
            else:
                self.end(error)
            raise

    cpdef int decrypt(self) except -1:
        """Gives the reader what it has room for. Records that are not whole wait for more."""
        cdef Receiver receiver
        cdef Py_ssize_t room, size
        try:
            while not (self.is_paused or self.has_ended or self.receiver is None):
                receiver = self.receiver
                room = receiver.room()
                size = self.read_record(receiver.buffer(), room)
                if not size:            # the other side has ended TLS
                    self.end(None)
                    break
                receiver.take_read(size)
                if size < room and not self.incoming.pending and not self.has_eof:
                    break               # most often: cheaper than to be told so by an exception
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.end(error)
        if self.unwritten or self.outgoing.pending:
            self.encrypt()
        return 0


def wire_of(opened, poller, soon, broken):
    """A wire of an `opening.Opened`."""
    if opened.tls is None:
        return Wire(opened.socket, poller, soon, broken)
    return SecureWire(opened.socket, poller, soon, broken, opened.tls)
