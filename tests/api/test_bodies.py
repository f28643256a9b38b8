"""The REST client and servers that misbehave: bombs, bodies without end, redirects, headers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import resource
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from binance_sbe import rest
from binance_sbe.api import bodies
from binance_sbe.api.bodies import Unpacking
from binance_sbe.errors import (
    ConnectionRefused,
    FeedError,
    MissingKey,
    NotSbe,
    RateLimited,
    Unreachable,
)
from binance_sbe.simulator.rest import SBE, Rest

KEY = "MARKERkey0123456789"
CLOCK = Rest({}, 10, 1)._time({}, 5.0)
MEGABYTE = 1 << 20
Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(answer: Answer, asked: list[str] | None = None) -> AsyncIterator[str]:
    """The URL of a server that answers every request so, and notes what it was asked."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if asked is not None:
                asked.append(request.decode())
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close() if isinstance(answer, bytes) else writer.transport.abort()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0.01)  # for transports to close


def http(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


def asked_once(answer: Answer, **options: Any) -> Any:
    """What `server_time` gives, or raises, and the client."""

    async def work() -> tuple[Any, rest.Client]:
        async with (
            answering(answer) as url,
            rest.Client(url=url, api_key=KEY, **{"timeout": 5.0, **options}) as client,
        ):
            try:
                return await client.server_time(), client
            except Exception as error:
                return error, client

    return asyncio.run(work())


def typed(body: bytes, *headers: str, status: int = 200) -> bytes:
    return http(body, f"Content-Type: {SBE['Content-Type']}", *headers, status=status)


# what is packed


def members(*parts: bytes) -> bytes:
    return b"".join(gzip.compress(part, mtime=0) for part in parts)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", CLOCK),
        ("identity", CLOCK),
        ("gzip", gzip.compress(CLOCK, mtime=0)),
        ("X-Gzip", members(CLOCK[:3], b"", CLOCK[3:])),
        ("deflate", zlib.compress(CLOCK)),
        ("deflate", zlib.compress(CLOCK, wbits=-15)),
    ],
)
def test_what_is_packed_is_unpacked(encoding: str, body: bytes) -> None:
    assert asked_once(typed(body, f"Content-Encoding: {encoding}"))[0] == 5_000_000
    for size in (1, 3, 1000):
        unpacking = Unpacking("x", encoding, 100)
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        for piece in pieces:
            unpacking.feed(piece)
        unpacking.end()
        assert unpacking.body == CLOCK


@pytest.mark.parametrize(
    ("encoding", "body", "said"),
    [
        ("br", b"x", "encoded as br, unasked"),
        ("gzip, gzip", b"x", "encoded as gzip, gzip, unasked"),
        ("\x9b31m" + KEY, b"x", r"encoded as \\udc9b31m<the api key>, unasked"),
        ("gzip", b"no gzip", "the answer is not gzip, as it says"),
        ("gzip", gzip.compress(CLOCK, mtime=0)[:-5], "ended in the middle of its gzip"),
        ("gzip", gzip.compress(CLOCK, mtime=0) + b"rubbish", "the answer is not gzip"),
        ("deflate", b"\x78\x9c\xff\xff", "the answer is not deflate"),
    ],
    ids=["br", "twice", "nonsense", "no gzip", "cut", "more", "no deflate"],
)
def test_what_can_not_be_unpacked_is_said(encoding: str, body: bytes, said: str) -> None:
    error, _ = asked_once(typed(body, f"Content-Encoding: {encoding}"))
    assert isinstance(error, FeedError)
    assert re.search(said, str(error), re.IGNORECASE)
    assert error.__context__ is None


def bomb(encoding: str) -> bytes:
    """A gigabyte of zeros in a megabyte."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    return b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(1024)) + packer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_takes_no_more_than_the_limit(encoding: str) -> None:
    body = bomb(encoding)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error, _ = asked_once(typed(body, f"Content-Encoding: {encoding}"), max_size=8 * MEGABYTE)
    assert isinstance(error, FeedError)
    assert "more than 8,388,608 bytes: ask for less, or give a larger max_size" in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_a_body_without_end_ends_at_the_limit() -> None:
    sent = 0

    async def forever(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()
            sent += 65536

    error, _ = asked_once(forever, max_size=4 * MEGABYTE)
    assert "more than 4,194,304 bytes" in str(error)
    assert sent < 64 * MEGABYTE


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    async def large(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 999999999999\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(60)

    started = time.monotonic()
    error, _ = asked_once(large)
    assert "more than 67,108,864 bytes" in str(error)
    assert time.monotonic() - started < 3


def test_a_body_in_drops_is_waited_for_no_longer_than_the_time_out() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    error, _ = asked_once(drip, timeout=0.5)
    assert isinstance(error, Unreachable)
    assert "no answer within 0.5 s" in str(error)


@pytest.mark.parametrize("size", [0, -1, None, "1", 1.5])
def test_a_limit_is_a_number_of_bytes(size: Any) -> None:
    with pytest.raises(ValueError, match="max_size is a positive number of bytes, not"):
        rest.Client(max_size=size)
    with pytest.raises(ValueError, match="timeout is a positive number of seconds, not 0"):
        rest.Client(timeout=0)


@pytest.mark.parametrize("key", ["secret-1\r\nX: y", "secret 2", "secret-\xe9", "secret\0"])
def test_a_key_is_no_way_to_other_headers(key: str) -> None:
    with pytest.raises(MissingKey, match="the API key has characters that no key has") as caught:
        rest.Client(api_key=key)
    assert "secret" not in str(caught.value)
    with pytest.raises(TypeError, match="api_key is a str, not bytes"):
        rest.Client(api_key=b"x")  # type: ignore[arg-type]


# redirects, headers, and what errors hold


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_refusal_and_the_key_goes_nowhere(status: int) -> None:
    async def work() -> None:
        there: list[str] = []
        here: list[str] = []
        async with answering(typed(CLOCK), there) as other:
            target = f"Location: {other.replace('127.0.0.1', 'localhost')}/\x9b{KEY}"
            async with (
                answering(http(b"", target, status=status), here) as url,
                rest.Client(url=url, api_key=KEY) as client,
            ):
                with pytest.raises(ConnectionRefused, match="which is not followed") as caught:
                    await client.server_time()
        assert KEY in here[0]
        assert there == []
        assert f"localhost:{other[-5:].lstrip(':')}" in str(caught.value)
        assert str(caught.value).isprintable()
        assert (caught.value.status, KEY in repr(vars(caught.value))) == (status, False)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("weight", "known"), [("17", 17), ("²", None), ("9" * 5000, None), ("-1", None), ("x", None)]
)
def test_a_weight_that_is_no_number_is_none(weight: str, known: int | None) -> None:
    answer = typed(CLOCK, f"X-MBX-USED-WEIGHT-1M: {weight}")
    found, client = asked_once(answer)
    assert (found, client.used_weight) == (5_000_000, known)


@pytest.mark.parametrize(
    ("given", "wait"),
    [
        ("30", 30), ("0", 1), ("999999", 259200), ("9" * 400, 60), ("²", 60), ("-5", 60),
        ("nan", 60), ("inf", 60), ("Fri, 31 Dec 1999 23:59:59 GMT", 60),
    ],
)  # fmt: skip
def test_a_wait_that_is_asked_for_has_an_end(given: str, wait: float) -> None:
    error, client = asked_once(http(b"", f"Retry-After: {given}", status=429))
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait
    assert abs(client.blocked_until - time.monotonic() - wait) < 5


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 x\r\nContent-Length: zwei\r\n\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/9.9 nonsense\r\n\r\n",
        b"HTTP/1.1 200 x\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"\x1b[2J" + KEY.encode(),
        b"",
        b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nshort",
    ],
)
def test_what_is_no_http_is_unreachable_and_holds_no_headers_of_ours(answer: bytes) -> None:
    error, _ = asked_once(answer)
    assert isinstance(error, Unreachable)
    assert error.__context__ is None
    assert error.__cause__ is None
    assert str(error).isprintable()
    assert KEY not in f"{error}{error!r}"


def test_an_answer_that_quotes_the_request_does_not_quote_the_key() -> None:
    quoted = f"<html>your request: X-MBX-APIKEY: {KEY}".encode()
    error, _ = asked_once(http(quoted, "Content-Type: text/html"))
    assert isinstance(error, NotSbe)
    for place in (str(error), repr(error), repr(vars(error))):
        assert KEY not in place
    assert error.body == b"<html>your request: X-MBX-APIKEY: <the API key>"


def test_cookies_are_not_sent_back() -> None:
    async def work() -> None:
        asked: list[str] = []
        async with (
            answering(typed(CLOCK, "Set-Cookie: a=b; Path=/"), asked) as url,
            rest.Client(url=url.replace("127.0.0.1", "localhost")) as client,
        ):
            await client.server_time()
            await client.server_time()
        assert len(asked) == 2
        assert "cookie" not in "".join(asked).lower()
        assert f"Accept-Encoding: {bodies.ACCEPTED['Accept-Encoding']}\r\n" in asked[0]

    asyncio.run(work())
