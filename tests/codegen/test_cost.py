"""What batches cost besides time: memory, locks, and imports."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors

import binance_sbe
from binance_sbe import decode_many

# A billion: SOAK_ROWS=1000000000 make test PYTEST_ARGS="-k soak --timeout 3600"
SOAK_ROWS = int(os.environ.get("SOAK_ROWS", "10000000"))
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
SANITIZED = pytest.mark.skipif("SBE_BUILD" in os.environ, reason="of a build without switches")


def run_of(frame: bytes, count: int) -> tuple[bytes, Any]:
    return frame * count, np.arange(0, (count + 1) * len(frame), len(frame), dtype=np.int64)


def in_a_process(code: str) -> str:
    program = "import sys\nsys.path.insert(0, sys.argv[1])\n" + code
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent.parent)],
        env=os.environ | {"SOAK_ROWS": str(SOAK_ROWS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@LINUX
@SANITIZED
@pytest.mark.parametrize("form", ["list", "buffer"])
@pytest.mark.parametrize("kind", ["BEST_BID_ASK", "DEPTH_SNAPSHOT", "TRADES"])
def test_the_peak_of_memory_is_the_output_and_a_tenth(form: str, kind: str) -> None:
    code = f"""
import re
from pathlib import Path
import numpy as np
import vectors
import binance_sbe

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

frame = vectors.{kind}
count = 300_000
frames = [frame] * count
if "{form}" == "buffer":
    frames = frame * count, np.arange(0, (count + 1) * len(frame), len(frame), dtype=np.int64)
binance_sbe.decode_many([frame])
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")      # the peak begins anew
batch = binance_sbe.decode_many(frames)
table = batch[type(binance_sbe.decode(frame))]
arrays = [table.records]
for group in table.groups.values():
    arrays += [group.records, group.offsets]
given = 8 * (count + 1) if "{form}" == "buffer" else 0      # the copy of the offsets
print(status("VmHWM") - before - given, sum(each.nbytes for each in arrays))
"""
    peak, output = map(int, in_a_process(code).split())
    assert output > 20_000_000
    assert peak <= 1.1 * output + 4 * 1024 * 1024, (peak, output)  # two huge pages


@LINUX
@SANITIZED
def test_a_soak_of_appending_and_taking_does_not_grow() -> None:
    code = """
import os, re
from pathlib import Path
import vectors
import binance_sbe

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

collector = binance_sbe.Collector()
frames = list(vectors.ALL.values())
rows, wanted, chunk = 0, int(os.environ["SOAK_ROWS"]), 20_000
least = None
while rows < wanted:
    for _ in range(chunk // 4):
        for frame in frames:
            collector.append(frame, 1)
    rows += len(collector.take())
    if rows >= wanted // 5 and least is None:
        least = resident()
print(rows, resident() - least)
"""
    rows, grown = map(int, in_a_process(code).split())
    assert rows >= SOAK_ROWS
    assert grown < 2048, f"{grown} KiB"


def busy(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(100))


@pytest.mark.parametrize("form", ["list", "buffer"])
def test_the_lock_is_not_asked_for_again_and_again(form: str) -> None:
    """Beside a busy thread, getting the GIL back takes a switch interval: at most once a call."""
    frames: Any = run_of(vectors.BEST_BID_ASK, 100_000)
    if form == "list":
        frames = [vectors.BEST_BID_ASK] * 100_000
    stop = threading.Event()
    other = threading.Thread(target=busy, args=(stop,))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.1)
    other.start()
    try:
        started = time.perf_counter()
        batch = decode_many(frames)
        switches = (time.perf_counter() - started) / 0.1
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        other.join()
    assert len(batch) == 100_000
    assert switches < 12  # a release for every 1,024 frames would make it a hundred


def test_one_buffer_is_decoded_while_other_threads_run() -> None:
    run = run_of(vectors.BEST_BID_ASK, 500_000)
    spans = []

    def work() -> None:
        for _ in range(5):
            started = time.perf_counter()
            decode_many(run)
            spans.append((started, time.perf_counter()))

    worker = threading.Thread(target=work)
    moments = []
    worker.start()
    while worker.is_alive():
        moments.append(time.perf_counter())
    worker.join()
    within = sum(
        any(a < moment < b for a, b in spans) for moment in moments[:: len(moments) // 500]
    )
    assert within > 50


def test_two_threads_may_decode_the_same_buffer() -> None:
    run = run_of(vectors.DEPTH_SNAPSHOT, 50_000)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(decode_many(run))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, two = (each[binance_sbe.DepthSnapshotStreamEvent].records for each in results)
    assert (one == two).all()


@SANITIZED
def test_imports_load_no_more_than_they_need() -> None:
    """Times are in benchmarks/results; what decides them is what is loaded."""
    loaded = in_a_process(
        "import binance_sbe, sys\n"
        "binance_sbe.decode\n"
        "heavy = {'pandas', 'polars', 'pyarrow', 'picows', 'websockets', 'asyncio', 'lxml', "
        "'jinja2', 'Cython', 'rich', 'binance_sbe.spot_sbe', 'binance_sbe.fix_sbe'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert loaded.strip() == "[]"
