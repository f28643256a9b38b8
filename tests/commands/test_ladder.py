"""What is shown of order books, word for word."""

from __future__ import annotations

import io
import json
import re
import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from test_book import depth20, diff, snapshot

from binance_sbe import spot_stream
from binance_sbe.books.keeper import UP, Audit, LiveBook
from binance_sbe.commands import ladder
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Depth

SECOND = 10**9
NOW = 1_800_000_000 * SECOND
QTY = 10**8


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOW)


def a_book(symbol: str = "btcusdt", audit: Audit | None = None) -> LiveBook:
    """Live at update 1101: two proven bids and one beyond, one ask; its event is of 7.0081 s."""
    book = LiveBook(symbol, lambda _: UP)
    book.apply_snapshot(snapshot(1100, [(99, QTY // 2), (98, QTY // 4)], [(101, QTY // 4)]))
    event = diff(1101, 1101, [(90, 3 * QTY)], [(101, 3 * QTY // 4)], symbol=symbol.upper())
    assert book.apply(event)
    book.since_ns = NOW - 4_500_000_000
    book.audit = audit or Audit()
    return book


def stale(book: LiveBook) -> LiveBook:
    assert not book.apply(diff(1110, 1111, symbol=book.symbol))
    return book


LADDER = """\
  ask           1.01    0.7500000    0.7500000
  spread 0.02, mid 1.000
  bid           0.99    0.5000000    0.5000000
  bid           0.98    0.2500000    0.7500000
  bid           0.90    3.0000000    3.7500000  unsure"""


@pytest.mark.parametrize(
    ("event_time", "told"), [(7.0, "500000.0 h"), (NOW / 1e9 - 0.25, "250 ms"), (NOW, "0 us")]
)
def test_lines_for_a_pipe(event_time: float, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dated(LiveBook):
        event_time = 0

    book = a_book()
    book.__class__ = Dated
    Dated.event_time = int(event_time * 1e6)
    assert ladder.plain_lines(book, 3) == [
        f"BTCUSDT live for 4.5 s, update id 1,101, {told} old",
        "audit: nothing compared yet",
        *LADDER.splitlines(),
    ]
    Dated.event_time = 0
    assert ladder.state_lines(book)[0] == "BTCUSDT live for 4.5 s, update id 1,101"


def test_each_state_is_told_with_its_reason() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.since_ns = NOW - SECOND
    assert ladder.plain_lines(book, 3) == [
        "BTCUSDT syncing for 1 s: there is no snapshot yet", "audit: nothing compared yet",
    ]  # fmt: skip
    book.apply_snapshot(snapshot(0, [(99, 1)], [(101, 1)]))
    assert ladder.state_lines(book)[0] == "BTCUSDT live for 1 s, update id 0"
    book = stale(a_book())
    first, _, *levels = ladder.plain_lines(book, 3)
    assert first == (
        f"BTCUSDT stale for 4.5 s, update id 1,101, prices are of 500000.0 h ago: {book.reason}"
    )
    assert levels == [
        line if "spread" in line else f"{line}  (old)" for line in LADDER.splitlines()
    ]


@pytest.mark.parametrize(
    ("audit", "said"),
    [
        (Audit(4000, 3999, 20, 1, 1, NOW - 3 * SECOND // 10),
         "audit: 3,999 of 4,000 levels agreed in 20 checks (1 with snapshots), the last 300 ms ago;"
         " 1 failed, and the book was made anew"),
        (Audit(40, 40, 1, 0, 0, NOW - 2 * SECOND),
         "audit: 40 of 40 levels agreed in 1 check (0 with snapshots), the last 2 s ago"),
        (Audit(4, 4, 1234, 1000, 1001, 0),
         "audit: 4 of 4 levels agreed in 1,234 checks (1,000 with snapshots), the last 500000.0 h "
         "ago; 1,001 failed, and the book was made anew"),
    ],
)  # fmt: skip
def test_the_audit_is_told(audit: Audit, said: str) -> None:
    assert ladder.state_lines(a_book(audit=audit))[1] == said


def test_a_side_without_levels_is_told() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.apply_snapshot(snapshot(1100, [], [(101, QTY)]))
    assert ladder.plain_lines(book, 3)[2:] == ["  ask           1.01    1.0000000    1.0000000"]
    assert ladder.texts_of(book)[0].startswith("a side is empty; ")
    assert json.loads(ladder.line_of(book, 3))["spread"] is None


def test_the_asks_stand_on_their_heads_and_levels_are_limited() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    asks = [(101 + n, QTY * (n + 1)) for n in range(5)]
    book.apply_snapshot(snapshot(1100, [(99, QTY)], asks))
    assert [row[:4] for row in ladder.rows_of(book, 3)] == [
        ("ask", "1.03", "3.0000000", "6.0000000"), ("ask", "1.02", "2.0000000", "3.0000000"),
        ("ask", "1.01", "1.0000000", "1.0000000"), ("bid", "0.99", "1.0000000", "1.0000000"),
    ]  # fmt: skip
    assert [row[4] for row in ladder.rows_of(book, 3)] == [1.0, 0.5, 1 / 6, 1 / 6]
    assert [row[5] for row in ladder.rows_of(a_book(), 9)] == [True, True, True, False]


def test_what_depth20_shows_is_proven_by_nothing() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.show(depth20(5, [(97, QTY)], [(103, QTY)]))
    assert ladder.plain_lines(book, 2)[2:] == [
        "  ask           1.03    1.0000000    1.0000000" + "  unsure" * (not proven(book)),
        "  spread 0.06, mid 1.000",
        "  bid           0.97    1.0000000    1.0000000" + "  unsure" * (not proven(book)),
    ]


def proven(book: LiveBook) -> bool:
    return bool(book.bids(1).proven)


def test_a_line_of_json_has_the_whole_of_it() -> None:
    book = a_book(audit=Audit(4000, 3999, 20, 1, 1, NOW))
    assert json.loads(ladder.line_of(book, 2)) == {
        "symbol": "BTCUSDT", "state": "live", "reason": None, "since_ns": NOW - 4_500_000_000,
        "update_id": 1101, "event_time": 8101, "spread": "0.02",
        "bids": [["0.99", "0.50000000"], ["0.98", "0.25000000"]],
        "asks": [["1.01", "0.75000000"]], "proven_bids": 2, "proven_asks": 1,
        "audit": {"levels": 4000, "agreed": 3999, "checks": 20, "snapshots": 1, "failures": 1,
                  "last_ns": NOW},
    }  # fmt: skip
    assert json.loads(ladder.line_of(book, 1))["bids"] == [["0.99", "0.50000000"]]


PANEL = """\
BTCUSDT  live
┏━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃ price ┃       qty ┃     total ┃ total as a bar           ┃
┡━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│  1.01 │ 0.7500000 │ 0.7500000 │ █████                    │
├───────┼───────────┼───────────┼──────────────────────────┤
│  0.99 │ 0.5000000 │ 0.5000000 │ ███                      │
│  0.98 │ 0.2500000 │ 0.7500000 │ █████                    │
│  0.90 │ 3.0000000 │ 3.7500000 │ unsure                   │
└───────┴───────────┴───────────┴──────────────────────────┘
spread 0.02, mid 1.000; total: of all levels from the best to here
without a gap from the best: 2 bids, 1 asks; beyond them (unsure) levels may be missing
BTCUSDT live for 4.5 s, update id 1,101, 500000.0 h old
audit: nothing compared yet
"""


def drawn(renderable: Any, width: int, styles: bool = False) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(renderable)
    return [line.rstrip() for line in console.export_text(styles=styles).splitlines()]


def test_the_ladder_of_a_terminal() -> None:
    assert drawn(ladder.rich_panel(a_book(), 3, 90), 90) == PANEL.splitlines()
    brief = drawn(ladder.rich_panel(a_book(), 3, 90, is_brief=True), 90)
    assert brief == PANEL.splitlines()[:10] + PANEL.splitlines()[12:13]


def test_a_line_is_between_the_sides_and_nowhere_else() -> None:
    for bids, asks, places in (
        ([(99, 1)], [(101, 1)], [5]), ([(99, 1)], [(101, 1), (102, 1)], [6]),
        ([(99, 1)], [], []), ([], [(101, 1)], []),
    ):  # fmt: skip
        book = LiveBook("btcusdt", lambda _: UP)
        book.apply_snapshot(snapshot(1100, bids, asks))
        lines = drawn(ladder.rich_panel(book, 3, 90), 90)
        assert [i for i, line in enumerate(lines) if line.startswith("├")] == places


def test_bars_are_as_long_as_the_totals_and_one_at_least() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    bids = [(99, QTY), (98, 23 * QTY), (97, 24 * QTY)]
    book.apply_snapshot(snapshot(1100, bids, [(101, 1)]))
    lines = drawn(ladder.rich_panel(book, 3, 90), 90)
    assert [line.count("█") for line in lines if "█" in line] == [1, 1, 12, 24]


@pytest.mark.parametrize(
    ("width", "columns"),
    [(61, 4), (60, 4), (59, 3), (33, 3), (32, 2), (21, 2)],
)
def test_columns_are_left_out_where_it_is_narrow(width: int, columns: int) -> None:
    head = drawn(ladder.rich_panel(a_book(), 3, width), width)[2]
    names = ["price", "qty", "total", "total as a bar"]
    assert [cell.strip() for cell in head.strip("┃").split("┃")] == names[:columns]


@pytest.mark.parametrize(
    ("height", "levels"), [(None, 9), (40, 9), (29, 9), (28, 8), (27, 8), (14, 1), (13, 1), (3, 1)]
)
def test_as_many_levels_as_fit_the_height(height: int | None, levels: int) -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.apply_snapshot(
        snapshot(1, [(90 - n, QTY) for n in range(20)], [(100 + n, QTY) for n in range(20)])
    )
    lines = drawn(ladder.rich_panel(book, 9, 100, height), 100)
    assert sum(line.startswith("│") for line in lines) == 2 * levels
    assert height is None or len(lines) < height or levels == 1


def test_colors_tell_the_state_and_what_is_sure() -> None:
    text = "\n".join(drawn(ladder.rich_panel(a_book(), 3, 90), 90, styles=True))
    found = re.findall(r"\x1b\[([\d;]+)m *([^\x1b]*?) *\x1b\[0m", text)
    assert [each for each in found if each[0] != "1"] == [
        ("1;32", "BTCUSDT  live"),
        ("1;31", "1.01"), ("31", "█████"), ("1;32", "0.99"), ("32", "███"),
        ("1;32", "0.98"), ("32", "█████"), ("2", "0.90"), ("2", "unsure"),
    ]  # fmt: skip
    text = "\n".join(drawn(ladder.rich_panel(stale(a_book()), 3, 90), 90, styles=True))
    found = re.findall(r"\x1b\[([\d;]+)m *([^\x1b]*?) *\x1b\[0m", text)
    assert found[0] == ("1;31", "BTCUSDT  stale: these prices are old")
    assert len([style for style, _ in found if style == "2"]) == 4 * 4
    assert {style for style, _ in found[1:]} == {"1", "2"}
    syncing = drawn(ladder.rich_panel(LiveBook("btcusdt", lambda _: UP), 3, 90), 90, styles=True)
    assert syncing[0].strip().startswith("\x1b[1;33mBTCUSDT  syncing")


@pytest.mark.parametrize(
    ("books", "height", "shown", "lines"),
    [(2, 24, 2, 11), (3, 24, 2, 11), (3, 35, 3, 11), (5, 24, 2, 11), (2, 80, 2, 39), (2, 8, 1, 6)],
)
def test_several_ladders_share_the_height(books: int, height: int, shown: int, lines: int) -> None:
    kept = []
    for n in range(books):
        book = LiveBook(f"s{n}usdt", lambda _: UP)
        book.apply_snapshot(
            snapshot(1, [(90 - n, QTY) for n in range(40)], [(100 + n, QTY) for n in range(40)])
        )
        kept.append(book)
    text = drawn(ladder.rich_panels(kept, 40, 100, height), 100)
    assert [line.split()[0] for line in text if line.endswith("  live")] == [
        book.symbol for book in kept[:shown]
    ]
    rest = ", ".join(book.symbol for book in kept[shown:])
    said = [line for line in text if "terminal" in line]
    assert said == ([f"for {rest} the terminal is not high enough"] if rest else [])
    each = (len(text) - len(said)) // shown
    assert lines - 3 <= each <= max(lines, 9)


def shown(book: LiveBook, levels: int = 3, width: int = 90, height: int | None = None) -> str:
    console = Console(width=width, file=StringIO(), record=True)
    console.print(ladder.rich_panel(book, levels, width, height))
    return console.export_text()


def test_the_ladder_says_what_is_proven_and_in_which_state() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    assert "a side is empty" in shown(book)
    assert "syncing" in shown(book)
    book.show(depth20(5, [(97, 1)], [(103, 1)]))
    assert "spread 0.06, mid 1.000" in shown(book)
    book.apply_snapshot(snapshot(100, [(99, 50), (98, 25)], [(101, 25)]))
    book.apply(diff(101, 101, [(90, 3)], [(101, 75)]))
    text = shown(book)
    lines = text.splitlines()
    assert "BTCUSDT  live" in text
    assert "without a gap from the best: 2 bids, 1 asks;" in text
    assert next(line for line in lines if "0.90" in line).split()[-2] == "unsure"
    assert "audit: nothing compared yet" in text
    assert "total as a bar" in text
    assert "total" in shown(book, width=45)
    assert "total as a bar" not in shown(book, width=45)
    assert "┃ total" not in shown(book, width=25)
    assert "0.99" in shown(book, width=25)
    assert "0.98" in shown(book, height=40)
    assert "0.98" not in shown(book, height=12)
    assert "0.99" in shown(book, height=5)
    book.apply(diff(110, 111))
    assert "stale: these prices are old" in shown(book)
    assert "updates 102 to 109 are missing" in " ".join(shown(book).split())
    told: Any = json.loads(ladder.line_of(book, 1))
    assert (told["state"], told["bids"], told["proven_asks"]) == (
        "stale", [["0.99", "0.00000050"]], 1
    )  # fmt: skip


# several, and old ones


@pytest.mark.parametrize("height", [14, 24, 40])
def test_ladders_of_several_books_fit_the_terminal(height: int) -> None:
    books = [LiveBook(name, lambda _: UP) for name in ("btcusdt", "ethusdt", "xrpusdt")]
    for book in books:
        bids, asks = (tuple((n, 1) for n in side) for side in (range(97, 77, -1), range(103, 123)))
        event = encode(Depth(book.symbol, -2, -8, 7_000, 5, bids, asks))
        book.show(spot_stream.decode(event))
    lines = drawn(ladder.rich_panels(books, 10, 80, height), 80)
    assert len(lines) <= height
    assert "BTCUSDT" in lines[0]
    assert (height < 40) == any("the terminal is not high enough" in line for line in lines)


def test_a_stale_book_is_dimmed_and_marked() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.apply_snapshot(snapshot(100, [(99, 50)], [(101, 25)]))
    assert "old" not in ladder.plain_lines(book, 2)[2]
    assert "\x1b[1;32m" in "\n".join(drawn(ladder.rich_panel(book, 2), 100, styles=True))
    book.apply(diff(110, 111))
    text = "\n".join(drawn(ladder.rich_panel(book, 2), 100, styles=True))
    assert "BTCUSDT  stale: these prices are old" in text
    assert "\x1b[1;32m" not in text
    assert all(line.endswith("(old)") for line in ladder.plain_lines(book, 2) if " ask " in line)
