"""What it costs to make an archive of tapes, on one core.

    .venv/bin/python benchmarks/lake_cost.py [FRAMES] [--hftbacktest PYTHON] [--out FILE]

Tapes are zstd, of bestBidAsk of 400 symbols and of depth with 40 levels an event, with random
prices and quantities. Before anything is timed the rows are compared with the frames. Each figure
is the median of some rounds, of processor time; ``--hftbacktest`` names an interpreter that has
the package, whose own converter then reads the JSON of the same events.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import resource
import shutil
import statistics
import struct
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
sys.path[:0] = [str(HERE.parent)]

from binance_sbe import decode_many, lake, spot_stream  # noqa: E402
from binance_sbe.lake import plan  # noqa: E402
from binance_sbe.lake.source import read  # noqa: E402
from binance_sbe.tape import Recorder, Recording  # noqa: E402

ROUNDS = 5
START = 1_800_000_000  # s since 1970
LEVELS = 20  # of each side
ENTRY = np.dtype([("price", "<i8"), ("qty", "<i8")])
BEST = np.dtype(
    [("head", "<u8"), ("time", "<i8"), ("id", "<i8"), ("pe", "i1"), ("qe", "i1"), ("bp", "<i8"),
     ("bq", "<i8"), ("ap", "<i8"), ("aq", "<i8"), ("length", "u1"), ("symbol", "S8")]
)  # fmt: skip
DIFF = np.dtype(
    [("head", "<u8"), ("time", "<i8"), ("first", "<i8"), ("last", "<i8"), ("pe", "i1"),
     ("qe", "i1"), ("bl", "<u2"), ("bn", "<u2"), ("bids", ENTRY, (LEVELS,)), ("al", "<u2"),
     ("an", "<u2"), ("asks", ENTRY, (LEVELS,)), ("length", "u1"), ("symbol", "S8")]
)  # fmt: skip


def frames(dtype: Any, count: int, symbols: int, seed: int = 1) -> Any:
    """``count`` frames as records of their bytes."""
    chance = np.random.default_rng(seed)
    made = np.zeros(count, dtype)
    block, template = (50, 10001) if dtype is BEST else (26, 10003)
    made["head"] = struct.unpack("<Q", struct.pack("<HHHH", block, template, 1, 0))[0]
    made["time"] = START * 10**6 + np.arange(count) * (20 if dtype is BEST else 500)
    made["pe"], made["qe"], made["length"] = -2, -8, 8
    which = chance.zipf(1.3, count) % symbols
    names = np.array([f"S{i:03d}USDT" for i in range(symbols)], "S8")
    made["symbol"] = names[which]
    ids = 10**10 + np.cumsum(chance.integers(1, 5, count))
    price = 9_412_345 + np.cumsum(chance.integers(-1, 2, count))

    def quantities(shape: Any) -> Any:
        return np.round(chance.lognormal(1, 2, shape) * 1e5).astype(np.int64) * 1000

    if dtype is BEST:
        made["id"], made["bp"], made["ap"] = ids, price, price + 1
        made["bq"], made["aq"] = quantities(count), quantities(count)
        return made
    made["last"] = ids
    for number in range(symbols):
        mine = np.flatnonzero(which == number)
        made["first"][mine[1:]] = ids[mine[:-1]] + 1
        made["first"][mine[:1]] = ids[mine[:1]]
    made["bl"] = made["al"] = ENTRY.itemsize
    made["bn"] = made["an"] = LEVELS
    for side, sign in (("bids", -1), ("asks", 1)):
        steps = np.sort(chance.integers(1, 3000, (count, LEVELS)), axis=1)
        made[side]["price"] = price[:, None] + sign * steps
        gone = chance.random((count, LEVELS)) < 0.3
        made[side]["qty"] = np.where(gone, 0, quantities((count, LEVELS)))
    return made


def tape(path: Path, records: Any) -> Path:
    recorder = Recorder(Recording(path, memory_limit=1 << 30, min_free=0))
    recorder.begin("ws://exchange:1", ["a@bestBidAsk"])
    data, size = records.tobytes(), records.dtype.itemsize
    times = (records["time"] * 1000 + 3_000_000).tolist()
    for i, at in enumerate(times):
        recorder.tap.put(at, 1, 0, data[i * size : (i + 1) * size])
        if i % 200_000 == 0:
            recorder.flush(60)
    recorder.close()
    return path


def timed(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Seconds of this process's processor time, the median."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return statistics.median(found)


class Bench:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.lines: list[str] = []
        self.grown: list[tuple[int, float]] = []

    def say(self, text: str) -> None:
        print(text, flush=True)
        self.lines.append(text)

    def convert(self, tapes: Any, **options: Any) -> Any:
        out = self.place / "out"
        shutil.rmtree(out, ignore_errors=True)
        done = lake.convert(tapes, out, **options)
        assert done.is_whole, done.problems
        return done

    def best(self, count: int) -> None:
        records = frames(BEST, count, 400)
        path = tape(self.place / "best", records)
        size = sum(file.stat().st_size for file in path.glob("*.arrow"))
        self.convert(path)
        table = lake.scan(self.place / "out", "best_bid_ask", engine="arrow").to_table()
        table = table.sort_by("book_update_id")
        assert table["book_update_id"].to_pylist() == records["id"].tolist()
        assert table["ask_price"].to_pylist() == (records["ap"] / 100).tolist()
        written = sum(file.stat().st_size for file in (self.place / "out").rglob("*.parquet"))
        units = plan.planned([str(path)]).units
        reading = timed(lambda: [read(unit) for unit in units])
        offsets = np.arange(count + 1, dtype=np.int64) * BEST.itemsize
        data = records.tobytes()
        decoding = timed(lambda: decode_many((data, offsets)))
        whole = timed(lambda: self.convert(path))
        self.say(f"| bestBidAsk, {count:,} frames, 400 symbols | | |")
        for name, seconds in (
            ("`decode_many` of one buffer", decoding),
            ("tape (zstd, check sums) to tables", reading),
            ("tape to Parquet", whole),
        ):
            self.say(f"| {name} | {seconds / count * 1e9:.0f} ns a frame | "
                     f"{count / seconds / 1e6:.2f} million a second |")  # fmt: skip
        self.say(f"| bytes a frame | tape {size / count:.1f} | Parquet {written / count:.1f} |")

    def depth(self, count: int) -> None:
        records = frames(DIFF, count, 40)
        path = tape(self.place / "depth", records)
        levels = count * 2 * LEVELS
        for name in ("flat", "nested"):
            self.convert(path, levels=name)
            seconds = timed(lambda name=name: self.convert(path, levels=name))  # type: ignore[misc]
            self.say(f"| depth, levels {name}, to Parquet | {seconds / levels * 1e9:.0f} ns a "
                     f"level | {levels / seconds / 1e6:.1f} million a second |")  # fmt: skip
        units = plan.planned([str(path)]).units
        seconds = timed(lambda: [read(unit) for unit in units])
        self.say(f"| depth, tape to tables | {seconds / levels * 1e9:.0f} ns a level | "
                 f"{levels / seconds / 1e6:.1f} million a second |")  # fmt: skip

    def processes(self, count: int) -> None:
        """Wall clock, where nothing else runs on the machine."""
        tapes = []
        for i in range(2):
            records = frames(BEST, count, 400, seed=i)
            records["time"] += i * 86_400 * 10**6
            tapes.append(tape(self.place / f"two-{i}", records))
        found = {}
        for name, workers in (("one", 1), ("two", 2)):
            code = (
                "import sys, time, pyarrow as pa; pa.set_cpu_count(1)\n"
                "from concurrent.futures import ProcessPoolExecutor as Pool\n"
                "from binance_sbe.lake.bulk import convert\n"
                "import pyarrow.compute, pyarrow.parquet\n"
                "def main():\n"
                f"    with Pool({workers}) as pool:\n"
                "        list(pool.map(time.sleep, [0.2] * 8))\n"
                "        began = time.monotonic()\n"
                f"        convert({[str(t) for t in tapes]!r}, sys.argv[1], executor=pool)\n"
                "        print(time.monotonic() - began)\n"
                "main()\n"
            )
            times = []
            for _ in range(3):
                out = self.place / "out"
                shutil.rmtree(out, ignore_errors=True)
                done = subprocess.run(
                    [sys.executable, "-c", code, str(out)], capture_output=True, text=True,
                    check=True, cwd=HERE.parent,
                )  # fmt: skip
                times.append(float(done.stdout))
            found[name] = statistics.median(times)
        self.say(f"| two processes | {found['one'] / found['two']:.2f} times as fast as one | "
                 f"{2 * count:,} frames of two tapes, wall clock |")  # fmt: skip

    def growth(self, counts: list[int]) -> None:
        for count in counts:
            path = tape(self.place / f"growth-{count}", frames(BEST, count, 400))
            code = (
                "import sys, time, re, pathlib\nimport pyarrow.compute, pyarrow.parquet\n"
                "from binance_sbe.lake.bulk import convert\n"
                "began = time.process_time()\nconvert(*sys.argv[1:])\n"
                "print(time.process_time() - began, "
                "re.search(r'VmHWM:\\s+(\\d+)', "
                "pathlib.Path('/proc/self/status').read_text())[1])\n"
            )
            out = self.place / "out"
            shutil.rmtree(out, ignore_errors=True)
            done = subprocess.run([sys.executable, "-c", code, path, out], capture_output=True,
                                  text=True, check=True, cwd=HERE.parent)  # fmt: skip
            seconds, peak = map(float, done.stdout.split())
            self.grown.append((count, seconds))
            self.say(f"| {count:,} frames to Parquet | {seconds / count * 1e9:.0f} ns a frame | "
                     f"at most {peak / 1024:.0f} MB of memory |")  # fmt: skip
            shutil.rmtree(path)

    def hftbacktest(self, python: str, count: int) -> None:
        records = frames(DIFF, count, 1)
        path = tape(self.place / "hft", records)
        lines = self.place / "events.gz"
        with gzip.open(lines, "wt", compresslevel=1) as file:
            for message in spot_messages(records):
                (event,) = [message.to_json_dict()]
                event |= {"T": event["E"], "pu": event["U"] - 1}
                wrapped = {"stream": "s000usdt@depth", "data": event}
                file.write(f"{message.event_time * 1000 + 3_000_000} {json.dumps(wrapped)}\n")
        code = (
            "import sys, time\nfrom hftbacktest.data.utils import binancefutures\n"
            "import numpy as np\n"
            "args = dict(buffer_size=int(sys.argv[3]))\n"
            "began = time.process_time()\n"
            "data = binancefutures.convert(sys.argv[1], sys.argv[2], **args)\n"
            "print('took', time.process_time() - began, len(data))\n"
        )
        rows = count * 2 * LEVELS
        theirs, numbers = [], 0
        for _ in range(2):  # the first compiles
            done = subprocess.run(
                [python, "-c", code, lines, self.place / "theirs.npz", str(rows + 1000)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            _, took, number = done.stdout.splitlines()[-1].split()
            theirs.append(float(took))
            numbers = int(number)
        ours = timed(lambda: self.convert(path, format="hftbacktest"))
        (name,) = self.convert(path, format="hftbacktest").files
        made = np.load(self.place / "out" / name)["data"]
        other = np.load(self.place / "theirs.npz")["data"]
        assert len(made) == numbers == rows
        for key in ("ev", "px", "qty"):
            assert (made[key] == other[key]).all(), key
        self.say(f"| hftbacktest, {rows:,} rows | {ours / rows * 1e9:.0f} ns a row | "
                 f"{min(theirs) / ours:.0f} times as fast as its own converter, which takes "
                 f"{min(theirs) / rows * 1e9:,.0f} ns |")  # fmt: skip


def draw(grown: list[tuple[int, float]], path: Path) -> None:
    """Seconds over frames, and the line through the first and the last."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams |= {"svg.hashsalt": "binance-sbe", "font.size": 9}
    figure, axes = plt.subplots(figsize=(5, 3))
    counts, seconds = zip(*grown, strict=True)
    axes.plot([each / 1e6 for each in counts], seconds, "o-", color="#1f6f8b")
    ends = [0, -1]
    line = [counts[i] / 1e6 for i in ends], [seconds[i] for i in ends]
    axes.plot(*line, "--", color="#c9c9c9", label="a straight line")
    axes.set(xlabel="million frames of bestBidAsk", ylabel="seconds of one core", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def spot_messages(records: Any) -> Any:
    data, size = records.tobytes(), records.dtype.itemsize
    for i in range(len(records)):
        yield spot_stream.decode(data[i * size : (i + 1) * size])


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    given.add_argument("frames", type=int, nargs="?", default=1_000_000)
    given.add_argument("--hftbacktest", metavar="PYTHON")
    given.add_argument("--out", type=Path)
    options = given.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place))
        bench.say("| what | cost | rate |")
        bench.say("|---|---|---|")
        bench.best(options.frames)
        bench.depth(options.frames // 20)
        bench.processes(options.frames)
        if options.hftbacktest:
            bench.hftbacktest(options.hftbacktest, options.frames // 50)
        bench.growth([options.frames * n // 4 for n in (1, 2, 4, 8, 16)])
        bench.say("")
        bench.say(
            f"{platform.processor() or platform.machine()}, CPython {platform.python_version()}, "
            f"numpy {np.__version__}, pyarrow {pa.__version__}; most memory of this process "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB; load of the "
            f"machine, of {os.cpu_count()} cores: {os.getloadavg()[1]:.1f}"
        )
    if options.out is not None:
        about = f"Tapes are{(__doc__ or '').partition('Tapes are')[2]}"
        text = ["# What it costs to make an archive", "", about, *bench.lines]
        options.out.write_text("\n".join(text) + "\n", encoding="utf-8")
        draw(bench.grown, options.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
