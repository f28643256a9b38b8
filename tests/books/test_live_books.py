"""Books in step with a feed: the keeper by itself, and all of it against the local exchange."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from test_book import depth20, diff, snapshot

import binance_sbe
from binance_sbe import OrderBook
from binance_sbe.books.base import Budget
from binance_sbe.books.keeper import UP, Keeper, Link, LiveBook
from binance_sbe.books.live import Books
from binance_sbe.errors import BinanceError, ConnectionLost
from binance_sbe.rest import depth_weight
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Trade, Trades
from binance_sbe.simulator.faults import KINDS

BIDS = [(99 - i, 5) for i in range(30)]
ASKS = [(101 + i, 5) for i in range(30)]


# the keeper


class Desk:
    """A keeper of one book, and its clock."""

    def __init__(self, **options: Any) -> None:
        self.link = UP
        self.now = 100.0
        self.keeper = Keeper(["btcusdt"], lambda _: self.link, chance=random.Random(1), **options)
        self.book: LiveBook = self.keeper.books["BTCUSDT"]
        self.tick(0.0)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.keeper.tick(self.now, int(self.now * 1e9))

    def take(self, event: Any) -> bool:
        return self.keeper.take(event, self.now, int(self.now * 1e9)) is not None

    def asked(self) -> bool:
        """Whether a snapshot is asked for; then it is about to come."""
        symbol = self.keeper.next_symbol(self.now)
        if symbol is None:
            return False
        self.keeper.begin(symbol)
        return True

    def give(self, response: Any) -> None:
        self.keeper.snapshot("BTCUSDT", response, self.now, int(self.now * 1e9))

    def live(self) -> Desk:
        assert self.asked()
        self.give(snapshot(100, BIDS, ASKS))
        assert self.book.state == "live"
        return self

    @property
    def said(self) -> list[str]:
        changes, self.keeper.changes = self.keeper.changes, []
        return [f"{state}: {reason}" if reason else state for _, state, reason in changes]


def test_a_book_comes_up_with_depth20_until_its_snapshot_is_there() -> None:
    desk = Desk()
    assert desk.said == ["syncing: there is no snapshot yet"]
    assert not desk.take(depth20(95, [(90, 1)], [(92, 1)]))
    assert (desk.book.state, desk.book.best_bid) == ("syncing", (90, 1))
    assert not desk.take(diff(99, 101, [(99, 7)]))
    assert desk.asked()
    assert not desk.asked()  # one request at a time
    desk.give(snapshot(97, BIDS, ASKS))
    assert desk.book.state == "syncing"
    assert "older than the diffs that wait" in str(desk.book.reason)
    assert not desk.asked()
    desk.tick(1.0)
    assert desk.asked()
    desk.give(snapshot(100, BIDS, ASKS))
    assert (desk.book.state, desk.book.reason, desk.book.best_bid) == ("live", None, (99, 7))
    assert desk.book.since_ns == 101 * 10**9
    assert desk.take(diff(102, 102))
    assert not desk.take(diff(102, 102))
    assert not desk.asked()
    assert desk.said[-1] == "live"


def test_a_gap_makes_that_book_anew() -> None:
    desk = Desk().live()
    assert not desk.take(diff(105, 106, [(99, 8)]))
    assert desk.book.state == "stale"
    assert desk.said[-1] == "stale: updates 101 to 104 are missing before the diff 105 to 106"
    assert desk.asked()
    desk.keeper.failed("BTCUSDT", desk.now, wait=30.0)
    desk.tick(29.0)
    assert not desk.asked()
    desk.tick(1.1)
    assert desk.take(diff(107, 107)) is False
    assert desk.asked()
    desk.give(snapshot(104, BIDS, ASKS))
    assert (desk.book.state, desk.book.update_id, desk.book.best_bid) == ("live", 107, (99, 8))


def test_pauses_between_useless_snapshots_grow() -> None:
    desk = Desk()
    desk.take(diff(200, 201))
    pauses = []
    for _ in range(7):
        before = desk.now
        while not desk.asked():
            desk.tick(0.1)
        pauses.append(desk.now - before)
        desk.give(snapshot(100, BIDS, ASKS))
    assert pauses[0] == 0
    assert pauses[-1] > 4 * pauses[1]


def test_depth20_that_differs_makes_the_book_anew() -> None:
    desk = Desk().live()
    top = depth20(100, BIDS[:20], ASKS[:20])
    desk.take(top)
    audit = desk.book.audit
    assert (audit.levels, audit.agreed, audit.checks, audit.failures) == (40, 40, 1, 0)
    desk.take(depth20(103, [(99, 6), *BIDS[1:20]], ASKS[:20]))  # ahead of the book
    assert audit.checks == 1
    assert desk.take(diff(101, 103, [(99, 6)]))
    assert (audit.checks, audit.failures, audit.last_ns) == (2, 0, 100 * 10**9)
    desk.take(depth20(103, [(99, 7), *BIDS[1:20]], ASKS[:20]))
    assert (audit.checks, audit.failures) == (3, 1)
    assert desk.said[-1] == "stale: 1 of 40 levels differ from depth20 103"
    assert desk.asked()
    desk.give(snapshot(103, [(99, 7), *BIDS[1:]], ASKS))
    assert desk.book.state == "live"


def test_a_book_is_compared_with_a_snapshot_from_time_to_time() -> None:
    desk = Desk(audit_seconds=10.0).live()
    desk.tick(9.0)
    assert not desk.asked()
    desk.tick(1.1)
    assert desk.asked()
    desk.take(diff(101, 102, [(99, 6)]))
    desk.give(snapshot(101, BIDS, ASKS))
    assert (desk.book.state, desk.book.audit.snapshots) == ("live", 1)
    assert (desk.book.audit.levels, desk.book.audit.agreed) == (60, 60)
    desk.tick(10.1)
    assert desk.asked()
    desk.give(snapshot(104, [(99, 6), (98, 9), *BIDS[2:]], ASKS))  # ahead of what has come
    assert desk.book.audit.snapshots == 1
    desk.take(diff(103, 105, [(97, 2)]))
    assert (desk.book.audit.snapshots, desk.book.audit.failures) == (2, 1)
    assert desk.said[-2:] == ["stale: 1 of 60 levels differ from the snapshot at id 105", "live"]
    assert desk.book.bids(3).tolist() == [(99, 6), (98, 9), (97, 2)]  # what the exchange says
    assert desk.take(diff(106, 106))


def test_a_break_is_stale_until_a_diff_or_a_snapshot_has_shown_that_nothing_is_missing() -> None:
    desk = Desk(audit_seconds=None).live()
    desk.link = Link(False, "the connection was lost", 1)
    assert (desk.book.state, desk.book.follows) == ("stale", True)
    assert desk.book.reason == "the connection was lost; no diff has come since"
    desk.tick(60.0)
    assert not desk.asked()  # nothing is connected
    desk.link = Link(True, "the connection was lost", 1)
    desk.tick(2.0)
    assert desk.asked()
    desk.give(snapshot(100, BIDS, ASKS))
    assert (desk.book.state, desk.book.audit.snapshots) == ("live", 1)
    desk.link = Link(False, "lost again", 2)
    assert desk.book.state == "stale"
    desk.link = UP
    desk.take(diff(101, 101))
    assert desk.book.state == "live"
    copied = pickle.loads(pickle.dumps(desk.book))
    assert (type(copied), copied.state, copied.update_id) == (OrderBook, "live", 101)


def test_a_snapshot_from_before_a_break_heals_nothing() -> None:
    desk = Desk(audit_seconds=10.0).live()
    for is_up in (False, True):
        desk.link = UP
        desk.tick(10.1)
        assert desk.asked()
        desk.link = Link(is_up, "lost", 1)
        desk.tick(0.1)
        desk.give(snapshot(100, BIDS, ASKS))
        desk.tick(1.0)
        assert desk.book.state == "stale"
        desk.tick(60.0)
        if is_up:
            assert desk.asked()
            desk.give(snapshot(100, BIDS, ASKS))
            assert desk.book.state == "live"
    desk.link = Link(False, None, 2)
    assert (desk.book.state, desk.book.copy().state) == ("stale", "stale")
    assert desk.book.reason == "nothing is subscribed; no diff has come since"


def test_a_gap_does_not_wait_for_an_audit_that_had_to() -> None:
    desk = Desk(audit_seconds=10.0).live()
    desk.tick(10.1)
    assert desk.asked()
    desk.keeper.failed("BTCUSDT", desk.now, wait=50.0)
    desk.tick(1.0)
    assert not desk.asked()
    desk.take(diff(105, 106))
    assert desk.asked()
    desk.give(snapshot(106, BIDS, ASKS))
    assert desk.book.state == "live"


def test_a_snapshot_that_waits_to_be_compared_is_not_fetched_again() -> None:
    desk = Desk(audit_seconds=10.0).live()
    desk.tick(10.1)
    assert desk.asked()
    desk.give(snapshot(103, BIDS, ASKS))
    assert not desk.asked()
    desk.tick(1.0)
    assert not desk.asked()
    desk.take(diff(101, 103))
    assert (desk.book.audit.snapshots, desk.book.audit.failures) == (1, 0)
    desk.tick(10.1)
    assert desk.asked()
    desk.give(snapshot(110, BIDS, ASKS))
    desk.tick(5.1)  # it has not come to be compared
    assert desk.asked()


def test_a_book_whose_proven_levels_are_used_up_is_stale() -> None:
    desk = Desk(limit=30).live()
    gone = [(price, 0) for price, _ in BIDS]
    desk.take(diff(101, 101, [*gone, (20, 1)]))
    assert desk.said[-1] == "stale: of one side it is not known any more which level is the best"
    assert desk.asked()


def test_an_exchange_that_counts_anew_is_followed() -> None:
    desk = Desk(audit_seconds=10.0, limit=30).live()
    desk.take(diff(101, 20_000_000))
    desk.tick(10.1)
    assert desk.asked()
    desk.give(snapshot(50, BIDS, ASKS))
    assert desk.book.state == "stale"
    desk.tick(60.0)
    assert desk.asked()
    desk.give(snapshot(60, BIDS, ASKS))
    assert (desk.book.state, desk.book.update_id) == ("live", 60)


def test_a_book_of_which_little_is_proven_gets_a_snapshot() -> None:
    desk = Desk(audit_seconds=None, limit=30).live()
    for i in range(101, 101 + 64):
        desk.take(diff(i, i, [(BIDS[(i - 101) % 25][0], 0)]))
    assert desk.book.bids().proven == 5
    assert desk.asked()
    more = [(price - 25, 5) for price, _ in BIDS]
    desk.give(snapshot(164, more, ASKS))
    assert desk.book.bids().proven == 30
    assert (desk.book.state, desk.book.audit.failures) == ("live", 0)


def test_the_most_active_books_come_first_and_live_ones_last() -> None:
    keeper = Keeper(["a", "b", "c"], lambda _: UP)
    keeper.tick(0.0, 0)
    for _ in range(2):
        keeper.take(diff(1, 1, symbol="B"), 0.0, 0)
    keeper.take(diff(1, 1, symbol="C"), 0.0, 0)
    keeper.take(diff(2, 2, symbol="C"), 0.0, 0)
    order = []
    while (symbol := keeper.next_symbol(1.0)) is not None:
        keeper.begin(symbol)
        order.append(symbol)
    assert order == ["C", "B", "A"]


def test_the_weight_of_a_minute_is_kept_to() -> None:
    budget = Budget(100)
    assert budget.take(50, 120.0) == 0.0
    assert budget.take(50, 130.0) == 50.5  # 80 of 100 are used at most
    assert budget.take(10, 130.0, can_wait=True) == 50.5  # half is for what can't wait
    assert budget.take(30, 130.0) == 0.0
    assert budget.take(1, 179.9) == pytest.approx(0.6)
    assert budget.take(1, 180.0) == 0.0
    budget.note(79, 181.0, 181.0)  # others use it as well
    assert budget.take(5, 182.0) == 58.5
    budget.note(2, 183.0, 183.0)
    assert budget.take(5, 184.0) == 56.5
    assert [depth_weight(n) for n in (1, 100, 101, 500, 1000, 1001, 5000)] == [
        5, 5, 25, 25, 50, 250, 250
    ]  # fmt: skip


# against the exchange


class Truthful(Exchange):
    """An exchange that remembers what its books were at the ids that anybody can see."""

    def __init__(self, symbols: list[str], **options: Any) -> None:
        super().__init__(symbols, **options)
        self.truth: dict[tuple[str, int], tuple[dict[int, int], dict[int, int], int, int]] = {}
        for market in self.markets.values():
            for name in ("diff", "depth"):
                setattr(market, name, self._noting(market, getattr(market, name)))

    def _noting(self, market: Any, make: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.truth[market.symbol, market.update_id] = (
                dict(market.bids), dict(market.asks), market.price_exponent, market.qty_exponent
            )  # fmt: skip
            return make(*arguments)

        return noted

    def check(self, book: OrderBook) -> None:
        bids, asks, price_exponent, qty_exponent = self.truth[book.symbol, book.update_id]
        price_up = 10 ** (price_exponent - book.price_exponent)
        qty_up = 10 ** (qty_exponent - book.qty_exponent)
        for levels, true, sign in ((book.bids(), bids, -1), (book.asks(), asks, 1)):
            wanted = [
                (p * price_up, true[p] * qty_up) for p in sorted(true, key=lambda p: p * sign)
            ]
            assert levels.tolist() == wanted
            assert levels.proven == len(wanted)


def run(work: Callable[[Any], Awaitable[None]], symbols: list[str], **options: Any) -> None:
    async def main() -> None:
        async with Truthful(symbols, **options) as exchange:
            await asyncio.wait_for(work(exchange), 60)

    asyncio.run(main())


def test_books_come_up_and_are_iterated_over_or_looked_at() -> None:
    async def work(exchange: Any) -> None:
        options: dict[str, Any] = {"url": exchange.url, "api_key": "k"}
        async with binance_sbe.books("btcusdt", "ETHUSDT", **options) as books:
            assert list(books) == ["BTCUSDT", "ETHUSDT"]
            assert "btcusdt" in repr(books["btcusdt"]).lower()
            await books.wait(timeout=10)
            assert repr(books) == "<Books: 2, 2 live>"
            before = books["btcusdt"].update_id
            await asyncio.sleep(0.5)
            assert books["btcusdt"].update_id > before
            exchange.check(books["btcusdt"])
            seen: set[str] = set()
            count = 0
            async for symbol, book, event in books:
                assert book is books[symbol]
                assert book.update_id == event.last_book_update_id
                exchange.check(book)
                seen.add(symbol)
                count += 1
                if count == 50:
                    break
            assert seen == {"BTCUSDT", "ETHUSDT"}
            before = books["ethusdt"].update_id
            await asyncio.sleep(0.5)
            assert books["ethusdt"].update_id > before
            audit = books["ethusdt"].audit
            assert audit.checks > 5
            assert audit.agreed == audit.levels > 100
            with pytest.raises(TimeoutError, match="not stale: 2 of 2 books: BTCUSDT: live;"):
                await books.wait(state="stale", timeout=0.05)
            with pytest.raises(KeyError):
                books["solusdt"]

    run(work, ["btcusdt", "ethusdt"])


def test_books_of_a_feed_that_brings_other_streams_too() -> None:
    async def work(exchange: Any) -> None:
        async with binance_sbe.connect("btcusdt@trade", url=exchange.url, api_key="k") as feed:
            kinds: set[str] = set()
            async with feed.books("btcusdt") as books:
                async for symbol, book, event in books:
                    assert symbol == "BTCUSDT"
                    assert book is books["btcusdt"]
                    kinds.add(type(event).__name__)
                    if len(kinds) == 2 and book.state == "live":
                        break
            assert kinds == {"TradesStreamEvent", "DepthDiffStreamEvent"}
            assert (await anext(feed)).symbol == "BTCUSDT"  # the feed goes on

    run(work, ["btcusdt"])


def test_consumers_may_come_and_go() -> None:
    async def work(exchange: Any) -> None:
        async with binance_sbe.books("btcusdt", url=exchange.url, api_key="k") as books:
            await books.wait(timeout=10)
            for _ in range(3):
                async for _ in books:
                    break

            async def use() -> None:
                async for _ in books:
                    pass

            for pause in (0.0, 0.05):
                task = asyncio.create_task(use())
                await asyncio.sleep(pause)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            before = books["btcusdt"].update_id
            await asyncio.sleep(0.5)
            assert books["btcusdt"].update_id > before
            await books.feed.unsubscribe("btcusdt@depth", "btcusdt@depth20")
            await books.wait(state="stale", timeout=5)
            assert "nothing is subscribed" in str(books["btcusdt"].reason)
            waiting = asyncio.create_task(books.wait(timeout=30))
            await asyncio.sleep(0)
            with pytest.raises(ValueError, match="state is one of syncing, live, stale"):
                await books.wait(state="dead")
            with pytest.raises(binance_sbe.UnknownName, match="there are BTCUSDT$"):
                books["xrpusdt"]
        with pytest.raises(RuntimeError, match="these books are closed"):
            await waiting
        with pytest.raises(RuntimeError, match="this is closed"):
            await anext(aiter(books))
        assert books["btcusdt"].state == "stale"

    run(work, ["btcusdt"])


def test_a_pump_or_a_fetcher_that_fails_is_not_silent(caplog: pytest.LogCaptureFixture) -> None:
    async def work(exchange: Any) -> None:
        async with binance_sbe.books("btcusdt", url=exchange.url, api_key="k") as books:
            await books.wait(timeout=10)

            def boom(*_: Any) -> None:
                raise ZeroDivisionError("boom")

            books._keeper.take = boom  # type: ignore[assignment,method-assign]
            with pytest.raises(ZeroDivisionError):
                await books.wait(state="stale", timeout=5)
        async with (
            binance_sbe.rest.Client(url=exchange.url) as client,
            binance_sbe.connect("btcusdt@trade", url=exchange.url, api_key="k") as feed,
        ):
            session, client._session = client._session, None
            async with feed.books("btcusdt", client=client) as books:
                await asyncio.sleep(0.5)
                assert books["btcusdt"].state == "syncing"
                client._session = session
                await books.wait(timeout=10)

    run(work, ["btcusdt"])
    assert "the books failed" in caplog.text
    assert "no snapshot of BTCUSDT" in caplog.text


def test_a_break_makes_books_anew_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def work(exchange: Any) -> None:
        options: dict[str, Any] = {"url": exchange.url, "api_key": "k", "audit_seconds": 0.5}
        async with binance_sbe.books("btcusdt", **options) as books:
            await books.wait(timeout=10)
            for connection in list(exchange._connections):
                connection.transport.abort()
            await books.wait(state="stale", timeout=5)
            assert "the connection was lost" in str(books["btcusdt"].reason)
            await books.wait(timeout=10)
            exchange.check(books["btcusdt"])
            while books["btcusdt"].audit.snapshots < 2:
                await asyncio.sleep(0.1)
            assert books["btcusdt"].audit.failures == 0

    with caplog.at_level(logging.INFO, "binance_sbe"):
        run(work, ["btcusdt"])
    said = [record for record in caplog.records if getattr(record, "event", "") == "book"]
    states = [(record.symbol, record.state) for record in said]  # type: ignore[attr-defined]
    assert states[:3] == [("BTCUSDT", "syncing"), ("BTCUSDT", "live"), ("BTCUSDT", "stale")]
    assert states[-1] == ("BTCUSDT", "live")
    assert all(record.levelno == logging.WARNING for record in said if "stale" in record.message)


def test_many_books_come_up_within_the_weight_that_is_allowed() -> None:
    symbols = [f"coin{i}usdt" for i in range(150)]

    async def work(exchange: Any) -> None:
        async with binance_sbe.books(
            *symbols, url=exchange.url, api_key="k", limit=100, weight_limit=1000
        ) as books:
            await books.wait(timeout=50)
            assert len([book for book in books.values() if book.snapshots == 1]) == 150
        assert exchange.rest.used <= 800
        assert exchange.rest.refused == 0

    run(work, symbols, rate=300, weight_limit=1000)


@pytest.mark.parametrize("fault", ["limit", "ban"])
def test_what_the_exchange_limits_is_waited_for(fault: str) -> None:
    async def work(exchange: Any) -> None:
        exchange.inflict(fault)
        async with binance_sbe.books("btcusdt", url=exchange.url, api_key="k") as books:
            await asyncio.sleep(0.3)
            assert books["btcusdt"].state == "syncing"
            assert books["btcusdt"].best_bid is not None  # depth20
            await books.wait(timeout=10)

    run(work, ["btcusdt"])


def test_the_end_of_the_feed_is_said_to_who_waits() -> None:
    async def work(exchange: Any) -> None:
        options: dict[str, Any] = {"url": exchange.url, "api_key": "k", "reconnect": False}
        async with binance_sbe.books("btcusdt", **options) as books:
            await books.wait(timeout=10)
            for connection in list(exchange._connections):
                connection.transport.abort()
            await books.wait(state="stale", timeout=5)
            with pytest.raises(ConnectionLost):
                await books.wait(timeout=5)

    run(work, ["btcusdt"])


def test_wrong_arguments_are_refused() -> None:
    for options, reason in (
        ({"limit": 0}, "limit"), ({"limit": 5001}, "limit"), ({"audit_seconds": 0}, "audit_sec"),
        ({"weight_limit": 62}, "weight_limit 62 does not allow a snapshot of 1000 levels"),
        ({"environment": "moon"}, "environment"),
    ):  # fmt: skip
        given: dict[str, Any] = options
        with pytest.raises(ValueError, match=reason):
            binance_sbe.books("btcusdt", **given)
    with pytest.raises(ValueError, match="at least one symbol"):
        binance_sbe.books()
    with pytest.raises(ValueError, match="'btc usdt' is not a symbol"):
        binance_sbe.books("btc usdt")
    for symbol in ("btcusdt@depth", 5, ["btcusdt"]):
        with pytest.raises(ValueError, match="is not a symbol, such as 'btcusdt'"):
            binance_sbe.books(symbol)  # type: ignore[arg-type]

    async def work(exchange: Any) -> None:
        feed = binance_sbe.connect("btcusdt@trade", url=exchange.url, api_key="k")
        with pytest.raises(RuntimeError, match="not open"):
            feed.books("btcusdt")
        async with feed:
            with pytest.raises(TypeError, match="one by one"):
                Books(feed, "btcusdt")
            unopened = feed.books("btcusdt")
            with pytest.raises(RuntimeError, match="not open"):
                async for _ in unopened:
                    pass
            async with feed.books("btcusdt") as books:
                with pytest.raises(RuntimeError, match="opened before"):
                    await books.__aenter__()
                one = aiter(books)
                await anext(one)
                await anext(aiter(books))
                with pytest.raises(RuntimeError, match="another consumer"):
                    await anext(one)
        with pytest.raises(binance_sbe.SubscriptionRefused):
            async with binance_sbe.books("unknown", url=exchange.url, api_key="k"):
                pass
        with pytest.raises(BinanceError, match="Invalid symbol"):
            async with binance_sbe.rest.Client(url=exchange.url) as client:
                await client.depth("unknown")

    run(work, ["btcusdt"])


# chaos

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "1,2").split(",")]


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_every_book_that_says_live_is_the_truth_at_its_update_id(seed: int, lines: int) -> None:
    symbols = [f"coin{i}usdt" for i in range(10)] + ["测试456"]

    async def work(exchange: Any) -> None:
        checked = 0
        async with binance_sbe.books(
            *symbols,
            url=exchange.url,
            api_key="k",
            lines=lines,
            silence_timeout=1.0,
            reply_timeout=1.0,
            audit_seconds=1.0,
            weight_limit=10**6,
        ) as books:
            for slot in books.feed._connections.engine.supervisor.shards.slots:
                slot.backoff.longest = 1.0
            end = time.monotonic() + 10

            def look() -> Iterator[str]:
                for book in books.values():
                    if book.state == "live":
                        exchange.check(book)
                        yield book.symbol

            async for symbol, book, _ in books:
                if book is not None and book.state == "live":
                    exchange.check(book)
                    checked += 1
                if checked % 100 == 0:
                    assert symbol in books
                    list(look())
                if time.monotonic() > end:
                    break
            exchange.fault_schedule.names = []
            exchange._next_reply = ""
            await books.wait(timeout=40)
            assert len(list(look())) == len(symbols)
            audits = [book.audit for book in books.values()]
        assert checked > 200
        assert sum(audit.failures for audit in audits) == 0
        assert sum(audit.levels for audit in audits) == sum(audit.agreed for audit in audits) > 1000
        assert sum(audit.snapshots for audit in audits) > 0

    faults = [name for name in KINDS if name not in ("slow", "ban")]
    run(
        work,
        symbols,
        rate=600,
        faults=faults,
        fault_seconds=0.5,
        seed=seed,
        ping_interval=None,
        weight_limit=10**6,
    )


def test_an_event_whose_symbol_is_no_text_is_counted_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    strange = encode(Trades("BTCUSDT", -2, -8, 1, 1, (Trade(1, 1, 1, True),)))
    strange = strange.replace(b"BTCUSDT", b"\xff\xfe\xffUSDT")

    async def work(exchange: Any) -> None:
        options: Any = {"url": exchange.url, "api_key": "k"}
        for on_error in ("raise", "collect"):
            async with binance_sbe.books("btcusdt", on_error=on_error, **options) as books:
                await books.wait(timeout=10)
                for _ in range(3):  # while nobody iterates, and while somebody does
                    exchange.send("btcusdt@depth", strange)
                await asyncio.sleep(0.2)
                seen = 0
                async for symbol, _, _ in books:
                    assert symbol == "BTCUSDT"
                    exchange.send("btcusdt@depth", strange)
                    seen += 1
                    if seen == 10:
                        break
                assert books.feed.stats.rejected >= 3 + 8
                assert {type(each) for each in books.feed.errors} == {binance_sbe.MalformedMessage}

    run(work, ["btcusdt"])
    said = [r.message for r in caplog.records if "a symbol that is no text" in r.message]
    assert len(said) == 2  # once for each of the books
    assert r"b'\xff\xfe\xffUSDT'" in said[0]


def test_books_that_are_closed_leave_nothing_behind_however_often_that_is_cancelled() -> None:
    async def work(exchange: Any) -> None:
        for cancels in (1, 2, 3):
            books = binance_sbe.books("btcusdt", url=exchange.url, api_key="k")
            await books.__aenter__()
            closing = asyncio.create_task(books.close())
            for _ in range(cancels):
                await asyncio.sleep(0)
                closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            for _ in range(100):
                if not exchange._connections:
                    break
                await asyncio.sleep(0.05)
            assert not exchange._connections
            await books.close()

    run(work, ["btcusdt"])


def test_the_time_of_a_book_is_that_of_what_is_in_it_or_none() -> None:
    async def work(exchange: Any) -> None:
        async with binance_sbe.books("btcusdt", url=exchange.url, api_key="k") as books:
            book = books["btcusdt"]
            assert book.event_time != 0
            while book.state != "live":
                await asyncio.sleep(0)
                assert book.event_time != 0
            assert book.event_time is None or abs(book.event_time / 1e6 - time.time()) < 60

    run(work, ["btcusdt"])


def test_a_snapshot_has_the_time_of_what_is_known_to_be_in_it() -> None:
    desk = Desk()
    assert desk.book.event_time is None
    for first in (95, 98, 101):
        desk.take(diff(first, first + 2))
    assert desk.asked()
    desk.give(snapshot(103, BIDS, ASKS))
    assert (desk.book.state, desk.book.event_time) == ("live", 7_103)
    fresh = Desk().live()
    assert fresh.book.event_time is None
    fresh.take(diff(101, 102))
    assert fresh.book.event_time is not None
