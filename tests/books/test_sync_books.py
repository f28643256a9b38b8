"""Books without asyncio, against the local exchange, which knows the truth at every update id."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from test_live_books import SEEDS, run

import binance_sbe
from binance_sbe import sync
from binance_sbe.errors import ConnectionLost, SubscriptionRefused
from binance_sbe.simulator.faults import KINDS


def run_in_thread(work: Callable[[Any], None], symbols: list[str], **options: Any) -> None:
    """The exchange has the event loop, and the books a thread."""

    async def both(exchange: Any) -> None:
        await asyncio.to_thread(work, exchange)

    before = threading.active_count()
    run(both, symbols, **options)
    assert threading.active_count() <= before + 1  # of to_thread


def test_books_come_up_and_are_iterated_over_or_kept() -> None:
    def work(exchange: Any) -> None:
        with sync.books("btcusdt", "ETHUSDT", url=exchange.url, api_key="k") as books:
            assert list(books) == ["BTCUSDT", "ETHUSDT"]
            books.wait(timeout=10)
            assert repr(books) == "<Books: 2, 2 live>"
            before = books["btcusdt"].update_id
            time.sleep(0.3)
            assert books["btcusdt"].update_id == before  # nobody has moved them
            books.keep(0.5)
            assert books["btcusdt"].update_id > before
            exchange.check(books["btcusdt"])
            seen: set[str] = set()
            for count, (symbol, book, event) in enumerate(books.events(timeout=5)):
                assert book is books[symbol]
                assert book.update_id == event.last_book_update_id
                exchange.check(book)
                seen.add(symbol)
                if count == 50:
                    break
            assert seen == {"BTCUSDT", "ETHUSDT"}
            audit = books["ethusdt"].audit
            assert audit.checks > 3
            assert audit.agreed == audit.levels > 60
            with pytest.raises(TimeoutError, match="not stale: 2 of 2 books: BTCUSDT: live;"):
                books.wait(state="stale", timeout=0.05)
            with pytest.raises(ValueError, match="state is one of"):
                books.wait(state="lively")
            with pytest.raises(KeyError):
                books["solusdt"]
        for wrong in (lambda: next(books.events()), lambda: books.__enter__()):
            with pytest.raises(RuntimeError):
                wrong()

    run_in_thread(work, ["btcusdt", "ethusdt"])


def test_books_of_a_feed_that_brings_other_streams_too() -> None:
    def work(exchange: Any) -> None:
        with sync.connect("btcusdt@trade", url=exchange.url, api_key="k", timeout=5) as feed:
            kinds: set[str] = set()
            with feed.books("btcusdt") as books:
                for symbol, book, event in books.events():
                    assert (symbol, book) == ("BTCUSDT", books["btcusdt"])
                    kinds.add(type(event).__name__)
                    if len(kinds) == 2 and books["btcusdt"].state == "live":
                        break
            assert kinds == {"TradesStreamEvent", "DepthDiffStreamEvent"}
            assert next(feed).symbol == "BTCUSDT"  # the feed goes on

    run_in_thread(work, ["btcusdt"])


def test_nothing_that_comes_in_time_is_a_time_out() -> None:
    def work(exchange: Any) -> None:
        with sync.books("btcusdt", url=exchange.url, api_key="k") as books:
            books.wait(timeout=10)
            exchange.inflict("silence")
            with pytest.raises(TimeoutError, match=r"nothing came for 0\.3 s"):
                for _ in books.events(timeout=0.3):
                    pass
            books.close()
            books.close()

    run_in_thread(work, ["btcusdt"])


def test_a_break_makes_books_anew() -> None:
    def work(exchange: Any) -> None:
        options: dict[str, Any] = {"url": exchange.url, "api_key": "k", "audit_seconds": 0.5}
        with sync.books("btcusdt", **options) as books:
            books.wait(timeout=10)
            exchange.inflict("cut")
            books.wait(state="stale", timeout=5)
            assert "the connection was lost" in str(books["btcusdt"].reason)
            books.wait(timeout=10)
            exchange.check(books["btcusdt"])
            while books["btcusdt"].audit.snapshots < 2:
                books.keep(0.1)
            assert books["btcusdt"].audit.failures == 0

    run_in_thread(work, ["btcusdt"])


@pytest.mark.parametrize("fault", ["limit", "ban"])
def test_what_the_exchange_limits_is_waited_for(fault: str) -> None:
    def work(exchange: Any) -> None:
        exchange.inflict(fault)
        with sync.books("btcusdt", url=exchange.url, api_key="k") as books:
            books.keep(0.3)
            assert books["btcusdt"].state == "syncing"
            assert books["btcusdt"].best_bid is not None  # depth20
            books.wait(timeout=10)

    run_in_thread(work, ["btcusdt"])


def test_the_end_of_the_feed_is_said_to_who_waits() -> None:
    def work(exchange: Any) -> None:
        options: dict[str, Any] = {"url": exchange.url, "api_key": "k", "reconnect": False}
        for use in (
            lambda books: books.wait(state="syncing", timeout=5),
            lambda books: books.keep(5.0),
            lambda books: list(books.events()),
        ):
            with sync.books("btcusdt", **options) as books:
                books.wait(timeout=10)
                exchange.inflict("cut")
                with pytest.raises(ConnectionLost):
                    use(books)

    run_in_thread(work, ["btcusdt"])


def test_wrong_arguments_are_refused() -> None:
    for options, reason in (
        ({"limit": 0}, "limit"), ({"audit_seconds": 0}, "audit_sec"),
        ({"weight_limit": 62}, "weight_limit 62 does not allow a snapshot of 1000 levels"),
        ({"environment": "moon"}, "environment"),
    ):  # fmt: skip
        given: dict[str, Any] = options
        with pytest.raises(ValueError, match=reason):
            sync.books("btcusdt", **given)
    with pytest.raises(ValueError, match="at least one symbol"):
        sync.books()
    with pytest.raises(TypeError, match=r"books\(\) got an unexpected keyword argument 'speed'"):
        sync.books("btcusdt", speed=1)  # type: ignore[call-arg]

    def work(exchange: Any) -> None:
        with (
            pytest.raises(SubscriptionRefused),
            sync.books("unknown", url=exchange.url, api_key="k"),
        ):
            pass
        books = sync.books("btcusdt", url=exchange.url, api_key="k")
        for use in (books.wait, lambda: next(books.events())):
            with pytest.raises(RuntimeError, match="not open"):
                use()
        with pytest.raises(TypeError, match=r"write 'with sync\.books"):
            asyncio.run(enter(books))

    run_in_thread(work, ["btcusdt"])


async def enter(books: Any) -> None:
    async with books:
        pass


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_every_book_that_says_live_is_the_truth_at_its_update_id(seed: int, lines: int) -> None:
    symbols = [f"coin{i}usdt" for i in range(10)] + ["测试456"]

    def work(exchange: Any) -> None:
        checked = 0
        with sync.books(
            *symbols,
            url=exchange.url,
            api_key="k",
            lines=lines,
            silence_timeout=1.0,
            reply_timeout=1.0,
            audit_seconds=1.0,
            weight_limit=10**6,
        ) as books:
            for slot in books.feed._engine.supervisor.shards.slots:
                slot.backoff.longest = 1.0
            end = time.monotonic() + 10
            while time.monotonic() < end:
                books.keep(0.02)
                for book in books.values():
                    if book.state == "live":
                        exchange.check(book)
                        checked += 1
            exchange.fault_schedule.names = []
            exchange._next_reply = ""
            books.wait(timeout=40)
            for book in books.values():
                exchange.check(book)
            audits = [book.audit for book in books.values()]
        assert checked > 200
        assert sum(audit.failures for audit in audits) == 0
        assert sum(audit.levels for audit in audits) == sum(audit.agreed for audit in audits) > 1000

    run_in_thread(
        work,
        symbols,
        rate=600,
        faults=[name for name in KINDS if name not in ("slow", "ban")],
        fault_seconds=0.5,
        seed=seed,
        ping_interval=None,
        weight_limit=10**6,
    )


def test_both_kinds_of_books_take_the_same_options() -> None:
    from inspect import signature

    assert list(signature(sync.books).parameters) == list(signature(binance_sbe.books).parameters)
