"""A socket with TLS, whose other side wants a new handshake in between, as TLS 1.2 has it."""

from __future__ import annotations

import socket
import ssl
from types import SimpleNamespace
from typing import Any

from fake_shell import Shell

from binance_sbe.feed.transport.poller import Poller
from binance_sbe.feed.transport.wire import SecureWire


class Amid:
    """In the place of an SSLObject: it takes nothing until something has come."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.incoming, self.outgoing = incoming, outgoing
        self.may_write = False

    def read(self, size: int, view: memoryview) -> int:
        if came := self.incoming.read():
            self.may_write = came == b"the end of it"
            if not self.may_write:
                self.outgoing.write(b"<handshake>")
        raise ssl.SSLWantReadError

    def write(self, data: Any) -> int:
        if not self.may_write:
            raise ssl.SSLWantReadError
        part = bytes(data[:3])  # any part of it
        self.outgoing.write(part)
        return len(part)


def test_what_is_written_amid_a_new_handshake_goes_out_after_it() -> None:
    here, there = socket.socketpair()
    poller, soon, broken = Poller(), [], []
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls: Any = SimpleNamespace(
        object=Amid(incoming, outgoing), incoming=incoming, outgoing=outgoing
    )
    wire = SecureWire(here, poller, soon.append, broken.append, tls)
    wire.set_protocol(Shell(9).reader)
    wire.write(b"a ping, ")
    wire.write(b"and a request")
    there.setblocking(False)
    assert wire.get_write_buffer_size() == len(b"a ping, and a request")
    there.send(b"the answer")
    poller.turn(5.0, spin=False)
    assert there.recv(100) == b"<handshake>"
    assert wire.get_write_buffer_size() == len(b"a ping, and a request")
    there.send(b"the end of it")
    poller.turn(5.0, spin=False)
    assert there.recv(100) == b"a ping, and a request"
    assert wire.get_write_buffer_size() == 0
    assert broken == []
    wire.abort()
    wire.write(b"nothing goes out any more")
    assert wire.get_write_buffer_size() == 0
    there.close()
