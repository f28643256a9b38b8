"""How connections leave this machine, with real sockets: proxies, addresses, options of sockets."""

from __future__ import annotations

import asyncio
import contextlib
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

import binance_sbe
from binance_sbe.errors import FeedError, Unreachable
from binance_sbe.feed.transport.dialing import attempted
from binance_sbe.route import Proxy, Route, parsed_proxy
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


@pytest.mark.parametrize(
    "given",
    [
        f"https://u:{SECRET}@h:1", f"http://u:{SECRET}@h:port", f"http://u:{SECRET}@h:99999",
        f"http://u:{SECRET}@", f"http://u:{SECRET}@h/path", f"http://u:{SECRET}@h?q",
        f"http://u:{SECRET}@[::1", "", "http://", f"{SECRET}://h",
    ],
)  # fmt: skip
def test_a_proxy_that_can_not_be_is_refused_without_its_password(given: str) -> None:
    with pytest.raises(ValueError, match="proxy is") as caught:
        binance_sbe.connect(TRADES, proxy=given)
    assert f"u:{SECRET}" not in str(caught.value)


@pytest.mark.parametrize("given", [5, f"http://u:{SECRET}@h".encode(), False, object()])
def test_a_proxy_of_another_type_is_refused_without_its_password(given: Any) -> None:
    with pytest.raises(TypeError, match="proxy is a URL") as caught:
        binance_sbe.connect(TRADES, proxy=given)
    assert SECRET not in str(caught.value)


def test_no_repr_has_a_password() -> None:
    url = f"http://u:{SECRET}@h:8080"
    proxy = parsed_proxy(url)
    assert (str(proxy), proxy.password) == ("http://h:8080", SECRET)
    assert SECRET not in repr(proxy) + repr(Route(url)) + repr(binance_sbe.connect(proxy=url))
    assert parsed_proxy("[::1]:3128") == Proxy("http", "::1", 3128)
    assert str(parsed_proxy("socks5h://[::1]")) == "socks5h://[::1]:1080"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"local_addr": "127.0.0.1"}, TypeError), ({"local_addr": ["127.0.0.1", 0]}, TypeError),
        ({"local_addr": ("127.0.0.1", "0")}, TypeError), ({"local_addr": ("eth0", 0)}, ValueError),
        ({"local_addr": ("127.0.0.1", 65536)}, ValueError),
        ({"local_addr": ("127.0.0.1", -1)}, ValueError), ({"busy_poll": 0}, ValueError),
        ({"busy_poll": 1_000_001}, ValueError), ({"busy_poll": 2.5}, ValueError),
        ({"ssl": True}, TypeError),
    ],
)  # fmt: skip
def test_what_can_be_no_route_is_refused_at_once(given: Any, error: Any) -> None:
    with pytest.raises(error, match=next(iter(given))):
        binance_sbe.connect(TRADES, **given)


# sockets


@EACH_SHELL
def test_connections_come_from_the_address_that_was_given(
    exchange: Beside[Exchange], opened: Opened
) -> None:
    more = options(exchange, url=exchange.made.url, local_addr=("127.0.0.2", 0), lines=2)
    with opened(TRADES, **more) as feed:
        next(feed)
        peers = exchange.call(
            lambda: {each.remote_address[0] for each in exchange.made._connections}
        )
        assert peers == {"127.0.0.2"}
    with (
        pytest.raises(FeedError, match=r"Cannot assign requested address|not available"),
        opened(TRADES, **options(exchange, url=exchange.made.url, local_addr=("192.0.2.1", 0))),
    ):
        pass


@EACH_SHELL
@pytest.mark.parametrize("through", ["nothing", "HTTP", "SOCKS"])
def test_sockets_have_their_options(
    exchange: Beside[Exchange], opened: Opened, through: str
) -> None:
    proxy = SocksProxy() if through == "SOCKS" else HttpProxy()
    if through == "SOCKS":
        pytest.importorskip("python_socks")
    with beside(proxy.running):
        scheme = "socks5h" if through == "SOCKS" else "http"
        given = None if through == "nothing" else f"{scheme}://127.0.0.1:{proxy.port}"
        with opened(TRADES, **options(exchange, url=exchange.made.url, proxy=given)) as feed:
            next(feed)
            (found,) = feed.sockets()
            known = found
            tcp = socket.IPPROTO_TCP
            assert known.getsockopt(tcp, socket.TCP_NODELAY)
            assert known.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert known.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 30_000
                assert known.getsockopt(tcp, socket.TCP_KEEPIDLE) == 30
                assert known.getsockopt(tcp, socket.TCP_KEEPINTVL) == 10
                assert known.getsockopt(tcp, socket.TCP_KEEPCNT) == 3


class Refusing(socket.socket):
    """Of a system that lets nobody set some options."""

    refuses: tuple[int, ...] = ()

    def setsockopt(self, *option: Any) -> None:
        if option[1] in self.refuses:
            raise PermissionError(1, "Operation not permitted")
        super().setsockopt(*option)


@EACH_SHELL
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="has none of these options")
def test_options_that_the_system_refuses_are_told_where_they_were_asked_for(
    exchange: Beside[Exchange], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "refuses", (46, socket.TCP_KEEPCNT))
    monkeypatch.setattr(socket, "socket", Refusing)
    more = options(exchange, url=exchange.made.url)
    with opened(TRADES, **more) as feed:
        assert next(feed)
    with (
        pytest.raises(Unreachable, match=r"busy_poll: the system refuses it \(Operation not perm"),
        opened(TRADES, busy_poll=50, **more),
    ):
        pass


def test_busy_poll_is_set_where_the_system_lets_us() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            place: Any = (socket.AF_INET, socket.SOCK_STREAM, 6, "", server.getsockname())
            try:
                found = await attempted(place, Route(busy_poll=50))
            except OSError as error:
                assert "busy_poll" in str(error)
            else:
                with found:
                    assert found.getsockopt(socket.SOL_SOCKET, 46) == 50

    asyncio.run(work())


@EACH_WITH_NAMES
def test_a_first_address_that_is_dead_costs_a_quarter_of_a_second(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.2", 0))
        dead.listen(0)
        port = dead.getsockname()[1]
        for _ in range(4):  # its queue of connections is full
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(dead.getsockname())
        stack.enter_context(beside(lambda: Exchange(["btcusdt"], rate=500, port=port)))
        right = socket.getaddrinfo

        def two(host: Any, *more: Any, **named: Any) -> Any:
            if host != "two.addresses.test":
                return right(host, *more, **named)
            found = [("127.0.0.2", port), ("127.0.0.1", port)]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in found]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        url = f"ws://two.addresses.test:{port}"
        started = time.monotonic()
        with opened(TRADES, url=url, api_key="k", open_timeout=5) as feed:
            assert 0.2 < time.monotonic() - started < 3.0
            assert next(feed)
