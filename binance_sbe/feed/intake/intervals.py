"""Sets of whole numbers as intervals: the ids that a stream has left out."""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter

_last = itemgetter(1)


class Intervals:
    """Numbers as disjoint intervals in rising order; the ``most`` latest of these."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._all: list[tuple[int, int]] = []  # first and last of each

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._all)

    def __contains__(self, number: int) -> bool:
        i = bisect_left(self._all, number, key=_last)
        return i < len(self._all) and self._all[i][0] <= number

    @property
    def top(self) -> int | None:
        """The highest number in it."""
        return self._all[-1][1] if self._all else None

    def append(self, first: int, last: int) -> None:
        """Numbers above all that are in it."""
        self._all.append((first, last))
        self._trim()

    def remove(self, first: int, last: int) -> list[tuple[int, int]]:
        """Takes out what it has of these; returns that, as intervals."""
        found = self._all
        begin = end = bisect_left(found, first, key=_last)
        taken: list[tuple[int, int]] = []
        rest: list[tuple[int, int]] = []
        while end < len(found) and found[end][0] <= last:
            low, high = found[end]
            taken.append((max(low, first), min(high, last)))
            if low < first:
                rest.append((low, first - 1))
            if high > last:
                rest.append((last + 1, high))
            end += 1
        if taken:
            found[begin:end] = rest
            self._trim()
        return taken

    def _trim(self) -> None:
        if len(self._all) > self._most:
            del self._all[: len(self._all) - self._most]
