"""How numbers are written."""

from __future__ import annotations

import pytest
from feeds import Hand

from binance_sbe.commands import numbers

MS = 10**6


@pytest.mark.parametrize(
    ("mantissa", "exponent", "whole", "cut"),
    [
        (0, -2, "0.00", "0.00"), (5, -2, "0.05", "0.05"), (-5, -2, "-0.05", "-0.05"),
        (12345, -2, "123.45", "123.45"), (-12345, -4, "-1.2345", "-1.2345"), (7, 0, "7", "7"),
        (7, 3, "7000", "7000"), (-7, 1, "-70", "-70"), (99, -2, "0.99", "0.99"),
        (123456789, -8, "1.23456789", "1.2345678"), (1234567891, -2, "12345678.91", "12345678"),
        (123456789, -1, "12345678.9", "12345678"), (123456789, -2, "1234567.89", "1234567.8"),
        (12345678901, -1, "1234567890.1", "1234567890"),
    ],
)  # fmt: skip
def test_numbers_are_shown_in_digits(mantissa: int, exponent: int, whole: str, cut: str) -> None:
    assert numbers.decimal(mantissa, exponent) == whole
    assert numbers.short(mantissa, exponent) == cut


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 us"), (1.234e-7, "0.123 us"), (-3e-6, "-3 us"), (99.94e-6, "99.9 us"),
        (99.96e-6, "100 us"), (123.4e-6, "123 us"), (999.4e-6, "999 us"), (999.51e-6, "1 ms"),
        (0.0123, "12.3 ms"), (0.1234, "123 ms"), (0.9994, "999 ms"), (0.9995, "1 s"),
        (4.24, "4.24 s"), (100.0, "100 s"), (119.9, "120 s"), (120.0, "2 min"), (123.0, "2.05 min"),
        (6100.0, "102 min"), (7199.0, "120 min"), (7200.0, "2.0 h"), (90000.0, "25.0 h"),
        (-0.05, "-50 ms"), (-200.0, "-3.33 min"), (-9000.0, "-2.5 h"),
    ],
)  # fmt: skip
def test_a_duration_has_three_digits_in_its_unit(seconds: float, said: str) -> None:
    assert numbers.duration(seconds) == said


def test_percentiles_are_named() -> None:
    hand = Hand()
    histogram = hand.feed.stats.event_to_received
    assert numbers.percentiles(histogram) == "none yet"
    for ns, times in ((2 * MS, 980), (40 * MS, 15), (700 * MS, 5)):
        histogram.add(ns, times)
    for part, ns in (("p50", 2 * MS), ("p99", 40 * MS), ("p99.9", 700 * MS)):
        told = dict(each.rsplit(" ", 2)[:2] for each in numbers.percentiles(histogram).split(", "))
        assert float(told[part]) == pytest.approx(ns / MS, rel=0.02)


def test_durations_are_in_units_that_suit() -> None:
    shown = [numbers.duration(each) for each in (2e-7, 8.5e-4, 0.0123, 0.85, 4.2, 150, 90000)]
    assert shown == ["0.2 us", "850 us", "12.3 ms", "850 ms", "4.2 s", "2.5 min", "25.0 h"]
