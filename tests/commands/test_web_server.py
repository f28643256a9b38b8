"""The server of the page: for whom it is, what is sent, and what a bad client can do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from web import page, request, served, state_of
from websockets.exceptions import ConnectionClosed, InvalidStatus

from binance_sbe.commands.web import server
from binance_sbe.commands.web.origins import is_host, is_origin
from binance_sbe.commands.web.server import serving
from binance_sbe.errors import FeedError
from binance_sbe.simulator import Exchange


def run(work: Callable[[Exchange, Any, int], Awaitable[None]], *symbols: str) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(60),
            Exchange(symbols or ["btcusdt"]) as exchange,
            served(exchange, *symbols) as (state, port),
        ):
            await work(exchange, state, port)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("header", "served_on", "is_fine"),
    [
        ("127.0.0.1:8642", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost:8642", "127.0.0.1", True),
        ("LOCALHOST:1", "127.0.0.1", True),
        ("[::1]:8642", "::1", True),
        ("192.168.1.7:8642", "127.0.0.1", False),
        ("192.168.1.7:8642", "0.0.0.0", True),
        ("[fe80::1]:8642", "::", True),
        ("desk.example:8642", "desk.example", True),
        ("evil.example:8642", "desk.example", False),
        ("evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("localhost.evil.example", "0.0.0.0", False),
        ("evil.example", "0.0.0.0", False),
        ("127.0.0.1@evil.example", "127.0.0.1", False),
        ("evil.example@127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1:8642/x", "127.0.0.1", False),
        ("127.0.0.1:port", "127.0.0.1", False),
        ("127.0.0.1#", "127.0.0.1", False),
        ("127.0.0.1?", "127.0.0.1", False),
        ("[::1", "::1", False),
        ("", "127.0.0.1", False),
        (":8642", "127.0.0.1", False),
        ("локальный", "127.0.0.1", False),
    ],
)
def test_a_host_is_an_address_or_this_machine(header: str, served_on: str, is_fine: bool) -> None:
    assert is_host(header, served_on) is is_fine


def test_an_origin_is_that_of_the_page() -> None:
    assert is_origin("http://localhost:8642", "localhost:8642")
    assert is_origin("http://localhost:8642", "LOCALHOST:8642")
    for other in (
        "null", "https://localhost:8642", "http://localhost:3000", "http://localhost",
        "http://127.0.0.1:8642", "http://evil.example", "http://localhost:8642.evil.example", "",
    ):  # fmt: skip
        assert not is_origin(other, "localhost:8642")


def test_the_page_is_one_file_and_may_load_nothing_else() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        status, headers, body = await request(port, f"GET / HTTP/1.1\nHost: localhost:{port}")
        assert status == 200
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        policy = headers["Content-Security-Policy"].split("; ")
        assert policy[0] == "default-src 'none'"
        assert {"connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
        assert not re.search(r"unsafe|\*", headers["Content-Security-Policy"])
        assert not re.search(r"https?://|//\w+\.|@import|url\(", body)
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|\bon\w+=", body
        )
        assert headers["Cache-Control"] == "no-store"

    run(work)


UPGRADE = (
    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
)


def test_others_are_refused_with_a_sentence() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        here = f"127.0.0.1:{port}"
        for head, wanted, said in (
            ("GET / HTTP/1.1\nHost: evil.example", 421, "is no name of this machine"),
            (f"GET / HTTP/1.1\nHost: {here}\nHost: {here}", 400, "one Host"),
            ("GET / HTTP/1.1", 400, "one Host"),
            (f"GET /../../etc/passwd HTTP/1.1\nHost: {here}", 404, "one page here"),
            (f"GET /socket HTTP/1.1\nHost: {here}\n{UPGRADE}", 403, "for the page"),
            (f"GET /socket HTTP/1.1\nHost: {here}\nOrigin: http://evil.example\n{UPGRADE}", 403,
             "for the page"),
            (f"GET /socket HTTP/1.1\nHost: {here}\nOrigin: null\n{UPGRADE}", 403, "for the page"),
            (f"GET /socket HTTP/1.1\nHost: evil.example\nOrigin: http://evil.example\n{UPGRADE}",
             421, "is no name of this machine"),
            (f"GET /socket HTTP/1.1\nHost: {here}\nOrigin: http://{here}\nOrigin: x\n{UPGRADE}",
             400, "one Origin"),
        ):  # fmt: skip
            status, headers, body = await request(port, head)
            assert (status, said in body) == (wanted, True), (head, status, body)
            assert headers["Content-Type"].startswith("text/plain")
        status, _, body = await request(port, "GET / HTTP/1.1\nHost: <img src=x>")
        assert status in (400, 421)
        for garbage in ("POST / HTTP/1.1\nHost: x\n\nbody", "\0\1\2", "GET"):
            with contextlib.suppress(OSError, ValueError, IndexError, TimeoutError):
                await request(port, garbage)
        async with page(port) as socket:  # it serves on
            assert (await state_of(socket))["title"] == "an exchange"

    run(work)


def test_a_page_gets_all_there_is_and_the_book_that_it_looks_at() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        await state.kept.wait()
        async with page(port) as socket:
            await asyncio.sleep(0.5)
            found = await state_of(socket)
            assert [each["symbol"] for each in found["symbols"]] == ["BTCUSDT", "ETHUSDT"]
            for each in found["symbols"]:
                assert float(each["bid"]) < float(each["ask"])
                assert float(each["spread"]) > 0
                assert (each["state"], each["why"]) == ("live", "")
            assert found["book"]["symbol"] == "BTCUSDT"
            sides = [row[0] for row in found["book"]["rows"]]
            assert sides == ["ask"] * 10 + ["bid"] * 10
            assert sum(count for _, count in found["latency"]["bars"]) > 100
            assert found["connections"]["rows"][0]["cells"][0] == "connection 1 (line 1)"
            assert found["ledger"]["is_well"]
            other = await state_of(socket, "ETHUSDT")
            assert other["book"]["symbol"] == "ETHUSDT"
            assert other["trades"] == sorted(other["trades"], reverse=True)
            assert 0 < len(other["trades"]) <= 30

    run(work, "btcusdt", "ethusdt")


def test_states_come_ten_times_a_second_at_most_and_only_when_asked_for() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        loop = asyncio.get_running_loop()
        async with page(port) as socket:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await socket.recv()
            began, times = loop.time(), []
            for _ in range(30):
                await socket.send('{"symbol": ""}')
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while True:
                        times.append(json.loads(await socket.recv())["time"])
            assert 1 <= len(times) <= 3  # thirty requests at once are for what is newest
            began = loop.time()
            for _ in range(8):
                await state_of(socket)
            assert loop.time() - began > 0.65

    run(work)


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        ("", 1008), ("x", 1008), ("[]", 1008), ("null", 1008), ("{}", 1008),
        ('{"symbol": 1}', 1008),
        ('{"symbol": "NOSUCH"}', 1008), ('{"symbol": "", "more": 1}', 1008), ("[" * 1000, 1008),
        (b"\x00\xff", 1008), ('{"symbol": "' + "x" * 2000 + '"}', 1009), (b"x" * 2**16, 1009),
        ('{"symbol": "__proto__"}', 1008),
    ],
)  # fmt: skip
def test_garbage_from_a_browser_ends_its_socket_alone(garbage: Any, code: int) -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        async with page(port) as well, page(port) as socket:
            await socket.send(garbage)
            with pytest.raises(ConnectionClosed) as ended:
                await socket.recv()
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == code
            assert (await state_of(well))["title"] == "an exchange"

    run(work)


def test_too_many_requests_end_a_socket() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        async with page(port) as socket:

            async def ask() -> None:
                for _ in range(500):
                    await socket.send('{"symbol": ""}')
                    await asyncio.sleep(0)
                while True:
                    await socket.recv()

            with pytest.raises(ConnectionClosed) as ended:
                await ask()
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.reason == "more than 50 requests in a second"

    run(work)


def test_a_client_that_never_reads_has_little_waiting_and_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_STALLED_SECONDS", 1.0)
    made: list[Any] = []
    talk = server.Pages.talk

    async def noted(self: Any, connection: Any) -> None:
        made.append(connection)
        await talk(self, connection)

    monkeypatch.setattr(server.Pages, "talk", noted)

    async def work(exchange: Exchange, state: Any, port: int) -> None:
        monkeypatch.setattr(state, "text", lambda symbol: "x" * 300_000)
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", port))
            here = f"127.0.0.1:{port}"
            head = f"GET /socket HTTP/1.1\nHost: {here}\nOrigin: http://{here}\n{UPGRADE}\n\n"
            raw.sendall(head.replace("\n", "\r\n").encode())
            raw.setblocking(False)
            asks = b'\x81\x8e\0\0\0\0{"symbol": ""}'  # a frame with a mask of zeros
            most = 0
            async with asyncio.timeout(30):
                while not (made and made[0].transport.is_closing()):
                    with contextlib.suppress(OSError):
                        raw.send(asks)
                    await asyncio.sleep(0.1)
                    if made:
                        most = max(most, made[0].transport.get_write_buffer_size())
            assert 0 < most < 400_000
        async with page(port) as well:
            assert await asyncio.wait_for(_size(well), 5) == 300_000

    async def _size(well: Any) -> int:
        await well.send('{"symbol": ""}')
        return len(await well.recv())

    run(work)


def test_a_client_that_asks_for_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_STALLED_SECONDS", 0.3)

    async def work(exchange: Exchange, state: Any, port: int) -> None:
        async with page(port) as socket:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 10)

    run(work)


def test_so_many_pages_and_no_more_and_their_places_are_taken_again() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        async with contextlib.AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(page(port)) for _ in range(server.MOST_PAGES)
            ]
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(page(port))
            assert refused.value.response.status_code == 503
            states = await asyncio.gather(*map(state_of, sockets))
            assert len(states) == server.MOST_PAGES
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(InvalidStatus):
                    async with page(port) as socket:
                        await state_of(socket)
                        return
                await asyncio.sleep(0.05)

    run(work)


def test_a_port_that_is_taken_is_a_sentence() -> None:
    async def work(exchange: Exchange, state: Any, port: int) -> None:
        with pytest.raises(FeedError, match=r"^can't serve on 127\.0\.0\.1:\d+: something serves"):
            async with serving(state, "127.0.0.1", port):
                pass
        with pytest.raises(FeedError, match=r"^can't serve on no\.such\.host\.invalid:0: "):
            async with serving(state, "no.such.host.invalid", 0):
                pass

    run(work)
