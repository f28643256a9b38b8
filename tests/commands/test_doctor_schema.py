"""The last steps of `binance-sbe doctor`: is the schema current, and does a first event come."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_doctor_steps import local, trouble_of

import binance_sbe
from binance_sbe.commands import doctor
from binance_sbe.commands.doctor import Patient, Unknown
from binance_sbe.errors import FeedError
from binance_sbe.simulator import Exchange


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)


# the schema

RELEASE = '{{"id": {}, "version": {}, "releaseDate": "2026-07-07"{}}}'


@pytest.mark.parametrize(
    ("releases", "text", "is_outdated"),
    [
        ([RELEASE.format(3, 5, "")], "streams 1:0, REST 3:5, which is the latest", False),
        ([RELEASE.format(3, 4, "")], "streams 1:0, REST 3:5, which is the latest", False),
        (
            [RELEASE.format(3, 6, ""), RELEASE.format(3, 5, ', "deprecatedDate": "2027-01-05"')],
            "REST 3:5 is deprecated since 2027-01-05: 3:6 is current; update binance-sbe",
            True,
        ),
        (
            [
                RELEASE.format(4, 1, ""),
                RELEASE.format(3, 5, ', "deprecatedDate": "2027-01-05", "retiredDate": "2027-9"'),
            ],
            "REST 3:5 is retired since 2027-9: 4:1 is current; update binance-sbe",
            True,
        ),
        (
            [RELEASE.format(3, 6, "")],
            "REST 3:5 is no release any more: 3:6 is current; update binance-sbe",
            True,
        ),
    ],
)  # fmt: skip
def test_a_schema_that_is_not_the_latest_is_outdated(
    releases: list[str], text: str, is_outdated: bool, tmp_path: Path
) -> None:
    file = tmp_path / "lifecycle.json"
    file.write_text(f"[{', '.join(releases)}]")
    patient = local(lifecycle=str(file))
    if not is_outdated:
        assert asyncio.run(doctor._schema(patient)) == text
        return
    trouble = trouble_of(doctor._schema(patient))
    assert (str(trouble), trouble.code, trouble.is_fatal) == (text, 6, False)


@pytest.mark.parametrize(
    ("patient", "where"),
    [
        (Patient(), "prod"), (Patient("testnet"), "testnet"), (Patient("demo"), "prod"),
        (Patient(lifecycle="https://h/x.json"), "https://h/x.json"),
        (local(lifecycle="http://h/y.json"), "http://h/y.json"),
    ],
)  # fmt: skip
def test_the_lifecycle_is_that_of_the_environment_or_the_one_given(
    patient: Patient, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    async def fail(place: str) -> str:
        read.append(place)
        raise FeedError("not today")

    monkeypatch.setattr(doctor, "_read", fail)
    with pytest.raises(Unknown, match=r"REST 3:5; which is current is not known: not today"):
        asyncio.run(doctor._schema(patient))
    assert read == [where if ":" in where else doctor.LIFECYCLE.format(where)]
    assert asyncio.run(doctor._schema(local())) == (
        "streams 1:0, REST 3:5; a local exchange publishes no lifecycle"
    )
    assert len(read) == 1


@contextlib.asynccontextmanager
async def web(status: int, body: bytes, headers: str = "") -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nLocation: /x\r\n"
        writer.write(f"{head}{headers}\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("status", "size", "said"),
    [
        (200, 1 << 20, None),
        (200, (1 << 20) + 1, "1,048,576"),
        (302, 5, "HTTP 302$"),
        (404, 5, "404"),
    ],
)
def test_a_lifecycle_is_read_whole_and_up_to_a_size(
    status: int, size: int, said: str | None
) -> None:
    async def work() -> str:
        async with web(status, b"x" * size) as url:
            return await doctor._read(url)

    if said is None:
        assert asyncio.run(work()) == "x" * size
        return
    with pytest.raises(binance_sbe.SbeError, match=said):
        asyncio.run(work())


def test_a_lifecycle_may_be_compressed() -> None:
    async def work() -> str:
        packed = gzip.compress(b"the text")
        async with web(200, packed, "Content-Encoding: gzip\r\n") as url:
            return await doctor._read(url)

    assert asyncio.run(work()) == "the text"


# the stream


def test_the_first_event_of_every_symbol_is_told() -> None:
    async def work() -> tuple[str, float]:
        started = time.monotonic()
        async with Exchange(["btcusdt", "ethusdt"]) as exchange:
            patient = Patient(url=exchange.url, symbols=("btcusdt", "ETHUSDT"), api_key="k")
            return await doctor._stream(patient), time.monotonic() - started

    text, seconds = asyncio.run(work())
    assert text.startswith("bestBidAsk: the first event after ")
    parts = text.removeprefix("bestBidAsk: the first event ").split("; ")
    assert sorted(part.split()[3] for part in parts) == ["BTCUSDT", "ETHUSDT"]
    for part in parts:
        _, ms, unit, _, bid, low, ask, high = part.replace(":", "").replace(",", "").split()
        assert (unit, bid, ask) == ("ms", "bid", "ask")
        assert 0 <= float(ms) <= seconds * 1e3
        assert float(low) < float(high)


def test_without_a_key_the_stream_is_not_tried() -> None:
    with pytest.raises(Unknown, match="^not tried, without a key$"):
        asyncio.run(doctor._stream(local()))


def test_the_stream_fails_as_the_feed_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused() -> str:
        async with Exchange(["btcusdt"], api_keys=["good"]) as exchange:
            return await doctor._stream(Patient(url=exchange.url, api_key="bad-key"))

    async def unknown() -> str:
        async with Exchange(["btcusdt"]) as exchange:
            return await doctor._stream(
                Patient(url=exchange.url, api_key="k", symbols=("btcusdt", "nosuch"))
            )

    async def quiet() -> str:
        async with Exchange(["btcusdt", "ethusdt"], rate=1e-9) as exchange:
            return await doctor._stream(
                Patient(url=exchange.url, api_key="k", symbols=("btcusdt", "ethusdt"))
            )

    assert trouble_of(refused()).code == 4
    assert trouble_of(doctor._stream(local(api_key="k"))).code == 3
    assert "nosuch@bestBidAsk" in str(no_stream := trouble_of(unknown()))
    assert (no_stream.code, no_stream.is_fatal) == (1, False)
    monkeypatch.setattr(doctor, "_SECONDS", 0.3)
    said = trouble_of(quiet())
    assert str(said).startswith("btcusdt@bestBidAsk, ethusdt@bestBidAsk: acknowledged, but nothing")
    assert said.code == 1


def test_a_connection_that_is_lost_is_not_made_anew() -> None:
    async def work() -> str:
        options: Any = {"rate": 1e-9, "faults": ["close@0.05"]}
        async with Exchange(["btcusdt"], **options) as exchange:
            return await doctor._stream(Patient(url=exchange.url, api_key="k"))

    lost = trouble_of(work())
    assert (str(lost), lost.code) == ("the exchange closed with 1001: going away", 1)
