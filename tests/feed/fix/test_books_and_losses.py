"""Books and batches over FIX when a session ends, refuses or says odd things at a bad moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from test_connection import run

from binance_sbe import fix, fix_sbe
from binance_sbe.books.fix import FixBooks, follow
from binance_sbe.feed import successive
from binance_sbe.feed.fix import connection as connections
from binance_sbe.feed.fix.requests import Requests
from binance_sbe.simulator.events import Diff, Trades
from binance_sbe.simulator.fix import FixAcceptor
from binance_sbe.simulator.fix_peer import Peer

Odd = Callable[[Peer, Any, int], None]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(successive, "STABLE_SECONDS", 0.2)


def losing(monkeypatch: pytest.MonkeyPatch, odd: Odd) -> dict[str, int]:
    """Diffs of btcusdt are lost while "lose" is above 0; ``odd`` answers its second request."""
    state = {"lose": 0, "asked": 0}
    publish, market_data = Peer.publish, Peer._market_data

    def losing_some(self: Peer, event: Any, at: int) -> None:
        if isinstance(event, Diff) and event.symbol == "BTCUSDT" and state["lose"]:
            state["lose"] -= 1
        else:
            publish(self, event, at)

    def asked(self: Peer, message: Any, at: int) -> None:
        is_new = message.subscription_request_type == fix_sbe.SubscriptionRequestType.SUBSCRIBE
        if is_new and [each.symbol for each in message.related_sym] == ["BTCUSDT"]:
            state["asked"] += 1
            if state["asked"] == 2:
                odd(self, message, at)
                return
        market_data(self, message, at)

    monkeypatch.setattr(Peer, "publish", losing_some)
    monkeypatch.setattr(Peer, "_market_data", asked)
    return state


def end(peer: Peer, message: Any, at: int) -> None:
    peer.is_closed, peer.is_live = True, False


def refuse(peer: Peer, message: Any, at: int) -> None:
    rejected = fix_sbe.MarketDataRequestReject.encode(
        md_req_rej_reason=None, error_code=-1003, md_req_id=message.md_req_id, text="Too many"
    )
    peer.write(rejected, at)


@pytest.mark.parametrize("odd", [end, refuse])
def test_a_book_whose_resubscription_fails_is_subscribed_to_again(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = losing(monkeypatch, odd)

    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            given: dict[str, int] = {}
            async for book in follow(session, "btcusdt", "ethusdt", depth=10):
                assert book.state == "live"
                given[book.symbol] = given.get(book.symbol, 0) + 1
                if given.get("BTCUSDT", 0) == 5 and book.symbol == "BTCUSDT":
                    state["lose"] = 3
                if state["asked"] > 2:
                    given.setdefault("again", given["BTCUSDT"])
                    if given["BTCUSDT"] > given["again"] + 5:
                        break
            assert ("BTCUSDT", "depth") in session.streams

    run(work)


def test_a_predecessor_that_ends_before_its_successor_lives_leaves_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = connections.Sessions._opened

    async def late(self: Any) -> Any:
        if self._link is not None:
            await asyncio.sleep(2.5)  # the exchange ends a session a second after its News
        return await opened(self)

    monkeypatch.setattr(connections.Sessions, "_opened", late)

    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            await session.subscribe("btcusdt", kinds="book_ticker")
            acceptor.inflict("news")
            async for _ in session:
                if session.sessions_count == 2 and session.is_live:
                    break
            (gap,) = session.gaps
            assert 0.5e9 < gap.ended_ns - gap.started_ns < 20e9

    run(work)


def test_who_is_cancelled_amid_a_batch_has_lost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    published: dict[int, float] = {}
    publish = Peer.publish

    def noted(self: Peer, event: Any, at: int) -> None:
        if isinstance(event, Trades) and event.symbol == "BTCUSDT":
            published.update((each.id, time.monotonic()) for each in event.trades)
        publish(self, event, at)

    monkeypatch.setattr(Peer, "publish", noted)

    async def first_batch(session: Any) -> None:
        async with asyncio.timeout(1):
            await anext(session.batches(max_delay=30))

    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            await session.subscribe("btcusdt", kinds="trade")
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                await first_batch(session)
            seen: list[int] = []
            async for message in session:
                seen += message.md_entries["trade_id"].tolist()
                if len(seen) > 300:
                    break
            assert seen == list(range(seen[0], seen[0] + len(seen)))
            assert published[seen[0]] < began + 0.9
            assert session.ledger.holes == []

    run(work)


def test_books_of_a_quiet_market_are_live_again_after_a_cut() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            await session.subscribe("btcusdt", "ethusdt", kinds="depth")
            books = FixBooks(session, "btcusdt", "ethusdt")
            acceptor.inflict("cut")
            until = time.monotonic() + 15
            states: set[str] = set()
            while time.monotonic() < until:
                for message, received_ns in await session.several(1, time.monotonic() + 0.05):
                    books.take(message, received_ns)
                assert books.next_symbol() is None
                states |= {book.state for book in books.values()}
                if session.gaps and all(book.state == "live" for book in books.values()):
                    break
            assert [book.state for book in books.values()] == ["live", "live"]
            assert "stale" in states
            assert [book.audit.failures for book in books.values()] == [0, 0]
            assert min(book.audit.checks for book in books.values()) >= 1

    run(work, rate=1e-9)


def test_a_batch_that_is_given_back_does_not_count_for_the_limit() -> None:
    async def first_batch(session: Any) -> None:
        async with asyncio.timeout(1.5):
            await anext(session.batches(max_delay=30))

    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options, max_queue=100) as session:
            await session.subscribe("btcusdt", kinds="trade")
            with pytest.raises(TimeoutError):
                await first_batch(session)
            given_back = len(session._queue)
            assert given_back > 100
            while len(session._queue) == given_back:  # something comes while all of it waits
                await asyncio.sleep(0.001)
            count = 0
            async for _ in session:
                count += 1
                if count > 400:
                    break

    run(work)


def test_a_snapshot_that_never_came_is_not_awaited_once_it_is_unsubscribed() -> None:
    async def work() -> None:
        requests = Requests()
        requests.subscribed(("BTCUSDT", "book_ticker"), "r1", 1)
        requests.unsubscribed(("BTCUSDT", "book_ticker"), "r1")
        requests.subscribed(("BTCUSDT", "depth"), "r2", 2)
        answer = requests.wait_for("r2", 2)
        frame = fix_sbe.MarketDataSnapshot.encode(
            last_book_update_id=7, symbol="BTCUSDT", price_exponent=0, qty_exponent=0,
            md_entries_bids=[], md_entries_asks=[],
        )  # fmt: skip
        message = fix_sbe.MarketDataSnapshot.decode(frame)
        assert requests.snapshot(message) == "depth"
        assert await answer is message

    asyncio.run(work())
