"""Each state of a connection to the WebSocket API times each wrong message, by a table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import ServerConnection, serve

from binance_sbe import spot_sbe, ws_api
from binance_sbe.errors import BinanceError, ConnectionLost
from binance_sbe.feed import successive
from binance_sbe.serving.rest import error_response

PING = spot_sbe.PingResponse.encode()
LIMIT: dict[str, Any] = {
    "rate_limit_type": "RequestWeight", "interval": "Minute", "interval_num": 1,
    "rate_limit": 6000, "current": 1,
}  # fmt: skip


def reply(identity: str, result: bytes, status: int = 200) -> bytes:
    return spot_sbe.WebSocketResponse.encode(
        sbe_schema_id_version_deprecated=False, status=status, rate_limits=[LIMIT],
        id=identity, result=result,
    )  # fmt: skip


def balance(delta: int, subscription: int = 7) -> bytes:
    return spot_sbe.BalanceUpdateEvent.encode(
        event_time=1, clear_time=1, qty_exponent=-8, free_qty_delta=delta,
        subscription_id=subscription, asset="BTC",
    )  # fmt: skip


RESULTS = {
    "session.logon": spot_sbe.WebSocketSessionLogonResponse.encode(
        authorized_since=1, connected_since=1, return_rate_limits=True, server_time=1,
        user_data_stream=False, logged_on_api_key="k",
    ),
    "userDataStream.subscribe": spot_sbe.UserDataStreamSubscribeResponse.encode(subscription_id=7),
    "userDataStream.subscribe.signature":
        spot_sbe.UserDataStreamSubscribeResponse.encode(subscription_id=7),
}  # fmt: skip
# What comes: frames, and what becomes of them: events for the user, and damaged frames.
WRONG: dict[str, tuple[list[bytes | str], int, int]] = {
    "a text": (['{"error": "no SBE"}'], 0, 0),
    "an empty frame": ([b""], 0, 1),
    "garbage": ([b"\xff" * 40], 0, 1),
    "a message that is cut": ([balance(1)[:-1]], 0, 1),
    "a reply that is cut": ([reply("r1", PING)[:9]], 0, 1),
    "a reply to no request": ([reply("r99", PING)], 0, 0),
    "a reply without an id": ([reply("", PING)], 0, 0),
    "a reply that comes again": ([reply("r1", PING), reply("r1", PING)], 0, 0),
    "a reply whose result is garbage": ([reply("r99", b"\xff" * 20)], 0, 1),
    "a reply whose result is empty": ([reply("r99", b"")], 0, 0),
    "an error that nobody asked for": ([error_response(-1003, "too much")], 1, 0),
    "an event of no subscription": ([balance(5, 99)], 1, 0),
    "another template": ([spot_sbe.ServerTimeResponse.encode(server_time=1)], 1, 0),
    "an unknown template": ([balance(1)[:2] + b"\xff\x7f" + balance(1)[4:]], 0, 1),
    "another schema": ([balance(1)[:4] + b"\x63\x00" + balance(1)[6:]], 0, 1),
}
STATES = ("open", "waiting", "logged on", "subscribed")


class Peer:
    """Answers as it should, but for requests of the method "hold", and says wrong things."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.sockets: list[ServerConnection] = []
        self.release: list[Callable[[], Awaitable[None]]] = []

    async def serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        async for text in socket:
            asked = json.loads(text)
            answer = reply(asked["id"], RESULTS.get(asked["method"], PING))
            if asked["method"] == "hold":
                self.release.append(lambda answer=answer: socket.send(answer))
                self.held.set()
            else:
                await socket.send(answer)


async def reached(state: str, api: Any, peer: Peer) -> asyncio.Task[Any] | None:
    if state == "waiting":
        waiting = asyncio.create_task(api.request("hold"))
        await peer.held.wait()
        return waiting
    if state in ("logged on", "subscribed"):
        await api.log_on()
    if state == "subscribed":
        assert await api.subscribe_user_data() == 7
    return None


def run(work: Callable[[Any, Peer], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        peer = Peer()
        async with serve(peer.serve, "127.0.0.1", 0, compression=None) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            key = Ed25519PrivateKey.generate()
            made = ws_api.connect(url=url, api_key="k", private_key=key, **options)
            async with made as api:
                await work(api, peer)

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_ends_nothing_and_is_given_or_kept(state: str, name: str) -> None:
    frames, events, damaged = WRONG[name]

    async def work(api: Any, peer: Peer) -> None:
        waiting = await reached(state, api, peer)
        if waiting is not None and name == "a reply that comes again":
            return  # that is its reply: see below
        for frame in frames:
            await peer.sockets[-1].send(frame)
        assert isinstance(await api.request("ping"), spot_sbe.PingResponse)
        assert (len(api.damaged), api.connections_count, api.gaps) == (damaged, 1, [])
        await peer.sockets[-1].send(balance(1234))
        found = [await anext(api) for _ in range(events + 1)]
        assert found[-1].free_qty_delta == 1234
        if waiting is not None:
            assert not waiting.done()
            await peer.release[0]()
            assert isinstance(await waiting, spot_sbe.PingResponse)

    run(work)


def test_a_reply_that_comes_again_is_for_nobody() -> None:
    async def work(api: Any, peer: Peer) -> None:
        waiting = await reached("waiting", api, peer)
        assert waiting is not None
        await peer.release[0]()
        await peer.release[0]()
        assert isinstance(await waiting, spot_sbe.PingResponse)
        assert isinstance(await api.request("ping"), spot_sbe.PingResponse)

    run(work)


def test_an_error_in_an_envelope_is_for_who_asked_and_for_nobody_else() -> None:
    async def work(api: Any, peer: Peer) -> None:
        first = asyncio.create_task(api.request("hold"))
        await peer.held.wait()
        await peer.sockets[-1].send(reply("r1", error_response(-1121, "Invalid symbol."), 400))
        with pytest.raises(BinanceError, match="-1121"):
            await first
        assert isinstance(await api.request("ping"), spot_sbe.PingResponse)

    run(work)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("end", ["a close", "a cut", "no WebSocket frame"])
def test_an_end_in_every_state_is_told_or_mended(
    state: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.02)

    async def work(api: Any, peer: Peer) -> None:
        waiting = await reached(state, api, peer)
        socket = peer.sockets[-1]
        if end == "a close":
            await socket.close(1011, "trouble")
        elif end == "a cut":
            socket.transport.abort()
        else:
            socket.transport.write(b"\xff" * 64)
        if waiting is not None:
            with pytest.raises(ConnectionLost, match="not known"):
                await waiting
        while api.connections_count < 2 or not api._link.is_open:
            await asyncio.sleep(0.01)
        assert isinstance(await api.request("ping"), spot_sbe.PingResponse)
        while len(api.gaps) < (state == "subscribed"):
            await asyncio.sleep(0.01)
        assert len(api.gaps) == (state == "subscribed")

    run(work)
