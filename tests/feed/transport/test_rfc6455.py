"""RFC 6455's table, against a server that writes the bytes: whole, in bytes, and cut at random.

Autobahn's own cases are in `test_autobahn`; handshakes in `test_rfc6455_handshakes`.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from itertools import pairwise
from pathlib import Path

import pytest
import trustme
from raw_server import CLOSE, PONG, Script, accept, read_frame, scripted, wire
from rfc6455 import GOES_ON, GROUPS, LAST, NOTHING, Case, message
from rfc6455_clients import CONSUMERS, Seen, seen

MOST_AT_ONCE = 24  # feeds
CUTS = ("whole", "bytes", "chops")


def chunks(data: bytes, how: str) -> list[bytes]:
    """The row in pieces. In bytes: those of the headers, since a payload is only long."""
    if how == "whole":
        places: list[int] = []
    elif how == "bytes":
        places = [*range(1, min(len(data), 150)), *range(max(1, len(data) - 150), len(data))]
    else:
        chance = random.Random(len(data))
        places = [chance.randrange(len(data) + 1) for _ in range(1 + len(data) // 20)][:60]
    marks = sorted({0, len(data), *places})
    return [data[a:b] for a, b in pairwise(marks)]


class Told:
    """What the client has told the server by the row's connection."""

    def __init__(self) -> None:
        self.code = NOTHING
        self.pongs: list[bytes] = []

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Until the client's close frame, or its end."""
        while True:
            try:
                kind, payload = await read_frame(reader)
            except (OSError, EOFError):
                return
            if kind == PONG:
                self.pongs.append(payload)
            elif kind == CLOSE:
                self.code = int.from_bytes(payload[:2], "big") if payload else 1005
                return


def plays(case: Case, how: str, told: Told) -> Script:
    """A connection that brings the row, and goes on or ends as the client does."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(message(1))
        for chunk in chunks(case.sent, how):
            await asyncio.sleep(0)
            writer.write(chunk)
            await writer.drain()
        if case.hangs_up:
            await asyncio.sleep(0.01)
            return
        if case.code == GOES_ON:
            writer.write(message(LAST))
        await told.read(reader)
        if case.code == GOES_ON:
            writer.write(wire(CLOSE, b"\x03\xe8"))
            await writer.drain()

    return script


async def goes_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The next connection, until the feed is closed."""
    await accept(reader, writer)
    writer.write(message(LAST))
    await Told().read(reader)
    writer.write(wire(CLOSE, b"\x03\xe8"))
    await writer.drain()


async def fault_of(
    case: Case, how: str, consumer: str, tls: ssl.SSLContext | None = None
) -> str | None:
    """What is wrong with the row, if anything is."""
    told = Told()
    try:
        async with scripted(plays(case, how, told), goes_on, tls=tls) as url:
            got = await seen(url, consumer, LAST)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    trades = [1, *case.trades, LAST]
    causes = got.causes
    if case.code == GOES_ON:
        expected = Seen(trades, case.damaged, case.texts, [])
    else:
        expected = Seen(trades, case.damaged, case.texts, causes)
        if len(causes) != 1 or case.said not in causes[0]:
            return f"ended with {causes}, not with {case.said!r}"
    if got != expected:
        return f"the user saw {got}, not {expected}"
    code = 1000 if case.code == GOES_ON else case.code
    if (told.code, tuple(told.pongs)) != (code, case.pongs):
        return f"the server was told {told.code} and {told.pongs}, not {code} and {case.pongs}"
    return None


async def faults_of(
    cases: list[Case], consumer: str, cuts: tuple[str, ...], tls: ssl.SSLContext | None = None
) -> dict[str, str]:
    places = asyncio.Semaphore(MOST_AT_ONCE)
    found: dict[str, str] = {}

    async def look(case: Case, how: str) -> None:
        async with places:
            fault = await fault_of(case, how, consumer, tls)
            if fault is not None:
                found[f"{case.name} (RFC 6455, {case.section}), {how}"] = fault

    await asyncio.gather(*(look(case, how) for case in cases for how in cuts))
    return found


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("group", GROUPS)
def test_what_a_server_sends_is_handled_or_refused_by_the_rules(group: str, consumer: str) -> None:
    assert asyncio.run(faults_of(GROUPS[group], consumer, CUTS)) == {}


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_the_rules_are_the_same_over_tls(
    consumer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    sample = [case for group in GROUPS.values() for case in group[::6]]
    assert asyncio.run(faults_of(sample, consumer, ("chops",), context)) == {}


def test_each_row_has_a_name_of_its_own() -> None:
    names = [case.name for group in GROUPS.values() for case in group]
    assert len(set(names)) == len(names) > 200
