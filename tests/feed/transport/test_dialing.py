"""Which address of a host is taken, and when the next is tried."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.request
from typing import Any, ClassVar

import pytest

from binance_sbe.feed.transport import dialing
from binance_sbe.feed.transport.dialing import NEXT_ADDRESS_SECONDS, dialed, in_turns
from binance_sbe.route import system_proxy

V4, V6 = socket.AF_INET, socket.AF_INET6


def places(*families: Any) -> list[Any]:
    return [(family, 1, 6, "", (str(n), 1)) for n, family in enumerate(families)]


@pytest.mark.parametrize(
    ("families", "order"),
    [
        ([V6, V6, V4], "021"),
        ([V4, V4, V6, V6], "0213"),
        ([V4, V6, V6, V6], "0123"),
        ([V6, V4, V6], "012"),
        ([V4], "0"),
        ([V4, V4], "01"),
    ],
)
def test_families_take_turns_beginning_with_that_of_the_first(
    families: list[Any], order: str
) -> None:
    assert "".join(each[4][0] for each in in_turns(places(*families))) == order


class Loop:
    """Addresses that answer, refuse or say nothing, after so many seconds, each with a socket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: tuple[str, float]) -> None:
        self.answers = answers
        self.tried: list[tuple[str, float]] = []
        self.sockets: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        monkeypatch.setattr(loop, "getaddrinfo", self.getaddrinfo)
        monkeypatch.setattr(loop, "sock_connect", self.connect)
        monkeypatch.setattr(dialing.socket, "socket", self.socket)

    async def getaddrinfo(self, *asked: Any, **options: Any) -> list[Any]:
        self.asked.append((*asked, options))
        return [(V4, 1, 6, "", (str(n), 1)) for n in range(len(self.answers))]

    def socket(self, *kind: Any) -> Any:
        self.asked.append(kind)

        class Socket:
            closed = False
            blocking = True
            options: ClassVar[list[Any]] = []

            def setsockopt(self, *option: int) -> None:
                self.options.append(option)

            def setblocking(self, blocks: bool) -> None:
                self.blocking = blocks

            def close(self) -> None:
                self.closed = True

        self.sockets.append(Socket())
        return self.sockets[-1]

    async def connect(self, found: Any, address: Any) -> None:
        assert not found.blocking
        number = int(address[0])
        self.tried.append((address[0], asyncio.get_running_loop().time() - self.began))
        what, seconds = self.answers[number]
        await asyncio.sleep(seconds)
        if what != "answers":
            raise OSError(what)


@pytest.mark.parametrize(
    ("answers", "chosen", "tried"),
    [
        ([("answers", 0.0)], 0, [0.0]),
        ([("answers", 0.02), ("answers", 0.0)], 0, [0.0]),  # no other is tried while there is time
        ([("answers", 9.0), ("answers", 0.0)], 1, [0.0, 0.05]),
        ([("refuses", 0.0), ("answers", 0.0)], 1, [0.0, 0.0]),  # at once
        ([("refuses", 0.0), ("refuses", 0.0), ("answers", 0.0)], 2, [0.0, 0.0, 0.0]),
        ([("answers", 0.12), ("answers", 9.0), ("answers", 9.0)], 0, [0.0, 0.05, 0.1]),
        ([("refuses", 0.12), ("answers", 0.3), ("refuses", 0.0)], 1, [0.0, 0.05, 0.1]),
    ],
)
def test_the_next_address_is_tried_after_a_while_or_a_refusal(
    answers: list[tuple[str, float]],
    chosen: int,
    tried: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert NEXT_ADDRESS_SECONDS == 0.25
    monkeypatch.setattr(dialing, "NEXT_ADDRESS_SECONDS", 0.05)

    async def work() -> None:
        loop = Loop(monkeypatch, *answers)
        found: Any = await dialed("host", 7)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert found is loop.sockets[chosen]
        assert [each.closed for each in loop.sockets] == [
            n != chosen for n in range(len(loop.sockets))
        ]
        assert loop.asked[0] == ("host", 7, {"type": socket.SOCK_STREAM})
        assert loop.asked[1] == (V4, 1, 6)
        assert [name for name, _ in loop.tried] == [str(n) for n in range(len(tried))]
        for (_, at), least in zip(loop.tried, tried, strict=True):
            assert at >= least - 0.005
        if tried[-1] == 0.0:
            assert loop.tried[-1][1] < 0.045

    with monkeypatch.context():
        asyncio.run(asyncio.wait_for(work(), 8))


def test_where_none_answers_the_error_is_that_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialing, "NEXT_ADDRESS_SECONDS", 0.01)

    async def work() -> None:
        loop = Loop(monkeypatch, ("first", 0.05), ("second", 0.0))
        with pytest.raises(OSError, match="^first$"):
            await dialed("host", 7)
        assert [each.closed for each in loop.sockets] == [True, True]

    asyncio.run(asyncio.wait_for(work(), 8))


def test_a_winner_that_nobody_waits_for_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        loop = Loop(monkeypatch, ("answers", 5.0), ("answers", 5.0))
        task = asyncio.create_task(dialed("host", 7))
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert [each.closed for each in loop.sockets] == [True]

    asyncio.run(asyncio.wait_for(work(), 8))


@pytest.mark.parametrize(
    ("proxies", "is_secure", "has"),
    [
        ({}, True, False),
        ({"wss": "p"}, True, True),
        ({"wss": "p"}, False, False),
        ({"ws": "p"}, False, True),
        ({"ws": "p"}, True, False),
        ({"socks": "p"}, True, True),
        ({"socks": "p"}, False, True),
        ({"https": "p"}, True, True),
        ({"https": "p"}, False, True),
        ({"http": "p"}, False, True),
        ({"http": "p"}, True, False),
        ({"ftp": "p"}, True, False),
    ],
)
def test_a_proxy_is_for_some_connections(
    proxies: dict[str, str], is_secure: bool, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def bypass(place: str) -> bool:
        asked.append(place)
        return place == "inside:1"

    monkeypatch.setattr(urllib.request, "getproxies", lambda: proxies)
    monkeypatch.setattr(urllib.request, "proxy_bypass", bypass)
    assert (system_proxy("host", 7, is_secure) is not None) is has
    assert asked == ["host:7"] * has
    assert system_proxy("inside", 1, is_secure) is None
