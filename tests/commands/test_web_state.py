"""What a page is sent: of what came, what is old, and what was lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from feeds import NOW, SECOND, Hand, best, trade

from binance_sbe import spot_stream
from binance_sbe.books.keeper import Link, LiveBook
from binance_sbe.commands import health
from binance_sbe.commands.web import state as states
from binance_sbe.commands.web.state import EDGES, State


class Kept(dict[str, LiveBook]):
    feed: Any


class Played:
    """The state of a feed to which frames come by hand, at a time that the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.cut_off: set[str] = set()
        self.hand = Hand()
        self.kept = Kept(BTCUSDT=LiveBook("BTCUSDT", lambda symbol: Link(True, None, 0)))
        self.kept.feed = self.hand.feed
        monkeypatch.setattr(states.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(states.time, "time_ns", lambda: NOW)
        monkeypatch.setattr(health, "old_symbols", lambda feed: self.cut_off)
        self.state = State(self.kept, "a title", 5)  # type: ignore[arg-type]

    def put(self, frame: bytes) -> None:
        self.hand.put(frame)
        self.state.take("BTCUSDT", spot_stream.decode(frame))

    def look(self) -> Any:
        self.state.turn()
        return json.loads(self.state.text("BTCUSDT"))

    def quote(self) -> Any:
        return self.look()["symbols"][0]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def test_before_anything_came_nothing_is_made_up(played: Played) -> None:
    quote = played.quote()
    assert (quote["bid"], quote["ask"], quote["spread"], quote["trade"]) == ("", "", "", None)
    assert (quote["age"], quote["why"], quote["state"]) == ("none yet", "", "syncing")
    assert played.look()["latency"]["text"] == "none yet"


def test_the_best_prices_are_of_their_stream_and_the_trade_is_the_last(played: Played) -> None:
    played.put(best(7, 99, 101))
    played.put(trade(1, 100))
    played.put(trade(2, 101, sold=True))
    quote = played.quote()
    assert (quote["bid"], quote["ask"], quote["spread"]) == ("0.99", "1.01", "0.02")
    assert (quote["bid_qty"], quote["messages"]) == ("1.0000000", "3")
    assert quote["trade"][2:] == ["sell", "1.01", "0.5000000"]
    assert [each[0] for each in played.look()["trades"]] == [2, 1]


def test_so_many_trades_are_kept_and_no_more(played: Played) -> None:
    for number in range(100):
        played.put(trade(number))
    assert [each[0] for each in played.look()["trades"]] == list(range(99, 69, -1))


def test_silence_is_old_after_five_seconds(played: Played) -> None:
    played.put(best(7))
    played.now += 5.0
    assert (played.quote()["why"], played.quote()["age"]) == ("", "5.0 s")
    played.now += 0.6
    assert played.quote()["why"] == "nothing has come for 6 s"
    played.put(best(8))
    assert played.quote()["why"] == ""


def test_what_no_connection_brings_is_old_at_once(played: Played) -> None:
    played.put(best(7))
    played.now += 2.0
    played.cut_off = {"BTCUSDT"}
    assert played.quote()["why"] == "no connection brings it; the last event was 2 s ago"
    assert played.look()["problem"] == ""  # one is open
    played.hand.end(1, "cut <b>")
    found = played.look()
    assert found["problem"] == "no connection is open: cut <b>"
    assert found["connections"]["rows"] == []
    assert ["connections ended", "1", True] in found["ledger"]["counts"]
    assert not found["ledger"]["is_well"]


def test_a_connection_is_silent_after_five_seconds(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.put(best(7))
    (row,) = played.look()["connections"]["rows"]
    assert (row["is_silent"], row["cells"][0]) == (False, "connection 1 (line 1)")
    monkeypatch.setattr(states.time, "time_ns", lambda: NOW + 6 * SECOND)
    (row,) = played.look()["connections"]["rows"]
    assert row["is_silent"]


def test_latencies_are_those_of_the_last_thirty_seconds(played: Played) -> None:
    latency = played.hand.feed.stats.event_to_received
    latency.add(5 * 10**8, 1000)
    for _ in range(40):
        played.look()
        played.now += 1.0
    assert sum(count for _, count in played.look()["latency"]["bars"]) == 0
    latency.add(3 * 10**6, 7)
    latency.add(10**12, 2)
    played.now += 1.0
    bars = played.look()["latency"]["bars"]
    assert len(bars) == len(EDGES) + 1
    assert [bar for bar in bars if bar[1]] == [["up to 5 ms", 7], ["more", 2]]


def test_what_is_asked_for_twice_in_a_turn_is_made_once(played: Played) -> None:
    first = played.state.text("BTCUSDT")
    played.put(best(7))
    assert played.state.text("BTCUSDT") is first
    played.state.turn()
    assert played.state.text("BTCUSDT") != first


def test_events_of_other_symbols_are_not_kept(played: Played) -> None:
    for number in range(1000):
        played.state.take(f"<b>{number}", spot_stream.decode(best(7)))
    assert [*played.state.symbols] == ["BTCUSDT"]
    assert [each["symbol"] for each in played.look()["symbols"]] == ["BTCUSDT"]


def test_texts_from_outside_are_cut_and_escaped(played: Played) -> None:
    played.state.title = "\x1b[2J" + "x" * 5000
    assert len(played.look()["title"]) < 600
    assert "\x1b" not in played.state.text("BTCUSDT")
