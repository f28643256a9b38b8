"""One message at a time with objects that are taken again and without (SBE_REUSE=0), in turns.

    python benchmarks/reuse_cost.py

CPython 3.14 takes nothing again, and neither does who keeps all that is made: the second column is
for them. It needs no rivals. Both ways are proved to give the same values first.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COUNT = 20_000
TURNS = 15


def ways(frames: list[bytes]) -> dict[str, Callable[[], None]]:
    import binance_sbe

    decode: Any = binance_sbe.decode
    message = decode(frames[0])
    unpack, wrap = type(message).unpack, message.wrap

    def alone() -> None:
        for frame in frames:
            decode(frame)

    def tuples() -> None:
        for frame in frames:
            decode(frame).astuple()

    def float_tuples() -> None:
        for frame in frames:
            decode(frame).astuple_float()

    def unpacked() -> None:
        for frame in frames:
            unpack(frame)

    def wrapped() -> None:
        for frame in frames:
            wrap(frame)

    def two_fields() -> None:
        for frame in frames:
            made = decode(frame)
            made.bid_price  # noqa: B018
            made.ask_price  # noqa: B018

    def two_floats() -> None:
        for frame in frames:
            made = decode(frame)
            made.bid_price_float  # noqa: B018
            made.ask_price_float  # noqa: B018

    def kept() -> None:
        all_of_them = []
        for frame in frames:
            all_of_them.append(decode(frame).astuple())  # as a consumer would

    return {
        "decode + astuple": tuples,
        "decode + astuple_float": float_tuples,
        "decode + astuple, all of them kept": kept,
        "decode alone": alone,
        "unpack": unpacked,
        "wrap": wrapped,
        "decode + two fields": two_fields,
        "decode + two floats": two_floats,
    }


def work() -> None:
    """What runs in a process of its own: a proof of the values, and ns a message of each way."""
    from data import best_bid_ask_frames

    import binance_sbe
    from sbe_codegen.runtime.decode.values import reuses

    frames = best_bid_ask_frames(COUNT)
    digest = hashlib.sha256()
    for frame in frames:
        message: Any = binance_sbe.decode(frame)
        values = (message.astuple(), message.astuple_float(), type(message).unpack(frame))
        fields = (message.bid_price, message.ask_price_float, message.to_dict())
        digest.update(repr((values, fields)).encode())
    found = {}
    for name, way in ways(frames).items():
        times = []
        for _ in range(5):
            start = time.perf_counter_ns()
            way()
            times.append(time.perf_counter_ns() - start)
        found[name] = min(times) / COUNT
    print(json.dumps({"reuses": reuses(), "proof": digest.hexdigest(), "ns": found}))


def measured(switch: str) -> dict[str, Any]:
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, __file__, "--work"], capture_output=True, text=True, check=True,
        env=os.environ | {"SBE_REUSE": switch, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path},
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    turns = [(measured("1"), measured("0")) for _ in range(TURNS)]
    proofs = {each["proof"] for turn in turns for each in turn}
    if len(proofs) != 1:
        raise SystemExit("the two ways give other values")
    if any(without["reuses"] for _, without in turns) or not all(w["reuses"] for w, _ in turns):
        raise SystemExit("this build or interpreter takes nothing again: nothing to compare")
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores "
        f"of {platform.machine()}; ns a message, medians of {TURNS} turns; ratio, quartiles.\n"
    )
    print("| way | ns | ns with SBE_REUSE=0 | ratio | quartiles |\n|---|---|---|---|---|")
    for name in turns[0][0]["ns"]:
        both = [(one["ns"][name], other["ns"][name]) for one, other in turns]
        reused, anew = (statistics.median(of) for of in zip(*both, strict=True))
        low, middle, high = statistics.quantiles([b / a for a, b in both])
        print(f"| {name} | {reused:.0f} | {anew:.0f} | {middle:.2f} | {low:.2f} to {high:.2f} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["--work"]:
        work()
    else:
        main()
