"""How numbers are written: prices, quantities, durations, percentiles."""

from __future__ import annotations

from typing import Any

from ..api.decimals import decimal
from ..feed.intake.stats import Histogram, Stats


def short(mantissa: Any, exponent: int) -> str:
    """The same with at most eight digits, but never without the whole ones: for looking at."""
    whole, _, places = decimal(mantissa, exponent).partition(".")
    places = places[: max(0, 8 - len(whole))]
    return f"{whole}.{places}" if places else whole


def duration(seconds: float) -> str:
    """In the unit that suits it: 850 us, 12.3 ms, 4.2 s, 3 min, 5.1 h."""
    for limit, unit, factor in (
        (0.9995e-3, "us", 1e6), (0.9995, "ms", 1e3), (120.0, "s", 1.0), (7200.0, "min", 1 / 60),
    ):  # fmt: skip
        if abs(seconds) < limit:
            value = seconds * factor
            return f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"
    return f"{seconds / 3600:.1f} h"


def percentiles(histogram: Histogram) -> str:
    if not histogram.count:
        return "none yet"
    shown = (("p50", histogram.p50), ("p99", histogram.p99), ("p99.9", histogram.p999))
    return ", ".join(f"{name} {duration(ns / 1e9)}" for name, ns in shown)


def decode_times(stats: Stats, **percents: float) -> str:
    """How long decoding one took, such as "median 0.50 us"; each name with its percentile."""
    if not stats.decoding.count:
        return "none yet"
    times = (f"{name} {stats.decode_ns(p) / 1e3:.2f} us" for name, p in percents.items())
    return ", ".join(times)
