"""The local exchange as it is served: each fault as a client sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from binance_sbe import DecodeError, RateLimited, UnknownTemplate, decode, rest
from binance_sbe.simulator import Exchange, faults, server
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk

KEY = {"X-MBX-APIKEY": "any"}
T, B = "btcusdt@trade", "btcusdt@bestBidAsk"


def best(number: int) -> bytes:
    return encode(BestBidAsk("BTCUSDT", -2, -8, 1, number, (99, 1), (101, 2)))


class Client:
    """One connection to an exchange whose streams of trades and best prices rest."""

    def __init__(self, exchange: Exchange, socket: ClientConnection) -> None:
        self.exchange = exchange
        self.socket = socket

    async def next(self, seconds: float = 5.0) -> Any:
        return await asyncio.wait_for(self.socket.recv(), seconds)

    async def numbers(self, count: int) -> list[int]:
        """The update ids of so many messages."""
        return [decode(await self.next()).book_update_id for _ in range(count)]

    def send(self, *numbers: int, stream: str = B) -> None:
        for number in numbers:
            self.exchange.send(stream, best(number))

    async def ask(self, method: str, *params: Any) -> Any:
        await self.socket.send(json.dumps({"method": method, "params": params, "id": 1}))
        return json.loads(await self.next())

    async def end(self) -> ConnectionClosed:
        """How the connection ends; what comes before is thrown away."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            return closed

    @property
    def wire(self) -> Any:
        (subscriptions,) = self.exchange._connections.values()
        return subscriptions.wire


@contextlib.asynccontextmanager
async def connected(path: str = f"/ws/{B}", **options: Any) -> AsyncIterator[Client]:
    options = {"symbols": ["btcusdt"], "rate": 1e-9} | options
    async with (
        Exchange(**options) as exchange,
        open_websocket(exchange.url + path, additional_headers=KEY, ping_interval=None) as socket,
    ):
        yield Client(exchange, socket)


async def damage(client: Client) -> None:
    client.send(1, 2)
    with pytest.raises(DecodeError):
        decode(await client.next())
    assert await client.numbers(1) == [2]


async def unknown(client: Client) -> None:
    with pytest.raises(UnknownTemplate, match="29999"):
        decode(await client.next())
    client.send(1)
    assert await client.numbers(1) == [1]


async def newer(client: Client) -> None:
    client.send(1, 2)
    messages = [decode(await client.next()) for _ in range(2)]
    assert [message.version for message in messages] == [1, 0]


async def repeat(client: Client) -> None:
    client.send(1, 2)
    assert await client.numbers(3) == [1, 1, 2]


async def swap(client: Client) -> None:
    client.send(1, 2, 3)
    assert await client.numbers(3) == [2, 1, 3]


async def cull(client: Client) -> None:
    assert 0.9 < client.wire.culls_until - time.monotonic() <= 1.0
    client.send(*range(1, 11))
    client.wire.culls_until = 0.0
    client.send(11)
    assert await client.numbers(3) == [5, 10, 11]


async def delay(client: Client) -> None:
    assert 0.0 < client.wire.late_until - time.monotonic() <= 2.0
    client.send(1, 2)
    with pytest.raises(TimeoutError):
        await client.next(0.05)
    client.wire.late_until = 0.0
    client.send(3)
    assert await client.numbers(3) == [1, 2, 3]


async def cut(client: Client) -> None:
    client.send(1)
    ended = await client.end()
    assert isinstance(ended, ConnectionClosedError)
    assert ended.rcvd is None


async def close(client: Client) -> None:
    client.send(1)
    with pytest.raises(ConnectionClosed) as caught:
        await client.next()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "going away")


async def silence(client: Client) -> None:
    client.send(1)
    pong = await client.socket.ping()
    with pytest.raises(TimeoutError):
        await client.next(0.1)
    assert not pong.done()
    for each in client.exchange._connections:
        each.transport.abort()


async def shutdown(client: Client) -> None:
    notice = json.loads(await client.next())
    assert notice.keys() == {"e", "E"}
    assert notice["e"] == "serverShutdown"
    assert abs(notice["E"] / 1e3 - time.time()) < 30
    client.send(1)
    assert await client.numbers(1) == [1]
    ended = await client.end()
    assert ended.rcvd is not None
    assert (ended.rcvd.code, ended.rcvd.reason) == (1001, "shutting down")


async def refuse(client: Client) -> None:
    assert await client.ask("SUBSCRIBE", T) == {
        "code": 2, "msg": "Invalid request: not now", "id": 1,
    }  # fmt: skip
    assert await client.ask("LIST_SUBSCRIPTIONS") == {"result": [B], "id": 1}


async def slow(client: Client) -> None:
    started = time.monotonic()
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == [B]
    assert time.monotonic() - started >= 0.3
    assert client.exchange._next_reply == ""


async def get(client: Client, path: str = "/api/v3/depth?symbol=BTCUSDT&limit=5") -> Any:
    async with rest.Client(url=client.exchange.url.replace("ws:", "http:")) as web:
        name, _, query = path.partition("?")
        return await web.get(name, **dict(part.split("=") for part in query.split("&")))


async def limited(client: Client, status: int, seconds: int) -> None:
    with pytest.raises(RateLimited) as caught:
        await get(client)
    assert (caught.value.status, caught.value.retry_after) == (status, seconds)
    assert len((await get(client)).bids) == 5


async def limit(client: Client) -> None:
    await limited(client, 429, 1)


async def ban(client: Client) -> None:
    await limited(client, 418, 2)


async def old(client: Client) -> None:
    market = client.exchange.markets["btcusdt"]
    first = market.update_id
    market.step(1)
    market.step(2)
    assert (await get(client)).last_update_id == first < market.update_id
    assert (await get(client)).last_update_id == market.update_id


async def finer(client: Client) -> None:
    assert [(await get(client)).price_exponent for _ in range(2)] == [-3, -2]
    assert (await client.ask("SUBSCRIBE", "btcusdt@depth20", "btcusdt@depth"))["result"] is None
    market = client.exchange.markets["btcusdt"]
    seen: dict[str, list[int]] = {"DepthSnapshotStreamEvent": [], "DepthDiffStreamEvent": []}
    client.exchange._finer = {server.Depth, server.Diff}
    while min(map(len, seen.values())) < 2:
        market.step(1)
        message = decode(await client.next())
        seen[type(message).__name__].append(message.price_exponent)
    assert [each[:2] for each in seen.values()] in ([[-3, -2]] * 2, [[-2, -3], [-3, -2]])


SEEN: dict[str, Callable[[Client], Awaitable[None]]] = {
    each.__name__: each for each in (
        damage, unknown, newer, repeat, swap, cull, delay, cut, close, silence, shutdown, refuse,
        slow, limit, ban, old, finer,
    )
}  # fmt: skip


@pytest.mark.parametrize("fault", faults.KINDS)
def test_a_fault_is_what_its_description_says(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SHUTDOWN_SECONDS", 0.2)
    monkeypatch.setattr(server, "_SLOW_REPLY_SECONDS", 0.3)

    async def work() -> None:
        async with connected() as client:
            assert client.wire.plain
            assert client.exchange.inflict(fault)
            await SEEN[fault](client)

    asyncio.run(work())


def test_a_wire_is_plain_again_after_a_fault() -> None:
    async def work() -> None:
        async with connected() as client:
            assert client.exchange.inflict("repeat")
            assert not client.wire.plain
            client.send(1)
            client.exchange._look_after_connections(time.monotonic())
            assert client.wire.plain

    asyncio.run(work())


@pytest.mark.parametrize("fault", faults.KINDS)
def test_a_fault_needs_something_to_happen_to(fault: str) -> None:
    """A connection for what befalls requests, one with a stream for what befalls frames."""

    async def work() -> None:
        async with Exchange(["btcusdt"], rate=1e-9) as exchange:
            of_rest = fault in ("limit", "ban", "old", "finer")
            assert exchange.inflict(fault) == of_rest
            async with open_websocket(exchange.url + "/ws", additional_headers=KEY):
                assert exchange.inflict(fault) == (of_rest or fault in ("refuse", "slow"))

    asyncio.run(work())


def test_a_connection_that_is_mute_suffers_nothing_more() -> None:
    async def work() -> None:
        async with connected() as client:
            client.wire.is_mute = True
            for fault in ("cut", "close", "silence", "repeat", "refuse"):
                assert not client.exchange.inflict(fault)

    asyncio.run(work())


def test_a_schedule_inflicts_faults_and_says_so() -> None:
    async def work() -> None:
        options = {"faults": ["unknown@0.05", "close@0.1"], "fault_seconds": 5.0}
        async with connected(**options) as client:
            schedule = client.exchange.fault_schedule
            assert schedule.seconds == 5.0
            with pytest.raises(UnknownTemplate):
                decode(await client.next())
            ended = await client.end()
            assert ended.rcvd is not None
            assert ended.rcvd.code == 1001
            assert [name for _, name in schedule.done] == ["unknown", "close"]
            assert schedule.done[0][0] >= 0.05

    asyncio.run(work())
