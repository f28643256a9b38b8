"""What a notebook shows of a feed and its ledger: counts, holes, times in UTC, and no markup."""

from __future__ import annotations

from typing import Any

from feeds import NOW, Hand, trade
from nasty import KEY, NASTY_WITH_KEY
from parsed import Parsed

import binance_sbe
from binance_sbe.feed.html import utc
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.ledger import ConnectionRecord, Hole, Ledger

MARKUP = "<img src=x onerror=alert(1)>"


def shown(found: Any) -> Parsed:
    return Parsed(found._repr_html_())


def test_a_feed_that_is_not_open_yet_can_be_shown() -> None:
    for connect in (binance_sbe.connect, binance_sbe.sync.connect):
        found = shown(connect("btcusdt@trade", url="ws://127.0.0.1:1", api_key="k"))
        assert found.notes == [
            "Feed ws://127.0.0.1:1, not open, 0 streams, 0 frames, 0 of 0 connections open, "
            "0 frames waiting, 0 holes"
        ]


def test_a_feed_and_its_ledger_show_what_came_of_each_stream_and_what_is_missing() -> None:
    hand = Hand()
    for number in (1, 2, 7):
        hand.put(trade(number))
    found, ledger = shown(hand.feed), shown(hand.feed.ledger)
    for each in (found, ledger):
        at = each.column("stream").index("btcusdt@trade")
        assert [each.column(name)[at] for name in ("frames", "lost")] == ["3", "4"]
        assert each.column("latest")[at].startswith("2027-01-15 08:00:")
    assert "1 of 1 connections open" in found.notes[0]
    assert ledger.notes == [
        "Ledger: 1 holes, 0 damaged frames, 0 dropped, 1 connections",
        "Holes: the latest 1 of 1", "Connections: the latest 1 of 1",
    ]  # fmt: skip
    assert (ledger.column("first id"), ledger.column("last id")) == (["3"], ["6"])
    assert ledger.column("opened")[0].startswith("20")
    assert ledger.column("closed") == [""]


def test_only_the_latest_holes_and_connections_are_shown() -> None:
    ledger = Ledger()
    for number in range(1, 40):
        ledger.note(Hole("btcusdt@trade", number * 10, number * 10 + 2, NOW, NOW, "a break"))
        record = ConnectionRecord(f"connection {number}", Source(), NOW)
        ledger.note_connection(record)
        ledger.note_end(record, NOW + 10**9, "a reason")
    found = shown(ledger)
    assert found.column("first id") == [str(10 * number + 1) for number in range(30, 40)]
    assert "Holes: the latest 10 of 39" in found.notes
    assert "Connections: the latest 10 of 39" in found.notes


def test_what_the_exchange_wrote_never_becomes_markup_nor_shows_a_key() -> None:
    binance_sbe.connect("btcusdt@trade", url="ws://127.0.0.1:1", api_key=KEY)  # known from now on
    for nasty in (MARKUP, NASTY_WITH_KEY):
        ledger = Ledger()
        ledger.note(Hole(nasty, 1, 3, NOW, NOW, nasty))
        record = ConnectionRecord(nasty, Source(), NOW)
        ledger.note_connection(record)
        ledger.note_end(record, NOW, nasty)
        found = shown(ledger)
        cells = [*found.column("cause"), *found.column("stream")]
        assert cells
        assert KEY not in ledger._repr_html_()
        if nasty is MARKUP:
            assert cells.count(MARKUP) >= 1


def test_what_is_not_there_is_not_shown() -> None:
    assert len(shown(Ledger()).notes) == 1  # tables of nothing are left out
    assert (utc(None), utc(0)) == (None, None)
    assert utc(NOW + 1_999_999) == "2027-01-15 08:00:00.001Z"
