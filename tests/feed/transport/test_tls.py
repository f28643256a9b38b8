"""TLS of both shells: records of any size, cut anywhere, ended in any way, and whom to trust."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
import vectors
from beside import nothing_left
from raw_server import BINARY, CLOSE, PING, TEXT, wire
from shells import EACH_SHELL, Opened
from shells import opened as opened
from websockets.server import ServerProtocol

from binance_sbe.errors import ConnectionLost, Unreachable

TRADES = "btcusdt@trade"
END = wire(CLOSE, struct.pack(">H", 1001))


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    made = ssl.create_default_context()
    authority.configure_trust(made)
    return made


class Server:
    """One side of TLS, whose records are written as the test wants them; one connection."""

    def __init__(self, context: ssl.SSLContext, script: Callable[[Server], None]) -> None:
        self.context = context
        self.script = script
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(15)
        self.url = f"wss://127.0.0.1:{self.listening.getsockname()[1]}"
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.heard: list[bytes] = []  # what the client has said, after its first request
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.connection, _ = self.listening.accept()
            with self.connection:
                self.connection.settimeout(15)
                self.tls = self.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
                self.attempt(self.tls.do_handshake)
                self.flush()
                self.script(self)
        except BaseException as error:
            self.error = error

    def attempt(self, function: Callable[[], Any]) -> Any:
        while True:
            try:
                return function()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.connection.recv(65536)
                if not data:
                    raise EOFError from None
                self.incoming.write(data)

    def read(self) -> bytes:
        return bytes(self.attempt(lambda: self.tls.read(65536)))

    def records(self, *plain: bytes) -> bytes:
        """Each as a record of its own, or more where it is longer than one can be."""
        for each in plain:
            self.tls.write(each)
        return self.outgoing.read()

    def flush(self) -> None:
        if self.outgoing.pending:
            self.connection.sendall(self.outgoing.read())

    def send(self, *plain: bytes, cut: int = 0) -> None:
        data = self.records(*plain)
        for at in range(0, len(data), cut or len(data)):
            self.connection.sendall(data[at : at + (cut or len(data))])
            if cut:
                time.sleep(0.0005)

    def agreement(self) -> bytes:
        """The answer to the handshake."""
        protocol = ServerProtocol()
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.read()
        protocol.receive_data(request)
        (event,) = protocol.events_received()
        protocol.send_response(protocol.accept(event))  # type: ignore[arg-type]
        return b"".join(protocol.data_to_send())

    def asked(self) -> bytes:
        """Reads a request of the client's; the answer to it."""
        while True:
            frame = self.read()
            if frame[0] & 15 == TEXT:
                break
        at = 4 if frame[1] & 127 == 126 else 2
        mask, said = frame[at : at + 4], frame[at + 4 :]
        request = json.loads(bytes(b ^ mask[i % 4] for i, b in enumerate(said)))
        return wire(TEXT, json.dumps({"result": None, "id": request["id"]}).encode())

    def accept(self) -> None:
        self.send(self.agreement())
        self.send(self.asked())

    def rest(self) -> None:
        """Hears the client until it ends."""
        with contextlib.suppress(OSError, EOFError):
            while data := self.read():
                self.heard.append(data)


@contextlib.contextmanager
def served(authority: trustme.CA, script: Callable[[Server], None]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Server(context, script)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.listening.close()
        thread.join(15)
    if server.error is not None:
        raise server.error


def frames_of(count: int) -> list[bytes]:
    return [vectors.next_trade() for _ in range(count)]


def taken(feed: Any, count: int) -> list[bytes]:
    return [bytes(next(feed)) for _ in range(count)]


def given(server: Server, trusting: ssl.SSLContext, **more: Any) -> dict[str, Any]:
    return {"url": server.url, "api_key": "k", "ssl": trusting, "reconnect": False} | more


@EACH_SHELL
@pytest.mark.parametrize("max_queue", [3, 100_000], ids=["slow", "fast"])
@pytest.mark.parametrize("size", [1, 7, 60, 16_384, 1 << 20])
def test_records_may_be_of_any_size(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext, size: int, max_queue: int
) -> None:
    frames = frames_of(30 if size == 1 else 300 if size == 7 else 1500)
    data = b"".join(wire(BINARY, frame) for frame in frames)

    def script(server: Server) -> None:
        server.accept()
        server.send(*(data[at : at + size] for at in range(0, len(data), size)))
        server.rest()

    with (
        served(authority, script) as server,
        opened(TRADES, **given(server, trusting, max_queue=max_queue)) as feed,
    ):
        assert taken(feed, len(frames)) == frames
        assert feed.ledger.holes == []


@EACH_SHELL
@pytest.mark.parametrize("cut", [1, 3, 4, 5, 6, 29, 1000])
def test_records_may_be_cut_anywhere(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext, cut: int
) -> None:
    frames = frames_of(max(3, min(cut, 40)))

    def script(server: Server) -> None:
        server.accept()
        server.send(*(wire(BINARY, frame) for frame in frames), END, cut=cut)
        server.rest()

    with served(authority, script) as server, opened(TRADES, **given(server, trusting)) as feed:
        assert taken(feed, len(frames)) == frames
        with pytest.raises(ConnectionLost) as caught:
            next(feed)
        assert caught.value.code == 1001


@EACH_SHELL
@pytest.mark.parametrize("together", ["one record", "one read", "many records in one read"])
def test_frames_right_behind_the_agreement_are_read(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext, together: str
) -> None:
    """And nothing more comes until they are taken."""
    frames = frames_of(500)
    wires = [wire(BINARY, frame) for frame in frames]

    def script(server: Server) -> None:
        agreement = server.agreement()
        if together == "one record":
            server.send(agreement + b"".join(wires[:100]))
            wires[:100] = []
        elif together == "one read":
            server.send(agreement, b"".join(wires[:200]))
            wires[:200] = []
        else:
            server.send(agreement, *wires)
            wires.clear()
        server.send(server.asked(), *wires)
        server.rest()

    with served(authority, script) as server, opened(TRADES, **given(server, trusting)) as feed:
        assert taken(feed, 500) == frames


@EACH_SHELL
def test_what_waits_in_tls_while_the_reading_is_paused_comes(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """More than a buffer holds, in one go, and nothing comes after it that would wake anybody."""
    frames = frames_of(12_000)
    data = b"".join(wire(BINARY, frame) for frame in frames)
    assert len(data) > 2 * 256 * 1024

    def script(server: Server) -> None:
        server.accept()
        server.send(data)
        server.rest()

    with (
        served(authority, script) as server,
        opened(TRADES, **given(server, trusting, max_queue=10)) as feed,
    ):
        feed.wait(0.5)
        assert feed.waiting == 10
        assert taken(feed, len(frames)) == frames


@EACH_SHELL
def test_no_more_is_read_than_a_slow_consumer_takes(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """However often the reading stops and goes on; what the system buffers is not ours."""
    parts = [b"".join(wire(BINARY, frame) for frame in frames_of(3000)) for _ in range(100)]
    sent = 0

    def script(server: Server) -> None:
        nonlocal sent
        server.accept()
        with contextlib.suppress(OSError):  # the client has had enough
            for part in parts:
                server.send(part)
                sent += len(part)
        server.rest()

    with (
        served(authority, script) as server,
        opened(TRADES, **given(server, trusting, max_queue=100)) as feed,
    ):
        feed.wait(0.5)
        before = sent
        took = sum(len(each) for each in taken(feed, 20_000))
        assert sent - before < 3 * took < sum(map(len, parts)) / 2


@EACH_SHELL
def test_pings_are_answered_while_frames_wait(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    frames = frames_of(50)

    def script(server: Server) -> None:
        server.accept()
        server.send(*(wire(BINARY, each) for each in frames), *[wire(PING, b"")] * 5)
        server.rest()

    with (
        served(authority, script) as server,
        opened(TRADES, **given(server, trusting, max_queue=2)) as feed,
    ):
        feed.wait(0.4)
        assert feed.waiting == 2
        heard = b"".join(server.heard)
        assert [heard[at] for at in range(0, len(heard), 6)] == [0x8A] * 5
        assert taken(feed, 50) == frames


@EACH_SHELL
@pytest.mark.parametrize("max_queue", [2, 1000], ids=["slow", "fast"])
@pytest.mark.parametrize(
    "end", ["close_notify", "ragged", "reset", "reset at once", "amid a record"]
)
def test_all_that_came_before_the_end_is_there_however_it_ends(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext, end: str, max_queue: int
) -> None:
    frames = frames_of(100)
    read = threading.Event()

    def script(server: Server) -> None:
        server.accept()
        time.sleep(0.1)  # the client has heard that
        data = server.records(*(wire(BINARY, each) for each in frames))
        if end == "amid a record":
            data += server.records(wire(BINARY, vectors.next_trade()))[:-5]
        server.connection.sendall(data)
        if end != "reset at once":
            read.wait(10)
        if end == "close_notify":
            with contextlib.suppress(ssl.SSLError):
                server.tls.unwrap()
            server.flush()
        elif end.startswith("reset"):
            linger = struct.pack("ii", 1, 0)
            server.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with (
        served(authority, script) as server,
        opened(TRADES, **given(server, trusting, max_queue=max_queue)) as feed,
    ):
        if end == "reset at once":
            time.sleep(0.3)  # frames and the reset are there together
        feed.wait(0.2)
        read.set()
        feed.wait(0.2)
        assert taken(feed, 100) == frames
        with pytest.raises(ConnectionLost, match="no close frame came"):
            next(feed)
        assert feed.ledger.holes == []


@EACH_SHELL
def test_a_certificate_that_nobody_trusts_is_explained(
    opened: Opened, authority: trustme.CA
) -> None:
    def script(server: Server) -> None:
        server.rest()

    for context in (None, ssl.create_default_context()):
        with (
            contextlib.suppress(ssl.SSLError, EOFError, OSError),
            served(authority, script) as server,
            pytest.raises(Unreachable, match="the certificate is not good: is the clock"),
            opened(TRADES, url=server.url, api_key="k", ssl=context),
        ):
            pass


@EACH_SHELL
def test_a_certificate_for_another_host_is_refused(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("another.test").configure_cert(context)
    server = Server(context, lambda server: server.rest())
    thread = threading.Thread(target=server.run)
    thread.start()
    with (
        server.listening,
        pytest.raises(Unreachable, match="IP address mismatch.*the certificate is not good"),
        opened(TRADES, **given(server, trusting)),
    ):
        pass
    thread.join(10)


@EACH_SHELL
def test_a_server_that_speaks_no_tls_is_explained(opened: Opened, trusting: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            found, _ = listening.accept()
            with found:
                found.recv(65536)
                found.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"wss://127.0.0.1:{listening.getsockname()[1]}"
        with (
            pytest.raises(Unreachable, match="the other side does not speak TLS"),
            opened(TRADES, url=url, api_key="k", ssl=trusting),
        ):
            pass
        thread.join(10)


@EACH_SHELL
def test_random_pieces_come_whole(
    opened: Opened, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    chance = random.Random(7)
    frames = frames_of(3000)
    data = b"".join(
        wire(BINARY, frame) + (wire(PING, b"x") if chance.random() < 0.02 else b"")
        for frame in frames
    )

    def script(server: Server) -> None:
        server.accept()
        at = 0
        while at < len(data):
            size = chance.choice([1, 2, 60, 70, 500, 16_384, 40_000])
            server.send(data[at : at + size], cut=chance.choice([0, 0, 0, 1 + size // 3]))
            at += size
        server.rest()

    with (
        served(authority, script) as server,
        opened(TRADES, **given(server, trusting, max_queue=300)) as feed,
    ):
        assert taken(feed, 3000) == frames
