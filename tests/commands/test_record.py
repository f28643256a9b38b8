"""`binance-sbe record`: what came is on the tape, however the command ends."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from binance_sbe.tape import Tape

pytest.importorskip("pyarrow")
pytest.importorskip("xxhash")
COMMAND = [sys.executable, "-m", "binance_sbe"]
ENVIRONMENT = os.environ | {"BINANCE_API_KEY": "any"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "record", *arguments],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def simulated(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [*COMMAND, "simulate", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1], server
        server.kill()


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    with simulated("btcusdt", "ethusdt") as (url, _):
        yield url


def test_a_recording_has_what_was_asked_for(exchange: str, tmp_path: Path) -> None:
    out = str(tmp_path / "tape")
    done = run(
        "btcusdt", "ethusdt", "--kinds", "trade,depth", "--out", out, "--for", "2s",
        "--url", exchange, "--lines", "2", "--durability", "batch",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *lines, last, ledger = done.stdout.splitlines()
    for line in lines:
        assert re.fullmatch(
            r"[\d,]+ frames?, [\d.]+ MB, [\d,]+ frames/s, disk [\d.]+ m?u?s behind, holes 0", line
        )
    with Tape(out) as tape:
        assert tape.streams == [
            "btcusdt@depth", "btcusdt@trade", "ethusdt@depth", "ethusdt@trade",
        ]  # fmt: skip
        assert tape.verify().is_whole
        assert tape.ledger.connections_count == 2
        assert last.startswith(f"{out}: {tape.frames_count:,} frames, ")
        assert last.endswith(" in 1 file")
        assert tape.sessions[0].is_closed
    assert ledger.startswith("ledger: ")


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_closes_the_tape(number: signal.Signals, exchange: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "record", "btcusdt", "--out", str(tmp_path), "--url", exchange],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    assert " frames, " in process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    with Tape(tmp_path) as tape:
        assert tape.verify().is_whole
        assert tape.sessions[0].is_closed
        assert f": {tape.frames_count:,} frames" in out


def test_snapshots_of_books_are_on_the_tape(exchange: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    done = run("btcusdt", "--out", str(tmp_path), "--for", "2s", "--url", exchange, "--books")
    assert done.returncode == 0, done.stderr
    with Tape(tmp_path) as tape:
        assert tape.ledger.snapshots >= 1
        assert len(tape.streams) == 4
    wrong = run("btcusdt", "--out", str(tmp_path), "--books", "--kinds", "trade")
    assert wrong.returncode == 2
    assert "--books needs the kind depth" in wrong.stderr


def test_an_exchange_that_goes_away_ends_it_with_a_code_and_a_whole_tape(tmp_path: Path) -> None:
    with simulated("btcusdt") as (url, server):
        process = subprocess.Popen(
            [*COMMAND, "record", "btcusdt", "--out", str(tmp_path), "--url", url, "--give-up", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        server.kill()
        out, err = process.communicate(timeout=40)
    assert process.returncode in (1, 3)
    assert err.splitlines()[-1].startswith("binance-sbe: the connection was lost")
    assert "Traceback" not in err
    with Tape(tmp_path) as tape:
        assert tape.verify().is_whole
        assert f": {tape.frames_count:,} frames" in out


def test_what_cannot_be_written_to_is_said_before_anything_comes(
    exchange: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = run("btcusdt", "--out", str(tmp_path / "file"), "--url", exchange)
    assert done.returncode == 1
    assert done.stderr.startswith("binance-sbe: ")
    assert "file" in done.stderr
    full = run("btcusdt", "--out", str(tmp_path / "a"), "--url", exchange, "--min-free", "900000GB")
    assert full.returncode == 1
    assert "bytes free, less than" in full.stderr
    assert full.stdout == ""


def test_wrong_settings_are_wrong_arguments(tmp_path: Path) -> None:
    for given in (["--rotate", "1KB"], ["--rotate", "x"], ["--kinds", "x"], ["--for", "never"]):
        done = run("btcusdt", "--out", str(tmp_path), *given)
        assert done.returncode == 2
        assert done.stderr.count("\n") > 0
    assert run("btcusdt").returncode == 2
    assert run("--out", str(tmp_path)).returncode == 2


def test_a_file_that_is_gone_is_said_and_costs_the_code(exchange: str, tmp_path: Path) -> None:
    """The directory is taken away, and stays away: what comes can't be written."""
    out = tmp_path / "tape"
    process = subprocess.Popen(
        [*COMMAND, "record", "btcusdt", "--out", str(out), "--url", exchange],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    for path in out.iterdir():
        path.unlink()
    out.rmdir()
    out.write_text("something else")
    time.sleep(2.5)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.search(r"binance-sbe: [\d,]+ frames came and are not on the tape: ", err)


def test_on_a_terminal_there_is_a_live_view(exchange: str, tmp_path: Path) -> None:
    pytest.importorskip("rich")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "record", "btcusdt", "--out", str(tmp_path), "--url", exchange, "--for", "2s"],
        stdout=slave, stderr=slave, env=ENVIRONMENT | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(slave)
    shown = _all_of(master)
    assert process.wait(20) == 0
    assert "frames/s" in shown
    assert f"{exchange} to" in shown
    assert "\x1b[" in shown
    assert "Traceback" not in shown


def _all_of(terminal: int) -> str:
    shown: Any = b""
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 65536):
            shown += part
    os.close(terminal)
    return bytes(shown).decode(errors="replace")
