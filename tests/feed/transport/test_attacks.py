"""A feed under attack: every wait ends, every error reaches somebody, every buffer has a bound."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import socket
import struct
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import vectors
from raw_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Script,
    accept,
    acknowledge,
    for_ever,
    read_frame,
    scripted,
    upgrade,
    wire,
)  # fmt: skip
from rss import memory
from shells import SHELLS

from binance_sbe import FeedError, connect
from binance_sbe.commands import doctor
from binance_sbe.feed.engine import Engine
from binance_sbe.feed.protocol.supervisor import Supervisor
from binance_sbe.feed.remarks import Remarks
from binance_sbe.feed.transport import dialing
from binance_sbe.feed.transport.connections import Connections
from binance_sbe.feed.transport.websocket import Transport
from binance_sbe.simulator import Exchange

CLOSES_WITHIN = 5.0  # seconds: two for each side to answer, and some for a slow machine


@pytest.fixture(autouse=True)
def nothing_is_left_over(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task's exception is dropped: asyncio would say so when it is collected."""
    caplog.set_level(logging.WARNING)
    yield
    gc.collect()
    assert [r.message for r in caplog.records if r.name == "asyncio"] == []


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await for_ever()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def answers_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await upgrade(reader))[:-10])
    await for_ever()


async def sends_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A refusal whose body does not end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 no\r\n\r\n")
    while True:
        writer.write(b"x" * 1000)
        await asyncio.sleep(0.01)


async def does_not_acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await upgrade(reader))
    await for_ever()


async def falls_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """It does not read either, and answers no close."""
    await accept(reader, writer)
    writer.write(wire(BINARY, vectors.next_trade()))
    await for_ever()


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await accept(reader, writer)
    while True:
        writer.write(b"".join(wire(BINARY, vectors.next_trade()) for _ in range(100)))
        await writer.drain()


async def floods_amid_a_message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await accept(reader, writer)
    writer.write(wire(BINARY, b"part", fin=False))
    await for_ever()


OPENING: dict[str, Script] = {
    "silent": says_nothing,
    "gone": hangs_up,
    "half an answer": answers_half,
    "an endless body": sends_a_body,
    "no acknowledgement": does_not_acknowledge,
}
OPEN: dict[str, Script] = {
    "silent": falls_silent, "flood": floods, "amid a message": floods_amid_a_message,
}  # fmt: skip


async def closed_in_time(feed: Any) -> None:
    started = time.monotonic()
    async with asyncio.timeout(CLOSES_WITHIN):
        await feed.close()
    assert time.monotonic() - started < CLOSES_WITHIN


@SHELLS
@pytest.mark.parametrize("phase", OPENING)
def test_opening_ends_by_its_time_out_whatever_the_other_side_does(
    phase: str, connect: Any
) -> None:
    async def work() -> None:
        async with scripted(OPENING[phase]) as url:
            feed = connect(
                "btcusdt@trade", url=url, api_key="k", open_timeout=0.5, reply_timeout=0.5
            )
            async with asyncio.timeout(10):
                with pytest.raises(FeedError):
                    await feed.__aenter__()
            await closed_in_time(feed)

    asyncio.run(work())


@pytest.mark.parametrize("phase", OPENING)
def test_opening_ends_when_it_is_cancelled_or_the_feed_is_closed(phase: str) -> None:
    async def work(how: str) -> None:
        async with scripted(OPENING[phase]) as url:
            feed = connect("btcusdt@trade", url=url, api_key="k")
            opening = asyncio.create_task(feed.__aenter__())
            await asyncio.sleep(0.2)
            if how == "cancelled":
                opening.cancel()
            else:
                await closed_in_time(feed)
            async with asyncio.timeout(CLOSES_WITHIN):
                await asyncio.wait([opening])
            assert opening.cancelled() or isinstance(opening.exception(), FeedError)

    for how in ("cancelled", "closed"):
        asyncio.run(work(how))


@SHELLS
@pytest.mark.parametrize("phase", OPEN)
@pytest.mark.parametrize("size", [5, 1_000_000], ids=["full", "not full"])
def test_a_feed_closes_in_time_whatever_its_connection_does(
    phase: str, size: int, connect: Any
) -> None:
    async def work() -> None:
        async with scripted(OPEN[phase]) as url:
            feed = connect("btcusdt@trade", url=url, api_key="k", max_queue=size)
            await feed.__aenter__()
            await asyncio.sleep(0.3)
            assert feed.waiting <= size
            await closed_in_time(feed)
            left = [message async for message in feed]
            assert len(left) <= size

    asyncio.run(work())


@SHELLS
@pytest.mark.parametrize("phase", [*OPENING, *OPEN])
@pytest.mark.parametrize("size", [5, 1_000_000], ids=["full", "not full"])
def test_a_feed_closes_in_time_amid_a_renewal(phase: str, size: int, connect: Any) -> None:
    """The successor is in that phase; the connection before it floods."""
    successor = (OPENING | OPEN)[phase]

    async def work() -> None:
        async with scripted(floods, successor) as url:
            feed = connect("btcusdt@trade", url=url, api_key="k", max_queue=size, open_timeout=1.0)
            await feed.__aenter__()
            feed.renew()
            await asyncio.sleep(0.5)
            assert feed.waiting <= size
            await closed_in_time(feed)

    asyncio.run(work())


@SHELLS
def test_a_close_that_the_other_side_does_not_answer_takes_two_seconds(connect: Any) -> None:
    async def work() -> None:
        async with scripted(falls_silent) as url:
            feed = connect("btcusdt@trade", url=url, api_key="k")
            await feed.__aenter__()
            started = time.monotonic()
            await feed.close()
            assert 1.5 < time.monotonic() - started < 4.0

    asyncio.run(work())


def test_a_close_that_is_cancelled_leaves_nothing_behind() -> None:
    async def work() -> None:
        async with scripted(falls_silent) as url:
            feed = connect("btcusdt@trade", url=url, api_key="k")
            await feed.__aenter__()
            closing = asyncio.create_task(feed.close())
            await asyncio.sleep(0.1)
            closing.cancel()
            await asyncio.wait([closing])
            await asyncio.sleep(0.1)
            ours = {asyncio.current_task()}
            left = [t for t in asyncio.all_tasks() - ours if "handle" not in repr(t.get_coro())]
            assert left == []
            await closed_in_time(feed)

    asyncio.run(work())


# errors of ours, or of what we call


ERRORS: dict[str, tuple[Any, str]] = {
    "opening": (Transport, "open"),
    "text": (Engine, "text"),
    "pings": (Engine, "sign"),
    "the end of a connection": (Connections, "_on_lost"),
    "what is drained": (Engine, "drained"),
    "actions": (Engine, "_do"),
    "sending": (Transport, "send"),
    "remarks": (Remarks, "look"),
    "the clock": (Supervisor, "tick"),
    "deadlines": (Supervisor, "deadline"),
    "what waits": (Engine, "release"),
    "an ended connection": (Engine, "_leave"),
    "closing": (Transport, "close"),
}


@pytest.mark.parametrize("where", ERRORS)
def test_an_error_in_any_task_or_callback_is_told_and_ends_or_is_mended(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner, name = ERRORS[where]
    right = getattr(owner, name)
    broken = [False]
    calls = [0]

    def wrong(*arguments: Any, **options: Any) -> Any:
        if broken[0]:
            calls[0] += 1
            raise RuntimeError("an error of the test's")
        return right(*arguments, **options)

    monkeypatch.setattr(owner, name, wrong)

    async def work() -> None:
        async with Exchange(["btcusdt"], rate=300.0, ping_interval=0.2) as exchange:
            feed = connect("btcusdt@trade", "btcusdt@depth", url=exchange.url, api_key="k")
            await feed.__aenter__()
            broken[0] = True
            with contextlib.suppress(FeedError):
                feed.renew()
                for _ in range(3):
                    await asyncio.sleep(0.3)
                    for client in list(exchange._connections):
                        if where in ("the end of a connection", "what is drained",
                                     "an ended connection", "opening"):  # fmt: skip
                            client.transport.abort()
            said = [r for r in caplog.records if r.exc_info]
            if where != "closing":
                assert calls[0] >= 1
                assert any("an error of the test's" in str(r.exc_info[1]) for r in said)
            if feed._connections.engine.is_over:
                with pytest.raises(FeedError, match="an error of the test's"):
                    _ = [message async for message in feed]
            broken[0] = False
            async with asyncio.timeout(CLOSES_WITHIN):
                await feed.close()

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_proxy_without_its_package_is_an_error_and_no_stall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOCKS_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")

    async def work() -> None:
        with pytest.raises(FeedError):
            await connect("btcusdt@trade", url="ws://example.invalid:1", api_key="k").__aenter__()

    asyncio.run(asyncio.wait_for(work(), 20))


# bounds


@SHELLS
def test_the_limit_holds_while_a_new_connection_floods_before_it_answers(connect: Any) -> None:
    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        await asyncio.sleep(0.1)

    async def then(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await upgrade(reader))
        for _ in range(300):
            writer.write(b"".join(wire(BINARY, vectors.next_trade()) for _ in range(100)))
            await writer.drain()
        await for_ever()

    async def work() -> None:
        async with (
            scripted(first, then) as url,
            connect("btcusdt@trade", url=url, api_key="k", max_queue=50) as feed,
        ):
            await asyncio.sleep(1.5)
            assert feed.ledger.connections_count == 2
            assert feed.waiting == feed.stats.frames == 50

    asyncio.run(work())


@SHELLS
def test_replies_are_heard_though_the_consumer_takes_nothing(connect: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        for i in range(40):
            writer.write(wire(BINARY, vectors.next_trade()) * 3 + wire(PING, bytes([i])))
        pongs = []
        names: list[str] = []
        while len(pongs) < 40 or not names:
            kind, payload = await read_frame(reader)
            if kind == 10:
                pongs.append(payload[0])
            elif kind == TEXT:
                request = json.loads(payload)
                names = request["params"]
                answer = json.dumps({"result": None, "id": request["id"]}).encode()
                writer.write(wire(BINARY, vectors.next_trade()) + wire(TEXT, answer))
        assert pongs == list(range(40))
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k", max_queue=7) as feed,
        ):
            await asyncio.sleep(0.2)
            assert feed.waiting == 7
            await feed.subscribe("ethusdt@trade")
            assert feed.streams == ["btcusdt@trade", "ethusdt@trade"]
            assert feed.waiting == 7

    asyncio.run(work())


@SHELLS
@pytest.mark.parametrize("words", [b"\x03", b"\x03\xe8\xff", b"\x00\x05"])
def test_a_bad_close_frame_behind_what_waits_is_an_end_too(words: bytes, connect: Any) -> None:
    """It is read when the socket has ended, and not by websockets."""

    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        frames = b"".join(wire(BINARY, vectors.next_trade()) for _ in range(9))
        writer.write(frames + wire(CLOSE, words))
        await writer.drain()
        await asyncio.sleep(0.1)

    async def work() -> None:
        async with (
            scripted(ends, falls_silent) as url,
            connect("btcusdt@trade", url=url, api_key="k", max_queue=5) as feed,
        ):
            await asyncio.sleep(0.3)
            async with asyncio.timeout(5):
                for _ in range(10):
                    await anext(feed)
            assert str(feed.ledger.connections[0].cause).startswith("the connection was lost: ")
            assert feed.ledger.holes_count == 0

    asyncio.run(work())


@pytest.mark.parametrize("error", [ValueError("x" * 200), ValueError("\udc80")])
@pytest.mark.parametrize("size", [5, 1000], ids=["full", "not full"])
def test_an_error_of_ours_ends_a_connection_whatever_it_says(
    error: Exception, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is longer than a close frame, or no text of one; and nobody else is told of it."""
    ends: list[bytes] = []

    def fails(*_: object) -> None:
        raise error

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(b"".join(wire(BINARY, vectors.next_trade()) for _ in range(9)))
        writer.write(wire(PING, b""))
        kind = PING
        while kind != CLOSE:
            kind, payload = await read_frame(reader)
        ends.append(payload)

    async def work() -> None:
        async with (
            scripted(script, falls_silent) as url,
            connect("btcusdt@trade", url=url, api_key="k", max_queue=size) as feed,
        ):
            await asyncio.sleep(0.2)
            async with asyncio.timeout(5):
                while len(feed.ledger.connections) < 2 or not feed.ledger.holes_count:
                    await anext(feed)
                    if size == 1000 and len(feed.ledger.connections) == 2:
                        break
            cause = feed.ledger.connections[0].cause
            assert str(cause).startswith("the connection was lost: ValueError: ")

    monkeypatch.setattr(Engine, "sign", fails)
    asyncio.run(work())
    assert ends == [b"\x03\xf3an error of the client's"]


@SHELLS
def test_what_no_consumer_lets_through_is_said(connect: Any) -> None:
    """The reply is behind more than is read ahead."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(b"".join(wire(BINARY, vectors.next_trade()) for _ in range(20_000)))
        await acknowledge(reader, writer)
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k", max_queue=5, reply_timeout=0.5) as feed,
        ):
            await asyncio.sleep(0.2)
            with pytest.raises(FeedError, match="waits behind frames that the consumer does not"):
                await feed.subscribe("ethusdt@trade")
            assert feed.reconnects == 0
            taken = 0
            async for _ in feed:
                taken += 1
                if taken == 20_000:
                    break
            await asyncio.sleep(0.1)
            assert feed.streams == ["btcusdt@trade", "ethusdt@trade"]

    asyncio.run(work())


ATTACKS = {
    "pings whose pongs are not read": (wire(PING, bytes(125)) * 500, "does not read what it is"),
    "empty fragments without end": (
        wire(CONTINUATION, b"", fin=False) * 1000, "control frames and fragments in a second",
    ),
    "texts without end": (wire(TEXT, b"what?") * 1000, "control frames and fragments in a second"),
}  # fmt: skip


@SHELLS
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_has_no_end_is_bounded_and_ends_with_a_reason(
    attack: str, caplog: pytest.LogCaptureFixture, connect: Any
) -> None:
    content, reason = ATTACKS[attack]
    sent = [0]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket_ = writer.get_extra_info("socket")
        await accept(reader, writer)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if attack == "empty fragments without end":
            writer.write(wire(BINARY, b"", fin=False))
        while sent[0] < 300:
            writer.write(content)
            await writer.drain()
            sent[0] += 1
            if "pongs" in attack:
                await asyncio.sleep(0.11)  # not too many of them in a second
        await for_ever()

    async def work() -> None:
        before = memory()
        async with scripted(script) as url:
            feed = connect("btcusdt@trade", url=url, api_key="k", reconnect=False)
            async with feed:
                async with asyncio.timeout(20):
                    with pytest.raises(FeedError, match=reason):
                        await anext(feed)
        assert memory() - before < 16 << 20

    asyncio.run(work())
    assert len([r for r in caplog.records if r.name.startswith("binance_sbe")]) < 60


@SHELLS
def test_a_message_in_fragments_without_end_is_refused(connect: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(wire(BINARY, b"x", fin=False))
        for _ in range(20):
            writer.write(wire(CONTINUATION, b"x", fin=False) * 900)
            await asyncio.sleep(0.15)
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k", reconnect=False) as feed,
        ):
            async with asyncio.timeout(20):
                with pytest.raises(FeedError, match="a message in more than 16,384 fragments"):
                    await anext(feed)

    asyncio.run(work())


@SHELLS
def test_300_000_symbols_that_nobody_asked_for_cost_no_memory(connect: Any) -> None:
    head, tail = vectors.TRADES[:-8], vectors.TRADES[-8:]
    assert tail == b"\x07BTCUSDT"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        for number in range(0, 300_000, 1000):
            frames = (head + b"\x07%07d" % i for i in range(number, number + 1000))
            writer.write(b"".join(wire(BINARY, frame) for frame in frames))
            await writer.drain()
        await for_ever()

    async def work() -> None:
        async with (
            scripted(script) as url,
            connect("btcusdt@trade", url=url, api_key="k") as feed,
        ):
            before = memory()
            rows = 0
            async for batch in feed.batches(max_messages=1000):
                rows += len(batch)
                if rows == 300_000:
                    break
            assert memory() - before < 24 << 20
            assert set(feed.ledger.streams) <= {"btcusdt@trade"}
            assert feed.ledger.strays_count == 300_000
            assert len(feed.ledger.strays) == 100

    asyncio.run(work())


# consumers


def test_a_second_consumer_is_refused_with_a_sentence() -> None:
    async def work() -> None:
        async with (
            Exchange(["btcusdt"], rate=1e-9) as exchange,
            connect("btcusdt@trade", url=exchange.url, api_key="k") as feed,
        ):
            first = asyncio.create_task(anext(feed))
            await asyncio.sleep(0.05)
            with pytest.raises(RuntimeError, match="a feed has one consumer"):
                await anext(feed)
            with pytest.raises(RuntimeError, match="a feed has one consumer"):
                await anext(feed.batches())
            exchange.send("btcusdt@trade", vectors.next_trade())
            assert (await first).symbol == "BTCUSDT"
            slow = asyncio.create_task(anext(feed.batches(max_delay=0.5)))
            exchange.send("btcusdt@trade", vectors.next_trade())
            await asyncio.sleep(0.2)
            with pytest.raises(RuntimeError, match="a feed has one consumer"):
                await anext(feed.batches())
            assert len(await slow) == 1
            exchange.send("btcusdt@trade", vectors.next_trade())
            assert (await anext(feed)).symbol == "BTCUSDT"

    asyncio.run(asyncio.wait_for(work(), 20))


def test_a_feed_that_is_dropped_warns_and_ends() -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            feed = connect("btcusdt@trade", url=exchange.url, api_key="k")
            await feed.__aenter__()
            assert len(exchange._connections) == 1
            with pytest.warns(ResourceWarning, match=r"<Feed ws://.*was dropped and not closed"):
                feed = None  # type: ignore[assignment]
            for _ in range(50):
                await asyncio.sleep(0.05)
                if not exchange._connections:
                    break
            assert not exchange._connections
            await asyncio.sleep(0.1)
            names = [repr(task.get_coro()) for task in asyncio.all_tasks()]
            assert not [name for name in names if "Connections" in name]

    asyncio.run(asyncio.wait_for(work(), 20))


def test_a_feed_that_was_closed_or_never_opened_is_dropped_without_a_word() -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                connect("btcusdt@trade", url=exchange.url, api_key="k")
                async with connect("btcusdt@trade", url=exchange.url, api_key="k"):
                    pass
                gc.collect()

    asyncio.run(asyncio.wait_for(work(), 20))


# addresses


@contextlib.contextmanager
def dead_port() -> Iterator[int]:
    """A port that swallows what comes: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.2", 0))
        dead.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(dead.getsockname())
        yield dead.getsockname()[1]


def test_a_dead_first_address_costs_a_quarter_of_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        with dead_port() as port:
            async with Exchange(["btcusdt"], port=port) as exchange:
                loop = asyncio.get_running_loop()

                async def addresses(*_: object, **__: object) -> list[Any]:
                    found = [("127.0.0.2", port), ("127.0.0.1", port)]
                    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in found]

                monkeypatch.setattr(loop, "getaddrinfo", addresses)
                url = f"ws://two.addresses.test:{exchange.port}"
                started = time.monotonic()
                async with connect("btcusdt@trade", url=url, api_key="k", open_timeout=5) as feed:
                    assert 0.2 < time.monotonic() - started < 2.0
                    await anext(feed)
                monkeypatch.setattr(doctor, "_ADDRESS_SECONDS", 0.5)
                told = await doctor._host(doctor.Patient(url=url))
                assert "127.0.0.2 does not (no answer), 127.0.0.1 answers in " in told

    asyncio.run(asyncio.wait_for(work(), 20))


@SHELLS
def test_a_reply_that_goes_to_the_end_of_the_buffer_is_understood(connect: Any) -> None:
    """Frames of all lengths around the buffer's size, with a slow consumer."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        for size in (65_535, 65_536, 200_000, 262_144, 262_145, 300_000):
            writer.write(wire(BINARY, bytes(size)) + wire(BINARY, vectors.next_trade()))
        writer.write(wire(CLOSE, struct.pack(">H", 1001)))
        await for_ever()

    async def work() -> None:
        async with scripted(script) as url:
            feed = connect(
                "btcusdt@trade", url=url, api_key="k", max_queue=1, on_error="collect",
                reconnect=False,
            )  # fmt: skip
            got = 0
            async with feed:
                with contextlib.suppress(FeedError):
                    async for _ in feed:
                        got += 1
                        await asyncio.sleep(0.02)
                        assert feed.waiting <= 1
            assert (got, len(feed.errors)) == (6, 6)

    asyncio.run(asyncio.wait_for(work(), 30))


def test_dialing_leaves_no_socket_behind_whenever_it_is_cancelled() -> None:
    """Also where another address was faster, and where none answers."""

    async def work() -> None:
        with dead_port() as port:
            async with Exchange(["btcusdt"], port=port) as exchange:
                loop = asyncio.get_running_loop()
                found = [("127.0.0.2", port), ("127.0.0.1", port), ("127.0.0.1", port)]
                places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in found]

                async def addresses(*_: object, **__: object) -> list[Any]:
                    return list(places)

                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(loop, "getaddrinfo", addresses)
                    patched.setattr(dialing, "NEXT_ADDRESS_SECONDS", 0.001)
                    for steps in range(30):
                        task = asyncio.create_task(dialing.dialed("x", port))
                        for _ in range(steps):
                            await asyncio.sleep(0.0002)
                        task.cancel()
                        await asyncio.wait([task])
                        if not task.cancelled():
                            task.result().close()
                    places[:] = places[:1]
                    task = asyncio.create_task(dialing.dialed("x", port))
                    await asyncio.sleep(0.05)
                    task.cancel()
                    await asyncio.wait([task])
                    nowhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]
                    places[:] = nowhere * 2
                    with pytest.raises(ConnectionRefusedError):
                        await dialing.dialed("x", 1)
                gc.collect()  # a socket that is open still warns, which is an error here
                assert exchange.port == port

    asyncio.run(asyncio.wait_for(work(), 20))


def test_addresses_of_both_families_take_turns() -> None:
    places: Any = [(family, 1, 6, "", number) for number, family in enumerate([10, 10, 10, 2, 2])]
    assert [each[4] for each in dialing.in_turns(places)] == [0, 3, 1, 4, 2]


@SHELLS
def test_messages_go_on_though_rows_that_nobody_takes_are_left_over(connect: Any) -> None:
    """Of many more messages than may be held, with as many rows in the way."""

    async def work() -> None:
        async with (
            Exchange(["btcusdt"], rate=1e-9) as exchange,
            connect("btcusdt@trade", url=exchange.url, api_key="k", max_queue=20) as feed,
        ):
            batches = feed.batches(max_messages=5, max_delay=0.01)
            for _ in range(200):
                exchange.send("btcusdt@trade", vectors.next_trade())
            assert len(await anext(batches)) == 5
            await asyncio.sleep(0.1)
            await batches.aclose()
            left = feed._backlog.batches.rows
            assert left >= 15
            for _ in range(200 - 5 - left):
                assert (await anext(feed)).symbol == "BTCUSDT"
            assert feed.waiting == left

    asyncio.run(asyncio.wait_for(work(), 10))
