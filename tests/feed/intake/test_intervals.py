"""Sets of numbers as intervals, held to a plain set."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from binance_sbe.feed.intake.intervals import Intervals

STEPS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 12), st.booleans()), min_size=20, max_size=40
)


def runs(numbers: set[int], borders: set[int]) -> list[tuple[int, int]]:
    """Numbers as intervals, which end where the next would be one of ``borders`` as well."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1 and number not in borders:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


@settings(max_examples=40)
@given(STEPS, st.sampled_from([1, 2, 5, 100]))
def test_what_is_in_it_is_what_a_set_has(steps: list[tuple[int, int, bool]], most: int) -> None:
    there, numbers, top = Intervals(most), set[int](), 0
    borders: set[int] = set()
    for begin, size, adds in steps:
        if adds:
            first = top + begin % 3 + 1  # right after the last one, too
            there.append(first, first + size - 1)
            top = first + size - 1
            numbers |= set(range(first, top + 1))
            borders.add(first)
        else:
            first = max(top - 60 + begin, 0)
            span = set(range(first, first + size))
            taken = numbers & span
            assert there.remove(first, first + size - 1) == runs(taken, borders)
            numbers -= taken
        kept = runs(numbers, borders)[-most:]
        numbers = {number for first, last in kept for number in range(first, last + 1)}
        assert list(there) == kept
        assert len(there) == len(kept)
        assert there.top == max(numbers, default=None)
        for number in range(top - 30, top + 3):
            assert (number in there) == (number in numbers)
        assert all(a[1] < b[0] for a, b in pairwise(there))


def test_ten_thousand_are_kept_where_nothing_else_is_said() -> None:
    there = Intervals()
    for i in range(10_002):
        there.append(2 * i, 2 * i)
    assert (len(there), 2 in there, 4 in there) == (10_000, False, True)
    there.remove(20_001, 20_001)
    assert len(there) == 10_000
    there.append(30_000, 30_010)
    assert there.remove(30_005, 30_005) == [(30_005, 30_005)]  # one becomes two: the oldest goes
    assert (len(there), next(iter(there))) == (10_000, (8, 8))
