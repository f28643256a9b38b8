"""A socket that is read and written by the thread that uses it, with or without TLS.

To a `Conversation` and its reader it is what a transport of asyncio's is.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .poller import READ, WRITE, Poller

_CIPHERTEXT = 256 * 1024  # bytes of one read


@dataclass
class Tls:
    """One side of TLS, between two buffers of what is on the wire. Its handshake is over."""

    object: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


class Wire:
    """``soon(function)`` has something called in a moment, when nothing of this is running."""

    def __init__(
        self,
        connected: socket.socket,
        poller: Poller,
        soon: Callable[[Callable[[], object]], object],
    ) -> None:
        connected.setblocking(False)
        self.fd = connected.fileno()
        self._socket = connected
        self._poller = poller
        self._soon = soon
        self._reader: Any = None  # a FrameReader
        self._unsent = bytearray()
        self._is_paused = self._has_ended = False
        self._error: OSError | None = None

    # what a conversation and its reader want

    def set_protocol(self, protocol: Any) -> None:
        self._reader = protocol
        self._watch()

    def pause_reading(self) -> None:
        self._is_paused = True
        self._watch()

    def resume_reading(self) -> None:
        self._is_paused = False
        self._watch()

    def write(self, data: bytes) -> None:
        if not self._has_ended:
            self._unsent += data
            self._flush()

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def abort(self) -> None:
        self._end(None)

    # what the loop calls

    def ready(self) -> None:
        """It can be read or written, or has ended."""
        if self._unsent:
            self._flush()
        if not self._is_paused and not self._has_ended:
            try:
                self._read()
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._end(error)

    def _watch(self) -> None:
        """Tells the poller what is wanted. An end is seen by those only who read or write."""
        if self._has_ended:
            return
        reads = self._reader is not None and not self._is_paused
        events = (READ if reads else 0) | (WRITE if self._unsent else 0)
        if events:
            self._poller.want(self.fd, events)
        else:
            self._poller.forget(self.fd)

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._end(error)
        self._watch()

    def _read(self) -> None:
        size = self._socket.recv_into(self._reader.get_buffer(-1))
        if size:
            self._reader.buffer_updated(size)
        else:
            self._end(None)

    def _end(self, error: OSError | None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._error = error
        self._poller.forget(self.fd)  # before another socket has its number
        self._socket.close()
        self._soon(self._tell_end)

    def _tell_end(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.connection_lost(self._error)


class SecureWire(Wire):
    """The same with TLS. The socket is read in large pieces, whatever the size of its records."""

    def __init__(
        self,
        connected: socket.socket,
        poller: Poller,
        soon: Callable[[Callable[[], object]], object],
        tls: Tls,
    ) -> None:
        super().__init__(connected, poller, soon)
        self._tls = tls
        self._ciphertext = memoryview(bytearray(_CIPHERTEXT))

    def set_protocol(self, protocol: Any) -> None:
        super().set_protocol(protocol)
        self._soon(self._decrypt)  # what came with the handshake

    def resume_reading(self) -> None:
        super().resume_reading()
        self._soon(self._decrypt)  # what was read before the reading was paused

    def write(self, data: bytes) -> None:
        if self._has_ended:
            return
        try:
            self._tls.object.write(data)
        except ssl.SSLError as error:
            self._end(error)
        else:
            super().write(self._tls.outgoing.read())

    def _read(self) -> None:
        size = self._socket.recv_into(self._ciphertext)
        if size:
            self._tls.incoming.write(self._ciphertext[:size])
        else:
            self._tls.incoming.write_eof()
        self._decrypt()

    def _decrypt(self) -> None:
        """Gives the reader what it has room for. Records that are not whole wait for more."""
        tls, incoming = self._tls.object, self._tls.incoming
        try:
            while not (self._is_paused or self._has_ended or self._reader is None):
                room = self._reader.get_buffer(-1)
                size = tls.read(len(room), room)  # of one record, at most
                if not size:  # the other side has ended TLS
                    self._end(None)
                    break
                self._reader.buffer_updated(size)
                if not incoming.pending and not tls.pending() and not incoming.eof:
                    break  # most often: cheaper than to be told so by an exception
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._end(error)
        if self._tls.outgoing.pending:  # what TLS itself has to say, such as new keys
            super().write(self._tls.outgoing.read())
