"""Books around their keeper: requests, consumers, waiting. Feed and client are the test's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from intake import intake
from test_book import diff, snapshot

import binance_sbe
from binance_sbe.books.base import Budget
from binance_sbe.books.live import Books
from binance_sbe.errors import ConnectionLost, RateLimited
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.recording import NOBODY
from binance_sbe.rest import depth_weight


class Feed:
    """Events come when the test gives them; one iteration at a time is what a feed allows."""

    url = "ws://exchange"
    rest_url = "http://exchange"
    recorder = NOBODY

    def __init__(self) -> None:
        (self.ledger, self._backlog), self.line = intake(), Source()
        self.streams: list[str] = []
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.iterations = self.most = 0

    async def subscribe(self, *names: str) -> None:
        self.streams += names
        self._backlog.arbiter.enter(self.line, names)

    async def __aiter__(self) -> Any:
        self.iterations += 1
        self.most = max(self.most, self.iterations)
        try:
            while (event := await self.events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.iterations -= 1


class Client:
    """Answers what it was told to, in turn; the last again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, str, int]] = []
        self.blocked_until = 0.0
        self.used_weight: int | None = None
        self.used_at = 0.0

    async def depth(self, symbol: str, limit: int) -> Any:
        self.asked.append((time.monotonic(), symbol, limit))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Used):
            self.used_weight, self.used_at = answer, time.time()
            return GOOD
        return answer


class Used(int):
    """An answer with the weight that the exchange says was used."""


GOOD = snapshot(100, [(99, 5)], [(101, 1)])


def run(
    work: Callable[[Books, Feed, Client], Awaitable[None]],
    *answers: Any,
    symbols: tuple[str, ...] = ("btcusdt",),
    **options: Any,
) -> None:
    async def main() -> None:
        feed, client = Feed(), Client(*(answers or (GOOD,)))
        made: Any = feed
        asked: Any = client
        async with asyncio.timeout(20), Books(made, symbols, client=asked, **options) as books:
            await work(books, feed, client)

    asyncio.run(main())


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("GET /depth", 429, 0.8),
        ConnectionLost(None, "reset"),
        ZeroDivisionError("ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_request_that_fails_is_made_again_when_it_may_be(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(books: Books, feed: Feed, client: Client) -> None:
        await books.wait(timeout=10)
        assert [(symbol, limit) for _, symbol, limit in client.asked] == [("BTCUSDT", 50)] * 2
        pause = client.asked[1][0] - client.asked[0][0]
        if isinstance(error, RateLimited):
            assert 0.8 <= pause < 3  # as the exchange has said
        else:
            assert 0.1 < pause < 2
        assert books["btcusdt"].update_id == 100

    with caplog.at_level(logging.WARNING, "binance_sbe"):
        run(work, error, GOOD, limit=50)
    said = [record for record in caplog.records if "no snapshot of BTCUSDT" in record.message]
    assert len(said) == 1


def test_nothing_is_asked_for_while_the_exchange_blocks_or_its_weight_is_used_up() -> None:
    async def work(books: Books, feed: Feed, client: Client) -> None:
        client.blocked_until = time.monotonic() + 0.4
        until = client.blocked_until
        await books.wait(timeout=10)
        assert client.asked[0][0] >= until

    run(work)

    async def count(books: Books, feed: Feed, client: Client) -> None:
        await asyncio.sleep(0.5)
        assert len(client.asked) == 2  # 75 were used by then, and 80 may be

    if time.time() % 60 > 58:  # not amid the turn of a minute
        time.sleep(2)
    many = tuple(f"coin{i}usdt" for i in range(40))
    run(count, Used(75), symbols=many, weight_limit=100, limit=5)


def test_consumers_take_turns_and_nobody_takes_events_beside_them() -> None:
    async def work(books: Books, feed: Feed, client: Client) -> None:
        await books.wait(timeout=10)
        one, two = aiter(books), aiter(books)
        await feed.events.put(diff(101, 101))
        symbol, book, event = await anext(one)
        assert (symbol, book, event.last_book_update_id) == ("BTCUSDT", books["btcusdt"], 101)
        await feed.events.put(diff(102, 102))
        assert (await anext(two))[2].last_book_update_id == 102
        await feed.events.put(diff(103, 103))
        with pytest.raises(RuntimeError, match="these books have another consumer now"):
            await anext(one)
        await asyncio.sleep(0.05)
        assert books["btcusdt"].update_id == 102  # nobody has taken it meanwhile
        assert (await anext(two))[2].last_book_update_id == 103
        await two.aclose()  # type: ignore[attr-defined]
        await feed.events.put(diff(104, 104))
        while books["btcusdt"].update_id < 104:  # a task takes over again
            await asyncio.sleep(0.01)

    run(work)


def test_a_consumer_gets_what_was_applied_and_what_is_not_of_these_books() -> None:
    async def work(books: Books, feed: Feed, client: Client) -> None:
        await books.wait(timeout=10)
        for event in (
            diff(90, 100), diff(101, 101), diff(105, 106), diff(1, 1, symbol="ETHUSDT"),
        ):  # fmt: skip
            await feed.events.put(event)
        await feed.events.put(None)
        got = [
            (symbol, book and book.state, e.first_book_update_id) async for symbol, book, e in books
        ]
        assert got == [("BTCUSDT", "live", 101), ("ETHUSDT", None, 1)]
        assert books["btcusdt"].state == "stale"

    run(work)


@pytest.mark.parametrize("error", [ConnectionLost(1000, "gone"), None])
def test_the_end_of_the_feed_is_told_to_who_waits(error: Exception | None) -> None:
    async def work(books: Books, feed: Feed, client: Client) -> None:
        await books.wait(timeout=10)
        books.check()
        waiting = asyncio.create_task(books.wait("btcusdt", state="stale"))
        await asyncio.sleep(0)
        await feed.events.put(error)
        with pytest.raises(type(error) if error else RuntimeError, match="gone|the feed is closed"):
            await waiting
        with pytest.raises(type(error) if error else RuntimeError):
            books.check()

    run(work)


def test_what_is_no_message_is_said_and_the_books_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def work(books: Books, feed: Feed, client: Client) -> None:
        await books.wait(timeout=10)
        await feed.events.put(binance_sbe.TruncatedMessage("too short"))
        await feed.events.put(diff(101, 101))
        while books["btcusdt"].update_id < 101:
            await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING, "binance_sbe"):
        run(work)
    assert "a frame that is no message" in caplog.text
    assert "the books failed" not in caplog.text


def test_who_waits_too_long_is_told_what_is_missing() -> None:
    symbols = tuple(f"coin{i}usdt" for i in range(7))

    async def work(books: Books, feed: Feed, client: Client) -> None:
        with pytest.raises(TimeoutError) as caught:
            await books.wait(timeout=0.2)
        few = "; ".join(f"COIN{i}USDT: there is no snapshot yet" for i in range(5))
        assert str(caught.value) == f"not live: 7 of 7 books: {few}; ..."
        with pytest.raises(TimeoutError, match="^not live: 1 of 1 books: COIN6USDT: [^;]*$"):
            await books.wait("coin6usdt", timeout=0.01)
        await books.wait(state="syncing", timeout=0.01)
        assert repr(books) == "<Books: 7, 0 live>"

    run(work, ConnectionLost(None, "reset"), symbols=symbols)


def test_streams_that_the_feed_has_are_not_asked_for_again() -> None:
    async def main() -> None:
        feed: Any = Feed()
        feed.streams = ["btcusdt@depth"]
        client: Any = Client(GOOD)
        async with Books(feed, ["btcusdt", "BTCUSDT", "ethusdt"], client=client) as books:
            assert feed.streams == [
                "btcusdt@depth", "btcusdt@depth20", "ethusdt@depth", "ethusdt@depth20",
            ]  # fmt: skip
            assert (list(books), len(books)) == (["BTCUSDT", "ETHUSDT"], 2)
            pump = books._pump
        assert pump is not None
        assert pump.cancelled()
        assert feed.iterations == 0

    asyncio.run(main())


def test_what_books_are_made_with_arrives() -> None:
    made = binance_sbe.books(
        "btcusdt", limit=500, audit_seconds=7.0, weight_limit=321, max_levels=77, max_buffer=88,
        url="ws://127.0.0.1:1", lines=2, silence_timeout=3.0,
    )  # fmt: skip
    book, keeper = made["btcusdt"], made._keeper
    assert (book.max_levels, book.max_buffer, book.on_error) == (77, 88, "mark")
    assert (keeper.limit, keeper.audit_seconds, made._budget.limit) == (500, 7.0, 321)
    settings = made.feed._connections.engine.supervisor.settings
    assert (settings.lines, settings.silence_timeout) == (2, 3.0)
    assert made.feed._on_error == "collect"
    given = binance_sbe.books("btcusdt", on_error="raise", url="ws://127.0.0.1:1")
    assert given.feed._on_error == "raise"
    standard = given["btcusdt"]
    assert (standard.max_levels, standard.max_buffer) == (10_000, 3000)
    assert (given._keeper.limit, given._keeper.audit_seconds, given._budget.limit) == (
        1000, 3600.0, 6000,
    )  # fmt: skip
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        binance_sbe.books("btcusdt", speed=1)
    least = binance_sbe.books("btcusdt", limit=5000, weight_limit=313, url="ws://127.0.0.1:1")
    assert len(least) == 1
    with pytest.raises(ValueError, match="weight_limit 312 does not allow a snapshot of 5000"):
        binance_sbe.books("btcusdt", limit=5000, weight_limit=312)
    assert depth_weight(5000) == 250


@pytest.mark.parametrize(
    ("steps", "answers"),
    [
        # (weight, now, can wait) to take, or (used, at, now) to note
        ([("take", 80, 0.0, False), ("take", 1, 0.0, False)], [0.0, 60.5]),
        ([("take", 40, 0.0, True), ("take", 1, 0.0, True), ("take", 40, 1.0, False)],
         [0.0, 60.5, 0.0]),
        ([("take", 81, 10.0, False), ("take", 1, 10.0, False)], [0.0, 50.5]),  # one may always
        ([("take", 80, 59.0, False), ("take", 80, 60.0, False)], [0.0, 0.0]),
        ([("note", 80, 5.0, 5.0), ("take", 1, 6.0, False)], [54.5]),
        ([("note", 79, 5.0, 5.0), ("take", 1, 6.0, False), ("take", 1, 6.0, False)], [0.0, 54.5]),
        ([("note", 80, 59.0, 61.0), ("take", 1, 61.0, False)], [0.0]),  # of the minute before
        ([("take", 80, 1.0, False), ("note", 5, 2.0, 2.0), ("take", 1, 2.0, False)], [0.0, 58.5]),
        ([("take", 80, 1.0, False), ("note", None, 2.0, 2.0), ("take", 1, 2.0, False)],
         [0.0, 58.5]),
    ],
)  # fmt: skip
def test_the_weight_of_a_minute(steps: list[Any], answers: list[float]) -> None:
    budget = Budget(100)
    found = []
    for what, *arguments in steps:
        if what == "take":
            found.append(budget.take(*arguments))
        else:
            budget.note(*arguments)
    assert found == answers
