"""Annotated hex dumps: every byte is accounted for, and damage is marked where it is."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import vectors
from test_binance_schemas import FIX, SPOT, values_of

from binance_sbe import fix, fix_sbe, spot_sbe, spot_stream
from binance_sbe.commands import inspector
from sbe_codegen.runtime.inspected_bytes import Row, Walk


def encode(schema: object, name: str) -> bytes:
    return schema.encode(name, values_of(schema, schema.messages[name], False, 2))  # type: ignore[attr-defined]


def rows(content: bytes, start: int = 0) -> list[Row]:
    return list(Walk(content, start, inspector.module_of(content[start:])).rows())


@pytest.mark.parametrize("schema", [SPOT, FIX], ids=["spot", "fix"])
def test_every_byte_of_every_message_is_accounted_for(schema: object) -> None:
    for name in schema.messages:  # type: ignore[attr-defined]
        frame = encode(schema, name)
        module = spot_sbe if schema is SPOT else fix_sbe
        found = list(Walk(frame, 0, module).rows())
        places = [(row.offset, row.end) for row in found if row.end > row.offset]
        assert [start for start, _ in places] == [0, *(end for _, end in places[:-1])], name
        assert places[-1][1] == len(frame)
        lines, is_whole = inspector.inspect(frame, module)
        assert is_whole
        assert lines[-1] == f"{name}, version {schema.version}, {len(frame)} bytes"  # type: ignore[attr-defined]


def test_a_frame_finds_its_module() -> None:
    for frame in vectors.ALL.values():
        assert inspector.module_of(frame) is spot_stream
    assert inspector.module_of(encode(SPOT, "DepthResponse")) is spot_sbe
    assert inspector.module_of(encode(FIX, "Logon")) is fix_sbe


def test_values_are_shown_as_they_mean() -> None:
    text = "\n".join(inspector.inspect(vectors.TRADES)[0])
    for part in ("trades[0].price", "9412345 (94123.45)", "1 True", "'BTCUSDT'",
                 "trades                              1 entries with blocks of 25"):  # fmt: skip
        assert part in text
    fixed = fix.framed(encode(FIX, "Logon"))
    lines, is_whole = inspector.inspect(fixed)
    assert is_whole
    assert "SOFH messageLength" in lines[1]
    assert "0xEB50" in lines[2]
    wrapped = "\n".join(inspector.inspect(encode(SPOT, "WebSocketResponse"))[0])
    assert "rateLimits[1].current" in wrapped


def test_the_point_of_failure_is_marked() -> None:
    frame = vectors.DEPTH_SNAPSHOT
    for size in range(1, len(frame)):
        lines, is_whole = inspector.inspect(frame[:size])
        assert not is_whole
        (mark,) = [line for line in lines if line.startswith(">>> ")]
        if size >= 8:
            assert "TruncatedMessage" in mark
    lines, _ = inspector.inspect(frame[:60])
    at = next(i for i, line in enumerate(lines) if line.startswith(">>>"))
    assert "asks at offset" in lines[at] or "asks needs" in lines[at]
    assert lines[at - 1].split()[0] < "60"
    wrong = bytearray(frame)
    wrong[2:4] = b"\x00\x00"
    lines, is_whole = inspector.inspect(bytes(wrong))
    assert not is_whole
    assert any("UnknownTemplate" in line for line in lines)


def test_left_over_bytes_and_surplus_are_shown() -> None:
    lines, is_whole = inspector.inspect(vectors.NEWER_SNAPSHOT + b"tail")
    assert is_whole
    text = "\n".join(lines)
    assert "fields of a newer schema" in text
    assert "(left over)" in text


def test_damaged_frames_are_shown_as_far_as_they_go() -> None:
    rng = random.Random(7)
    frames = [encode(SPOT, name) for name in SPOT.messages] + list(vectors.ALL.values())
    for _ in range(1500):
        frame = bytearray(rng.choice(frames))
        for _ in range(rng.randrange(1, 5)):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        lines, _ = inspector.inspect(bytes(frame[: rng.randrange(1, len(frame) + 1)]))
        assert len(lines) < 3000


def run(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "binance_sbe", "inspect", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False)


def test_the_command_takes_hex_and_bytes(tmp_path: Path) -> None:
    raw, digits = tmp_path / "frame", tmp_path / "frame.hex"
    raw.write_bytes(vectors.BEST_BID_ASK)
    digits.write_text(vectors.BEST_BID_ASK.hex(" ", 4) + "\n")
    shown = [run(str(raw)), run(str(digits)), run("-", given=vectors.BEST_BID_ASK),
             run("--schema", "spot_stream", str(raw))]  # fmt: skip
    assert {done.stdout for done in shown} == {shown[0].stdout}
    assert {done.returncode for done in shown} == {0}
    assert b"BestBidAskStreamEvent, version 0, 66 bytes" in shown[0].stdout


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(vectors.BEST_BID_ASK[:40])
    done = run(str(path))
    assert done.returncode == 1
    assert b">>> TruncatedMessage: BestBidAskStreamEvent: root block needs 50 bytes" in done.stdout
    for text, said in ((b"4142 4", b"has 5 hex digits, an odd number"),
                       (b"<xml/>", b"is text, and '<' in line 1 is no hex digit")):  # fmt: skip
        path.write_bytes(text)
        done = run(str(path))
        assert (done.returncode, said in done.stderr) == (1, True)
    path.write_text(f'    "{vectors.BEST_BID_ASK.hex()}",\n')  # as it stands in programs
    assert run(str(path)).returncode == 0
    path.write_bytes(vectors.BEST_BID_ASK[:40])
    empty = tmp_path / "empty"
    empty.touch()
    assert b"is empty" in run(str(empty)).stderr
    missing = run(str(tmp_path / "none"))
    assert missing.returncode == 1
    assert b"No such file" in missing.stderr
    assert run(str(path), "--schema", "nope").returncode == 2
