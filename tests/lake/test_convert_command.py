"""`binance-sbe convert`: as its users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from market_tape import market
from taped import tape_of, trades
from test_convert import damaged

from binance_sbe import lake
from binance_sbe.commands.convert import text
from binance_sbe.commands.convert_options import precisions
from binance_sbe.lake import manifest


def command(*given: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "binance_sbe", "convert", *map(str, given)],
        capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market(41, lines=2).tape(tmp_path_factory.mktemp("tapes") / "tape")


def test_it_says_what_came_of_it(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command(tape, "--out", out, "--kinds", "trade,depth", "--numbers", "both")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{out}: 4 files, ")
    assert second.startswith("rows: ")
    assert " of trade, " in second
    told = json.loads((out / manifest.ARCHIVE).read_bytes())
    assert told["options"]["numbers"] == "both"
    assert "price_mantissa" in lake.scan(out, "trade").collect_schema().names()
    again = command(tape, "--out", out)
    assert again.returncode == 1
    assert "made with other options (numbers, kinds)" in again.stderr
    assert command(tape, "--out", out, "--replace").returncode == 0


def test_it_says_what_came_of_books(tape: Path, tmp_path: Path) -> None:
    done = command(tape, "--out", tmp_path / "out", "--kinds", "book")
    assert done.returncode == 0
    rows = lake.scan(tmp_path / "out", "book", engine="arrow").count_rows()
    assert f"rows: {rows:,} of book; " in done.stdout
    none = tape_of(tmp_path / "trades", trades(10)).parent
    done = command(none, "--out", tmp_path / "none", "--kinds", "book")
    assert done.returncode == 0
    assert "rows: none; " in done.stdout
    assert "note: no books: there are no snapshots of them on the tape" in done.stdout


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (["--format", "hftbacktest", "--workers", "2"], "BTCUSDT_20270115.npz"),
        (["--format", "tardis", "--workers", "2"], "binance_trades_2027-01-15_ETHUSDT.csv.gz"),
        (["--format", "jsonl"], "kind=frame"),
        (["--kinds", "book", "--book-every", "0", "--book-levels", "3"], "kind=book"),
        (["--partition-by", "symbol", "--nested", "--shard", "1/1"], "kind=depth"),
    ],
)
def test_its_options_arrive(given: list[str], name: str, tape: Path, tmp_path: Path) -> None:
    done = command(tape, "--out", tmp_path / "out", *given)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / name).exists()
    has_warning = "--partition-by symbol makes a file for each symbol" in done.stderr
    assert has_warning == ("--partition-by" in given)


def test_what_is_damaged_is_said_and_the_exit_code_is_1(tmp_path: Path) -> None:
    tape = market(42).tape(tmp_path / "tape")
    (file,) = tape.glob("*.arrow")
    good = file.read_bytes()
    damaged(file, 2)
    done = command(tape, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "batch 2 at byte" in done.stderr
    assert "the archive is not whole: run the same again" in done.stderr
    file.write_bytes(good)
    assert command(tape, "--out", tmp_path / "out").returncode == 0


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["no-tape", "--out", "o"], 1, "no-tape: there is no such file or directory"),
        (["t", "--out", "o", "--format", "xml"], 2, "invalid choice: 'xml'"),
        (["t", "--out", "o", "--kinds", "trades"], 2, "did you mean 'trade'?"),
        (["t", "--out", "o", "--kinds", ","], 2, "name some of trade"),
        (["t", "--out", "o", "--book-every", "-1"], 2, "'-1' is not a duration"),
        (["t", "--out", "o", "--shard", "9/4"], 1, "shard 9/4 is not one of 1/4 to 4/4"),
        (["t", "--out", "o", "--precisions", "none"], 2, "none: No such file or directory"),
        (["t"], 2, "--out"),
        (["--out", "o"], 2, "TAPE"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(
    given: list[str], code: int, said: str, tmp_path: Path
) -> None:
    done = command(*given, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing_half_written(
    which: signal.Signals, tmp_path: Path
) -> None:
    tape = market(43, events=6000).tape(tmp_path / "tape", batch_rows=500)
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "binance_sbe", "convert", tape, "--out", out, "--format", "jsonl"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 30
        while not (out / manifest.FOLDER).is_dir() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        process.send_signal(which)
        out_text, err = process.communicate(timeout=60)
    if "rows: " not in out_text:  # else it was done already
        assert process.returncode == 1
        assert "interrupted: run the same again" in err
    assert not list(out.rglob("*.tmp"))
    assert command(tape, "--out", out, "--format", "jsonl").returncode == 0


def test_the_bar_has_rate_and_time_left() -> None:
    assert text(50, 200, 5.0) == ("[#######.....................]  25%  50 of 200, 10/s, 15 s left")
    assert text(50, 200, 5.0, before=50).endswith("50 of 200, 0/s, ? left")
    assert text(0, 0, 0.0).startswith("[############################] 100%")


def test_precisions_are_those_of_the_exchange_or_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "info.json"
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "1.00000000"},
    ]
    file.write_text(json.dumps({"symbols": [{"symbol": "BTCUSDT", "filters": filters}]}))
    assert precisions(str(file)) == {"BTCUSDT": (2, 0)}
    file.write_text('{"BTCUSDT": [2, 5]}')
    assert precisions(str(file)) == {"BTCUSDT": (2, 5)}
    for wrong in ("[]", '{"BTCUSDT": 5}', "{", '{"symbols": [{}]}', "5"):
        file.write_text(wrong)
        with pytest.raises(Exception, match=r"info\.json"):
            precisions(str(file))


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_on_a_terminal_there_is_a_bar(tape: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "binance_sbe", "convert", tape, "--out", tmp_path / "out"],
        stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    assert done.wait(60) == 0
    os.close(theirs)
    drawn = os.read(ours, 10_000)
    os.close(ours)
    assert b"100%" in drawn
    assert drawn.endswith(b"\r\x1b[K")
