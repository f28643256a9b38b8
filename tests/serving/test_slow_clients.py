"""Clients that read slowly, not at all, or wrongly: they harm nobody, and buffers have a bound."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
from typing import Any

import pytest
from test_relay import B, D, T, ask, best, client_of, diff, next_of, relayed, run, trade, until

from binance_sbe import decode
from binance_sbe.serving.clients import framed

BIG = b"\0" * 5000


async def deaf(relay: Any, *streams: str) -> Any:
    """A client that does not read. Its socket takes little."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", relay.port))
    before = relay.clients_count
    path = "/".join(["/ws", *streams])
    request = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await asyncio.get_running_loop().sock_sendall(raw, request.encode())
    await until(lambda: relay.clients_count == before + 1)
    await asyncio.sleep(0.05)
    return raw


def small_buffers(relay: Any) -> None:
    """That of the client that came last."""
    last = list(relay._connections)[-1].transport.get_extra_info("socket")
    last.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


async def into(client: Any, got: list[Any]) -> None:
    async for message in client:
        got.append(message)


async def all_of(client: Any, count: int) -> list[Any]:
    return [await next_of(client) for _ in range(count)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_frame_is_one_of_websocket(size: int) -> None:
    from websockets.frames import Frame, Opcode

    message = random.Random(size).randbytes(size)
    assert framed(message) == Frame(Opcode.BINARY, message).serialize(mask=False)


def test_who_reads_no_diffs_is_cut_off_and_nobody_else_notices() -> None:
    async def work() -> None:
        async with (
            relayed(soft_buffer=20_000, max_buffer=200_000) as (exchange, relay),
            client_of(relay, D) as well,
        ):
            raw = await deaf(relay, D)
            small_buffers(relay)
            sent = 0
            most = 0
            got: list[Any] = []
            reading = asyncio.create_task(into(well, got))
            while relay.clients_cut == 0:
                sent += 1
                assert sent < 20_000
                exchange.send(D, diff(sent))
                await asyncio.sleep(0)
                if sent % 50 == 0:
                    await asyncio.sleep(0.001)
                    most = max([most, *(each.waiting for each in relay._connections.values())])
            assert most < 200_000 + 50_000
            await until(lambda: relay.clients_count == 1)
            await until(lambda: len(got) == sent)
            assert got == [diff(number) for number in range(1, sent + 1)]
            reading.cancel()
            raw.close()

    run(work())


def test_who_reads_slowly_gets_the_newest_prices_and_the_others_all() -> None:
    async def work() -> None:
        async with (
            relayed(soft_buffer=5_000, max_buffer=1 << 20) as (exchange, relay),
            client_of(relay, B) as well,
        ):
            raw = await deaf(relay, B)
            small_buffers(relay)
            count = 4000
            reading = asyncio.create_task(all_of(well, count))
            for number in range(1, count + 1):
                exchange.send(B, best(number))
                if number % 20 == 0:
                    await asyncio.sleep(0.001)
            assert await reading == [best(number) for number in range(1, count + 1)]
            assert relay.clients_cut == 0
            assert relay.conflated > 100
            assert max(each.waiting for each in relay._connections.values()) < 50_000
            # and once it reads, what it gets is in order, and the newest is the last
            data = b""
            loop = asyncio.get_running_loop()
            size = len(framed(best(count)))
            while not data.endswith(framed(best(count))):
                data += await asyncio.wait_for(loop.sock_recv(raw, 65536), 10)
            frames = data[data.index(framed(best(1))) :]
            assert len(frames) % size == 0
            parts = [frames[i + 2 : i + size] for i in range(0, len(frames), size)]
            ids = [decode(part).book_update_id for part in parts]  # type: ignore[union-attr]
            assert ids == sorted(set(ids))
            assert len(ids) + relay.conflated == count
            raw.close()

    run(work())


def test_who_asks_and_does_not_read_is_cut_off_too() -> None:
    """Pings are answered without anything being sent to it."""

    async def work() -> None:
        async with relayed(soft_buffer=1000, max_buffer=20_000) as (_, relay):
            raw = await deaf(relay)
            small_buffers(relay)
            ping = b"\x89\xfd" + bytes(4) + bytes(125)
            loop = asyncio.get_running_loop()
            with contextlib.suppress(ConnectionError, TimeoutError):
                while not relay.clients_cut:
                    await asyncio.wait_for(loop.sock_sendall(raw, ping * 50), 5)
                    await asyncio.sleep(0)
            await until(lambda: relay.clients_count == 0)
            assert relay.clients_cut == 1
            raw.close()

    run(work())


NOISE: list[bytes] = [
    b"", b"\0" * 100, b"GET", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(200),
    b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /ws" + b"/a" * 5000 + b" HTTP/1.1\r\n\r\n",
    b"POST /ws HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v3/depth?symbol=" + b"%00%ff" * 50 + b"&limit=-1 HTTP/1.1\r\nHost: x\r\n"
    b"Accept: application/sbe\r\nX-MBX-SBE: 3:0\r\n\r\n",
    b"GET /api/v3/depth?limit=" + b"9" * 100 + b" HTTP/1.1\r\nHost: x\r\n"
    b"Accept: application/sbe\r\nX-MBX-SBE: 3:99999999999999999999\r\n\r\n",
]  # fmt: skip


def test_noise_ends_its_own_connection_and_no_other() -> None:
    async def work() -> None:
        chance = random.Random(int(os.environ.get("CHAOS_SEEDS", "5").split(",")[0]))
        noise = NOISE + [chance.randbytes(chance.randrange(500)) for _ in range(30)]
        async with relayed() as (exchange, relay), client_of(relay, T) as well:
            for i, each in enumerate(noise):
                reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
                writer.write(each)
                if i % 2:
                    writer.write_eof()
                    await asyncio.wait_for(reader.read(), 15)
                writer.close()
                exchange.send(T, trade(i + 1))
                assert await next_of(well) == trade(i + 1)
            assert relay.clients_count == 1

    run(work())


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "5", '"x"', '{"method": 5}', '{"method": "SUBSCRIBE"}' * 2,
        '{"method": "SUBSCRIBE", "params": {"a": 1}}', '{"method": "SUBSCRIBE", "params": [[]]}',
        '{"method": "SUBSCRIBE", "params": [null], "id": {"a": [1]}}', "[" * 50_000,
        '{"method": "UNSUBSCRIBE", "params": ["nosuch"], "id": 1}', "\ud7ff\0\x1b[31m",
        json.dumps({"method": "SUBSCRIBE", "params": [f"x{i}@trade" for i in range(1025)]}),
    ],
)  # fmt: skip
def test_requests_that_are_none_are_answered_with_an_error(text: str) -> None:
    async def work() -> None:
        async with relayed() as (exchange, relay), client_of(relay, T) as client:
            await client.send(text)
            assert json.loads(await next_of(client))["code"] in (2, 3)
            assert await ask(client, "LIST_SUBSCRIPTIONS") == {"result": [T], "id": 7}
            assert exchange.asked == {T}

    run(work())


def test_binary_and_too_many_requests_close_the_connection() -> None:
    async def work() -> None:
        async with relayed(control_limit=5) as (_, relay):
            async with client_of(relay) as client:
                await client.send(b"binary")
                await client.wait_closed()
                assert client.close_code == 1003
            async with client_of(relay) as client:
                for _ in range(10):
                    await client.send("{}")
                await client.wait_closed()
                assert client.close_code == 1008
            await until(lambda: relay.clients_count == 0)

    run(work())


def test_only_so_many_clients_are_let_in() -> None:
    from websockets.exceptions import InvalidStatus

    async def work() -> None:
        async with relayed(max_clients=2) as (_, relay), client_of(relay), client_of(relay):
            with pytest.raises(InvalidStatus) as refused:
                async with client_of(relay):
                    pass
            assert refused.value.response.status_code == 503

    run(work())


def test_clients_come_and_go_at_random_and_what_is_counted_stays_right() -> None:
    async def work() -> None:
        chance = random.Random(11)
        async with relayed(linger=0.05, max_clients=50) as (exchange, relay):
            streams = [f"{s}@{k}" for s in ("btcusdt", "ethusdt") for k in ("trade", "depth")]
            number = 0

            async def live() -> None:
                nonlocal number
                async with client_of(relay, *chance.sample(streams, chance.randrange(3))) as each:
                    has = set((await ask(each, "LIST_SUBSCRIPTIONS"))["result"])
                    for _ in range(chance.randrange(6)):
                        name = chance.choice(streams)
                        method = chance.choice(["SUBSCRIBE", "UNSUBSCRIBE"])
                        assert await ask(each, method, name) == {"result": None, "id": 7}
                        (has.add if method == "SUBSCRIBE" else has.discard)(name)
                        assert has <= exchange.asked
                        number += 1
                        exchange.send(T, trade(number))
                        await asyncio.sleep(chance.random() * 0.05)
                    if chance.random() < 0.3:
                        each.transport.abort()

            for _ in range(6):
                await asyncio.gather(*(live() for _ in range(6)))
            await until(lambda: relay.clients_count == 0 and not exchange.asked)
            assert not relay._counts
            assert not relay._by_stream
            assert not relay._has
            assert relay._upstream == set()

    run(work())
