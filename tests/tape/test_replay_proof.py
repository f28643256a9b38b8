"""A recorded run comes again: messages in order, ledger, and books at every update id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from replays import (
    Told,
    exchange,
    live,
    live_books,
    played,
    played_batches,
    played_books,
    run_played,
    sync_live_books,
    sync_played,
    sync_played_batches,
    sync_played_books,
    sync_run_played,
)

FAST = 25.0


def check(told: Told, tape: Path, ways: list[Callable[..., Told]]) -> None:
    for way in ways:
        for speed in (None, FAST):
            again = way(tape, speed)
            where = f"{way.__name__} at speed {speed}"
            first = again.lines.index(told.lines[0])  # before it a task has kept the books
            assert first == 0 or " " in told.lines[0], where
            assert again.lines[first : first + len(told.lines)] == told.lines, where
            assert again.ledger == told.ledger, where
            assert again.streams == told.streams, where
            if len(again.lines) == len(told.lines):  # else a live feed's last were not taken
                assert again.stats == told.stats, where


def check_messages(tape: Path, seed: int, seconds: float) -> None:
    told = live(tape, seed, seconds)
    assert len(told.lines) > 500
    check(told, tape, [played, sync_played, run_played, sync_run_played])
    assert len(played(tape, None).lines) == len(told.lines)
    for size, delay in ((7, 0.1), (100_000, 0.2), (300, 0.0)):
        batches = played_batches(tape, None, size, delay)
        count = sum(int(line.split()[0]) for line in batches.lines)
        assert count == len(told.lines) + rejected(told)
        assert batches.ledger == told.ledger
        for way in (played_batches, sync_played_batches):
            for speed in (None, FAST):
                assert way(tape, speed, size, delay).lines == batches.lines


def rejected(told: Told) -> int:
    """Frames that are no message: batches count them as well."""
    assert told.stats[0].startswith("Stats(")
    return int(told.stats[0].partition("rejected=")[2].partition(",")[0])


def check_books(tape: Path, seed: int, seconds: float) -> None:
    told = live_books(tape, seed, seconds)
    assert sum(" True " in line for line in told.lines) > 50  # books that follow
    check(told, tape, [played_books, sync_played_books])


@pytest.mark.parametrize("seed", [1, 2])
def test_messages_and_ledger_come_again(tmp_path: Path, seed: int) -> None:
    check_messages(tmp_path / "tape", seed, 4.0)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3, 6))
def test_messages_and_ledger_of_longer_runs_come_again(tmp_path: Path, seed: int) -> None:
    check_messages(tmp_path / "tape", seed, 15.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_books_come_again_at_every_update_id(tmp_path: Path, seed: int) -> None:
    check_books(tmp_path / "tape", seed, 4.0)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3, 6))
def test_books_of_longer_runs_come_again(tmp_path: Path, seed: int) -> None:
    check_books(tmp_path / "tape", seed, 15.0)


def test_what_was_recorded_without_asyncio_comes_again(tmp_path: Path) -> None:
    def made() -> Any:
        return exchange(5)

    with beside(made) as other:
        told = sync_live_books(tmp_path / "tape", other.made.url, 3.0)
    check(told, tmp_path / "tape", [played_books, sync_played_books])
