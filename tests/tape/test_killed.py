"""A recorder that is killed: what was written stays, and every reader opens it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from feeds import trade
from taped import files, frames_of

from binance_sbe.tape import Tape

HERE = Path(__file__).parent

# Gives trades with ids from 1 on; before each it writes into the pipe which one it is.
VICTIM = """
import os, sys, time
sys.path[:0] = [{here!r}, {tests!r}]
from feeds import trade
from taped import START, recorder_at
recorder = recorder_at({path!r}, batch_rows={rows}, batch_seconds=0.02, durability={durability!r})
frame = bytearray(trade(1))
at = frame.index((1).to_bytes(8, "little"), 20)
print("ready", flush=True)
number = 0
while True:
    for _ in range({burst}):
        number += 1
        frame[at:at + 8] = number.to_bytes(8, "little")
        recorder.tap.put(START + number, 1, 0, bytes(frame))
    os.write(1, b"%d %d\\n" % (number, recorder.written_frames))
    time.sleep({pause})
"""


def killed(path: Path, rng: random.Random) -> tuple[int, int]:
    """How many were given, at least, and how many the recorder said were written."""
    code = VICTIM.format(
        here=str(HERE), tests=str(HERE.parent), path=str(path), rows=rng.choice([10, 500, 2000]),
        durability=rng.choice(["batch", 0.05, "os"]), burst=rng.choice([1, 100, 5000]),
        pause=rng.choice([0.0, 0.001]),
    )  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"ready\n"
        until = time.monotonic() + rng.uniform(0.0, 0.4)
        said = b""
        while time.monotonic() < until:
            said = victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)
        said = (victim.stdout.read() or said).rpartition(b"\n")[0].rpartition(b"\n")[2] or said
    given, written = map(int, said.split() or (0, 0))
    return given, written


def check(path: Path, rng: random.Random) -> None:
    given, written = killed(path, rng)
    kept = frames_of(path)
    frame = bytearray(trade(1))
    at = frame.index((1).to_bytes(8, "little"), 20)
    numbers = [int.from_bytes(each[at : at + 8], "little") for each in kept]
    assert numbers == list(range(1, len(kept) + 1))
    assert len(kept) >= written, f"{given} were given"
    tape = Tape(path)
    assert tape.frames_count == len(kept)
    assert len(list(tape.messages())) == len(kept)
    report = tape.verify()
    assert report.frames_good == len(kept)
    assert not report.is_whole
    assert "no footer" in " ".join(report.problems)
    recovered = Tape.recover(path)
    assert recovered.frames_good == len(kept)
    again = Tape(path)
    assert again.verify().is_whole
    assert frames_of(path) == kept
    (damaged,) = path.glob("*.damaged")
    assert damaged.name == f"{files(path)[0].name}.damaged"


def test_a_recorder_that_is_killed_leaves_all_that_was_written(tmp_path: Path) -> None:
    rng = random.Random(os.environ.get("SEED", "1"))
    for number in range(6):
        check(tmp_path / str(number), rng)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_fifty_recorders_that_are_killed_leave_all_that_was_written(tmp_path: Path) -> None:
    rng = random.Random(os.environ.get("SEED", "2"))
    for number in range(50):
        check(tmp_path / str(number), rng)
