"""Requests that fall into the time in which one connection takes the place of another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from served import KEY, run

from binance_sbe import spot_sbe, ws_api
from binance_sbe.api.signing import signer_of
from binance_sbe.api.ws_session import WsSession
from binance_sbe.errors import FeedError
from binance_sbe.feed import successive
from binance_sbe.serving.rest import Refusal
from binance_sbe.simulator import ws_api as local
from binance_sbe.simulator.ws_api import WsApi

Slow = dict[str, float]  # a word of a request -> seconds until it is answered


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    delays: Slow = {}

    async def serve(self: Any, socket: Any) -> None:
        client = local._Client(socket)
        self._clients.add(client)
        try:
            async for text in socket:
                for word, seconds in delays.items():
                    if word in text:
                        await asyncio.sleep(seconds)
                await socket.send(self._answer(client, text))
        finally:
            self._clients.discard(client)

    monkeypatch.setattr(WsApi, "_serve", serve)
    return delays


def answering(monkeypatch: pytest.MonkeyPatch, odd: Callable[[str, int], Any]) -> None:
    """``odd(method, number)`` answers the nth request of a method, unless it is None."""
    result, asked = WsApi._result, dict[str, int]()

    def answer(self: Any, client: Any, method: str, params: Any) -> Any:
        asked[method] = asked.get(method, 0) + 1
        found = odd(method, asked[method])
        return result(self, client, method, params) if found is None else found

    monkeypatch.setattr(WsApi, "_result", answer)


def test_a_gap_begins_where_events_ended_however_often_a_connection_is_tried(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(method: str, number: int) -> Any:
        if method.startswith("userDataStream.subscribe") and number == 2:
            raise Refusal(-1003, "Too many requests.", 429)

    answering(monkeypatch, odd)

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            await api.subscribe_user_data()
            slow["userDataStream.subscribe"] = 2.0
            before = time.time_ns()
            await server.inflict("shutdown")
            while not api.gaps:
                await asyncio.sleep(0.05)
            (gap,) = api.gaps
            assert gap.started_ns - before < 2e9  # which is when it was tried again
            assert len(server.subscriptions) == 1

    run(work)


def test_who_logs_on_while_the_exchange_ends_a_connection_is_logged_on_in_the_next(
    slow: Slow,
) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            slow["session.logon"] = 0.5
            await server.inflict("shutdown")
            await asyncio.sleep(0.1)
            await api.log_on()
            while api.connections_count < 2 or not api._link or not api._link.is_open:
                await asyncio.sleep(0.05)
            assert isinstance(
                await api.request("userDataStream.subscribe"),
                spot_sbe.UserDataStreamSubscribeResponse,
            )

    run(work)


def test_what_is_unsubscribed_while_a_connection_takes_over_stays_so(slow: Slow) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            mine = await api.subscribe_user_data()
            slow["userDataStream.subscribe"] = 0.5
            await server.inflict("shutdown")
            while api.connections_count < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            await api.unsubscribe_user_data(mine)
            assert list(server.subscriptions) == []
            await asyncio.sleep(0.8)
            assert list(server.subscriptions) == []

    run(work)


def test_a_subscription_that_was_cancelled_is_ended() -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            asked = asyncio.create_task(api.subscribe_user_data())
            while not server.asked:
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            assert asked.cancelled()
            until = time.monotonic() + 5
            while server.asked[-1][0] != "userDataStream.unsubscribe":
                assert time.monotonic() < until
                await asyncio.sleep(0.01)
            assert list(server.subscriptions) == []
            assert await api.subscribe_user_data() in api._subscriptions

    run(work)


def test_who_logs_out_while_a_connection_takes_over_is_logged_out(slow: Slow) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            await api.log_on()
            mine = await api.subscribe_user_data()
            first = api._link
            slow["session.log"] = 0.3
            await server.inflict("shutdown")
            while api._link is first:
                await asyncio.sleep(0.005)
            await api.request("session.logout")
            assert [each.is_logged_on for each in server._clients] == [False]
            assert await api.server_time() > 0
            await server.inflict("cut")
            while api.connections_count < 3 or not api._link or not api._link.is_open:
                await asyncio.sleep(0.05)
            assert mine in api._subscriptions
            assert len(server.subscriptions) == 1

    run(work)


def test_a_logon_that_a_program_signs_itself_is_not_repeated() -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        session = WsSession(KEY, signer_of(server.key), None)
        async with ws_api.connect(url=server.url) as api:
            given = session.signed({}, time.time_ns() // 10**6)
            assert (await api.reply("session.logon", **given)).status == 200
            await server.inflict("cut")
            while api.connections_count < 2:
                await asyncio.sleep(0.05)
            assert await api.server_time() > 0

    run(work)


def test_an_unsubscription_that_was_cancelled_does_not_come_back(slow: Slow) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            mine = await api.subscribe_user_data()
            slow["userDataStream.unsubscribe"] = 0.2
            asked = asyncio.create_task(api.unsubscribe_user_data(mine))
            await asyncio.sleep(0.1)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await asyncio.sleep(0.3)
            await server.inflict("cut")
            while api.connections_count < 2:
                await asyncio.sleep(0.05)
            assert await api.server_time() > 0
            assert list(server.subscriptions) == []
            with pytest.raises(ValueError, match="no subscription"):
                await api.unsubscribe_user_data(mine)

    run(work)


def test_logon_and_logout_count_however_they_are_asked(slow: Slow) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options, recv_window=5) as api:
            for ending in ("session.logout", None):
                await api.signed_request("session.logon", recvWindow=777)
                assert server.asked[-1][1]["recvWindow"] == 777
                await api.request("userDataStream.subscribe")
                if ending is None:
                    await api.reply("session.logout")
                else:
                    await api.signed_request(ending)
            assert await api.subscribe_user_data() >= 0  # by a signature
            await api.signed_request("account.status", recvWindow=100)
            assert server.asked[-1][1]["recvWindow"] == 100

    run(work)


def test_an_answer_to_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda method, number: spot_sbe.PingResponse.encode())

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            for call, kind in (
                (api.server_time, "ServerTimeResponse"),
                (lambda: api.depth("btcusdt"), "DepthResponse"),
                (lambda: api.trades("btcusdt"), "TradesResponse"),
                (lambda: api.klines("btcusdt", "1m"), "KlinesResponse"),
                (api.log_on, "WebSocketSessionLogonResponse"),
                (api.subscribe_user_data, "UserDataStreamSubscribeResponse"),
            ):
                with pytest.raises(FeedError, match=f"PingResponse where {kind} was asked"):
                    await call()

    run(work)
