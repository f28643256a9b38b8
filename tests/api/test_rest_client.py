"""The REST client: what it sends, what it makes of headers, and how long it waits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from test_bodies import CLOCK, KEY, Answer, answering, http, typed

from binance_sbe import DecodeError, spot_sbe
from binance_sbe.api import rest
from binance_sbe.errors import (
    BinanceError,
    ConnectionRefused,
    FeedError,
    NotSbe,
    RateLimited,
    Unreachable,
)
from binance_sbe.rest import decode_response, depth_weight
from binance_sbe.simulator.market import Market
from binance_sbe.simulator.rest import SBE, Rest

HEAD = {"Accept": "application/sbe", "X-MBX-SBE": "3:5"}


def asking(
    answer: Answer, work: Callable[[rest.Client], Awaitable[None]], **options: Any
) -> list[tuple[str, dict[str, str]]]:
    """What was asked: the path, and the headers."""
    asked: list[str] = []

    async def main() -> None:
        async with answering(answer, asked) as url, rest.Client(url=url, **options) as client:
            await work(client)

    asyncio.run(asyncio.wait_for(main(), 20))
    found = []
    for text in asked:
        first, *lines = text.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        found.append((first.split(" ")[1], headers))
        assert first.startswith("GET ")
    return found


def local(path: str) -> bytes:
    answer = Rest({"btcusdt": Market("btcusdt")}, 10**6, 1).answer(path, HEAD, 0.0)
    assert answer is not None
    return answer.body


class Wall:
    """Stands for the module `time`."""

    now = 500.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1e9 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(rest, "time", wall)
    return wall


@pytest.mark.parametrize("key", [None, "", KEY])
def test_a_request_has_the_headers_of_sbe_and_the_key_where_there_is_one(key: str | None) -> None:
    async def work(client: rest.Client) -> None:
        assert await client.server_time() == 5_000_000

    ((path, headers),) = asking(typed(CLOCK), work, api_key=key)
    assert path == "/api/v3/time"
    assert {name: headers[name] for name in HEAD} == HEAD
    assert headers["Accept-Encoding"] == "gzip, deflate"
    assert headers.get("X-MBX-APIKEY") == (key or None)


def test_questions_are_asked_with_their_parameters() -> None:
    async def trades(client: rest.Client) -> None:
        assert isinstance(await client.historical_trades("btcusdt", 7), spot_sbe.TradesResponse)
        await client.historical_trades("btcusdt", 8, 9)

    async def depth(client: rest.Client) -> None:
        assert isinstance(await client.depth("btcusdt"), spot_sbe.DepthResponse)
        await client.depth("ethusdt", 5000)
        await client.get("/api/v3/x", limit=5, isIt=True)

    body = local("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=1")
    assert [path for path, _ in asking(typed(body), trades)] == [
        "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=1000",
        "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=8&limit=9",
    ]
    body = local("/api/v3/depth?symbol=BTCUSDT&limit=5")
    assert [path for path, _ in asking(typed(body), depth)] == [
        "/api/v3/depth?symbol=BTCUSDT&limit=100",
        "/api/v3/depth?symbol=ETHUSDT&limit=5000",
        "/api/v3/x?limit=5&isIt=True",
    ]


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda client: client.depth("btcusdt"), "DepthResponse"),
        (lambda client: client.historical_trades("btcusdt", 1), "TradesResponse"),
    ],
)
def test_an_answer_to_another_question_is_an_error(ask: Any, wanted: str) -> None:
    async def work(client: rest.Client) -> None:
        with pytest.raises(FeedError, match=f"a {wanted}, and got a ServerTimeResponse"):
            await ask(client)

    asking(typed(CLOCK), work)


def test_the_options_of_a_client_arrive() -> None:
    assert rest.Client().url == "https://api.binance.com"
    assert rest.Client(environment="demo").url == "https://demo-api.binance.com"

    async def work(client: rest.Client) -> None:
        session: Any = client._session
        assert session.timeout.total == 10.0
        assert await client.server_time() == 5_000_000
        assert (client.used_weight, client.used_at, client.blocked_until) == (None, 0.0, 0.0)

    async def short(client: rest.Client) -> None:
        session: Any = client._session
        assert session.timeout.total == 0.75
        with pytest.raises(FeedError, match=r"more than 15 bytes: ask for less, or give a larger"):
            await client.server_time()

    asking(typed(CLOCK), work)
    assert len(CLOCK) == 16
    asking(typed(CLOCK), short, timeout=0.75, max_size=15)
    asking(typed(CLOCK), work, max_size=16)


def test_a_client_is_open_in_its_block_only() -> None:
    async def work() -> None:
        async with answering(typed(CLOCK)) as url:
            client = rest.Client(url=url)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="this is not open"):
                    await client.server_time()
                async with client as same:
                    assert same is client
                    assert await client.server_time() == 5_000_000

    asyncio.run(work())


def test_weights_are_noted_with_when_they_were_said(clock: Wall) -> None:
    async def work(client: rest.Client) -> None:
        for now in (500.0, 501.5):
            clock.now = now
            await client.server_time()
            assert (client.used_weight, client.used_at) == (7, 1e9 + now)
        assert repr(client) == f"<rest.Client {client.url}, weight used: 7>"

    asking(typed(CLOCK, "X-MBX-USED-WEIGHT-1M: 7"), work)


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [
        (429, None, 60.0), (418, None, 120.0), (429, "0", 1.0), (418, "1", 1.0), (429, "2", 2.0),
        (418, "300", 300.0),
    ],
)  # fmt: skip
def test_who_is_refused_asks_nothing_until_its_time_is_over(
    status: int, header: str | None, wait: float, clock: Wall
) -> None:
    async def work(client: rest.Client) -> None:
        with pytest.raises(RateLimited) as caught:
            await client.server_time()
        assert (caught.value.status, caught.value.retry_after) == (status, wait)
        assert client.blocked_until == 500.0 + wait
        assert client.used_weight == 1200  # which comes with a refusal, too
        clock.now = 500.0 + wait - 0.25
        with pytest.raises(RateLimited) as caught:
            await client.server_time()
        assert (caught.value.status, caught.value.retry_after) == (429, 0.25)
        clock.now = 500.0 + wait
        with pytest.raises(RateLimited) as caught:
            await client.server_time()
        assert caught.value.status == status

    headers = ["X-MBX-USED-WEIGHT-1M: 1200"] + ([f"Retry-After: {header}"] if header else [])
    assert len(asking(http(b"", *headers, status=status), work)) == 2


@pytest.mark.parametrize("status", [299, 300, 399, 400])
def test_a_redirect_is_refused_with_where_it_points(status: int) -> None:
    async def work(client: rest.Client) -> None:
        if 300 <= status < 400:
            with pytest.raises(ConnectionRefused, match="redirects to /there") as caught:
                await client.server_time()
            assert (caught.value.status, caught.value.location) == (status, "/there")
        else:
            assert await client.server_time() == 5_000_000

    asking(typed(CLOCK, "Location: /there", status=status), work)


def test_an_error_of_the_exchange_has_all_that_it_said() -> None:
    async def work(client: rest.Client) -> None:
        with pytest.raises(BinanceError) as caught:
            await client.depth("nope")
        assert (caught.value.code, caught.value.message) == (-1121, "Invalid symbol.")

    asking(typed(local("/api/v3/depth?symbol=NOPE"), status=400), work)
    given: Any = SimpleNamespace(code=1, msg="a", retry_after=2, server_time=3, data_message=CLOCK)
    error = rest.error_of(given)
    assert (error.code, error.message, error.retry_after) == (1, "a", 2)
    assert (error.server_time, error.data) == (3, CLOCK)


def test_a_server_that_hangs_up_is_unreachable_and_says_how() -> None:
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def work(client: rest.Client) -> None:
        with pytest.raises(Unreachable) as caught:
            await client.server_time()
        assert re.fullmatch(rf"{client.url}: \S.*", str(caught.value))
        assert caught.value.__cause__ is caught.value.__context__ is None

    asking(hang_up, work)


@pytest.mark.parametrize(
    ("limit", "weight"),
    [(1, 5), (100, 5), (101, 25), (500, 25), (501, 50), (1000, 50), (1001, 250), (5000, 250)],
)
def test_a_snapshot_weighs(limit: int, weight: int) -> None:
    assert depth_weight(limit) == weight


SBE_TYPE = SBE["Content-Type"]
STREAM = bytes.fromhex("1a001327010000007b600cba992a0600")  # of the other schema


@pytest.mark.parametrize(
    ("content_type", "body", "is_sbe"),
    [
        (SBE_TYPE, CLOCK, True),
        ("Application/SBE; charset=x", CLOCK, True),
        (None, CLOCK, True),
        ("", CLOCK, True),
        ("application/octet-stream", CLOCK, True),
        ("application/json", CLOCK, False),
        ("text/html; charset=utf-8", CLOCK, False),
        ("application/xml", CLOCK, False),
        ("application/javascript", CLOCK, False),
        ("multipart/form-data", CLOCK, False),
        (SBE_TYPE, b"<html>no</html>", False),
        (SBE_TYPE, b"<html>\tno\r\n</html>", False),
        (SBE_TYPE, b"", False),
        (None, b"", False),
        (SBE_TYPE, b"short", False),
        (None, STREAM, False),
        ("application/octet-stream", STREAM, False),
    ],
)
def test_an_answer_is_sbe_or_of_a_gateway(
    content_type: str | None, body: bytes, is_sbe: bool
) -> None:
    for given in (body, bytearray(body), memoryview(body)):
        if is_sbe:
            assert decode_response(content_type, given).server_time == 5_000_000
            continue
        with pytest.raises(NotSbe) as caught:
            decode_response(content_type, given)
        assert caught.value.size == len(body)


def test_damaged_sbe_and_another_schema_are_the_decoders_to_refuse() -> None:
    for body in (CLOCK[:-1], STREAM):
        with pytest.raises(DecodeError):
            decode_response(SBE_TYPE, body)
    with pytest.raises(TypeError, match="content_type is a str or None, not bytes"):
        decode_response(b"application/sbe", CLOCK)
