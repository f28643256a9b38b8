"""Answers to the handshake by RFC 6455, 4: agreed to, or refused, first and when it comes again."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from raw_server import CLOSE, Script, accept, acknowledge, scripted, upgrade, wire
from rfc6455 import LAST, message
from rfc6455_clients import CONSUMERS, seen
from test_rfc6455 import Told, goes_on

from binance_sbe import ConnectionRefused, FeedError, Unreachable


class Answer(NamedTuple):
    """To the handshake; ``ACCEPT`` in it is what the key asks for. None where it is good."""

    section: str
    head: bytes
    error: type[FeedError] | None
    said: str = ""
    hopeless: bool = False  # a feed that has been open gives up


def head(*lines: bytes, status: bytes = b"HTTP/1.1 101 Switching Protocols") -> bytes:
    return b"\r\n".join((status, *lines, b"", b""))


def refusal(status: int, *lines: bytes, body: bytes = b"no") -> bytes:
    first = b"HTTP/1.1 %d Of Course" % status
    return head(b"Content-Length: %d" % len(body), *lines, status=first) + body


UPGRADE, CONNECTION = b"Upgrade: websocket", b"Connection: Upgrade"
KEY = b"Sec-WebSocket-Accept: ACCEPT"
GOOD = (UPGRADE, CONNECTION, KEY)
BAD = Unreachable
ANSWERS: dict[str, Answer] = {
    "as it should be": Answer("4.2.2", head(*GOOD), None),
    "in another case": Answer(
        "4.1", head(b"UPGRADE: WebSocket", b"connection: UPGRADE", KEY.replace(b"S", b"s")), None,
    ),
    "among other tokens": Answer(
        "4.1", head(UPGRADE, b"Connection: keep-alive, Upgrade", KEY, b"Server: x"), None,
    ),
    "another reason": Answer("4.1", head(*GOOD, status=b"HTTP/1.1 101 Well"), None),
    "no reason": Answer("4.1", head(*GOOD, status=b"HTTP/1.1 101 "), None),
    "100 headers beside": Answer("4.1", head(*GOOD, *[b"X-A: b"] * 100), None),
    "the accept of another key": Answer(
        "4.1.4", head(UPGRADE, CONNECTION, b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        BAD, "Sec-WebSocket-Accept",
    ),
    "no accept": Answer("4.1.4", head(UPGRADE, CONNECTION), BAD, "Sec-WebSocket-Accept"),
    "two accepts": Answer("4.1.4, 11.3.3", head(*GOOD, KEY), BAD, "Sec-WebSocket-Accept"),
    "no upgrade": Answer("4.1.2", head(CONNECTION, KEY), BAD, "Upgrade"),
    "an upgrade to h2c": Answer("4.1.2", head(b"Upgrade: h2c", CONNECTION, KEY), BAD, "Upgrade"),
    "no connection": Answer("4.1.3", head(UPGRADE, KEY), BAD, "Connection"),
    "a connection to close": Answer(
        "4.1.3", head(UPGRADE, b"Connection: close", KEY), BAD, "Connection"
    ),
    "compression that was not offered": Answer(
        "4.1.5, 9.1", head(*GOOD, b"Sec-WebSocket-Extensions: permessage-deflate"), BAD, "extens",
    ),
    "an extension that nobody knows": Answer(
        "4.1.5, 9.1", head(*GOOD, b"Sec-WebSocket-Extensions: x-mine; a=1"), BAD, "extensions",
    ),
    "a subprotocol that was not asked for": Answer(
        "4.1.6", head(*GOOD, b"Sec-WebSocket-Protocol: chat"), BAD, "subprotocol",
    ),
    "HTTP/1.0": Answer("4.1", head(*GOOD, status=b"HTTP/1.0 101 Switching Protocols"), BAD, "HTTP"),
    "HTTP/2": Answer("4.1", head(*GOOD, status=b"HTTP/2 101 Switching Protocols"), BAD, "HTTP"),
    "no HTTP": Answer("4.1", b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", BAD, "HTTP"),
    "129 headers": Answer("4.1", head(*GOOD, *[b"X-A: b"] * 129), BAD, "HTTP"),
    "a header of 9,000 bytes": Answer("4.1", head(*GOOD, b"X-A: " + b"b" * 9000), BAD, "HTTP"),
    "a header without end": Answer("4.1", head(*GOOD)[:-2] + b"X: " + b"b" * 300_000, BAD, "HTTP"),
    "a header that is none": Answer("4.1", head(*GOOD, b"no colon"), BAD, "HTTP"),
    "a header on two lines": Answer("4.1", head(*GOOD, b"X-A: b", b" c"), BAD, "HTTP"),
    "half of it": Answer("4.1", head(*GOOD)[:-9], BAD, "HTTP"),
    "nothing": Answer("4.1", b"", BAD),
    "a frame": Answer("4.1", message(1), BAD),
    **{
        f"status {status}": Answer("4.1.1", refusal(status), ConnectionRefused, f"HTTP {status}")
        for status in (200, 204, 400, 403, 404, 426, 500, 502, 503)
    },
    "status 401": Answer("4.1.1", refusal(401), ConnectionRefused, "HTTP 401", hopeless=True),
    "status 429": Answer(
        "4.1.1", refusal(429, b"Retry-After: 0"), ConnectionRefused, "HTTP 429"
    ),
    **{
        f"status {status}": Answer(
            "4.1.1", refusal(status, b"Location: ws://127.0.0.1:1/"), ConnectionRefused,
            f"redirects to ws://127.0.0.1:1/ (HTTP {status})",
        )
        for status in (301, 302, 303, 307, 308)
    },
    "200 as 101 should be": Answer(
        "4.1.1", head(*GOOD, status=b"HTTP/1.1 200 OK"), ConnectionRefused, "HTTP 200",
    ),
    "a body in chunks": Answer(
        "4.1.1", head(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 403 No")
        + b"3\r\nwhy\r\n0\r\n\r\n", ConnectionRefused, "why",
    ),
}  # fmt: skip


async def answer_with(
    answer: Answer, cut: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    accepted = (await upgrade(reader)).partition(b"Accept: ")[2].partition(b"\r")[0]
    data = answer.head.replace(b"ACCEPT", accepted)
    size = min(len(data), 600) if cut else 0
    for place in range(size):
        writer.write(data[place : place + 1])
        await asyncio.sleep(0)
    writer.write(data[size:])


async def goes_down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await accept(reader, writer)
    writer.write(message(1) + wire(CLOSE, b"\x03\xe9"))
    await Told().read(reader)


def agrees(answer: Answer, cut: bool) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_with(answer, cut, reader, writer)
        await acknowledge(reader, writer)
        writer.write(message(LAST))
        await Told().read(reader)
        writer.write(wire(CLOSE, b"\x03\xe8"))
        await writer.drain()

    return script


def refuses(answer: Answer, cut: bool, told: list[bytes]) -> Script:
    """And ends; what comes from the client after that is noted."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_with(answer, cut, reader, writer)
        writer.write_eof()
        told.append(await reader.read())

    return script


async def fault_of(answer: Answer, cut: bool, consumer: str) -> str | None:
    """What is wrong with it, as the first answer and as one that comes later."""
    if answer.error is None:
        async with scripted(agrees(answer, cut)) as url:
            got = await seen(url, consumer, LAST)
        return None if got.trades == [LAST] else f"the user saw {got}"
    told: list[bytes] = []
    refusing = refuses(answer, cut, told)
    async with scripted(refusing) as url:
        try:
            got = await seen(url, consumer, LAST)
            return f"at first the user saw {got}"
        except FeedError as error:
            if type(error) is not answer.error or answer.said not in str(error):
                return f"at first {error!r}"
    async with scripted(goes_down, refusing, goes_on) as url:
        try:
            got = await seen(url, consumer, LAST)
            if answer.hopeless or got.trades != [1, LAST]:
                return f"later the user saw {got}"
        except FeedError as error:
            if not answer.hopeless or type(error) is not answer.error:
                return f"later {error!r}"
    return None if set(told) <= {b""} else f"the server was told {told}"


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "bytes"])
def test_a_handshake_is_agreed_to_or_refused_by_the_rules(cut: bool, consumer: str) -> None:
    async def work() -> dict[str, str]:
        faults: dict[str, str] = {}

        async def look(name: str, answer: Answer) -> None:
            fault = await fault_of(answer, cut, consumer)
            if fault is not None:
                faults[f"{name} (RFC 6455, {answer.section})"] = fault

        await asyncio.gather(*(look(*each) for each in ANSWERS.items()))
        return faults

    assert asyncio.run(work()) == {}
