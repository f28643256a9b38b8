"""The transport, against a server that writes the bytes it is given: frames by RFC 6455."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import trustme
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from intake import intake
from raw_server import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Script, upgrade, wire

import binance_sbe
from binance_sbe.errors import Unreachable
from binance_sbe.feed.intake.backlog import Backlog
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.transport.websocket import Transport


class Got(NamedTuple):
    frames: list[bytes]
    texts: list[tuple[str, int]]  # with the number of frames before it
    signs: int
    lost: list[tuple[int | None, str]]
    answers: bytes  # what the server read, after the request
    backlog: Backlog


def fresh_backlog(limit: int = 1_000_000) -> Backlog:
    return intake(limit)[1]


@contextlib.asynccontextmanager
async def served(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a server of one connection, which has ended in the end."""
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await script(reader, writer)
        writer.close()
        ended.set()

    async with (
        asyncio.timeout(30),
        await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls) as server,
    ):
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await ended.wait()


async def receive(
    chunks: list[bytes],
    backlog: Backlog | None = None,
    head: int = 0,
    tls: ssl.SSLContext | None = None,
    on_text: Callable[[str], None] = lambda text: None,
) -> Got:
    """What comes out where a server writes these chunks, the first ``head`` along with its answer.

    The last is to end the connection, else the server does.
    """
    backlog = backlog or fresh_backlog()
    answers = b""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        writer.write(await upgrade(reader) + b"".join(chunks[:head]))
        for chunk in chunks[head:]:
            await writer.drain()
            await asyncio.sleep(0.001)
            writer.write(chunk)
        await writer.drain()
        reading = asyncio.create_task(reader.read())
        await asyncio.wait([reading], timeout=0.05)
        if writer.can_write_eof():
            writer.write_eof()
        else:  # TLS
            writer.close()
        answers = await reading

    texts: list[tuple[str, int]] = []
    signs: list[int] = []
    lost: list[tuple[int | None, str]] = []
    over = asyncio.Event()

    def end(code: int | None, reason: str) -> None:
        lost.append((code, reason))
        over.set()

    def hear(text: str) -> None:
        texts.append((text, backlog.pending))
        on_text(text)

    async with served(script, tls) as url:
        made = Transport(backlog, Source(), hear, lambda: signs.append(1), end)
        await made.open(url, "k", 10)
        await over.wait()
        await made.close()
    frames = [backlog.frames.popleft()[0] for _ in range(len(backlog.frames))]
    return Got(frames, texts, len(signs), lost, answers, backlog)


def code_of(answers: bytes) -> int:
    """Of the close frame that the client has sent, and nothing before it."""
    assert answers[:2] in {bytes([0x88, 0x80 | size]) for size in range(2, 126)}
    mask, said = answers[2:4], answers[6:8]
    return int.from_bytes(bytes(a ^ b for a, b in zip(said, mask, strict=True)), "big")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(marks) if a < b]


def bytes_of(size: int, seed: int = 0) -> bytes:
    return random.Random(size * 7 + seed).randbytes(size)


END = wire(CLOSE, struct.pack(">H", 1001) + b"over")
SIZES = st.sampled_from([0, 1, 2, 50, 60, 125, 126, 127, 300, 5000, 65535, 65536, 70_000, 300_000])
PLAIN = st.tuples(st.just("plain"), SIZES)
OTHERS = st.tuples(st.sampled_from(["text", "ping", "pong", "parts"]), st.integers(0, 125))


@settings(max_examples=60, deadline=None)
@given(
    sent=st.lists(st.one_of(PLAIN, PLAIN, OTHERS), max_size=12),
    places=st.lists(st.integers(0, 1 << 20), max_size=8),
    head=st.integers(0, 2),
)
def test_what_was_sent_arrives_whole_and_in_order(
    sent: list[tuple[str, int]], places: list[int], head: int
) -> None:
    data, frames, texts, signs = b"", [], [], 0
    for i, (what, size) in enumerate(sent):
        payload = bytes_of(size, i)
        match what:
            case "plain":
                data += wire(BINARY, payload)
                frames.append(payload)
            case "parts":
                middle = size // 2
                data += wire(BINARY, payload[:middle], fin=False) + wire(PING, b"amid")
                data += wire(CONTINUATION, b"", fin=False) + wire(CONTINUATION, payload[middle:])
                frames.append(payload)
                signs += 1
            case "text":
                data += wire(TEXT, payload.hex().encode())
                texts.append((payload.hex(), len(frames)))
            case _:
                data += wire(PING if what == "ping" else PONG, payload)
                signs += 1
    got = asyncio.run(receive(cut(data + END, places), head=head))
    assert got.frames == frames
    assert got.texts == texts
    assert got.signs == signs
    assert got.lost == [(1001, "over")]
    assert got.backlog.stats.frames == len(frames)
    assert got.backlog.stats.bytes == sum(map(len, frames))


def test_frames_may_be_cut_at_every_byte() -> None:
    """Of the first read, which came with the answer of the server, and of the next."""
    payloads = [bytes_of(3), bytes_of(200), bytes_of(66_000), bytes_of(5)]
    start = b"".join(wire(BINARY, payload) for payload in payloads[:2])
    data = start + wire(BINARY, payloads[2]) + wire(BINARY, payloads[3]) + wire(PING, b"x") + END
    heads = [*range(1, 14), *range(len(start) - 2, len(start) + 14), *range(-30, 0)]

    async def work() -> None:
        for place in heads:
            for head in (0, 1):
                got = await receive([data[:place], data[place:]], head=head)
                assert got.frames == payloads, (place, head)
                assert (got.signs, got.lost) == (1, [(1001, "over")])

    asyncio.run(work())


def test_rows_are_those_of_the_frames_however_they_come() -> None:
    frames = [vectors.next_trade() for _ in range(2000)]
    data = b"".join(
        wire(BINARY, frame) + (wire(PING, b"") if i % 100 == 5 else b"")
        for i, frame in enumerate(frames)
    )
    places = random.Random(5).sample(range(len(data)), 40)
    expected = binance_sbe.decode_many(frames)

    async def work() -> None:
        backlog = fresh_backlog()
        backlog.gather(1_000_000)
        await receive([*cut(data, places), END], backlog)
        batch = backlog.hand_over()
        assert batch.frame_count == len(frames)
        table = expected[binance_sbe.TradesStreamEvent]
        found = batch[binance_sbe.TradesStreamEvent].records
        for name in table.records.dtype.names:
            assert np.array_equal(found[name], table.records[name]), name

    asyncio.run(work())


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(made)
    return made


def test_the_same_comes_through_tls(
    authority: trustme.CA,
    context: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [bytes_of(size, 3) for size in (1, 60, 0, 65535, 200, 70_000, 3)] * 20
    data = b"".join(wire(BINARY, frame) for frame in frames)
    chunks = [*cut(data, random.Random(2).sample(range(len(data)), 30)), wire(PING, b"x"), END]
    with pytest.raises(Unreachable, match="the certificate is not good"):
        asyncio.run(receive(chunks, tls=context))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    got = asyncio.run(receive(chunks, tls=context))
    assert got.frames == frames
    assert (got.signs, got.lost) == (1, [(1001, "over")])


@pytest.mark.parametrize("rows", [False, True], ids=["frames", "rows"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_slow_consumer_gets_all_and_sees_the_end(
    rows: bool,
    secure: bool,
    authority: trustme.CA,
    context: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever TLS has read and not given by when the reading stops."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    count = 6000
    data = b"".join(wire(BINARY, vectors.next_trade()) for _ in range(count))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await upgrade(reader) + wire(PING, b""))
        await reader.read(6)  # the pong: by then the first read is over
        writer.write(data + END)
        await reader.read(6)

    async def work() -> int:
        backlog, over, got = fresh_backlog(100), asyncio.Event(), 0
        if rows:
            backlog.gather(50)
        async with served(script, context if secure else None) as url:
            made = Transport(backlog, Source(), lambda _: None, lambda: None, lambda *_: over.set())
            await made.open(url, "k", 10)
            while got < count:
                await asyncio.sleep(0.0005)
                if rows:
                    while backlog.batches.rows:
                        got += len(backlog.hand_over())
                else:
                    got += len(backlog.frames)
                    while len(backlog.frames):
                        backlog.frames.popleft()
                made.resume()
            await over.wait()
            await made.close()
        return got

    assert asyncio.run(work()) == count


@pytest.mark.parametrize("rest", [b"", wire(PING, b""), END, b"\xff\xff", wire(TEXT, b"\xff")])
def test_an_end_right_behind_the_agreement_is_told_after_the_opening(rest: bytes) -> None:
    async def work() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await upgrade(reader) + rest)

        lost: list[int | None] = []
        over = asyncio.Event()

        def end(code: int | None, reason: str) -> None:
            lost.append(code)
            over.set()

        async with served(script) as url:
            made = Transport(fresh_backlog(), Source(), str, bool, end)
            await made.open(url, "k", 10)
            assert not lost
            await over.wait()
            assert lost == [1001 if rest == END else None]
            await made.close()

    asyncio.run(work())


def test_a_connection_that_nobody_waits_for_any_more_is_ended() -> None:
    """Its server has answered when `open` was cancelled already."""
    ends: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = await upgrade(reader)
        await asyncio.sleep(0.2)
        writer.write(answer + GOOD)
        await asyncio.sleep(0.05)
        writer.write(GOOD)
        ends.append(await reader.read())

    async def work() -> None:
        backlog, lost = fresh_backlog(), list[int]()
        async with served(script) as url:
            made = Transport(
                backlog, Source(), lambda _: None, lambda: None, lambda *_: lost.append(1)
            )
            opening = asyncio.create_task(made.open(url, "k", 10))
            await asyncio.sleep(0.1)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            await made.close()
        assert (backlog.pending, lost) == (0, [])

    asyncio.run(work())
    assert ends in ([], [b""])


GOOD = wire(BINARY, b"before")


@pytest.mark.parametrize("limit", [2, 100], ids=["held", "at once"])
def test_an_error_of_who_hears_text_ends_the_connection(limit: int) -> None:
    """Where the backlog is full the text is heard later; the end is told whatever happens."""

    def fail(text: str) -> None:
        raise RuntimeError(f"no ear for {text}")

    async def work() -> None:
        backlog, over, lost = fresh_backlog(limit), asyncio.Event(), list[tuple[int | None, str]]()

        def end(code: int | None, reason: str) -> None:
            lost.append((code, reason))
            over.set()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await upgrade(reader) + wire(PING, b""))
            await reader.read(6)
            writer.write(GOOD + GOOD + wire(TEXT, b"this") + GOOD)
            await asyncio.sleep(0.02)
            writer.write(GOOD)
            await reader.read(6)

        async with served(script) as url:
            made = Transport(backlog, Source(), fail, lambda: None, end)
            await made.open(url, "k", 10)
            await asyncio.sleep(0.1)
            assert [backlog.frames.popleft()[0] for _ in range(2)] == [b"before"] * 2
            made.resume()
            await over.wait()
            await made.close()
        assert lost == [(None, "RuntimeError: no ear for this")]
        assert backlog.pending == 0

    asyncio.run(work())


def test_what_was_too_long_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    from binance_sbe.feed.transport import upgrade

    monkeypatch.setattr(upgrade, "_MAX_FRAME", 100_000)
    chunks = [GOOD, wire(BINARY, bytes(100_001)) + GOOD, GOOD, wire(TEXT, b"late")]
    got = asyncio.run(receive(chunks))
    assert (got.frames, got.texts) == ([b"before"], [])
    assert code_of(got.answers) == 1009


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 5000, 65535])
def test_codes_that_there_are_not_break_the_rules(code: int) -> None:
    got = asyncio.run(receive([GOOD, wire(CLOSE, struct.pack(">H", code))]))
    assert code_of(got.answers) == 1002
    assert got.lost[0][0] is None


@pytest.mark.parametrize("kind", [BINARY, TEXT])
def test_a_close_amid_a_message_is_answered_as_any_other(kind: int) -> None:
    """It is no fault (5.4), but what was cut off has not come whole."""
    begun = wire(kind, b"begun", fin=False)
    got = asyncio.run(receive([GOOD, begun + END + wire(CONTINUATION, b"late") + GOOD]))
    assert (got.frames, got.texts) == ([b"before"], [])
    assert code_of(got.answers) == 1001
    assert got.lost == [(None, "the other side closed amid a message")]
    got = asyncio.run(receive([GOOD, begun + wire(CLOSE, b"\0\5")]))
    assert code_of(got.answers) == 1002


def test_a_close_without_a_code_is_1005() -> None:
    got = asyncio.run(receive([GOOD, wire(CLOSE, b"")]))
    assert got.frames == [b"before"]
    assert got.lost == [(1005, "")]
    assert got.answers[:2] == b"\x88\x80" or code_of(got.answers) == 1000


def test_the_answers_to_our_own_pings_are_signs() -> None:
    async def work() -> None:
        signs = asyncio.Semaphore(0)

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await upgrade(reader) + GOOD)
            while head := await reader.read(2):
                mask = await reader.readexactly(4)
                content = await reader.readexactly(head[1] & 0x7F)
                content = bytes(b ^ mask[i % 4] for i, b in enumerate(content))
                kind = head[0] & 15
                writer.write(wire(PONG if kind == PING else CLOSE, content))
                if kind == CLOSE:
                    return

        async with served(script) as url:
            made = Transport(
                fresh_backlog(), Source(), lambda _: None, signs.release, lambda *_: None
            )
            await made.open(url, "k", 10)
            for _ in range(2):
                made.ping()
                await asyncio.wait_for(signs.acquire(), 5)
            await made.close()

    asyncio.run(work())


def test_connections_that_have_ended_leave_nothing_to_the_collector() -> None:
    """A buffer of 128 KiB each would wait for it."""

    def readers() -> int:
        return sum(type(each).__name__ == "FrameReader" for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = readers()
        for _ in range(5):
            asyncio.run(receive([GOOD, END]))
        assert readers() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("first", [b"", GOOD, GOOD * 300])
def test_nothing_counts_that_comes_after_the_end(first: bytes) -> None:
    got = asyncio.run(receive([GOOD, first + END + GOOD + wire(PING, b""), GOOD]))
    assert got.frames == [b"before"] * (1 + first.count(GOOD))
    assert (got.signs, got.lost) == (0, [(1001, "over")])


FAULTS = {
    "masked": (wire(BINARY, b"no", mask=b"abcd"), 1002),
    "masked, and long": (wire(BINARY, bytes(200), mask=b"abcd"), 1002),
    "a reserved bit": (wire(BINARY, b"no", bits=4), 1002),
    "a reserved bit of text": (wire(TEXT, b"no", bits=1), 1002),
    "an opcode that there is not": (wire(3, b"no"), 1002),
    "a control frame in parts": (wire(PING, b"no", fin=False), 1002),
    "a long control frame": (wire(PING, bytes(126)), 1002),
    "a continuation of nothing": (wire(CONTINUATION, b"no"), 1002),
    "a message amid another": (wire(BINARY, b"no", fin=False) + wire(BINARY, b"no"), 1002),
    "text amid another": (wire(BINARY, b"no", fin=False) + wire(TEXT, b"no"), 1002),
    "text that is not UTF-8": (wire(TEXT, b"\xff"), 1007),
    "a length over 63 bits": (b"\x82\x7f" + b"\xff" * 8, 1002),
    "more than is allowed": (b"\x82\x7f" + struct.pack(">Q", (16 << 20) + 1), 1009),
    "more than is allowed, in parts": (
        wire(BINARY, bytes(16 << 20), fin=False) + wire(CONTINUATION, b"n"), 1009,
    ),
}  # fmt: skip


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks_the_rules_ends_the_connection(fault: str, late: bool) -> None:
    bad, code = FAULTS[fault]
    after = wire(BINARY, b"after")
    chunks = [GOOD, GOOD + bad, after] if late else [GOOD + bad + after]
    got = asyncio.run(receive(chunks))
    assert got.frames == [b"before"] * (2 if late else 1)
    assert len(got.lost) == 1
    assert got.lost[0][0] is None
    assert code_of(got.answers) == code


def test_an_error_of_ours_ends_the_connection_and_is_told() -> None:
    """The reader is the socket's protocol: asyncio must not see it fail."""

    def fail() -> None:
        raise RuntimeError("the consumer's waker failed")

    _, backlog = intake(10, wake=fail)
    got = asyncio.run(receive([wire(PING, b""), GOOD, GOOD], backlog))
    assert got.lost == [(None, "RuntimeError: the consumer's waker failed")]
