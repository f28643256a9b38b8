"""The figures of results/figures.json as SVG.

.bench-venv/bin/python benchmarks/plots.py      draws them again
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter

OURS, THEIRS, FLOOR = "#1f6f8b", "#c9c9c9", "#e0a458"
Ways = dict[str, dict[str, float]]

plt.rcParams |= {
    "svg.hashsalt": "binance-sbe", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "figure.facecolor": "white",
}  # fmt: skip


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def bars(axes: Any, title: str, ways: Ways, unit: str) -> None:
    """One bar a way, the fastest on top, on a logarithmic scale, each with its number."""
    ordered = sorted(ways.items(), key=lambda item: -item[1]["ns"])
    names = [name.removeprefix("binance_sbe ") for name, _ in ordered]
    values = [found["ns"] for _, found in ordered]
    floors = ("memcpy", "raw socket", "an empty")
    colours = [
        FLOOR
        if any(each in name for each in floors)
        else OURS
        if name.startswith(("binance_sbe", "feed"))
        else THEIRS
        for name, _ in ordered
    ]
    axes.barh(names, values, color=colours)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(min(values) / 1.5, max(values) * 4)
    for i, value in enumerate(values):
        axes.text(value * 1.1, i, f"{value:,.0f}", va="center")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=9)
    axes.set_xlabel(unit)


def stacked(groups: dict[str, Ways], wanted: list[str], unit: str, path: Path) -> None:
    chosen = [(title, groups[title]) for title in wanted]
    heights = [len(ways) for _, ways in chosen]
    figure, axes = plt.subplots(
        len(chosen), 1, figsize=(7.5, 0.27 * sum(heights) + 0.9 * len(chosen)),
        height_ratios=heights, squeeze=False,
    )  # fmt: skip
    for each, (title, ways) in zip(axes[:, 0], chosen, strict=True):
        bars(each, title, ways, unit)
    figure.tight_layout()
    _save(figure, path)


def growth(groups: dict[str, Ways], path: Path) -> None:
    """Whole calls by size, beside a straight line through the largest."""
    chosen = [(title, ways) for title, ways in groups.items() if title.startswith("growth")]
    figure, axes = plt.subplots(1, len(chosen), figsize=(10, 2.8))
    for each, (title, ways) in zip(axes, chosen, strict=True):
        what = title.removeprefix("growth: ")
        sizes = [found["size"] for found in ways.values()]
        is_symbols = what.startswith("symbols")
        entries = 2 if what.startswith("levels") else 1  # a level a side is two of them
        values = [
            found["ns"] if is_symbols else found["ns"] * found["size"] * entries / 1e3
            for found in ways.values()
        ]
        each.plot(sizes, values, "o-", color=OURS)
        if not is_symbols:
            end = sizes[-1], values[-1]
            each.plot([sizes[0], end[0]], [end[1] * sizes[0] / end[0], end[1]], "--", color=THEIRS)
            each.set_yscale("log")
        else:
            each.set_ylim(0)
        each.set_xscale("log")
        each.set_title(what, loc="left", fontsize=9, fontweight="bold")
        each.set_xlabel(what.partition(",")[0])
        unit = "us a diff" if entries == 2 else "us a call"
        each.set_ylabel("ns a message" if is_symbols else f"{unit} (dashed: linear)")
    figure.tight_layout()
    _save(figure, path)


def percentiles(
    groups: dict[str, dict[str, tuple[float, ...]]], ours: dict[str, bool], path: Path
) -> None:
    """A line a way from its median to its 99th percentile, with a mark at the 90th."""
    tallest = max(len(ways) for ways in groups.values())
    figure, axes = plt.subplots(
        1, len(groups), figsize=(5.5 * len(groups), 0.24 * tallest + 0.9), squeeze=False
    )
    for each, (title, ways) in zip(axes[0], groups.items(), strict=True):
        ordered = sorted(ways.items(), key=lambda item: -item[1][0])
        for i, (name, (middle, high, highest)) in enumerate(ordered):
            colour = OURS if ours[name] else "#8a8a8a"
            each.plot([middle, highest], [i, i], "-", color=colour, linewidth=1)
            each.plot([middle], [i], "o", color=colour, markersize=5)
            each.plot([high, highest], [i, i], "|", color=colour, markersize=7)
            each.text(highest * 1.08, i, f"{middle:,.0f}", va="center", fontsize=7, color=colour)
        each.set_yticks(range(len(ordered)), [name for name, _ in ordered])
        each.set_xscale("log")
        each.xaxis.set_minor_formatter(NullFormatter())
        each.set_title(title, loc="left", fontweight="bold", fontsize=9)
        each.set_xlabel("p50 (dot, and its number), p90, p99; less is better")
    figure.tight_layout()
    _save(figure, path)


def draw(groups: dict[str, Ways], results: Path) -> None:
    def starting(*beginnings: str) -> list[str]:
        return [title for title in groups if title.startswith(beginnings)]

    messages = starting("bestBidAsk: one", "depth20: one", "depth: one")
    stacked(groups, messages, "ns a message, less is better", results / "messages.svg")
    batches = [
        title for title in groups if "to record arrays" in title or "to a record array" in title
    ]
    stacked(groups, batches, "ns a message, less is better", results / "batches.svg")
    sockets = starting("bestBidAsk from a socket")
    stacked(groups, sockets, "ns of CPU a message, less is better", results / "socket.svg")
    growth(groups, results / "growth.svg")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent / "results"
    draw(json.loads((here / "figures.json").read_text(encoding="utf-8")), here)
