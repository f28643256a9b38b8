"""`binance-sbe book`, as it is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from test_book import depth20, diff, snapshot

from binance_sbe.books.keeper import UP, LiveBook
from binance_sbe.commands import ladder


def run(*arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "BINANCE_API_KEY"}
    if key is not None:
        environment["BINANCE_API_KEY"] = key
    return subprocess.run(
        [sys.executable, "-m", "binance_sbe", "book", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip


def test_once_shows_the_ladder_of_a_live_book_without_a_key() -> None:
    done = run("btcusdt", "--simulate", "--once", "--levels", "4")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.match(r"BTCUSDT live for .*, update id [\d,]+", lines[0])
    assert re.match(r"audit: (\d+) of \1 levels agreed in 1 checks? \(0 with snapshots\)", lines[1])
    prices = [float(line.split()[1]) for line in lines[2:] if "spread" not in line]
    assert [line.split()[0] for line in lines[2:]] == ["ask"] * 4 + ["spread"] + ["bid"] * 4
    assert prices == sorted(prices, reverse=True)
    assert done.stderr == ""


def test_json_is_a_book_a_line() -> None:
    done = run("btcusdt", "--simulate", "--json", "--levels", "2", "--seconds", "1.5")
    assert done.returncode == 0, done.stderr
    books = [json.loads(line) for line in done.stdout.splitlines()]
    assert [book["symbol"] for book in books] == ["BTCUSDT"] * len(books)
    assert books[-1]["state"] == "live"
    ids = [book["update_id"] for book in books if book["state"] == "live"]
    assert ids == sorted(set(ids))
    last = books[-1]
    assert len(last["bids"]) == len(last["asks"]) == last["proven_bids"] == 2
    assert re.fullmatch(r"\d+\.\d\d", last["bids"][0][0])
    assert float(last["bids"][0][0]) < float(last["asks"][0][0])
    assert last["audit"]["levels"] == last["audit"]["agreed"] > 0


def test_pipes_get_lines_and_the_end_says_how_it_stands() -> None:
    done = run("btcusdt", "--simulate", "--seconds", "1.5", "--levels", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-3].split()[0] == "ask"
    assert lines[-2].startswith("  spread ")
    assert lines[-1].split()[0] == "bid"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["btc usdt"], 2, "'btc usdt' is not a symbol"),
        (["btcusdt", "--levels", "0"], 2, "'0' is not a number of levels"),
        (["btcusdt", "--limit", "5001"], 2, "'5001' is more than 5000 levels"),
        (["btcusdt", "--limit", "ten"], 2, "'ten' is not a number of levels"),
        (["btcusdt"], 2, "BINANCE_API_KEY"),
        (["btcusdt", "--url", "ws://127.0.0.1:1"], 3, "nothing listens there"),
        (
            ["btcusdt", "--url", "ws://127.0.0.1:1", "--simulate"],
            2,
            "--simulate: not allowed with",
        ),
    ],
)
def test_what_can_not_be_is_said(arguments: list[str], code: int, reason: str) -> None:
    done = run(*arguments, key=None if code == 2 else "any")
    assert done.returncode == code
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


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
