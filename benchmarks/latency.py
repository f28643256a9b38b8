"""How long from the exchange's send to a handler, and what a message costs: ours and others.

    make latency                            builds what it needs, and runs all of it
    .bench-venv/bin/python benchmarks/latency.py [--rounds 7] [--seconds 2] [-k PART] [--tcp|--tls]

Two things, over TCP and over TLS. Paced: 1,000 events a second, each sent alone; the time from
before it is sent until the handler is called, and the CPU of the receiving thread. Burst: all at
once, as fast as they are taken; the CPU of the receiving thread.

Equal results are proved first. All ways take turns, round after round; a ratio is that to picows
with asyncio in the same round, and quartiles are of the rounds. Whole runs
write results/latency.md and .svg.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import latency_report
import numpy as np
import trustme
from latency_seen import BURST, PACED, PROOF, Seen
from latency_ways import Target, Way, ways

HERE = Path(__file__).resolve().parent
RATE = 1_000
PROVED = 25_000  # messages of the proof
SKIPPED = 0.1  # s of the beginning of a paced run, where caches are cold

Found = dict[tuple[str, str], list[dict[str, float]]]  # (transport, way) -> of each round


class Server:
    """The process that sends; it serves one run after the other."""

    def __init__(self, process: subprocess.Popen[str], context: ssl.SSLContext) -> None:
        self._process = process
        self._context = context
        assert process.stdout is not None
        self._port = int(process.stdout.readline())

    def run(self, way: Way, kind: str, transport: str, count: int) -> Seen:
        """One way once. SystemExit where it saw other messages than were sent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        tls = transport == "TLS"
        wanted = {"count": count, "rate": RATE if kind == PACED else 0, "tls": tls}
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        seen = Seen(kind, count)
        gc.collect()
        way.run(Target(self._port, self._context if tls else None), seen)
        sent = json.loads(self._process.stdout.readline())
        for name, value in seen.sums().items():
            if value != sent.get(name):
                raise SystemExit(f"{way.name}, {kind}, {transport}: {seen.sums()}, sent {sent}")
        return seen


@contextlib.contextmanager
def served() -> Iterator[Server]:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with tempfile.TemporaryDirectory() as directory:
        certificate = Path(directory) / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        with subprocess.Popen(
            [sys.executable, str(HERE / "latency_server.py"), str(certificate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                yield Server(process, context)
            finally:
                process.kill()


def paced(seen: Seen) -> dict[str, float]:
    late = (np.array(seen.came) - np.array(seen.sent))[int(SKIPPED * RATE) :] / 1e3
    p50, p90, p99 = np.percentile(late, (50, 90, 99))
    return {"p50": p50, "p90": p90, "p99": p99, "CPU": seen.cpu / seen.count / 1e3}


def measured(server: Server, way: Way, transport: str, seconds: float) -> dict[str, float]:
    """Times in us, and of a burst the CPU in ns a message."""
    found: dict[str, float] = {}
    if PACED in way.kinds:
        found |= paced(server.run(way, PACED, transport, int(RATE * seconds)))
    if BURST in way.kinds:
        found["burst"] = server.run(way, BURST, transport, way.many).cpu / way.many
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="From the exchange's send to a handler.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each paced run")
    parser.add_argument("-k", default="", help="ways with this in their names, and picows")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--tcp", action="store_true", help="without TLS only")
    only.add_argument("--tls", action="store_true", help="with TLS only")
    parser.add_argument("--no-results", action="store_true", help="write no files")
    given = parser.parse_args()
    transports = ["TCP"] if given.tcp else ["TLS"] if given.tls else ["TCP", "TLS"]
    all_ways = ways()
    chosen = [each for i, each in enumerate(all_ways) if i == 0 or given.k in each.name]
    turns = [(t, way) for t in transports for way in chosen if t == "TCP" or way.tls]
    found: Found = {(transport, way.name): [] for transport, way in turns}
    with served() as server:
        for transport, way in turns:
            server.run(way, PROOF, transport, PROVED)
        print(f"{len(turns)} ways saw the same {PROVED:,} messages", file=sys.stderr)
        for i in range(given.rounds):
            for transport, way in turns if i % 2 == 0 else turns[::-1]:
                here = measured(server, way, transport, given.seconds)
                found[transport, way.name].append(here)
            print(f"round {i + 1} of {given.rounds} is done", file=sys.stderr, flush=True)
    whole = not given.k and len(transports) == 2 and not given.no_results
    lines = latency_report.lines(found, given.rounds, given.seconds, RATE)
    print("\n".join(lines))
    if whole:
        ours: dict[str, Any] = {way.name: way.ours for way in chosen}
        latency_report.write(found, ours, lines)


if __name__ == "__main__":
    main()
