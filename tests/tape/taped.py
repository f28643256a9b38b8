"""Tapes made by hand, and what a reader that is not ours finds in them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from feeds import best, trade

from binance_sbe.tape import Recorder, Recording
from binance_sbe.tape.disk import DISK, Disk

SECOND = 10**9
START = 1_800_000_000 * SECOND  # ns since 1970
FRAME = 0


class Stuck(Disk):
    """Writes when it is let go."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.goes.set()

    def write(self, fd: int, data: memoryview) -> int:
        assert self.goes.wait(60)
        return super().write(fd, data)


def recorder_at(path: Path, disk: Disk = DISK, at: int = START, **options: Any) -> Recorder:
    """A recorder that has begun, of no feed; it takes that time for now."""
    recorder = Recorder(Recording(path, **{"min_free": 0} | options), disk)
    recorder._now = lambda: at
    recorder.begin("ws://exchange:1", ["btcusdt@trade", "btcusdt@bestBidAsk"])
    return recorder


def give(recorder: Recorder, frames: Iterable[bytes], at: int = START, connection: int = 1) -> None:
    """Frames that come a millisecond after each other."""
    for i, frame in enumerate(frames):
        recorder.tap.put(at + i * 10**6, connection, FRAME, frame)


def trades(count: int, first: int = 1) -> list[bytes]:
    return [trade(first + i) for i in range(count)]


def quotes(count: int, first: int = 1) -> list[bytes]:
    return [best(first + i) for i in range(count)]


def tape_of(path: Path, frames: Iterable[bytes], **options: Any) -> Path:
    """A tape with these frames; the path of its only file."""
    recorder = recorder_at(path, **options)
    give(recorder, frames)
    recorder.close()
    (file,) = files(path)
    return file


def files(path: Path) -> list[Path]:
    return sorted(path.glob("*.arrow"))


def rows_of(file: Path) -> list[tuple[int, int, int, bytes]]:
    """All rows of a file, as Arrow's stream reader has them from byte 8 on."""
    found = []
    with pa.ipc.open_stream(pa.BufferReader(file.read_bytes()[8:])) as reader:
        try:
            for batch in reader:
                columns = [column.to_pylist() for column in batch.columns]
                found += list(zip(*columns, strict=True))
        except (OSError, pa.ArrowInvalid):
            pass  # cut off within a batch
    return found


def frames_of(path: Path) -> list[bytes]:
    """The SBE frames of a directory, as Arrow's stream reader has them."""
    rows = [row for file in files(path) for row in rows_of(file)]
    return [frame for _, _, kind, frame in rows if kind == FRAME]
