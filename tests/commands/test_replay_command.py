"""`binance-sbe replay`: a tape in the views of a feed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from feeds import best, trade
from taped import SECOND, START, recorder_at

from binance_sbe.commands.cli import main


def tape(path: Path, seconds: int = 0) -> Path:
    recorder = recorder_at(path)
    recorder.opened(1, "connection 1 (line 1)", START)
    recorder.entered(1, ["btcusdt@trade", "btcusdt@bestBidAsk"])
    for i in range(20):
        frame = trade(i // 2 + 1) if i % 2 else best(i + 1)
        recorder.tap.put(START + i * seconds * SECOND // 20, 1, 0, frame)
    recorder.close()
    return path


def run(*given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "binance_sbe", "replay", *given]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_lines_are_those_of_watch(tmp_path: Path) -> None:
    done = run(str(tape(tmp_path)), "--json", "--speed", "max")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["stream"] for e in events] == ["btcusdt@bestBidAsk", "btcusdt@trade"] * 10
    done = run(str(tmp_path), "--json", "--speed", "max", "--streams", "trade")
    assert len(done.stdout.splitlines()) == 10


def test_the_view_ends_with_the_tape_and_says_what_came(tmp_path: Path) -> None:
    started = time.monotonic()
    done = run(str(tape(tmp_path, seconds=10)), "--speed", "100")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 30
    assert "20 messages" in done.stdout
    assert "holes" not in done.stdout


def test_the_view_is_by_the_time_of_the_tape(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    recorder.opened(1, "connection 1 (line 1)", START)
    recorder.entered(1, ["btcusdt@trade"])
    for i in range(5):  # the second and third trade are missing
        recorder.tap.put(START + i * SECOND, 1, 0, trade(i + 1 if i == 0 else i + 3))
    recorder.ended(1, "lost", False, START + 4 * SECOND)
    recorder.tap.put(START + 14 * SECOND, 0, 9, b"a mark")
    recorder.close()
    done = run(str(tmp_path), "--speed", "2")
    assert done.returncode == 0, done.stderr
    assert "2 ids" in done.stdout
    assert " h ago" not in done.stdout.replace("0.0 h", "")
    assert "(old, of" in done.stdout


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    done = run(str(tape(tmp_path, seconds=3600)), "--seconds", "0.5")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["nowhere"], 1, "nowhere: there is no such file or directory"),
        (["{tape}", "--speed", "0"], 2, "is not a speed, such as 1, 10 or max"),
        (["{tape}", "--streams", "ethusdt@trade"], 1, "ethusdt@trade"),
        (["{tape}", "--start", "tomorrow"], 2, "tomorrow"),
        (["{tape}", "--end", "1970-01-02"], 1, "the tape has nothing in that time"),
        ([], 2, "TAPE"),
    ],
)
def test_what_cant_be_played_is_said(
    tmp_path: Path, given: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tape(tmp_path))
    try:
        found = main(["replay", *(each.format(tape=path) for each in given)])
    except SystemExit as error:
        found = int(str(error.code))
    assert (found, said in capsys.readouterr().err) == (code, True)
