"""What a recorder can't keep is counted, logged and on the tape; and its memory is bounded."""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from feeds import trade
from taped import START, Stuck, files, frames_of, give, recorder_at, trades

from binance_sbe.tape import Recorder, Recording, Tape
from binance_sbe.tape.tape_file import TapeFile


def test_a_disk_that_is_stuck_is_told_of_while_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Stuck()
    began = time.time_ns()
    options = {"batch_rows": 100, "memory_limit": 1 << 20, "on_failure": "raise"}
    recorder = recorder_at(tmp_path, disk, began, **options)
    recorder._now = time.time_ns
    assert recorder.flush(10)
    disk.goes.clear()
    give(recorder, trades(20_000), at=began)
    assert recorder.lost_frames > 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "frames are lost: 1 MiB wait for the disk" in caplog.text
    assert "were not recorded" in str(recorder.error)
    time.sleep(0.05)
    assert 40_000_000 < recorder.lag_ns <= time.time_ns() - began
    disk.goes.set()
    recorder.close()
    assert len(frames_of(tmp_path)) + recorder.lost_frames == 20_000


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_the_row_of_a_loss_fills_no_batch_beyond_its_end(tmp_path: Path, rows: int) -> None:
    """It is added where there is room again, amid a batch that it may fill."""
    disk = Stuck()
    recorder = recorder_at(tmp_path, disk, batch_rows=rows, memory_limit=1 << 20)
    given = 0
    for more in range(20):
        disk.goes.clear()
        give(recorder, trades(30 * rows + 20_000 // (1 + more), given + 1))
        given += 30 * rows + 20_000 // (1 + more)
        disk.goes.set()
        assert recorder.flush(60)
        give(recorder, trades(more, given + 1))  # the first of which is told of the loss
        given += more
    recorder.close()
    assert recorder.lost_frames > 0
    with Tape(tmp_path) as tape:
        assert tape.verify().is_whole
        assert max(entry.rows for reader in tape._readers for entry in reader.entries) <= rows
        assert tape.frames_count + recorder.lost_frames == given
        lost = sum(each.frames or 0 for each in tape.ledger.breaks)
        assert lost == recorder.lost_frames


def test_what_is_lost_last_is_on_the_tape(tmp_path: Path) -> None:
    disk = Stuck()
    recorder = recorder_at(tmp_path, disk, batch_rows=100, memory_limit=1 << 20)
    disk.goes.clear()
    give(recorder, trades(20_000))
    threading.Timer(0.2, disk.goes.set).start()
    recorder.close()  # nothing more comes
    with Tape(tmp_path) as tape:
        (gap,) = tape.ledger.breaks
        assert gap.frames == recorder.lost_frames == 20_000 - len(frames_of(tmp_path))
        assert gap.frames > 0


def test_a_file_that_may_not_grow_ends_in_an_account_of_all(tmp_path: Path) -> None:
    """The limit of the system itself, in a process of its own."""
    script = """
import os, resource, signal, sys
sys.path[:0] = ["tests", "tests/tape"]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
from pathlib import Path
from taped import give, recorder_at
recorder = recorder_at(Path(sys.argv[1]), batch_rows=1000)
give(recorder, [os.urandom(60) for _ in range(3000)])
recorder.close()
print(recorder.frames, recorder.lost_frames)
"""
    path = tmp_path / "tape"
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    frames, lost = map(int, done.stdout.split())
    with Tape(path, on_damage="skip") as tape:
        assert tape.frames_count + lost == frames == 3000
        assert lost > 0
        assert sum(each.frames or 0 for each in tape.ledger.breaks) == lost


def test_a_file_that_is_removed_counts_as_lost(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, batch_rows=10)
    give(recorder, trades(30))
    assert recorder.flush(10)
    files(tmp_path)[0].unlink()
    until = time.monotonic() + 20
    while recorder.lost_frames == 0 and time.monotonic() < until:
        give(recorder, [], START)
        time.sleep(0.05)
    assert recorder.lost_frames == 30
    give(recorder, trades(5, 31), START + 10**12)
    recorder.close()
    assert frames_of(tmp_path) == trades(5, 31)
    (gap,) = Tape(tmp_path).ledger.breaks
    assert (gap.frames, "was removed" in gap.cause) == (30, True)


@pytest.mark.parametrize(("rows", "frame"), [(1, trade(1)), (2000, b""), (2000, trade(1))])
def test_memory_that_waits_is_bounded_whatever_the_frames(
    tmp_path: Path, rows: int, frame: bytes
) -> None:
    disk = Stuck()
    recorder = recorder_at(tmp_path, disk, batch_rows=rows, memory_limit=4 << 20)
    disk.goes.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(400_000):
        recorder.tap.put(START + i, 1, 0, frame)
        if recorder.lost_frames:
            break
    assert recorder.lost_frames
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 << 10  # KiB
    disk.goes.set()
    recorder.close()


def test_a_recording_that_has_ended_takes_nothing_more(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    recorder.close()
    with pytest.raises(RuntimeError, match="the recording has ended"):
        recorder.mark("too late")


@pytest.mark.parametrize(
    ("option", "value"), [("durability", float("inf")), ("batch_rows", True), ("min_free", False)]
)
def test_settings_that_can_not_be(tmp_path: Path, option: str, value: object) -> None:
    with pytest.raises(ValueError, match=option):
        Recorder(Recording(tmp_path, **{option: value}))  # type: ignore[arg-type]


def test_an_error_of_the_writer_itself_is_in_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the disk: of a batch nothing is known but that it was given."""
    write, done = TapeFile.write, itertools.count()

    def fails_once(*given: Any) -> None:
        if next(done) == 2:
            raise MemoryError("there is none")
        write(*given)

    recorder = recorder_at(tmp_path, batch_rows=100)
    monkeypatch.setattr(TapeFile, "write", fails_once)
    give(recorder, trades(1000))
    assert not recorder.flush(20)
    give(recorder, trades(500, 1001))
    recorder.close()
    assert recorder.written_frames + recorder.lost_frames == 1500
    assert "MemoryError: there is none" in str(recorder.failure)
    with Tape(tmp_path) as tape:
        assert tape.frames_count == recorder.written_frames < 1000
        told = [each.frames for each in tape.ledger.breaks if each.frames]
        assert sum(told) == 1000 - recorder.written_frames
    assert not Tape(tmp_path).verify().is_whole
