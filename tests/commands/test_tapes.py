"""`binance-sbe tape`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from binance_sbe.commands import tapes
from binance_sbe.commands.cli import main
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Diff, Trade, Trades
from binance_sbe.tape import Kind, Recorder, Recording, Tape

pytest.importorskip("pyarrow")
pytest.importorskip("xxhash")

BASE = 1_795_886_161_000_000_000
SECOND = 10**9
FRAMES = [
    encode(Trades("BTCUSDT", -2, -8, 1, 1, (Trade(7, 9412345, 31210000, True),))),
    encode(Diff("ETHUSDT", -2, -8, 2, 10, 12, ((331208, 5),), ())),
    encode(BestBidAsk("BTCUSDT", -2, -8, 3, 400, (9412345, 5), (9412346, 6))),
    b"no message",
]


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "tape"
    made(path, FRAMES)
    return path


def made(path: Path, frames: list[bytes]) -> None:
    recorder = Recorder(Recording(path, min_free=0, durability="os", batch_rows=3))
    recorder.begin("ws://a-host", ["btcusdt@trade"])
    for i, frame in enumerate(frames):
        recorder.tap.put(BASE + i * SECOND, 1, Kind.FRAME, frame)
    recorder.tap.put(BASE + 9 * SECOND, 0, Kind.MARK, b"a \x1b[31mmark")
    assert recorder.flush()
    recorder.close()


def said(capsys: Any, *command: str, code: int = 0) -> list[str]:
    assert main(["tape", *command]) == code
    captured = capsys.readouterr()
    if not code:
        assert captured.err == ""
    return (captured.out if not code else captured.out + captured.err).splitlines()


def test_info_says_what_is_inside(tape: Path, capsys: Any) -> None:
    lines = said(capsys, "info", str(tape))
    text = "\n".join(lines)
    assert lines[0].startswith(f"{tape}: 1 file, ")
    assert "4 frames" in lines[2]
    assert "of ws://a-host" in text
    assert "  btcusdt@bestBidAsk             1 events" in lines
    assert "  ethusdt@depth                  1 events" in lines
    assert "no breaks" in lines
    assert "no holes" in lines
    assert any(line.endswith(r"a \x1b[31mmark") for line in lines)
    (line,) = said(capsys, "info", str(tape), "--json")
    told = json.loads(line)
    assert told["frames"] == 4
    assert set(told["streams"]) == {"btcusdt@trade", "ethusdt@depth", "btcusdt@bestBidAsk"}
    assert told["sessions"][0]["is_closed"] is True
    assert told["marks"] == [{"received_ns": BASE + 9 * SECOND, "text": "a \x1b[31mmark"}]
    assert told["schemas"][0]["id"] == 1


def test_info_has_breaks_and_holes(tmp_path: Path, capsys: Any) -> None:
    for path, ids in (("a", range(1, 5)), ("b", range(9, 12))):
        made(
            tmp_path / path,
            [encode(Trades("BTCUSDT", -2, -8, i, i, (Trade(i, 1, 1, True),))) for i in ids],
        )
    lines = said(capsys, "info", str(tmp_path / "a"), str(tmp_path / "b"))
    assert "sessions:" in lines
    assert any(line.startswith("  btcusdt@trade") for line in lines)


def test_verify_and_recover(tape: Path, capsys: Any) -> None:
    assert said(capsys, "verify", str(tape)) == ["whole: 4 frames are good, 0 lost"]
    (file,) = tape.glob("*.arrow")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 100])
    lines = said(capsys, "verify", str(tape), code=1)
    assert lines[0].startswith("not whole: 4 frames are good, 0 lost")
    assert any(line.startswith(file.name) and "footer" in line for line in lines[1:])
    assert lines[-1] == "'binance-sbe tape recover' mends what can be mended"
    lines = said(capsys, "recover", str(tape))
    assert lines[0].startswith("mended as far as it could be: 4 frames are good, 0 lost")
    (line,) = said(capsys, "recover", str(tape), "--json")
    assert json.loads(line)["frames_good"] == 4
    assert said(capsys, "verify", str(tape)) == ["whole: 4 frames are good, 0 lost"]
    assert (tape / f"{file.name}.damaged").exists()
    (line,) = said(capsys, "verify", str(tape), "--json")
    assert json.loads(line) == {
        "is_whole": True, "frames_good": 4, "frames_lost": 0, "problems": [],
    }  # fmt: skip


def test_cat_prints_frames_as_json(tape: Path, capsys: Any) -> None:
    found = [json.loads(line) for line in said(capsys, "cat", str(tape))]
    assert [each["received_ns"] for each in found] == [BASE + i * SECOND for i in range(4)]
    assert all(each["connection"] == 1 for each in found)
    assert found[0]["stream"] == "btcusdt@trade"
    assert found[0]["trades"] == [
        {"id": 7, "price": "94123.45", "qty": "0.31210000", "is_buyer_maker": True}
    ]
    assert found[1]["bids"] == [["3312.08", "0.00000005"]]
    assert found[2]["bid_price"] == "94123.45"
    assert found[3]["frame"] == b"no message".hex()
    assert found[3]["error"]
    every = [json.loads(line) for line in said(capsys, "cat", str(tape), "--all")]
    assert [each for each in every if "kind" not in each] == found
    assert every[0]["kind"] == "subscription"
    assert every[0]["says"] == {"asked": ["btcusdt@trade"]}
    assert every[-1]["text"] == "a \x1b[31mmark"


def test_cat_prints_frames_as_hex_which_inspect_takes(tape: Path, capsys: Any) -> None:
    assert said(capsys, "cat", str(tape), "--hex") == [frame.hex() for frame in FRAMES]
    first = said(capsys, "cat", str(tape), "--hex", "--count", "1")
    done = subprocess.run(
        [sys.executable, "-m", "binance_sbe", "inspect", "-"],
        input="\n".join(first), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "94123.45" in done.stdout


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        (["--start", str(BASE + SECOND)], [1, 2, 3]),
        (["--end", str(BASE + SECOND)], [0]),
        (["--start", "2026-11-28T17:16:02", "--end", "2026-11-28T17:16:03"], [1]),
        (["--streams", "btcusdt@trade"], [0]),
        (["--streams", "trade,depth"], [0, 1]),
        (["--streams", "trade", "--streams", "btcusdt@bestBidAsk"], [0, 2]),
        (["--count", "2"], [0, 1]),
    ],
)
def test_some_of_it_is_printed(
    given: list[str], numbers: list[int], tape: Path, capsys: Any
) -> None:
    wanted = [FRAMES[i].hex() for i in numbers]
    assert said(capsys, "cat", str(tape), "--hex", *given) == wanted


def test_cut_makes_a_smaller_tape(tape: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "less"
    lines = said(capsys, "cut", str(tape), "--out", str(out), "--streams", "trade")
    assert lines[0].startswith(f"{out}: 2 frames, ")  # with what is no message
    with Tape(out) as part:
        assert part.streams == ["btcusdt@trade"]
        assert part.verify().is_whole


BAD: list[tuple[list[str], int, str]] = [
    (["cut", "TAPE", "--out", "TAPE"], 1, "a tape is in it already: name another directory"),
    (["cut", "TAPE", "--out", "X", "--streams", "x@trade"], 1, "no event of x@trade is on this"),
    (["cut", "TAPE", "--out", "X", "--streams", "depth20"], 1, "no event of the kind depth20"),
    (["cut", "TAPE", "--out", "X", "--end", "1980-01-01"], 1, "no frame of it is in that range"),
    (["cut", "TAPE", "--out", "X", "--start", "1980-01-02", "--end", "1980-01-01"], 2,
     "--start is not before --end"),
    (["cut", "TAPE"], 2, "the following arguments are required: --out"),
    (["cat", "TAPE", "--streams", "x@trade"], 1, "no event of x@trade is on this tape"),
    (["cat", "TAPE", "--start", "2030-01-01"], 1, "no frame of it is in that range of"),
    (["cat", "TAPE", "--hex", "--all"], 2, "--all is for --json"),
    (["cat", "TAPE", "--hex", "--json"], 2, "not allowed with argument"),
    (["cat", "TAPE", "--count", "0"], 2, "'0' is not a number of frames"),
    (["info", "X"], 1, "there is no such file or directory"),
    (["info"], 2, "the following arguments are required: TAPE"),
    (["verify", "EMPTY"], 1, "no tape is in this directory"),
    (["verify", "TAPE", "--jsno"], 2, "did you mean '--json'?"),
    (["verfy", "TAPE"], 2, "did you mean 'verify'?"),
    ([], 2, "the following arguments are required: ACTION"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "code", "sentence"), BAD)
def test_what_can_not_be_done_is_said_in_a_sentence(
    given: list[str], code: int, sentence: str, tape: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "EMPTY").mkdir()
    places = {"TAPE": tape, "X": tmp_path / "X", "EMPTY": tmp_path / "EMPTY"}
    command = ["tape", *(str(places.get(each, each)) for each in given)]
    try:
        assert main(command) == code
    except SystemExit as ended:
        assert ended.code == code
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "X").exists()


def test_damage_is_said_by_cat_and_the_rest_is_printed(tape: Path, capsys: Any) -> None:
    (file,) = tape.glob("*.arrow")
    content = bytearray(file.read_bytes())
    with Tape(tape) as opened:
        (reader,) = opened._readers
        first = reader.entries[0]
        content[first.offset + 8 + first.metadata_length + 30] ^= 0xFF
    file.write_bytes(content)
    lines = said(capsys, "cat", str(tape), "--hex", code=1)
    assert lines[-1].endswith(": left out")
    assert FRAMES[3].hex() in lines


@pytest.mark.parametrize("action", ["info", "verify", "recover", "cut", "cat"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_runs_and_never_as_if_it_were_done(
    action: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """What is not finished has said nothing about the tape: `verify` above all."""

    def hang(_: object) -> int:
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        threading.Event().wait(20)
        return 0

    monkeypatch.setitem(tapes._ACTIONS, action, hang)
    extra = ["--out", "x"] if action == "cut" else []
    code = main(["tape", action, "t", *extra])
    assert code == (0 if action in ("info", "cat") else 1)
    assert ("interrupted: " in capsys.readouterr().err) == bool(code)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def on_a_terminal(arguments: list[str], with_stdout: bool = False) -> tuple[str, str]:
    """What a command writes to standard output, and what a terminal shows as standard error."""
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "binance_sbe", "tape", *arguments],
        stdout=slave if with_stdout else subprocess.PIPE, stderr=slave, text=True, timeout=60,
        check=True, env=os.environ | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    return done.stdout, shown


@pytest.mark.parametrize(
    ("arguments", "bar", "out"),
    [
        (["verify"], "reading", "whole: 4 frames are good, 0 lost\n"),
        (["info"], "looking", "4 frames"),
        (["cat", "--hex"], "reading", ""),
    ],
)
def test_long_work_on_a_terminal_has_a_bar_and_a_clean_output(
    tape: Path, arguments: list[str], bar: str, out: str
) -> None:
    pytest.importorskip("rich")
    said, shown = on_a_terminal([*arguments, str(tape)])
    assert out in said
    assert "\x1b" not in said
    assert bar in shown
    if arguments[0] == "cat":
        assert len([bytes.fromhex(line) for line in said.splitlines()]) == 4


def test_lines_on_a_terminal_have_no_bar_between_them(tape: Path) -> None:
    _, shown = on_a_terminal(["cat", "--hex", str(tape)], with_stdout=True)
    assert len([bytes.fromhex(line) for line in shown.splitlines()]) == 4
