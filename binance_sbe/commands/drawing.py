"""A recording as a picture: prices with trades, the spread, the depth, and the latency."""

from __future__ import annotations

import io
import textwrap
import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sbe_codegen.extras import imported

from ..output import shown
from .numbers import duration
from .recording import LATENCY_EDGES, NEAR, Recording

_BID, _ASK, _LINE, _SOFT = "#08734a", "#b92336", "#1c5fc4", "#5a6575"


def check() -> None:
    """MissingPackage where nothing can be drawn: before anything is recorded."""
    imported("matplotlib.figure", "binance-sbe plot", "plot")


def drawn(recording: Recording, title: str, ending: str) -> bytes:
    """The picture, as a file of that kind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=(1.6, 1, 1))
    prices = figure.add_subplot(grid[0, :])
    _prices(prices, recording)
    _spread(figure.add_subplot(grid[1, :], sharex=prices), recording)
    _depth(figure.add_subplot(grid[2, 0]), recording)
    _latency(figure.add_subplot(grid[2, 1]), recording)
    began = datetime.fromtimestamp(recording.began, UTC)
    when = f"{recording.seconds:.1f} s from {began:%Y-%m-%d %H:%M:%S} UTC"
    text = f"{shown(recording.symbol)}, {shown(title)}, {when}"
    figure.suptitle(text, parse_math=False, x=0.01, ha="left", weight="bold")
    account = f"{recording.messages:,} messages; {shown(recording.account)}"
    figure.supxlabel(
        textwrap.fill(account, 130), parse_math=False, x=0.01, ha="left", size=9, color=_SOFT
    )
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the font lacks a sign of a symbol
        figure.savefig(made, format=ending, dpi=120)
    return made.getvalue()


def _axes(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_title(title, loc="left", size=10)
    axes.set_xlabel(across, size=9)
    axes.set_ylabel(up, size=9)
    axes.tick_params(labelsize=8)
    axes.ticklabel_format(useOffset=False, axis="y")
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(axes: Any, place: str = "upper left") -> None:
    if axes.get_legend_handles_labels()[0]:
        columns = 5 if place == "upper left" else 1
        axes.legend(fontsize=8, ncols=columns, loc=place, framealpha=0.85, edgecolor="none")


def _breaks(axes: Any, recording: Recording) -> None:
    """Where a line goes on that nothing has brought."""
    label = "book not live: prices are old"
    for first, last in recording.breaks():
        axes.axvspan(first, last, color=_SOFT, alpha=0.2, lw=0, label=label)
        label = "_"  # in the legend once


def _of(every: int) -> str:
    """What is to be said of a series of which not all is there."""
    return "" if every == 1 else f" (one of {every})"


def _none(axes: Any, what: str) -> None:
    axes.text(0.5, 0.5, f"no {what} came", transform=axes.transAxes, ha="center", color=_SOFT)


def _prices(axes: Any, recording: Recording) -> None:
    if recording.tops:
        at, bid, ask = recording.tops.columns()
        many = _of(recording.tops.every)
        axes.step(at, bid, where="post", color=_BID, lw=0.9, label=f"best bid{many}")
        axes.step(at, ask, where="post", color=_ASK, lw=0.9, label=f"best ask{many}")
    if recording.trades:
        at, price, qty, is_buy = recording.trades.columns()
        size = 4 + 60 * qty / qty.max() if qty.max() > 0 else np.full(len(qty), 4.0)
        for bought, name, color in ((True, "buy", _BID), (False, "sell", _ASK)):
            of = is_buy == bought
            label = f"{name}, by quantity{_of(recording.trades.every)}"
            axes.scatter(
                at[of], price[of], s=size[of], color=color, alpha=0.35, lw=0, label=label, zorder=3
            )
    if not recording.tops and not recording.trades:
        _none(axes, "price and no trade")
    _breaks(axes, recording)
    _axes(axes, "prices and trades", "", "price")
    axes.set_xlim(0, recording.seconds)
    axes.margins(y=0.15)
    _legend(axes)


def _spread(axes: Any, recording: Recording) -> None:
    if recording.tops:
        at, bid, ask = recording.tops.columns()
        axes.step(at, ask - bid, where="post", color=_LINE, lw=0.9)
        axes.set_ylim(bottom=min(0.0, float((ask - bid).min())))
    else:
        _none(axes, "price")
    _breaks(axes, recording)
    _axes(axes, "spread: best ask less best bid", "seconds", "price")


def _depth(axes: Any, recording: Recording) -> None:
    at, bids, asks = recording.depths.columns()
    if np.isfinite(bids).any():
        for values, name, color in ((bids, "bids", _BID), (-asks, "asks, below 0", _ASK)):
            axes.fill_between(at, values, step="post", color=color, alpha=0.3, lw=0, label=name)
            axes.step(at, values, where="post", color=color, lw=0.9)
    else:
        _none(axes, "whole book")
    title = f"depth: quantity within {1e4 * NEAR:g} basis points of the mid"
    _axes(axes, title, "seconds (a gap: the book was not live)", "quantity")
    axes.set_xlim(0, recording.seconds)
    axes.margins(y=0.25)
    _legend(axes)


def _latency(axes: Any, recording: Recording) -> None:
    counts: NDArray[np.int64] = np.array(recording.latencies[:-1])
    if counts.sum():
        edges = np.concatenate(([LATENCY_EDGES[0] / 1.25], LATENCY_EDGES)) / 1e6
        axes.stairs(counts, edges, fill=True, color=_LINE, alpha=0.5)
        filled = np.nonzero(counts)[0]
        axes.set_xscale("log")
        axes.set_xlim(edges[filled[0]] / 1.5, edges[filled[-1] + 1] * 1.5)
        for (name, ns), style in zip(recording.percentiles.items(), ("-", "--", ":"), strict=False):
            label = f"{name} {duration(ns / 1e9)}"
            axes.axvline(max(ns / 1e6, edges[0]), color=_SOFT, ls=style, lw=1, label=label)
    else:
        _none(axes, "message")
    _axes(axes, "latency: exchange to here, by two clocks", "milliseconds", "messages")
    _legend(axes, "upper right")
