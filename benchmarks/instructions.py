"""Instructions per message, counted by valgrind: the same on every run, however busy the machine.

    python benchmarks/instructions.py             # the table, beside the committed one
    python benchmarks/instructions.py --update    # writes benchmarks/instructions.json anew

Every way runs in one process under callgrind, which writes its counters down at each call of
`getppid`, a function that nothing else calls: what lies between two calls is one way.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLE = HERE / "instructions.json"
TOLERANCE = 0.05
HANDLER = HERE / "noting_handler.pyx"  # in C: compiled where it is older than what it is made of
_MARK = "getppid"


Ways = dict[str, tuple[Callable[[], object], int]]


def compile_handler() -> None:
    subprocess.run(
        [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-q", str(HANDLER)],
        cwd=HERE.parent, env=os.environ | {"PYTHONPATH": str(HERE.parent)}, check=True,
    )  # fmt: skip


def feed_ways(frames: list[bytes]) -> Ways:
    """From the receive buffer to the consumer: what a feed does with one read of a socket."""
    import socket

    from burst_server import framed, rounds
    from noting_handler import Noting

    from binance_sbe.feed.intake.backlog import Backlog
    from binance_sbe.feed.intake.frame_queue import FrameQueue, policies
    from binance_sbe.feed.intake.handlers import Calls, FrameHandler
    from binance_sbe.feed.intake.stats import Stats
    from binance_sbe.feed.intake.streams import Source
    from binance_sbe.feed.ledger import Ledger
    from binance_sbe.feed.transport.poller import Poller
    from binance_sbe.feed.transport.reader import FrameReader
    from binance_sbe.feed.transport.wire import Wire

    # Many, so that what a feed is made of at first counts for little; ids go on from part to part.
    of_one = rounds([framed(2, frame) for frame in frames])
    read = b"".join(bytes(next(of_one)) for _ in range(10))
    count, size = 10 * len(frames), len(read) // (10 * len(frames))
    messages_of = [read[i : i + size] for i in range(0, len(read), size)]

    def opened() -> tuple[Backlog, FrameReader]:
        ledger = Ledger()
        queue = FrameQueue(10**6, policies("block"), ledger)
        backlog = Backlog(Stats(), ledger, queue, True, lambda: None)
        return backlog, FrameReader(backlog, Source(), None, None)

    def called(
        handler: Callable[[Any], object] | FrameHandler, reuse: bool = False
    ) -> Callable[[], int]:
        def run() -> int:
            backlog, reader = opened()
            backlog.call(Calls(handler, reuse, lambda error: None))
            reader.feed(read)
            return backlog.stats.frames

        return run

    def messages() -> int:
        backlog, reader = opened()
        reader.feed(read)
        for _ in range(count):
            backlog.next_message()
        return backlog.stats.frames

    def batches() -> object:
        backlog, reader = opened()
        backlog.gather(10_000)
        reader.feed(read)
        return backlog.hand_over()

    def singly() -> int:
        backlog, reader = opened()
        for frame in messages_of:
            backlog.gather(10_000)
            reader.feed(frame)
            backlog.hand_over()
        return backlog.stats.frames

    def wired() -> int:
        """One frame a read of the socket, as the thread of a feed without asyncio does it."""
        backlog, reader = opened()
        here, there = socket.socketpair()
        poller = Poller()
        wire = Wire(here, poller, lambda later: None, None)
        wire.set_protocol(reader)
        backlog.call(Calls(lambda message: None, False, lambda error: None))
        with here, there:
            for frame in messages_of:
                there.send(frame)
                poller.turn(1.0, False)
        return backlog.stats.frames

    return {
        "feed.run": (called(lambda message: None), count),
        "feed.run, reuse": (called(lambda message: None, reuse=True), count),
        "feed.run, in C": (called(Noting(2**62, False)), count),
        "feed, one message after the other": (messages, count),
        "feed, a batch of one read": (batches, count),
        "feed, a batch of each message": (singly, count),
        "sync, a read of each message": (wired, count),
    }


def ways() -> Ways:
    """What is counted: a function, and the messages that one call of it handles."""
    sys.path.insert(0, str(HERE))
    import numpy as np
    from data import best_bid_ask_frames, big_diff_frame, depth20_frames, single_trade_frames

    import binance_sbe
    from binance_sbe.feed.intake.backlog import Backlog
    from binance_sbe.feed.intake.frame_queue import FrameQueue, policies
    from binance_sbe.feed.intake.stats import Stats
    from binance_sbe.feed.intake.streams import Source
    from binance_sbe.feed.ledger import Ledger

    best = best_bid_ask_frames(400)
    many = best_bid_ask_frames(400, symbols=100)
    depth, trades, diff = depth20_frames(100), single_trade_frames(400), big_diff_frame(200)
    run = b"".join(best), np.cumsum([0, *map(len, best)], dtype=np.int64)
    decode, decode_many = binance_sbe.decode, binance_sbe.decode_many
    quote = binance_sbe.BestBidAskStreamEvent
    message: Any = decode(best[0])
    batch = decode_many(best)

    def each(handle: Callable[[bytes], object], frames: list[bytes]) -> Callable[[], None]:
        def loop() -> None:
            for frame in frames:
                handle(frame)

        return loop

    def collect() -> object:
        collector = binance_sbe.Collector()
        append = collector.append
        for frame in best:
            append(frame)
        return collector.take()

    def backlog() -> object:
        ledger, line = Ledger(), Source()
        queue = FrameQueue(10**6, policies("block"), ledger)
        box = Backlog(Stats(), ledger, queue, True, lambda: None)
        box.gather(1000)
        put = box.put
        for frame in best:
            put(frame, 1, line)
        return box.hand_over()

    def attributes() -> None:
        for _ in best:
            message.bid_price  # noqa: B018

    def floats() -> None:
        for _ in best:
            message.bid_price_float  # noqa: B018

    def tuples() -> None:
        for frame in best:
            decode(frame).astuple()

    def float_tuples() -> None:
        for frame in best:
            decode(frame).astuple_float()

    def views() -> None:
        for frame in depth:
            depth20: Any = decode(frame)
            depth20.bids, depth20.asks  # noqa: B018

    def scaled() -> None:
        for _ in range(20):
            event: Any = decode(diff)
            event.bids_float, event.asks_float  # noqa: B018

    return {
        "decode": (each(decode, best), 400),
        "decode + astuple": (tuples, 400),
        "decode + astuple_float": (float_tuples, 400),
        "unpack": (each(quote.unpack, best), 400),
        "wrap": (each(message.wrap, best), 400),
        "an attribute": (attributes, 400),
        "a float attribute": (floats, 400),
        "depth20: decode + both views": (views, 100),
        "diff 200 + 200: both sides as floats": (scaled, 20),
        "decode_many, list": (lambda: decode_many(best), 400),
        "decode_many, list, 100 symbols": (lambda: decode_many(many), 400),
        "decode_many, buffer + offsets": (lambda: decode_many(run), 400),
        "decode_many, depth20": (lambda: decode_many(depth), 100),
        "decode_many, single trades": (lambda: decode_many(trades), 400),
        "Collector.append": (collect, 400),
        "Backlog.put": (backlog, 400),
        "columns": (lambda: batch.columns(quote), 400),
        **feed_ways(best),
    }


def work() -> None:
    """What runs under callgrind."""
    mark = os.getppid
    gc.disable()
    mark()
    for run, _ in ways().values():
        for _ in range(3):
            run()  # caches fill, tables are made
        gc.collect()  # which is not to come while it counts
        mark()
        run()
        run()
        mark()


def count() -> dict[str, float]:
    """Instructions per message of each way. RuntimeError without valgrind."""
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind is not installed")
    compile_handler()
    script = str(Path(__file__).resolve())
    totals = counted_between_marks([sys.executable, "-I", script, "--work"])
    # First what prepares all, then of each way its preparations, and what counts.
    wanted = totals[1::2]
    return {
        name: round(total / 2 / messages, 1)
        for (name, (_, messages)), total in zip(ways().items(), wanted, strict=True)
    }


def counted_between_marks(command: list[str]) -> list[int]:
    """Instructions from each call of `os.getppid` to the next."""
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind is not installed")
    environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "counts"
        callgrind = [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
            f"--dump-before={_MARK}", "--combine-dumps=yes",
        ]  # fmt: skip
        done = subprocess.run(
            [*callgrind, *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        totals = [int(n) for n in re.findall(r"^totals: (\d+)", out.read_text(), re.MULTILINE)]
    return totals[1:-1]  # without what is before the first call and after the last


def machine() -> str:
    """What the counts depend on."""
    compiler = platform.python_compiler().split(".")[0]
    return f"{platform.machine()}, CPython {platform.python_version()}, {compiler}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--update", action="store_true", help=f"write {TABLE.name} anew")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work()
        return
    try:
        counted = count()
    except RuntimeError as error:
        sys.exit(str(error))
    before = json.loads(TABLE.read_text())["counts"] if TABLE.exists() else {}
    for name, now in counted.items():
        change = f"{now / before[name] - 1:+8.1%}" if name in before else "     new"
        print(f"{name:40} {now:10,.1f} {change}")
    if given.update:
        TABLE.write_text(json.dumps({"machine": machine(), "counts": counted}, indent=2) + "\n")


if __name__ == "__main__":
    main()
