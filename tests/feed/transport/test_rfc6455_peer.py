"""RFC 6455 against another implementation: what the server of websockets can be made to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from rfc6455 import CODES, LAST, NOTHING, VALID, trade
from rfc6455_clients import CONSUMERS, Seen, seen
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Act = Callable[[ServerConnection], Awaitable[None]]


class Row(NamedTuple):
    section: str
    act: Act
    trades: tuple[int, ...] = ()
    texts: int = 0
    damaged: int = 0
    said: str = ""  # in the ledger, where the server ends the connection
    code: int = 1000  # that the server is told in the end


def sends(*messages: bytes | str | list[bytes] | list[str]) -> Act:
    """Each as one frame, or a list as a message of so many fragments."""

    async def act(server: ServerConnection) -> None:
        for message in messages:
            await server.send(message)

    return act


async def pings(server: ServerConnection) -> None:
    for payload in (b"", b"Hi", b"\xff\xfe", bytes(125)):
        answered = await server.ping(payload)
        await asyncio.wait_for(answered, 5)
    many = [await server.ping() for _ in range(10)]
    await server.send(trade(2))
    await asyncio.wait_for(asyncio.gather(*many), 5)


async def pongs(server: ServerConnection) -> None:
    await server.pong()
    await server.pong(b"unsolicited")
    await server.send(trade(2))


async def pings_amid_a_message(server: ServerConnection) -> None:
    async def fragments() -> AsyncIterator[bytes]:
        for byte in trade(2):
            yield bytes([byte])
            if byte == 0:
                await asyncio.wait_for(await server.ping(), 5)

    await server.send(fragments())


async def closes_amid_a_message(server: ServerConnection) -> None:
    """websockets does so where what makes the fragments fails, with 1011."""

    async def fragments() -> AsyncIterator[bytes]:
        yield trade(2)[:20]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await server.send(fragments())


def closes(code: int, reason: str = "") -> Act:
    async def act(server: ServerConnection) -> None:
        await server.send(trade(2))
        await server.close(code, reason)

    return act


async def pings_and_closes(server: ServerConnection) -> None:
    await server.ping(b"late")
    await server.send(trade(2))
    await server.close()


async def hangs_up(server: ServerConnection) -> None:
    await server.send(trade(2))
    server.transport.close()


whole = trade(2)
ROWS = {
    "messages of all lengths": Row(
        "5.2", sends(*(trade(2 + i, size) for i, size in enumerate((125, 126, 127, 128, 65_535,
        65_536)))), (2, 3, 4, 5, 6, 7),
    ),
    "texts of all lengths": Row(
        "5.2", sends("", "x", *("*" * n for n in (125, 126, 127, 128, 65_535, 65_536)), whole),
        (2,), 8,
    ),
    "a message of nothing": Row("5.6", sends(b"", whole), (2,), damaged=1),
    "texts of all kinds": Row("8.1", sends(*(text.decode() for text in VALID.values())), (), 7),
    "a message in fragments": Row("5.4", sends([whole[:9], whole[9:30], whole[30:], b""]), (2,)),
    "a message in bytes": Row("5.4", sends([bytes([byte]) for byte in whole]), (2,)),
    "empty fragments": Row("5.4", sends([b"", b"", whole, b""]), (2,)),
    "a long message in two": Row(
        "5.4", sends([trade(2, 60_000)[:9], trade(2, 60_000)[9:]], trade(3)), (2, 3),
    ),
    "a text in fragments": Row("5.4", sends(["one ", "two ", "three"], whole), (2,), 1),
    "pings": Row("5.5.2", pings, (2,)),
    "pongs": Row("5.5.3", pongs, (2,)),
    "pings amid a message": Row("5.4", pings_amid_a_message, (2,)),
    "a close amid a message": Row(  # websockets does not wait for the answer then
        "5.4", closes_amid_a_message, said="closed amid a message", code=NOTHING,
    ),
    "a ping and a close": Row("5.5.1", pings_and_closes, (2,), said="closed with 1000"),
    "an end without a close": Row("7.1.5", hangs_up, (2,), said="no close frame came",
                                  code=NOTHING),
    "a close with a reason": Row("7.1.6", closes(4001, "κόσμε" * 9), (2,), said="κόσμε", code=4001),
    **{
        f"a close with {code}": Row("7.4", closes(code), (2,), 0, 0, f"closed with {code}", code)
        for code in CODES
    },
}  # fmt: skip


@asynccontextmanager
async def playing(row: Row, told: list[int], compression: str | None) -> AsyncIterator[str]:
    """A server whose first connection does as the row says; later ones go on."""
    count = 0

    async def handler(server: ServerConnection) -> None:
        nonlocal count
        count += 1
        is_first = count == 1
        request = json.loads(await server.recv())
        await server.send(json.dumps({"result": None, "id": request["id"]}))
        if is_first:
            await server.send(trade(1))
            await row.act(server)
        if not (is_first and row.said):
            await server.send(trade(LAST))
        try:
            await server.recv()
        except ConnectionClosed as closed:
            if is_first:
                told.append(closed.rcvd.code if closed.rcvd is not None else NOTHING)

    options = {"compression": compression, "ping_interval": None}
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


async def fault_of(row: Row, consumer: str, compression: str | None) -> str | None:
    told: list[int] = []
    try:
        async with playing(row, told, compression) as url:
            got = await seen(url, consumer, LAST)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    expected = Seen([1, *row.trades, LAST], row.damaged, row.texts, got.causes)
    if got != expected or len(got.causes) != bool(row.said):
        return f"the user saw {got}, not {expected}"
    if row.said and row.said not in got.causes[0]:
        return f"ended with {got.causes}, not with {row.said!r}"
    return None if told == [row.code] else f"the server was told {told}, not {row.code}"


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_another_implementation_is_understood(consumer: str, compression: str | None) -> None:
    """Also one that would compress, which is not asked of it (9.1)."""

    async def work() -> dict[str, str]:
        looks = (fault_of(row, consumer, compression) for row in ROWS.values())
        found = await asyncio.gather(*looks)
        return {
            f"{name} (RFC 6455, {ROWS[name].section})": fault
            for name, fault in zip(ROWS, found, strict=True)
            if fault is not None
        }

    assert asyncio.run(work()) == {}
