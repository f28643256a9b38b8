"""Ways to keep frames, beside each other: frames a second, bytes a frame, and what kill -9 takes.

    .venv/bin/pip install mcap zstandard
    .venv/bin/python benchmarks/tape_rivals.py [FRAMES]        (200,000 bestBidAsk of 400 symbols)

Every writer runs in a process of its own. It is timed by the processor time of all its threads,
from the first frame until the file is closed, and what is in the file is compared with what was
given. Then it is given a thousand frames every ten milliseconds, says how many, and is killed
after some seconds: what its own reader finds is counted.
"""

from __future__ import annotations

import argparse
import gzip
import os
import pickle
import platform
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
KILLED_AFTER = 2.0

Give = Callable[[bytes, int], None]
End = Callable[[], None]


def tape(path: Path) -> tuple[Give, End]:
    """Here the frames are Python's; a feed gives them from its buffer, in C."""
    from binance_sbe.tape import Recorder, Recording

    recorder = Recorder(Recording(path, memory_limit=1 << 30, min_free=0))
    recorder.begin("ws://nowhere", [])
    put = recorder.tap.put
    return lambda frame, now: put(now, 1, 0, frame), recorder.close


def tape_frames(path: Path) -> Iterator[bytes]:
    from binance_sbe.tape import Tape

    for batch in Tape(path, on_damage="skip").frames():
        for kind, frame in zip(batch[2].to_pylist(), batch[3].to_pylist(), strict=True):
            if kind == 0:
                yield frame


def mcap(path: Path) -> tuple[Give, End]:
    from mcap.writer import CompressionType, Writer

    file = path.open("wb")
    writer = Writer(file, compression=CompressionType.ZSTD)
    writer.start()
    schema = writer.register_schema("sbe", "", b"")
    channel = writer.register_channel("frames", "sbe", schema)

    def end() -> None:
        writer.finish()
        file.close()

    return lambda frame, now: writer.add_message(channel, now, frame, now), end


def mcap_frames(path: Path) -> Iterator[bytes]:
    from mcap.reader import make_reader

    with path.open("rb") as file:
        for *_, message in make_reader(file).iter_messages():
            yield message.data


def gzipped(path: Path) -> tuple[Give, End]:
    file = gzip.GzipFile(path, "wb", compresslevel=1)
    head = struct.Struct("<qI").pack
    return lambda frame, now: file.write(head(now, len(frame)) + frame) and None, file.close


def gzipped_frames(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        while True:
            try:
                head = file.read(12)
                frame = file.read(struct.unpack("<qI", head)[1])
            except (EOFError, struct.error):
                return
            yield frame


def arrow(path: Path) -> tuple[Give, End]:
    """As one writes it by hand: lists that become a batch."""
    import pyarrow as pa

    schema = pa.schema([("received_ns", pa.int64()), ("frame", pa.binary())])
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))
    writer = pa.ipc.new_file(str(path), schema, options=options)
    times: list[int] = []
    frames: list[bytes] = []

    def flush() -> None:
        columns = [pa.array(times, pa.int64()), pa.array(frames, pa.binary())]
        writer.write_batch(pa.record_batch(columns, schema=schema))
        times.clear()
        frames.clear()

    def give(frame: bytes, now: int) -> None:
        times.append(now)
        frames.append(frame)
        if len(times) == 2000:
            flush()

    def end() -> None:
        flush()
        writer.close()

    return give, end


def arrow_frames(path: Path) -> Iterator[bytes]:
    import pyarrow as pa

    with pa.ipc.open_file(str(path)) as reader:
        for i in range(reader.num_record_batches):
            yield from reader.get_batch(i)[1].to_pylist()


WAYS: dict[str, tuple[Any, Callable[[Path], Iterator[bytes]]]] = {
    "a tape": (tape, tape_frames),
    "pyarrow by hand, IPC file": (arrow, arrow_frames),
    "mcap, zstd": (mcap, mcap_frames),
    "gzip, level 1": (gzipped, gzipped_frames),
}


def write(name: str, path: Path, frames: list[bytes], is_endless: bool) -> None:
    give, end = WAYS[name][0](path)
    started = time.process_time()
    count = 0
    while True:
        for frame in frames:
            give(frame, time.time_ns())
            count += 1
            if is_endless and count % 1000 == 0:
                os.write(1, b"%d\n" % count)
                time.sleep(0.01)
        if not is_endless:
            break
    end()
    print(time.process_time() - started)


def run(name: str, path: Path, given: Path, is_endless: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--write", name, str(path), str(given)]
    command += ["--endless"] * is_endless
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def size_of(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def compare(name: str, folder: Path, given: Path, frames: list[bytes]) -> None:
    path, read = folder / name.replace(" ", "_"), WAYS[name][1]
    with run(name, path, given, False) as process:
        assert process.stdout is not None
        seconds = float(process.stdout.read())
    assert list(read(path)) == frames
    killed = path.with_name(f"{path.name}_killed")
    with run(name, killed, given, True) as process:
        assert process.stdout is not None
        last, until = 0, time.monotonic() + KILLED_AFTER + 1.0
        while time.monotonic() < until:
            last = int(process.stdout.readline() or last)
        process.send_signal(signal.SIGKILL)
        last = int((process.stdout.read().split() or [last])[-1])
    try:
        kept = str(last - min(sum(1 for _ in read(killed)), last))
    except Exception as error:  # which is what a user of it sees
        kept = f"all: {type(error).__name__}"
    rate, each = len(frames) / seconds / 1000, size_of(path) / len(frames)
    print(f"| {name} | {rate:,.0f} | {each:.1f} | {kept} of {last:,} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=int, nargs="?", default=200_000)
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--endless", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        name, path, given = options.write
        write(name, Path(path), pickle.loads(Path(given).read_bytes()), options.endless)
        return
    import data

    frames = data.best_bid_ask_frames(options.frames, symbols=400)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| way | thousand frames a second of processor time | bytes a frame | lost at kill -9 |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "frames"
        given.write_bytes(pickle.dumps(frames))
        for name in WAYS:
            compare(name, Path(folder), given, frames)


if __name__ == "__main__":
    main()
