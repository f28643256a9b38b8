"""Trades of holes by REST, with a client and a clock that the test plays."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from binance_sbe.errors import BinanceError, FeedError, RateLimited, Unreachable
from binance_sbe.feed import backfill
from binance_sbe.feed.backfill import FilledTrades, fill, fill_all
from binance_sbe.feed.ledger import Hole, Ledger

STREAM = "btcusdt@trade"
DTYPE = [("id", "i8"), ("price", "i8")]


class Answer:
    price_exponent, qty_exponent = -2, -8

    def __init__(self, ids: list[int]) -> None:
        self.trades = np.array([(each, 100 + each) for each in ids], DTYPE)


class Client:
    """Gives what it was told to, one after the other: an answer or an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int, int]] = []

    async def historical_trades(self, symbol: str, first: int, limit: int) -> Any:
        self.asked.append((symbol, first, limit))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(backfill.asyncio, "sleep", sleep)
    return pauses


def hole(before: int, after: int, stream: str = STREAM) -> Hole:
    return Hole(stream, before, after, 0, 0, "a test")


def filled(client: Any, gap: Hole) -> list[FilledTrades]:
    async def work() -> list[FilledTrades]:
        return [part async for part in fill(client, gap)]

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("gap", "answers", "asked", "got"),
    [
        ((4, 8), [[5, 6, 7]], [(5, 3)], [[5, 6, 7]]),
        ((4, 6), [[4, 5, 6]], [(5, 1)], [[5]]),  # what is around it is not of it
        ((4, 9), [[5, 6], [7, 8]], [(5, 4), (7, 2)], [[5, 6], [7, 8]]),
        ((4, 9), [[5, 6], []], [(5, 4), (7, 2)], [[5, 6]]),
        ((4, 9), [[9, 10]], [(5, 4)], []),
        ((4, 5), [], [], []),
        ((0, 1500), [range(1, 1001), range(1001, 1500)], [(1, 1000), (1001, 499)],
         [range(1, 1001), range(1001, 1500)]),
    ],
)  # fmt: skip
def test_a_hole_is_asked_for_in_parts_until_it_is_full_or_there_is_no_more(
    gap: tuple[int, int], answers: Any, asked: Any, got: Any, slept: list[float]
) -> None:
    client, wanted = Client(*map(list, answers)), hole(*gap)
    parts = filled(client, wanted)
    assert client.asked == [("BTCUSDT", first, limit) for first, limit in asked]
    assert [part.trades["id"].tolist() for part in parts] == [list(each) for each in got]
    assert wanted.filled == sum(len(each) for each in got)
    assert slept == []
    for part in parts:
        assert (part.hole, part.symbol, part.price_exponent, part.qty_exponent) == (
            wanted, "BTCUSDT", -2, -8,
        )  # fmt: skip


def test_what_fails_is_tried_again_after_pauses_that_grow_or_that_are_asked_for(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    no_route = Unreachable("no route")
    busy = RateLimited("https://x", 429, 30.0)
    soon = RateLimited("https://x", 429, 1.0)
    errors = [no_route, BinanceError(-1000, "no", None, None, None), busy, soon]
    client = Client(*errors, [5], *errors, [6, 7])
    wanted = hole(4, 8)
    assert [part.trades["id"].tolist() for part in filled(client, wanted)] == [[5], [6, 7]]
    assert slept == [1.0, 2.0, 30.0, 8.0] * 2  # counted anew after an answer
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 8
    assert caplog.records[2].message.endswith("; again in 30.0 s")
    assert [first for _, first, _ in client.asked] == [5] * 5 + [6] * 5


def test_five_failures_in_a_row_are_an_error(slept: list[float]) -> None:
    client = Client(*[Unreachable(f"no route {i}") for i in range(9)])
    with pytest.raises(Unreachable, match="no route 4"):
        filled(client, hole(4, 8))
    assert slept == [1.0, 2.0, 4.0, 8.0]
    with pytest.raises(KeyError):  # an error of ours is not tried again
        filled(Client(KeyError("odd")), hole(4, 8))


def test_all_holes_of_trades_are_filled_until_the_feed_is_over(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger()
    client = Client([5], [7], *[Unreachable("gone")] * 5, [22], [], [31], [])
    looks = 0

    def add(before: int, after: int, stream: str = STREAM) -> Hole:
        ledger._add(hole(before, after, stream))
        return ledger.holes[-1]

    growing: list[Hole] = []

    def is_over() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            add(4, 6)
            add(1, 9, "btcusdt@depth")
        elif looks == 3:
            add(6, 8)
            growing.append(add(30, 33, "ethusdt@trade"))
            ledger._dropping["ethusdt@trade"] = growing[0]
        elif looks == 4:
            add(10, 12)
            add(20, 24)
        return looks >= 6

    async def work() -> list[FilledTrades]:
        return [part async for part in fill_all(client, ledger, is_over)]

    with caplog.at_level(logging.WARNING, "binance_sbe"):
        parts = asyncio.run(work())
    assert [(p.symbol, p.trades["id"].tolist()) for p in parts] == [
        ("BTCUSDT", [5]), ("BTCUSDT", [7]), ("BTCUSDT", [22]), ("ETHUSDT", [31]),
    ]  # fmt: skip
    said = [r.message for r in caplog.records if "again in" not in r.message]
    assert said == [
        "btcusdt@trade: not filled: gone",
        "btcusdt@trade: of 1 trades from id 11 on, REST has given 0",
        "btcusdt@trade: of 3 trades from id 21 on, REST has given 1",
        "ethusdt@trade: of 2 trades from id 31 on, REST has given 1",
    ]
    assert client.asked[-2:] == [("ETHUSDT", 31, 2), ("ETHUSDT", 32, 1)]
    assert slept.count(0.2) == looks - 1
    assert looks == 7


def test_an_error_that_is_no_answer_ends_it(slept: list[float]) -> None:
    ledger = Ledger()
    ledger._add(hole(4, 6))

    async def work() -> None:
        async for _ in fill_all(Client(KeyError("odd")), ledger, lambda: True):
            pass

    with pytest.raises(KeyError):
        asyncio.run(work())
    assert issubclass(RateLimited, FeedError)
