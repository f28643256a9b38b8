"""The local WebSocket API answers whatever it is asked, and says what is wrong with it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from binance_sbe import spot_sbe, websocket_api
from binance_sbe.api.ws_session import PATH
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.ws_api import WsApi

METHODS = (
    "ping", "time", "depth", "trades.recent", "klines", "exchangeInfo", "session.logon",
    "session.logout", "userDataStream.subscribe", "userDataStream.subscribe.signature",
    "userDataStream.unsubscribe", "account.status",
)  # fmt: skip
NAMES = ("symbol", "limit", "timestamp", "recvWindow", "signature", "apiKey", "subscriptionId")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
params = st.dictionaries(st.sampled_from(NAMES), values | st.just("btcusdt"))
asked = st.fixed_dictionaries(
    {"method": st.sampled_from(METHODS) | values},
    optional={"id": values, "params": params | values},
)
texts = asked.map(json.dumps) | values.map(json.dumps) | st.text() | st.binary(max_size=20)


async def _answers(given: list[str | bytes]) -> list[websocket_api.Reply]:
    async with (
        Exchange(["btcusdt"], rate=50) as exchange,
        WsApi(exchange) as api,
        connect(api.url + PATH, compression=None) as socket,
    ):
        found = []
        for text in given:
            await socket.send(text)
            async with asyncio.timeout(20):
                found.append(websocket_api.unwrap(await socket.recv(decode=False)))
        return found


@given(st.lists(texts, max_size=30))
@example(["[" * 100_000])
@settings(max_examples=30)
def test_whatever_is_asked_is_answered(given: list[str | bytes]) -> None:
    found = asyncio.run(_answers(given))
    assert len(found) == len(given)
    for reply in found:
        assert reply.status in (200, 400, 401, 404)
        assert isinstance(reply.message, spot_sbe.ErrorResponse) == (reply.status != 200)


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [("session.logon", {"timestamp": "soon"}, "Illegal characters found in parameter 'timestamp'"),
     ("session.logon", {"recvWindow": []}, "Illegal characters found in parameter 'recvWindow'"),
     ("session.logon", {}, "Timestamp for this request is outside of the recvWindow"),
     ("session.logon", {"timestamp": time.time_ns()}, "outside of the recvWindow"),
     ("session.logon", {"timestamp": float("nan")}, "outside of the recvWindow"),
     ("userDataStream.unsubscribe", {"subscriptionId": {}}, "in parameter 'subscriptionId'"),
     ("userDataStream.subscribe", {}, "Not logged on"), ("depth", {}, "Invalid symbol"),
     ("depth", {"symbol": "btcusdt", "limit": "-1"}, "Illegal characters found in parameter"),
     ("fly", {}, "no such method: fly"), (["ping"], {}, "Malformed request"),
     ("ping", [1], "Malformed request")],
)  # fmt: skip
def test_what_is_wrong_is_said(method: Any, params: Any, said: str) -> None:
    (reply,) = asyncio.run(_answers([json.dumps({"method": method, "params": params})]))
    assert said in reply.message.msg
