"""Books over FIX whatever is lost, late or cut, in any order: a live book is the exchange's."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from test_fix_books import Feigned, made

from binance_sbe import fix_sbe
from binance_sbe.books.fix import FixBooks

SYMBOLS = "BTCUSDT", "ETHUSDT"
LEVELS = st.dictionaries(st.integers(90, 99), st.integers(0, 3), min_size=1, max_size=3)


class Exchange:
    """One symbol: its bids after each update, in dicts, and the messages that say so."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.bids = {7: {95: 1}}
        self.update_id = 7

    def change(self, steps: int, levels: dict[int, int]) -> Any:
        first, before = self.update_id + 1, self.bids[self.update_id]
        self.update_id += steps
        self.bids[self.update_id] = {p: q for p, q in (before | levels).items() if q}
        entries = [{"md_entry_px": p, "md_entry_size": q or None} for p, q in levels.items()]
        return made(
            fix_sbe.MarketDataIncrementalDepth, first_book_update_id=first,
            last_book_update_id=self.update_id, symbol=self.symbol, md_entries_bids=entries,
            md_entries_asks=[],
        )  # fmt: skip

    def snapshot(self) -> Any:
        levels = sorted(self.bids[self.update_id].items(), reverse=True)
        side = [{"md_entry_px": price, "md_entry_size": qty} for price, qty in levels]
        return made(
            fix_sbe.MarketDataSnapshot, last_book_update_id=self.update_id, symbol=self.symbol,
            md_entries_bids=side, md_entries_asks=[],
        )  # fmt: skip


class Trading(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.seconds = 1000.0
        self.patch.setattr(time, "monotonic", lambda: self.seconds)
        self.exchanges = {symbol: Exchange(symbol) for symbol in SYMBOLS}
        self.session = Feigned()
        self.books = FixBooks(self.session, *SYMBOLS)
        self.wire: deque[tuple[Any, int]] = deque()
        self.heard: set[str] = set()  # symbols of which something has come in this session
        self.begun = 0
        self.begin()

    def send(self, message: Any) -> None:
        if self.session.is_live:
            self.seconds += 0.001
            self.wire.append((message, int(self.seconds * 1e9)))

    def begin(self) -> None:
        for each in self.exchanges.values():
            self.send(each.snapshot())

    @rule(symbol=st.sampled_from(SYMBOLS), steps=st.integers(1, 3), levels=LEVELS)
    def trade(self, symbol: str, steps: int, levels: dict[int, int]) -> None:
        self.send(self.exchanges[symbol].change(steps, levels))

    @rule(number=st.integers(1, 9))
    def take(self, number: int) -> None:
        for _ in range(min(number, len(self.wire))):
            message, at = self.wire.popleft()
            if self.session.is_live and at >= self.begun:
                self.heard.add(message.symbol)
            self.books.take(message, at)

    @precondition(lambda self: self.wire)
    @rule(which=st.integers(0, 99))
    def drop(self, which: int) -> None:
        del self.wire[which % len(self.wire)]

    @precondition(lambda self: self.wire)
    @rule(which=st.integers(0, 99))
    def repeat(self, which: int) -> None:
        message, _ = self.wire[which % len(self.wire)]
        self.send(message)

    @precondition(lambda self: self.session.is_live)
    @rule()
    def cut(self) -> None:
        self.session.lost()
        self.heard.clear()

    @precondition(lambda self: not self.session.is_live)
    @rule()
    def follow(self) -> None:
        self.seconds += 0.001
        self.begun = int(self.seconds * 1e9)
        self.session.follows(self.begun)
        self.begin()

    @rule(seconds=st.sampled_from([0.01, 0.5, 30.0]), comes=st.booleans())
    def look(self, seconds: float, comes: bool) -> None:
        self.seconds += seconds
        symbol = self.books.next_symbol()
        if symbol is None:
            return
        assert self.session.is_live
        if comes:
            self.send(self.exchanges[symbol].snapshot())
        else:
            self.books.failed(symbol)

    @invariant()
    def live_books_are_those_of_the_exchange(self) -> None:
        for symbol, book in self.books.items():
            assert book.audit.failures == 0
            if book.state == "live":
                assert symbol in self.heard
                shown = dict(book.bids().tolist())
                assert shown == self.exchanges[symbol].bids[book.update_id]

    def teardown(self) -> None:
        """Whatever has happened, with a session that works all books are right before long."""
        try:
            if not self.session.is_live:
                self.follow()
            for _ in range(30):  # of the other symbol nothing comes but what is asked for
                self.trade(SYMBOLS[0], 1, {95: 2})
                self.take(len(self.wire))
                self.look(30.0, True)
            self.take(len(self.wire))
            assert [book.state for book in self.books.values()] == ["live", "live"]
            for _ in range(30):
                self.trade(SYMBOLS[1], 1, {95: 2})
                self.take(len(self.wire))
                self.look(30.0, True)
            for symbol, book in self.books.items():
                assert (book.state, book.update_id) == ("live", self.exchanges[symbol].update_id)
            self.live_books_are_those_of_the_exchange()
        finally:
            self.patch.undo()


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=300, stateful_step_count=50)
