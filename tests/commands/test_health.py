"""What is said of the state of a feed, word for word."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from feeds import NOW, SECOND, Hand, best, trade
from rich.console import Console

from binance_sbe.commands import health
from binance_sbe.feed.ledger import Hole
from binance_sbe.feed.protocol.supervisor import WE_CLOSED
from binance_sbe.simulator.faults import newer, unknown

MS = 10**6


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds after what comes has come."""
    monkeypatch.setattr(time, "time_ns", lambda: NOW + 2 * SECOND)


def test_nothing_is_said_of_what_did_not_happen() -> None:
    hand = Hand()
    assert health.is_well(hand.feed)
    assert set(health.counts(hand.feed).values()) == {0}
    assert health.ledger_line(hand.feed) == "ledger: nothing lost, nothing odd"
    assert health.lag_line(hand.feed) == (
        "lag: exchange to here none yet; here to decoded none yet"
    )
    assert health.plain_lines(hand.feed)[2:] == [
        "  connection 1 (line 1): age 92 s, last read never, frames 0, MB 0.00"
    ]


# What happens, the one counter that shows it, and whether all is well after it.
HAPPENS: dict[str, tuple[Callable[[Hand], Any], dict[str, int], bool]] = {
    "a hole": (
        lambda hand: [hand.put(trade(n)) for n in (1, 5)], {"holes": 1, "ids lost": 3}, False,
    ),
    "what is dropped": (
        lambda hand: hand.feed.ledger.note_dropped(
            hand.feed._backlog.arbiter.directory.stream("btcusdt@bestBidAsk"), 4, 3, NOW
        ),
        {"dropped for the consumer": 1}, False,
    ),
    "what comes twice by one": (
        lambda hand: [hand.put(trade(n)) for n in (1, 2, 1)], {"out of order": 1}, False,
    ),
    "what is left out": (
        lambda hand: [hand.put(best(n)) for n in (3, 4, 9)],
        {"left out by the exchange (no loss)": 1}, True,
    ),
    "what is no message": (lambda hand: hand.put(b"xx"), {"damaged": 1}, False),
    "what nobody knows": (lambda hand: hand.put(unknown(best(3))), {"unknown": 1}, False),
    "what is newer": (
        lambda hand: [hand.put(newer(best(n))) for n in (3, 4)], {"newer version": 2}, False,
    ),
    "a loss": (lambda hand: hand.end(1, "gone"), {"connections ended": 1}, False),
    "our close": (lambda hand: hand.end(1, WE_CLOSED), {}, True),
}  # fmt: skip


@pytest.mark.parametrize("what", HAPPENS)
def test_each_thing_that_happens_is_counted_under_its_name(what: str) -> None:
    happen, expected, is_well = HAPPENS[what]
    hand = Hand()
    happen(hand)
    assert {name: n for name, n in health.counts(hand.feed).items() if n} == expected
    assert health.is_well(hand.feed) == is_well
    said = ", ".join(f"{name} {n}" for name, n in expected.items()) or "nothing lost, nothing odd"
    assert health.ledger_line(hand.feed).split(";")[0] == f"ledger: {said}"


def test_counts_are_of_all_streams_and_in_groups_of_three_digits() -> None:
    hand = Hand("btcusdt@trade", "ethusdt@trade")
    for name in hand.names:
        stream = hand.feed._backlog.arbiter.directory.stream(name)
        hand.feed.ledger.note_dropped(stream, 1, 600, NOW)
    for n in (1, 1200):
        hand.put(trade(n))
    for n in (5, 2005):
        hand.put(trade(n).replace(b"BTCUSDT", b"ETHUSDT"))
    assert health.counts(hand.feed)["ids lost"] == 1198 + 1999
    assert "ids lost 3,197, dropped for the consumer 2" in health.ledger_line(hand.feed)


def test_two_lines_bring_duplicates_and_say_who_is_first() -> None:
    hand = Hand(lines=2)
    for n in range(8):
        hand.put(trade(n), NOW)
        if n % 4 == 3:
            hand.put(trade(n), NOW + 3 * MS, 2)
    hand.put(trade(8), NOW, 2)
    hand.put(trade(8), NOW + SECOND, 1)
    lines = health.plain_lines(hand.feed)
    assert lines[1] == "  ledger: duplicates 3"
    assert lines[2].startswith(
        "  connection 1 (line 1): age 92 s, last read 1 s ago, frames 9, MB 0.00, first 88.9 %, "
        "behind the first p50 "
    )
    assert lines[3].startswith(
        "  connection 2 (line 2): age 92 s, last read 2 s ago, frames 3, MB 0.00, first 33.3 %, "
        "behind the first p50 2.98 ms, p99 2.98 ms, p99.9 2.98 ms"
    )
    assert health.is_well(hand.feed)


def test_megabytes_are_millions_of_bytes_and_what_comes_later_than_now_is_now() -> None:
    hand = Hand()
    hand.connections[0].opened_ns = NOW + SECOND
    size = len(trade(1))
    for n in range(2000):
        hand.put(trade(n), NOW + 5 * SECOND)
    assert health.connection_cells(hand.connections[0], NOW + 2 * SECOND) == (
        "connection 1 (line 1)", "1 s", "0 us ago", "2,000", f"{2000 * size / 1e6:.2f}",
        "100.0 %", "",
    )  # fmt: skip


def test_the_latest_hole_is_told_with_its_cause() -> None:
    hand = Hand()
    hand.feed.ledger._add(Hole("a@trade", 5, 8, NOW, NOW, "the first"))
    hand.feed.ledger._add(Hole("b@trade", 5, 1506, NOW, NOW + SECOND, "the second"))
    assert health.ledger_line(hand.feed) == (
        "ledger: holes 2; latest hole: b@trade, 1,500 ids, 1 s ago, the second"
    )


def test_without_a_connection_the_last_cause_is_told() -> None:
    hand = Hand(lines=2)
    assert health.no_connection(hand.feed) == ""
    hand.end(1, "gone")
    assert health.open_connections(hand.feed) == [hand.connections[1]]
    assert not any("no connection" in line for line in health.plain_lines(hand.feed))
    hand.end(2, "gone as well")
    assert health.plain_lines(hand.feed)[-1] == "  no connection is open: gone as well"
    hand.connections[1].cause = None
    assert health.no_connection(hand.feed) == "no connection is open"


def test_a_stream_without_a_connection_makes_its_symbol_old() -> None:
    hand = Hand("btcusdt@trade", "ethusdt@depth")
    assert health.old_symbols(hand.feed) == set()
    hand.feed._connections.engine.supervisor.shards.place(["ethusdt@depth"], 0.0)
    assert health.old_symbols(hand.feed) == {"ETHUSDT"}


def drawn(hand: Hand, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(health.rich_panel(hand.feed, width))
    return console.export_text(styles=True).splitlines()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


ALONE = ["connection", "age", "last read", "frames", "MB"]


@pytest.mark.parametrize(
    ("lines", "width", "shown"),
    [
        (1, 60, ALONE), (1, 59, ALONE[:4]),
        (2, 103, [*ALONE, "first", "behind the first"]), (2, 102, [*ALONE, "first"]),
        (2, 70, [*ALONE, "first"]), (2, 69, ALONE[:4]),
    ],
)  # fmt: skip
def test_the_panel_has_the_columns_that_fit(lines: int, width: int, shown: list[str]) -> None:
    hand = Hand(lines=lines)
    for number in range(1, lines + 1):
        hand.put(trade(1), NOW + number * MS, number)
    head = drawn(hand, width)[1]
    cells = [cell.strip() for cell in plain(head).strip("┃").split("┃")]
    assert cells == shown


def test_the_panel_is_marked_where_something_was_lost() -> None:
    well, holed, damaged, gone = (Hand() for _ in range(4))
    holed.feed.ledger._add(Hole("b@trade", 5, 8, NOW, NOW + SECOND, "x"))
    damaged.put(b"xx")
    gone.end(1, "gone")
    yellow = [any("\x1b[33mledger" in line for line in drawn(each, 120)) for each in (
        well, holed, damaged, gone)]  # fmt: skip
    assert yellow == [False, True, True, False]
    assert drawn(gone, 120)[0] == "\x1b[1;31mno connection is open: gone\x1b[0m"
    assert plain(drawn(well, 120)[3]).split("│")[1].strip() == "connection 1 (line 1)"
