"""Sets of whole numbers as intervals: the ids that a stream has left out.

Compiled, since it is changed amid a read of a socket: no handler of a signal runs in it, which
might raise and leave a stream half changed.
"""

from bisect import bisect_left
from operator import itemgetter

_last = itemgetter(1)


class Intervals:
    """Numbers as disjoint intervals in rising order; the ``most`` latest of these."""

    def __init__(self, most=10_000):
        self._most = most
        self._all = []      # (first, last) of each

    def __len__(self):
        return len(self._all)

    def __iter__(self):
        return iter(self._all)

    def __contains__(self, number):
        i = bisect_left(self._all, number, key=_last)
        return i < len(self._all) and self._all[i][0] <= number

    @property
    def top(self):
        """The highest number in it."""
        count = len(self._all)
        return self._all[count - 1][1] if count else None      # modules are built without [-1]

    def append(self, first, last):
        """Numbers above all that are in it."""
        self._all.append((first, last))
        self._trim()

    def remove(self, first, last):
        """Takes out what it has of these; returns that, as intervals."""
        found = self._all
        begin = end = bisect_left(found, first, key=_last)
        taken, rest = [], []
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

    def _trim(self):
        if len(self._all) > self._most:
            del self._all[: len(self._all) - self._most]
