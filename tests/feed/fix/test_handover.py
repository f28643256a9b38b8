"""One session after the other: what is asked meanwhile, and who is refused."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from test_connection import SYMBOLS, run

from binance_sbe import fix, fix_sbe, sync
from binance_sbe.api.fix_wire import now
from binance_sbe.errors import FixError
from binance_sbe.feed import successive
from binance_sbe.feed.fix import sessions
from binance_sbe.simulator.fix import FixAcceptor


async def replaced(session: fix.Connection, count: int) -> None:
    while session.sessions_count < count or session._renewal is None or not session._renewal.done():
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(sessions, "_SETTLE_SECONDS", 0.1)


def test_an_exchange_that_lets_nobody_stay_is_asked_less_and_less() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                acceptor.inflict("logout")
                await asyncio.sleep(0.01)
            assert 3 <= session.sessions_count <= 7

    run(work)


def test_what_is_asked_while_a_session_follows_holds_for_it() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            await session.subscribe("btcusdt", kinds=["trade", "depth"])
            acceptor.inflict("news")
            await session.unsubscribe("btcusdt", kinds="trade")
            await session.subscribe("ethusdt", kinds="trade")
            await replaced(session, 2)
            wanted = {("BTCUSDT", "depth"), ("ETHUSDT", "trade")}
            assert set(session.streams) == wanted
            await session.limits()
            (peer,) = acceptor.peers
            found = {(*symbols, kind) for symbols, kind in peer.subscriptions.values()}
            assert found == wanted
            assert session.gaps == []

    run(work)


def test_a_stream_that_is_refused_by_the_next_session_is_left_out_alone() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            await session.subscribe(*SYMBOLS, kinds=["trade", "depth"])
            del acceptor._exchange.markets["ethusdt"]
            acceptor.inflict("cut")
            await replaced(session, 2)
            while ("ETHUSDT", "trade") in session.streams:
                await asyncio.sleep(0.01)
            assert set(session.streams) == {("BTCUSDT", "trade"), ("BTCUSDT", "depth")}
            assert len(session.gaps) == 1
            assert session.ledger.gaps is session.gaps
            assert "without a Logout" in session.gaps[0].cause
            while session._queue:
                session._queue.popleft()
            assert (await anext(aiter(session))).symbol == "BTCUSDT"

    run(work)


def test_a_symbol_whose_text_is_none_is_damaged_and_ends_nothing() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            (peer,) = acceptor.peers
            frame = fix_sbe.MarketDataIncrementalTrade.encode(
                transact_time=0, price_exponent=0, qty_exponent=0, symbol="cafe", md_entries=[]
            )
            peer.write(frame.replace(b"cafe", b"caf\xe9"), now())
            await session.limits()
            assert len(session.damaged) == 1
            assert session.sessions_count == 1

    run(work)


def test_what_was_collected_is_handed_over_before_the_end() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect("drop_copy", **options) as session:
            batches = session.batches(max_delay=30)
            (peer,) = acceptor.peers
            ack = fix_sbe.ExecutionReportAck.encode(
                exec_type="New", ord_status="New", symbol="BTCUSDT", order_id=1
            )
            for _ in range(5):
                peer.write(ack, now())
            acceptor.inflict("logout")
            assert (await anext(batches)).frame_count == 5
            with pytest.raises(FixError, match="going away"):
                await anext(batches)

    run(work)


def test_closing_from_another_thread_ends_whoever_waits() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        ends: list[Any] = []

        def use() -> None:
            with sync.fix_connect("order_entry", **options, messages=25) as session:
                threads = [threading.Thread(target=ask, args=(session,)) for ask in (read, send)]
                for thread in threads:
                    thread.start()
                time.sleep(0.5)
                session.close()
                for thread in threads:
                    thread.join(10)
                    assert not thread.is_alive()

        def read(session: Any) -> None:
            ends.append(len(list(session)))

        def send(session: Any) -> None:
            try:
                while True:  # from the fifth on it waits for the limit of messages
                    session.send(fix_sbe.LimitQuery, req_id="x")
            except (RuntimeError, FixError):
                ends.append("told")

        await asyncio.to_thread(use)
        assert len(ends) == 2

    run(work)
