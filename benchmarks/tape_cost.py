"""What a tape costs: in the thread that receives, in that of the writer, on the disk, in reading.

    .venv/bin/python benchmarks/tape_cost.py [FRAMES]        (600,000 bestBidAsk of 400 symbols)
    .venv/bin/python benchmarks/tape_cost.py --seconds 60    300,000 frames a second for so long

Receiving is the reader of a WebSocket that is given frames in blocks of 64 KiB, and a handler in C
that takes them, a block with a recorder and one without, in turns, 300,000 frames a second to the
recorder. What was recorded is proved to be what was given before anything is timed. The floor of
reading is `decode_many` over the same frames in one buffer, in calls of 65,536.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

try:
    from noting_handler import Noting
except ImportError:
    compiling = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-q"]
    subprocess.run([*compiling, HERE / "noting_handler.pyx"], check=True)
    from noting_handler import Noting

import data  # noqa: E402

import binance_sbe  # noqa: E402
from binance_sbe.feed.intake.backlog import Backlog  # noqa: E402
from binance_sbe.feed.intake.frame_queue import FrameQueue, policies  # noqa: E402
from binance_sbe.feed.intake.handlers import Calls  # noqa: E402
from binance_sbe.feed.intake.stats import Stats  # noqa: E402
from binance_sbe.feed.intake.streams import Source  # noqa: E402
from binance_sbe.feed.ledger import Ledger  # noqa: E402
from binance_sbe.feed.transport.reader import FrameReader  # noqa: E402
from binance_sbe.tape import Recorder, Recording, Tape  # noqa: E402

ROUNDS = 9
BLOCK = 64 * 1024
TOGETHER = 65_536
RATE = 300_000  # frames a second


class Nowhere:
    """A socket that is never paused."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def blocks(frames: list[bytes]) -> list[bytes]:
    """The frames as a WebSocket has them, in pieces as a socket gives them."""
    stream = b"".join(bytes([0x82, len(frame)]) + frame for frame in frames)
    return [stream[i : i + BLOCK] for i in range(0, len(stream), BLOCK)]


def fed(recorder: Recorder | None, count: int) -> tuple[FrameReader, Noting, Backlog]:
    """What is given the blocks, what counts frames, and what is between."""
    ledger = Ledger()
    chosen = policies("block")
    backlog = Backlog(Stats(), ledger, FrameQueue(65_536, chosen, ledger), True, bool)
    if recorder is not None:
        recorder.begin("ws://nowhere", [], backlog, ledger)
        backlog.tap = recorder.tap
    handler = Noting(count, False)
    backlog.call(Calls(handler, False, None))
    reader = FrameReader(backlog, Source(1, "connection 1"), None, Nowhere())
    return reader, handler, backlog


def received(pieces: list[bytes], count: int, recorder: Recorder | None) -> float:
    """Seconds of this thread's CPU for all of them, at once."""
    reader, handler = fed(recorder, count)[:2]
    started = time.thread_time()
    for piece in pieces:
        reader.feed(piece)
    took = time.thread_time() - started
    assert handler.count == count
    return took


def in_turns(pieces: list[bytes], count: int) -> tuple[float, float]:
    """ns of this thread's CPU a frame, not recorded and recorded: medians of blocks, in turns.

    300,000 frames a second are recorded, as they might come. At once they would outrun the writer,
    and what was measured were new pages of memory.
    """
    path = directory()
    recorder = Recorder(Recording(path / "tape"))
    reader, handler, backlog = fed(recorder, count)
    each = count / len(pieces)
    begun, times = time.monotonic(), ([], [])
    for i, piece in enumerate(pieces):
        time.sleep(max(begun + i * each / 2 / RATE - time.monotonic(), 0))
        backlog.tap = recorder.tap if i % 2 else None
        fresh = b"".join((piece[:1], piece[1:]))  # in the cache, as what a socket has given
        started = time.thread_time()
        reader.feed(fresh)
        times[i % 2].append(time.thread_time() - started)
    assert handler.count == count
    recorder.close()
    assert recorder.lost_frames == 0
    assert abs(recorder.frames - count / 2) < 3 * each
    shutil.rmtree(path)
    without, with_it = (statistics.median(some) / each * 1e9 for some in times)
    return without, with_it


def said(name: str, values: list[float], unit: str) -> None:
    low, middle, high = statistics.quantiles(values, n=4)
    print(f"{name:<58}{middle:>9.2f} {unit:<14} ({low:.2f} to {high:.2f})")


def directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="tape-", dir=os.environ.get("TAPE_DIR")))


def recording(
    pieces: list[bytes], count: int, **options: Any
) -> tuple[Path, Recorder, float, float]:
    """A tape of it; seconds of CPU of the receiving thread, and of all others."""
    path = directory()
    options = {"min_free": 0, "memory_limit": 1 << 30} | options
    recorder = Recorder(Recording(path / "tape", **options))
    before = time.process_time()
    took = received(pieces, count, recorder)
    recorder.close()
    return path, recorder, took, time.process_time() - before - took


def paced(pieces: list[bytes], count: int, seconds: float) -> None:
    """Blocks as they come at 300,000 frames a second: what waits for the disk, and how long."""
    path = directory()
    recorder = Recorder(Recording(path / "tape"))  # as it is by default
    reader = fed(recorder, 2**62)[0]
    each = count / len(pieces)
    before, own = time.process_time(), time.thread_time()
    begun = time.monotonic()
    lags, done = [], 0
    while (at := time.monotonic() - begun) < seconds:
        while done * each < at * RATE:
            reader.feed(pieces[done % len(pieces)])
            done += 1
        lags.append(recorder.lag_ns / 1e6)
        time.sleep(0.002)
    took = time.monotonic() - begun
    own, all_of_it = time.thread_time() - own, time.process_time() - before
    recorder.close()
    lost, frames = recorder.lost_frames, recorder.frames
    shutil.rmtree(path)
    lags.sort()
    print(f"{frames:,} frames in {took:.1f} s, {lost} lost; batches are written every 100 ms or "
          f"2,000 frames")  # fmt: skip
    print(f"lag: median {lags[len(lags) // 2]:.1f} ms, 99 % {lags[len(lags) * 99 // 100]:.1f} ms, "
          f"most {lags[-1]:.1f} ms")  # fmt: skip
    print(f"receiving {own / took:.1%} of a core, the writer {(all_of_it - own) / took:.1%}")


def timed(function: Callable[[], int], count: int) -> float:
    """ns of CPU a frame: all of it is in this thread."""
    started = time.thread_time()
    assert function() == count
    return (time.thread_time() - started) / count * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=int, nargs="?", default=600_000)
    parser.add_argument("--seconds", type=float, help="at 300,000 frames a second, and no more")
    options = parser.parse_args()
    count = options.frames
    frames = data.best_bid_ask_frames(count, symbols=400)
    pieces = blocks(frames)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"pyarrow {pa.__version__}, {count:,} frames of {len(frames[0])} bytes\n")  # fmt: skip

    if options.seconds:
        paced(pieces, count, options.seconds)
        return
    path, recorder, *_ = recording(pieces, count)
    tape = Tape(path / "tape")
    pairs = (zip(b[3].to_pylist(), b[2].to_pylist(), strict=True) for b in tape.frames())
    kept = [frame for pair in pairs for frame, kind in pair if kind == 0]
    assert kept == frames
    assert recorder.lost_frames == 0
    size = sum(file.stat().st_size for file in (path / "tape").glob("*.arrow"))
    print(f"{'bytes of the file, a frame':<58}{size / count:>9.2f}")
    shutil.rmtree(path)

    without, with_it, behind = [], [], []
    for _ in range(ROUNDS):
        times = in_turns(pieces, count)
        without.append(times[0])
        with_it.append(times[1])
        path, *_, others = recording(pieces, count)
        behind.append(others / count * 1e9)
        shutil.rmtree(path)
    said("receiving, not recorded", without, "ns a frame")
    said("receiving, recorded", with_it, "ns a frame")
    costs = [b - a for a, b in zip(without, with_it, strict=True)]
    said("what recording adds in the receiving thread", costs, "ns a frame")
    said("the writer's thread", behind, "ns a frame")
    said("of a core at 300,000 frames a second", [b * 3e5 / 1e7 for b in behind], "%")

    buffers = []
    for begin in range(0, count, TOGETHER):
        some = frames[begin : begin + TOGETHER]
        ends = np.concatenate([[0], np.cumsum([len(f) for f in some])]).astype(np.int64)
        buffers.append((b"".join(some), ends))
    paths = {name: recording(pieces, count, compression=name)[0] for name in ("zstd", None)}
    ways: dict[str, Callable[[], int]] = {
        "decode_many": lambda: sum(len(binance_sbe.decode_many(each)) for each in buffers),
        "not compressed": lambda: sum(map(len, Tape(paths[None] / "tape").batches())),
        "zstd": lambda: sum(map(len, Tape(paths["zstd"] / "tape").batches())),
        "Arrow's own reading of the zstd tape": lambda: arrow_rows(paths["zstd"], count),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(timed(way, count))
    for name, values in times.items():
        said(f"reading: {name}", values, "ns a frame")
    floor = times["decode_many"]
    both = [
        a + b for a, b in zip(floor, times["Arrow's own reading of the zstd tape"], strict=True)
    ]
    plain = [a / b for a, b in zip(times["not compressed"], floor, strict=True)]
    said("a tape that is not compressed / decode_many", plain, "times")
    packed = [a / b for a, b in zip(times["zstd"], both, strict=True)]
    said("a zstd tape / (decode_many + Arrow's reading)", packed, "times")
    for each in paths.values():
        shutil.rmtree(each)


def arrow_rows(path: Path, count: int) -> int:
    """Decompresses every batch, and does nothing with it. In this thread, as we do."""
    options = pa.ipc.IpcReadOptions(use_threads=False)
    for file in sorted((path / "tape").glob("*.arrow")):
        with pa.memory_map(str(file)) as source:
            found = pa.ipc.open_file(source, options=options)
            for i in range(found.num_record_batches):
                found.get_batch(i)
    return count


if __name__ == "__main__":
    main()
