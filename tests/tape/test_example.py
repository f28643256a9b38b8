"""The example that records, plays and draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from binance_sbe.tape import Tape


def test_the_example_records_plays_and_draws(root: Path, tmp_path: Path) -> None:
    example, picture = root / "examples" / "record_and_replay.py", tmp_path / "picture.png"
    command = [sys.executable, str(example), str(tmp_path / "tape"), str(picture), "1.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("whole: ")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert Tape(tmp_path / "tape").frames_count > 50
