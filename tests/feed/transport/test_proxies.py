"""Feeds of both shells through proxies with real sockets: HTTP, SOCKS, those of the environment."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from beside import Beside, beside, nothing_left
from proxies import HttpProxy, SocksProxy
from shells import EACH_SHELL, EACH_WITH_NAMES, Opened
from shells import opened as opened

from binance_sbe.errors import Unreachable
from binance_sbe.simulator import Exchange

TRADES = "btcusdt@bestBidAsk"
SECRET = "s3cret-of-the-proxy"


@pytest.fixture(autouse=True)
def leaves_nothing_and_tells_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No proxy of this machine's is used; and what is logged has no password in it."""
    for name in ("http", "https", "all", "socks", "ws", "wss", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
    caplog.set_level(logging.DEBUG)
    with nothing_left():
        yield
    assert SECRET not in caplog.text


@pytest.fixture
def exchange() -> Iterator[Beside[Exchange]]:
    with beside(lambda: Exchange(["btcusdt"], rate=500)) as made:
        yield made


def url_of(exchange: Beside[Exchange], name: str = "the.exchange.test") -> str:
    return f"ws://{name}:{exchange.made.port}"


def options(exchange: Beside[Exchange], **more: Any) -> dict[str, Any]:
    return {"url": url_of(exchange), "api_key": "k", "open_timeout": 5.0} | more


# HTTP


@EACH_SHELL
def test_an_http_proxy_brings_the_feed_to_a_name_that_it_resolves(
    exchange: Beside[Exchange], opened: Opened
) -> None:
    with (
        beside(HttpProxy().running) as proxy,
        opened(TRADES, proxy=f"http://127.0.0.1:{proxy.made.port}", **options(exchange)) as feed,
    ):
        for _ in range(20):
            assert next(feed).symbol == "BTCUSDT"
        assert proxy.made.asked == [f"the.exchange.test:{exchange.made.port}"]


@EACH_SHELL
def test_an_http_proxy_gets_the_user_and_the_password(
    exchange: Beside[Exchange], opened: Opened
) -> None:
    with beside(HttpProxy(user=f"me@home:{SECRET}").running) as proxy:
        place = f"127.0.0.1:{proxy.made.port}"
        with opened(
            TRADES, proxy=f"http://me%40home:{SECRET}@{place}", **options(exchange)
        ) as feed:
            assert next(feed).symbol == "BTCUSDT"
            assert SECRET not in repr(feed.feed)
        for wrong in (place, f"me%40home:{SECRET}-not@{place}"):
            with (
                pytest.raises(Unreachable, match="407 .*are a user and a password in") as caught,
                opened(TRADES, proxy=f"http://{wrong}", **options(exchange)),
            ):
                pass
            assert SECRET not in str(caught.value) + repr(caught.value)


async def in_pieces(writer: asyncio.StreamWriter) -> bool:
    for byte in b"HTTP/1.0 200 \r\nA: b\r\n\r\n":
        writer.write(bytes([byte]))
        await asyncio.sleep(0.002)
    return True


def says(answer: bytes) -> Any:
    async def says(writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.2)
        return False

    return says


async def hangs_up(writer: asyncio.StreamWriter) -> bool:
    return False


async def says_nothing(writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(60)
    return False


async def without_end(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"y" * 1000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


@EACH_SHELL
def test_an_answer_may_come_in_pieces(exchange: Beside[Exchange], opened: Opened) -> None:
    with (
        beside(HttpProxy(in_pieces).running) as proxy,
        opened(TRADES, proxy=f"127.0.0.1:{proxy.made.port}", **options(exchange)) as feed,
    ):
        assert next(feed)


BAD = {
    "403": (says(b"HTTP/1.1 403 Not \x1b[31mhere\r\n\r\n"), r"HTTP 403 Not \\x1b\[31mhere"),
    "502": (says(b"HTTP/1.1 502 Bad Gateway\r\n\r\nno"), "refused to connect to .*HTTP 502 Bad"),
    "302": (says(b"HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n"), "HTTP 302"),
    "garbage": (says(b"\x00\xff\r\n\r\n"), "does not speak HTTP: it answered"),
    "garbage without end": (says(b"\x15\x03" * 20_000), "gave no answer to CONNECT"),
    "too much": (says(b"HTTP/1.1 200 OK\r\n\r\nhello"), "sent more than its answer"),
    "an end": (hangs_up, "gave no answer to CONNECT"),
    "half an answer": (says(b"HTTP/1.1 200 OK\r\n"), "gave no answer to CONNECT"),
    "a head without end": (without_end, "gave no answer to CONNECT"),
    "nothing": (says_nothing, "no answer within 0.7 s"),
}


@EACH_SHELL
@pytest.mark.parametrize("fault", BAD)
def test_a_proxy_that_does_not_agree_is_named(
    exchange: Beside[Exchange], opened: Opened, fault: str
) -> None:
    answer, said = BAD[fault]
    with beside(HttpProxy(answer).running) as proxy:
        place = f"127.0.0.1:{proxy.made.port}"
        more = options(exchange, open_timeout=0.7 if fault == "nothing" else 5.0)
        with (
            pytest.raises(Unreachable, match=said) as caught,
            opened(TRADES, proxy=f"http://me:{SECRET}@{place}", **more),
        ):
            pass
        assert str(caught.value).startswith(url_of(exchange))
        assert fault == "nothing" or f"the proxy http://{place} " in str(caught.value)
        assert SECRET not in str(caught.value)


@EACH_SHELL
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_is_not_there_is_named(
    exchange: Beside[Exchange], opened: Opened, scheme: str
) -> None:
    with (
        pytest.raises(Unreachable, match=rf"the proxy {scheme}://127.0.0.1:9 does not answer: "),
        opened(TRADES, proxy=f"{scheme}://u:{SECRET}@127.0.0.1:9", **options(exchange)),
    ):
        pass


# SOCKS


@EACH_SHELL
@pytest.mark.parametrize("user", [None, f"me:{SECRET}"])
def test_a_socks_proxy_brings_the_feed_there(
    exchange: Beside[Exchange], opened: Opened, user: str | None
) -> None:
    pytest.importorskip("python_socks")
    with beside(SocksProxy(user).running) as proxy:
        mine = "" if user is None else f"{user}@"
        more = options(exchange, local_addr=("127.0.0.3", 0))
        where = f"socks5h://{mine}127.0.0.1:{proxy.made.port}"
        with opened(TRADES, proxy=where, **more) as feed:
            assert next(feed).symbol == "BTCUSDT"
        assert proxy.made.asked == [f"the.exchange.test:{exchange.made.port}"]
        assert proxy.made.peers == ["127.0.0.3"]


@EACH_WITH_NAMES
def test_with_socks5_the_name_is_resolved_here(
    exchange: Beside[Exchange], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("python_socks")
    right = socket.getaddrinfo

    def known(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        return right("127.0.0.1" if host == "the.exchange.test" else host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    with beside(SocksProxy().running) as proxy:
        where = f"socks5://127.0.0.1:{proxy.made.port}"
        with opened(TRADES, proxy=where, **options(exchange)) as feed:
            assert next(feed)
        assert proxy.made.asked == [f"127.0.0.1:{exchange.made.port}"]


@EACH_SHELL
@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "me:another"}, {"code": 2}, {"code": 5}, {"code": 77}, {"lie": "hangs up"},
        {"lie": "speaks HTTP"}, {"lie": "wants a password"},
    ],
    ids=str,
)  # fmt: skip
def test_a_socks_proxy_that_refuses_or_lies_is_named(
    exchange: Beside[Exchange], opened: Opened, wrong: Any
) -> None:
    pytest.importorskip("python_socks")
    with beside(SocksProxy(**wrong).running) as proxy:
        place = f"127.0.0.1:{proxy.made.port}"
        mine = "" if wrong.get("lie") == "wants a password" else f"me:{SECRET}@"
        with (
            pytest.raises(Unreachable, match=f"the proxy socks5h://{place} refused") as caught,
            opened(TRADES, proxy=f"socks5h://{mine}{place}", **options(exchange)),
        ):
            pass
        assert SECRET not in str(caught.value)


@EACH_SHELL
def test_a_socks_proxy_that_says_nothing_costs_the_time_out(
    exchange: Beside[Exchange], opened: Opened
) -> None:
    pytest.importorskip("python_socks")
    with beside(SocksProxy(lie="says nothing").running) as proxy:
        where = f"socks5h://127.0.0.1:{proxy.made.port}"
        started = time.monotonic()
        with (
            pytest.raises(Unreachable, match="no answer within 0.5 s"),
            opened(TRADES, proxy=where, **options(exchange, open_timeout=0.5)),
        ):
            pass
        assert time.monotonic() - started < 5


# the environment


@EACH_SHELL
@pytest.mark.parametrize(
    ("environment", "goes_through"),
    [
        ({"HTTPS_PROXY": "http://{}"}, True),
        ({"https_proxy": "{}"}, True),
        ({"ALL_PROXY": "http://{}"}, True),
        ({"HTTPS_PROXY": "http://{}", "NO_PROXY": "127.0.0.1"}, False),
        ({"HTTPS_PROXY": "http://{}", "NO_PROXY": "*"}, False),
        ({"HTTPS_PROXY": "http://{}", "NO_PROXY": "example.com"}, True),
        ({"FTP_PROXY": "http://{}"}, False),
    ],
)
def test_the_proxy_of_the_environment_is_used_unless_it_is_excepted(
    exchange: Beside[Exchange],
    opened: Opened,
    environment: dict[str, str],
    goes_through: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with beside(HttpProxy().running) as proxy:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(f"127.0.0.1:{proxy.made.port}"))
        more = options(exchange, url=url_of(exchange, "127.0.0.1"))
        with opened(TRADES, **more) as feed:
            assert next(feed)
        assert len(proxy.made.asked) == goes_through
        with opened(TRADES, proxy=None, **more) as feed:
            assert next(feed)
        assert len(proxy.made.asked) == goes_through


@EACH_SHELL
def test_a_proxy_of_the_environment_that_can_not_be_is_an_error(
    exchange: Beside[Exchange], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"gopher://u:{SECRET}@h:1")
    with (
        pytest.raises(Unreachable, match="proxy is reached by http, socks5h") as caught,
        opened(TRADES, **options(exchange)),
    ):
        pass
    assert SECRET not in str(caught.value)
