"""A disk that fails, fills up, or is slow: the feed goes on, and the tape says what it lacks."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taped import START, Stuck, files, frames_of, give, recorder_at, rows_of, trades

from binance_sbe.tape import Kind, Tape
from binance_sbe.tape import writer as writers
from binance_sbe.tape.disk import Disk


class Faulty(Disk):
    """Fails at the calls of these numbers, counted over all that write."""

    def __init__(self, *failing: int, forever: bool = False) -> None:
        self.failing = set(failing)
        self.forever = forever
        self.calls = 0
        self.is_broken = False
        self.part = False  # of what is written, half is, before it fails

    def _may_fail(self, what: str) -> None:
        self.calls += 1
        if self.calls in self.failing or (self.forever and self.is_broken):
            self.is_broken = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), what)

    def create(self, path: Path, mode: int = 0o644) -> int:
        self._may_fail("create")
        return super().create(path, mode)

    def write(self, fd: int, data: memoryview) -> int:
        try:
            self._may_fail("write")
        except OSError:
            if self.part:
                super().write(fd, data[: len(data) // 2])
            raise
        return super().write(fd, data[: max(1, len(data) * 2 // 3)])  # never all at once

    def sync(self, fd: int) -> None:
        self._may_fail("sync")
        super().sync(fd)

    def replace(self, path: Path, content: bytes) -> None:
        self._may_fail("replace")
        super().replace(path, content)


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(writers, "_LOOK_SECONDS", 0.0)


def recorded(path: Path, disk: Disk) -> Any:
    """Six batches of ten trades, each of which is given time to be written."""
    recorder = recorder_at(path, disk, batch_rows=10, durability="batch")
    for i in range(6):
        give(recorder, trades(10, i * 10 + 1), START + i * 10**8)
        recorder.flush(0.05)
    recorder.close()
    return recorder


def test_what_was_written_before_a_failure_goes_to_the_disk(tmp_path: Path) -> None:
    """Also where nothing else would say when: a power cut then takes nothing of it."""
    synced: list[int] = []

    class Counting(Faulty):
        def sync(self, fd: int) -> None:
            synced.append(os.fstat(fd).st_size)
            super().sync(fd)

    disk = Counting()
    recorder = recorder_at(tmp_path, disk, batch_rows=10, durability="os")
    give(recorder, trades(10))
    wait(lambda: recorder.written_frames >= 8)
    assert synced == []
    (file,) = files(tmp_path)
    whole = file.stat().st_size
    disk.failing.add(disk.calls + 1)
    give(recorder, trades(10, 11))
    wait(lambda: disk.is_broken)
    wait(lambda: synced != [])
    assert synced[0] == whole
    recorder.close()


def test_who_closes_second_waits_until_all_is_written(tmp_path: Path) -> None:
    class Slow(Disk):
        def sync(self, fd: int) -> None:
            time.sleep(0.3)
            super().sync(fd)

    recorder = recorder_at(tmp_path, Stuck(), batch_rows=10)
    give(recorder, trades(25))
    first = threading.Thread(target=recorder.close)
    first.start()
    wait(lambda: recorder._is_closed)
    recorder.close()
    assert len(frames_of(tmp_path)) == 25
    assert Tape(tmp_path).verify().is_whole
    first.join()


def wait(is_so: Any) -> None:
    until = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def calls_of_a_run(path: Path) -> int:
    disk = Faulty()
    recorded(path, disk)
    return disk.calls


@pytest.mark.parametrize("part", [False, True])
def test_a_disk_that_fails_once_anywhere_loses_nothing(tmp_path: Path, part: bool) -> None:
    total = calls_of_a_run(tmp_path / "good")
    first = next(  # until the recording is open, an error is the caller's
        n for n in range(1, total) if not _refuses(tmp_path / f"begin {n}", n)
    )
    assert first < 40
    for number in range(first, total + 1):
        path = tmp_path / f"{number}"
        disk = Faulty(number)
        disk.part = part
        recorder = recorded(path, disk)
        assert disk.is_broken
        assert frames_of(path) == trades(60), number
        assert recorder.lost_frames == 0
        assert Tape(path, on_damage="skip").frames_count == 60


def _refuses(path: Path, number: int) -> bool:
    from binance_sbe.tape import RecordingError

    try:
        recorder_at(path, Faulty(number), batch_rows=10).close()
    except RecordingError as error:
        assert "No space left" in str(error)
        assert frames_of(path) == []
        return True
    return False


def test_a_disk_that_stays_full_ends_nothing_and_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    total = calls_of_a_run(tmp_path / "good")
    for number in range(20, total, 5):
        path = tmp_path / f"{number}"
        caplog.clear()
        with caplog.at_level(logging.WARNING, "binance_sbe"):
            recorder = recorded(path, Faulty(number, forever=True))
        kept = frames_of(path)
        assert kept == trades(len(kept))
        assert recorder.lost_frames == 60 - len(kept)
        if recorder.lost_frames:
            assert "No space left" in caplog.text
            assert f"{recorder.lost_frames} frames could not be written" in caplog.text
            assert "No space left" in repr(recorder) or "closed" in repr(recorder)


def test_what_a_slow_disk_has_no_room_for_is_a_hole_of_the_tape(tmp_path: Path) -> None:
    disk = Stuck()
    recorder = recorder_at(tmp_path, disk, batch_rows=100, memory_limit=1 << 20)
    disk.goes.clear()
    given = trades(40_000)
    give(recorder, given)
    assert recorder.tap.waiting <= (1 << 20) + (64 << 10) + 100 * 15
    assert recorder.lost_frames > 0
    disk.goes.set()
    assert recorder.flush(10)
    give(recorder, trades(100, 40_001), START + 10**12)
    recorder.close()
    kept = frames_of(tmp_path)
    lost = recorder.lost_frames
    assert kept == given[: 40_000 - lost] + trades(100, 40_001)
    (told,) = [json.loads(row[3]) for row in rows_of(files(tmp_path)[0]) if row[2] == Kind.HOLE]
    assert told["frames"] == lost
    assert told["bytes"] == sum(map(len, given[40_000 - lost :]))
    assert "slow" in told["cause"]
    ledger = Tape(tmp_path).ledger
    (gap,) = ledger.breaks
    assert gap.frames == lost
    (hole,) = ledger.holes
    assert (hole.stream, hole.last_before, hole.first_after) == (
        "btcusdt@trade", 40_000 - lost, 40_001,
    )  # fmt: skip


def test_a_directory_that_goes_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "tape"
    recorder = recorder_at(path, batch_rows=10)
    give(recorder, trades(10))
    assert recorder.flush(10)
    shutil.rmtree(path)
    for i in range(1, 500):
        give(recorder, trades(1, 10 + i), START + i * 10**9)
        recorder.flush(0.05)
        if files(path) and frames_of(path):
            break
    recorder.close()
    kept = frames_of(path)
    assert kept == trades(len(kept), 11 + i - len(kept))
    assert kept


def test_the_feed_is_told_where_it_is_to_end(tmp_path: Path) -> None:
    disk = Faulty(forever=True)
    recorder = recorder_at(tmp_path, disk, batch_rows=10, on_failure="raise")
    assert recorder.error is None
    disk.failing, disk.is_broken = set(range(1000)), True
    give(recorder, trades(10))
    recorder.flush(1.0)
    assert "No space left" in str(recorder.error)
    recorder.close()


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=12),
    st.sets(st.integers(1, 60), max_size=6),
    st.booleans(),
    st.sampled_from([1, 3, 10, 50]),
)
def test_whatever_fails_kept_and_lost_are_all_that_was_given(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, bool]],
    failing: set[int],
    part: bool,
    batch_rows: int,
) -> None:
    path = tmp_path_factory.mktemp("tape")
    disk = Faulty()
    disk.part = part
    recorder = recorder_at(path, disk, batch_rows=batch_rows, durability="batch")
    disk.failing = {disk.calls + n for n in failing}
    count = 0
    for number, flushes in steps:
        give(recorder, trades(number, count + 1), START + count * 10**6)
        count += number
        if flushes:
            recorder.flush(0.02)
    recorder.close()
    kept, given_frames = frames_of(path), trades(count)
    places = [given_frames.index(frame) for frame in kept]
    assert places == sorted(set(places))
    assert len(kept) + recorder.lost_frames == count
    rows = [row for file in files(path) for row in rows_of(file)]
    told = sum(json.loads(row[3])["frames"] for row in rows if row[2] == Kind.HOLE)
    behind = count - 1 - places[-1] if places else count  # what nothing was written after
    # all that is lost before something else is told; of what is behind, what came to the disk
    assert recorder.lost_frames - behind <= told <= recorder.lost_frames
    assert recorder.written_frames == len(kept)
    assert Tape(path, on_damage="skip").frames_count == len(kept)
    shutil.rmtree(path)
