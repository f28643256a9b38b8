"""`binance-sbe book`: when books are shown, and as it is run."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
import types
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from test_book import diff, snapshot
from test_ladder import NOW, PANEL, a_book, drawn, stale

from binance_sbe.books.keeper import UP, Audit, LiveBook
from binance_sbe.commands import book as command
from binance_sbe.commands import ladder
from binance_sbe.errors import FeedError


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOW)


class Kept(dict[str, Any]):
    """What `books` gives: books by symbol, and the time that is asked of it."""

    def __init__(self, *kept: LiveBook) -> None:
        super().__init__({book.symbol: book for book in kept})
        self.feed = types.SimpleNamespace()
        self.asked: dict[str, Any] = {}
        self.looks: list[Callable[[], object]] = []  # what happens at each look
        self.is_late = False

    async def wait(self, timeout: float) -> None:
        if self.is_late:
            raise TimeoutError(f"not live within {timeout:g} s")

    def check(self) -> None:
        if self.looks:
            self.looks.pop(0)()


class Clock:
    """Sleeps pass at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 50.0
        self.slept: list[float] = []
        monkeypatch.setattr(command.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(command.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def shown(kept: Kept, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[str]:
    @contextlib.asynccontextmanager
    async def books(*symbols: str, **given: Any) -> AsyncIterator[Kept]:
        kept.asked = given | {"symbols": symbols}
        yield kept

    out = io.StringIO()
    monkeypatch.setattr(command, "books", books)
    monkeypatch.setattr(sys, "stdout", out)
    assert asyncio.run(command.show(list(kept), **options)) == 0
    return out.getvalue().splitlines()


def test_once_waits_for_the_first_audit_a_little(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = a_book()
    lines = shown(Kept(book), monkeypatch, once=True, levels=1, limit=5, url="u", lines=2)
    assert lines == ladder.plain_lines(book, 1)
    assert 1.9 < sum(clock.slept) < 2.1
    clock.slept.clear()
    kept = Kept(a_book(audit=Audit(last_ns=1)), a_book("ethusdt", Audit(last_ns=1)))
    lines = shown(kept, monkeypatch, once=True, as_json=True, levels=2, limit=7, url="u")
    assert [json.loads(line)["symbol"] for line in lines] == ["BTCUSDT", "ETHUSDT"]
    assert [len(json.loads(line)["bids"]) for line in lines] == [2, 2]
    assert clock.slept == []
    assert kept.asked == {"symbols": ("BTCUSDT", "ETHUSDT"), "limit": 7, "url": "u"}


def test_ten_levels_are_shown_where_nothing_else_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.apply_snapshot(snapshot(1, [(90 - n, 1) for n in range(20)], [(100, 1)]))
    book.audit = Audit(last_ns=1)
    (line,) = shown(Kept(book), monkeypatch, once=True, as_json=True)
    assert len(json.loads(line)["bids"]) == 10


def test_once_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(a_book())
    kept.is_late = True
    with pytest.raises(FeedError, match="not live within 60 s"):
        shown(kept, monkeypatch, once=True)


def ids(lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := re.search(r"update id ([\d,]+), ", line))]


def test_json_is_a_line_for_every_change(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    book = a_book()
    kept = Kept(book)
    kept.looks = [
        lambda: None,
        lambda: None,
        lambda: book.apply(diff(1102, 1102)),
        lambda: None,
        lambda: stale(book),
    ]
    lines = shown(kept, monkeypatch, as_json=True, seconds=2.0)
    told = [json.loads(line) for line in lines]
    assert [(each["update_id"], each["state"]) for each in told] == [
        (1101, "live"), (1102, "live"), (1102, "stale"),
    ]  # fmt: skip
    assert (clock.now, len(clock.slept)) == (52.0, 8)


def test_lines_are_told_once_a_second_if_there_is_news(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = a_book()
    kept = Kept(book)
    ids_told = iter(range(1102, 2000))
    kept.looks = [lambda: book.apply(diff(n := next(ids_told), n)) for _ in range(9)]
    lines = shown(kept, monkeypatch, seconds=4.1, levels=1)
    assert ids(lines) == ["1,102", "1,106", "1,110"]
    assert clock.slept[-1] == pytest.approx(0.1)


def test_the_end_of_json_says_which_book_is_not_live(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    books = a_book(), stale(a_book("ethusdt"))
    shown(Kept(*books), monkeypatch, as_json=True, seconds=0.1)
    assert capsys.readouterr().err == f"binance-sbe: {ladder.state_lines(books[1])[0]}\n"
    shown(Kept(*books), monkeypatch, seconds=0.1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_the_ladder_drawn_anew(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen:
        console = types.SimpleNamespace(size=(90, 40))
        drawn: list[Any]

        def __enter__(self) -> Screen:
            self.drawn = []
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, renderable: Any, refresh: bool) -> None:
            self.drawn.append((drawn(renderable, 90), refresh))

    screen = Screen()
    monkeypatch.setattr("binance_sbe.commands.screen.live_display", lambda vanishes: screen)
    assert shown(Kept(a_book()), monkeypatch, seconds=1.0, levels=3) == []
    assert screen.drawn == [(PANEL.splitlines(), True)] * 4


# as a process


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
        (["btcusdt"], 2, "BINANCE_API_KEY"),
        (["btcusdt", "--url", "ws://127.0.0.1:1"], 3, "nothing listens there"),
    ],
)
def test_what_can_not_be_is_said(arguments: list[str], code: int, reason: str) -> None:
    done = run(*arguments, key=None if code == 2 else "any")
    assert done.returncode == code
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_several_books_are_shown() -> None:
    done = run("btcusdt", "ethusdt", "--simulate", "--once", "--levels", "1")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\w+) live for", done.stdout, re.MULTILINE) == ["BTCUSDT", "ETHUSDT"]
