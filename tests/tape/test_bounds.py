"""Memory that does not grow with the tape, and recorders that do not hold up a feed."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from taped import START, recorder_at, trades

HERE = Path(__file__).parent

READS = """
import resource, sys
import numpy as np
from binance_sbe.tape import Tape
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Tape({small!r}) as tape:
    for batch in tape.batches():
        pass
    for batch in tape.frames():
        pass
    tape.verify()
before = peak()
with Tape({large!r}) as tape:
    assert tape.frames_count == {count}
    assert sum(len(batch) for batch in tape.batches()) == {count}
    assert sum(1 for _ in tape.messages(streams="btcusdt@bestBidAsk")) == 0
    assert tape.verify().is_whole
print(peak() - before)
"""


def repeated(path: Path, times: int) -> Path:
    """A tape of so many times 20,000 trades, with ids that go on."""
    recorder = recorder_at(path, rotate_bytes=4 << 20)
    for i in range(times):
        for j, frame in enumerate(trades(20_000, 1 + i * 20_000)):
            recorder.tap.put(START + (i * 20_000 + j) * 1000, 1, 0, frame)
        assert recorder.flush(30)
    recorder.close()
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_memory_does_not_grow_with_the_tape(tmp_path: Path) -> None:
    small, large = repeated(tmp_path / "small", 1), repeated(tmp_path / "large", 30)
    code = READS.format(small=str(small), large=str(large), count=30 * 20_000)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # what is mapped of the files counts as well, and goes when it is wanted for something else
    size = sum(file.stat().st_size for file in large.iterdir())
    assert int(done.stdout) * 1024 < 60 << 20, f"{size} bytes of tape"
    shutil.rmtree(large)
