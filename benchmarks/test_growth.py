"""Cost by size: twice as much takes twice as long. The curves are in results/growth.svg."""

from __future__ import annotations

from typing import Any

import pytest
from data import best_bid_ask_frames, big_diff_frame

import binance_sbe

LEVELS = (1, 10, 100, 1000)
FRAMES = (1_000, 10_000, 100_000)
SYMBOLS = (1, 10, 100, 1000)
_BASE = best_bid_ask_frames(5_000)


@pytest.mark.benchmark(group="growth: levels a side, decode_many of 100 diffs")
@pytest.mark.parametrize("levels", LEVELS)
def test_levels(benchmark: Any, levels: int) -> None:
    frames = [big_diff_frame(levels)] * 100
    benchmark.extra_info |= {"per": 100 * 2 * levels, "size": levels}
    benchmark(binance_sbe.decode_many, frames)


@pytest.mark.benchmark(group="growth: frames, decode_many of a list")
@pytest.mark.parametrize("count", FRAMES)
def test_frames(benchmark: Any, count: int) -> None:
    frames = [bytes(bytearray(_BASE[i % len(_BASE)])) for i in range(count)]
    benchmark.extra_info |= {"per": count, "size": count}
    benchmark(binance_sbe.decode_many, frames)


@pytest.mark.benchmark(group="growth: symbols, decode_many of 30,000 frames")
@pytest.mark.parametrize("symbols", SYMBOLS)
def test_symbols(benchmark: Any, symbols: int) -> None:
    frames = best_bid_ask_frames(10_000, symbols) * 3
    benchmark.extra_info |= {"per": len(frames), "size": symbols}
    benchmark(binance_sbe.decode_many, frames)
