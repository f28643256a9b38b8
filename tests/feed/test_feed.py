"""The live client, against the real server of the simulator over loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import vectors
from websockets.asyncio.server import ServerConnection, serve

import binance_sbe
from binance_sbe import connect
from binance_sbe.errors import (
    ConnectionLost,
    ConnectionRefused,
    FeedError,
    MissingKey,
    SubscriptionRefused,
    Unreachable,
)
from binance_sbe.feed.protocol.session import (
    Accepted,
    Refused,
    ServerShutdown,
    Session,
    UnknownText,
)
from binance_sbe.simulator import Exchange
from binance_sbe.venue.streams import KINDS, stream_name, stream_names


def run(work: Callable[[Exchange], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with Exchange(["btcusdt", "ethusdt"], **options) as exchange:
            await asyncio.wait_for(work(exchange), 30)

    asyncio.run(main())


# the session, without a socket


def test_a_session_asks_and_understands_replies() -> None:
    session = Session()
    request = session.subscribe(["BTCUSDT@trade", "btcusdt@trade", "ethusdt@depth"])
    assert json.loads(request.text) == {
        "method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@depth"], "id": request.id,
    }  # fmt: skip
    assert session.streams == []
    accepted = session.receive_text(json.dumps({"result": None, "id": request.id}))
    assert accepted == Accepted(request, None)
    assert session.streams == ["btcusdt@trade", "ethusdt@depth"]
    removal = session.unsubscribe(["btcusdt@trade"])
    session.receive_text(json.dumps({"result": None, "id": removal.id}))
    assert session.streams == ["ethusdt@depth"]


@pytest.mark.parametrize(
    "reply", [{"code": 2, "msg": "no", "id": 1}, {"error": {"code": 2, "msg": "no"}, "id": 1},
              {"code": 2, "msg": "no"}],
)  # fmt: skip
def test_refusals_of_any_shape_belong_to_their_request(reply: dict[str, Any]) -> None:
    session = Session()
    request = session.subscribe(["btcusdt@trade"])
    assert session.receive_text(json.dumps(reply)) == Refused(request, 2, "no")
    assert session.streams == []


def test_notices_and_nonsense_are_told_apart() -> None:
    session = Session()
    plain = {"e": "serverShutdown", "E": 1735689600000}
    wrapped = {"stream": "!serverShutdown", "data": plain}
    for notice in (plain, wrapped):
        assert session.receive_text(json.dumps(notice)) == ServerShutdown(1735689600000)
    for text in ("", "nonsense", "[]", "5", '{"result":null,"id":99}', '{"id":"x"}'):
        assert session.receive_text(text) == UnknownText(text)


def test_streams_that_cannot_be_are_explained() -> None:
    assert stream_name("BTCUSDT@bestBidAsk") == "btcusdt@bestBidAsk"
    assert stream_name("币安456@trade") == "币安456@trade"
    assert stream_names(["A@trade", "a@trade"]) == ["a@trade"]
    for wrong in ("btcusdt", "@trade", "", "btc usdt@trade", "a/b@trade", 'a"@trade'):
        with pytest.raises(ValueError, match="is not '<symbol>@<kind>'"):
            stream_name(wrong)
    for kind in ("kline_1m", "aggTrade", "depth5", "depth@100ms", "Trade", ""):
        with pytest.raises(ValueError, match="its kinds are trade, bestBidAsk, depth20, depth"):
            stream_name(f"btcusdt@{kind}")
    with pytest.raises(TypeError):
        stream_name(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one by one"):
        stream_names("btcusdt@trade")
    session = Session()
    with pytest.raises(ValueError, match="1025 streams: a connection takes 1024"):
        session.subscribe(f"s{i}@trade" for i in range(1025))


# the feed, over a socket


def test_messages_of_the_subscribed_streams_arrive() -> None:
    async def work(exchange: Exchange) -> None:
        streams = [f"{s}@{k}" for s in ("btcusdt", "ethusdt") for k in ("trade", "depth")]
        async with connect(*streams, url=exchange.url, api_key="any") as feed:
            assert feed.streams == streams
            seen = set()
            async for message in feed:
                seen.add((message.symbol, type(message).__name__))
                if len(seen) == 4:
                    break
            assert feed.stats.frames >= 4
            assert feed.stats.bytes > feed.stats.frames * 30
            assert feed.stats.decode_ns(50) > 0
            await feed.unsubscribe(*streams[1:])
            assert feed.streams == streams[:1]
            await feed.subscribe("ethusdt@bestBidAsk")
            async for message in feed:
                if isinstance(message, binance_sbe.BestBidAskStreamEvent):
                    break
        assert {symbol for symbol, _ in seen} == {"BTCUSDT", "ETHUSDT"}

    run(work)


def test_batches_hold_every_frame_once() -> None:
    async def work(exchange: Exchange) -> None:
        kinds = ("trade", "bestBidAsk", "depth20", "depth")
        names = [f"btcusdt@{kind}" for kind in kinds]
        async with connect(*names, url=exchange.url, api_key="any") as feed:
            batches, updates = [], []
            async for batch in feed.batches(max_messages=50, max_delay=0.05):
                assert 1 <= batch.frame_count <= 50
                batches.append(batch)
                diffs = batch[binance_sbe.DepthDiffStreamEvent].records
                updates += diffs[["first_book_update_id", "last_book_update_id"]].tolist()
                received = batch[binance_sbe.BestBidAskStreamEvent].records["received_ns"]
                assert (received > 1_600_000_000_000_000_000).all()
                if sum(map(len, batches)) > 400:
                    await feed.close()
        assert sum(map(len, batches)) == feed.stats.frames
        assert feed.stats.rejected == feed.stats.left_over_bytes == 0
        for (_, last), (first, _) in pairwise(updates):
            assert first == last + 1

    run(work)


def test_a_batch_is_handed_over_after_its_delay() -> None:
    async def work(exchange: Exchange) -> None:
        exchange.rate = 1e-9
        async with connect("btcusdt@depth20", url=exchange.url, api_key="any") as feed:
            async for batch in feed.batches(max_messages=1_000_000, max_delay=0.2):
                assert 2 <= len(batch) <= 10
                break
            with pytest.raises(ValueError, match="at least 1"):
                await anext(feed.batches(max_messages=0))
            with pytest.raises(ValueError, match="max_delay"):
                await anext(feed.batches(max_delay=-1))

    run(work)


def test_damaged_frames_raise_or_are_kept_and_nothing_else_is_lost() -> None:
    later = vectors.TRADES[:32] + (12346).to_bytes(8, "little") + vectors.TRADES[40:]

    async def work(exchange: Exchange) -> None:
        exchange.rate = 1e-9

        async def send() -> None:
            for frame in (b"bad", vectors.TRADES + b"xx", b"", later):
                exchange.send("btcusdt@trade", frame)

        async with connect("btcusdt@trade", url=exchange.url, api_key="any") as feed:
            await send()
            with pytest.raises(binance_sbe.TruncatedMessage):
                await anext(feed)
            assert (await anext(feed)).trades["id"].tolist() == [12345]
            with pytest.raises(binance_sbe.TruncatedMessage):
                await anext(feed)
            assert (await anext(feed)).symbol == "BTCUSDT"
            assert (feed.stats.rejected, feed.stats.left_over_bytes) == (2, 2)
        options: dict[str, Any] = {"url": exchange.url, "api_key": "any", "on_error": "collect"}
        async with connect("btcusdt@trade", **options) as feed:
            await send()
            assert [(await anext(feed)).symbol for _ in range(2)] == ["BTCUSDT"] * 2
            assert [type(e) for e in feed.errors] == [binance_sbe.TruncatedMessage] * 2
        async with connect("btcusdt@trade", **options) as feed:
            await send()
            frames = 0
            async for batch in feed.batches():
                frames += batch.frame_count
                assert batch.frame_count == len(batch) + len(batch.rejected)
                if frames == 4:
                    break
            assert (feed.stats.rejected, feed.stats.left_over_bytes) == (2, 2)
            assert len(feed.errors) == 2

    run(work)


def test_a_slow_consumer_makes_the_exchange_wait_and_loses_nothing() -> None:
    async def work(exchange: Exchange) -> None:
        exchange.rate = 1e-9
        options: dict[str, Any] = {"url": exchange.url, "api_key": "any", "max_queue": 10}
        async with connect("btcusdt@trade", **options) as feed:
            for _ in range(5000):
                exchange.send("btcusdt@trade", vectors.next_trade())
            await asyncio.sleep(0.3)
            assert feed.stats.frames == 10
            for _ in range(5000):
                await anext(feed)
            assert feed.stats.frames == 5000

    run(work)


def test_a_feed_whose_queue_is_full_still_closes_and_still_asks() -> None:
    async def work(exchange: Exchange) -> None:
        exchange.rate = 1e-9
        options: dict[str, Any] = {"url": exchange.url, "api_key": "any", "max_queue": 5}
        async with connect("btcusdt@trade", **options) as feed:
            for _ in range(100):
                exchange.send("btcusdt@trade", vectors.next_trade())
            await asyncio.sleep(0.2)
            assert feed.stats.frames == 5
            await feed.subscribe("ethusdt@trade")
            assert len(feed.streams) == 2
            for _ in range(100):
                exchange.send("btcusdt@trade", vectors.next_trade())
            await asyncio.sleep(0.2)
        assert repr(feed).startswith(f"<Feed {exchange.url}, closed, ")
        with pytest.raises(RuntimeError, match="the feed is closed"):
            await feed.subscribe("btcusdt@depth")

    run(work)


def test_a_cancelled_batch_loses_no_frame() -> None:
    async def work(exchange: Exchange) -> None:
        exchange.rate = 1e-9
        async with connect("btcusdt@trade", url=exchange.url, api_key="any") as feed:
            for _ in range(5):
                exchange.send("btcusdt@trade", vectors.next_trade())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await anext(feed.batches(max_delay=5))
            batch = await anext(feed.batches(max_delay=0.01))
            assert len(batch) == feed.stats.frames == 5

    run(work)


def test_a_feed_without_streams_says_so() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect(url=exchange.url, api_key="any") as feed:
            with pytest.raises(RuntimeError, match="no streams"):
                await anext(feed)
            await feed.subscribe("btcusdt@depth20")
            await anext(feed)

    run(work)


def test_text_that_nothing_can_read_does_not_stop_a_feed() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@depth20", url=exchange.url, api_key="any") as feed:
            for connection in exchange._connections:
                await connection.send("[" * 100_000)
            for _ in range(5):
                await anext(feed)
            assert feed.stats.texts == 2

    run(work)


def test_a_reply_that_is_not_waited_for_any_more_is_nobodys() -> None:
    session = Session()
    late, current = session.subscribe(["a@trade"]), session.subscribe(["b@trade"])
    session.forget(late)
    assert session.receive_text('{"code": 2, "msg": "no"}') == Refused(current, 2, "no")


def test_the_key_is_needed_checked_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(exchange: Exchange) -> None:
        monkeypatch.delenv("BINANCE_API_KEY", raising=False)
        for key in (None, "", "  ", "secret-3\n4", "secret-é", "secret 5"):
            with pytest.raises(MissingKey, match=r"Ed25519.*BINANCE_API_KEY") as missing:
                await connect("btcusdt@trade", url=exchange.url, api_key=key).__aenter__()
            assert "secret" not in str(missing.value)
        with pytest.raises(ConnectionRefused, match="HTTP 401.*-2015.*Ed25519") as caught:
            await connect("btcusdt@trade", url=exchange.url, api_key="secret-1").__aenter__()
        assert caught.value.status == 401
        assert "secret" not in str(caught.value)
        monkeypatch.setenv("BINANCE_API_KEY", "secret-2")
        async with connect("btcusdt@trade", url=exchange.url) as feed:
            assert repr(feed).startswith(f"<Feed {exchange.url}, open, 1 stream, ")
            await anext(feed)
        assert "secret" not in caplog.text

    run(work, api_keys=["secret-2"])


def test_a_stream_that_the_exchange_does_not_have_is_named() -> None:
    async def work(exchange: Exchange) -> None:
        with pytest.raises(SubscriptionRefused, match="SUBSCRIBE nosuch@trade: .*code 2") as caught:
            await connect("nosuch@trade", url=exchange.url, api_key="any").__aenter__()
        assert caught.value.streams == ["nosuch@trade"]
        async with connect("btcusdt@trade", url=exchange.url, api_key="any") as feed:
            with pytest.raises(SubscriptionRefused):
                await feed.subscribe("nosuch@depth")
            with pytest.raises(ValueError, match="kinds"):
                await feed.subscribe("btcusdt@kline")
            assert feed.streams == ["btcusdt@trade"]
            await anext(feed)

    run(work)


@pytest.mark.parametrize(
    "options",
    [
        {"environment": "moon"}, {"url": "http://x"}, {"url": "x"}, {"url": "wss://"},
        {"url": "ws://h:99999"}, {"url": "ws://user:pass@h"}, {"on_error": "ignore"},
        {"url": "ws://h:1/ws/a@trade"}, {"url": 5}, {"max_queue": 0}, {"open_timeout": 0},
        {"reply_timeout": -1},
    ],
)  # fmt: skip
def test_wrong_arguments_of_connect_are_refused_at_once(options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        connect("btcusdt@trade", **options)


def test_no_route_and_no_answer_are_unreachable() -> None:
    async def work() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            with pytest.raises(Unreachable, match=f"127.0.0.1:{port}/ws"):
                await connect("a@trade", url=f"ws://127.0.0.1:{port}", api_key="k").__aenter__()
            taken.listen()
            with pytest.raises(Unreachable, match="no answer within 0.2 s"):
                await connect(
                    "a@trade", url=f"ws://127.0.0.1:{port}", api_key="k", open_timeout=0.2
                ).__aenter__()
        for host in ("no-such-host.invalid", "x" * 70):
            with pytest.raises(Unreachable, match=host):
                await connect("a@trade", url=f"ws://{host}", api_key="k").__aenter__()

    asyncio.run(work())


async def behave(handler: Callable[[ServerConnection], Awaitable[None]], work: Any) -> None:
    async with serve(handler, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        await asyncio.wait_for(work(f"ws://127.0.0.1:{port}"), 20)


def test_a_server_that_does_not_reply_is_given_up() -> None:
    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async def work(url: str) -> None:
        with pytest.raises(FeedError, match=r"SUBSCRIBE a@trade: no reply within 0.2 s"):
            await connect("a@trade", url=url, api_key="k", reply_timeout=0.2).__aenter__()

    asyncio.run(behave(silent, work))


@pytest.mark.parametrize("abrupt", [False, True])
def test_a_connection_that_the_exchange_ends_is_lost_after_its_last_frame(abrupt: bool) -> None:
    async def closing(socket: ServerConnection) -> None:
        request = json.loads(await socket.recv())
        await socket.send(json.dumps({"result": None, "id": request["id"]}))
        await socket.send(vectors.next_trade())
        if abrupt:
            await asyncio.sleep(0.1)
            socket.transport.abort()
        else:
            await socket.close(1008, "enough")

    async def work(url: str) -> None:
        for use_batches in (False, True):
            async with connect("a@trade", url=url, api_key="k", reconnect=False) as feed:
                with pytest.raises(ConnectionLost) as caught:
                    await consume(feed, use_batches)
                assert feed.stats.frames == 1
                assert caught.value.code == (None if abrupt else 1008)
                assert abrupt or "enough" in str(caught.value)
                with pytest.raises(ConnectionLost):
                    await feed.subscribe("b@trade")

    async def consume(feed: Any, use_batches: bool) -> None:
        count = 0
        if use_batches:
            async for batch in feed.batches():
                count += len(batch)
        else:
            async for _ in feed:
                count += 1
        pytest.fail(f"ended in silence after {count}")

    asyncio.run(behave(closing, work))


def test_what_came_before_the_end_is_handed_over_where_the_queue_was_full() -> None:
    async def closing(socket: ServerConnection) -> None:
        request = json.loads(await socket.recv())
        await socket.send(json.dumps({"result": None, "id": request["id"]}))
        await asyncio.sleep(0.05)  # for the feed to hear of it
        for _ in range(200):
            socket.protocol.send_binary(vectors.next_trade())
        socket.protocol.send_close(1008, "in the same read as the last frames")
        socket.transport.write(b"".join(socket.protocol.data_to_send()))
        await socket.wait_closed()

    async def work(url: str) -> None:
        options: Any = {"url": url, "api_key": "k", "reconnect": False, "max_queue": 10}
        async with connect("a@trade", **options) as feed:
            await asyncio.sleep(0.3)
            for _ in range(200):
                await anext(feed)
            with pytest.raises(ConnectionLost):
                await anext(feed)

    asyncio.run(behave(closing, work))


def test_a_feed_that_is_closed_while_it_reconnects_leaves_no_task() -> None:
    async def work(exchange: Exchange) -> None:
        for pause in (0.0, 0.05, 0.4):
            async with connect("btcusdt@trade", url=exchange.url, api_key="any") as feed:
                await anext(feed)
                for client in list(exchange._connections):
                    client.transport.abort()
                await asyncio.sleep(pause)
            await asyncio.sleep(0)
            left = [repr(task.get_coro()) for task in asyncio.all_tasks()]
            assert [each for each in left if "Connections" in each or "Transport" in each] == []

    run(work)


def test_log_records_have_fields(caplog: pytest.LogCaptureFixture) -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@depth", url=exchange.url, api_key="any") as feed:
            await anext(feed)
            for client in list(exchange._connections):
                client.transport.abort()
            while not feed.ledger.holes:
                await anext(feed)
            await asyncio.sleep(1.1)
        said = {record.event: record for record in caplog.records if hasattr(record, "event")}
        assert {"retry", "up", "holes"} <= set(said)
        assert all(record.feed == f"{exchange.url}/ws" for record in said.values())
        assert (said["retry"].attempt, said["retry"].line) == (1, 1)
        assert said["retry"].pause < 1
        assert (said["holes"].count, said["holes"].streams) == (1, ["btcusdt@depth"])
        hole = feed.ledger.holes[0]
        span = f"{hole.last_before + 1} to {hole.first_after - 1}"
        assert f"1 hole: btcusdt@depth {span} (the connection was lost" in said["holes"].message

    with caplog.at_level(logging.INFO, "binance_sbe"):
        run(work)


def test_what_comes_after_the_feed_was_closed_makes_no_hole() -> None:
    async def work(exchange: Exchange) -> None:
        unwanted = 0
        for _ in range(200):
            if unwanted:
                break
            streams = [f"btcusdt@{kind}" for kind in KINDS]
            async with connect(*streams, url=exchange.url, api_key="any") as feed:
                await anext(feed)
                await asyncio.sleep(0.03)  # so that there is always something on its way
            assert feed.ledger.holes == []
            unwanted += sum(each.line.unwanted for each in feed.ledger.connections)
        assert unwanted > 0

    run(work, rate=20_000)


def test_a_feed_that_we_close_just_ends() -> None:
    async def work(exchange: Exchange) -> None:
        async with connect("btcusdt@depth20", url=exchange.url, api_key="any") as feed:
            await anext(feed)
            await feed.close()
            async for _ in feed:
                pass
        with pytest.raises(RuntimeError, match="opened before"):
            await feed.__aenter__()
        unopened = connect("btcusdt@trade", url=exchange.url, api_key="any")
        with pytest.raises(RuntimeError, match="not open"):
            await anext(unopened)
        with pytest.raises(RuntimeError, match="not open"):
            await unopened.subscribe("btcusdt@depth")

    run(work)
