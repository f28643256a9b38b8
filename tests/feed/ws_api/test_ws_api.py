"""The WebSocket API against a local one: requests, signatures, user data, and what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import enum
import json
import logging
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from served import KEY, run
from websockets.asyncio.server import serve

from binance_sbe import fix, spot_sbe, ws_api
from binance_sbe.api.signing import signer_of
from binance_sbe.api.ws_session import Answered, Happened, Undecodable, WsSession
from binance_sbe.errors import (
    BinanceError,
    ConnectionLost,
    ConnectionRefused,
    FeedError,
    MissingKey,
    SlowConsumer,
    Unreachable,
)
from binance_sbe.feed import successive
from binance_sbe.feed.ws_api import link
from binance_sbe.simulator.ws_api import WsApi


def test_market_data_need_no_key() -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(url=server.url) as api:
            await asyncio.sleep(0.3)
            assert await api.server_time() > 1e15
            assert len((await api.depth("BtcUsdt", 7)).bids) == 7
            assert len((await api.trades("btcusdt", 5)).trades) == 5
            bars = await api.klines("btcusdt", "1m", start_ms=None, limit=1)
            assert len(bars.klines) == 1
            assert isinstance(await api.request("ping"), spot_sbe.PingResponse)
            reply = await api.reply("exchangeInfo")
            assert (reply.status, reply.deprecated) == (200, False)
            (limit,) = api.rate_limits
            assert limit.current == server.weight.total() == 1 + 5 + 25 + 2 + 1 + 20
            assert server.asked[3] == (
                "klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1}
            )  # fmt: skip
            answers = await asyncio.gather(*(api.depth("btcusdt", i) for i in range(1, 25)))
            assert [len(each.bids) for each in answers] == list(range(1, 25))
            for method, params, said in (
                ("depth", {"symbol": "NOPE"}, "-1121: Invalid symbol"),
                ("no.such", {}, "-1000: no such method"),
                ("account.status", {}, "-1021"),
            ):
                with pytest.raises(BinanceError, match=said):
                    await api.request(method, **params)
            with pytest.raises(MissingKey, match="BINANCE_PRIVATE_KEY"):
                await api.log_on()
            with pytest.raises(ValueError, match="not a symbol"):
                await api.depth("btc usdt")

    run(work)


@pytest.mark.parametrize("logs_on", [True, False])
def test_user_data_come_and_come_again_after_every_fault(
    logs_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(successive, "STABLE_SECONDS", 0.2)
    monkeypatch.setattr(link, "_PING_SECONDS", 0.3)

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            if logs_on:
                answer = await api.log_on()
                assert answer.logged_on_api_key == KEY
            assert await api.subscribe_user_data() == 0
            for count, fault in enumerate(("cut", "close", "silence", "shutdown"), 1):
                await server.emit("BTC", count)
                event = await anext(aiter(api))
                assert (event.asset, event.free_qty_delta) == ("BTC", count)
                before = server.subscriptions
                await server.inflict(fault)
                while api.connections_count == count or server.subscriptions in ([], before):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                assert len(api.gaps) == count
                assert api.gaps[-1].started_ns < api.gaps[-1].ended_ns
            await server.inflict("damage")
            await server.inflict("text")
            await server.emit("ETH", 9)
            assert (await anext(aiter(api))).asset == "ETH"
            assert len(api.damaged) == 1
            await api.unsubscribe_user_data()
            assert server.subscriptions == []
            await api.signed_request("account.status")

    run(work, api_keys=[KEY])


def test_an_exchange_that_lets_nobody_stay_is_asked_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            until = asyncio.get_running_loop().time() + 1.5
            while asyncio.get_running_loop().time() < until:
                await server.inflict("cut")
                await asyncio.sleep(0.01)
            assert 3 <= api.connections_count <= 7

    run(work)


def test_a_subscription_keeps_its_id_over_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.02)

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            await api.log_on()
            mine = await api.subscribe_user_data()
            await server.inflict("cut")
            while server.subscriptions != [1]:
                await asyncio.sleep(0.01)
            with pytest.raises(ValueError, match="no subscription 7"):
                await api.unsubscribe_user_data(7)
            await asyncio.sleep(0.05)
            await api.unsubscribe_user_data(mine)
            assert server.subscriptions == []
            await api.request("session.logout")
            await api.signed_request("account.status")  # with a signature again

    run(work)


def test_who_signs_wrongly_is_refused() -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        for wrong, said in (
            (
                {"private_key": Ed25519PrivateKey.generate()},
                "-1022: Signature.*: the public half of this private key has to be",
            ),
            ({"api_key": "another-key"}, "-2015: Invalid API-key"),
        ):
            async with ws_api.connect(**options | wrong) as api:
                with pytest.raises(BinanceError, match=said):
                    await api.log_on()
                with pytest.raises(BinanceError, match=said):
                    await api.subscribe_user_data()

    run(work, api_keys=[KEY])


def test_a_clock_that_is_wrong_is_told_with_what_to_do() -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            late = time.time_ns() // 10**6 - 300_000
            signed = api._live().session.signed({}, late)
            with pytest.raises(BinanceError, match="-1021: .*: set the clock of this machine"):
                await api.request("session.logon", **signed)

    run(work)


def test_an_encrypted_key_takes_its_password_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = Ed25519PrivateKey.generate()
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    with pytest.raises(MissingKey, match="or set BINANCE_PRIVATE_KEY_PASSWORD to it"):
        ws_api.connect(api_key=KEY, private_key=locked)
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_PASSWORD", "open sesame")
    made = ws_api.connect(api_key=KEY, private_key=locked)
    signed = made._settings.new_session().signed({}, 1)
    key.public_key().verify(
        base64.b64decode(signed["signature"]), f"apiKey={KEY}&timestamp=1".encode()
    )
    assert fix.connect(api_key=KEY, private_key=locked)


@pytest.mark.parametrize("value", [object(), {1}, b"x"])
def test_a_parameter_that_json_has_not_is_named(value: object) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options) as api:
            with pytest.raises(TypeError, match="symbol: "):
                await api.request("depth", symbol=value)
            with pytest.raises(BinanceError, match="Invalid interval"):
                await api.klines("btcusdt", "7q")
            assert api.ledger.gaps is api.gaps

    run(work)


def test_a_request_whose_reply_is_lost_says_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options, reply_timeout=0.2) as api:
            for client in server._clients:
                client.is_mute = True
            with pytest.raises(FeedError, match=r"ping: no reply within 0.2 s: whether"):
                await api.request("ping")
        async with ws_api.connect(**options, reconnect=False) as api:
            for client in server._clients:
                client.is_mute = True
            waiting = asyncio.create_task(api.request("ping"))
            await asyncio.sleep(0.1)
            await server.inflict("cut")
            with pytest.raises(ConnectionLost, match="carried out is not known"):
                await waiting
            with pytest.raises(ConnectionLost):
                await anext(aiter(api))
            with pytest.raises(ConnectionLost):
                await api.request("ping")

    run(work)


def test_neither_key_nor_signature_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        logging.getLogger("binance_sbe.ws_api").setLevel(logging.DEBUG)
        async with ws_api.connect(**options) as api:
            await api.log_on()
            await api.subscribe_user_data()
            logon = server.asked[0][1]
            ours = [r for r in caplog.records if not r.name.startswith("websockets.server")]
            text = "\n".join(record.getMessage() for record in ours) + repr(api) + repr(api._link)
            assert KEY not in text
            assert logon["signature"] not in text

    run(work)


def test_one_consumer_bounds_and_ends() -> None:
    async def work(server: WsApi, options: dict[str, Any]) -> None:
        api = ws_api.connect(**options, max_queue=2)
        for ask in (lambda: api.request("ping"), lambda: anext(aiter(api))):
            with pytest.raises(RuntimeError, match="not open"):
                await ask()
        async with api:
            waiting = asyncio.create_task(anext(aiter(api), None))
            await asyncio.sleep(0.02)
            with pytest.raises(RuntimeError, match="one consumer"):
                await anext(aiter(api))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await api.subscribe_user_data()
            for i in range(4):
                await server.emit("BTC", i)
            await api.request("ping")
            assert [(await anext(aiter(api))).free_qty_delta for _ in range(2)] == [0, 1]
            with pytest.raises(SlowConsumer):
                await anext(aiter(api))
        with pytest.raises(RuntimeError, match="closed"):
            await api.request("ping")
        with pytest.raises(RuntimeError, match="opened once"):
            await api.__aenter__()
        async with ws_api.connect(**options) as api:
            waiting = asyncio.create_task(anext(aiter(api), None))
            await asyncio.sleep(0.02)
            await api.close()
            assert await waiting is None

    run(work)


def test_what_answers_otherwise_is_told_apart() -> None:
    async def main() -> None:
        with pytest.raises(Unreachable, match="127.0.0.1:1"):
            async with ws_api.connect(url="ws://127.0.0.1:1"):
                pass
        for status, body, said in (
            (400, "SBE is not enabled", "HTTP 400: SBE is not enabled"),
            (302, "", "redirects to wss://elsewhere"),
        ):

            def answer(
                connection: Any, request: Any, status: int = status, body: str = body
            ) -> Any:
                response = connection.respond(status, body)
                if status == 302:
                    response.headers["Location"] = "wss://elsewhere"
                return response

            async with serve(lambda _: None, "127.0.0.1", 0, process_request=answer) as server:  # type: ignore[arg-type,return-value]
                port = server.sockets[0].getsockname()[1]
                with pytest.raises(ConnectionRefused, match=said):
                    async with ws_api.connect(url=f"ws://127.0.0.1:{port}"):
                        pass

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    ("given_", "error", "said"),
    [
        ({"environment": "moon"}, ValueError, "environment"),
        ({"url": "https://h:1"}, ValueError, "ws:// or wss://"),
        ({"private_key": b"x"}, MissingKey, "no PEM"),
        ({"api_key": "a b"}, MissingKey, "characters"),
        ({"open_timeout": 0}, ValueError, "open_timeout"),
        ({"reply_timeout": -1}, ValueError, "reply_timeout"),
        ({"recv_window": 61}, ValueError, "recv_window"),
        ({"max_queue": 0}, ValueError, "max_queue"),
        ({"proxy": 1}, TypeError, "proxy"),
        ({"ssl": True}, TypeError, "ssl"),
    ],
)
def test_wrong_arguments_are_refused(
    given_: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        ws_api.connect(**given_)


# without I/O


class Side(enum.StrEnum):
    BUY = "BUY"


def test_what_is_signed_is_what_goes_out() -> None:
    key = Ed25519PrivateKey.generate()
    session = WsSession(KEY, signer_of(key), 2.5)
    given_ = {"symbol": "BTCUSDT", "price": Decimal("1E-7"), "quantity": 0.1, "icebergQty": None,
              "flag": True, "list": ["a", "b"]}  # fmt: skip
    made = session.signed(given_, 1_700_000_000_000)
    assert made["price"] == "0.0000001"
    assert made["quantity"] == "0.1"
    signature = made.pop("signature")
    text = (
        f'apiKey={KEY}&flag=true&list=["a","b"]&price=0.0000001&quantity=0.1&recvWindow=2500'
        "&symbol=BTCUSDT&timestamp=1700000000000"
    )
    assert signature == signer_of(key).sign(text.encode())
    odd = {
        "side": Side.BUY, "pair": ("A", Side.BUY), "price": np.float64(0.5), "limit": np.int64(7),
        "filter": {"a": 1}, "recvWindow": 100,
    }  # fmt: skip
    made = session.signed(odd, 5)
    signature = made.pop("signature")
    parts = []
    for name in sorted(made):
        value = json.loads(json.dumps(made[name]))
        is_text = isinstance(value, str | int)
        parts.append(f"{name}={value if is_text else json.dumps(value, separators=(',', ':'))}")
    assert (made["side"], made["price"], made["limit"], made["recvWindow"]) == (
        "BUY",
        "0.5",
        7,
        100,
    )
    assert signature == signer_of(key).sign("&".join(parts).encode())
    for wrong in (float("nan"), np.float64("inf"), Decimal("NaN")):
        with pytest.raises(ValueError, match="price: .* is no number"):
            session.signed({"price": wrong}, 5)
    session.is_logged_on = True
    assert session.signed({}, 5, with_key=False) == {"timestamp": 5, "recvWindow": 2500}
    identity, sent = session.request("x.y", given_)
    assert json.loads(sent) == {
        "id": identity, "method": "x.y",
        "params": {"symbol": "BTCUSDT", "price": "0.0000001", "quantity": "0.1", "flag": True,
                   "list": ["a", "b"]},
    }  # fmt: skip
    assert session.request("x", {})[0] != identity


@given(st.binary(max_size=80))
def test_any_frame_is_taken_without_an_exception(frame: bytes) -> None:
    found = WsSession(None, None).take(frame)
    assert isinstance(found, Answered | Happened | Undecodable)
