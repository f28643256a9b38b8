"""A relay of a tape: it waits for clients, plays to all of them, and ends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from recorded import Recorded, streams
from test_relay import ask, client_of, run, until
from websockets.exceptions import ConnectionClosed

import binance_sbe
from binance_sbe import decode, replay, rest
from binance_sbe.serving.relay import Relay
from binance_sbe.tape import Tape

pytest.importorskip("pyarrow")
pytest.importorskip("xxhash")
pytest.importorskip("aiohttp")


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of two symbols, over two lines, with snapshots of one book."""
    path = tmp_path_factory.mktemp("tape")

    async def work() -> None:
        async with Recorded("btcusdt", "ethusdt", rate=500.0) as exchange:
            where: Any = {"url": exchange.url, "api_key": "k", "proxy": None, "lines": 2}
            async with binance_sbe.books("btcusdt", record=path, **where) as kept:
                await kept.feed.subscribe(*streams("btcusdt"), *streams("ethusdt"))
                await kept.wait(timeout=20)
                await asyncio.sleep(2)

    run(work())
    return path


def brought(path: Path, *names: str) -> list[bytes]:
    """What a replay hands on of these streams, each event once."""
    found = []

    async def work() -> None:
        async with replay(path) as feed:
            async for message in feed:
                kind = {10000: "trade", 10001: "bestBidAsk", 10002: "depth20", 10003: "depth"}
                name = f"{message.symbol.lower()}@{kind[message.TEMPLATE_ID]}"
                if name in names:
                    found.append(bytes(message))

    run(work())
    return found


async def rest_of(client: Any) -> tuple[list[bytes], Any]:
    """All that comes, and how it ends."""
    found = []
    try:
        while True:
            found.append(await asyncio.wait_for(client.recv(), 20))
    except ConnectionClosed as closed:
        return found, closed.rcvd


@pytest.mark.parametrize("speed", [None, 4.0])
def test_every_client_gets_all_of_what_it_wanted_once(tape: Path, speed: float | None) -> None:
    one, two = ["btcusdt@trade", "btcusdt@depth"], streams("ethusdt")

    async def work() -> list[Any]:
        async with (
            Relay(replay(tape, speed), wait_for=3, control_limit=100) as relay,
            client_of(relay, *one) as first,
            client_of(relay, *two) as second,
        ):
            await asyncio.sleep(0.3)
            assert relay.passed == 0
            async with client_of(relay) as idle:
                await asyncio.sleep(0.1)
                assert relay.passed == 0  # who has subscribed to nothing does not count
                asking = asyncio.create_task(ask(idle, "SUBSCRIBE", *one))
                both = await asyncio.gather(rest_of(first), rest_of(second))
                await asking
                await relay.wait()
                return both

    found: list[Any] = []

    async def kept() -> None:
        found.extend(await work())

    run(kept())
    for (frames, closed), names in zip(found, (one, two), strict=True):
        assert (closed.code, closed.reason) == (1001, "the tape has ended")
        assert frames == brought(tape, *names)
        assert len(frames) > 50


def test_who_comes_late_gets_what_comes_from_then_on(tape: Path) -> None:
    async def work() -> None:
        async with (
            Relay(replay(tape, 2.0)) as relay,
            client_of(relay, "btcusdt@bestBidAsk") as first,
        ):
            reading = asyncio.create_task(rest_of(first))
            await until(lambda: relay.passed > 200)
            async with client_of(relay, "btcusdt@bestBidAsk") as late:
                after, _ = await rest_of(late)
            every, _ = await reading
            assert 0 < len(after) < len(every)
            assert every[-len(after) :] == after

    run(work())


def test_streams_that_the_tape_has_not_are_refused(tape: Path) -> None:
    async def work() -> None:
        async with Relay(replay(tape, 1.0)) as relay, client_of(relay) as client:
            reply = await ask(client, "SUBSCRIBE", "xrpusdt@trade")
            assert reply["code"] == 2
            assert "no stream `xrpusdt@trade`" in reply["msg"]
            assert relay.passed == 0

    run(work())


def test_rest_has_the_time_of_the_tape_and_books_of_its_snapshots(tape: Path) -> None:
    async def work() -> None:
        with Tape(tape) as opened:
            assert opened.ledger.snapshots >= 1
            start, end = opened.start_ns, opened.end_ns
        assert start is not None
        assert end is not None
        async with Relay(replay(tape, 1.0), control_limit=100) as relay:
            url = relay.url.replace("ws:", "http:")
            async with (
                rest.Client(url=url, proxy=None) as web,
                client_of(relay, "btcusdt@depth") as client,
            ):
                answer = await web.depth("BTCUSDT", 10)
                assert len(answer.bids) == len(answer.asks) == 10
                now = (await web.get("/api/v3/time")).server_time * 1000
                assert start <= now <= end
                # the book is in step with what is passed on
                ids = set()
                for _ in range(10):
                    message = decode(await asyncio.wait_for(client.recv(), 10))  # type: ignore[arg-type]
                    ids.add(message.last_book_update_id)  # type: ignore[union-attr]
                later = await web.depth("BTCUSDT", 10)
                assert later.last_update_id >= max(ids)
                with pytest.raises(binance_sbe.BinanceError):
                    await web.depth("XRPUSDT", 10)

    run(work())


def test_books_of_a_client_come_of_a_relayed_tape(tape: Path) -> None:
    async def work() -> None:
        async with Relay(replay(tape, 1.0), control_limit=100) as relay:
            where: Any = {"url": relay.url, "api_key": "any", "proxy": None}
            async with binance_sbe.books("btcusdt", **where) as kept:
                await kept.wait(timeout=20)
                await until(lambda: kept["btcusdt"].audit.agreed > 5)
                assert kept["btcusdt"].audit.failures == 0

    run(work())


def test_a_tape_at_once_waits_for_the_slowest_but_not_for_ever(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_slow_clients import deaf, small_buffers

    from binance_sbe.serving import relay as module

    monkeypatch.setattr(module, "_STALL_SECONDS", 0.5)
    wanted = brought(tape, *streams("btcusdt"))

    async def work() -> None:
        options: Any = {"wait_for": 3, "soft_buffer": 4000, "max_buffer": 1 << 20}
        async with (
            Relay(replay(tape), control_limit=100, **options) as relay,
            client_of(relay, *streams("btcusdt")) as well,
        ):
            reading = asyncio.create_task(rest_of(well))
            started = time.monotonic()
            raw = await deaf(relay, *streams("btcusdt"))
            small_buffers(relay)
            async with client_of(relay, "ethusdt@trade") as third:
                await rest_of(third)
            frames, closed = await reading
            assert closed.reason == "the tape has ended"
            assert frames == wanted
            assert relay.clients_cut == 1
            assert relay.conflated == 0
            assert time.monotonic() - started > 0.4
            raw.close()

    run(work())


def test_a_relay_that_is_left_closes_its_clients(tape: Path) -> None:
    async def work() -> None:
        relay = Relay(replay(tape, 0.1))
        await relay.__aenter__()
        async with client_of(relay, "btcusdt@trade") as client:
            await until(lambda: relay.passed > 0)
            reading = asyncio.create_task(rest_of(client))
            await asyncio.sleep(0)
            await relay.__aexit__(None, None, None)
            _, closed = await reading
            assert closed.code == 1001

    run(work())
