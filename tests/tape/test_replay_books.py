"""Books over a tape of which not all is played, or not all is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from replays import SYMBOLS, event_line, live_books, sync_played_books
from taped import files

import binance_sbe
from binance_sbe import sync
from binance_sbe.spot_stream import DepthDiffStreamEvent
from binance_sbe.tape import Tape
from binance_sbe.tape.reading import TapeReader


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two books of an exchange without faults, with snapshots every 0.7 s."""
    path = tmp_path_factory.mktemp("books") / "tape"
    live_books(path, 11, 4.0, faults=(), lifetime=None)
    return path


def books_by_id(lines: list[str]) -> dict[str, str]:
    """Symbol, id and levels of each book that follows, by symbol and id."""
    found = {}
    for line in lines:
        fields = line.split(" ")
        if len(fields) > 3 and fields[3] == "True":
            found[f"{fields[1]} {fields[2]}"] = fields[7]
    return found


def check_same(told: dict[str, str], again: dict[str, str]) -> None:
    """At the ids of diffs, that is: a snapshot may be between two of them."""
    both = told.keys() & again.keys()
    assert len(both) > 20
    assert {key: told[key] for key in both} == {key: again[key] for key in both}
    assert len(again.keys() - both) <= 4


def test_books_from_the_middle_on_are_the_same_at_each_id(tape: Path) -> None:
    told = books_by_id(sync_played_books(tape, None).lines)
    with Tape(tape) as opened:
        assert opened.start_ns is not None
        start = opened.start_ns + 1_500_000_000
    lines = []
    with (
        sync.replay(tape, start=start, on_error="collect") as feed,
        feed.books(*SYMBOLS) as kept,
    ):
        assert kept["btcusdt"].state == "syncing"
        lines = [event_line(taken) for taken in kept.events()]
    again = books_by_id(lines)
    assert {key.split()[0] for key in again} == {"BTCUSDT", "ETHUSDT"}
    check_same(told, again)


def test_books_of_some_streams_are_the_same_at_each_id(tape: Path) -> None:
    told = books_by_id(sync_played_books(tape, None).lines)

    async def work() -> list[str]:
        streams = ["btcusdt@depth", "btcusdt@depth20"]
        async with (
            binance_sbe.replay(tape, streams=streams) as feed,
            feed.books("btcusdt") as kept,
        ):
            return [event_line(taken) async for taken in kept]

    again = books_by_id(asyncio.run(work()))
    check_same(told, again)


@pytest.mark.parametrize("speed", [None, 20.0])
@pytest.mark.parametrize("is_async", [False, True])
def test_books_are_live_up_to_the_last_event(
    tape: Path, speed: float | None, is_async: bool
) -> None:
    """That the recorded feed was closed then counts once all that it had brought is taken."""
    states: list[str] = []

    async def work() -> str:
        async with binance_sbe.replay(tape, speed=speed) as feed, feed.books(*SYMBOLS) as kept:
            async for _, book, _ in kept:
                if book is not None:
                    states.append(book.state)
            return str(kept["btcusdt"].state)

    if is_async:
        after = asyncio.run(work())
    else:
        with sync.replay(tape, speed=speed) as feed, feed.books(*SYMBOLS) as kept:
            for _, book, _ in kept.events():
                if book is not None:
                    states.append(book.state)
            after = kept["btcusdt"].state
    assert set(states[states.index("live") :]) == {"live"}
    assert len(states) > 60
    assert after == "stale"


def test_a_book_is_stale_after_a_break_of_the_tape_and_live_again(
    tape: Path, tmp_path: Path
) -> None:
    told = books_by_id(sync_played_books(tape, None).lines)
    (file,) = files(tape)
    reader = TapeReader(file)
    only_frames = [entry for entry in reader.entries if set(entry["kinds"]) == {"0"}]
    entry = only_frames[len(only_frames) // 3]
    data = bytearray(file.read_bytes())
    data[entry.end - 300] ^= 0x10
    (tmp_path / file.name).write_bytes(data)
    states: list[str] = []
    lines: list[str] = []
    with (
        sync.replay(tmp_path, on_damage="skip", on_error="collect") as feed,
        feed.books(*SYMBOLS) as kept,
    ):
        for taken in kept.events():
            lines.append(event_line(taken))
            state = kept["btcusdt"].state
            if not states or states[-1] != state:
                states.append(state)
    assert len(feed.tape.damage) == 1
    after = states[states.index("live") :]
    assert after[:3] == ["live", "stale", "live"]
    assert any("damaged" in hole.cause for hole in feed.ledger.holes)
    check_same(told, books_by_id(lines))


def test_books_are_kept_and_waited_for_by_the_tape(tape: Path) -> None:
    with sync.replay(tape, on_error="collect") as feed, feed.books(*SYMBOLS) as kept:
        kept.wait(timeout=20)
        assert {book.state for book in kept.values()} == {"live"}
        first = feed.player.now_ns
        kept.keep(0.5)
        assert 0.3e9 < feed.player.now_ns - first <= 0.5e9
        before = kept["btcusdt"].update_id
        assert any(isinstance(event, DepthDiffStreamEvent) for _, _, event in kept.events())
        assert kept["btcusdt"].update_id != before
    with pytest.raises(RuntimeError, match="closed"):
        kept.wait("btcusdt", state="syncing")


def test_a_task_keeps_the_books_while_nobody_iterates(tape: Path) -> None:
    async def work() -> None:
        async with (
            binance_sbe.replay(tape, 20, on_error="collect") as feed,
            feed.books(*SYMBOLS) as kept,
        ):
            await kept.wait(timeout=20)
            assert kept["ethusdt"].state == "live"
            async for symbol, book, event in kept:
                if isinstance(event, DepthDiffStreamEvent) and book is not None:
                    assert symbol == book.symbol
                    break

    asyncio.run(work())


def test_what_books_of_a_tape_can_not_be(tape: Path) -> None:
    def opened(*symbols: str, **options: Any) -> None:
        with sync.replay(tape) as feed, feed.books(*symbols, **options):
            pass

    with pytest.raises(ValueError, match="the tape has no xrpusdt@depth"):
        opened("xrpusdt")
    with pytest.raises(ValueError, match="limit is 1 to 5000"):
        opened("btcusdt", limit=0)
    with sync.replay(tape) as feed, feed.books("btcusdt"):
        others = feed.books("ethusdt")
        with pytest.raises(RuntimeError, match="has books already"):
            others.__enter__()
    with pytest.raises(RuntimeError, match="not open"):
        sync.replay(tape).books("btcusdt")
