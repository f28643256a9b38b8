"""A feed without asyncio: who may end it, or ask for something, while another consumes."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from beside import Beside, connect, in_thread, publish, until

from binance_sbe import sync
from binance_sbe.errors import SubscriptionRefused
from binance_sbe.simulator import Exchange

pytestmark = pytest.mark.usefixtures("leaves_nothing")

STREAMS = [f"btcusdt@{kind}" for kind in ("trade", "bestBidAsk", "depth20", "depth")]


@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize("way", ["iteration", "batches", "run"])
def test_close_from_another_thread_ends_whoever_waits(
    quiet: Beside[Exchange], way: str, spin: bool
) -> None:
    with connect(quiet, timeout=None, spin=spin) as feed:
        taken = {
            "iteration": lambda: list(feed), "batches": lambda: list(feed.batches()),
            "run": lambda: feed.run(print),
        }  # fmt: skip
        thread, got = in_thread(taken[way])
        time.sleep(0.2)
        started = time.monotonic()
        feed.close()
        thread.join(5)
        assert time.monotonic() - started < 2
        assert got in ([[]], [None])
        with pytest.raises(RuntimeError, match="this is closed"):
            feed.run(print)


@pytest.mark.parametrize("way", ["iteration", "batches", "run"])
def test_close_from_another_thread_ends_who_is_never_idle(
    exchange: Beside[Exchange], way: str
) -> None:
    with connect(exchange, *STREAMS, timeout=None) as feed:
        count = [0]

        def handler(message: Any) -> None:
            count[0] += 1

        def consume() -> None:
            if way == "run":
                feed.run(handler)
            for each in (
                feed if way == "iteration" else feed.batches(5, 0.0) if way != "run" else ()
            ):
                handler(each)

        thread, got = in_thread(consume)
        until(lambda: count[0] > 20)
        feed.close()
        thread.join(5)
        assert got == [None]


def test_close_waits_for_a_handler_that_runs(quiet: Beside[Exchange]) -> None:
    inside, goes_on, left = threading.Event(), threading.Event(), []

    def handler(message: Any) -> None:
        inside.set()
        goes_on.wait(5)
        left.append(1)

    with connect(quiet) as feed:
        thread, got = in_thread(feed.run, handler)
        publish(quiet, 1)
        inside.wait(5)
        closing, _ = in_thread(feed.close)
        time.sleep(0.1)
        assert closing.is_alive()
        goes_on.set()
        closing.join(5)
        thread.join(5)
        assert (got, left) == ([None], [1])


def test_a_handler_may_close_the_feed(quiet: Beside[Exchange]) -> None:
    with connect(quiet) as feed:
        frames = publish(quiet, 3)
        seen = []

        def handler(message: Any) -> None:
            seen.append(bytes(message))
            feed.close()

        feed.run(handler)
        assert seen == frames[: len(seen)]
        assert repr(feed).split(", ")[1] == "closed"
        with pytest.raises(RuntimeError, match="this is closed"):
            feed.run(handler)


def test_close_between_two_messages_ends_after_those_that_have_come(
    quiet: Beside[Exchange],
) -> None:
    with connect(quiet) as feed:
        frames = publish(quiet, 5)
        got = []
        for message in feed:
            got.append(bytes(message))
            until(lambda: feed.waiting + len(got) == 5 or next(feed) is None)
            in_thread(feed.close)[0].join(5)
        assert got == frames
        with pytest.raises(RuntimeError, match="this is closed"):
            iter(feed)
        with pytest.raises(RuntimeError, match="this is closed"):
            feed.batches()


# requests of other threads


@pytest.mark.parametrize("spin", [False, True])
def test_others_may_subscribe_while_a_consumer_waits(quiet: Beside[Exchange], spin: bool) -> None:
    with connect(quiet, timeout=None, spin=spin) as feed:
        thread, got = in_thread(lambda: [type(next(feed)).__name__ for _ in range(2)])
        time.sleep(0.1)
        feed.subscribe("ethusdt@bestBidAsk", "btcusdt@depth")
        feed.unsubscribe("btcusdt@depth")
        feed.subscribe("ethusdt@bestBidAsk")  # which it has already
        assert feed.streams == ["btcusdt@trade", "ethusdt@bestBidAsk"]
        with pytest.raises(SubscriptionRefused, match="nosuch@trade"):
            feed.subscribe("nosuch@trade")
        with pytest.raises(ValueError, match="kinds"):
            feed.subscribe("btcusdt@kline")
        publish(quiet, 2)
        thread.join(10)
        assert len(got[0]) == 2


def test_many_threads_may_ask_at_once(exchange: Beside[Exchange]) -> None:
    with connect(exchange, timeout=None) as feed:
        thread, _ = in_thread(list, feed)
        asked = [
            in_thread(feed.subscribe, f"{symbol}@{kind}")
            for symbol in ("btcusdt", "ethusdt")
            for kind in ("trade", "bestBidAsk", "depth20", "depth")
        ]
        for each, got in asked:
            each.join(15)
            assert got == [None]
        assert len(feed.streams) == 8
        feed.close()
        thread.join(5)


def test_who_asks_moves_the_feed_where_nobody_consumes(quiet: Beside[Exchange]) -> None:
    with connect(quiet) as feed:
        frames = publish(quiet, 10)
        asked = [in_thread(feed.subscribe, f"ethusdt@{kind}") for kind in ("trade", "depth")]
        for each, got in asked:
            each.join(5)
            assert got == [None]
        started = time.monotonic()
        feed.subscribe("ethusdt@trade")  # again: there is nothing to wait for
        assert time.monotonic() - started < 2
        feed.unsubscribe("ethusdt@trade", "ethusdt@depth")
        assert feed.streams == ["btcusdt@trade"]
        assert [bytes(next(feed)) for _ in range(10)] == frames


def test_a_handler_that_asks_is_told_why_it_can_not(quiet: Beside[Exchange]) -> None:
    with connect(quiet) as feed:
        for ask in (feed.subscribe, feed.unsubscribe):
            publish(quiet, 1)

            def handler(message: Any, ask: Any = ask) -> None:
                ask("ethusdt@trade")

            with pytest.raises(RuntimeError, match="a handler can't wait for the exchange's answ"):
                feed.run(handler)
        publish(quiet, 1)
        with pytest.raises(RuntimeError, match="the handler of `run` waits for the next frame"):
            feed.run(lambda message: next(feed))
        publish(quiet, 1)
        assert next(feed)


def test_renewal_is_for_any_thread_and_for_handlers(exchange: Beside[Exchange]) -> None:
    def renewed(feed: sync.Feed) -> int:
        return sum(each.cause == "renewed" for each in feed.ledger.connections)

    with connect(exchange, *STREAMS, timeout=None) as feed:
        count = [0]

        def handler(message: Any) -> None:
            count[0] += 1
            if count[0] == 10:
                feed.renew()

        thread, _ = in_thread(feed.run, handler)
        until(lambda: renewed(feed) == 1)
        feed.renew()
        until(lambda: renewed(feed) == 2)
        feed.close()
        thread.join(5)
        assert feed.ledger.holes == []


@pytest.mark.parametrize("is_moved", [False, True])
def test_asking_of_a_closed_feed_is_refused_at_once(
    quiet: Beside[Exchange], is_moved: bool
) -> None:
    with connect(quiet) as feed:
        thread = in_thread(list, feed)[0] if is_moved else None
        time.sleep(0.1)
        feed.close()
        started = time.monotonic()
        for ask in (feed.subscribe, feed.unsubscribe):
            with pytest.raises(RuntimeError, match="the feed is closed"):
                ask("ethusdt@trade")
        feed.renew()
        assert time.monotonic() - started < 2
        if thread is not None:
            thread.join(5)
