"""Memory that does not grow with the tape, and recorders that do not hold up a feed."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from taped import START, files, give, recorder_at, trades

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


def run(code: str, *limits: tuple[int, int]) -> str:
    """What a program says that has these limits (`resource`).

    Each thread that allocates would take 64 MB of addresses for itself, at a moment of its own.
    """

    def limited() -> None:
        for name, most in limits:
            resource.setrlimit(name, (most, most))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        preexec_fn=limited, env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_memory_does_not_grow_with_the_tape(tmp_path: Path) -> None:
    small, large = repeated(tmp_path / "small", 1), repeated(tmp_path / "large", 30)
    told = run(READS.format(small=str(small), large=str(large), count=30 * 20_000))
    assert int(told) * 1024 < 60 << 20


FREE = 64 << 20  # bytes of addresses that a program may take besides what it has
LIMITED = """
import os
import resource
from binance_sbe.tape import Tape
with Tape({small!r}) as tape:  # what is loaded once
    assert tape.verify().is_whole
    for batch in tape.batches(max_messages=1000):
        pass
has = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + {free}, has + {free}))
with Tape({large!r}) as tape:
    assert tape.ledger.breaks == []
    assert sum(len(batch) for batch in tape.batches(max_messages=1000)) == {count}
    assert tape.verify().frames_good == {count}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="addresses are counted on Linux")
@pytest.mark.parametrize("has_footer", [True, False])
def test_a_tape_is_read_that_is_larger_than_memory(tmp_path: Path, has_footer: bool) -> None:
    """Of files that are mapped, or read as a whole, this fails."""
    small = repeated(tmp_path / "small", 1)
    large = tmp_path / "large"
    frame = bytearray(trades(1)[0])
    at = frame.index((1).to_bytes(8, "little"), 20)
    recorder = recorder_at(large, rotate_bytes=128 << 20, compression=None, durability="os")
    count = 2_000_000
    for i in range(count):
        frame[at : at + 8] = (i + 1).to_bytes(8, "little")
        recorder.tap.put(START + i * 1000, 1, 0, bytes(frame))
        if i % 100_000 == 0:
            assert recorder.flush(60)
    recorder.close()
    assert sum(file.stat().st_size for file in files(large)) > 2 * FREE
    if not has_footer:
        for file in files(large)[-1:]:
            with file.open("r+b") as opened:
                opened.truncate(file.stat().st_size - 7)
    run(LIMITED.format(small=str(small), large=str(large), count=count, free=FREE))
    shutil.rmtree(large)


FEW_FILES = """
from binance_sbe import sync
from binance_sbe.tape import Tape
Tape({small!r}).verify()
with Tape({path!r}) as tape:
    kept = list(tape.frames())
    assert len(list(tape.messages())) == tape.frames_count == {count}
    assert tape.verify().is_whole
    assert len(tape.ledger.sessions) == {files}
with sync.replay({path!r}) as feed:
    assert sum(1 for _ in feed) == {count}
assert Tape.recover({path!r}).is_whole
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_tape_of_more_files_than_may_be_open_is_read(tmp_path: Path) -> None:
    small = repeated(tmp_path / "small", 1)
    path = tmp_path / "many"
    for i in range(70):
        recorder = recorder_at(path, at=START + i * 10**9, compression=None)
        give(recorder, trades(3, 1 + i * 3), START + i * 10**9)
        recorder.close()
    code = FEW_FILES.format(small=str(small), path=str(path), count=210, files=70)
    run(code, (resource.RLIMIT_NOFILE, 40))
