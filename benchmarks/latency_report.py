"""What latency.py has measured: tables in Markdown, what is aimed at, and a picture."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PICOWS = "picows, decode of each"
WEBSOCKETS = "websockets, decode of each"
RAW = "raw socket, Cython"
COLUMNS = ("p50", "p90", "p99", "CPU")

Found = dict[tuple[str, str], list[dict[str, float]]]

# What is aimed at: way, column, transport, the way that it is compared with, its transport, and
# the ratio that is not to be exceeded.
AIMS = [
    *[("sync run", "p50", each, PICOWS, each, 0.85) for each in ("TCP", "TLS")],
    ("sync run, spin", "p50", "TCP", PICOWS, "TCP", 0.55),
    *[
        ("run", column, each, PICOWS, each, most)
        for each in ("TCP", "TLS")
        for column, most in (("p50", 1.05), ("CPU", 1.0))
    ],
    *[("async for", "p50", each, PICOWS, each, 1.2) for each in ("TCP", "TLS")],
    *[("batches(max_delay=0)", "p50", each, PICOWS, each, 1.3) for each in ("TCP", "TLS")],
    ("batches()", "burst", "TCP", RAW, "TCP", 2.0),
    ("sync batches()", "burst", "TCP", RAW, "TCP", 2.0),
    ("run, reuse", "burst", "TCP", RAW, "TCP", 8.6),
    ("sync run, reuse", "burst", "TCP", RAW, "TCP", 8.6),
    ("async for", "burst", "TCP", RAW, "TCP", 31.0),
    *[
        (each, "burst", "TLS", each, "TCP", 1.6)
        for each in ("batches()", "run", "run, reuse", "async for", "sync batches()", "sync run",
                     "sync run, reuse")
    ],
]  # fmt: skip


def machine() -> str:
    names = ("picows", "aiohttp", "websockets", "uvloop", "aiofastnet", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()}"
    return f"{python}, {os.cpu_count()} cores of {platform.machine()}, {system}; {versions}"


def ratios(rounds: list[dict[str, float]], others: list[dict[str, float]], column: str) -> str:
    """Median and quartiles, of the same rounds."""
    low, middle, high = quartiles(rounds, others, column)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def quartiles(
    rounds: list[dict[str, float]], others: list[dict[str, float]], column: str
) -> tuple[float, float, float]:
    found = [a[column] / b[column] for a, b in zip(rounds, others, strict=True)]
    if len(found) == 1:
        return found[0], found[0], found[0]
    low, middle, high = statistics.quantiles(found, method="inclusive")
    return low, middle, high


def median(rounds: list[dict[str, float]], column: str) -> float:
    return statistics.median(each[column] for each in rounds)


def ways_of(found: Found, transport: str, column: str) -> dict[str, list[dict[str, float]]]:
    return {
        name: rounds
        for (each, name), rounds in found.items()
        if each == transport and column in rounds[0]
    }


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
        *["| " + " | ".join(row) + " |" for row in rows],
    ]


def paced_table(found: Found, transport: str) -> list[str]:
    ways = ways_of(found, transport, "p50")
    base = ways[PICOWS]
    rows = [
        [
            name,
            *[f"{median(rounds, column):.0f}" for column in COLUMNS],
            *[ratios(rounds, base, column) for column in ("p50", "CPU")],
        ]
        for name, rounds in ways.items()
    ]
    head = ["way", "p50, us", "p90, us", "p99, us", "CPU a message, us"]
    return table([*head, "p50 to picows (quartiles)", "CPU to picows (quartiles)"], rows)


def burst_table(found: Found, transport: str) -> list[str]:
    ways = ways_of(found, transport, "burst")
    others: Callable[[str], list[dict[str, float]] | None]
    if transport == "TCP":
        last, others = "to the raw reader (quartiles)", lambda _: ways.get(RAW)
    else:
        last, others = "to itself over TCP (quartiles)", lambda name: found.get(("TCP", name))
    rows = []
    for name, rounds in ways.items():
        other = others(name)
        rows.append(
            [
                name,
                f"{median(rounds, 'burst'):,.0f}",
                ratios(rounds, ways[PICOWS], "burst"),
                "" if other is None else ratios(rounds, other, "burst"),
            ]
        )
    return table(["way", "CPU a message, ns", "to picows (quartiles)", last], rows)


def aims_table(found: Found) -> list[str]:
    rows = []
    for name, column, transport, other, others_transport, most in AIMS:
        if (transport, name) not in found or (others_transport, other) not in found:
            continue
        pair = found[transport, name], found[others_transport, other]
        middle = quartiles(*pair, column)[1]
        rows.append(
            [
                f"{name}, {transport}",
                column if column != "burst" else "burst, CPU",
                other if other != name else f"itself over {others_transport}",
                f"{most:g}",
                ratios(*pair, column),
                "yes" if middle <= most else "**no**",
            ]
        )
    rows += slower_than_websockets(found)
    return table(["way", "of", "beside", "at most", "found (quartiles)", "met"], rows)


def slower_than_websockets(found: Found) -> list[list[str]]:
    """None of ours is to be, whatever the loop: those are shown whose lower quartile is slower.

    What spins takes a core by intention.
    """
    ours = [
        (transport, name)
        for transport, name in found
        if name.startswith(("sync", "run", "async for", "batches"))
    ]
    rows, worst = [], 0.0
    for transport, name in ours:
        others = found.get((transport, WEBSOCKETS))
        for column in found[transport, name][0]:
            if others is None or (column == "CPU" and "spin" in name):
                continue
            pair = found[transport, name], others
            low = quartiles(*pair, column)[0]
            worst = max(worst, low)
            if low > 1:
                found_here = ratios(*pair, column)
                rows.append([f"{name}, {transport}", column, WEBSOCKETS, "1", found_here, "**no**"])
    if worst and not rows:
        rows = [
            [
                "each of ours",
                "all",
                WEBSOCKETS,
                "1",
                f"{worst:.2f}, the highest of the lower quartiles",
                "yes",
            ]
        ]
    return rows


def lines(found: Found, rounds: int, seconds: float, rate: int) -> list[str]:
    made = [
        "# Send to handler, and CPU a message",
        "",
        f"{machine()}. Medians of {rounds} rounds in which all ways took turns; ratios are within "
        "a round. Written by `benchmarks/latency.py`.",
    ]
    for transport in dict.fromkeys(transport for transport, _ in found):
        if (transport, PICOWS) not in found:
            continue
        made += ["", f"## {rate:,} events a second for {seconds:g} s, {transport}", ""]
        made += paced_table(found, transport)
        made += ["", f"## Burst, {transport}", ""]
        made += burst_table(found, transport)
    return [*made, "", "## What is aimed at", "", *aims_table(found), ""]


def write(found: Found, ours: dict[str, bool], text: list[str]) -> None:
    import plots

    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latency.md").write_text("\n".join(text), encoding="utf-8")
    shown = {
        f"{transport}: send to handler at 1,000 events a second, us": {
            name: tuple(median(rounds, column) for column in COLUMNS[:3])
            for name, rounds in ways_of(found, transport, "p50").items()
        }
        for transport in dict.fromkeys(transport for transport, _ in found)
    }
    plots.percentiles(shown, ours, RESULTS / "latency.svg")
